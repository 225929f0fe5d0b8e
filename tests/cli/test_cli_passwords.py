"""Real cameras that want a login, given in every way there is: pictures come, and nothing that anybody can see has any
of the passwords."""

import base64
import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from camera_rig.filming import film
from camera_rig.http_cameras import MjpegCamera, served
from camera_rig.rtsp_server import RtspCamera
from loopback import Answer, Request, site
from tiny import tiny_weights

from movinet.cli import main
from movinet.data.synthetic import render_gesture
from movinet.video.encode import encode_video

SECRET = "§S3cr@t/Pw:#?%&=+ x§"  # with all that addresses have a meaning for
RAW = "§S3cr@tPw§"
PIECES = ("§", quote("§"), quote("§").lower(), "S3cr", "tPw", "t/Pw", "\\xa7", "\\u00a7")
# FFmpeg's own lines as Python's logging has them, and everything else that is logged.
LOUD = """
import logging, sys
import av.logging
from movinet.cli import main
from movinet.video.encode import encode_video
from movinet.data.synthetic import render_gesture
logging.basicConfig(level=0, stream=sys.stderr)
av.logging.set_level(av.logging.DEBUG)
main(sys.argv[1:])
"""
pytestmark = pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="looks at processes as Linux has them")


def pieces_in(text: str) -> list[str]:
    return [piece for piece in PIECES if piece in text]


@dataclass
class Rig:
    folder: Path
    there: str
    """Host and port of a camera that wants SECRET."""
    other: str
    """Of one that wants RAW."""
    free: str
    """Of one that wants nothing."""
    web: str
    """Of one over http that wants SECRET."""


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    folder = tmp_path_factory.mktemp("passwords")
    tiny_weights(folder)
    footage = film(seconds=2, fps=10, key_every=0.5)
    with (
        RtspCamera(footage, user="me", password=SECRET, digest=True) as strict,
        RtspCamera(footage, user="me", password=RAW) as other,
        RtspCamera(footage) as free,
        served(MjpegCamera(film("mjpeg", seconds=1, fps=10), user="me", password=SECRET)) as web,
    ):
        ports = [f"127.0.0.1:{camera.port}" for camera in (strict, other, free)]
        yield Rig(folder, *ports, re.sub(r".*@([\d.:]+)/.*", r"\1", web))


