"""Who is asked over http, and who is told a password: logins, certificates, names and their numbers."""

import base64
import hashlib
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from http_clips import numbers
from loopback import Answer, Request, site

from movinet.errors import VideoError
from movinet.video.camera.live_source import LiveSource
from movinet.video.decode import probe
from movinet.video.net.sources import Limits


def guarded(http_clip: bytes, challenges: Sequence[str]) -> Callable[[Request], Answer]:
    """Wants the user `us er` and the password `p@ss/word`."""

    def page(request: Request) -> Answer:
        given = request.headers.get("Authorization", "")
        if given.startswith("Basic "):
            right = base64.b64decode(given.removeprefix("Basic ")) == b"us er:p@ss/word"
        else:
            fields = dict(re.findall(r'(\w+)="?([^",]*)"?', given))
            right = bool(fields) and fields["response"] == digest(fields, request.path)
        if right:
            return Answer(http_clip)
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
def test_user_and_password_are_given_where_they_are_asked_for(http_clip: bytes, challenges: list[str]) -> None:
    with site(guarded(http_clip, challenges)) as one:
        assert probe(one.url("/clip.mp4?a=1", user="us%20er:p%40ss%2Fword@")).frames == 100
        assert "Authorization" not in one.asked[0].headers
        for user in ("", "us%20er:wrong@"):
            with pytest.raises(VideoError, match="401") as caught:
                numbers(one.url("/clip.mp4", user=user))
            assert "wrong" not in str(caught.value)


def test_passwords_go_to_no_other_host_and_into_no_message(http_clip: bytes) -> None:
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


def test_the_name_of_a_lost_source_has_no_password(http_clip: bytes, caplog: pytest.LogCaptureFixture) -> None:
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


def test_https_servers_show_who_they_are(http_clip: bytes, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    names: list[str | None] = []
    tls.sni_callback = lambda connection, name, context: names.append(name)
    with site({"/clip.mp4": http_clip}) as plain:
        pages = {
            "/clip.mp4": Answer(http_clip),
            "/down": Answer(status=302, headers={"Location": plain.url("/clip.mp4")}),
        }
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
    http_clip: bytes, segment: bytes, monkeypatch: pytest.MonkeyPatch
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


def test_private_networks_may_be_closed(http_clip: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = Limits(private_networks=False)
    with site({"/clip.mp4": http_clip}) as one:
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
