"""Many live sources watched at once: a thread for each, one pool for all, one table on the terminal."""

import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import CancelledError
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from movinet.errors import MovinetError
from movinet.events import Event, EventDetector
from movinet.runtime.pool import StreamPool
from movinet.video.container import is_address
from movinet.watching import Glance, Observer, Source

_WAITING = 4  # reports of a source that may wait to be looked at


class LiveSource(Source, AbstractContextManager["LiveSource"], Protocol):
    """A source that is not yet entered, such as `movinet.video.live.LiveSource`."""


@dataclass(frozen=True)
class Report:
    """News of one source: a glance, or that it is over."""

    source: str
    glance: Glance | None  # None: it has ended, or was lost for good
    error: MovinetError | None = None  # why it was lost
    ended: tuple[Event, ...] = ()  # with this report


def watch_many(
    pool: StreamPool,
    sources: Mapping[str, LiveSource],
    new_detector: Callable[[], EventDetector],
    memory: float | None = None,
    seconds: float | None = None,
) -> Iterator[Report]:
    """Recognise what live sources show, each at its own pace, until all have ended.

    A source that is slow, silent or lost holds up none of the others. Closing the iterator closes the sources.

    Args:
        pool: with a place for every source.
        sources: by the names the reports give.
        new_detector: turns a source's probabilities into events.
        memory: see `StreamPool.join`.
        seconds: of every source to watch; None for all.
    """
    reports: queue.Queue[Report] = queue.Queue(_WAITING * max(1, len(sources)))
    stop = threading.Event()

    def tell(report: Report) -> None:
        while not stop.is_set():
            try:
                return reports.put(report, timeout=0.1)
            except queue.Full:
                continue

    def follow(name: str, source: LiveSource) -> None:
        detector, error = new_detector(), None
        observer = Observer(source, detector)
        try:
            with source, pool.join(memory=memory) as stream:
                for frame in source:
                    began = time.perf_counter()
                    answer = stream.submit(frame, frame.time)
                    if answer is not None:
                        glance = observer.glance(answer.result(), began)
                        tell(Report(name, glance, ended=tuple(glance.ended)))
                    if stop.is_set() or (seconds is not None and frame.time >= seconds):
                        break
        except CancelledError:
            pass  # the pool was closed
        except MovinetError as lost:
            error = lost
        except Exception as fault:  # of one source: the others go on
            error = MovinetError(f"{name}: {fault!r}")
        tell(Report(name, None, error, tuple(detector.finish())))

    threads = [
        threading.Thread(target=follow, args=item, name="movinet-watch", daemon=True) for item in sources.items()
    ]
    for thread in threads:
        thread.start()
    left = len(threads)
    try:
        while left:
            report = reports.get()
            left -= report.glance is None
            yield report
    finally:
        stop.set()
        for thread in threads:
            thread.join(2.0)


class Wall:
    """What the terminal shows of many sources: a row each."""

    def __init__(self, sources: list[str], model: str) -> None:
        self.model = model
        self._rows: dict[str, Report | None] = dict.fromkeys(sources)
        self._last: dict[str, Event] = {}

    def take(self, report: Report) -> None:
        """Remember the newest report of a source."""
        before = self._rows[report.source]
        if report.glance is None and report.error is None and before is not None:
            report = Report(report.source, before.glance, None, report.ended)  # it ended: what it showed last stays
        self._rows[report.source] = report
        if report.ended:
            self._last[report.source] = report.ended[-1]

    def render(self) -> Table:
        """The table."""
        table = Table(box=None, header_style="dim", pad_edge=False, title=Text(self.model), title_justify="left")
        for heading, options in (("source", {"max_width": 28}), ("", {"width": 12}), ("", {"min_width": 16})):
            table.add_column(heading, no_wrap=True, overflow="ellipsis", **options)  # type: ignore[arg-type]
        for heading in ("frames/s", "ms", "dropped"):
            table.add_column(heading, justify="right", no_wrap=True)
        table.add_column("events", no_wrap=True, overflow="ellipsis")
        for source, report in self._rows.items():
            name = source if is_address(source) else Path(source).name
            table.add_row(Text(name or source), *self._cells(source, report))
        return table

    def _cells(self, source: str, report: Report | None) -> list[Text | ProgressBar]:
        if report is None:
            return [Text(""), Text("opening …", style="dim")]
        if report.error is not None:
            return [Text(""), Text(f"lost: {report.error}", style="red")]
        if report.glance is None:
            return [Text(""), Text("ended", style="dim")]
        glance, prediction = report.glance, report.glance.prediction
        events = Text(", ".join(event.label for event in glance.running), style="bold yellow")
        if not glance.running and (last := self._last.get(source)) is not None and last.end is not None:
            events = Text(f"{last.label} {last.start:.1f}–{last.end:.1f} s", style="dim")
        return [
            ProgressBar(total=1.0, completed=prediction.confidence, width=12, complete_style="green"),
            Text(f"{prediction.confidence:4.0%} {prediction.label}"),
            Text(f"{glance.fps:.1f}"),
            Text(f"{glance.step_ms:.0f}"),
            Text(str(glance.dropped)),
            events,
        ]
