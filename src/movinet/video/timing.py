"""Which frame is shown when. Plain numbers; knows no decoder."""

import math
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from typing import Protocol, TypeVar

T = TypeVar("T")

LATE = 1e-3
"""Seconds by which every instant is sampled late, because Matroska and FLV round time stamps to the millisecond: at
30 frames a second the third frame is stored at 0.067 but asked for at 0.0667."""

RESET = 1.0
"""Seconds. A clock that steps back further than this has started anew; less is a frame out of order."""

FILLED = 60.0
"""Seconds for which at most a frame is repeated until the next: a still, or a hole, of hours tells nothing more."""

_SEAM = 5.0  # seconds that a clock steps ahead at least where recordings are known to have been joined


def at_rate(
    timed: Iterable[tuple[float, float, T]],
    fps: float | None,
    start: float = 0.0,
    end: float | None = None,
    on_hole: Callable[[float, float], None] = lambda begin, end: None,
) -> Iterator[tuple[float, T]]:
    """What is on screen at start + k/fps, for k = 0, 1, … before `end`.

    On screen at t is the last frame whose time is at most t + `LATE`; the last frame of all stays for its duration.
    So a faster source loses frames, a slower one repeats them, and nothing drifts. A frame is repeated for `FILLED`
    seconds at most; the instants from there to the next frame are left out. Without fps: every frame with
    start ≤ time < end, once.

    Args:
        timed: (time, duration, frame) in order of time, seconds; the first no later than `start`.
        on_hole: Called with the seconds from and to which instants were left out.

    Yields:
        (time, frame), the time being start + k/fps, or the frame's own where fps is None.
    """
    limit = float("inf") if end is None else end
    shown: tuple[float, float, T] | None = None  # (since when, when it goes, frame)
    k = 0
    for time, duration, frame in timed:
        if fps is None:
            if time + LATE >= limit:
                return
            if time + LATE >= start:
                yield time, frame
            continue
        if shown is not None:
            for t in _until(min(time, limit), k, fps, start, shown[0], on_hole):
                yield t, shown[2]
            k = _first_from(time, fps, start, k)
            if start + k / fps + LATE >= limit:
                return
        shown = (time, time + duration, frame)
    if fps is not None and shown is not None:
        for t in _until(min(shown[1], limit), k, fps, start, shown[0], on_hole):
            yield t, shown[2]


def _until(
    end: float, k: int, fps: float, start: float, since: float, on_hole: Callable[[float, float], None]
) -> Iterator[float]:
    """The instants from number k on at which a frame is shown that came at `since` and goes at `end`."""
    filled = max(since, start) + FILLED
    while (t := start + k / fps) + LATE < end:
        if t > filled:
            on_hole(t, end)
            return
        yield t
        k += 1


def _first_from(time: float, fps: float, start: float, k: int) -> int:
    """The number of the first instant, k or later, that is not before `time`."""
    k = max(k, math.ceil((time - LATE - start) * fps) - 1)
    while start + k / fps + LATE < time:
        k += 1
    return k


def at_times(timed: Iterable[tuple[float, float, T]], times: Iterable[float]) -> Iterator[tuple[float, T]]:
    """What is on screen at given instants, by the rule of `at_rate`; the first and last frame of all stay for ever.

    Args:
        timed: (time, duration, frame) in order of time, seconds.
        times: Seconds, ascending. Equal ones give the same frame again.

    Yields:
        (time, frame) for each of `times`; nothing where there is no frame at all.
    """
    wanted = iter(times)
    t = next(wanted, None)
    shown: list[T] = []  # at most one
    for time, _, frame in timed:
        while shown and t is not None and t + LATE < time:
            yield t, shown[0]
            t = next(wanted, None)
        if t is None:
            return
        shown = [frame]
    while shown and t is not None:
        yield t, shown[0]
        t = next(wanted, None)


class Stamped(Protocol):
    """The part of a decoded frame a `Clock` reads: stamps and duration in ticks of time_base seconds."""

    @property
    def pts(self) -> int | None: ...
    @property
    def dts(self) -> int | None: ...
    @property
    def duration(self) -> int: ...
    @property
    def time_base(self) -> Fraction | None: ...


