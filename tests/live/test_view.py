"""What a person sees: of one source and of many, well, lost and lagging, in terminals of any size."""

from collections.abc import Sequence
from dataclasses import replace
from io import StringIO

import pytest
from reports import ENDED, EVENT, FIGURES, ONE_OF_EACH, WALL, prediction, report
from rich.console import Console

from movinet.live.report import Begun, Ended, Figures, Over, Seen
from movinet.live.view import View, as_line, clock, first_line
from movinet.video.camera.changes import SourceFigures

KINDS = list(ONE_OF_EACH)
FINE = Figures(SourceFigures(frames=11), 5.0, 2.0)


def view(*names: str) -> View:
    return View(names, "tiny.test", topk=3, now=lambda: WALL + 12)


def seen(of: View, width: int = 80, height: int = 24) -> str:
    console = Console(width=width, height=height, record=True, file=StringIO(), force_terminal=True)
    console.print(of)
    text = console.export_text().rstrip()
    lines = text.splitlines()
    assert max(map(len, lines)) <= width
    assert len(lines) < height
    return text


def styled(of: View, words: str) -> str:
    """The style that words are shown in."""
    console = Console(width=100, file=StringIO(), force_terminal=True)
    return next(str(segment.style) for segment in console.render(of) if words in segment.text)


def tell(of: View, kinds: Sequence[str], source: str, figures: Figures = FINE) -> None:
    for kind in kinds:
        of.take(report(ONE_OF_EACH[kind], source, figures=figures))


def test_a_source_alone_shows_labels_figures_and_events() -> None:
    one = view("front door")
    assert "front door opening" in seen(one)
    tell(one, ["prediction", "begun"], "front door", FIGURES)
    text = seen(one)
    for piece in ("front door", "tiny.test", clock(WALL + 12), "star", "90%", "2.0 s", "5.0 frames/s", "2 ms a frame",
                  "lag 0.1 s", "3 late", "2 dropped", "1 damaged", "1 reconnect"):  # fmt: skip
        assert piece in text
    assert f"{clock(WALL)}  1.2–  star  75%" in text
    one.take(report(Seen(prediction(), (replace(EVENT, confidence=0.85),)), "front door"))
    assert "1.2–  star  85%" in seen(one), "surer than when it began"
    tell(one, ["ended"], "front door")
    assert f"{clock(WALL)}  1.2–2.6 s  star  90%" in seen(one)
    assert "1.2–  star" not in seen(one)
    assert "90%" in seen(one, width=30)


def test_a_lost_source_looks_lost_at_once_and_until_it_is_found() -> None:
    one, two = view("yard"), view("yard", "hall")
    for shown in (one, two):
        tell(shown, ["prediction", "begun", "ended", "lost"], "yard")
        text = seen(shown)
        # Since the last picture, ten seconds before it was noticed.
        assert f"yard lost 22 s, since {clock(WALL - 10)}: no picture for 10 s" in text
        assert "90% ━" not in text, "nothing old looks like news"
        assert "frames/s" not in text
        assert "strike" in styled(shown, "yard")
        assert "red" in styled(shown, "lost 22 s")
        tell(shown, ["found"], "yard")
        assert "lost" not in seen(shown)
        tell(shown, ["prediction"], "yard")
        assert "90%" in seen(shown)
    tell(two, ["lost"], "yard")
    assert "1 lost" in seen(two)


def test_a_source_that_lags_or_was_given_up_says_so() -> None:
    two = view("yard", "hall")
    behind = replace(FINE, source=replace(FINE.source, lag=2.4, late=120))
    tell(two, ["prediction", "lagging"], "yard", behind)
    assert "lag  2.4 s" in seen(two)
    assert "120 late" in seen(two)
    assert "1 lagging" in seen(two)
    assert "yellow" in styled(two, "lag  2.4 s")
    tell(two, ["caught_up"], "yard")
    assert "lagging" not in seen(two)
    tell(two, ["over"], "yard")
    assert "yard given up:" in seen(two)
    two.take(report(Over(None), "hall"))
    assert "hall ended" in seen(two)
    assert "1 given up" in seen(two)


