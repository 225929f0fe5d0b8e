"""What a person sees of sources that are watched, one or many: on a terminal, or as plain lines where there is none."""

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions
from rich.text import Text

from movinet.errors import printable
from movinet.events import Event
from movinet.live.report import Begun, Changed, Ended, Figures, Over, Report, Seen
from movinet.prediction import Prediction
from movinet.video.camera.changes import Change
from movinet.words import counted

_PAST = 100  # events that are remembered
_EVENTS = 6  # lines of them, where there is room for all sources
_FEWEST = 2  # where there is not
_WIDE, _NARROW = 100, 60  # columns


def clock(wall: float, date: bool = False) -> str:
    """Unix time in seconds as a local clock shows it."""
    return time.strftime("%Y-%m-%d %H:%M:%S" if date else "%H:%M:%S", time.localtime(wall))


def as_line(report: Report) -> str | None:
    """What a report is worth where there is no terminal: a line for an event that has begun or ended, with the time at
    which it began, and for what became of a source."""
    wall = report.wall
    match report.what:
        case Begun(event, began):
            wall = report.wall if began is None else began
            words = f"{event.start:.1f} s  {event.label} begins  {event.confidence:.0%}"
        case Ended(event, began):
            wall = report.wall if began is None else began
            words = f"{_span(event)}  {event.label}  {event.confidence:.0%}"
        case Changed(change):
            words = _words(change)
        case Over(None):
            words = "ended"
        case _:
            return None
    return printable(f"{clock(wall, date=True)}  {report.source}  {words}")


def first_line(sources: Sequence[str], model: str, wall: float) -> str:
    """What is said at once where there is no terminal."""
    names = ", ".join(sources[:4]) + (f" and {len(sources) - 4} more" if len(sources) > 4 else "")
    return printable(f"{clock(wall, date=True)}  watching {names} with {model}")


@dataclass
class _Row:
    """What is known of a source."""

    seen: Prediction | None = None
    running: tuple[Event, ...] = ()
    figures: Figures | None = None
    change: Change | None = None  # the last
    over: Over | None = None

    @property
    def lost(self) -> Change | None:
        """Since when and why there are no pictures."""
        return self.change if self.change is not None and self.change.kind == "lost" else None

    @property
    def lagging(self) -> bool:
        return self.change is not None and self.change.kind == "lagging"


@dataclass
class _Told:
    """An event and when it began."""

    source: str
    event: Event
    wall: float


