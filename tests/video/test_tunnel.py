"""RTSP through HTTP: a camera behind a relay that speaks it, and answers that are none."""

import base64
import itertools
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from camera_rig.filming import counter, film
from camera_rig.rtsp_server import RtspCamera

from movinet.errors import VideoError
from movinet.video.camera.live_source import LiveSource
from movinet.video.net.sources import Limits


@contextmanager
def listening(talk: Callable[[socket.socket, bytes], None]) -> Iterator[str]:
    """The address of a server that has `talk` do the rest after a request's head."""
    server = socket.create_server(("127.0.0.1", 0))

    def one(connection: socket.socket) -> None:
        try:
            with connection:
                head = b""
                while b"\r\n\r\n" not in head and (more := connection.recv(4096)):
                    head += more
                talk(connection, head)
        except OSError:
            pass  # the client has gone

    def accept() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=one, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"rtsp://127.0.0.1:{server.getsockname()[1]}/live"
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()


class Relay:
    """What is posted goes to a camera; what the camera sends goes to whoever asked with the same cookie."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.asked: list[bytes] = []
        self._cameras: dict[bytes, socket.socket] = {}
        self._there = threading.Condition()

    def talk(self, connection: socket.socket, head: bytes) -> None:
        head, _, rest = head.partition(b"\r\n\r\n")
        lines = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        cookie, method = lines[b"x-sessioncookie"], head.split()[0]
        self.asked.append(method)
        if method == b"GET":
            assert lines[b"accept"] == b"application/x-rtsp-tunnelled"
            with socket.create_connection(("127.0.0.1", self.port)) as camera:
                with self._there:
                    self._cameras[cookie] = camera
                    self._there.notify_all()
                connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: application/x-rtsp-tunnelled\r\n\r\n")
                while data := camera.recv(65536):
                    connection.sendall(data)
            return
        with self._there:
            assert self._there.wait_for(lambda: cookie in self._cameras, 5)
        text = rest
        while True:
            whole = len(text) // 4 * 4
            self._cameras[cookie].sendall(base64.b64decode(text[:whole]))
            text = text[whole:]
            more = connection.recv(4096)
            if not more:
                return
            text += more.replace(b"\r\n", b"")


@pytest.mark.parametrize("private", [True, False])
def test_a_camera_through_http(private: bool) -> None:
    limits = Limits(private_networks=private, hosts=("127.0.0.1",))
    with RtspCamera(film(seconds=2, key_every=0.2), transports=("tcp",)) as camera:
        relay = Relay(camera.port)
        with (
            listening(relay.talk) as address,
            LiveSource(address, 5, timeout=3, retries=0, transport="http", limits=limits) as source,
        ):
            numbers = [counter(frame.rgb) for frame in itertools.islice(source, 5)]
    assert None not in numbers
    assert set(relay.asked) == {b"GET", b"POST"}


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.0 302 Found\r\nLocation: http://elsewhere/\r\n\r\n", "leads elsewhere"),
        (b"HTTP/1.0 404 Not Found\r\n\r\n", "answers 404 Not Found"),
        (b"RTSP/1.0 400 Bad Request\r\n\r\n", "does not take RTSP through HTTP"),
        (b"", "does not take RTSP through HTTP"),
    ],
)
def test_answers_that_are_no_tunnel(answer: bytes, words: str) -> None:
    with (
        listening(lambda connection, head: connection.sendall(answer)) as address,
        pytest.raises(VideoError, match=words),
        LiveSource(address, 5, timeout=2, retries=0, transport="http"),
    ):
        pass


def test_a_mute_server_and_one_that_is_not_there() -> None:
    with (
        listening(lambda connection, head: threading.Event().wait(3)) as address,
        pytest.raises(VideoError, match=r"no answer within 0\.3 s"),
    ):
        LiveSource(address, 5, timeout=0.3, retries=0, transport="http").__enter__()
    for gone, words in ((address, "Connection refused"), (address.replace("rtsp", "rtsps"), "rtsp:// alone")):
        with pytest.raises(VideoError, match=words):
            LiveSource(gone, 5, timeout=1, retries=0, transport="http").__enter__()
