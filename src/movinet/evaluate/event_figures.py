"""What events cost with given thresholds: false alarms an hour, misses, delays, with intervals over streams."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from movinet.evaluate.event_curve import StreamScores
from movinet.evaluate.matching import is_in_reach
from movinet.events import Event, EventDetector
from movinet.prediction import Prediction
from movinet.weights.info import WeightsInfo
from movinet.weights.operating_point import Interval, OperatingPoint

_RESAMPLES = 2000
_FEWEST = 5  # streams to draw anew; of fewer the counts alone tell how sure figures are
_NO_ALARMS = 3.0  # with none in T hours, 95 % say that there are fewer than 3 / T an hour
_SURE = 1.96  # standard deviations


@dataclass(frozen=True)
class LabelFigures:
    """Of one label."""

    there: int
    found: int
    false_alarms: int


@dataclass(frozen=True)
class EventFigures:
    """What thresholds give."""

    hours: float
    there: int
    false_alarms_an_hour: Interval
    missed: Interval | None  # share; None where nothing is there
    delay: tuple[float, float] | None  # from the end of what happens until it is told: median, 95th percentile; seconds
    by_label: dict[str, LabelFigures]


@dataclass(frozen=True)
class _Counted:
    hours: float
    false: dict[str, int]
    found: dict[str, int]
    there: dict[str, int]
    delays: list[float]
    alarms: list[Event]


def event_figures(
    streams: Sequence[StreamScores], info: WeightsInfo, point: OperatingPoint, *, after: float = 2.0, seed: int = 0
) -> EventFigures:
    """Run the detector, and count.

    Args:
        streams: what a network said, and what was there.
        info: of its weights.
        point: thresholds, and the labels that are no events.
        after: seconds after its end within which something may be found.
        seed: of the intervals: streams are drawn anew, whole. Of fewer than five streams they are those of counts of
            independent things.
    """
    counted = [_count(stream, info, point, after) for stream in streams]
    hours = np.array([one.hours for one in counted])
    false = np.array([sum(one.false.values()) for one in counted])
    found = np.array([sum(one.found.values()) for one in counted])
    there = np.array([sum(one.there.values()) for one in counted])
    delays = [delay for one in counted for delay in one.delays]
    labels = sorted({label for one in counted for label in (*one.there, *one.false)})
    by_label = {
        label: LabelFigures(
            *(sum(getattr(one, what).get(label, 0) for one in counted) for what in ("there", "found", "false"))
        )
        for label in labels
    }
    middle, late = np.percentile(delays, [50, 95]) if delays else (0.0, 0.0)
    return EventFigures(
        float(hours.sum()),
        int(there.sum()),
        _alarms(false, hours, seed),
        _missed(there - found, there, seed),
        (float(middle), float(late)) if delays else None,
        by_label,
    )


def false_alarms(stream: StreamScores, info: WeightsInfo, point: OperatingPoint, *, after: float = 2.0) -> list[Event]:
    """The events that thresholds give and that find nothing, as in `event_figures`."""
    return _count(stream, info, point, after).alarms


def _count(stream: StreamScores, info: WeightsInfo, point: OperatingPoint, after: float) -> _Counted:
    counted = _Counted(stream.seconds / 3600, {}, {}, {}, [], [])
    left = sorted((s for s in stream.truth if s.label not in point.ignore), key=lambda s: s.start)
    for segment in left:
        counted.there[segment.label] = counted.there.get(segment.label, 0) + 1
    for event, told in _begun(stream, info, point):
        fits = next((s for s in left if s.label == event.label and is_in_reach(s, event.start, after)), None)
        tally = counted.false if fits is None else counted.found
        tally[event.label] = tally.get(event.label, 0) + 1
        if fits is None:
            counted.alarms.append(event)
        else:
            left.remove(fits)
            counted.delays.append(told - fits.end)
    return counted


def _begun(stream: StreamScores, info: WeightsInfo, point: OperatingPoint) -> list[tuple[Event, float]]:
    """Every event with the time at which it is told."""
    detector, begun = EventDetector.at(point), []
    times = np.asarray(stream.times, np.float64).tolist()
    for n, probabilities in enumerate(np.asarray(stream.probabilities, np.float32)):
        detector.push(Prediction(times[n], n + 1, probabilities, info))
        begun += [(event, times[n]) for event in detector.begun]
    return begun


def _alarms(false: NDArray[np.int64], hours: NDArray[np.float64], seed: int) -> Interval:
    count, time = int(false.sum()), float(hours.sum())
    if not count:
        return Interval(0.0, 0.0, _NO_ALARMS / time)
    if len(false) >= _FEWEST:
        drawn = _drawn(len(false), seed)
        return _interval(count / time, false[drawn].sum(1) / hours[drawn].sum(1))
    # Of a Poisson distribution, by Byar's approximation.
    low = count * (1 - 1 / (9 * count) - _SURE / (3 * count**0.5)) ** 3
    high = (count + 1) * (1 - 1 / (9 * (count + 1)) + _SURE / (3 * (count + 1) ** 0.5)) ** 3
    return Interval(count / time, max(0.0, low) / time, high / time)


def _missed(missed: NDArray[np.int64], there: NDArray[np.int64], seed: int) -> Interval | None:
    count, n = int(missed.sum()), int(there.sum())
    if not n:
        return None
    share = count / n
    if (there > 0).sum() >= _FEWEST and 0 < count < n:
        drawn = _drawn(len(there), seed)
        return _interval(share, _share(missed[drawn].sum(1), there[drawn].sum(1)))
    # Wilson's interval of a share.
    z = _SURE**2 / n
    middle, half = share + z / 2, (share * (1 - share) * z + z**2 / 4) ** 0.5
    low, high = (middle - half) / (1 + z), (middle + half) / (1 + z)
    return Interval(share, max(0.0, min(low, share)), min(1.0, max(high, share)))


def _drawn(count: int, seed: int) -> NDArray[np.int64]:
    return np.random.default_rng(seed).integers(count, size=(_RESAMPLES, count))


def _interval(value: float, drawn: NDArray[np.float64]) -> Interval:
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    return Interval(value, float(low), float(high))


def _share(part: ArrayLike, whole: ArrayLike) -> NDArray[np.float64]:
    part, whole = np.asarray(part, np.float64), np.asarray(whole, np.float64)
    return np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole > 0)
