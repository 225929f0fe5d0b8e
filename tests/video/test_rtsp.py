"""RTSP servers that redirect: asked beforehand, as FFmpeg follows to any host."""

import hashlib
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from movinet.errors import VideoError
from movinet.video.camera.live_source import LiveSource
from movinet.video.decode import probe
from movinet.video.net.login import Address, Login
from movinet.video.net.rtsp import destination
from movinet.video.net.sources import Limits

SDP = b"v=0\r\no=- 0 0 IN IP4 127.0.0.2\r\ns=x\r\nc=IN IP4 127.0.0.2\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\n"


class Server:
    """Answers requests with what `answer(method, url, headers)` gives: (status line, headers, body)."""

    def __init__(self, host: str, answer: Callable[[str, str, str], tuple[str, list[str], bytes]]) -> None:
        self.asked: list[str] = []
        self.connections = 0
        self._answer = answer
        self._listener = socket.create_server((host, 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(2)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        text = b""
        with connection:
            while True:
                while b"\r\n\r\n" not in text:
                    more = connection.recv(4096)
                    if not more:
                        return
                    text += more
                head, _, text = text.partition(b"\r\n\r\n")
                request = head.decode()
                method, url, _ = request.split(" ", 2)
                self.asked.append(method)
                status, headers, body = self._answer(method, url, request)
                count = re.search(r"CSeq: (\d+)", request)
                assert count
                lines = [f"RTSP/1.0 {status}", f"CSeq: {count[1]}", *headers, f"Content-Length: {len(body)}"]
                connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)


@contextmanager
def rtsp(host: str, answer: Callable[[str, str, str], tuple[str, list[str], bytes]]) -> Iterator[Server]:
    server = Server(host, answer)
    try:
        yield server
    finally:
        server.close()


def plain(method: str, url: str, request: str) -> tuple[str, list[str], bytes]:
    if method == "OPTIONS":
        return "200 OK", ["Public: OPTIONS, DESCRIBE, SETUP, PLAY"], b""
    if method == "DESCRIBE":
        return "200 OK", ["Content-Type: application/sdp"], SDP
    return "454 Session Not Found", [], b""


@pytest.fixture
def other() -> Iterator[Server]:
    """At another address, where nobody may go."""
    with rtsp("127.0.0.2", plain) as server:
        yield server


def moving(when: str, to: str) -> Callable[[str, str, str], tuple[str, list[str], bytes]]:
    def answer(method: str, url: str, request: str) -> tuple[str, list[str], bytes]:
        if method == when and "/moved" not in url:
            return "302 Moved Temporarily", [f"Location: {to}"], b""
        return plain(method, url, request)

    return answer


@pytest.mark.parametrize("when", ["OPTIONS", "DESCRIBE"])
def test_a_redirect_to_another_host_is_refused(other: Server, when: str) -> None:
    there = f"rtsp://127.0.0.2:{other.port}/moved"
    with rtsp("127.0.0.1", moving(when, there)) as one:
        address = f"rtsp://user:s3cret@127.0.0.1:{one.port}/x"
        for opening in (probe, lambda address: LiveSource(address, 5, retries=0, timeout=2).__enter__()):
            with pytest.raises(VideoError, match=r"leads to another host, 127\.0\.0\.2: refused") as caught:
                opening(address)
            assert "s3cret" not in str(caught.value)
        assert other.connections == 0
        found = destination(address, Limits(hosts=("127.0.0.2",)), 2)
    assert found == Address(there)
    assert other.asked == ["OPTIONS", "DESCRIBE"]


def test_a_redirect_within_the_host_is_asked_again() -> None:
    with rtsp("127.0.0.1", moving("DESCRIBE", "/moved")) as one:
        address = f"rtsp://user:s3cret@127.0.0.1:{one.port}"
        assert destination(f"{address}/x", Limits(), 2) == Address.of(f"{address}/moved")
        assert one.asked == ["OPTIONS", "DESCRIBE"] * 2


@pytest.mark.parametrize("to", ["file:///etc/passwd", "http://127.0.0.1/", "data:,x", "", "rtsp://[::1"])
def test_a_redirect_to_something_else_is_refused(to: str) -> None:
    with rtsp("127.0.0.1", moving("DESCRIBE", to)) as one, pytest.raises(VideoError, match=r"refused|no address"):
        destination(f"rtsp://127.0.0.1:{one.port}/x", Limits(), 2)


def test_redirects_in_a_circle_end() -> None:
    with rtsp("127.0.0.1", moving("DESCRIBE", "/x")) as one:
        with pytest.raises(VideoError, match="redirects more than 5 times: refused"):
            destination(f"rtsp://127.0.0.1:{one.port}/x", Limits(), 2)
        assert one.connections == 6


def test_the_login_is_used_before_the_redirect_shows(other: Server) -> None:
    """A server that redirects only whoever has logged in."""

    def answer(method: str, url: str, request: str) -> tuple[str, list[str], bytes]:
        if method != "DESCRIBE":
            return plain(method, url, request)
        given = dict(re.findall(r'(\w+)="([^"]*)"', request.partition("Authorization: Digest")[2]))
        if not given:
            return "401 Unauthorized", ['WWW-Authenticate: Digest realm="cam", nonce="abc"'], b""
        middle = hashlib.md5(b"user:cam:pass").hexdigest(), "abc", hashlib.md5(f"DESCRIBE:{url}".encode()).hexdigest()
        assert given["response"] == hashlib.md5(":".join(middle).encode()).hexdigest()
        return "302 Moved", [f"Location: rtsp://127.0.0.2:{other.port}/"], b""

    with rtsp("127.0.0.1", answer) as one, pytest.raises(VideoError, match="leads to another host"):
        destination(f"rtsp://user:pass@127.0.0.1:{one.port}/x", Limits(), 2)
    assert other.connections == 0


def test_where_private_networks_are_closed_ffmpeg_gets_the_number_that_was_checked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def getaddrinfo(host: str, *args: object, **kwargs: object) -> list[object]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0))]

    with rtsp("127.0.0.1", plain) as one:
        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        address = f"rtsp://user:pass@cam.test:{one.port}/x"
        closed = Limits(private_networks=False)
        with pytest.raises(VideoError, match=r"cam\.test is in a private network"):
            destination(address, closed, 2)
        assert one.connections == 0
        assert destination(address, Limits(), 2) == Address.of(address)
        allowed = Limits(private_networks=False, hosts=("cam.test",))
        there = Address(f"rtsp://127.0.0.1:{one.port}/x", Login("user", "pass"))
        assert destination(address, allowed, 2) == there


