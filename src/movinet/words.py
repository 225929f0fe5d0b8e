"""Words for what is counted, and for what was perhaps meant."""

from collections.abc import Iterable
from difflib import get_close_matches
from fnmatch import fnmatchcase


def counted(count: int, one: str, many: str | None = None) -> str:
    """A count with its noun: "1 clip", "2 clips".

    Args:
        count: how many.
        one: the noun for one of them.
        many: for several; with an s at the end by default.
    """
    return f"{count} {one if count == 1 else many or f'{one}s'}"


def lasting(seconds: float) -> str:
    """A stretch of time as people say it: "16 s", "3.5 minutes", "2.25 hours"."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} minutes" if seconds < 3600 else f"{seconds / 3600:.2f} hours"


def did_you_mean(word: object, known: Iterable[str], most: int = 1) -> str:
    """The end of a message about a word that nobody knows: "; did you mean `decay`?", or what there is.

    Args:
        word: that was given.
        known: the words there are.
        most: how many of them may be named as near.
    """
    known = list(known)
    near = get_close_matches(str(word), known, n=most)
    return f"; did you mean {' or '.join(near)}?" if near else f"; there are {', '.join(known)}"


def fits(name: str, pattern: str) -> bool:
    """Whether a name is of a pattern, such as `*_stream`; without `*`, `?` and `[`, whether it contains it."""
    return fnmatchcase(name, pattern if any(letter in pattern for letter in "*?[") else f"*{pattern}*")
