"""Names without passwords, hosts, private networks, and the cipher of playlists."""

import io
import socket
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from movinet.errors import VideoError
from movinet.video.net.aes import Decrypting, decrypt
from movinet.video.net.hosts import Hosts, is_private
from movinet.video.net.sources import Limits, without_password


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("clip@2x.mp4", "clip@2x.mp4"),
        ("clip\x1b]0;x\x07\udcff.mp4", r"clip\x1b]0;x\x07\udcff.mp4"),
        ("rtsp://cam/stream", "rtsp://cam/stream"),
        ("rtsp://user:pass@cam:554/stream", "rtsp://cam:554/stream"),
        ("rtsp://user:S3cr@tPw@cam/stream", "rtsp://cam/stream"),
        ("rtsp://user:a/b?c#d@cam:554/stream", "rtsp://cam:554/stream"),
        ("rtsp://user:pass/stream", "rtsp://user:***/stream"),
        ("http://[::1]:pass/stream", "http://[::1]:***/stream"),
        ("http://cam/a@2x.mp4", "http://cam/a@2x.mp4"),
        ("http://[::1]:80/a@2x.mp4", "http://[::1]:80/a@2x.mp4"),
        ("http://cam/v.cgi?user=a&pwd=b&channel=1", "http://cam/v.cgi?user=***&channel=1"),
        ("http://cam?access_token=b#x", "http://cam?access_token=***"),
        ("rtsp://user:p@ss/w@cam/x", "rtsp://***@cam/x"),
        ("rtsp://user:55/x@cam/x", "rtsp://***@cam/x"),
        ("http://cam:80/a@2x.mp4", "http://***@2x.mp4"),
        ("user:pw@cam/x", "***@cam/x"),
        ("C:\\clips\\a@2x.mp4", "C:\\clips\\a@2x.mp4"),
        ("/clips/user=3/x.mp4", "/clips/user=3/x.mp4"),
        ("rtsp://cam/user=admin_password=abc_channel=1", "rtsp://cam/user=***_channel=1"),
    ],
)
def test_names_are_shown_without_passwords(source: str, shown: str) -> None:
    assert without_password(source) == shown


@pytest.mark.parametrize(
    ("number", "private"),
    [
        ("8.8.8.8", False), ("2001:4860:4860::8888", False), ("127.0.0.1", True), ("10.1.2.3", True), ("::1", True),
        ("172.16.0.1", True), ("192.168.1.1", True), ("169.254.169.254", True), ("0.0.0.0", True), ("100.64.0.1", True),
        ("fe80::1%eth0", True), ("fd00::1", True), ("::ffff:127.0.0.1", True), ("::ffff:8.8.8.8", False),
        ("64:ff9b::7f00:1", True), ("64:ff9b::808:808", False), ("2002:7f00:1::", True), ("224.0.0.1", True),
    ],
)  # fmt: skip
def test_private_networks_are_known(number: str, private: bool) -> None:
    assert is_private(number) is private


def test_hosts_are_allowed_by_name_or_pattern() -> None:
    limits = Limits(hosts=("cdn.example.com", "*.video.test"))
    assert limits.leads_to("CDN.example.com")
    assert limits.leads_to("a.b.video.test")
    assert not limits.leads_to("video.test")
    assert not limits.leads_to("evil-cdn.example.com")
    assert limits.names("cdn.example.com")
    assert not limits.names("a.video.test")


def test_a_pattern_leads_from_no_public_address_into_a_private_network(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = {"public.test": "8.8.8.8", "cdn.test": "8.8.4.4", "inner.test": "10.0.0.1", "home.test": "192.168.0.2"}

    def getaddrinfo(host: str, *args: object, **kwargs: object) -> list[object]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (numbers[host], 0))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)

    def leads(source: str, to: str, *hosts: str) -> bool:
        found = Hosts(f"http://{source}/", Limits(hosts=hosts))
        found.resolve(urlsplit(f"http://{source}/"))
        try:
            return found.resolve(urlsplit(f"http://{to}/")) == ((socket.AF_INET, numbers[to]),)
        except VideoError:
            return False

    assert leads("public.test", "cdn.test", "*")
    assert leads("public.test", "inner.test", "inner.test")
    assert leads("home.test", "inner.test", "*")
    assert not leads("public.test", "inner.test", "*")
    assert not leads("public.test", "cdn.test")


def test_decrypts_as_the_standard_says() -> None:
    """NIST SP 800-38A, F.2.2."""
    key, vector = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c"), bytes(range(16))
    secret = bytes.fromhex(
        "7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2"
        "73bed6b8e3c1743b7116e69e222295163ff1caa1681fac09120eca307586e1a7"
    )
    plain = bytes.fromhex(
        "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
        "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
    )
    assert decrypt(secret, key, vector) == plain
    assert decrypt(secret[32:], key, secret[16:32]) == plain[32:]
    with pytest.raises(ValueError, match="16 bytes"):
        decrypt(secret[:15], key, vector)


@given(st.integers(1, 100), st.integers(0, 300))
def test_a_file_is_decrypted_in_pieces_as_in_one(piece: int, length: int) -> None:
    key, vector = bytes(16), bytes(range(16))
    secret = bytes(i * 7 % 256 for i in range(length))
    whole = decrypt(secret[: length // 16 * 16], key, vector)

    class Slow(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(min(piece, size or piece))

    file = Decrypting(Slow(secret), key, vector)
    got = b"".join(iter(lambda: file.read(piece), b""))
    assert whole.startswith(got)
    assert len(whole) - len(got) <= 16
