"""From what a network says of streams to thresholds that keep to so many false alarms an hour and miss the least."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from movinet.evaluate.event_curve import EventCurve, LabelSpans, StreamScores, curve_of, label_spans
from movinet.evaluate.event_spans import EventRule
from movinet.weights.operating_point import OperatingPoint, Thresholds

_SHORTEST = (1, 2, 3)  # periods of the network's frames that are tried
_REFRACTORY = (0.5, 1.0, 2.0)  # seconds
_OFF_SHARE = (0.3, 0.8)
_ENOUGH = 20  # times that a label must be there to get thresholds of its own
_FEWEST_STREAMS = 4  # to choose on some and judge on others
_MOST_SHARE = 1 - 1e-9  # off is less than on


@dataclass(frozen=True)
class Choice:
    """Thresholds, and the curve that they are a point of where all labels have the same."""

    point: OperatingPoint  # without figures
    curve: EventCurve
    own: tuple[str, ...]  # labels with thresholds of their own


@dataclass(frozen=True)
class _Scored:
    """Of streams: by label, a stream each, what curves are counted from."""

    spans: list[Mapping[str, LabelSpans]]
    hours: list[float]

    def curve(self, streams: Sequence[int], labels: frozenset[str] | None = None) -> EventCurve:
        """Of some streams and labels; of all labels by default."""
        chosen = [one for n in streams for label, one in self.spans[n].items() if labels is None or label in labels]
        return curve_of(chosen, sum(self.hours[n] for n in streams))


def choose_point(
    streams: Sequence[StreamScores],
    target: float,
    *,
    fps: float,
    after: float = 2.0,
    background: frozenset[str] = frozenset(),
    off_share: float | None = None,
    warm_up: float = 0.0,
) -> Choice:
    """The lowest threshold that keeps to a rate of false alarms; how brief events may be, how long a label rests and
    when events end, where another choice misses less; and thresholds of single labels, where they do better on streams
    that they were not chosen on.

    Args:
        streams: what a network said, and what was there.
        target: false alarms an hour.
        fps: of the network.
        after: seconds after its end within which something may be found.
        background: labels that are no events.
        off_share: off as a share of on, where it is not to be chosen.
        warm_up: seconds of a stream in which nothing begins.

    Raises:
        ValueError: no streams, or shapes that do not match.
    """
    if not streams:
        raise ValueError("there are no streams")

    def scored(rule: EventRule) -> _Scored:
        spans = [label_spans(stream, rule, after=after, background=background) for stream in streams]
        return _Scored(spans, [stream.seconds / 3600 for stream in streams])

    every = range(len(streams))
    rule = EventRule(0.6 if off_share is None else off_share, warm_up=warm_up)
    best = scored(rule)
    curve = best.curve(every)
    tried: dict[str, tuple[float, ...]] = {"shortest": tuple(n / fps for n in _SHORTEST), "refractory": _REFRACTORY}
    if off_share is None:
        tried["off_share"] = _OFF_SHARE
    for name, values in tried.items():
        plain = rule
        for value in values:
            other = scored(candidate := replace(plain, **{name: value}))
            gained = _missed(curve, target) - _missed(other.curve(every), target)
            if gained > _margin(curve.there):
                best, curve, rule = other, other.curve(every), candidate
    own = _own_labels(best, target)
    thresholds = _thresholds(best, every, target, own)
    on = thresholds.pop("", None) or _lowest(curve, target)
    off = min(rule.off_share, _MOST_SHARE)
    point = OperatingPoint(
        on,
        on * off,
        rule.shortest,
        rule.refractory,
        rule.warm_up,
        {label: Thresholds(value, value * off) for label, value in sorted(thresholds.items())},
        tuple(sorted(background)),
        fps=fps,
    )
    return Choice(point, curve, tuple(sorted(thresholds)))


def label_thresholds(curves: Mapping[str, EventCurve], most: float) -> dict[str, float]:
    """`on` of every label, so that together they have at most so many false alarms and miss little.

    Each label misses the least at a common price of a false alarm; the price is the lowest that keeps to the number.

    Args:
        curves: by label.
        most: false alarms, of all labels together.
    """
    priced = {label: _monotone(curve) for label, curve in curves.items()}

    def at(price: float) -> dict[str, int]:
        return {label: int(np.argmin(missed + price * false)) for label, (false, missed) in priced.items()}

    def alarms(chosen: Mapping[str, int]) -> float:
        return float(sum(priced[label][0][k] for label, k in chosen.items()))

    low, high = 0.0, 1e6
    if alarms(at(low)) > most:
        for _ in range(60):
            middle = (low * high) ** 0.5 if low else high / 1e3
            low, high = (middle, high) if alarms(at(middle)) > most and middle > 1e-9 else (low, middle)
            if low and high / low < 1 + 1e-6:
                break
    else:
        high = 0.0
    return {label: min(1.0, curves[label].on_of(k)) for label, k in at(high).items()}


def _own_labels(scored: _Scored, target: float) -> frozenset[str]:
    """Labels that gain by thresholds of their own: chosen on one half of the streams and judged on the other."""
    every = range(len(scored.hours))
    labels = {label for spans in scored.spans for label in spans}
    known = {label: scored.curve(every, frozenset({label})).there for label in labels}
    own = frozenset(label for label, there in known.items() if there >= _ENOUGH)
    if not own or len(scored.hours) < _FEWEST_STREAMS:
        return frozenset()
    halves = (list(every[::2]), list(every[1::2]))
    together = apart = 0.0
    for chosen_on, judged_on in (halves, halves[::-1]):
        false, missed = _counts(scored, judged_on, _thresholds(scored, chosen_on, target, own), own)
        whole = scored.curve(judged_on)
        apart += missed
        together += _missed(whole, false / whole.hours)  # of one threshold with as many false alarms
    return own if apart + _margin(sum(known.values())) < together else frozenset()


def _thresholds(scored: _Scored, streams: Sequence[int], target: float, own: frozenset[str]) -> dict[str, float]:
    """`on` of some labels, and of all others together under no name; nothing without such labels."""
    if not own:
        return {}
    others = frozenset(label for spans in scored.spans for label in spans) - own
    curves = {label: scored.curve(streams, frozenset({label})) for label in own}
    curves[""] = scored.curve(streams, others)
    hours = sum(scored.hours[n] for n in streams)
    found = label_thresholds(curves, target * hours)
    if not others:
        found[""] = _lowest(scored.curve(streams), target)
    return found


def _counts(
    scored: _Scored, streams: Sequence[int], on: Mapping[str, float], own: frozenset[str]
) -> tuple[float, float]:
    """False alarms and misses of streams with the thresholds of some labels, and of all others together."""
    others = frozenset(label for spans in scored.spans for label in spans) - own
    false = missed = 0.0
    for label, value in on.items():
        curve = scored.curve(streams, frozenset({label}) if label else others)
        rate, share = curve.at(value)
        false += rate * curve.hours
        missed += share * curve.there if curve.there else 0.0
    return false, missed


def _monotone(curve: EventCurve) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """False alarms, never fewer at a lower threshold, and misses; the last entry is above all thresholds."""
    false = np.append(curve.false_alarms, 0)
    return np.maximum.accumulate(false[::-1])[::-1], np.append(curve.missed, curve.there)


def _lowest(curve: EventCurve, target: float) -> float:
    return min(1.0, curve.lowest_on(target))


def _missed(curve: EventCurve, target: float) -> float:
    """How many are missed at the target."""
    return curve.at(_lowest(curve, target))[1] * curve.there if curve.there else 0.0


def _margin(there: int) -> float:
    """By how much another choice must miss less to be taken."""
    return max(1.0, 0.01 * there)
