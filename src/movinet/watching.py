"""A live source recognised as it plays: predictions, events and figures, and how a terminal shows them."""

import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from movinet.events import Event, EventDetector
from movinet.prediction import Prediction
from movinet.recognizer import Recognizer
from movinet.video.frame import Frame
from movinet.words import counted


class Source(Protocol):
    """Frames as they come, such as a `LiveSource`, and what was lost of them."""

    @property
    def dropped(self) -> int: ...

    @property
    def reconnects(self) -> int: ...

    def __iter__(self) -> Iterator[Frame]: ...


@dataclass(frozen=True)
class Glance:
    """Everything known after one frame of a live source."""

    prediction: Prediction
    ended: list[Event]  # with this frame
    running: list[Event]
    fps: float  # predictions a second over the last few
    step_ms: float  # from frame to answer
    dropped: int  # frames that were due and missed
    reconnects: int

    def figures(self) -> dict[str, float]:
        """How the watching itself goes, for programs."""
        return {
            "fps": round(self.fps, 2),
            "step_ms": round(self.step_ms, 2),
            "dropped": self.dropped,
            "reconnects": self.reconnects,
        }


def watch(
    recognizer: Recognizer, source: Source, detector: EventDetector, seconds: float | None = None
) -> Iterator[Glance]:
    """Recognise what a live source shows until it ends.

    Args:
        recognizer: of a stream network.
        source: entered already.
        detector: turns probabilities into events; after the last frame its `finish` has the rest.
        seconds: of the source to watch; None for all.

    Raises:
        VideoError: the source was lost for good.
    """
    observer = Observer(source, detector)
    for frame in source:
        begin = time.perf_counter()
        prediction = recognizer.push(frame, frame.time)
        if prediction is not None:
            yield observer.glance(prediction, begin)
        if seconds is not None and frame.time >= seconds:
            return


class Observer:
    """Keeps the figures of one source."""

    def __init__(self, source: Source, detector: EventDetector) -> None:
        self.source, self.detector = source, detector
        self._times: deque[float] = deque(maxlen=20)

    def glance(self, prediction: Prediction, began: float) -> Glance:
        """After a prediction whose frame came at `began` by `time.perf_counter`."""
        now = time.perf_counter()
        self._times.append(now)
        fps = (len(self._times) - 1) / (now - self._times[0]) if len(self._times) > 1 else 0.0
        ended, step_ms = self.detector.push(prediction), 1e3 * (now - began)
        source = self.source
        return Glance(prediction, ended, self.detector.running, fps, step_ms, source.dropped, source.reconnects)


class View:
    """What the terminal shows of a watched source."""

    def __init__(self, source: str, model: str, topk: int = 5, past_events: int = 6) -> None:
        self.source, self.model, self.topk = source, model, topk
        self._ended: deque[Event] = deque(maxlen=past_events)

    def render(self, glance: Glance) -> RenderableType:
        """The picture after a frame."""
        self._ended.extend(glance.ended)
        return Group(self._title(), self._bars(glance), self._figures(glance), self._events(glance.running))

    def _title(self) -> Text:
        return Text.assemble((self.source, "bold"), "  ", (self.model, "dim"))

    def _bars(self, glance: Glance) -> Table:
        table = Table.grid(padding=(0, 1))
        table.add_column(width=28, no_wrap=True, overflow="ellipsis")  # steady, however labels change
        table.add_column(justify="right", width=4, no_wrap=True)
        table.add_column(width=40, no_wrap=True)  # last, where a narrow terminal cuts
        for n, (label, probability) in enumerate(glance.prediction.top(self.topk)):
            style = "bold green" if n == 0 else "default"
            bar = ProgressBar(total=1.0, completed=probability, width=40, complete_style="green" if n == 0 else "blue")
            table.add_row(Text(label, style=style), Text(f"{probability:4.0%}", style=style), bar)
        return table

    def _figures(self, glance: Glance) -> Text:
        lost = f" · {counted(glance.reconnects, 'reconnect')}" if glance.reconnects else ""
        return Text(
            f"{glance.prediction.time:7.1f} s · {glance.fps:.1f} frames/s · {glance.step_ms:.0f} ms a frame · "
            f"{glance.dropped} dropped{lost}",
            style="dim",
        )

    def _events(self, running: list[Event]) -> RenderableType:
        table = Table.grid(padding=(0, 2))
        for event in self._ended:
            table.add_row(f"{event.start:.1f}–{event.end:.1f} s", Text(event.label), f"{event.confidence:.0%}")
        for event in running:
            row = (f"{event.start:.1f}–", event.label, f"{event.confidence:.0%}")
            table.add_row(*(Text(cell, style="bold yellow") for cell in row))
        return table
