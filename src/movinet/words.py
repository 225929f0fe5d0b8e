"""Words for what is counted, and for what was perhaps meant."""

from collections.abc import Iterable
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import NoReturn


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
    near = near_words(str(word), known, most)
    return f"; did you mean {' or '.join(near)}?" if near else f"; there are {', '.join(known)}"


def near_words(word: str, known: Iterable[str], most: int) -> list[str]:
    """Those spelled nearly like a word, at most so many; where none is, those that it is a part of, such as `a0` or
    `MoViNetA0` of movinet_a0_base: capitals and what is no letter or digit do not count then."""
    known = list(known)
    bare = _bare(word)
    part_of = [other for other in known if len(bare) > 1 and bare in _bare(other)]
    return get_close_matches(word, known, n=most) or part_of[:most]


def _bare(word: str) -> str:
    return "".join(letter for letter in word.lower() if letter.isalnum())


class CalledElsewhere:
    """An attribute that other libraries have by another name: there is none here, and whoever asks is told ours.

    Args:
        ours: how it is called here.
    """

    def __init__(self, ours: str) -> None:
        self.ours = ours

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, instance: object, owner: type) -> NoReturn:
        raise AttributeError(f"{owner.__name__} has no {self.name!r}; here it is {self.ours}")


def fits(name: str, pattern: str) -> bool:
    """Whether a name is of a pattern, such as `*_stream`; without `*`, `?` and `[`, whether it contains it."""
    return fnmatchcase(name, pattern if any(letter in pattern for letter in "*?[") else f"*{pattern}*")
