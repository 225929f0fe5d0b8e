"""How http addresses are read: in time, with a login, at the address that was checked."""

import base64
import hashlib
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import numpy as np
import pytest
from loopback import Answer, Request, site
from video_clips import number_of, numbered, write

from movinet.errors import VideoError
from movinet.video.camera.live_source import LiveSource
from movinet.video.container import open_at
from movinet.video.decode import duration, probe, read_at, read_frames
from movinet.video.net.http_io import Opener
from movinet.video.net.login import Address
from movinet.video.net.sources import DEFAULT_LIMITS, Limits


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("http") / "clip.mp4"
    noise = np.random.default_rng(0).integers(0, 40, (100, 64, 128, 3), dtype=np.uint8)  # for a file of some size
    frames = [np.clip(numbered(i, 64, 128), 60, 190) + noise[i] for i in range(100)]
    return write(path, frames, options={"g": "10", "preset": "ultrafast"}).read_bytes()


@pytest.fixture(scope="module")
def segment(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write(tmp_path_factory.mktemp("http") / "0.ts", [numbered(i) for i in range(25)]).read_bytes()


def numbers(source: str, limits: Limits = DEFAULT_LIMITS, timeout: float = 2, start: float = 0.0) -> list[int]:
    return [number_of(frame.rgb) for frame in read_frames(source, start=start, timeout=timeout, limits=limits)]


# --- reading


def test_seeking_asks_for_a_part_of_the_file(clip: bytes) -> None:
    with site({"/clip.mp4": clip}) as one:
        assert numbers(one.url("/clip.mp4"), start=3.0) == list(range(75, 100))
        assert probe(one.url("/clip.mp4")).frames == 100
        asked = [request.headers["Range"] for request in one.asked]
    assert any(int(re.findall(r"\d+", part)[0]) > 0 for part in asked)


def test_servers_without_ranges_or_lengths_are_read_through(clip: bytes, segment: bytes) -> None:
    pages = {
        "/whole.ts": Answer(segment, ranges=False),
        "/endless.ts": Answer(send=lambda handler: handler.wfile.write(segment)),
        "/chunks.ts": Answer(send=chunks(segment), headers={"Transfer-Encoding": "chunked"}),
    }
    with site(pages) as one:
        for path in pages:
            assert numbers(one.url(path)) == list(range(25))


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
def test_a_server_that_drips_is_given_up(clip: bytes, segment: bytes, what: str) -> None:
    playlist = b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n0.ts\n#EXT-X-ENDLIST\n"
    pages = {
        "/clip.mp4": Answer(send=drip(clip[:500])),
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


# --- logins


def guarded(clip: bytes, challenges: Sequence[str]) -> Callable[[Request], Answer]:
    """Wants the user `us er` and the password `p@ss/word`."""

    def page(request: Request) -> Answer:
        given = request.headers.get("Authorization", "")
        if given.startswith("Basic "):
            right = base64.b64decode(given.removeprefix("Basic ")) == b"us er:p@ss/word"
        else:
            fields = dict(re.findall(r'(\w+)="?([^",]*)"?', given))
            right = bool(fields) and fields["response"] == digest(fields, request.path)
        if right:
            return Answer(clip)
        return Answer(status=401, headers={"WWW-Authenticate": ", ".join(challenges)})

    return page


def digest(fields: dict[str, str], path: str) -> str:
    name = {"MD5": "md5", "SHA-256": "sha256"}[fields.get("algorithm", "MD5")]

    def h(text: str) -> str:
        return hashlib.new(name, text.encode()).hexdigest()

    middle = f"{fields['nc']}:{fields['cnonce']}:{fields['qop']}:" if "qop" in fields else ""
    return h(f"{h('us er:cam:p@ss/word')}:{fields['nonce']}:{middle}{h(f'GET:{path}')}")


@pytest.mark.parametrize(
    "challenges",
    [
        ['Basic realm="cam"'],
        ['Digest realm="cam", nonce="abc"'],
        ['Digest realm="cam", nonce="abc", qop="auth,auth-int", opaque="xyz"'],
        ['Digest realm="cam", nonce="abc", qop="auth", algorithm=SHA-256'],
        ['Basic realm="cam"', 'Digest realm="cam", nonce="abc"'],
        ['Digest realm="cam", nonce="abc", algorithm=UNHEARD-OF', 'Basic realm="cam"'],
    ],
)
def test_user_and_password_are_given_where_they_are_asked_for(clip: bytes, challenges: list[str]) -> None:
    with site(guarded(clip, challenges)) as one:
        assert probe(one.url("/clip.mp4?a=1", user="us%20er:p%40ss%2Fword@")).frames == 100
        assert "Authorization" not in one.asked[0].headers
        for user in ("", "us%20er:wrong@"):
            with pytest.raises(VideoError, match="401") as caught:
                numbers(one.url("/clip.mp4", user=user))
            assert "wrong" not in str(caught.value)


def test_passwords_go_to_no_other_host_and_into_no_message(clip: bytes) -> None:
    def asks(request: Request) -> Answer:
        return Answer(status=401, headers={"WWW-Authenticate": 'Basic realm="x"'})

    with site(asks, host="127.0.0.2") as other:

        def moves(request: Request) -> Answer:
            return Answer(status=302, headers={"Location": other.url("/?token=s3cret", "127.0.0.2")})

        with site(moves) as one:
            source = one.url("/?pwd=s3cret", user="user:s3cret@")
            for limits, words in ((Limits(), "another host"), (Limits(hosts=("127.0.0.2",)), "401")):
                with pytest.raises(VideoError, match=words) as caught:
                    numbers(source, limits)
                assert "s3cret" not in str(caught.value)
                assert caught.value.__cause__ is None
        assert all("Authorization" not in request.headers for request in other.asked)


def test_the_name_of_a_lost_source_has_no_password(clip: bytes, caplog: pytest.LogCaptureFixture) -> None:
    with site({}) as one, pytest.raises(VideoError) as caught:  # noqa: SIM117
        with LiveSource(one.url("/gone", user="user:s3cret@"), 5, retries=0, timeout=1):
            pass
    assert "s3cret" not in str(caught.value) + caplog.text


# --- https


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a server called localhost, signed by itself, with its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl makes the certificate")
    folder = tmp_path_factory.mktemp("tls")
    line = (
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost -keyout key -out crt"
    )
    extension = ["-addext", "subjectAltName=DNS:localhost"]
    subprocess.run([openssl, *line.split(), *extension], cwd=folder, check=True, capture_output=True)
    both = folder / "both.pem"
    both.write_text((folder / "key").read_text() + (folder / "crt").read_text())
    return both


def test_https_servers_show_who_they_are(clip: bytes, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    names: list[str | None] = []
    tls.sni_callback = lambda connection, name, context: names.append(name)
    with site({"/clip.mp4": clip}) as plain:
        pages = {"/clip.mp4": Answer(clip), "/down": Answer(status=302, headers={"Location": plain.url("/clip.mp4")})}
        with site(pages, tls=tls) as one:
            right, wrong = one.url("/clip.mp4", "localhost"), one.url("/clip.mp4", "127.0.0.1")
            for address in (right, wrong):
                with pytest.raises(VideoError, match=r"its certificate is not trusted .* SSL_CERT_FILE"):
                    numbers(address)
                assert probe(address, limits=Limits(verify=False)).frames == 100
            monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
            assert probe(right).frames == 100
            assert names[-1] == "localhost"  # though the connection went to its number
            with pytest.raises(VideoError, match="its certificate is not trusted"):
                numbers(wrong)
            with pytest.raises(VideoError, match="leads from https to http://"):
                numbers(one.url("/down", "127.0.0.1"), Limits(verify=False))
        assert plain.asked == []


# --- names and numbers


def resolving(monkeypatch: pytest.MonkeyPatch, answers: dict[str, list[str]]) -> list[str]:
    """Names with made-up numbers, one after another; returns who was asked for."""
    asked: list[str] = []

    def getaddrinfo(host: str, port: object, *args: object, **kwargs: object) -> list[object]:
        asked.append(host)
        given = answers.get(host, [host])
        number = given.pop(0) if len(given) > 1 else given[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (number, 0))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


def test_a_name_that_changes_its_number_is_not_followed(
    clip: bytes, segment: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with site({"/0.ts": segment}, host="127.0.0.2") as inner:
        text = f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://evil.test:{inner.port}/0.ts\n#EXT-X-ENDLIST\n"
        with site({"/a.m3u8": text.encode()}) as one:
            asked = resolving(monkeypatch, {"evil.test": ["127.0.0.1", "127.0.0.2"]})
            with pytest.raises(VideoError):
                numbers(one.url("/a.m3u8", "evil.test"))
            assert one.asked[0].host == f"evil.test:{one.port}"
        assert asked == ["evil.test"]
        assert inner.asked == []


def test_private_networks_may_be_closed(clip: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = Limits(private_networks=False)
    with site({"/clip.mp4": clip}) as one:
        resolving(monkeypatch, {"inner.test": ["127.0.0.1"]})
        for host in ("127.0.0.1", "inner.test"):
            with pytest.raises(VideoError, match=r"is in a private network \(127\.0\.0\.1\): refused"):
                numbers(one.url("/clip.mp4", host), closed)
        assert one.asked == []
        allowed = Limits(private_networks=False, hosts=("inner.test",))
        assert probe(one.url("/clip.mp4", "inner.test"), limits=allowed).frames == 100
        for address in ("udp://239.0.0.1:1234", "tcp://127.0.0.1:1", "rtmp://127.0.0.1/x"):
            with pytest.raises(VideoError, match="cannot be checked: refused"):
                numbers(address, closed)


def test_a_file_on_a_server_is_hung_up_when_it_is_closed(clip: bytes) -> None:
    with site({"/clip.mp4": clip}) as one:
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