@pytest.mark.parametrize("body", [b"a", b"RTSP/1.0 200 OK\r\nX: "])
def test_a_server_that_drips_is_given_up(body: bytes) -> None:
    stop = threading.Event()

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(body)
            while not stop.wait(0.05):
                try:
                    connection.sendall(b"a")
                except OSError:
                    return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        began = time.monotonic()
        with pytest.raises(VideoError, match=r"no answer within 0\.4 s"):
            destination(f"rtsp://127.0.0.1:{listener.getsockname()[1]}/", Limits(), 0.4)
        assert time.monotonic() - began < 1.5
        stop.set()
        thread.join()


@pytest.mark.parametrize(
    ("status", "login"),
    [("404 Not Found", ""), ("404 Not \x1b[31mFound", ""), ("401 Unauthorized", "; it wants a user and")],
)
def test_what_the_server_answers_is_told(status: str, login: str) -> None:
    def answer(method: str, url: str, request: str) -> tuple[str, list[str], bytes]:
        return (status, [], b"") if method == "DESCRIBE" else plain(method, url, request)

    words = f"cannot be opened: the server answers {status}{login}".replace("\x1b", "")
    with rtsp("127.0.0.1", answer) as one, pytest.raises(VideoError, match=re.escape(words)):
        probe(f"rtsp://127.0.0.1:{one.port}/x")


def test_what_does_not_speak_rtsp_says_so() -> None:
    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        with pytest.raises(VideoError, match="does not speak RTSP"):
            destination(f"rtsp://127.0.0.1:{listener.getsockname()[1]}/", Limits(), 2)
        thread.join()