@dataclass
class View:
    """A picture of everything so far, for Rich to render again and again, as wide and high as the terminal is.

    Args:
        sources: their names.
        model: what recognizes them, in a word.
        topk: labels shown of a source that is alone.
        now: tells Unix time in seconds.
    """

    sources: Sequence[str]
    model: str
    topk: int = 5
    now: Callable[[], float] = time.time
    _rows: dict[str, _Row] = field(init=False)
    _running: dict[tuple[str, str, float], _Told] = field(init=False, default_factory=dict)
    _past: deque[_Told] = field(init=False, default_factory=lambda: deque(maxlen=_PAST))
    _lock: threading.Lock = field(init=False, default_factory=threading.Lock)  # it is rendered in another thread

    def __post_init__(self) -> None:
        self._rows = {source: _Row() for source in self.sources}

    def take(self, report: Report) -> None:
        """Note what is new."""
        with self._lock:
            row = self._rows[report.source]
            row.figures = report.figures
            match report.what:
                case Seen(prediction, running):
                    row.seen, row.running = prediction, running
                    for event in running:  # surer than when it began, maybe
                        if known := self._running.get((report.source, event.label, event.start)):
                            known.event = event
                case Begun(event, wall):
                    told = _Told(report.source, event, report.wall if wall is None else wall)
                    self._running[report.source, event.label, event.start] = told
                case Ended(event, wall):
                    begun = self._running.pop((report.source, event.label, event.start), None)
                    began = begun.wall if begun else report.wall if wall is None else wall
                    self._past.append(_Told(report.source, event, began))
                case Changed(change):
                    row.change = change
                    if change.kind == "lost":
                        row.seen, row.running = None, ()
                case Over():
                    row.over, row.running = report.what, ()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        width = options.max_width
        with self._lock:
            lines = list(self._lines(width, max(4, console.size.height - 1)))
        for line in lines:
            line.truncate(width, overflow="ellipsis")
            line.no_wrap = True
            yield line

    def _lines(self, width: int, height: int) -> Iterator[Text]:
        yield self._title()
        if len(self._rows) == 1:
            ((name, row),) = self._rows.items()
            yield from self._alone(name, row, width)
            yield from self._events(max(_FEWEST, height - self.topk - 4))
            return
        events = min(_EVENTS, len(self._past) + len(self._running))
        room = height - 1 - events
        if len(self._rows) > room:
            events = min(_FEWEST, events)
            room = height - 1 - events
        shown = list(self._rows.items())
        hidden: list[tuple[str, _Row]] = []
        if len(shown) > room:
            shown, hidden = shown[: room - 1], shown[room - 1 :]
        names = max(cell_len(_short(name)) for name in self.sources)
        for name, row in shown:
            yield self._row(name, row, width, min(names, max(8, width // 4)))
        if hidden:
            lost = [name for name, row in hidden if _state(row) == "lost"]
            said = Text(f"and {len(hidden)} more", style="dim")
            yield said.append(f", {len(lost)} lost: {', '.join(map(_short, lost))}", "bold red") if lost else said
        yield from self._events(events)

    def _title(self) -> Text:
        states = [_state(row) for row in self._rows.values()]
        title = Text()
        if len(states) > 1:
            title.append(f"{len(states)} sources · ")
            for state, style in (("lost", "bold red"), ("given up", "bold red"), ("lagging", "bold yellow")):
                if count := states.count(state):
                    title.append(f"{count} {state}", style).append(" · ", "dim")
        return title.append(f"{printable(self.model)} · {clock(self.now())}", "dim")

    def _alone(self, name: str, row: _Row, width: int) -> Iterator[Text]:
        state = _state(row)
        if state in ("lost", "given up", "opening", "ended"):
            yield self._row(name, row, width, min(cell_len(_short(name)), width // 2))
        else:
            yield Text(printable(name), "bold" if state == "fine" else "bold yellow")
        if row.seen is not None:
            labels = min(28, max(12, width // 3))
            for n, (label, probability) in enumerate(row.seen.top(self.topk)):
                style = ("bold green" if n == 0 else "default") if row.over is None else "dim"
                line = Text(f"{set_cell_size(printable(label), labels)} {probability:4.0%} ", style)
                yield line.append(_bar(probability, max(0, min(40, width - labels - 7)), "green" if n == 0 else "blue"))
        if (figures := row.figures) is None:
            return
        if row.seen is not None and row.over is None:
            said = f"{row.seen.time:.1f} s · {figures.fps:.1f} frames/s · {figures.step_ms:.0f} ms a frame · "
            lag = f"lag {figures.source.lag:.1f} s"
            yield Text.assemble((said, "dim"), (lag, "bold yellow" if row.lagging else "dim"))
        if left_out := _left_out(figures):
            yield Text(left_out, "dim")

    def _row(self, name: str, row: _Row, width: int, names: int) -> Text:
        state = _state(row)
        title = set_cell_size(_fitted(_short(name), names), names)
        if state == "opening":
            return Text.assemble((title, "dim"), (" opening …", "dim"))
        if state == "lost":
            assert row.lost is not None
            since = row.lost.wall - row.lost.seconds
            return Text.assemble(
                (title, "dim strike"),
                (f" lost {_ago(self.now() - since)}", "bold red"),
                (f", since {clock(since)}: {printable(row.lost.why)}", "dim"),
            )
        if state == "given up":
            assert row.over is not None
            why = printable(str(row.over.error)).removeprefix(f"{printable(name)}: ")
            return Text.assemble((title, "dim strike"), (" given up: ", "bold red"), (why, "red"))
        if state == "ended":
            lost = "" if row.lost is None else f", lost since {clock(row.lost.wall - row.lost.seconds)}: {row.lost.why}"
            return Text.assemble((title, "dim"), (f" ended{printable(lost)}", "dim"))
        line = Text(title)
        assert row.figures is not None
        if row.seen is None:
            return line.append(" found, no answer yet", "dim")
        if width >= _WIDE:
            line.append(" ").append(_bar(row.seen.confidence, 12, "green"))
        labels = 16 if width >= _NARROW else max(6, width - names - 7)
        line.append(f" {row.seen.confidence:4.0%} {set_cell_size(_fitted(printable(row.seen.label), labels), labels)}")
        if width >= _NARROW:
            line.append(f" {row.figures.fps:4.1f}/s", "dim")
            lag = f" lag {row.figures.source.lag:4.1f} s"
            line.append(lag, "bold yellow" if row.lagging else "dim")
        for event in row.running:
            line.append(f" {printable(event.label)}", "bold yellow")
        return line.append(f" {_left_out(row.figures)}", "dim")

    def _events(self, most: int) -> Iterator[Text]:
        several = len(self._rows) > 1
        running = sorted(self._running.values(), key=lambda told: told.wall)[-most:] if most else []
        left = most - len(running)
        for told in [*(list(self._past)[-left:] if left else ()), *running]:
            where = f"  {_fitted(_short(told.source), 24)}" if several else ""
            event = told.event
            words = f"{clock(told.wall)}{where}  {_span(event)}  {printable(event.label)}  {event.confidence:.0%}"
            yield Text(words, "bold yellow" if event.end is None else "")


def _short(name: str) -> str:
    """A name as there is room for it: of an address what tells it from others, of a file its name."""
    _, found, rest = name.partition("://")
    return printable(rest if found else os.path.basename(name) or name)


def _state(row: _Row) -> str:
    if row.over is not None:
        return "given up" if row.over.error is not None else "ended"
    if row.lost is not None:
        return "lost"
    if row.figures is None:
        return "opening"
    return "lagging" if row.lagging else "fine"


def _words(change: Change) -> str:
    match change.kind:
        case "lost":
            return f"lost, and tried again: {change.why}"
        case "found":
            return f"found again after {change.seconds:.1f} s"
        case "lagging":
            return f"lagging: {change.why}"
        case "caught_up":
            return f"caught up after {change.seconds:.1f} s"


def _left_out(figures: Figures) -> str:
    source = figures.source
    said: Iterable[tuple[int, str]] = (
        (source.late, f"{source.late} late"),
        (source.dropped, f"{source.dropped} dropped"),
        (source.damaged, f"{source.damaged} damaged"),
        (source.reconnects, counted(source.reconnects, "reconnect")),
    )
    return ", ".join(words for count, words in said if count)


def _span(event: Event) -> str:
    return f"{event.start:.1f}–{'' if event.end is None else f'{event.end:.1f} s'}"


def _ago(seconds: float) -> str:
    whole = max(0, int(seconds))
    if whole < 100:
        return f"{whole} s"
    return f"{whole // 60} min" if whole < 6000 else f"{whole // 3600} h"


def _bar(share: float, width: int, style: str) -> Text:
    full = round(share * width)
    return Text.assemble(("━" * full, style), ("─" * (width - full), "dim"))


def _fitted(text: str, width: int) -> str:
    return text if cell_len(text) <= width else f"{set_cell_size(text, width - 1)}…"
