"""From probabilities that flicker to events with a beginning and an end."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from movinet.prediction import Prediction

_NONE: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Event:
    """Something that happened: from `start` to `end` seconds (None while it lasts), at most this sure."""

    label: str
    start: float
    end: float | None
    confidence: float


@dataclass(frozen=True)
class Thresholds:
    """When a label's events begin and end, and how brief they may be; None: as for all labels."""

    on: float | None = None
    off: float | None = None
    shortest: float | None = None


class EventDetector:
    """Events by hysteresis: a label begins when its probability reaches `on` and ends when it falls below `off`.

    Args:
        on: probability in (0, 1] at which an event begins.
        off: probability below which it ends, less than `on`.
        shortest: seconds; briefer events are not reported.
        ignore: labels that are no events, such as `other`.
        by_label: other thresholds for some labels.

    Raises:
        ValueError: thresholds that make no sense, for all labels or for one.
    """

    def __init__(
        self,
        on: float = 0.5,
        off: float = 0.3,
        shortest: float = 0.0,
        ignore: frozenset[str] = frozenset(),
        by_label: Mapping[str, Thresholds] = _NONE,
    ) -> None:
        self.on, self.off, self.shortest, self.ignore = on, off, shortest, ignore
        _check(on, off, shortest)
        self._by_label = {}
        for label, own in by_label.items():
            self._by_label[label] = thresholds = (
                on if own.on is None else own.on,
                off if own.off is None else own.off,
                shortest if own.shortest is None else own.shortest,
            )
            _check(*thresholds, label)
        self._least_on = min([on, *(thresholds[0] for thresholds in self._by_label.values())])
        self.begun: list[Event] = []
        """Events told as begun with the last `push` or `finish`; they have lasted `shortest`."""
        self._running: dict[int, Event] = {}
        self._told: set[int] = set()  # of those running, which were told as begun
        self._last_time = 0.0

    @property
    def running(self) -> list[Event]:
        """Events that have begun and not ended."""
        return list(self._running.values())

    def push(self, prediction: Prediction) -> list[Event]:
        """Take the next prediction of a stream; returns the events that ended with it, and sets `begun`."""
        ended, self.begun = [], []
        # Thresholds compare alike whichever way they are crossed.
        probabilities = prediction.probabilities.astype(float)
        for index in sorted({*self._running, *(probabilities >= self._least_on).nonzero()[0].tolist()}):
            probability, event = float(probabilities[index]), self._running.get(index)
            label = prediction.info.label(index)
            on, off, shortest = self._thresholds(label)
            if event is None:
                if label in self.ignore or probability < on:
                    continue
                event = self._running[index] = Event(label, prediction.time, None, probability)
            elif probability < off:
                ended += self._end(index, prediction.time)
                continue
            else:
                event = Event(label, event.start, None, max(event.confidence, probability))
                self._running[index] = event
            if index not in self._told and prediction.time - event.start >= shortest:
                self._told.add(index)
                self.begun.append(event)
        self._last_time = prediction.time
        return ended

    def finish(self) -> list[Event]:
        """The stream is over, or broken off: ends what is still running with the last prediction."""
        self.begun = []
        return [event for index in list(self._running) for event in self._end(index, self._last_time)]

    def _thresholds(self, label: str) -> tuple[float, float, float]:
        return self._by_label.get(label, (self.on, self.off, self.shortest))

    def _end(self, index: int, time: float) -> list[Event]:
        """The event as it is told; nothing of one too brief."""
        event = self._running.pop(index)
        told = index in self._told
        self._told.discard(index)
        if not told and time - event.start < self._thresholds(event.label)[2]:
            return []
        if not told:
            self.begun.append(event)
        return [Event(event.label, event.start, time, event.confidence)]


def _check(on: float, off: float, shortest: float, label: str | None = None) -> None:
    of = "" if label is None else f"{label}: "
    if not 0 < off < on <= 1:
        raise ValueError(f"{of}want 0 < off < on <= 1, got on={on} and off={off}")
    if not 0 <= shortest < float("inf"):
        raise ValueError(f"{of}shortest is {shortest}; want seconds, at least 0")
