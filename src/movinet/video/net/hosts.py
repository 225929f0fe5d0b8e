"""Hosts that an address may lead to: checked, resolved once, and kept."""

import ipaddress
import socket
from urllib.parse import SplitResult, urljoin, urlsplit

from movinet.errors import BadSource, VideoError
from movinet.video.net.sources import Limits, without_password

Address = tuple[int, str]
"""Family (`socket.AF_INET`, …) and number of a host."""

_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def split(url: str, name: str) -> SplitResult:
    """An address in parts, with a host and a port that is a number.

    Raises:
        VideoError: It is none, or has characters that no address has.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:  # whose text has what may be a password
        raise BadSource(f"{name}: {without_password(url)!r} is no address") from None
    if not parts.hostname or " " in url or not url.isprintable():
        raise BadSource(f"{name}: {without_password(url)!r} is no address")
    return parts


def printable(words: str) -> str:
    """What a server says, as it may be shown in a terminal."""
    return "".join(character for character in words if character.isprintable())[:100]


def join(base: SplitResult, target: str, name: str) -> SplitResult:
    """Where an address leads to, by words that may be relative to it.

    Raises:
        VideoError: To none.
    """
    try:
        return split(urljoin(base.geturl(), target), name)
    except VideoError:
        raise
    except ValueError:
        raise VideoError(f"{name}: leads to {without_password(target)!r}, which is no address") from None


class Hosts:
    """The hosts of one source.

    A name is resolved once: whoever answers for it later cannot turn what was checked into something else.

    Args:
        source: The address that was given.
        limits: What it may lead to.
    """

    def __init__(self, source: str, limits: Limits) -> None:
        self.name = without_password(source)
        self.limits = limits
        self.own = _plain(split(source, self.name).hostname)
        self._found: dict[str, tuple[Address, ...]] = {}

    def resolve(self, parts: SplitResult, within: float | None = None) -> tuple[Address, ...]:
        """Where a host is, if the source may lead to it.

        Raises:
            VideoError: It may not, or nobody knows it.
        """
        host = _plain(parts.hostname)
        own = host == self.own
        if not own and not self.limits.leads_to(host):
            raise BadSource(
                f"{self.name}: leads to another host, {host}: refused; where that is meant, allow it with "
                f"--allow-hosts {host} or Limits(hosts=({host!r},))"
            )
        if host not in self._found:
            self._found[host] = self._look_up(host)
        for _, number in self._found[host]:
            self._check(host, number, own)
        return self._found[host]

    def _look_up(self, host: str) -> tuple[Address, ...]:
        try:
            found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            raise VideoError(f"{self.name}: cannot be opened: nobody knows a host {host}") from None
        return tuple(dict.fromkeys((int(family), str(where[0])) for family, _, _, _, where in found))

    def _check(self, host: str, number: str, own: bool) -> None:
        if not is_private(number):
            return
        if not self.limits.may_be_private(host, number):
            raise BadSource(f"{self.name}: {host} is in a private network ({number}): refused")
        if not own and not self.limits.names(host) and not any(is_private(n) for _, n in self._found.get(self.own, ())):
            raise BadSource(f"{self.name}: leads into a private network, to {host} ({number}): refused")


def is_private(number: str) -> bool:
    """Whether an address is anything but a public one: this machine, a local network, a reserved one."""
    ip = ipaddress.ip_address(number.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is None and ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            ip = inner
    return not ip.is_global or ip.is_multicast


def _plain(host: str | None) -> str:
    return (host or "").lower().rstrip(".")
