"""The events of one label's probabilities for every threshold at once.

`movinet.events.EventDetector` is followed for all thresholds `on` together: at every frame the thresholds fall into
few intervals, in each of which the detector is in one state.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from movinet.events import lasts

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class EventRule:
    """All of an `EventDetector` but `on`.

    Args:
        off_share: `off` as a share of `on`, in (0, 1].
        shortest, refractory, warm_up: seconds, as of the detector.
    """

    off_share: float = 0.6
    shortest: float = 0.0
    refractory: float = 0.0
    warm_up: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.off_share <= 1:
            raise ValueError(f"off is a share of on in (0, 1], not {self.off_share}")


class SpannedEvent(NamedTuple):
    """An event that there is for every threshold with low < on ≤ high."""

    start: int  # frame with which it begins
    told: int  # frame with which it is reported: it has lasted `shortest`
    low: float
    high: float


class _State(NamedTuple):
    """Of the detector: an event began with a frame, or the last reported one ended at a time."""

    start: int = -1
    told: bool = False
    over: float = -np.inf


_IDLE = _State()


def spanned_events(curve: Floats, times: Floats, rule: EventRule, floor: float) -> Iterator[SpannedEvent]:
    """Every event of a label, with the thresholds for which it is one; those of one threshold in their order.

    Args:
        curve: (frames,) the label's probabilities.
        times: (frames,) seconds, ascending.
        rule: the detector's.
        floor: thresholds up to this are not looked at.
    """
    if not len(curve):
        return
    share, most = rule.off_share, max(1.0, float(curve.max()))
    beginning = np.flatnonzero(curve > floor).tolist()  # frames with which something may begin
    values, seconds = curve.tolist(), times.tolist()
    spans: list[tuple[float, _State]] = [(most, _IDLE)]  # up to which threshold, in which state
    place, t = 0, 0
    while t < len(values):
        if len(spans) == 1 and spans[0][1].start < 0:  # nothing runs: on to where something may begin
            while place < len(beginning) and beginning[place] < t:
                place += 1
            if place == len(beginning):
                return
            t = beginning[place]
        p, now = values[t], seconds[t]
        ends_above = p / share
        may_begin = lasts(seconds[0], now, rule.warm_up)
        new: list[tuple[float, _State]] = []
        low = floor
        for high, state in spans:
            cuts = [cut for cut in (p, ends_above) if low < cut < high]
            for upper in (*cuts, high):
                after = _after(state, t, now, upper <= p, upper > ends_above, may_begin, seconds, rule)
                if after.told and not state.told and after.start >= 0:
                    yield SpannedEvent(after.start, t, low, upper)
                    if after.over > -np.inf:  # reported as it ended
                        after = _State(over=after.over)
                if new and new[-1][1] == after:
                    new[-1] = (upper, after)
                else:
                    new.append((upper, after))
                low = upper
        spans = new
        t += 1


def _after(
    state: _State,
    t: int,
    now: float,
    reached: bool,
    fallen: bool,
    may_begin: bool,
    seconds: list[float],
    rule: EventRule,
) -> _State:
    """The state after a frame, of thresholds that it reached, or below whose `off` it fell."""
    start, told, over = state
    if start < 0:
        if over > -np.inf and lasts(over, now, rule.refractory):
            over, state = -np.inf, _IDLE
        if not (reached and may_begin and over == -np.inf):
            return state
        return _State(t, lasts(now, now, rule.shortest))
    if fallen:
        if told:
            return _State(over=now)
        return _State(start, True, now) if lasts(seconds[start], now, rule.shortest) else _IDLE
    if not told and lasts(seconds[start], now, rule.shortest):
        return _State(start, True)
    return state
