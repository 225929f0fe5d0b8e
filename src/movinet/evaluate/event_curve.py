"""False alarms an hour against misses, for every threshold at once.

Events are those of `movinet.events.EventDetector`, `off` being a fixed share of `on`. Something that is there is found
by the first event of its label that begins within it or shortly after; every other event is a false alarm, also a
second one and one of a wrong label.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from movinet.evaluate.event_spans import EventRule, SpannedEvent, spanned_events
from movinet.evaluate.matching import Segment, is_in_reach

Floats = NDArray[np.float64]
Span = tuple[float, float]
"""Thresholds above the first and up to the second."""

FLOOR = 0.01
"""Thresholds up to this are not looked at: there everything is an event."""

_HAIR = 1e-6


@dataclass(frozen=True)
class StreamScores:
    """What a network said of a stream, and what was there.

    Args:
        times: (frames,) seconds, ascending.
        probabilities: (frames, labels).
        labels: by column.
        truth: what was there, of this stream.
        seconds: that the stream lasted.
    """

    times: ArrayLike
    probabilities: ArrayLike
    labels: Sequence[str]
    truth: Sequence[Segment]
    seconds: float


def hours_of_nothing(streams: Sequence[StreamScores], after: float = 2.0) -> float:
    """Hours in which nothing happens, and nothing has just happened."""
    total = 0.0
    for stream in streams:
        busy, until = 0.0, 0.0
        for segment in sorted(stream.truth, key=lambda s: s.start):
            end = min(stream.seconds, segment.end + after)
            busy += max(0.0, end - max(until, segment.start))
            until = max(until, end)
        total += stream.seconds - busy
    return total / 3600


@dataclass(frozen=True)
class EventCurve:
    """For `on` above thresholds[k - 1] and up to thresholds[k]: how many alarms were false, and what was missed."""

    thresholds: Floats  # ascending
    false_alarms: NDArray[np.int64]
    missed: NDArray[np.int64]
    there: int
    hours: float

    def at(self, on: float) -> tuple[float, float]:
        """False alarms an hour, and the share that is missed, with this threshold."""
        k = int(np.searchsorted(self.thresholds, on))
        if k == len(self.thresholds):
            return 0.0, 1.0
        share = self.missed[k] / self.there if self.there else float("nan")
        return float(self.false_alarms[k] / self.hours), float(share)

    def lowest_on(self, false_alarms_an_hour: float) -> float:
        """The lowest threshold, but for a hair, from which on false alarms an hour are never more than that; above
        1 where there always are."""
        beyond = np.flatnonzero(self.false_alarms / self.hours > false_alarms_an_hour)
        return self.on_of(int(beyond[-1]) + 1 if len(beyond) else 0)

    def on_of(self, k: int) -> float:
        """A threshold near the lower end of the k-th interval, but not so near that rounding decides."""
        low = float(self.thresholds[k - 1]) if k else FLOOR
        high = float(self.thresholds[k]) if k < len(self.thresholds) else np.inf
        return low + min(_HAIR, (high - low) / 2)


class LabelSpans(NamedTuple):
    """Of one label: thresholds for which there is each event, and for which each thing that is there is found."""

    begun: list[Span]
    found: list[list[Span]]


def event_curve(
    streams: Sequence[StreamScores],
    rule: EventRule = EventRule(),  # noqa: B008  it is frozen
    *,
    after: float = 2.0,
    background: frozenset[str] = frozenset(),
) -> EventCurve:
    """False alarms and misses of streams for every threshold above `FLOOR`.

    Args:
        streams: at least one.
        rule: of the detector.
        after: seconds after its end within which something may be found.
        background: labels that are no events, and not to be found.

    Raises:
        ValueError: no streams, or shapes that do not match.
    """
    if not streams:
        raise ValueError("there are no streams")
    spans = [label_spans(stream, rule, after=after, background=background) for stream in streams]
    return curve_of([one for of_stream in spans for one in of_stream.values()], sum(s.seconds for s in streams) / 3600)


def label_spans(
    stream: StreamScores, rule: EventRule, *, after: float, background: frozenset[str]
) -> Mapping[str, LabelSpans]:
    """By label, what `curve_of` counts; also of labels that are there and the network does not know.

    Raises:
        ValueError: shapes that do not match.
    """
    times, probabilities = np.asarray(stream.times, np.float64), np.asarray(stream.probabilities, np.float64)
    if probabilities.shape != (len(times), len(stream.labels)):
        raise ValueError(f"{probabilities.shape} are not the probabilities of {len(times)} frames")
    by_label: dict[str, list[Segment]] = {label: [] for label in stream.labels}
    for segment in sorted(stream.truth, key=lambda s: s.start):
        by_label.setdefault(segment.label, []).append(segment)
    spans = {}
    for column, (label, there) in enumerate(by_label.items()):
        if label in background:
            continue
        found: list[list[Span]] = [[] for _ in there]
        events: list[SpannedEvent] = []
        if column < len(stream.labels):
            events = list(spanned_events(np.ascontiguousarray(probabilities[:, column]), times, rule, FLOOR))
        _assign(events, times, there, after, found)
        spans[label] = LabelSpans([(event.low, event.high) for event in events], found)
    return spans


def curve_of(spans: Sequence[LabelSpans], hours: float) -> EventCurve:
    """The curve of what labels and streams have together."""
    begun = np.array([span for one in spans for span in one.begun]).reshape(-1, 2)
    found = np.array([span for one in spans for hits in one.found for span in hits]).reshape(-1, 2)
    there = sum(len(one.found) for one in spans)
    thresholds = np.unique(np.concatenate([begun.ravel(), found.ravel()]))
    thresholds = thresholds[thresholds > FLOOR]
    events, hits = _covering(begun, thresholds), _covering(found, thresholds)
    return EventCurve(thresholds, events - hits, there - hits, there, hours)


def _assign(
    events: Sequence[SpannedEvent],
    times: Floats,
    there: Sequence[Segment],
    after: float,
    finds: list[list[Span]],
) -> None:
    """What each event finds. Where it begins within reach of several, the earliest that no event before it found."""
    for event in events:
        spans = [(event.low, event.high)]
        for n, segment in enumerate(there):
            if not is_in_reach(segment, times[event.start], after):
                continue
            left = []
            for span in spans:
                free = _without(span, finds[n])
                left += _without(span, free)
                finds[n] += free
            spans = left
            if not spans:
                break


def _without(span: Span, others: Sequence[Span]) -> list[Span]:
    """What of a span of thresholds is in none of the others."""
    pieces = [span]
    for low, high in others:
        pieces = [piece for a, b in pieces for piece in ((a, min(b, low)), (max(a, high), b)) if piece[0] < piece[1]]
    return pieces


def _covering(spans: Floats, thresholds: Floats) -> NDArray[np.int64]:
    """How many spans hold each threshold."""
    changes = np.zeros(len(thresholds) + 1, np.int64)
    np.add.at(changes, np.searchsorted(thresholds, spans[:, 0], side="right"), 1)
    np.add.at(changes, np.searchsorted(thresholds, spans[:, 1], side="right"), -1)
    return np.cumsum(changes)[:-1]
