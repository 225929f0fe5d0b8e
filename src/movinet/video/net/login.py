"""User and password, kept apart from the address they were written in, and given as HTTP and RTSP ask for them: by
Basic and Digest (RFC 7617, RFC 7616)."""

import base64
import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, quote, unquote, urlsplit

from movinet.errors import BadSource
from movinet.video.net.sources import without_password

_DIGESTS = {"MD5": "md5", "SHA-256": "sha256"}
_FIELD = re.compile(r'(\w+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))')


@dataclass(frozen=True, repr=False)
class Login:
    """A user and a password. Never shown."""

    user: str
    password: str

    @staticmethod
    def of(parts: SplitResult) -> "Login | None":
        """What an address says before its host; None where it says nothing."""
        if parts.username is None:
            return None
        return Login(unquote(parts.username), unquote(parts.password or ""))

    def __repr__(self) -> str:
        return "Login(***)"

    def hide(self, text: str) -> str:
        """A text of somebody else's, without the password, as it is or as addresses write it."""
        ways = {self.password, quote(self.password), quote(self.password, safe="")} - {""}
        for way in sorted(ways, key=len, reverse=True):
            text = text.replace(way, "***")
        return text

    def answer(self, challenges: Sequence[str], method: str, uri: str) -> str | None:
        """The value of `Authorization` for a request, or None where no way to log in is known.

        Args:
            challenges: Values of the server's `WWW-Authenticate`.
            method: Such as GET.
            uri: What is asked for, as the request's first line says it.
        """
        ways = [way for value in challenges for way in re.split(r"(?i)(?:^|,)\s*(?=(?:digest|basic)\b)", value)]
        for way in ways:
            if way.lower().startswith("digest"):
                fields = {key.lower(): quoted or plain for key, quoted, plain in _FIELD.findall(way[len("digest") :])}
                if answer := self._digest(fields, method, uri):
                    return answer
        if any(way.lower().startswith("basic") for way in ways):
            return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        return None

    def _digest(self, fields: dict[str, str], method: str, uri: str) -> str | None:
        algorithm = fields.get("algorithm", "MD5")
        if algorithm.upper() not in _DIGESTS or "nonce" not in fields:
            return None

        def escaped(text: str) -> str:
            return text.replace("\\", r"\\").replace('"', r"\"")

        def digest(*parts: str) -> str:
            return hashlib.new(_DIGESTS[algorithm.upper()], ":".join(parts).encode(), usedforsecurity=False).hexdigest()

        realm, nonce = fields.get("realm", ""), fields["nonce"]
        who, what = digest(self.user, realm, self.password), digest(method, uri)
        values = {"username": self.user, "realm": realm, "nonce": nonce, "uri": uri}
        plain = {}
        if "auth" in re.split(r"\s*,\s*", fields.get("qop", "")):
            count, ours = "00000001", os.urandom(8).hex()
            values |= {"cnonce": ours, "response": digest(who, nonce, count, ours, "auth", what)}
            plain = {"qop": "auth", "nc": count}
        else:
            values["response"] = digest(who, nonce, what)
        if "opaque" in fields:
            values["opaque"] = fields["opaque"]
        if "algorithm" in fields:
            plain["algorithm"] = algorithm
        quoted = [f'{key}="{escaped(value)}"' for key, value in values.items()]
        return "Digest " + ", ".join([*quoted, *(f"{key}={value}" for key, value in plain.items())])


def refused_login(given: bool) -> str:
    """What to add where a server answers 401."""
    if given:
        return "; is the password right?"
    return (
        "; it wants a user and password: in a file for --credentials, in MOVINET_USER and MOVINET_PASSWORD, or in the "
        "address (user:password@host)"
    )


@dataclass(frozen=True, repr=False)
class Address:
    """An address, and the login it needs, if any. Shown without both the login and what looks like one in its query.

    Args:
        url: Such as `rtsp://camera.local/stream`, without a login.
        login: What goes to this very host where it asks for one.
    """

    url: str
    login: Login | None = None

    @staticmethod
    def of(text: str) -> "Address":
        """What is written as one: `rtsp://user:password@host/stream`. A password with `@ / ? #` unescaped is understood
        where nothing else can be meant; `%` stands for itself as `%25`.

        Raises:
            BadSource: It may be read in two ways.
        """
        rest = text.partition("://")[2]
        authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
        if "@" in authority and "@" in rest[len(authority) :]:
            raise BadSource(
                f"{without_password(text)}: may be read in two ways: write @ in a password as %40, / as %2F, ? as %3F "
                "and # as %23 (or give the login in a file for --credentials), and @ behind the host as %40"
            )
        try:
            parts = urlsplit(text)
            _ = parts.port
            login = Login.of(parts)
        except ValueError:
            login = None
        else:
            if login is None:
                return Address(text)
            return Address(parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl(), login)
        scheme, _, rest = text.partition("://")
        before, at, host = rest.rpartition("@")
        user, colon, password = before.partition(":")
        if not (at and colon):
            return Address(text)
        return Address(f"{scheme}://{host}", Login(unquote(user), unquote(password)))

    def __str__(self) -> str:
        return without_password(self.url)

    def __repr__(self) -> str:
        return f"Address({str(self)!r})"

    def for_ffmpeg(self) -> str:
        """The address with its login, escaped: for what logs in by itself, and for nobody to see."""
        if self.login is None:
            return self.url
        parts = urlsplit(self.url)
        kept = "!$&'()*+,;="  # as little as can be: FFmpeg has room for 127 characters
        login = f"{quote(self.login.user, safe=kept)}:{quote(self.login.password, safe=kept)}"
        return parts._replace(netloc=f"{login}@{parts.netloc}").geturl()
