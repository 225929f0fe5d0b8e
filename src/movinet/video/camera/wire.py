"""What crosses between a process and the one that reads a live source for it: messages, and what is wanted and known
of the source as plain JSON."""

import struct
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import IO, Any

from movinet.video.camera.following import Known, Wanted
from movinet.video.locations import Track
from movinet.video.net.login import Address, Login
from movinet.video.net.sources import Limits

_HEAD = struct.Struct("<cI")  # kind of a message and bytes of what follows
ONE = struct.Struct("<d")
SEEN = struct.Struct("<dI")
SHAPE = struct.Struct("<IIdd")
"""Before the pixels of a picture: height, width, time, patience."""

_WORDS = 1 << 20  # bytes of any message but a picture


def write(out: IO[bytes], kind: bytes, data: bytes = b"") -> None:
    """One message. Raises OSError where nobody reads it."""
    out.write(_HEAD.pack(kind, len(data)) + data)
    out.flush()


def messages(incoming: IO[bytes], most: int = 0) -> Iterator[tuple[bytes, bytes]]:
    """Kinds and contents until whoever writes them has gone.

    Args:
        incoming: Where they come from.
        most: Bytes of a picture.

    Raises:
        ValueError: One is too long.
    """
    while len(head := incoming.read(_HEAD.size)) == _HEAD.size:
        kind, size = _HEAD.unpack(head)
        if size > max(_WORDS, most if kind == b"f" else 0):
            raise ValueError(f"a message of {size} bytes")
        data = incoming.read(size)
        if len(data) < size:
            return
        yield kind, data


def wanted_as_plain(wanted: Wanted) -> dict[str, Any]:
    """For `wanted_from`."""
    number = wanted.source.number if isinstance(wanted.source, Track) else None
    source = wanted.source.source if isinstance(wanted.source, Track) else wanted.source
    login = None
    if isinstance(source, Address):
        login = source.login and [source.login.user, source.login.password]
        source = source.url
    plain = {key: getattr(wanted, key) for key in ("loop", "timeout", "max_lag", "transport", "hardware")}
    return {**plain, "limits": asdict(wanted.limits), "source": str(source), "login": login, "track": number}


def wanted_from(plain: Mapping[str, Any]) -> Wanted:
    """The inverse of `wanted_as_plain`."""
    rest = dict(plain)
    written, login, number = rest.pop("source"), rest.pop("login"), rest.pop("track")
    source = written if login is None else Address(written, Login(*login))
    limits = rest.pop("limits")
    networks = None if limits["networks"] is None else tuple(limits["networks"])
    return Wanted(
        source if number is None else Track(source, number),
        limits=Limits(**{**limits, "hosts": tuple(limits["hosts"]), "networks": networks}),
        **rest,
    )


def known_as_plain(known: Known, *, everything: bool) -> dict[str, Any]:
    """For `known_from`; times by the clock as seconds ago, since clocks of processes differ.

    Args:
        known: Of a source.
        everything: The pictures that were seen, too.
    """
    now, began = time.monotonic(), known.timeline.began
    place = known.place
    plain = {
        "kind": known.kind,
        "began": None if began is None else now - began,
        "last": known.timeline.last,
        "place": [now - place.began, place.duration, place.rounds, place.position],
    }
    return {**plain, "seen": list(known.past.seen)} if everything else plain


def known_from(plain: Mapping[str, Any], known: Known) -> None:
    """Bring `known` up to what is said."""
    now, began, place = time.monotonic(), plain["began"], known.place
    known.kind = plain["kind"]
    known.timeline.began, known.timeline.last = None if began is None else now - began, plain["last"]
    ago, place.duration, place.rounds, place.position = plain["place"]
    place.began = now - ago
    for stamp, looks in plain.get("seen", ()):
        known.past.remember(stamp, looks)
