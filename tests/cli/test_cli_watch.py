"""`movinet watch` as a whole: files of cameras, what is printed, what is run and posted, and how it ends."""

import json
import os
import re
import select
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from loopback import site
from tiny import tiny_weights

from movinet.cli import main
from movinet.data.synthetic.gesture_clips import render_gesture
from movinet.video.encode import encode_video

posix = pytest.mark.skipif(os.name != "posix", reason="signals and terminals of POSIX")
MODEL = "--model @/tiny_stream.safetensors"
EAGER = f"{MODEL} --on 0.34 --off 0.01"  # the likeliest of three labels begins an event, which lasts


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("watch")
    tiny_weights(folder)
    for name, seconds in (("short", 1), ("long", 60)):
        clip = render_gesture("star", 1, (24, 32), 5, 5.0).frames
        encode_video(folder / f"{name}.mp4", clip.repeat(seconds, axis=0), 5.0)
    return folder


def run(folder: Path, line: str, capfd: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command; `@` stands for the folder."""
    with pytest.raises(SystemExit) as stop:
        main(shlex.split(line.replace("@", str(folder))))
    out, err = capfd.readouterr()
    return int(stop.value.code or 0), out, " ".join(err.split())


def told(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


def test_a_file_is_told_as_json_from_its_first_frame_to_its_end(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run(folder, f"watch @/short.mp4 {EAGER} --json --topk 2", capfd)
    lines = told(out)
    assert code == 0
    assert {line["source"] for line in lines} == {str(folder / "short.mp4")}
    predictions = [line for line in lines if line["type"] == "prediction"]
    assert [line["time"] for line in predictions] == pytest.approx([0, 0.2, 0.4, 0.6, 0.8])
    assert all(len(line["top"]) == 2 and {"lag", "fps", "late"} <= line["figures"].keys() for line in predictions)
    events = {kind: [line["label"] for line in lines if line["type"] == kind] for kind in ("begun", "ended")}
    assert sorted(events["begun"]) == sorted(events["ended"]) != []
    assert (lines[-1]["type"], lines[-1]["error"]) == ("over", None)


def test_without_a_terminal_and_json_there_is_a_line_an_event(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    _, out, err = run(folder, f"watch @/short.mp4 {EAGER}", capfd)
    first, *events, last = out.splitlines()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d [\d:]{8}  watching \S*/short\.mp4 with tiny_stream\.test", first)
    assert [line.endswith("%") for line in events] == [True] * len(events)
    begun = [line for line in events if " begins " in line]
    assert len(begun) == len(events) / 2 > 0
    events = [line for line in events if line not in begun]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d [\d:]{8}  .*short\.mp4  [\d.]+–[\d.]+ s  \w+  \d+%", e) for e in events)
    assert last.endswith("ended")
    assert not err


def test_what_happens_is_added_to_a_file(folder: Path, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    log = tmp_path / "events.jsonl"
    for _ in range(2):
        _, out, _ = run(folder, f"watch @/short.mp4 {EAGER} --json --log {log}", capfd)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    last = [line for line in told(out) if line["type"] != "prediction"]
    assert lines[-len(last) :] == last, "as standard output has it"
    assert len(lines) == 2 * len(last)
    begun = [line["id"] for line in lines if line["type"] == "begun"]
    assert sorted(begun) == sorted(line["id"] for line in lines if line["type"] == "ended")
    assert len(set(begun)) == len(begun), "no two events share an id, whatever run they are of"
    assert all(line["began"] <= line["wall"] for line in lines if line["type"] in ("begun", "ended"))
    code, _, err = run(folder, f"watch @/short.mp4 {EAGER} --log {tmp_path}", capfd)
    assert (code, f"{tmp_path}: cannot write" in err) == (2, True)


def test_check_looks_for_files_networks_and_labels(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (folder / "odd.yaml").write_text(
        f"cameras: [{{name: a, address: {folder}/nowhere.mp4}}, {{name: b, address: 0, ignore: [lefft]}},"
        "{name: c, address: 1, model: movinet_a0_stream.k600}, {name: d, address: 2, model: gesturs.safetensors}]"
    )
    code, out, err = run(folder, f"watch @/odd.yaml {MODEL} --check --json", capfd)
    assert code == 2
    assert [line["name"] for line in told(out)] == ["a", "b", "c", "d"]
    assert "a: no such file" in err
    assert "b: ignore: tiny_stream.test has no label 'lefft'; did you mean left?" in err
    assert "gesturs.safetensors" in err
    code, out, err = run(folder, f"watch @/short.mp4 {MODEL} --check --json", capfd)
    (line,) = told(out)
    assert (code, line["on"], line["off"]) == (0, 0.5, 0.3)


def test_a_file_of_cameras_is_watched_as_it_says(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (folder / "other").mkdir()
    tiny_weights(folder / "other")
    (folder / "cameras.yaml").write_text(f"""
cameras:
  - {{name: door, address: {folder}/short.mp4, by_label: {{left: {{on: 0.99}}}}, ignore: [right]}}
  - {{name: left half, address: {folder}/short.mp4, crop: {{x: 0, y: 0, width: 0.5, height: 1}}}}
  - {{name: loop, address: {folder}/short.mp4, loop: true, model: {folder}/other/tiny_stream.safetensors}}
""")
    code, out, _ = run(folder, f"watch @/cameras.yaml @/short.mp4 {EAGER} --json --seconds 1.5", capfd)
    lines = told(out)
    assert code == 0
    counts = Counter(line["source"] for line in lines if line["type"] == "prediction")
    assert counts == {"door": 5, "left half": 5, "loop": 9, str(folder / "short.mp4"): 5}
    labels = {name: {line["label"] for line in lines if line["type"] == "begun" and line["source"] == name}
              for name in ("door", "loop")}  # fmt: skip
    assert labels["loop"]
    assert not labels["door"] & {"left", "right"}

    def probabilities(name: str) -> list[Any]:
        return [line["top"] for line in lines if line["type"] == "prediction" and line["source"] == name]

    assert probabilities("loop")[:5] == probabilities(str(folder / "short.mp4")) == probabilities("door")
    assert probabilities("left half") != probabilities("door"), "it sees something else"


def test_check_says_what_would_be_watched_and_opens_nothing(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = folder / "check.yaml"
    path.write_text(
        "cameras: [{name: door, address: 'rtsp://camera.invalid/x?pwd=secret9', user: u, password: secret9, "
        "substream: /sub, memory: 2, by_label: {left: {on: 0.9}}}, {address: 7}]"
    )
    path.chmod(0o644)
    for more in ("", "--json"):
        code, out, err = run(folder, f"watch @/check.yaml {MODEL} --check {more}", capfd)
        assert code == 0
        assert "secret9" not in out + err
        assert "rtsp://camera.invalid/sub" in out
        assert os.name != "posix" or f"chmod 600 {path}" in err
    door, seven = told(out)
    assert (door["name"], door["has_login"], door["memory"], seven["address"]) == ("door", True, 2.0, "7")
    assert "left on 0.9" in run(folder, f"watch @/check.yaml {MODEL} --check", capfd)[1]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("watch @/nothing.yaml", "nothing.yaml: cannot read the list of cameras"),
        ("watch @/typo.yaml", r"typo.yaml: cameras\[0\] \(a\): there is no entry 'crops' \(did you mean crop\?\)"),
        ("watch @/label.yaml", "a: by_label: tiny_stream.test has no label 'lefft'; did you mean left"),
        ("watch @/short.mp4 --credentials @/nothing", "nothing: cannot read the credentials"),
        ("watch @/short.mp4 --on-event no-such-program", "there is no program 'no-such-program'"),
        ("watch @/short.mp4 --webhook ftp://x/", "begins with http"),
        ("watch @/short.mp4 --transport quic", "quic"),
        ("watch @/short.mp4 --max-lag 0", "--max-lag must be positive"),
        ("watch @/short.mp4 @/short.mp4", "given twice"),
        ("watch", "give a camera's number"),
    ],
)
def test_what_is_wrong_is_said_and_ends_in_2(
    folder: Path, line: str, words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    (folder / "typo.yaml").write_text("cameras: [{name: a, address: 0, crops: {}}]")
    (folder / "label.yaml").write_text("cameras: [{name: a, address: 0, by_label: {lefft: {on: 0.9}}}]")
    code, _, err = run(folder, f"{line} {MODEL}" if line != "watch" else line, capfd)
    assert code == 2
    assert re.search(words, err)


def test_a_source_that_is_given_up_ends_in_2_and_the_others_go_on(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (folder / "text.mp4").write_text("no video")
    code, out, err = run(folder, f"watch @/short.mp4 @/text.mp4 {MODEL} --json", capfd)
    assert code == 2
    assert "text.mp4: not a video" in err
    over = {Path(line["source"]).name: line["error"] for line in told(out) if line["type"] == "over"}
    assert over["short.mp4"] is None
    assert "not a video" in over["text.mp4"]
    assert sum(line["type"] == "prediction" for line in told(out)) == 5


@posix
def test_events_are_handed_to_commands_and_posted(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with site({"/hook": b""}) as web:
        action = f"--on-event \"sh -c 'cat >> @/events'\" --webhook {web.url('/hook')}"
        code, out, err = run(folder, f"watch @/short.mp4 {EAGER} --json {action}", capfd)
    assert (code, err) == (0, "")
    lines = [{key: line[key] for key in line if key != "top"} for line in told(out) if line["type"] != "prediction"]
    assert [json.loads(request.body) for request in web.asked] == lines
    run_with = sorted((folder / "events").read_text().splitlines())
    events = [json.dumps(line) for line in told(out) if line["type"] in ("begun", "ended")]
    assert list(map(json.loads, run_with)) == list(map(json.loads, sorted(events)))


def started(folder: Path, line: str, **more: Any) -> "subprocess.Popen[str]":
    words = shlex.split(line.replace("@", str(folder)))
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **more}
    return subprocess.Popen([sys.executable, "-m", "movinet", *words], text=True, **pipes)


@posix
@pytest.mark.parametrize(
    ("name", "code"),
    [("SIGINT", 130), *(pytest.param(*other, marks=pytest.mark.slow) for other in (("SIGTERM", 143), ("SIGHUP", 129)))],
)
def test_no_event_is_lost_when_somebody_stops_it(folder: Path, name: str, code: int) -> None:
    line = f"watch @/long.mp4 {EAGER} --json --on-event \"sh -c 'sleep 0.3; cat >> @/events-{code}'\""
    with started(folder, line) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        first = []
        for text in process.stdout:
            first.append(text)
            if json.loads(text)["type"] == "begun":
                break
        time.sleep(0.5)
        began = time.monotonic()
        process.send_signal(getattr(signal, name))
        # Not communicate: it reads past what the loop has already buffered, so lines would be lost or cut.
        out, err = process.stdout.read(), process.stderr.read()
        process.wait(20)
        assert time.monotonic() - began < 5.0
    lines = told("".join(first) + out)
    assert process.returncode == code, err
    labels = {kind: sorted(line["label"] for line in lines if line["type"] == kind) for kind in ("begun", "ended")}
    assert labels["begun"] == labels["ended"] != []
    assert lines[-1]["type"] == "over"
    handed = [json.loads(text)["type"] for text in (folder / f"events-{code}").read_text().splitlines()]
    assert Counter(handed) == Counter(line["type"] for line in lines if line["type"] in ("begun", "ended"))


def full_pipe() -> tuple[int, int]:
    """As of a pager that shows its first page: its reader's end, and the writer's."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writer, b"\n" * 4096)
    os.set_blocking(writer, True)
    return reader, writer


@posix
def test_a_reader_who_stalls_holds_back_neither_log_nor_clips(folder: Path, tmp_path: Path) -> None:
    reader, writer = full_pipe()
    log, clips = tmp_path / "log", tmp_path / "clips"
    log.touch()
    line = f"watch @/short.mp4 {EAGER} --json --log {log} --record {clips} --after 0"
    with started(folder, line, stdout=writer) as process, os.fdopen(reader) as pipe:
        os.close(writer)
        until = time.monotonic() + 20
        while '"over"' not in log.read_text() or not list(clips.rglob("*.json")):
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.02)
        assert process.poll() is None, "it waits a little for what has not been read"
        lines = told(pipe.read().lstrip("\n"))
    assert [line["type"] for line in lines].count("prediction") == 5
    assert lines[-1] == told(log.read_text())[-1]
    assert process.returncode == 0


