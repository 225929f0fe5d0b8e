"""A server on loopback that does what servers do to downloads: it hangs up, changes its mind, answers anything."""

import hashlib
import threading
import time
from collections.abc import Callable
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

CONTENT = bytes(range(256)) * 4000  # 1 MB: more than a socket buffer
HASH = hashlib.sha256(CONTENT).hexdigest()
PATH = "/vision/movinet_a0_base.tar.gz"


class Handler(BaseHTTPRequestHandler):
    server: "Server"

    def do_GET(self) -> None:
        with self.server.lock:
            self.server.requests.append((self.path, dict(self.headers.items())))
            play = self.server.script.pop(0) if self.server.script else whole
        play(self)

    def log_message(self, *args: object) -> None:
        pass

    def answer(self, status: int, body: bytes = b"", length: int | None = None, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)


class Server(ThreadingHTTPServer):
    """Plays `script`, one entry a request, then serves CONTENT as a good server does."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.script: list[Callable[[Handler], None]] = []
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}{PATH}"

    @property
    def ranges(self) -> list[str | None]:
        return [headers.get("Range") for _, headers in self.requests]

    def handle_error(self, *args: object) -> None:
        pass  # clients that leave are part of the tests


def whole(handler: Handler, content: bytes = CONTENT, tag: str = '"v1"', send: int | None = None) -> None:
    """A good server: honours Range and If-Range. `send` cuts the connection after that many bytes."""
    asked, start, status, headers = handler.headers.get("Range"), 0, 200, {"ETag": tag}
    if asked and handler.headers.get("If-Range") == tag:
        start, status = int(asked.removeprefix("bytes=").rstrip("-")), 206
        if start >= len(content):
            handler.answer(416, Content_Range=f"bytes */{len(content)}")
            return
        headers["Content_Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
    handler.answer(status, content[start : None if send is None else start + send], len(content) - start, **headers)


def cut(after: int, **kwargs: Any) -> Callable[[Handler], None]:
    return partial(whole, send=after, **kwargs)


def status(code: int, **headers: str) -> Callable[[Handler], None]:
    return lambda handler: handler.answer(code, **headers)


def ignores_range(handler: Handler) -> None:
    handler.answer(200, CONTENT, ETag='"v1"')


def silent(handler: Handler) -> None:
    time.sleep(0.6)


def hangs_up(handler: Handler) -> None:
    handler.connection.close()
