"""Loopback servers for the tests: web servers of this machine's several addresses, and one that speaks RTSP."""

import re
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Request:
    """What a client asked for."""

    path: str
    headers: Mapping[str, str]
    host: str
    body: bytes = b""
    """Of a POST."""


@dataclass
class Answer:
    """What a server gives: a body, with its length and in ranges, or told without either."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    ranges: bool = True
    send: Callable[[BaseHTTPRequestHandler], None] | None = None
    """Writes the body itself, which then has no length."""


@dataclass
class Site:
    """A running server.

    Args:
        port: Where it listens.
        asked: The requests that have come.
    """

    port: int
    asked: list[Request]
    scheme: str = "http"

    def url(self, path: str = "/", host: str = "127.0.0.1", user: str = "") -> str:
        return f"{self.scheme}://{user}{host}:{self.port}{path}"

    def paths(self) -> list[str]:
        return [request.path for request in self.asked]


@contextmanager
def site(
    pages: Callable[[Request], Answer] | Mapping[str, Answer | bytes],
    host: str = "127.0.0.1",
    tls: ssl.SSLContext | None = None,
    port: int = 0,
) -> Iterator[Site]:
    """A web server with some pages, at one of this machine's addresses (`port` 0: any that is free), over http or
    (`tls`) https."""
    asked: list[Request] = []

    def page(request: Request) -> Answer:
        if callable(pages):
            return pages(request)
        found = pages.get(request.path.partition("?")[0], Answer(b"no such page", 404))
        return found if isinstance(found, Answer) else Answer(found)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.do_GET(self.rfile.read(int(self.headers.get("Content-Length", 0))))

        def do_GET(self, body: bytes = b"") -> None:
            request = Request(self.path, dict(self.headers), self.headers.get("Host", ""), body)
            asked.append(request)
            answer = page(request)
            body, status = answer.body, answer.status
            headers = dict(answer.headers)
            span = re.match(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
            if answer.send is None and status == 200 and span and answer.ranges:
                begin, end = int(span[1]), min(int(span[2]) if span[2] else len(body) - 1, len(body) - 1)
                headers["Content-Range"] = f"bytes {begin}-{end}/{len(body)}"
                body, status = body[begin : end + 1], 206
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if answer.send is None:
                self.send_header("Content-Length", headers.get("Content-Length", str(len(body))))
            self.send_header("Connection", "close")
            self.end_headers()
            self.close_connection = True
            try:
                if answer.send is not None:
                    answer.send(self)
                else:
                    self.wfile.write(body)
            except OSError:
                pass  # the client has gone

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            pass

    with Server((host, port), Handler) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield Site(server.server_address[1], asked, "http" if tls is None else "https")
        finally:
            server.shutdown()
            thread.join(2)
