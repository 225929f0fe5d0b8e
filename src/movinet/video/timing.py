"""When a frame is shown, by the stamps it carries. Plain numbers; knows no decoder."""

from fractions import Fraction
from typing import Protocol

LATE = 1e-3
"""Seconds by which every instant is sampled late, because Matroska and FLV round time stamps to the millisecond: at
30 frames a second the third frame is stored at 0.067 but asked for at 0.0667."""

RESET = 1.0
"""Seconds. A clock that steps back further than this has started anew; less is a frame out of order."""

_SEAM = 5.0  # seconds that a clock steps ahead at least where recordings are known to have been joined


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

    def time_of(self, ticks: int, base: Fraction) -> float | None:
        """Seconds of a frame that has yet to come, by its presentation stamp; None before the first frame was read."""
        return None if self.offset is None else _seconds(ticks, base) + self.offset

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
            self._duration = _seconds(frame.duration, frame.time_base)
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
        return None if ticks is None else _seconds(ticks, frame.time_base)


def _seconds(ticks: int, base: Fraction | None) -> float:
    """What float(ticks * base) is, to the bit, in a tenth of its time: fractions are reduced at every step."""
    if base is None:
        return 0.0
    numerator, denominator = base.as_integer_ratio()
    return ticks * numerator / denominator
