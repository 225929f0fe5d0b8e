"""A run over a set: gone on with after a kill, with broken videos in it, and reported."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree

import numpy as np
import pytest
from tiny import LABELS, tiny_weights
from tiny_sets import tiny_set

from movinet.errors import MovinetError
from movinet.evaluate.answer_file import AnswerFile, Record
from movinet.evaluate.clip_protocols import Protocol
from movinet.evaluate.evaluation_report import Circumstances, as_plain
from movinet.evaluate.evaluation_run import Outcome, run_evaluation
from movinet.evaluate.footage import footage_of
from movinet.evaluate.html_report import check_report, render_report, write_report
from movinet.evaluate.judged import judge
from movinet.evaluate.label_match import match_labels
from movinet.evaluate.score_figures import figures_of
from movinet.files import dump_json
from movinet.labeled.readers import read_set
from movinet.recognizer import Recognizer
from movinet.weights.load import load_weights
from movinet.weights.weights import Weights

KILLED = """
import os, signal, sys
from pathlib import Path
from typing import Literal
from test_evaluation_run import evaluated
def kill(done, total):
    if done == 3:
        os.kill(os.getpid(), signal.SIGKILL)
evaluated(Path(sys.argv[1]), answers=Path(sys.argv[2]), progress=kill)
"""


def evaluated(folder: Path, kind: Literal["stream", "clip", "multi-clip"] = "stream", **options: object) -> Outcome:
    judged = judge(Recognizer.load(folder / "tiny_stream.safetensors"))
    footage, _ = footage_of(read_set(folder / "set", fewest_classes=1))
    match = match_labels(LABELS, judged)
    return run_evaluation(judged, footage, Protocol(kind, clips=2, crops=2), match, **options)  # type: ignore[arg-type]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tiny_weights(tmp_path)
    tiny_set(tmp_path / "set")
    return tmp_path


def told(outcome: Outcome) -> str:
    """Everything but time."""
    records = tuple(replace(record, decode_seconds=0.0, network_seconds=0.0) for record in outcome.records)
    outcome = replace(outcome, records=records, resumed=0)
    plain = as_plain(outcome, figures_of(outcome), Circumstances(date="today"))
    return dump_json(plain)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no such signal here")
def test_a_run_that_was_killed_goes_on_to_the_same_end(folder: Path) -> None:
    answers = folder / "answers.jsonl"
    paths = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parents[1]), *sys.path])
    line = [sys.executable, "-c", KILLED, str(folder), str(answers)]
    done = subprocess.run(line, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": paths}, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    before = answers.read_bytes()
    seen: list[int] = []
    outcome = evaluated(folder, answers=answers, progress=lambda n, total: seen.append(n))
    assert outcome.resumed == 3
    assert seen == [1, 2, 3, 4, 5, 6]
    assert answers.read_bytes().startswith(before)
    assert told(outcome) == told(evaluated(folder))
    with pytest.raises(MovinetError, match="another run"):
        evaluated(folder, "clip", answers=answers)


def test_answers_are_those_of_a_network_and_a_rate_not_of_arrays_and_files_alone(folder: Path) -> None:
    """With the same arrays a network of another activation, or of several labels, says other things; and so does one
    that sees folders of images at another rate."""
    weights = load_weights(folder / "tiny_stream.safetensors")
    listing = read_set(folder / "set", fewest_classes=1)

    def asked(weights: Weights, folder_fps: float | None = None) -> int:
        judged = judge(Recognizer(weights, cache=False))
        footage, _ = footage_of(listing, folder_fps=folder_fps)
        match = match_labels(LABELS, judged)
        return run_evaluation(judged, footage, Protocol("stream"), match, answers=folder / "a.jsonl").resumed

    assert [asked(weights), asked(weights), asked(replace(weights, info=replace(weights.info, name="b.b")))] == [
        0,
        6,
        6,
    ]
    others = weights.with_options(activation="relu"), replace(weights, info=replace(weights.info, multi_label=True))
    for other in others:
        with pytest.raises(MovinetError, match="another run"):
            asked(other)
    with pytest.raises(MovinetError, match="another run"):
        asked(weights, folder_fps=2.0)


def test_without_a_file_what_was_found_waits_in_a_folder(folder: Path) -> None:
    def stop(done: int, total: int) -> None:
        if done == 4:
            raise KeyboardInterrupt

    scratch = folder / "scratch"
    with pytest.raises(KeyboardInterrupt):
        evaluated(folder, scratch=scratch, progress=stop)
    assert len(list(scratch.iterdir())) == 1
    old = scratch / "old.jsonl"
    old.write_text("")
    os.utime(old, (0, 0))
    assert evaluated(folder, "clip", scratch=scratch).resumed == 0, "another protocol begins anew"
    assert evaluated(folder, scratch=scratch).resumed == 4
    assert list(scratch.iterdir()) == [], "done, and what was forgotten is gone"
    (folder / "file").write_text("")
    assert len(evaluated(folder, scratch=folder / "file" / "x").records) == 6, "where nothing can be kept"


def test_a_disk_that_fills_ends_only_a_run_that_was_to_be_kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add = AnswerFile.add

    def full(self: AnswerFile, number: int, record: Record) -> None:
        if number == 2:
            raise MovinetError("No space left on device")
        add(self, number, record)

    monkeypatch.setattr(AnswerFile, "add", full)
    assert len(evaluated(folder, scratch=folder / "scratch").records) == 6
    assert list((folder / "scratch").iterdir()) == []
    with pytest.raises(MovinetError, match="No space left"):
        evaluated(folder, answers=folder / "a.jsonl")


def test_a_broken_video_is_left_out_and_tried_again(folder: Path) -> None:
    broken = folder / "set" / "left" / "0.mp4"
    whole = broken.read_bytes()
    broken.write_bytes(b"x" * len(whole))
    errors: list[MovinetError] = []
    outcome = evaluated(folder, answers=folder / "a.jsonl", on_error=errors.append)
    assert [one.name for one in outcome.footage] == [
        "left/1.mp4", "other/0.mp4", "other/1.mp4", "right/0.mp4", "right/1.mp4"
    ]  # fmt: skip
    assert outcome.targets.tolist() == [0, 2, 2, 1, 1]
    assert "0.mp4" in str(errors[0])
    assert outcome.unreadable == (str(errors[0]),)
    broken.write_bytes(whole)
    assert told(evaluated(folder, answers=folder / "a.jsonl")) == told(evaluated(folder))
    for video in (folder / "set").glob("*/*.mp4"):
        video.write_bytes(b"x")
    with pytest.raises(MovinetError, match=r"not one of 6 videos could be evaluated; the first: .*0\.mp4"):
        evaluated(folder)


class Loads(HTMLParser):
    """What a page would load, and whether its tags close."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loaded += [str(value) for name, value in attrs if name in ("src", "href", "data", "action")]
        self.loaded += [tag] if tag in ("script", "link", "img", "iframe", "object") else []
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("kind", ["stream", "multi-clip"])
def test_a_report_is_one_page_that_loads_nothing(folder: Path, kind: Literal["stream", "multi-clip"]) -> None:
    outcome = evaluated(folder, kind)
    evil = ("</title><script>alert(1)</script>", "\x1b[31m\u202e&quot;", "é" * 500)
    outcome = replace(outcome, names=evil, unreadable=("<b>x", "\ud800"))
    page = render_report(outcome, figures_of(outcome), Circumstances(command="<i>", notes=("<u>",), data="\udcff"))
    parser = Loads()
    parser.feed(page)
    parser.close()
    assert (parser.loaded, parser.open) == ([], [])
    assert "url(" not in page
    assert "@import" not in page
    assert "prefers-color-scheme: dark" in page
    plots = [part.partition("</svg>")[0] for part in page.split("<svg")[1:]]
    assert len(plots) == (3 if kind == "stream" else 2)
    for plot in plots:
        ElementTree.fromstring(f"<svg{plot}</svg>")
    write_report(folder / "a.html", outcome, figures_of(outcome), Circumstances(data="\udcff"))
    write_report(folder / "a.html", outcome, figures_of(outcome), Circumstances())
    (folder / "mine.html").write_text("<!doctype html>my page")
    for path in (folder / "mine.html", folder / "a.pdf", folder / "nowhere" / "a.html"):
        with pytest.raises(MovinetError, match="--report"):
            check_report(path)


def test_plain_values_say_what_the_figures_do(folder: Path) -> None:
    outcome = evaluated(folder)
    figures = figures_of(outcome)
    plain = as_plain(outcome, figures, Circumstances(found=6, missing=2))
    assert figures.top1 is not None
    right = np.mean(outcome.probabilities.argmax(1) == outcome.targets)
    assert plain["top1"]["value"] == pytest.approx(right)
    assert plain["videos"]["missing"] == 2
    assert plain["stream"]["score"][-1]["value"] == plain["top1"]["value"], "all seen"
    assert sum(pair["videos"] for pair in plain["confusions"]) == round(6 * (1 - right))
    assert plain["cost"]["frames_a_video"] == 12
    assert plain["top5"] is None
