"""Asking a server for what is at an address: redirects, logins, certificates, and where these may lead."""

import http.client
import ssl
from urllib.parse import SplitResult, quote

from movinet.errors import BadSource, VideoError
from movinet.video.net.connect import Deadline, Patient, connect
from movinet.video.net.hosts import Hosts, join, printable
from movinet.video.net.login import Login, refused_login
from movinet.video.net.sources import Limits, without_password

_REDIRECTS = (301, 302, 303, 307, 308)


class Failed(Exception):
    """There is nothing, or nothing more, to read; its text says why."""


class LoginFailed(Failed):
    """Nor will there be with this user and password."""


class Client:
    """Asks in the name of one source.

    Args:
        source: The address that was given.
        login: Its user and password, if there are any: for its host and port, and for no other.
        hosts: Which may be asked.
        limits: How often it may be led on, and whether certificates count.
        deadline: By when every step must be done.
    """

    def __init__(
        self, source: SplitResult, login: Login | None, hosts: Hosts, limits: Limits, deadline: Deadline
    ) -> None:
        self._origin, self._login = _origin(source), login
        self._name, self._hosts, self._limits, self._deadline = hosts.name, hosts, limits, deadline

    def request(self, parts: SplitResult, start: int, end: int | None) -> tuple[http.client.HTTPResponse, SplitResult]:
        """Ask for bytes `start` to `end` of an address, following redirects and logging in.

        Returns:
            (response, the address that gave it). The response has a status of 200 or 206.

        Raises:
            Failed: There is nothing to read.
            VideoError: It leads where it may not.
        """
        for _ in range(self._limits.max_redirects + 1):
            answer = self._ask(parts, start, end)
            if answer.status not in _REDIRECTS:
                break
            target = answer.headers.get("Location", "")
            answer.close()
            to = join(parts, target, self._name)
            self._check(to, parts)
            parts = without_user(to)
        else:
            raise VideoError(f"{self._name}: redirects more than {self._limits.max_redirects} times: refused")
        if answer.status not in (200, 206):
            answer.close()
            said = printable(answer.reason)
            said = f"the server answers {answer.status} {self._login.hide(said) if self._login else said}".rstrip()
            if answer.status == 401:
                raise LoginFailed(said + refused_login(self._login is not None))
            raise Failed(said)
        return answer, parts

    def _check(self, to: SplitResult, since: SplitResult) -> None:
        if to.scheme not in ("http", "https"):
            shown = without_password(to.geturl())
            raise BadSource(f"{self._name}: leads to {shown}, which is neither http nor https: refused")
        if since.scheme == "https" and to.scheme != "https":
            raise BadSource(f"{self._name}: leads from https to {without_password(to.geturl())}: refused")

    def _ask(self, parts: SplitResult, start: int, end: int | None) -> http.client.HTTPResponse:
        self._check(parts, parts)
        path = quote(parts.path or "/", safe="/%:=&?~+!$,;'@()*[]") + (
            "?" + quote(parts.query, safe="/%:=&?~+!$,;'@()*[]") if parts.query else ""
        )
        challenges: list[str] = []
        while True:
            headers = {"User-Agent": "movinet", "Accept": "*/*", "Connection": "close"}
            headers["Range"] = f"bytes={start}-{'' if end is None else end - 1}"
            if self._login and challenges and (login := self._login.answer(challenges, "GET", path)):
                headers["Authorization"] = login
            try:
                answer = self._send(parts, path, headers)
            except ssl.SSLCertVerificationError as error:
                raise Failed(
                    f"its certificate is not trusted ({error.verify_message}); name it in SSL_CERT_FILE, or take any "
                    f"with --insecure or Limits(verify=False)"
                ) from None
            except TimeoutError:
                raise
            except (OSError, http.client.HTTPException) as error:
                raise Failed(
                    printable(getattr(error, "strerror", None) or str(error)) or type(error).__name__
                ) from None
            if answer.status != 401 or challenges or not self._login or _origin(parts) != self._origin:
                return answer
            challenges = answer.headers.get_all("WWW-Authenticate") or ["Basic"]
            answer.close()

    def _send(self, parts: SplitResult, path: str, headers: dict[str, str]) -> http.client.HTTPResponse:
        addresses = self._hosts.resolve(parts)
        secure = parts.scheme == "https"
        assert parts.hostname is not None
        usual = 443 if secure else 80
        tls = parts.hostname if secure else None
        socket = connect(addresses, parts.port or usual, self._deadline, tls, self._limits.verify)
        try:
            connection = http.client.HTTPConnection(parts.hostname, parts.port or usual)
            connection.default_port = usual  # which the Host header leaves out
            connection.sock = Patient(socket, self._deadline)
            connection.request("GET", path, headers=headers)
            return connection.getresponse()
        except BaseException:
            socket.close()
            raise


def _origin(parts: SplitResult) -> tuple[str, str, int | None]:
    return parts.scheme, parts.hostname or "", parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def without_user(parts: SplitResult) -> SplitResult:
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment="")
