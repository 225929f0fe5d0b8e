"""Asking an RTSP server where it leads before FFmpeg does, which follows a redirect to any host whatever it is told."""

from urllib.parse import SplitResult

import av

from movinet.errors import BadSource, LoginRefused, VideoError
from movinet.video.net.connect import Deadline, connect
from movinet.video.net.hosts import Hosts, join, printable, split
from movinet.video.net.login import Address, Login, refused_login
from movinet.video.net.sources import Limits, without_password

_PORTS = {"rtsp": 554, "rtsps": 322}
_HEAD_BYTES = 1 << 16
_BODY_BYTES = 1 << 20


def destination(source: str | Address, limits: Limits, timeout: float | None) -> Address:
    """The address that FFmpeg may open for this one: it answers OPTIONS and DESCRIBE with no further redirect.

    FFmpeg connects anew and resolves the host's name again; where private networks are refused, the address that is
    handed back has the number that was checked instead of the name.

    Raises:
        VideoError: It leads where it may not, or cannot be reached in time.
    """
    address = source if isinstance(source, Address) else Address.of(source)
    hosts = Hosts(address.url, limits)
    deadline = Deadline()
    deadline.begin(timeout)
    parts, login = split(address.url, hosts.name), address.login
    for _ in range(limits.max_redirects + 1):
        addresses = hosts.resolve(parts)
        location = _Conversation(hosts, parts, login, deadline, timeout).location()
        if location is None:
            if not limits.private_networks:
                number = addresses[0][1]
                host = f"[{number}]" if ":" in number else number
                parts = parts._replace(netloc=f"{host}:{parts.port}" if parts.port else host)
            return Address(parts.geturl(), login)
        to = join(parts, location, hosts.name)
        if to.scheme not in _PORTS or (parts.scheme == "rtsps" and to.scheme != "rtsps"):
            raise BadSource(f"{hosts.name}: leads to {without_password(to.geturl())}: refused")
        hosts.resolve(to)
        if to.username is not None or to.hostname != parts.hostname:
            login = Login.of(to)
        parts = to._replace(netloc=to.netloc.rpartition("@")[2])
    raise VideoError(f"{hosts.name}: redirects more than {limits.max_redirects} times: refused")


class _Conversation:
    """One connection: OPTIONS, DESCRIBE, with a login where it is asked for."""

    def __init__(
        self, hosts: Hosts, parts: SplitResult, login: Login | None, deadline: Deadline, timeout: float | None
    ) -> None:
        self.hosts, self.parts, self.login, self.deadline, self.timeout = hosts, parts, login, deadline, timeout
        self.url = parts._replace(fragment="").geturl()
        self._challenges: list[str] = []
        self._count = 0
        self._got = b""

    def location(self) -> str | None:
        """Where the server redirects to; None where it does not."""
        addresses = self.hosts.resolve(self.parts)
        try:
            port = self.parts.port or _PORTS[self.parts.scheme]
            tls = self.parts.hostname if self.parts.scheme == "rtsps" else None
            # Cameras sign their certificates themselves; FFmpeg takes any, too.
            with connect(addresses, port, self.deadline, tls, verify=False) as self._socket:
                for method in ("OPTIONS", "DESCRIBE"):
                    status, words, headers = self._ask(method)
                    if status == 401 and self.login and not self._challenges:
                        self._challenges = [value for name, value in headers if name == "www-authenticate"]
                        status, words, headers = self._ask(method)
                    if 300 <= status < 400:
                        return next((value for name, value in headers if name == "location"), "")
                if status >= 400:
                    said = f"{self.hosts.name}: cannot be opened: the server answers {status} {words}"
                    if status == 401:
                        raise LoginRefused(said + refused_login(self.login is not None))
                    raise VideoError(said)
        except TimeoutError:
            raise VideoError(
                f"{self.hosts.name}: no answer within {self.timeout} s; is the address right and the source running?"
            ) from None
        except OSError as error:
            reason = error.strerror or str(error)
            raise VideoError(f"{self.hosts.name}: cannot be opened: {reason}") from None
        return None

    def _ask(self, method: str) -> tuple[int, str, list[tuple[str, str]]]:
        """(status, its words, headers) of the answer to a request."""
        self._count += 1
        # The words of FFmpeg: a server that tells the two apart gets no hint from them.
        major, minor, micro = av.library_versions["libavformat"]
        lines = [f"{method} {self.url} RTSP/1.0"]
        if method == "DESCRIBE":
            lines.append("Accept: application/sdp")
        lines += [f"CSeq: {self._count}", f"User-Agent: Lavf{major}.{minor}.{micro}"]
        if self.login and self._challenges and (answer := self.login.answer(self._challenges, method, self.url)):
            lines.append(f"Authorization: {answer}")
        self._socket.settimeout(self.deadline.left())
        self._socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        return self._receive()

    def _receive(self) -> tuple[int, str, list[tuple[str, str]]]:
        while b"\r\n\r\n" not in self._got:
            self._more(_HEAD_BYTES)
        head, _, self._got = self._got.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        words = first.split(None, 2)
        if len(words) < 2 or not words[0].startswith("RTSP/") or not words[1].isdigit():
            raise VideoError(f"{self.hosts.name}: cannot be opened: the server does not speak RTSP")
        headers = [(name.strip().lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
        length = next((int(v) for name, v in headers if name == "content-length" and v.isdigit()), 0)
        if length > _BODY_BYTES:
            raise VideoError(f"{self.hosts.name}: a description of {length} bytes: refused")
        while len(self._got) < length:
            self._more(length)
        self._got = self._got[length:]
        said = printable("".join(words[2:]))
        return int(words[1]), self.login.hide(said) if self.login else said, headers

    def _more(self, most: int) -> None:
        self._socket.settimeout(self.deadline.left())
        more = self._socket.recv(4096)
        if not more:
            raise ConnectionError("the server hangs up")
        self._got += more
        if len(self._got) > most + 4096:
            raise VideoError(f"{self.hosts.name}: an answer without end: refused")
