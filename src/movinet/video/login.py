"""User and password as HTTP and RTSP ask for them: Basic and Digest (RFC 7617, RFC 7616)."""

import base64
import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote

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
