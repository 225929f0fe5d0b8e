"""What a client says on a socket, read strictly; docs/serve.md has it as tables."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass, fields
from math import isfinite, isinf
from typing import Any, Literal, get_args

from movinet.dataclass_io import from_plain
from movinet.errors import MovinetError, brief
from movinet.events import EventRules
from movinet.reading import parse_json

Format = Literal["jpeg", "webp", "rgb"]

LONGEST_TEXT = 1 << 14
"""Bytes of a message in JSON."""

_TIME = struct.Struct("<d")
_LATEST = 1e9  # seconds
_LONGEST_NAME, _MOST_LABELS, _MOST_TOP = 64, 1000, 20


def told_memory(memory: float | None) -> float:
    """A stream's memory as clients say it and are told it: seconds, 0 where nothing is forgotten."""
    return 0 if memory is None or isinf(memory) else memory


@dataclass(frozen=True, kw_only=True)
class Change:
    """How a stream is to go on; what is None stays.

    Args:
        size: width and height of the pictures to come.
        format: of the pictures to come.
        memory: seconds after which a frame hardly counts any more; 0 for never.
        thresholds: of events.
        topk: labels that are told.
    """

    size: tuple[int, int] | None = None
    format: Format | None = None
    memory: float | None = None
    thresholds: EventRules | None = None
    topk: int | None = None

    def __post_init__(self) -> None:
        if self.size is not None and min(self.size) < 1:
            raise MovinetError(f"size is {self.size}; want a width and a height of at least 1")
        if self.memory is not None and not 0 <= self.memory < 1e6:
            raise MovinetError(f"memory is {self.memory}; want seconds, and 0 for never forgetting")
        if self.topk is not None and not 1 <= self.topk <= _MOST_TOP:
            raise MovinetError(f"topk is {self.topk}; want 1 to {_MOST_TOP}")
        rules = self.thresholds
        if rules is not None and max(len(rules.ignore or ()), len(rules.by_label)) > _MOST_LABELS:
            raise MovinetError(f"thresholds of more than {_MOST_LABELS} labels")


@dataclass(frozen=True, kw_only=True)
class Open(Change):
    """How a stream begins.

    Args:
        model: that recognizes; None for the server's default.
        name: of the stream, in everything that is told.
    """

    model: str | None = None
    name: str = "stream"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.size is None or self.format is None:
            raise MovinetError("open: want the size of the pictures ([width, height]) and their format")
        if not self.name.isprintable() or not 0 < len(self.name) <= _LONGEST_NAME:
            raise MovinetError(f"name: want 1 to {_LONGEST_NAME} letters that can be printed")


@dataclass(frozen=True)
class Reset:
    """Forget the past."""


@dataclass(frozen=True)
class Close:
    """There is no more."""


@dataclass(frozen=True)
class Sent:
    """A picture: its time in seconds, and its bytes."""

    time: float
    data: bytes


Said = Open | Change | Reset | Close

_KINDS: Mapping[str, type[Said]] = {"open": Open, "change": Change, "reset": Reset, "close": Close}


def read_text(text: str) -> Said:
    """A message in JSON.

    Raises:
        MovinetError: it makes no sense; the message says what does.
    """
    if len(text) > LONGEST_TEXT or len(text.encode("utf-8", "surrogatepass")) > LONGEST_TEXT:
        raise MovinetError(f"a message of more than {LONGEST_TEXT} bytes")
    data = parse_json(text)
    if not isinstance(data, dict) or not isinstance(data.get("type"), str):
        raise MovinetError('want an object with a type, such as {"type": "open", …}')
    kind = data.pop("type")
    if kind not in _KINDS:
        raise MovinetError(f"there is no message of type {brief(kind)}; there are {', '.join(_KINDS)}")
    if any(field.name == "format" for field in fields(_KINDS[kind])) and data.get("format") not in (
        None,
        *get_args(Format),
    ):
        raise MovinetError(f"format is {brief(data['format'])}; choose jpeg, webp or rgb")
    return from_plain(_KINDS[kind], data, kind)


def read_picture(data: bytes) -> Sent:
    """A binary message.

    Raises:
        MovinetError: it is none.
    """
    if len(data) <= _TIME.size:
        raise MovinetError("a binary message is a picture's time in 8 bytes (float64, little-endian), then the picture")
    (time,) = _TIME.unpack_from(data)
    if not isfinite(time) or not 0 <= time <= _LATEST:
        raise MovinetError(f"a picture's time is {time!r}; want seconds from 0 to {_LATEST:g}")
    return Sent(time, data[_TIME.size :])


def error_message(why: object) -> dict[str, Any]:
    """As a client is told what it did wrong."""
    return {"type": "error", "message": str(why)}
