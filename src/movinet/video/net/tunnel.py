"""Asking whether RTSP goes through HTTP at an address, before FFmpeg does, which follows a redirect to any host."""

import os

from movinet.errors import VideoError
from movinet.video.net.connect import Deadline, connect
from movinet.video.net.hosts import Hosts, printable, split
from movinet.video.net.login import Address
from movinet.video.net.sources import Limits

_HEAD_BYTES = 1 << 14


def tunnelled(address: Address, limits: Limits, timeout: float | None) -> Address:
    """The address that FFmpeg may open through HTTP for this one: it answers without leading elsewhere. Its host is a
    number where private networks are refused, so that it stays what was checked.

    Raises:
        VideoError: It leads elsewhere, or cannot be reached in time.
    """
    hosts, deadline = Hosts(address.url, limits), Deadline()
    deadline.begin(timeout)
    parts = split(address.url, hosts.name)
    if parts.scheme != "rtsp":
        raise VideoError(f"{hosts.name}: cannot be opened: through HTTP goes rtsp:// alone")
    addresses = hosts.resolve(parts)
    try:
        with connect(addresses, parts.port or 554, deadline) as plain:
            path = parts._replace(scheme="", netloc="", fragment="").geturl() or "/"
            lines = [f"GET {path} HTTP/1.0", f"Host: {parts.hostname}", "Accept: application/x-rtsp-tunnelled"]
            lines += [f"x-sessioncookie: {os.urandom(8).hex()}", "Pragma: no-cache", "Cache-Control: no-cache"]
            plain.settimeout(deadline.left())
            plain.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
            head = b""
            while b"\r\n\r\n" not in head and len(head) < _HEAD_BYTES:
                plain.settimeout(deadline.left())
                more = plain.recv(4096)
                if not more:
                    break
                head += more
    except TimeoutError:
        raise VideoError(
            f"{hosts.name}: no answer within {timeout} s; is the address right and the source running?"
        ) from None
    except OSError as error:
        raise VideoError(f"{hosts.name}: cannot be opened: {error.strerror or error}") from None
    words = head.partition(b"\r\n")[0].decode("latin-1").split(None, 2)
    if len(words) < 2 or not words[0].startswith("HTTP/") or not words[1].isdigit():
        raise VideoError(f"{hosts.name}: cannot be opened: the server does not take RTSP through HTTP")
    status, said = int(words[1]), printable("".join(words[2:]))
    if 300 <= status < 400:
        raise VideoError(f"{hosts.name}: leads elsewhere when asked through HTTP: refused")
    if status >= 400 and status != 401:  # who asks with a login may get what it wants
        said = address.login.hide(said) if address.login else said
        raise VideoError(f"{hosts.name}: cannot be opened: asked through HTTP the server answers {status} {said}")
    if limits.private_networks:
        return address
    number = addresses[0][1]
    host = f"[{number}]" if ":" in number else number
    return Address(parts._replace(netloc=f"{host}:{parts.port}" if parts.port else host).geturl(), address.login)
