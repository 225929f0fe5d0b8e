"""Cameras in a file: what is read, what is refused and how, whose login is taken."""

import os
import re
import traceback
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from movinet.errors import MovinetError
from movinet.live.cameras import Camera, read_cameras, told_apart, warnings_about
from movinet.live.feeds import motion_rule
from movinet.video.crop import Crop
from movinet.video.locations import Track
from movinet.video.net.credentials import Credentials
from movinet.video.net.login import Address, Login
from movinet.weights.load import load_weights
from movinet.weights.operating_point import Thresholds

FILE = """
cameras:
  - name: front door
    address: rtsp://192.168.1.20:554/Streaming/Channels/101
    substream: /Streaming/Channels/102
    transport: udp
    user: admin
    password_env: DOOR
    crop: {x: 0.25, y: 0, width: 0.5, height: 1}
    memory: 3
    on: 0.6
    ignore: [other]
    by_label:
      star: {on: 0.8, shortest: 0.5}
    on_event: notify --loud
    webhook: https://example.org/hook
  - address: 0
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "cameras.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_is_read(tmp_path: Path) -> None:
    door, number = read_cameras(written(tmp_path, FILE))
    assert (door.name, door.transport, door.crop) == ("front door", "udp", Crop(0.25, 0, 0.5, 1))
    assert (door.memory, door.on, door.ignore, door.on_event) == (3.0, 0.6, ("other",), "notify --loud")
    assert door.by_label == {"star": Thresholds(on=0.8, shortest=0.5)}
    assert (number.address, number.shown, number.source()) == (0, "0", "0")


def test_what_a_camera_leaves_open_is_as_the_command_line_says(tmp_path: Path) -> None:
    defaults = {"on": 0.5, "off": 0.2, "memory": 9.0, "model": "x", "transport": "tcp", "timeout": 5.0, "loop": True}
    door, number = (camera.filled(defaults) for camera in read_cameras(written(tmp_path, FILE)))
    assert (door.on, door.off, door.memory, door.transport, door.model) == (0.6, 0.2, 3.0, "udp", "x")
    assert (number.on, number.memory, number.transport, number.loop) == (0.5, 9.0, "tcp", True)
    gestures = load_weights("movinet_t0_stream.gestures").info
    detector = door.detector(gestures)
    assert (detector.on, detector.off, detector.ignore) == (0.6, 0.2, {"other"})
    with pytest.raises(MovinetError, match=r"^front door: ignore: .* has no label 'othr'; did you mean other\?"):
        replace(door, ignore=("othr",)).detector(gestures)
    with pytest.raises(MovinetError, match=r"^front door: star: want 0 < off < on"):
        Camera(address=0, name="front door", by_label={"star": Thresholds(on=0.15)}).filled({"off": 0.2})


LOGINS = Credentials({"front door": Login("door", "1"), "192.168.1.20": Login("host", "2"), "shared": Login("s", "3")})


@pytest.mark.parametrize(
    ("entries", "environment", "login"),
    [
        ({}, {}, Login("door", "1")),
        ({"name": "yard"}, {}, Login("host", "2")),
        ({"login": "shared"}, {}, Login("s", "3")),
        ({"user": "u", "password": "4"}, {}, Login("u", "4")),
        ({"user": "u", "password_env": "DOOR"}, {"DOOR": "5"}, Login("u", "5")),
        ({"user": "u", "password_file": "secret"}, {}, Login("u", "6")),
        ({"user": "u"}, {"MOVINET_PASSWORD_FRONT_DOOR": "7"}, Login("u", "7")),
        ({"address": "rtsp://own:8@192.168.1.20/x", "user": "u", "password": "4"}, {}, Login("own", "8")),
    ],
)
def test_whose_login_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entries: dict[str, Any], environment: dict[str, str], login: Login
) -> None:
    (tmp_path / "secret").write_text("6\n")
    monkeypatch.chdir(tmp_path)
    given: dict[str, Any] = {"name": "front door", "address": "rtsp://192.168.1.20/x", **entries}
    assert Camera(**given).source(LOGINS, environment) == Address("rtsp://192.168.1.20/x", login)


@pytest.mark.parametrize(
    ("substream", "url", "has_login"),
    [
        ("/sub", "rtsp://cam:554/sub", True),
        ("?subtype=1", "rtsp://cam:554/main?subtype=1", True),
        ("rtsp://cam:554/other", "rtsp://cam:554/other", True),
        ("rtsp://cam2/other", "rtsp://cam2/other", False),
    ],
)
def test_a_substream_is_watched_in_place_of_the_address(substream: str, url: str, has_login: bool) -> None:
    source = Camera(address="rtsp://u:p@cam:554/main?subtype=0", substream=substream).source(environment={})
    assert source == Address(url, Login("u", "p") if has_login else None)


def test_a_track_and_what_is_no_address() -> None:
    assert Camera(address="clip.mp4", stream=2).source(environment={}) == Track("clip.mp4", 2)
    with pytest.raises(MovinetError, match="a camera has one"):
        Camera(address=0, stream=1).source()
    with pytest.raises(MovinetError, match="a substream needs an address"):
        Camera(address="clip.mp4", substream="/x").source()
    with pytest.raises(MovinetError, match="what follows the host"):
        Camera(address="rtsp://cam/x", substream="102").source()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[]", "want cameras in a list"),
        ("camera: []", "want cameras in a list"),
        ("cameras: []", "0 cameras; want 1"),
        ("{cameras: [{address: 0}], camera: 1}", r"no entry 'camera' \(did you mean cameras\?\)"),
        ("cameras: [rtsp://u:secret9@cam]", r"cameras\[0\]: want a mapping of entries, .* `- address: rtsp:"),
        (
            "cameras: [{adress: rtsp://u:secret9@cam}]",
            r"cameras\[0\]: .*'adress' \(did you mean address",
        ),
        ("cameras: [{name: door, address: 0, on: high}]", r"cameras\[0\] \(door\)\.on is 'high'; want a number"),
        ("cameras: [{name: door}]", r"cameras\[0\] \(door\): 'address' is missing"),
        ("cameras: [{address: 0}, {address: 1, timeout: 0}]", r"cameras\[1\]: timeout is 0.0; want seconds"),
        ("cameras: [{address: 0, crop: {x: 0, y: 0, width: 2}}]", r"cameras\[0\]\.crop: 'height' is missing"),
        ("cameras: [{address: 0, crop: {x: 0.9, y: 0, width: 0.5, height: 1}}]", "beyond the picture"),
        ("cameras: [{address: 0, transport: quic}]", r"transport is 'quic'; choose one of tcp, udp, http"),
        ("cameras: [{address: 0, by_label: {star: {onn: 1}}}]", r"by_label\.star: there is no entry 'onn'"),
        ("cameras: [{address: rtsp://c, password: secret9, password_env: X}]", "said twice"),
        ("cameras: [{address: rtsp://c, login: x, user: y}]", "has a user of its own"),
        ("cameras: [{address: [rtsp://u:secret9@c]}]", r"cameras\[0\]\.address: want text"),
        ("cameras: [{address: rtsp://c, password: 12349}]", r"cameras\[0\]\.password: want text; set it in quotes"),
        ("cameras: [{address: -1}]", "begin at 0"),
        ("cameras: [{address: 0, name: a}, {address: 1, name: a}]", "two cameras are called 'a'"),
        ("cameras:\n - {address: rtsp://u:secret9@cam", r"line 2, column 4\d?: not YAML|not YAML"),
        ("cameras: !!python/name:os.system x", "not YAML"),
    ],
)
def test_what_is_no_list_of_cameras_is_refused_by_name(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(MovinetError, match=words) as told:
        read_cameras(written(tmp_path, text))
    shown = "".join(traceback.format_exception(told.value))
    assert "cameras.yaml: " in shown
    assert "secret9" not in shown
    assert "12349" not in shown


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ({"password_env": "NOWHERE"}, "the environment has no NOWHERE"),
        ({"password_file": "nowhere"}, "nowhere: cannot read the password"),
        ({"login": "nobody"}, "there is no login 'nobody' in the credentials"),
        ({"address": "rtsp://u:p@a/b@c"}, "two ways"),
    ],
)
def test_a_login_that_is_not_there_is_told(entries: dict[str, Any], words: str) -> None:
    given: dict[str, Any] = {"name": "door", "address": "rtsp://cam/x", **entries}
    with pytest.raises(MovinetError, match=words):
        Camera(**given).source(environment={})


def test_cameras_that_would_look_alike_are_told_apart() -> None:
    addresses = ["rtsp://u:1@cam/x", "rtsp://u:2@cam/x", "rtsp://cam/y", "rtsp://u:3@cam/x"]
    named = [Camera(address=5, name="rtsp://cam/x #2")]
    told = told_apart([*(Camera(address=address) for address in addresses), *named])
    names = [camera.shown for camera in told]
    assert names == ["rtsp://cam/x #1", "rtsp://cam/x #3", "rtsp://cam/y", "rtsp://cam/x #4", "rtsp://cam/x #2"]


def test_nothing_shows_a_password() -> None:
    camera = Camera(address="rtsp://u:secret9@cam/x?pwd=secret9", user="u", webhook="http://u:secret9@x/")
    assert "secret9" not in repr(camera) + str(camera) + camera.shown + repr([camera])


@pytest.mark.skipif(os.name != "posix", reason="who may read a file is kept otherwise there")
@pytest.mark.parametrize(
    ("camera", "told"),
    [
        ("{address: rtsp://u:p@cam/x}", True),
        ("{address: rtsp://cam/x, password: p}", True),
        ("{address: rtsp://cam/x, password_env: P}", False),
        ("{address: 0}", False),
    ],
)
def test_passwords_that_lie_open_are_told(tmp_path: Path, camera: str, told: bool) -> None:
    path = written(tmp_path, f"cameras: [{camera}]")
    path.chmod(0o644)
    assert bool(warnings_about(path, read_cameras(path))) is told
    path.chmod(0o600)
    assert not warnings_about(path, read_cameras(path))


def test_the_example_of_the_document_is_read_and_its_table_has_every_entry(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "watching.md").read_text(encoding="utf-8")
    example = next(block for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL) if block.startswith("cameras:"))
    door, yard, _ = read_cameras(written(tmp_path, example))
    assert door.by_label["star"] == Thresholds(0.8, 0.5, 0.4)
    assert yard.login == "viewers"
    table = text.partition("| entry | |\n")[2].partition("\n\n")[0]
    named = {name for row in re.findall(r"^\| (`.*?) \| ", table, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}
    assert named == {field.name for field in fields(Camera)}


@pytest.mark.parametrize(("memory", "hold"), [(None, 4.0), (float("inf"), 4.0), (0.5, 4.0), (2.0, 4.0), (30.0, 60.0)])
def test_the_network_is_spared_once_it_has_forgotten(memory: float | None, hold: float) -> None:
    assert motion_rule(memory).hold == hold