def processes(parent: int) -> Iterator[Path]:
    """Of a process and all that it has started."""
    for about in Path("/proc").glob("[0-9]*"):
        try:
            mine = int((about / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue  # it has ended
        if int(about.name) == parent or mine == parent:
            yield about


def run(line: list[str], environment: dict[str, str]) -> tuple[int, str, str, str, int]:
    """Exit code, stdout, stderr, what the list of processes showed meanwhile, and of how many."""
    command = [sys.executable, "-c", LOUD, *line]
    pipe, listed, count = subprocess.PIPE, "", 0
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env={**os.environ, **environment}) as process:
        out, err = "", ""
        while True:
            seen = list(processes(process.pid))
            count = max(count, len(seen))
            for about in seen:
                try:
                    listed += (about / "cmdline").read_text()
                    if int(about.name) != process.pid and "sh\0" in (about / "cmdline").read_text():
                        listed += (about / "environ").read_text()
                except OSError:
                    continue
            try:
                out, err = process.communicate(timeout=0.05)
                break
            except subprocess.TimeoutExpired:
                continue
    return process.returncode, out, err, listed, count


def test_cameras_are_seen_and_their_passwords_are_not(rig: Rig) -> None:
    (rig.folder / "secret").write_text(SECRET)
    safe = quote(SECRET, safe="")
    cameras: list[dict[str, Any]] = [
        {"name": "raw", "address": f"rtsp://me:{RAW}@{rig.other}/live"},
        {"name": "escaped", "address": f"rtsp://me:{safe}@{rig.there}/live"},
        {"name": "escaped, http", "address": f"http://me:{safe}@{rig.web}/stream"},
        {"address": f"rtsp://{rig.free}/live?user=admin&password={safe}&channel=1"},
        {"address": f"rtsp://{rig.free}/live?user=admin&password=other{safe}&channel=1"},
        {"address": f"rtsp://{rig.free}/user=admin_password={safe}_channel=1_stream=0.sdp"},
        {"name": "own entry", "address": f"rtsp://{rig.there}/live", "user": "me", "password": SECRET},
        {"name": "own file", "address": f"rtsp://{rig.there}/live", "user": "me",
         "password_file": str(rig.folder / "secret")},
        {"name": "own variable", "address": f"rtsp://{rig.there}/live", "user": "me", "password_env": "OWN_SECRET"},
        {"name": "listed", "address": f"rtsp://{rig.there}/live"},
        {"name": "by host", "address": f"http://{rig.web}/stream"},
        {"name": "from environment", "address": f"rtsp://{rig.other}/live"},
        {"name": "wrong", "address": f"rtsp://me:wrong{safe}@{rig.there}/live"},
        {"name": "refused", "address": f"rtsp://me:{safe}@127.0.0.1:9/live", "retries": 0},
    ]  # fmt: skip
    logins = {"listed": {"user": "me", "password": SECRET}, rig.web: {"user": "me", "password": SECRET}}
    for name, content in (("cameras.yaml", {"cameras": cameras}), ("logins.yaml", logins)):
        (rig.folder / name).write_text(json.dumps(content), encoding="utf-8")
        (rig.folder / name).chmod(0o600)
    line = ["watch", str(rig.folder / "cameras.yaml"), "--credentials", str(rig.folder / "logins.yaml"), "--json",
            "--model", str(rig.folder / "tiny_stream.safetensors"), "--seconds", "2.5", "--timeout", "5",
            "--on", "0.34", "--off", "0.01", "--on-event", "sh -c 'env; sleep 0.2; exit 3'"]  # fmt: skip
    environment = {"OWN_SECRET": SECRET, "MOVINET_USER": "me", "MOVINET_PASSWORD": RAW}
    code, out, err, listed, count = run(line, environment)
    assert code == 2, "one was refused"
    lines = [json.loads(text) for text in out.splitlines()]
    counts = Counter(one["source"] for one in lines if one["type"] == "prediction")
    hidden = [f"rtsp://{rig.free}/live?user=***&channel=1 #1", f"rtsp://{rig.free}/live?user=***&channel=1 #2",
              f"rtsp://{rig.free}/user=***_channel=1_stream=0.sdp"]  # fmt: skip
    names = {camera.get("name") for camera in cameras} - {None}
    assert counts.keys() == {*names, *hidden} - {"wrong", "refused"}
    assert count > 1, "commands were run"
    assert "exit code 3" in err
    assert "libav." in err
    told = "\n".join(one["why"] for one in lines if one["type"] == "lost" and one["source"] == "wrong")
    assert "401" in told
    for text in (out, err, listed):
        assert not pieces_in(text), [part for part in text.splitlines() if pieces_in(part)][:3]


def test_an_address_that_may_be_read_in_two_ways_is_refused(rig: Rig, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["watch", f"rtsp://me:{SECRET}@{rig.there}/live", "--seconds", "1", "--json"])
    out, err = capfd.readouterr()
    assert (stop.value.code, out) == (2, "")
    assert not pieces_in(err)
    assert "may be read in two ways" in " ".join(err.split())


def test_classify_takes_logins_from_the_same_places(
    rig: Rig, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = rig.folder / "clip.mp4"
    encode_video(clip, render_gesture("star", 1, (24, 32), 5, 5.0).frames, 5.0)
    login = "Basic " + base64.b64encode(f"me:{SECRET}".encode()).decode()

    def page(request: Request) -> Answer:
        right = request.headers.get("Authorization") == login
        return Answer(clip.read_bytes()) if right else Answer(b"", 401, {"WWW-Authenticate": "Basic"})

    with site(page) as web:
        logins = rig.folder / "hosts.yaml"
        logins.write_text(json.dumps({"127.0.0.1": {"user": "me", "password": SECRET}}))
        logins.chmod(0o600)
        line = ["classify", web.url("/clip.mp4"), "--json", "--model", str(rig.folder / "tiny_stream.safetensors")]
        for more, environment, right in (
            ([], {}, 2),
            (["--credentials", str(logins)], {}, 0),
            ([], {"MOVINET_USER": "me", "MOVINET_PASSWORD": SECRET}, 0),
        ):
            for name, value in environment.items():
                monkeypatch.setenv(name, value)
            with pytest.raises(SystemExit) as stop:
                main([*line, *more])
            out, err = capfd.readouterr()
            assert (stop.value.code or 0) == right, err
            assert right == 0 or "it wants a user and password" in err
            assert not pieces_in(out + err)


def test_a_command_line_that_is_wrong_is_not_repeated_with_its_password(
    rig: Rig, capfd: pytest.CaptureFixture[str]
) -> None:
    address = f"rtsp://me:{SECRET}@{rig.there}/live"
    for line in (f"watch {shlex.quote(address)} --retires 3", f"watch 0 --seconds {shlex.quote(address)}",
                 f"watch 0 --transport {shlex.quote(address)}", f"wach {shlex.quote(address)}",
                 f"classify {shlex.quote(address)} --model no-such", f"watch --model {shlex.quote(address)} 0",
                 f"watch 0 --on={shlex.quote(address)}", f"classify {shlex.quote(address.replace('rtsp:', 'rtps:'))}",
                 f"watch me:{shlex.quote(SECRET)}@cam/live", f"classify me:{shlex.quote(SECRET)}@cam/live",
                 ):  # fmt: skip
        with pytest.raises(SystemExit) as stop:
            main(shlex.split(line))
        out, err = capfd.readouterr()
        assert stop.value.code == 2
        assert not pieces_in(out + err), (line, out, err)


def test_the_terminal_has_none(rig: Rig) -> None:
    pty = pytest.importorskip("pty")
    leader, follower = pty.openpty()
    address = f"rtsp://me:{quote(SECRET, safe='')}@{rig.there}/live"
    model = str(rig.folder / "tiny_stream.safetensors")
    command = [sys.executable, "-c", LOUD, "watch", address, f"{address}?x=1", "--model", model, "--seconds", "0.5"]
    size = {"TERM": "xterm-256color", "COLUMNS": "100", "LINES": "24"}
    process = subprocess.Popen(command, stdin=follower, stdout=follower, stderr=follower, env={**os.environ, **size})
    os.close(follower)
    shown, until = b"", time.monotonic() + 30
    while time.monotonic() < until:
        try:
            data = os.read(leader, 65536)
        except OSError:
            break  # it has ended
        shown += data
    os.close(leader)
    assert process.wait(20) == 0
    text = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", shown.decode())
    assert re.search(rf"{rig.there}/live +ended", text)
    assert "--credentials FILE" in text, "a password on the command line is hinted at"
    assert not pieces_in(text)
