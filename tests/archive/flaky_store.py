"""An object store on loopback that is busy now and then, and whose connections break: moto's, behind a bad day."""

import socket
import struct
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

BUSY = b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"


class BadDay:
    """A WSGI application in front of another: of so many requests one is answered that the store is busy, of so many
    reads one is cut off in the middle, and of so many requests one finds its connection reset."""

    def __init__(self, app: Any, busy: int, cut: int, reset: int) -> None:
        self._app, self.busy, self.cut, self.reset = app, busy, cut, reset
        self._lock = threading.Lock()
        self.requests = self.refused = self.reads = self.cuts = self.pages = self.resets = 0

    def __call__(self, environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        reads = environ["REQUEST_METHOD"] == "GET" and "list-type" not in environ["QUERY_STRING"]
        with self._lock:
            self.requests += 1
            self.pages += "list-type" in environ["QUERY_STRING"]
            asks = environ["REQUEST_METHOD"] != "PUT"
            refused = bool(self.busy) and asks and self.requests % self.busy == 0
            reset = bool(self.reset) and asks and self.requests % self.reset == 1
            self.resets += reset
            self.refused += refused
            self.reads += reads and not refused
            cut = bool(self.cut) and reads and not refused and self.reads % self.cut == 1
            self.cuts += cut
        if reset:
            connection: socket.socket = environ["werkzeug.socket"]
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()
            raise ConnectionResetError
        if refused:
            start("503 Slow Down", [("Content-Type", "application/xml"), ("Content-Length", str(len(BUSY)))])
            return [BUSY]
        answer = self._app(environ, start)
        if not cut:
            return answer
        whole = b"".join(answer)
        return [whole[: len(whole) // 2]]  # fewer bytes than were promised, and the connection is closed


@contextmanager
def flaky_store(busy: int = 0, cut: int = 0, reset: int = 0) -> Iterator[tuple[BadDay, dict[str, str]]]:
    """The store, and the environment of a process that is to use it."""
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        def log(self, *_: Any) -> None:
            pass

    day = BadDay(DomainDispatcherApplication(create_backend_app), busy, cut, reset)
    server = make_server("127.0.0.1", 0, day, threaded=True, request_handler=Quiet)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield (
            day,
            {
                "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}",
                "AWS_ACCESS_KEY_ID": "testing",
                "AWS_SECRET_ACCESS_KEY": "testing",
                "AWS_DEFAULT_REGION": "us-east-1",
                "AWS_MAX_ATTEMPTS": "2",
            },
        )
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