class Clock:
    """Seconds since the first frame, for frames as they leave the decoder, that is in order of display.

    Time stamps come from the presentation time; from the decoding time where presentation times keep going backwards
    (AVI, which stores none and lets the demuxer guess); from the frame before where there is neither, or where the
    stamp repeats (some files stamp every frame with 0). A clock that was reset midway (joined recordings) goes on
    where it was, and so does one that jumps ahead after `joined`.

    Args:
        rate: Frames a second to assume where frames tell no duration.
        trust_pts: False for a container without presentation times.
    """

    def __init__(self, rate: float, trust_pts: bool = True) -> None:
        self.offset: float | None = None  # seconds to add to a stamp
        self._period = 1 / rate
        self._time: float | None = None
        self._duration = 0.0
        self._last_stamp: float | None = None
        self._last_pts = self._last_dts = float("-inf")
        self._faults = 0 if trust_pts else 1  # more presentation than decoding times out of order
        self._seams = 0  # beginnings of recordings whose frames are still to come

    def joined(self) -> None:
        """Packets were met that begin another recording, with a clock that is ahead."""
        self._seams += 1

    def read(self, frame: Stamped) -> tuple[float, float] | None:
        """(time, duration) of the next frame in seconds; None where it is out of order or cannot be placed."""
        stamp = self._stamp(frame)
        if stamp is not None and stamp == self._last_stamp:
            stamp = None
        else:
            self._last_stamp = stamp
        if self._time is None and self.offset is not None:  # just after a seek
            if stamp is None:
                return None
            following = stamp + self.offset
        else:
            following = 0.0 if self._time is None else self._time + self._duration
        if stamp is None:
            time = following
        else:
            if self.offset is None or self._has_begun_anew(stamp + self.offset, following):
                self.offset = following - stamp
            time = stamp + self.offset
        if self._time is not None and time < self._time:
            return None
        if frame.duration > 0:
            self._duration = _seconds(frame.duration, frame)
        elif self._time is not None and time > self._time:
            self._duration = time - self._time
        else:
            self._duration = self._duration or self._period
        self._time = time
        return time, max(self._duration, 2 * LATE)  # no frame is too short to be seen

    def _has_begun_anew(self, time: float, following: float) -> bool:
        if self._time is None:
            return False
        if self._seams and time > following + _SEAM:
            self._seams -= 1
            return True
        return time < self._time - RESET

    def seeked(self) -> None:
        """Forget the frame before: the next is somewhere else."""
        self._time = self._last_stamp = None
        self._seams = 0
        self._last_pts = self._last_dts = float("-inf")

    def _stamp(self, frame: Stamped) -> float | None:
        """Seconds on the container's own clock; chooses as FFmpeg's best-effort time stamp does."""
        if frame.dts is not None:
            self._faults -= frame.dts <= self._last_dts
            self._last_dts = frame.dts
        if frame.pts is not None:
            self._faults += frame.pts <= self._last_pts
            self._last_pts = frame.pts
        if frame.dts is None and self._faults > 0 and self._last_dts > float("-inf"):
            return None  # the last frames that a decoder held back; their presentation times are not to be trusted
        ticks = frame.pts if frame.dts is None or (self._faults <= 0 and frame.pts is not None) else frame.dts
        return None if ticks is None else _seconds(ticks, frame)


class Ticks:
    """Chooses, from frames that arrive when they like, those nearest to the ticks of a clock at `fps`.

    Half the usual gap between arrivals counts as on time, so that a camera at the wanted rate loses nothing to jitter.
    """

    def __init__(self, fps: float) -> None:
        self._period = 1 / fps
        self._gap = 0.0  # seconds between arrivals, smoothed
        self._last: float | None = None
        self._next = float("-inf")

    def due(self, now: float) -> bool:
        """Whether the frame arriving now (seconds) is wanted."""
        if self._last is not None:
            gap = min(now - self._last, self._period)
            self._gap = gap if self._gap == 0.0 else 0.9 * self._gap + 0.1 * gap
        self._last = now
        if now < self._next - self._gap / 2:
            return False
        late = now - self._next
        self._next = now + self._period if late > self._period else self._next + self._period
        return True


class Pace:
    """Which frames of a live stream its network takes, by the frames' own times; any rate of arrival will do.

    Args:
        fps: Frames a second the network expects.
        max_gap: Seconds between frames that break a stream off; three of the network's frames at least.
    """

    def __init__(self, fps: float, max_gap: float) -> None:
        self.fps = fps
        self._period = 1.0 / fps
        self.max_gap = max(max_gap, 3 * self._period)
        self._last: float | None = None  # time of the last frame that came
        self._next: float | None = None  # when the network wants its next

    def is_gap(self, time: float) -> bool:
        """Whether frames are missing between the last frame and this one, or time ran backwards.

        Raises:
            ValueError: the time is no number; nothing has changed.
        """
        if not math.isfinite(time):
            raise ValueError(f"a frame's time is {time}; want seconds, or None where it has no time")
        return self._last is not None and not 0 <= time - self._last <= self.max_gap

    def is_due(self, time: float) -> bool:
        """Whether the network wants the frame that comes now; to be asked once for every frame.

        Raises:
            ValueError: as `is_gap`.
        """
        if self.is_gap(time) or self._next is None:
            self._next = time
        self._last = time
        if time < self._next - 5e-4:  # time stamps are rounded
            return False
        # The network's clock ticks on; where frames come too late for it, it starts anew from the one that came.
        tick = self._next + self._period
        self._next = tick if time < tick else time + self._period
        return True

    def restart(self) -> None:
        """Whichever frame comes next is the first."""
        self._last = self._next = None


def _seconds(ticks: int, frame: Stamped) -> float:
    return float(ticks * (frame.time_base or 0))
