"""Tokens are kept as hashes, told apart in constant time, and not guessed."""

import json
import os
from pathlib import Path

import pytest

from movinet.errors import MovinetError
from movinet.serve.run_server import prepare_tokens
from movinet.serve.settings import Settings
from movinet.serve.tokens import Hashed, Tokens, TooOften, make_tokens, read_tokens


def test_tokens_are_shown_once_and_kept_hashed(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "tokens.json"
    made = make_tokens(path)
    assert set(made) == {"viewer", "administrator"}
    assert all(len(token) >= 43 for token in made.values())
    kept = path.read_text()
    assert not any(token in kept or token[4:] in kept for token in made.values())
    assert path.stat().st_mode & 0o077 == 0
    tokens = Tokens(read_tokens(path))
    for role, token in made.items():
        assert tokens.known(token) is None
        assert tokens.check(token, "1.2.3.4") == role
        assert tokens.known(token) == role
    assert tokens.check(made["viewer"].replace("mvv_", "mva_"), "1.2.3.4") is None


def test_beyond_this_machine_there_are_tokens_from_the_first_start(tmp_path: Path) -> None:
    local, wide = Settings(state=str(tmp_path)), Settings(state=str(tmp_path), host="0.0.0.0")
    tokens, made = prepare_tokens(local, new=False)
    assert (tokens.needed, made) == (False, {})
    tokens, made = prepare_tokens(wide, new=False)
    assert tokens.needed
    assert tokens.check(made["viewer"], "1.1.1.1") == "viewer"
    for settings in (wide, local):  # no exception for this machine once there are some
        tokens, again = prepare_tokens(settings, new=False)
        assert (tokens.needed, again) == (True, {})
    tokens, others = prepare_tokens(local, new=True)
    assert tokens.check(made["viewer"], "1.1.1.1") is None, "the old ones are void"
    assert tokens.check(others["viewer"], "1.1.1.1") == "viewer"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.1", "example.org"])
def test_hosts_that_others_reach_are_not_local(host: str) -> None:
    assert not Settings(host=host).is_local


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"viewer": 1}', '{"viewer": {"salt": "?", "scrypt": "?"}}', "\xff"])
def test_a_damaged_file_opens_nothing(text: str, tmp_path: Path) -> None:
    (tmp_path / "tokens.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(MovinetError, match="no tokens that can be read"):
        prepare_tokens(Settings(state=str(tmp_path)), new=False)


def test_guessing_is_slow_for_one_address_and_for_all() -> None:
    now = [0.0]
    tokens = Tokens({"viewer": Hashed.of("mvv_right")}, clock=lambda: now[0])
    for _ in range(5):
        assert tokens.check("x", "2001:db8::1") is None  # of a kind that is not even hashed
    with pytest.raises(TooOften) as often:
        tokens.check("mvv_right", "2001:db8::2")  # the same household
    assert often.value.seconds == 60
    assert tokens.check("mvv_right", "2001:db9::1") == "viewer"
    assert tokens.check("mvv_right", "2001:db8::2") == "viewer", "known by now"
    for n in range(55):
        assert tokens.check("x", f"10.0.{n}.1") is None
    with pytest.raises(TooOften):
        tokens.check("x", "10.9.9.9")
    now[0] = 61.0
    assert tokens.check("x", "2001:db8::1") is None


def test_cookies_end() -> None:
    now = [0.0]
    tokens = Tokens({"viewer": Hashed.of("mvv_x")}, clock=lambda: now[0])
    value, seconds = tokens.cookie("viewer")
    assert tokens.role_of_cookie(value) == "viewer"
    assert tokens.role_of_cookie(value + "x") is None
    now[0] = seconds
    assert tokens.role_of_cookie(value) is None
    first, _ = tokens.cookie("viewer")
    others = [tokens.cookie("administrator")[0] for _ in range(1000)]
    assert tokens.role_of_cookie(first) is None, "the oldest goes where there are too many"
    assert tokens.role_of_cookie(others[-1]) == "administrator"
    tokens.forget_cookie(others[-1])
    assert tokens.role_of_cookie(others[-1]) is None


def test_hashes_are_scrypts() -> None:
    """As the standard library has it, from the salt and the token alone."""
    import hashlib

    one, other = Hashed.of("mvv_x"), Hashed.of("mvv_x")
    assert one.salt != other.salt
    assert one.digest == hashlib.scrypt(b"mvv_x", salt=one.salt, n=16384, r=8, p=1, dklen=32)
    assert one.fits("mvv_x")
    assert not one.fits("mvv_y")


def test_nobody_else_reads_the_file_while_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    replace = os.replace

    def watched(part: Path, path: Path) -> None:
        seen.append(part.stat().st_mode & 0o777)
        replace(part, path)

    monkeypatch.setattr(os, "replace", watched)
    make_tokens(tmp_path / "tokens.json")
    assert seen == [0o600]
    assert set(json.loads((tmp_path / "tokens.json").read_text())) == {"viewer", "administrator"}
