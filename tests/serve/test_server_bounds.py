"""What strangers try on a server of cameras: to make it keep, read or wait without end."""

import gzip
import http.client
import json
import socket
import struct
import time
import tracemalloc
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import pytest
from serve.serving import SOON, Serving, add, encoded, picture, serving, until
from serve.test_stream_socket import answer, end_of, open_stream, say, show
from websockets.exceptions import ConnectionClosed

from movinet.serve.pools import Pools
from movinet.serve.settings import Bounds


def test_messages_that_are_too_large_end_that_stream_alone(server: Serving) -> None:
    with server.stream() as good:
        open_stream(good)
        with server.stream() as one:
            open_stream(one)
            one.send(b"\0" * (1 << 18) + b"\0")
            assert end_of(one) == ([], 1009)
        with server.stream() as one:
            open_stream(one)
            with suppress(ConnectionClosed):
                one.send(b"\0" * (1 << 12) for _ in range(1 << 10))  # in fragments
            assert end_of(one)[0] == []
        show(good, 0.0, picture().tobytes())
        assert answer(good)[0]["type"] == "prediction"


def test_fragments_without_end_and_without_bytes_end_that_stream(server: Serving) -> None:
    with server.stream() as one:
        open_stream(one)
        raw = one.socket
        raw.sendall(b"\x02\x80" + b"\0" * 4 + b"\x00\x80\0\0\0\0" * 1000)  # binary, masked, empty; it goes on, and on
        _, code = end_of(one)
    assert code == 1008


def test_more_messages_than_are_looked_at_end_that_stream(server: Serving) -> None:
    with server.stream() as one:
        open_stream(one)
        one.socket.sendall(b"\x82\x80\0\0\0\0" * 20_000)
        _, code = end_of(one)
    assert code in (1003, 1008)


def test_pongs_that_nobody_reads_are_not_kept(pools: Pools, tmp_path: Path) -> None:
    with serving(pools, tmp_path, send_buffer=4096) as server, server.stream(close_timeout=0.1) as one:
        open_stream(one)
        one.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        ping = b"\x89\xfd" + b"\0" * 4 + b"\0" * 125
        with suppress(OSError):
            for _ in range(100_000):  # 13 MB that would come back
                one.socket.sendall(ping)
        until(lambda: not server.services.sockets)


def test_compression_is_not_agreed_to(server: Serving) -> None:
    """A bomb of 256 KiB could be 256 MiB."""
    with server.stream(compression="deflate") as one:
        assert one.protocol.extensions == []
    bomb = gzip.compress(b" " * 10_000_000 + b"{}")
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    assert server.ask("POST", "/api/login", bomb, headers).status == 400