@posix
@pytest.mark.slow
def test_it_ends_also_where_nobody_reads_that_it_does(folder: Path, tmp_path: Path) -> None:
    """Neither that it was stopped, nor what became of the actions."""
    reader, writer = full_pipe()
    log = tmp_path / "log"
    log.touch()
    line = f"watch @/long.mp4 {EAGER} --json --log {log} --on-event false"
    with started(folder, line, stdout=writer, stderr=writer) as process:
        until = time.monotonic() + 20
        while '"begun"' not in log.read_text():
            assert time.monotonic() < until
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        try:
            assert process.wait(15) == 130
        finally:
            process.kill()
            os.close(reader)
            os.close(writer)


@posix
def test_seconds_end_it_whatever_the_camera_does(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """This one takes connections and says nothing, ever."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        began = time.monotonic()
        address = f"rtsp://127.0.0.1:{mute.getsockname()[1]}/x"
        code, out, _ = run(folder, f"watch {address} {MODEL} --json --seconds 0.3 --timeout 30", capfd)
        assert time.monotonic() - began < 6.0
    assert code == 2, "a script learns that it saw nothing"
    assert told(out)[-1]["type"] == "over"
    assert "showed no picture in 0.3 s" in told(out)[-1]["error"]


@posix
@pytest.mark.parametrize("how", ["", "--json"])
def test_a_terminal_that_is_closed_ends_it_in_order(folder: Path, how: str, tmp_path: Path) -> None:
    """Nothing can be printed any more."""
    leader, follower = os.openpty()
    log = tmp_path / "log"
    log.touch()
    line = f"watch @/long.mp4 {EAGER} --log {log} {how}"
    claim = "import fcntl, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0)"
    words = [sys.executable, "-c", f"{claim}; from movinet.cli import main; main()"]
    with subprocess.Popen(
        [*words, *shlex.split(line.replace("@", str(folder)))],
        stdin=follower, stdout=follower, stderr=follower, start_new_session=True,
    ) as process:  # fmt: skip
        os.close(follower)
        until = time.monotonic() + 20
        while '"begun"' not in log.read_text():
            assert time.monotonic() < until
            if select.select([leader], [], [], 0.05)[0]:
                os.read(leader, 65536)
        os.close(leader)
        assert process.wait(10) == 129
    kinds = [line["type"] for line in told(log.read_text())]
    assert kinds.count("begun") == kinds.count("ended") > 0
    assert kinds[-1] == "over"


@posix
def test_a_terminal_shows_the_view(folder: Path) -> None:
    """As a terminal gets it, warnings above the picture, and the whole of the last one left to be read."""
    pty = pytest.importorskip("pty")
    leader, follower = pty.openpty()
    line = f"watch @/short.mp4 @/text.mp4 {EAGER}"
    (folder / "text.mp4").write_text("no video")
    process = subprocess.Popen(
        [sys.executable, "-m", "movinet", *shlex.split(line.replace("@", str(folder)))],
        stdin=follower, stdout=follower, stderr=follower,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24"},
    )  # fmt: skip
    os.close(follower)
    shown = b""
    while True:
        try:
            data = os.read(leader, 65536)
        except OSError:
            break  # it has ended
        if not data:
            break
        shown += data
    os.close(leader)
    assert process.wait(20) == 2
    text = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", shown.decode())
    assert "2 sources · 1 given up · tiny_stream.test" in text
    assert "short.mp4 ended" in text
    assert re.search(r"text.mp4\s+given up: .*not a video", text)
    assert "movinet: " in text
