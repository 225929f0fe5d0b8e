"""The errors a user can do something about."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

# What terminals obey: control characters, and those that turn the order of letters around.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def printable(text: str, lines: bool = False) -> str:
    """Text from a file of anybody's, such as a name, for a terminal: control characters are written as escapes.

    Args:
        text: any.
        lines: line feeds and tabs may stay.
    """
    return _CONTROL.sub(lambda found: found[0] if lines and found[0] in "\n\t" else _escape(found[0]), text)


def _escape(letter: str) -> str:
    return letter.encode("unicode_escape").decode()


class MovinetError(ValueError):
    """Bad input: the message says what was wrong, where, and what to do. The command line prints it, exit code 2."""

    def __str__(self) -> str:
        return printable(super().__str__(), lines=True)


class VideoError(MovinetError):
    """A video or live source could not be opened or read."""


class BadSource(VideoError):
    """What was given as a source is none, or leads where it may not: trying again does not help."""


class LoginRefused(VideoError):
    """A server wants a user and password, or others than were given."""


class BatchError(MovinetError):
    """Some of several videos could not be recognized.

    Attributes:
        answers: of all that were given, in their order; None where there is none.
        errors: why, by place.
    """

    def __init__(self, answers: Sequence[Any], errors: Mapping[int, Exception]) -> None:
        first = next(iter(errors.values()))
        super().__init__(
            f"{len(errors)} of {len(answers)} could not be recognized: {first}{'; …' if len(errors) > 1 else ''} "
            "(the error's `answers` has the others, its `errors` says why)"
        )
        self.answers, self.errors = list(answers), dict(errors)


class WeightsError(MovinetError):
    """A weights file, checkpoint or download is missing, damaged or does not fit the network."""


class SpecError(MovinetError):
    """A network specification contradicts itself."""


class MissingExtra(MovinetError):
    """An optional package is not installed, or cannot be loaded."""


def brief(value: object, most: int = 100) -> str:
    """What a value is, for a message of bearable length."""
    text = repr(value)
    return text if len(text) <= most else f"{text[: most - 1]}…"


@contextmanager
def needs_litert() -> Iterator[None]:
    """Around imports of LiteRT, which comes with movinet wherever it has wheels."""
    try:
        yield
    except ImportError as error:
        raise MissingExtra(
            f"LiteRT is not there ({error}): it comes with movinet on Linux (x86-64 and ARM, glibc), macOS (Apple "
            "silicon) and Windows (x86-64); elsewhere pip install 'movinet[openvino]' brings what runs networks"
        ) from error


@contextmanager
def needs_extra(name: str) -> Iterator[None]:
    """Around imports of optional packages: where they are missing, the message says how to get them."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingExtra(
            f"{error.name or error} is not installed: pip install 'movinet[{name}]' brings it"
        ) from error
    except ImportError as error:
        raise MissingExtra(
            f"what 'movinet[{name}]' needs is installed, but cannot be loaded ({error}): install it anew, or do without"
        ) from error