@pytest.mark.parametrize(
    ("form", "data"),
    [
        (
            "jpeg",
            b"\xff\xd8\xff\xc0\x00\x11\x08\xff\xdc\xff\xdc\x03\x01\x11\x00\x02\x11\x01\x03\x11\x01\xff\xda"
            + b"\0" * 99,
        ),
        ("webp", b"RIFF\x40\0\0\0WEBPVP8L\x30\0\0\0\x2f\xff\xff\xff\x0f" + b"\0" * 40),
        ("jpeg", encoded(picture())[:-2] + encoded(picture(size=(640, 480)))[2:]),
        ("jpeg", encoded(picture())[:-2] + b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00" * 5000 + b"\xff\xd9"),
    ],
    ids=["vast-jpeg", "vast-webp", "two-sizes", "thousands-of-scans"],
)
def test_pictures_that_would_grow_are_refused_by_what_they_say(form: str, data: bytes, server: Serving) -> None:
    with server.stream() as one:
        open_stream(one, form)
        show(one, 0.0, data)
        assert answer(one)[0]["type"] == "refused"
        show(one, 0.2, encoded(picture(), form))
        assert answer(one)[0]["type"] == "prediction"


def test_heads_that_are_too_large_are_not_read(server: Serving) -> None:
    for head in (b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\n", b"GET / HTTP/1.1\r\n" + b"X-A: b\r\n" * 5000):
        with closing(server.raw()) as raw:
            try:
                raw.sendall(head)
                said = raw.recv(100)
            except ConnectionError:
                said = b""
            assert said == b"" or said.split()[1] in (b"400", b"431")
    assert server.ask("GET", "/healthz").status == 200


def test_bodies_that_are_too_large_are_not_kept(server: Serving) -> None:
    assert server.ask("POST", "/api/sources", b" " * 100_000, {"Content-Type": "application/json"}).status == 413
    for length in ("-1", "1e9", "99999999999999999999"):
        with closing(server.raw()) as raw:
            raw.sendall(f"POST /api/login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {length}\r\n\r\n".encode())
            assert raw.recv(100).split()[1] in (b"400", b"413")
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=SOON)
    with closing(connection):
        pieces = (b" " * 10_000 for _ in range(50))
        try:
            connection.request("POST", "/api/login", pieces, {"Content-Type": "application/json"}, encode_chunked=True)
            assert connection.getresponse().status == 413
        except ConnectionError:
            pass  # it hung up before all was sent


def test_who_sends_slowly_is_not_waited_for(pools: Pools, tmp_path: Path) -> None:
    with serving(pools, tmp_path, bounds=Bounds(open_within=0.5)) as server:
        for beginning in (b"", b"GET / HTTP/1.1\r\nX-Slow: "):
            with closing(server.raw()) as raw:
                raw.sendall(beginning)
                began = time.monotonic()
                assert ended(raw)
                assert time.monotonic() - began < SOON / 2
        with closing(server.raw()) as raw:
            head = b"POST /api/login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            raw.sendall(head + b"Content-Length: 50\r\n\r\n{")
            assert raw.recv(100).split()[1] == b"408"
        with closing(server.raw()) as raw:  # a second request on a connection, of which half comes
            raw.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            assert raw.recv(100).split()[1] == b"200"
            raw.sendall(b"GET /healthz HT")
            assert ended(raw)


def ended(raw: socket.socket) -> bool:
    """Whether the server hangs up."""
    try:
        while raw.recv(1 << 16):
            pass
    except ConnectionError:
        return True
    return True


def test_who_reads_slowly_is_not_waited_for_and_others_do_not_notice(pools: Pools, tmp_path: Path) -> None:
    data = picture().tobytes()
    bounds = Bounds(send_within=0.5, idle=300)
    with serving(pools, tmp_path, send_buffer=4096, bounds=bounds) as server, server.stream() as good:
        tally, sockets = server.services.tally, server.services.sockets
        open_stream(good)
        with closing(socket.socket()) as slow:
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # before it connects: it is told then
            slow.connect(("127.0.0.1", server.port))
            slow.sendall(
                b"GET /api/stream HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
            )
            slow.recv(12)
            slow.sendall(masked(json.dumps({"type": "open", "size": [32, 24], "format": "rgb"}).encode(), text=True))
            until(lambda: len(sockets) == 2)
            sent = shown = 0
            while len(sockets) == 2:
                assert shown < 20_000
                if sent - (tally.pictures - shown) < 9:  # else no more are taken: answers fill all buffers
                    slow.sendall(masked(struct.pack("<d", sent / 5) + data))
                    sent += 1
                show(good, shown / 5, data)
                assert answer(good)[0]["type"] == "prediction"
                shown += 1
        until(lambda: tally.closed.total() == 1)
        assert tally.closed["too slow"] == 1
        say(good, type="close")
        assert end_of(good)[1] == 1000


def masked(data: bytes, text: bool = False) -> bytes:
    """A frame of a client's, masked with zeros."""
    return struct.pack(">BBH", 0x81 if text else 0x82, 0x80 | 126, len(data)) + b"\0" * 4 + data


def test_who_listens_without_reading_is_not_waited_for(pools: Pools, tmp_path: Path, clip: Path) -> None:
    bounds = Bounds(send_within=0.5)
    with serving(pools, tmp_path / "state", send_buffer=4096, bounds=bounds, files=str(clip.parent)) as server:
        with closing(server.raw()) as slow:
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            slow.sendall(b"GET /api/events?types=lost HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            until(lambda: server.services.hub.listeners)
            listener = next(iter(server.services.hub.listeners))
            for n in range(2000):
                server.services.hub._loop.call_soon_threadsafe(listener.take, f'{{"n": {n}, "x": "{"y" * 3000}"}}')
            until(lambda: not server.services.hub.listeners)
        assert listener.dropped > 0
        assert len(listener._waiting) <= 256


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """A folder with a file that is no video."""
    (tmp_path / "videos").mkdir()
    path = tmp_path / "videos" / "clip.mp4"
    path.write_bytes(b"no video")
    return path


def test_connections_are_counted(pools: Pools, tmp_path: Path) -> None:
    with serving(pools, tmp_path, bounds=Bounds(connections=5)) as server:
        held = [server.raw() for _ in range(5)]
        try:
            until(lambda: len(server.server.server_state.connections) == 5)
            with closing(server.raw()) as one_more:
                assert ended(one_more)
        finally:
            for one in held:
                one.close()
        until(lambda: server.server.server_state.connections == set())
        assert server.ask("GET", "/healthz").status == 200


def test_listeners_and_sources_are_counted(pools: Pools, tmp_path: Path, clip: Path) -> None:
    bounds = Bounds(listeners=2, sources=2)
    with serving(pools, tmp_path / "state", bounds=bounds, files=str(clip.parent)) as server:
        held = [server.raw() for _ in range(2)]
        for one in held:
            one.sendall(b"GET /api/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        until(lambda: len(server.services.hub.listeners) == 2)
        assert server.ask("GET", "/api/events").status == 503
        for one in held:
            one.close()
        assert [add(server, "clip.mp4", str(n)).status for n in range(3)] == [201, 201, 503]


def test_a_connection_makes_the_server_keep_less_than_a_mebibyte(
    pools: Pools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of pictures as large as messages may be, sent for as long as they are taken, while none is ever looked at."""
    side, clients = 288, 2
    picture = b"\0" * (8 + 3 * side * side)
    frame = struct.pack(">BBQ", 0x82, 0x80 | 127, len(picture)) + b"\0" * 4 + picture
    with serving(pools, tmp_path) as server, ExitStack() as kept:
        monkeypatch.setattr(server.services.workers, "submit", lambda *work: None)
        tracemalloc.start()
        kept.callback(tracemalloc.stop)
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(clients):
            raw = kept.enter_context(closing(server.raw()))
            raw.sendall(
                b"GET /api/stream HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
            )
            raw.recv(12)
            raw.sendall(masked(json.dumps({"type": "open", "size": [side, side], "format": "rgb"}).encode(), text=True))
            raw.settimeout(0.5)
            with suppress(OSError):  # full, or over
                for _ in range(100):
                    raw.sendall(frame)
        held, _ = tracemalloc.get_traced_memory()
        assert server.services.tally.sockets == clients
        assert (held - before) / clients < 1 << 20
