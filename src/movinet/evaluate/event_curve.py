"""False alarms an hour against misses, for every threshold at once.

An event of a label begins where its probability reaches `on` and ends where it falls below `off`, as in
`movinet.events`; `off` is a fixed share of `on`. Something that is there is found by the first event of its label that
begins within it or shortly after; every other event is a false alarm, also a second one and one of a wrong label.
For which thresholds an event begins at a frame follows from the frames before it, so nothing is run twice.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from movinet.evaluate.matching import Segment, is_in_reach

Floats = NDArray[np.float64]


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
        """The lowest threshold from which on there are never more false alarms an hour than that; above all where
        there always are."""
        allowed = self.false_alarms / self.hours <= false_alarms_an_hour
        beyond = np.flatnonzero(~allowed)
        if not len(beyond):
            return 0.0
        last = beyond[-1]
        return float(np.nextafter(self.thresholds[last], np.inf))


def event_curve(
    streams: Sequence[StreamScores],
    *,
    off_share: float = 0.6,
    after: float = 2.0,
    background: frozenset[str] = frozenset(),
) -> EventCurve:
    """False alarms and misses of streams for every threshold.

    Args:
        streams: at least one.
        off_share: `off` as a share of `on`, in (0, 1].
        after: seconds after its end within which something may be found.
        background: labels that are no events, and not to be found.

    Raises:
        ValueError: no streams, or shapes that do not match.
    """
    if not streams or not 0 < off_share <= 1:
        raise ValueError(f"want streams, and off as a share of on in (0, 1]; got {len(streams)} and {off_share}")
    begun: list[tuple[float, float]] = []  # of every event, the thresholds from (exclusive) and to which it begins
    found: list[list[tuple[float, float]]] = []  # of everything there, those of events that find it
    for stream in streams:
        times, probabilities = np.asarray(stream.times, np.float64), np.asarray(stream.probabilities, np.float64)
        if probabilities.shape != (len(times), len(stream.labels)):
            raise ValueError(f"{probabilities.shape} are not the probabilities of {len(times)} frames")
        known = set(stream.labels)
        found += [[] for segment in stream.truth if segment.label not in known | background]
        for column, label in enumerate(stream.labels):
            if label in background:
                continue
            there = sorted((s for s in stream.truth if s.label == label), key=lambda s: s.start)
            finds: list[list[tuple[float, float]]] = [[] for _ in there]
            events = list(_events(probabilities[:, column], off_share))
            begun += [(low, high) for _, low, high in events]
            _assign(events, times, there, after, finds)
            found += finds
    return _counted(begun, found, sum(stream.seconds for stream in streams) / 3600)


def _events(curve: Floats, off_share: float) -> Iterator[tuple[int, float, float]]:
    """(frame, low, high): an event begins there for every threshold `on` with low < on ≤ high.

    It begins if the probability reaches `on` and no event runs: if since the last frame that reached `on` one fell
    below `off`, or none ever reached it.
    """
    for t, p in enumerate(curve):
        highest, lowest = -np.inf, np.inf  # of the frames between an earlier frame and this one
        for u in range(t - 1, -1, -1):
            reached = curve[u]
            if reached > highest:
                # For highest < on ≤ reached, u is the last frame that reached `on`: did a later one fall below `off`?
                low, high = max(highest, lowest / off_share), min(reached, p)
                if low < high:
                    yield t, low, high
                highest = reached
            if highest >= p:
                break
            lowest = min(lowest, reached)
        else:
            if max(highest, 0.0) < p:  # no frame before reached it
                yield t, max(highest, 0.0), p


def _assign(
    events: Sequence[tuple[int, float, float]],
    times: Floats,
    there: Sequence[Segment],
    after: float,
    finds: list[list[tuple[float, float]]],
) -> None:
    """What each event finds. Where it begins within reach of several, the earliest that no event before it found."""
    for t, low, high in events:
        spans = [(low, high)]
        for n, segment in enumerate(there):
            if not is_in_reach(segment, times[t], after):
                continue
            left = []
            for span in spans:
                free = _without(span, finds[n])
                left += _without(span, free)
                finds[n] += free
            spans = left
            if not spans:
                break


def _without(span: tuple[float, float], others: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """What of a span of thresholds is in none of the others."""
    pieces = [span]
    for low, high in others:
        pieces = [piece for a, b in pieces for piece in ((a, min(b, low)), (max(a, high), b)) if piece[0] < piece[1]]
    return pieces


def _counted(
    begun: Sequence[tuple[float, float]], found: Sequence[Sequence[tuple[float, float]]], hours: float
) -> EventCurve:
    ends = {0.0}
    for spans in (begun, *found):
        ends.update(end for span in spans for end in span)
    thresholds = np.array(sorted(end for end in ends if end > 0))
    events, hits = (_covering(spans, thresholds) for spans in (begun, [s for spans in found for s in spans]))
    return EventCurve(thresholds, events - hits, len(found) - hits, len(found), hours)


def _covering(spans: Sequence[tuple[float, float]], thresholds: Floats) -> NDArray[np.int64]:
    """How many spans hold each threshold."""
    changes = np.zeros(len(thresholds) + 1, np.int64)
    for low, high in spans:
        changes[np.searchsorted(thresholds, low, side="right")] += 1
        changes[np.searchsorted(thresholds, high, side="right")] -= 1
    return np.cumsum(changes)[:-1]