def test_rows_show_what_runs() -> None:
    two = view("clips/yard.mp4", "rtsp://10.0.0.9/hall")
    two.take(report(Seen(prediction("cross", 0.5, 3.0), (EVENT,)), "clips/yard.mp4", figures=FIGURES))
    text = seen(two, 120)
    assert "yard.mp4" in text
    assert "clips/" not in text
    assert "10.0.0.9/hall" in text
    assert " 50% cross" in text
    assert " star 3 late, 2 dropped" in text


@pytest.mark.parametrize("width", [20, 40, 60, 80, 100, 200])
@pytest.mark.parametrize("height", [5, 10, 24, 70])
def test_fifty_cameras_fit_any_terminal_and_those_that_do_not_are_counted(width: int, height: int) -> None:
    names = [f"camera {n}" for n in range(50)]
    many = view(*names)
    for name in names:
        tell(many, ["prediction", "begun"], name, FIGURES)
    tell(many, ["lost"], "camera 48")
    text = seen(many, width, height)
    rows = [line for line in text.splitlines() if line.startswith("camera")]
    events = [line for line in text.splitlines() if line.startswith(clock(WALL)[:2])]
    if len(rows) < 50:
        assert f"and {50 - len(rows)} more" in text
        assert width < 40 or ", 1 lost: camera 48" in text
        assert len(rows) + len(events) + 3 == height, "no line is wasted"


def test_names_and_labels_move_no_cursor_and_may_be_wide() -> None:
    odd = view("\x1b[2Jdoor", "玄関" * 20)
    tell(odd, ["prediction"], "\x1b[2Jdoor")
    tell(odd, ["prediction"], "玄関" * 20)
    console = Console(width=60, file=StringIO(), force_terminal=False)
    console.print(odd)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "\x1b" not in text
    assert "玄関" in text


def test_lines_without_a_terminal() -> None:
    lines = {kind: as_line(report(ONE_OF_EACH[kind])) for kind in KINDS}
    when = clock(WALL, date=True)
    assert lines == {
        "prediction": None,
        "begun": f"{when}  front door  1.2 s  star begins  75%",
        "ended": f"{when}  front door  1.2–2.6 s  star  90%",
        "lost": f"{when}  front door  lost, and tried again: no picture for 10 s",
        "found": f"{when}  front door  found again after 17.5 s",
        "lagging": f"{when}  front door  lagging: pictures come 1.2 s late",
        "caught_up": f"{when}  front door  caught up after 3.0 s",
        "over": None,
    }
    assert as_line(report(Over(None))) == f"{when}  front door  ended"
    before = clock(WALL - 3, date=True)
    assert as_line(report(Begun(EVENT, WALL - 3))) == f"{before}  front door  1.2 s  star begins  75%"
    assert as_line(report(Ended(ENDED, WALL - 3))) == f"{before}  front door  1.2–2.6 s  star  90%"


def test_the_first_line_says_what_is_watched() -> None:
    when = clock(WALL, date=True)
    # By the names that its lines will have.
    named = "a/x.mp4, rtsp://cam/b"
    assert first_line(["a/x.mp4", "rtsp://cam/b"], "net", WALL) == f"{when}  watching {named} with net"
    assert first_line(list("abcdef"), "net", WALL).endswith("watching a, b, c, d and 2 more with net")


def test_the_clock_says_when_an_event_began_however_late_it_is_told() -> None:
    one = view("front door")
    tell(one, ["prediction"], "front door")
    one.take(report(Ended(ENDED, WALL - 3), "front door"))
    assert f"{clock(WALL - 3)}  1.2–2.6 s  star  90%" in seen(one)
