"""An address that what happens is posted to, as JSON."""

import hashlib
import hmac
import http.client
import os
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from movinet.errors import MovinetError, VideoError
from movinet.files import dump_json
from movinet.live.actions import Failed
from movinet.live.report import Report, Seen
from movinet.video.net.connect import Deadline, Patient, connect
from movinet.video.net.hosts import Hosts, printable, split
from movinet.video.net.login import Address
from movinet.video.net.sources import DEFAULT_LIMITS, Limits

HEADER = "MOVINET_WEBHOOK_HEADER"
"""The environment's variable of one more header, such as `Authorization: Bearer …`."""

SECRET = "MOVINET_WEBHOOK_SECRET"
"""The environment's variable of what posts are signed with."""

_AGAIN = (408, 425, 429)  # and all from 500: answers after which a later attempt may succeed


@dataclass(frozen=True)
class Webhook:
    """Posts everything but predictions to an http or https address: events, and what becomes of the sources.

    Redirects are not followed: where one is answered, the message says so.

    Args:
        address: Where to; a login in it goes along (Basic).
        header: One more header, name and value; never shown.
        secret: What posts are signed with (`sign`); never shown. None: they are not signed.
        timeout: Seconds for each attempt.
        limits: Which hosts and certificates are taken.
    """

    address: Address = field(repr=False)
    header: tuple[str, str] | None = field(default=None, repr=False)
    secret: bytes | None = field(default=None, repr=False)
    timeout: float = 10.0
    limits: Limits = DEFAULT_LIMITS

    @property
    def at_once(self) -> int:
        """One, so that what ends is told after it has begun."""
        return 1

    @staticmethod
    def of(text: str, limits: Limits = DEFAULT_LIMITS, environment: Mapping[str, str] = os.environ) -> "Webhook":
        """An address as it is typed, with the header and the secret of the environment (`HEADER`, `SECRET`).

        Raises:
            MovinetError: It is none that can be posted to, or the header is none.
        """
        address = Address.of(text)
        if not address.url.lower().startswith(("http://", "https://")):
            raise MovinetError(f"--webhook {address}: want an address that begins with http:// or https://")
        split(address.url, f"--webhook {address}")
        said, header = environment.get(HEADER), None
        if said is not None:
            name, colon, value = said.partition(":")
            if not colon or not name.strip() or not said.isprintable() or not said.isascii():
                raise MovinetError(f"{HEADER} in the environment is no header: want NAME: VALUE")
            header = (name.strip(), value.strip())
        secret = environment.get(SECRET)
        return Webhook(address, header, secret.encode() if secret else None, limits=limits)

    @property
    def name(self) -> str:
        """As it may be shown."""
        return f"--webhook {self.address}"

    def wants(self, report: Report) -> bool:
        """Everything but predictions."""
        return not isinstance(report.what, Seen)

    def do(self, about: dict[str, Any], closing: threading.Event) -> None:
        """Post it."""
        deadline = Deadline()
        deadline.begin(min(self.timeout, 2.0) if closing.is_set() else self.timeout)
        try:
            status, words = self._post(dump_json(about).encode(), deadline)
        except VideoError as error:  # the host is not allowed, or not known (yet)
            raise Failed(str(error).removeprefix(f"{self.address}: "), again="nobody knows" in str(error)) from None
        except ssl.SSLCertVerificationError as error:
            raise Failed(f"its certificate is not trusted ({error.verify_message})") from None
        except TimeoutError:
            raise Failed("no answer in time", again=True) from None
        except (OSError, http.client.HTTPException) as error:
            why = printable(getattr(error, "strerror", None) or str(error)) or type(error).__name__
            raise Failed(why, again=True) from None
        if 200 <= status < 300:
            return
        hint = ", elsewhere: give that address" if 300 <= status < 400 else ""
        raise Failed(f"the server answers {status} {words}".rstrip() + hint, again=status >= 500 or status in _AGAIN)

    def _post(self, body: bytes, deadline: Deadline) -> tuple[int, str]:
        parts = split(self.address.url, str(self.address))
        assert parts.hostname is not None
        secure = parts.scheme == "https"
        usual = 443 if secure else 80
        # Asked for anew each time: in days of watching a name may move.
        addresses = Hosts(self.address.url, self.limits).resolve(parts)
        socket = connect(
            addresses, parts.port or usual, deadline, parts.hostname if secure else None, self.limits.verify
        )
        try:
            connection = http.client.HTTPConnection(parts.hostname, parts.port or usual)
            connection.default_port = usual  # which the Host header leaves out
            connection.sock = Patient(socket, deadline)
            headers = {"User-Agent": "movinet", "Content-Type": "application/json", "Connection": "close"}
            if self.address.login and (login := self.address.login.answer(["Basic"], "POST", parts.path)):
                headers["Authorization"] = login
            headers["X-Movinet-Delivery"] = hashlib.sha256(body).hexdigest()[:32]  # the same when it is tried again
            if self.secret is not None:
                headers["X-Movinet-Signature"] = sign(body, self.secret, int(time.time()))
            if self.header is not None:
                headers[self.header[0]] = self.header[1]
            path = quote(parts.path or "/", safe="/%:=&?~+!$,;'@()*[]")
            query = "?" + quote(parts.query, safe="/%:=&?~+!$,;'@()*[]") if parts.query else ""
            connection.request("POST", path + query, body, headers)
            with connection.getresponse() as answer:
                said = printable(answer.reason)
                return answer.status, self.address.login.hide(said) if self.address.login else said
        finally:
            socket.close()


def sign(body: bytes, secret: bytes, when: int) -> str:
    """The signature of a post, `t=SECONDS,v1=HEX`: HMAC-SHA256 of `SECONDS.BODY`. Who receives it computes the same,
    compares in constant time, and refuses what is older than some minutes.

    Args:
        body: as it is posted.
        secret: that both know.
        when: Unix time in seconds.
    """
    code = hmac.new(secret, str(when).encode() + b"." + body, hashlib.sha256).hexdigest()
    return f"t={when},v1={code}"
