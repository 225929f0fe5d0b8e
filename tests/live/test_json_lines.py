"""What programs read: the fields of every kind of line, as the documents say."""

import json
import re
from pathlib import Path

import pytest
from reports import ENDED, EVENT, ONE_OF_EACH, report

from movinet.files import dump_json
from movinet.live.json_lines import as_json, iso
from movinet.live.report import Over, Seen

DOCUMENT = Path(__file__).parents[2] / "docs" / "watching.md"


def told(kind: str) -> dict[str, object]:
    line = as_json(report(ONE_OF_EACH[kind]), topk=2)
    assert json.loads(dump_json(line)) == line, "a line is plain JSON"
    return line


def test_every_line_says_what_of_whom_and_when() -> None:
    for kind in ONE_OF_EACH:
        line = told(kind)
        assert list(line)[:4] == ["type", "source", "wall", "time"]
        assert line["type"] == kind
        assert line["source"] == "front door"
        assert line["wall"] == "2026-09-21T14:13:20.250Z"
        assert line["figures"] == {
            "frames": 11, "late": 3, "damaged": 1, "dropped": 2, "reconnects": 1, "lag": 0.123, "fps": 4.99,
            "step_ms": 2.35,
            "still": 0,
        }  # fmt: skip


def test_lines_say_what_there_is_to_say() -> None:
    seen = ONE_OF_EACH["prediction"]
    assert isinstance(seen, Seen)
    best = [{"label": "star", "probability": 0.9}]
    assert told("prediction")["top"][:1] == best  # type: ignore[index]
    assert told("prediction")["time"] == 2.0
    assert told("begun") | {"label": "star", "start": 1.2, "confidence": 0.75, "time": 1.2} == told("begun")
    assert told("ended") | {"start": EVENT.start, "end": ENDED.end, "confidence": 0.9, "time": 2.6} == told("ended")
    assert told("lost") | {"why": "no picture for 10 s", "seconds": 10.0, "time": 2.6} == told("lost")
    assert told("over")["error"] == "front door: lost, and not found again in 3 attempts"
    assert as_json(report(Over(None)))["error"] is None


def test_times_are_universal_with_milliseconds() -> None:
    assert iso(0) == "1970-01-01T00:00:00.000Z"
    assert iso(1_790_000_000.9996) == "2026-09-21T14:13:20.999Z"


def rows(heading: str) -> dict[str, list[str]]:
    """Of a table below a heading of the document: its first column's names, and those in backticks in the second."""
    text = DOCUMENT.read_text(encoding="utf-8").partition(f"## {heading}\n")[2].partition("\n## ")[0]
    found = re.findall(r"^\| `([\w, `]+)` \| (.*?) \|", text, re.MULTILINE)
    return {name: re.findall(r"`(\w+)`", row) for names, row in found for name in re.findall(r"\w+", names)}


@pytest.mark.parametrize("kind", ONE_OF_EACH)
def test_the_document_has_every_field(kind: str) -> None:
    line = told(kind)
    everywhere, particular = rows("What a program reads"), rows("Kinds of lines")
    assert set(line) - set(everywhere) == set(particular[kind])
    assert set(rows("Figures")) == set(line["figures"])  # type: ignore[call-overload]


def test_the_document_has_no_kind_of_line_that_there_is_not() -> None:
    assert set(rows("Kinds of lines")) == set(ONE_OF_EACH)
