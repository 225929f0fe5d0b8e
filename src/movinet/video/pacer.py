"""Which frames a network is shown, of a file or of a stream that is running. Plain numbers; knows no decoder.

Both pacers are asked twice: before decoding whether a packet's frame can be wanted at all, and after it.
"""

import math
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TypeVar

from movinet.video.timing import LATE

T = TypeVar("T")

FILLED = 60.0
"""Seconds for which at most a frame is repeated until the next: a still, or a hole, of hours tells nothing more."""

_ROUNDED = 5e-4  # seconds by which stamps may be early, since many are rounded to milliseconds
_EARLY = 0.75  # of the usual time between frames by which one may be early; jitter of 30 % moves two apart by 0.6
_REMEMBERED = 10  # frames over which the usual time between frames is taken


@dataclass(frozen=True)
class FilePacer:
    """What is on screen at start + k/fps, for k = 0, 1, … before `end`, or at given instants.

    On screen at t is the last frame whose time is at most t + `LATE`. So a faster source loses frames, a slower one
    repeats them, and nothing drifts. Without fps and times every frame with start ≤ time < end comes once.

    Args:
        fps: Frames a second wanted; None for those there are.
        start, end: Seconds.
        times: Instants instead, ascending seconds. Equal ones give the same frame again.

    Raises:
        ValueError: Times that descend.
    """

    fps: float | None = None
    start: float = 0.0
    end: float | None = None
    times: Sequence[float] | None = None

    def __post_init__(self) -> None:
        if self.times is not None and any(later < earlier for earlier, later in pairwise(self.times)):
            raise ValueError("times must ascend")

    def instant(self, k: int) -> float | None:
        """Number k of the instants in seconds; None where they have ended."""
        if self.times is not None:
            return self.times[k] if k < len(self.times) else None
        assert self.fps is not None
        t = self.start + k / self.fps
        return t if self.end is None or t + LATE < self.end else None

    @cached_property
    def last(self) -> float | None:
        """The last instant; None where there is none, or no last."""
        if self.times is not None:
            return self.times[-1] if self.times else None
        if self.fps is None or self.end is None:
            return None
        k = self.first_from(self.end)
        while (t := self.instant(k)) is None and k > 0:
            k -= 1
        return t

    @property
    def takes_all(self) -> bool:
        """Whether each frame comes once."""
        return self.times is None and self.fps is None

    @property
    def stays(self) -> bool:
        """Whether the first and last frame of all are on screen for ever."""
        return self.times is not None

    def first_from(self, time: float, k: int = 0) -> int:
        """The number of the first instant, k or later, at which a frame of this time is on screen."""
        if self.times is not None:
            return bisect_left(self.times, time, lo=min(k, len(self.times)), key=_sampled)
        assert self.fps is not None
        k = max(k, math.ceil((time - LATE - self.start) * self.fps) - 1)
        while (t := self.instant(k)) is not None and t + LATE < time:
            k += 1
        return k

    def wants(self, begin: float, end: float) -> bool:
        """Whether an instant falls to a frame that is on screen from `begin` to `end`, exclusive."""
        if self.takes_all:
            return begin + LATE >= self.start and (self.end is None or begin + LATE < self.end)
        t = self.instant(self.first_from(begin))
        return t is not None and t + LATE < end

    def shown(
        self,
        timed: Iterable[tuple[float, float, T]],
        on_hole: Callable[[float, float], None] = lambda begin, end: None,
    ) -> Iterator[tuple[float, T]]:
        """Frames at the instants at which they are on screen.

        At a rate, the last frame of all stays for its duration, and each is repeated for `FILLED` seconds at most; the
        instants from there to the next frame are left out. At given instants the first and last frame stay for ever.

        Args:
            timed: (time, duration, frame) in order of time, seconds; the first no later than the first instant. Of
                those that `wants` refuses some or all may be absent.
            on_hole: Called with the seconds from and to which instants were left out.

        Yields:
            (time, frame), the time being the instant, or the frame's own where there are neither fps nor times.
        """
        if self.takes_all:
            yield from self._every(timed)
            return
        last: tuple[float, float, T] | None = None  # (since when, when it goes, frame)
        k = 0
        for time, duration, frame in timed:
            if last is not None:
                for t in self._until(time, k, math.inf if self.stays else max(last[0], self.start) + FILLED, on_hole):
                    yield t, last[2]
                k = self.first_from(time, k)
            if self.instant(k) is None:
                return
            last = time, math.inf if self.stays else time + duration, frame
        if last is not None:
            for t in self._until(last[1], k, math.inf if self.stays else max(last[0], self.start) + FILLED, on_hole):
                yield t, last[2]

    def _every(self, timed: Iterable[tuple[float, float, T]]) -> Iterator[tuple[float, T]]:
        for time, _, frame in timed:
            if self.end is not None and time + LATE >= self.end:
                return
            if time + LATE >= self.start:
                yield time, frame

    def _until(self, end: float, k: int, filled: float, on_hole: Callable[[float, float], None]) -> Iterator[float]:
        """The instants from number k on before `end`, but none after `filled`."""
        while (t := self.instant(k)) is not None and t + LATE < end:
            if t > filled:
                on_hole(t, end if self.end is None else min(end, self.end))
                return
            yield t
            k += 1


