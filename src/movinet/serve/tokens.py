"""Who may do what: two tokens, shown once and kept as hashes; browsers' cookies; and how often one may guess."""

import base64
import hashlib
import hmac
import ipaddress
import os
import secrets
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from movinet.errors import MovinetError
from movinet.reading import parse_json
from movinet.serve.private_file import write_private

Role = Literal["viewer", "administrator"]
ROLES: tuple[Role, ...] = get_args(Role)

_BEGINNINGS: dict[Role, str] = {"viewer": "mvv_", "administrator": "mva_"}
_COST = {"n": 1 << 14, "r": 8, "p": 1}  # scrypt's: 16 MiB and some 50 ms
LONGEST_TOKEN = 128
"""Letters."""

_LARGEST = 1 << 16  # bytes of the file
_COOKIES, _COOKIE_SECONDS = 1000, 12 * 3600.0
_GUESSES, _ALL_GUESSES, _PER = 5, 60, 60.0  # wrong tokens from one address, and from all, in so many seconds
_ADDRESSES = 10_000  # that are remembered


class TooOften(Exception):
    """Too many wrong tokens came; `seconds` says when to try again."""

    def __init__(self, seconds: float) -> None:
        super().__init__("too many wrong tokens")
        self.seconds = seconds


@dataclass(frozen=True, repr=False)
class Hashed:
    """What is kept of a token."""

    salt: bytes
    digest: bytes

    @staticmethod
    def of(token: str) -> "Hashed":
        salt = os.urandom(16)
        return Hashed(salt, _scrypt(token, salt))

    def fits(self, token: str) -> bool:
        """Whether it is that token's; takes the same time for all."""
        return hmac.compare_digest(self.digest, _scrypt(token, self.salt))


def _scrypt(token: str, salt: bytes) -> bytes:
    return hashlib.scrypt(token.encode(), salt=salt, dklen=32, maxmem=64 << 20, **_COST)


class Tokens:
    """The tokens of a server, and the cookies of browsers that showed one. Any thread may ask.

    Args:
        hashed: by role; empty where none are set, and then everyone may do everything.
        clock: seconds.
    """

    def __init__(self, hashed: dict[Role, Hashed] | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._hashed = hashed or {}
        self._clock = clock
        self._key = os.urandom(32)  # under which tokens that were right are remembered
        self._known: dict[bytes, Role] = {}
        self._cookies: OrderedDict[bytes, tuple[Role, float]] = OrderedDict()
        self._wrong: OrderedDict[str, deque[float]] = OrderedDict()
        self._all_wrong: deque[float] = deque(maxlen=_ALL_GUESSES)

    @property
    def needed(self) -> bool:
        """Whether anybody has to show one."""
        return bool(self._hashed)

    def known(self, token: str) -> Role | None:
        """The role of a token that was right before; takes no time."""
        return self._known.get(self._mark(token))

    def check(self, token: str, address: str) -> Role | None:
        """The role of a token; None of a wrong one. Takes some 50 ms of a token that was not seen before.

        Args:
            token: as it was given.
            address: whoever gives it.

        Raises:
            TooOften: too many wrong ones came from there, or from everywhere; this one was not looked at.
        """
        if (role := self.known(token)) is not None:
            return role
        self._refuse_guessing(address)
        role = next((role for role, begins in _BEGINNINGS.items() if token.startswith(begins)), None)
        if role is None or len(token) > LONGEST_TOKEN or role not in self._hashed or not self._hashed[role].fits(token):
            self._note_wrong(address)
            return None
        self._known[self._mark(token)] = role
        return role

    def cookie(self, role: Role) -> tuple[str, float]:
        """A new cookie's value, and for how many seconds it is good."""
        value = secrets.token_urlsafe(32)
        self._cookies[self._mark(value)] = role, self._clock() + _COOKIE_SECONDS
        while len(self._cookies) > _COOKIES:
            self._cookies.popitem(last=False)
        return value, _COOKIE_SECONDS

    def role_of_cookie(self, value: str) -> Role | None:
        """Of whoever has it; None where it is none or too old."""
        role, until = self._cookies.get(self._mark(value), (None, 0.0))
        return role if self._clock() < until else None

    def forget_cookie(self, value: str) -> None:
        """It is void from now on."""
        self._cookies.pop(self._mark(value), None)

    def _mark(self, text: str) -> bytes:
        """By which it is looked up: nobody without the key can choose text that takes longer to be told apart."""
        return hmac.digest(self._key, text.encode("utf-8", "surrogatepass"), "sha256")

    def _refuse_guessing(self, address: str) -> None:
        now = self._clock()
        for guesses, most in ((self._wrong.get(_neighborhood(address)), _GUESSES), (self._all_wrong, _ALL_GUESSES)):
            while guesses and now - guesses[0] >= _PER:
                guesses.popleft()
            if guesses and len(guesses) >= most:
                raise TooOften(_PER - (now - guesses[0]))

    def _note_wrong(self, address: str) -> None:
        where, now = _neighborhood(address), self._clock()
        guesses = self._wrong.setdefault(where, deque(maxlen=_GUESSES))
        guesses.append(now)
        self._all_wrong.append(now)
        self._wrong.move_to_end(where)
        while len(self._wrong) > _ADDRESSES:
            self._wrong.popitem(last=False)


def _neighborhood(address: str) -> str:
    """What counts as one guesser: an IPv4 address, or what one household has of IPv6."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            return str(ip.ipv4_mapped)
        return str(ipaddress.ip_network((int(ip) >> 64 << 64, 64)))
    return str(ip)


def make_tokens(path: Path) -> dict[Role, str]:
    """New tokens, of which the file keeps hashes: this is the only time that they are there to be shown.

    Raises:
        MovinetError: it cannot be written.
    """
    made = {role: _BEGINNINGS[role] + secrets.token_urlsafe(32) for role in ROLES}
    hashed = {role: Hashed.of(token) for role, token in made.items()}
    plain = {role: {"salt": _text(entry.salt), "scrypt": _text(entry.digest)} for role, entry in hashed.items()}
    write_private(path, plain)
    return made


def read_tokens(path: Path) -> dict[Role, Hashed]:
    """What `make_tokens` wrote; empty where there is no such file.

    Raises:
        MovinetError: it cannot be read, or is something else.
    """
    try:
        with path.open("rb") as file:
            data = parse_json(file.read(_LARGEST))
        return {role: Hashed(_bytes(data[role]["salt"]), _bytes(data[role]["scrypt"])) for role in ROLES}
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise MovinetError(f"{path}: cannot read the tokens: {error.strerror or error}") from None
    except (MovinetError, KeyError, TypeError, ValueError):
        raise MovinetError(f"{path}: holds no tokens that can be read; --new-tokens makes others") from None


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: Any) -> bytes:
    return base64.b64decode(text, validate=True)
