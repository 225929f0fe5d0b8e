"""Counts and their nouns agree, everywhere."""

import re
from pathlib import Path

import pytest

from movinet.words import counted, lasting

SOURCE = Path(__file__).parents[1] / "src" / "movinet"
# A number that may be one, and a noun for several. "3 of 1 clips" is passed over, and so are constants.
PLURAL = re.compile(
    r"(?<!of )\{(?![A-Z_]+\})[^{}:]+\} (?:clips|classes|labels|gestures|shards|epochs|cells|columns|files|videos)\b"
)


@pytest.mark.parametrize(
    ("count", "nouns", "text"),
    [
        (0, ("clip",), "0 clips"),
        (1, ("clip",), "1 clip"),
        (2, ("clip",), "2 clips"),
        (1, ("class", "classes"), "1 class"),
        (3, ("class", "classes"), "3 classes"),
    ],
)
def test_counts(count: int, nouns: tuple[str, ...], text: str) -> None:
    assert counted(count, *nouns) == text


def test_nobody_says_1_clips() -> None:
    assert PLURAL.search('f"{clips} clips each"')
    found = {f"{path.name}: {m[0]}" for path in SOURCE.rglob("*.py") for m in PLURAL.finditer(path.read_text("utf-8"))}
    assert not found


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (16.2, "16 s"), (90, "1.5 minutes"), (3600, "1.00 hours"), (9000, "2.50 hours")]
)
def test_times_are_said_in_units_that_suit_them(seconds: float, text: str) -> None:
    assert lasting(seconds) == text
