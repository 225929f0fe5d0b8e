"""Live sources: the newest frame, pace, loss and return, and an end that does not wait."""

import itertools
import os
import random
import re
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from live_viewer import BUSY, QUICK
from video_clips import number_of, numbered, write

from movinet.errors import VideoError
from movinet.video.camera import following, played
from movinet.video.camera.changes import Change
from movinet.video.camera.devices import camera_number
from movinet.video.camera.latest import Latest
from movinet.video.camera.live_source import LiveSource
from movinet.video.camera.live_video import LiveVideo
from movinet.video.camera.reconnect import back_off
from movinet.video.frame import Frame


@pytest.fixture(scope="module")
def stream(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """400 frames as a network camera sends them: one JPEG after another."""
    path = tmp_path_factory.mktemp("live") / "clip.mpjpeg"
    frames = [numbered(i % 256) for i in range(400)]
    return write(path, frames, codec="mjpeg", pixels="yuvj420p", container="mpjpeg").read_bytes()


@contextmanager
def serving(answer: Callable[[socket.socket, int, str], None]) -> Iterator[str]:
    """A loopback server that reads each request and lets `answer(connection, count, request)` do the rest."""
    listener = socket.create_server(("127.0.0.1", 0))
    stop = threading.Event()
    connections: list[socket.socket] = []

    def one(connection: socket.socket, count: int) -> None:
        try:
            request = connection.recv(65536).decode(errors="replace")
            answer(connection, count, request)
        except OSError:
            pass  # the client has gone
        finally:
            connection.close()

    def accept() -> None:
        for count in itertools.count():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connections.append(connection)
            threading.Thread(target=one, args=(connection, count), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/stream"
    finally:
        stop.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for connection in connections:
            connection.close()
        thread.join(1)


HEAD = b"HTTP/1.1 200 OK\r\nConnection: close\r\n"
MULTIPART = b"Content-Type: multipart/x-mixed-replace;boundary=ffmpeg\r\n\r\n"


def send_slowly(connection: socket.socket, data: bytes, seconds: float) -> None:
    """Half at once, for the client to recognize the format by, then 20 pieces a second."""
    begin = len(data) // 2
    connection.sendall(HEAD + MULTIPART + data[:begin])
    size = int((len(data) - begin) / (20 * seconds))
    for position in range(begin, len(data), size):
        connection.sendall(data[position : position + size])
        time.sleep(0.05)


def frame(number: int) -> Frame:
    return Frame.of_rgb(np.full((1, 1, 3), number, np.uint8), float(number))


def test_latest_gives_the_newest_and_counts_the_others() -> None:
    latest = Latest(room=3)
    for number in range(3):
        latest.put(frame(number))
    assert [latest.take().time for _ in range(3)] == [0, 1, 2]  # a little late, and nothing is lost
    assert latest.take() is None
    for number in range(8):
        latest.put(frame(number))
    assert latest.take().time == 7  # too slow for several to wait
    assert latest.dropped == 7
    latest.put(frame(8))
    latest.put(frame(9))
    assert latest.take().time == 9
    assert latest.take() is None  # there was time to wait
    latest.put(frame(10))
    latest.put(frame(11))
    assert latest.take().time == 10
    latest.clear()
    assert not latest.waits


def test_latest_waits_for_room_no_longer_than_told() -> None:
    latest = Latest(room=1)
    latest.put(frame(0))
    threading.Timer(0.1, latest.take).start()
    latest.put(frame(1), patience=5)
    assert latest.dropped == 0
    latest.put(frame(2), patience=0.01)
    assert latest.dropped == 1
    assert latest.take().time == 2


def test_back_off_grows_to_a_limit_and_varies() -> None:
    random.seed(0)
    delays = list(itertools.islice(back_off(0.8, 4.0), 20))
    for delay, full in zip(delays, [0.8, 1.2, 1.8, 2.7, *[4] * 16], strict=True):
        assert full / 2 <= delay <= full
    assert len(set(delays)) == 20


@pytest.mark.parametrize(
    ("source", "number"),
    [
        ("0", 0),
        ("12", 12),
        ("/dev/video3", 3),
        (Path("/dev/video3"), 3),
        ("a.mp4", None),
        ("", None),
        ("rtsp://0", None),
    ],
)
def test_camera_numbers(source: str | Path, number: int | None) -> None:
    assert camera_number(source) == number


def test_close_is_quick_and_ends_iteration(second_clip: Path) -> None:
    with LiveSource(second_clip, 1, loop=True) as source:
        next(source)
        began = time.monotonic()
    assert time.monotonic() - began < BUSY
    assert not source._reader.is_alive
    assert list(source) == []


def test_needs_with() -> None:
    with pytest.raises(RuntimeError, match="with LiveSource"):
        next(LiveSource("clip.mp4", 5))
    with pytest.raises(ValueError, match="fps"):
        LiveSource("clip.mp4", 0)
    with pytest.raises(ValueError, match="timeout"):
        LiveSource("clip.mp4", 5, timeout=0)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("nowhere.mp4", "no such file"),
        (97, "camera 97"),
        ("http://127.0.0.1:9/", "cannot be opened"),
        ("rtsp://user:secret@127.0.0.1:9/", "^rtsp://127.0.0.1:9/: cannot be opened"),
        ("rtsp://nobody.invalid/", "nobody knows a host nobody.invalid"),
        ("what://ever", "cannot be opened"),
    ],
)
def test_what_cannot_be_opened_says_so_at_once(source: str | int, words: str) -> None:
    with pytest.raises(VideoError, match=words), LiveSource(source, 5, **QUICK | {"retries": 0}):
        pass


