"""Logins from a file or the environment: whose they are, who goes before whom, and that nobody sees them."""

import os
import traceback
from pathlib import Path

import pytest

from movinet.errors import MovinetError
from movinet.video.net.credentials import (
    Credentials,
    login_in_environment,
    open_to_others,
    read_credentials,
    read_password,
    with_login,
    without_secrets,
)
from movinet.video.net.login import Address, Login

FILE = """
front door: {user: door, password: "S3cr@t/Pw:#?%"}
cam.local:8554: {user: port, password: "2"}
cam.local: {user: host, password: "3"}
"[::1]": {user: six, password: "4"}
"""


@pytest.fixture
def credentials(tmp_path: Path) -> Credentials:
    (tmp_path / "logins.yaml").write_text(FILE)
    return read_credentials(tmp_path / "logins.yaml")


def user(address: str, name: str | None, credentials: Credentials | None, environment: dict[str, str]) -> str | None:
    login = with_login(Address.of(address), name, credentials, environment).login
    return None if login is None else login.user


def test_what_is_nearer_to_the_camera_counts(credentials: Credentials) -> None:
    every = {
        "MOVINET_USER": "all", "MOVINET_PASSWORD": "x", "MOVINET_USER_FRONT_DOOR": "mine",
        "MOVINET_PASSWORD_FRONT_DOOR": "y",
    }  # fmt: skip
    general = {key: value for key, value in every.items() if not key.endswith("DOOR")}
    there = "rtsp://cam.local:8554/x"
    assert user("rtsp://own:z@cam.local:8554/x", "front door", credentials, every) == "own"
    assert user(there, "front door", credentials, every) == "mine"
    assert user(there, "front door", credentials, general) == "door"
    assert user(there, "back door", credentials, every) == "port"
    assert user("rtsp://cam.local/x", None, credentials, every) == "host"
    assert user("http://CAM.local:80/x", None, credentials, every) == "host"
    assert user("http://[::1]:80/x", None, credentials, every) == "six"
    assert user("rtsp://other.local/x", "back door", credentials, general) == "all"
    assert user("rtsp://other.local/x", "back door", credentials, {}) is None
    assert user("udp://cam.local:8554", "front door", credentials, every) is None, "which knows no logins"
    assert user("rtsp://cam.local:port/x", None, credentials, {}) is None, "whoever opens it says what is wrong"


def test_a_password_may_be_anything(credentials: Credentials) -> None:
    assert with_login(Address("rtsp://x/"), "front door", credentials, {}).login == Login("door", "S3cr@t/Pw:#?%")


def test_the_environment_may_have_a_password_alone_and_one_user_for_all() -> None:
    assert login_in_environment(None, {"MOVINET_PASSWORD": "p"}) == Login("", "p")
    assert login_in_environment("hall 2", {"MOVINET_USER": "u", "MOVINET_PASSWORD_HALL_2": "p"}) == Login("u", "p")
    assert login_in_environment("hall 2", {"MOVINET_USER": "u", "MOVINET_PASSWORD": "p"}) is None
    assert login_in_environment(None, {}) is None
    assert without_secrets({"PATH": "x", "MOVINET_PASSWORD_A": "y", "MOVINET_USER": "z"}) == {"PATH": "x"}


def test_nothing_shows_them(credentials: Credentials) -> None:
    address = with_login(Address("rtsp://cam.local/x"), "front door", credentials, {})
    assert all("S3cr" not in text for text in (repr(credentials), repr(address), str(address), repr(address.login)))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- a", "want a login for each camera"),
        ("a: secret9", "'a': want a user and a password"),
        ("a: {user: x, pasword: secret9}", r"no entry 'pasword' \(did you mean password\?\)"),
        ("a: {password: secret9}", "'user' is missing"),
        ("a: {user: x, password: 1234}", "the password is no text: set it in quotes"),
        ("1: {user: x, password: secret9}", "set it in quotes"),
        ("a: &a {user: x, password: *a}", "line 1, column 27: not YAML"),
        ("a: !!python/object:os.system [secret9]", "line 1, column 4: not YAML"),
        ("a: {user: x,\n password: secret9", "line 2, column 19: not YAML"),
        ("secret9: {user: x, password: secret9}\n" * 2, "not YAML"),
        ("a: {user: x, password: 'secret9\ud83d'}", "not YAML|not a text"),
    ],
)
def test_what_is_no_file_of_logins_is_refused_without_showing_it(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "logins.yaml").write_bytes(text.encode(errors="surrogatepass"))
    with pytest.raises(MovinetError, match=words) as told:
        read_credentials(tmp_path / "logins.yaml")
    assert "logins.yaml" in str(told.value)
    assert "secret9" not in "".join(traceback.format_exception(told.value))
    assert "1234" not in str(told.value)


def test_a_password_in_a_file_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_bytes(b" p w \n")
    assert read_password(path) == " p w "
    path.write_text("p w\n", encoding="utf-8-sig")  # as PowerShell writes it
    assert read_password(path) == "p w"
    path.write_bytes(b"x" * 5000)
    with pytest.raises(MovinetError, match="no password"):
        read_password(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(MovinetError, match="not a text"):
        read_password(path)
    with pytest.raises(MovinetError, match="No such file"):
        read_password(tmp_path / "missing")


@pytest.mark.skipif(os.name != "posix", reason="who may read a file is kept otherwise there")
def test_a_file_that_others_can_read_is_told(tmp_path: Path) -> None:
    path = tmp_path / "logins.yaml"
    path.write_text(FILE)
    path.chmod(0o600)
    assert open_to_others(path) is None
    for mode in (0o640, 0o604, 0o666):
        path.chmod(mode)
        assert f"chmod 600 {path}" in (open_to_others(path) or "")
    assert open_to_others(tmp_path / "missing") is None
