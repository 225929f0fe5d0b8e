"""A server in a thread of the test's process, and the ways to talk to it: none uses the server's own code."""

import asyncio
import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
from numpy.typing import NDArray
from websockets.sync.client import ClientConnection, connect

from movinet.serve.pools import Pools
from movinet.serve.run_server import Server, listen, serve
from movinet.serve.settings import Settings
from movinet.serve.tokens import Hashed, Role, Tokens

SOON = 20.0  # seconds, within which anything must have happened on a busy machine
TOKENS: dict[Role, str] = {"viewer": "mvv_" + "v" * 43, "administrator": "mva_" + "a" * 43}
VIEWER, ADMIN = ({"Authorization": f"Bearer {TOKENS[role]}"} for role in ("viewer", "administrator"))


@dataclass
class Serving:
    """A running server.

    Args:
        port: where it listens.
        server: uvicorn's.
        thread: in which it runs.
    """

    port: int
    server: Server
    thread: threading.Thread

    @property
    def services(self) -> Any:
        return self.server._services

    def ask(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None, **more: Any
    ) -> "Answer":
        """A request, and its answer, whose headers are by names in small letters."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=SOON)
        try:
            sent = dict(headers or {})
            if body is not None and not isinstance(body, bytes):
                body = json.dumps(body).encode()
                sent.setdefault("Content-Type", "application/json")
            connection.request(method, path, body, sent, **more)
            answer = connection.getresponse()
            return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def stream(self, **options: Any) -> ClientConnection:
        """A WebSocket to the stream's address."""
        options = {"compression": None, "max_size": None, "open_timeout": SOON, **options}
        return connect(f"ws://127.0.0.1:{self.port}/api/stream", **options)

    def raw(self) -> socket.socket:
        """A connection on which anything may be sent."""
        return socket.create_connection(("127.0.0.1", self.port), SOON)

    def stop(self) -> None:
        """Ask it to end, and wait for that."""
        self.server.should_exit = True
        self.thread.join(SOON)
        assert not self.thread.is_alive()


@dataclass
class Answer:
    """What a request came to."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@contextmanager
def serving(
    pools: Pools, state: Path, *, tokens: bool = False, send_buffer: int | None = None, **settings: Any
) -> Iterator[Serving]:
    """A server on loopback with those settings.

    Args:
        pools: what recognizes; they stay open.
        state: the folder of its sources.
        tokens: whether `TOKENS` are needed.
        send_buffer: bytes that the system keeps for a client, so that a slow one is soon noticed.
        settings: as of `Settings`.
    """
    described = Settings(port=0, state=str(state), **settings)
    hashed = {role: Hashed.of(token) for role, token in TOKENS.items()} if tokens else None
    started = threading.Event()
    servers: list[Server] = []
    faults: list[BaseException] = []

    def on_started(server: Server) -> None:
        servers.append(server)
        started.set()

    with listen(described) as listening:
        if send_buffer is not None:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)

        def run() -> None:
            try:
                asyncio.run(serve(described, Tokens(hashed), pools, listening, on_started, "test"))
            except BaseException as fault:
                faults.append(fault)
            finally:
                started.set()

        thread = threading.Thread(target=run, name="test-server", daemon=True)
        thread.start()
        assert started.wait(SOON)
        assert not faults, faults
        running = Serving(listening.getsockname()[1], servers[0], thread)
        try:
            yield running
        finally:
            running.stop()
        assert not faults, faults


def until(what: Callable[[], Any], within: float = SOON) -> Any:
    """Wait for something to be true; what it was then."""
    end = time.monotonic() + within
    while not (found := what()):
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.01)
    return found


def picture(seed: int = 0, size: tuple[int, int] = (32, 24)) -> NDArray[np.uint8]:
    """A picture (H, W, 3) of soft colors; size is width and height."""
    width, height = size
    coarse = np.random.default_rng(seed).integers(0, 256, (3, 4, 3)).astype(float)
    rows, columns = np.linspace(0, 2, height), np.linspace(0, 3, width)
    up, left = np.floor(rows).astype(int).clip(0, 1), np.floor(columns).astype(int).clip(0, 2)
    y, x = (rows - up)[:, None, None], (columns - left)[None, :, None]
    top = coarse[up][:, left] * (1 - x) + coarse[up][:, left + 1] * x
    bottom = coarse[up + 1][:, left] * (1 - x) + coarse[up + 1][:, left + 1] * x
    return (top * (1 - y) + bottom * y).astype(np.uint8)


def encoded(rgb: NDArray[np.uint8], form: str = "jpeg") -> bytes:
    """A picture as JPEG or WebP."""
    codec, pixels = {"jpeg": ("mjpeg", "yuvj420p"), "webp": ("libwebp", "yuv420p")}[form]
    encoder = cast(av.VideoCodecContext, av.CodecContext.create(codec, "w"))
    encoder.height, encoder.width = rgb.shape[:2]
    encoder.pix_fmt, encoder.time_base = pixels, Fraction(1, 1)
    if form == "jpeg":
        encoder.color_range = 2
    frame = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(
        format=pixels, dst_color_range=2 if form == "jpeg" else 1
    )
    frame.pts = 0
    return b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])


def add(server: Serving, address: Any, name: str = "source", **more: Any) -> Any:
    """A source, added over REST."""
    return server.ask("POST", "/api/sources", {"name": name, "address": address, "timeout": 3, **more})


def state_of(server: Serving, *states: str, name: str = "source") -> dict[str, Any]:
    """The source, once it is in one of those states."""

    def there() -> Any:
        source = server.ask("GET", f"/api/sources/{name}").json
        return source if source["state"] in states else None

    return dict(until(there))