@pytest.mark.parametrize(
    "source", ["nowhere.mp4", "what://ever", "http://no such host/", "file://elsewhere/clip.mp4", "rtsp://a@b:c@d/@"]
)
def test_what_can_never_be_opened_is_tried_once(source: str) -> None:
    with pytest.raises(VideoError), LiveSource(source, 5):
        pass


def test_attempts_at_the_start_are_counted() -> None:
    changes: list[Change] = []
    with (
        pytest.raises(VideoError, match=r"^http://127.0.0.1:9/: not found in 3 attempts: cannot be opened"),
        LiveSource("http://127.0.0.1:9/", 5, on_change=changes.append, **QUICK) as source,
    ):
        next(source)
    assert [(change.kind, change.time) for change in changes] == [("lost", None)]


def test_one_attempt_is_one() -> None:
    only = {**QUICK, "retries": 1}
    with (
        pytest.raises(VideoError, match=r"not found in 1 attempt: "),
        LiveSource("http://127.0.0.1:9/", 5, **only) as source,
    ):
        next(source)


@pytest.mark.parametrize("scheme", ["http", "rtsp"])
def test_server_that_never_answers_is_given_up(scheme: str) -> None:
    release = threading.Event()
    with serving(lambda connection, count, request: release.wait(5)) as address:
        began = time.monotonic()
        with (
            pytest.raises(VideoError, match=r"no answer within 0\.5 s"),
            LiveSource(address.replace("http", scheme), 5, **QUICK | {"retries": 0}),
        ):
            pass
        assert time.monotonic() - began < 2
        release.set()


def test_stream_that_is_not_video_says_so() -> None:
    with (
        serving(
            lambda connection, count, request: connection.sendall(
                HEAD + b"Content-Length: 1500\r\n\r\n" + b"<html>no</html>" * 100
            )
        ) as address,
        pytest.raises(VideoError, match="not a video"),
        LiveSource(address, 5, **QUICK | {"retries": 0}),
    ):
        pass


def test_stream_that_drops_is_found_again(stream: bytes) -> None:
    def answer(connection: socket.socket, count: int, request: str) -> None:
        if count in (1, 2):
            return  # hangs up without a word
        send_slowly(connection, stream, 0.4)

    with serving(answer) as address, LiveSource(address, 20, **QUICK) as source:
        times = []
        while source.reconnects < 2:
            times.append(next(source).time)
    assert all(a < b for a, b in itertools.pairwise(times))


