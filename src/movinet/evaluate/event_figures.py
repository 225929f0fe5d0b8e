"""What events cost with one threshold: false alarms an hour, misses, delays, with intervals over streams."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from movinet.evaluate.event_curve import StreamScores
from movinet.evaluate.matching import is_in_reach
from movinet.events import Event, EventDetector
from movinet.prediction import Prediction
from movinet.weights.info import WeightsInfo

_RESAMPLES = 2000
_NO_ALARMS = 3.0  # with none in T hours, 95 % say that there are fewer than 3 / T an hour


@dataclass(frozen=True)
class Interval:
    """A figure, and where it lies with 95 %."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class LabelFigures:
    """Of one label."""

    there: int
    found: int
    false_alarms: int


@dataclass(frozen=True)
class EventFigures:
    """What one threshold gives."""

    on: float
    off: float
    hours: float
    there: int
    false_alarms_an_hour: Interval
    missed: Interval  # share
    delay: tuple[float, float] | None  # from the end of what happens to its event: median, 95th percentile; seconds
    by_label: dict[str, LabelFigures]


@dataclass(frozen=True)
class _Counted:
    hours: float
    false: dict[str, int]
    found: dict[str, int]
    there: dict[str, int]
    delays: list[float]


def event_figures(
    streams: Sequence[StreamScores],
    info: WeightsInfo,
    on: float,
    off: float,
    *,
    after: float = 2.0,
    background: frozenset[str] = frozenset(),
    seed: int = 0,
) -> EventFigures:
    """Run the detector, and count.

    Args:
        streams: what a network said, and what was there.
        info: of its weights.
        on, off: as `EventDetector`.
        after: seconds after its end within which something may be found.
        background: labels that are no events.
        seed: of the intervals: streams are drawn anew, whole.
    """
    counted = [_count(stream, info, on, off, after, background) for stream in streams]
    hours = np.array([one.hours for one in counted])
    false = np.array([sum(one.false.values()) for one in counted])
    found = np.array([sum(one.found.values()) for one in counted])
    there = np.array([sum(one.there.values()) for one in counted])
    drawn = np.random.default_rng(seed).integers(len(counted), size=(_RESAMPLES, len(counted)))
    alarms = _interval(false.sum() / hours.sum(), false[drawn].sum(1) / hours[drawn].sum(1))
    if not false.sum():
        alarms = Interval(0.0, 0.0, _NO_ALARMS / float(hours.sum()))
    missed = _interval(
        _share(there.sum() - found.sum(), there.sum()), _share((there - found)[drawn].sum(1), there[drawn].sum(1))
    )
    delays = [delay for one in counted for delay in one.delays]
    middle, late = np.percentile(delays, [50, 95]) if delays else (0.0, 0.0)
    labels = sorted({label for one in counted for label in (*one.there, *one.false)})
    by_label = {
        label: LabelFigures(
            *(sum(getattr(one, what).get(label, 0) for one in counted) for what in ("there", "found", "false"))
        )
        for label in labels
    }
    return EventFigures(
        on,
        off,
        float(hours.sum()),
        int(there.sum()),
        alarms,
        missed,
        (float(middle), float(late)) if delays else None,
        by_label,
    )


def _count(
    stream: StreamScores, info: WeightsInfo, on: float, off: float, after: float, background: frozenset[str]
) -> _Counted:
    counted = _Counted(stream.seconds / 3600, {}, {}, {}, [])
    left = sorted((s for s in stream.truth if s.label not in background), key=lambda s: s.start)
    for segment in left:
        counted.there[segment.label] = counted.there.get(segment.label, 0) + 1
    for event in _begun(stream, info, on, off, background):
        fits = next((s for s in left if s.label == event.label and is_in_reach(s, event.start, after)), None)
        tally = counted.false if fits is None else counted.found
        tally[event.label] = tally.get(event.label, 0) + 1
        if fits is not None:
            left.remove(fits)
            counted.delays.append(event.start - fits.end)
    return counted


def _begun(stream: StreamScores, info: WeightsInfo, on: float, off: float, background: frozenset[str]) -> list[Event]:
    detector, begun = EventDetector(on, off, ignore=background), []
    times = np.asarray(stream.times, np.float64)
    for n, probabilities in enumerate(np.asarray(stream.probabilities, np.float32)):
        detector.push(Prediction(float(times[n]), n + 1, probabilities, info))
        begun += detector.begun
    return begun


def _interval(value: ArrayLike, drawn: NDArray[np.float64]) -> Interval:
    low, high = np.nanquantile(drawn, [0.025, 0.975]) if np.isfinite(drawn).any() else (np.nan, np.nan)
    return Interval(float(np.asarray(value)), float(low), float(high))


def _share(part: ArrayLike, whole: ArrayLike) -> NDArray[np.float64]:
    part, whole = np.asarray(part, np.float64), np.asarray(whole, np.float64)
    return np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole > 0)
