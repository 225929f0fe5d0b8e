"""How http addresses are read: in parts, in time, and to the end."""

import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from http_clips import numbers
from loopback import Answer, site
from video_clips import number_of

from movinet.errors import VideoError
from movinet.video.container import open_at
from movinet.video.decode import duration, probe, read_at, read_frames
from movinet.video.net.http_io import Opener
from movinet.video.net.login import Address
from movinet.video.net.sources import DEFAULT_LIMITS

# --- reading


def test_seeking_asks_for_a_part_of_the_file(http_clip: bytes) -> None:
    with site({"/clip.mp4": http_clip}) as one:
        assert numbers(one.url("/clip.mp4"), start=3.0) == list(range(75, 100))
        assert probe(one.url("/clip.mp4")).frames == 100
        asked = [request.headers["Range"] for request in one.asked]
    assert any(int(re.findall(r"\d+", part)[0]) > 0 for part in asked)


def test_servers_without_ranges_or_lengths_are_read_through(http_clip: bytes, segment: bytes) -> None:
    pages = {
        "/whole.ts": Answer(segment, ranges=False),
        "/endless.ts": Answer(send=lambda handler: handler.wfile.write(segment)),
        "/chunks.ts": Answer(send=chunks(segment), headers={"Transfer-Encoding": "chunked"}),
    }
    with site(pages) as one:
        for path in pages:
            assert numbers(one.url(path)) == list(range(25))


def test_a_file_with_its_index_at_its_end_is_read_of_a_server_without_ranges(http_clip: bytes) -> None:
    """As `python -m http.server` gives what FFmpeg writes by default."""
    assert http_clip.index(b"mdat") < http_clip.index(b"moov")
    with site({"/clip.mp4": Answer(http_clip, ranges=False)}) as one:
        assert numbers(one.url("/clip.mp4")) == list(range(100))
        assert 2 <= len(one.asked) <= 3
        assert numbers(one.url("/clip.mp4"), start=2.0) == numbers(one.url("/clip.mp4"))[50:]


def chunks(data: bytes, whole: bool = True) -> Callable[[BaseHTTPRequestHandler], None]:
    def send(handler: BaseHTTPRequestHandler) -> None:
        for begin in range(0, len(data), 1000):
            piece = data[begin : begin + 1000]
            handler.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        handler.wfile.write(b"0\r\n\r\n" if whole else b"ff\r\n")

    return send


def test_a_connection_that_is_cut_is_told(segment: bytes) -> None:
    pages = {
        "/short.ts": Answer(segment, ranges=False, headers={"Content-Length": str(len(segment) + 500)}),
        "/chunks.ts": Answer(send=chunks(segment, whole=False), headers={"Transfer-Encoding": "chunked"}),
    }
    with site(pages) as one:
        for path in pages:
            seen = []
            with pytest.raises(VideoError, match="reading stopped: the connection was cut"):
                seen.extend(number_of(frame.rgb) for frame in read_frames(one.url(path), timeout=2))


@pytest.mark.parametrize(("status", "words"), [(404, "404 Not Found"), (500, "500 "), (403, "403 "), (204, "204 ")])
def test_what_the_server_answers_is_told(status: int, words: str) -> None:
    with (
        site(lambda request: Answer(status=status)) as one,
        pytest.raises(VideoError, match=f"cannot be opened: the server answers {words}"),
    ):
        numbers(one.url())


def test_addresses_that_are_none_say_so() -> None:
    for address in (
        "http://",
        "http://host:port/",
        "http://[::1/",
        "http://a b/",
        "http://a\x1b[31m/",
        "http://a/\x9b31m",
        "http://127.0.0.1:99999/",
    ):
        with pytest.raises(VideoError, match="is no address"):
            numbers(address)
    with pytest.raises(VideoError, match=r"nobody knows a host nowhere\.invalid"):
        numbers("http://nowhere.invalid/")


# --- time


@contextmanager
def within(seconds: float) -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < seconds