def _sampled(t: float) -> float:
    return t + LATE


class LivePacer:
    """Which frames of a running stream its network takes, by the frames' own times: the first from each tick on.

    Ticks are at whole multiples of 1/fps from the first frame and never drift. No frame is taken twice, and none is
    waited for: where the source is slower than the network, its frames are taken as they come. A frame may be early by
    a part of the source's own usual period, so that one near the network's rate loses nothing to jitter.

    Args:
        fps: Frames a second the network expects.
        max_gap: Seconds between frames that break a stream off; three of the network's frames at least.
    """

    def __init__(self, fps: float, max_gap: float = 2.0) -> None:
        self.fps = fps
        self._period = 1.0 / fps
        self.max_gap = max(max_gap, 3 * self._period)
        self._last: float | None = None  # time of the latest frame that came
        self._next = 0.0  # when the network wants its next
        self._usual = 0.0  # seconds between frames that came
        self._intervals = 0  # that this was taken from, up to _REMEMBERED

    def wants(self, time: float, coming: Iterable[float] = ()) -> bool:
        """Whether a packet's frame can be due, as things stand; asked in order of decoding, it changes nothing.

        Args:
            time: Seconds, of the packet's frame.
            coming: Times of frames that are being decoded. One that is shown before this one may fill its tick.

        Raises:
            ValueError: As `is_gap`.
        """
        if self.is_gap(time) or self._last is None or self._intervals < _REMEMBERED:
            return True
        early, unsure = self._early(), self._usual / 5  # what is usual may change before frames come out
        tick = self._next
        for other in sorted(other for other in coming if other < time):
            if other >= tick - early + unsure:
                tick = self._following(tick, other, early)
        return time >= tick - early - unsure

    def is_gap(self, time: float) -> bool:
        """Whether frames are missing between the last frame and this one, or time ran backwards by more than a frame
        of the network's, as when a clock was set.

        Raises:
            ValueError: The time is no number; nothing has changed.
        """
        if not math.isfinite(time):
            raise ValueError(f"a frame's time is {time}; want seconds, or None where it has no time")
        return self._last is not None and not -self._period <= time - self._last <= self.max_gap

    def is_due(self, time: float) -> bool:
        """Whether the network takes the frame that comes now; to be asked once for every frame, in order.

        Raises:
            ValueError: As `is_gap`.
        """
        if self.is_gap(time) or self._last is None:
            self._last, self._next = time, time + self._period
            return True
        if time <= self._last:
            return False
        early = self._early() if self._intervals else None
        self.passed(time)
        early = self._early() if early is None else early
        if time < self._next - early:
            return False
        self._next = self._following(self._next, time, early)
        return True

    def passed(self, time: float) -> None:
        """A frame that is not wanted was left undecoded: the source's period is known from it all the same. Between
        the frames that `is_due` is asked for, in order."""
        if self._last is None or not 0 < time - self._last <= self.max_gap:
            return
        between = min(time - self._last, 2 * self._period)
        self._intervals = min(self._intervals + 1, _REMEMBERED)
        self._usual += (between - self._usual) / self._intervals
        self._last = time

    def restart(self) -> None:
        """Whichever frame comes next is the first."""
        self._last = None

    def _following(self, tick: float, time: float, early: float) -> float:
        """The next tick where a frame of this time was taken for one."""
        tick += self._period
        if time > tick + early:  # no frame came for this one
            tick += self._period * (math.floor((time - tick) / self._period) + 1)
        return tick

    def _early(self) -> float:
        return max(_ROUNDED, _EARLY * min(self._usual, self._period))