def test_stream_that_stalls_counts_as_lost(stream: bytes) -> None:
    release = threading.Event()

    def answer(connection: socket.socket, count: int, request: str) -> None:
        send_slowly(connection, stream, 0.3)
        if count == 0:
            release.wait(10)

    with serving(answer) as address, LiveSource(address, 20, **QUICK) as source:
        while source.reconnects == 0:
            next(source)
        assert next(source).rgb.any()  # it shows pictures again
        release.set()


def test_stream_lost_for_good_ends_in_an_error(stream: bytes) -> None:
    def answer(connection: socket.socket, count: int, request: str) -> None:
        if count == 0:
            send_slowly(connection, stream, 0.2)

    with serving(answer) as address, LiveSource(address, 20, **QUICK) as source:
        assert next(source).rgb.shape == (32, 64, 3)
        with pytest.raises(VideoError, match="lost, and not found again in 3 attempts"):
            list(source)


def test_file_on_a_server_is_paced_and_resumed_where_it_was_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bars = np.random.default_rng(0).integers(0, 40, (20, 64, 128, 3), dtype=np.uint8)
    frames = [np.clip(numbered(i, 64, 128), 60, 190) + noise for i, noise in enumerate(bars)]
    data = write(tmp_path / "c.mkv", frames, options={"g": "5"}, time_base=Fraction(1, 20)).read_bytes()
    monkeypatch.setattr(played, "_CUT_OFF", 0.1)

    def answer(connection: socket.socket, count: int, request: str) -> None:
        asked = re.search(r"range: bytes=(\d+)-", request, re.IGNORECASE)
        begin = int(asked[1]) if asked else 0
        head = (
            f"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {begin}-{len(data) - 1}/{len(data)}\r\n"
            f"Content-Length: {len(data) - begin}\r\nAccept-Ranges: bytes\r\nConnection: close\r\n\r\n"
        )
        end = len(data) * 2 // 3 if time.monotonic() < intact else len(data)
        connection.sendall(head.encode() + data[begin:end])

    began = time.monotonic()
    intact = began + 0.5
    with serving(answer) as address, LiveSource(address, 10, timeout=2, pause=(0.05, 0.1)) as source:
        got = [number_of(seen.rgb) for seen in source]
    assert got == sorted(set(got))
    assert len(got) + source.dropped == 10
    assert got[-1] == 18
    assert source.reconnects >= 1
    assert time.monotonic() - began > 0.8


def test_camera_frames_at_the_rate_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    def synthetic(number: int, timeout: float | None) -> LiveVideo:
        return LiveVideo("testsrc=size=64x48:rate=50,realtime", timeout, device="lavfi")

    monkeypatch.setattr(following, "open_camera", synthetic)
    with LiveSource(0, 10) as source:
        times = [seen.time for seen in itertools.islice(source, 10)]
    assert times[0] == 0.0
    assert times[-1] == pytest.approx(0.9, abs=BUSY)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has priorities of threads")
def test_reading_gives_way_to_recognizing(tmp_path: Path) -> None:
    frames, times = [numbered(i) for i in range(20)], range(0, 1000, 50)
    with LiveSource(write(tmp_path / "clip.mp4", frames, times, Fraction(1, 1000)), 5) as source:
        next(source)
        reading = [thread.native_id for thread in threading.enumerate() if thread.name == "movinet-live"]
        own = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
        assert all(os.getpriority(os.PRIO_PROCESS, thread or 0) > own for thread in reading)
        assert reading


def test_what_ended_a_connection_holds_nothing_of_it() -> None:
    """Else every loss of a camera that runs for months keeps a decoder and its last pictures."""
    with pytest.raises(VideoError) as lost, LiveSource("tcp://127.0.0.1:9", 5, retries=0, timeout=1.0) as source:
        next(source)
    error: BaseException | None = lost.value
    while error is not None:
        frames = [frame.f_code.co_name for frame, _ in traceback.walk_tb(error.__traceback__)]
        assert "follow" not in frames
        error = error.__context__