def drip(first: bytes) -> Callable[[BaseHTTPRequestHandler], None]:
    def send(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(first)
        while True:
            time.sleep(0.05)
            handler.wfile.write(b"\0")

    return send


@pytest.mark.parametrize("what", ["/clip.mp4", "/list.m3u8", "/segment.m3u8", "/later.ts"])
def test_a_server_that_drips_is_given_up(http_clip: bytes, segment: bytes, what: str) -> None:
    playlist = b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n0.ts\n#EXT-X-ENDLIST\n"
    pages = {
        "/clip.mp4": Answer(send=drip(http_clip[:500])),
        "/list.m3u8": Answer(send=drip(b"#EXTM3U\n")),
        "/segment.m3u8": Answer(playlist),
        "/0.ts": Answer(send=drip(segment[:300])),
        "/later.ts": Answer(send=drip(segment)),
    }
    with (
        site(pages) as one,
        within(3),
        pytest.raises(VideoError, match=r"^http://[0-9.:]+/\S+: no answer within 0\.4 s"),
    ):
        numbers(one.url(what), timeout=0.4)


def test_every_way_of_reading_gives_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        for reading in (probe, duration, lambda address, timeout: next(read_at(address, [0.0], timeout=timeout))):
            with within(2), pytest.raises(VideoError, match=r"no answer within 0\.2 s"):
                reading(address, timeout=0.2)


@pytest.mark.parametrize("first", [b"", b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 100 Continue\r\n\r\n"])
def test_a_head_that_drips_is_given_up(first: bytes) -> None:
    stop = threading.Event()

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            while not stop.wait(0.05):
                try:
                    connection.sendall(first if b"100" in first else b"a")
                except OSError:
                    return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        with within(2), pytest.raises(VideoError, match=r"no answer within 0\.4 s|cannot be opened"):
            numbers(f"http://127.0.0.1:{listener.getsockname()[1]}/", timeout=0.4)
        stop.set()
        thread.join()


def test_ctrl_c_gets_through_while_a_server_is_silent() -> None:
    """PyAV swallows it within a callback."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        code = (
            "import sys; from movinet.video.decode import probe; print(flush=True)\n"
            f"try: probe('http://127.0.0.1:{listener.getsockname()[1]}/', timeout=20)\n"
            "except KeyboardInterrupt: sys.exit(7)"
        )
        child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
        with child:
            assert child.stdout is not None
            child.stdout.readline()
            connection, _ = listener.accept()
            with connection:
                connection.sendall(head_of_a_clip())
                time.sleep(0.3)
                child.send_signal(signal.SIGINT)
                assert child.wait(5) == 7


def head_of_a_clip() -> bytes:
    """The beginning of an answer that FFmpeg waits for the rest of."""
    return b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41"


def test_a_file_on_a_server_is_hung_up_when_it_is_closed(http_clip: bytes) -> None:
    with site({"/clip.mp4": http_clip}) as one:
        before = open_sockets()
        with open_at(one.url("/clip.mp4"), 3.0, 2) as video:
            next(video)
        time.sleep(0.05)
        assert open_sockets() <= before


def test_playlists_that_are_asked_for_again_and_again_leave_nothing_open() -> None:
    """As of a live stream: one every few seconds, for days."""
    text = b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n0.ts\n"
    with site({"/a.m3u8": Answer(text, headers={"Content-Type": "application/vnd.apple.mpegurl"})}) as one:
        opener = Opener(Address(one.url("/a.m3u8")), DEFAULT_LIMITS, 5.0)
        opener(opener.url, 0, {}).read(7)
        time.sleep(0.2)
        before = open_sockets()
        for _ in range(10):
            assert opener(opener.url, 0, {}).read(7) == text[:7]
        time.sleep(0.2)  # the server's ends are in this process too
        assert open_sockets() <= before + 1
        opener.close()


def open_sockets() -> int:
    folder = Path("/proc/self/fd")
    if not folder.exists():
        pytest.skip("counts sockets by /proc")
    count = 0
    for entry in folder.iterdir():
        with suppress(OSError):
            count += str(entry.readlink()).startswith("socket:")
    return count
