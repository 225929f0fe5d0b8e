"""Recordings joined into one file, each with a clock of its own: told from packets, without decoding."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

import av.error
from av.container import InputContainer
from av.video.stream import VideoStream

from movinet.video.timing import RESET

_TS_DISCONT = 0x200  # AVFMT_TS_DISCONT
_AHEAD = 10.0  # seconds; FFmpeg's own limit. Less may as well be frames that were lost on the way.


class Stored(Protocol):
    """The part of a packet that tells when its frame is decoded and shown, in ticks of time_base seconds."""

    @property
    def pts(self) -> int | None: ...
    @property
    def dts(self) -> int | None: ...
    @property
    def duration(self) -> int | None: ...
    @property
    def time_base(self) -> Fraction | None: ...
    @property
    def is_keyframe(self) -> bool: ...


class Seams:
    """Finds the first packets of the second recording and of each that follows.

    A jump of the clock without a jump in what it shows is not time. Where frames were lost, decoding is taken up again
    amid a picture; where a recording begins, with a key frame.
    """

    def __init__(self) -> None:
        self._last: float | None = None
        self._usual = 0.0  # seconds between packets

    def ahead(self, packet: Stored) -> bool:
        """Whether another recording, whose clock is ahead, begins with this packet; each in order of decoding."""
        return self.jump(packet) > 0

    def jump(self, packet: Stored) -> int:
        """1 where another recording begins whose clock is ahead, -1 where it is behind, else 0."""
        now = _seconds(packet.dts, packet)
        if now is None:
            return 0
        step = None if self._last is None else now - self._last
        self._last = now
        if step is None:
            self._usual = _seconds(packet.duration, packet) or 0.0
            return 0
        if step < -RESET:
            return -1
        if step > max(_AHEAD, 5 * self._usual) and packet.is_keyframe:
            return 1
        self._usual = step
        return 0


@dataclass(frozen=True)
class Extent:
    """How long a file's frames last by their packets, in seconds, and whether it is several recordings."""

    seconds: float
    joined: bool


def may_be_joined(container: InputContainer) -> bool:
    """Whether files of this format can be put one behind the other, clocks and all, as MPEG-TS can."""
    return bool(container.format.flags & _TS_DISCONT)


def extent(container: InputContainer, stream: VideoStream) -> Extent | None:
    """Reads all of a file's packets; None where none of them tells its time."""
    lasted, joined = 0.0, False
    first = end = None
    seams = Seams()
    for packet in _packets(container, stream):
        shown = _seconds(packet.dts if packet.pts is None else packet.pts, packet)
        if seams.jump(packet):
            joined = True
            lasted += (end or 0.0) - (first or 0.0)
            first = end = None
        if shown is None:
            continue
        until = shown + (_seconds(packet.duration, packet) or 0.0)
        first = shown if first is None else min(first, shown)
        end = until if end is None else max(end, until)
    if first is None or end is None:
        return None
    return Extent(lasted + end - first, joined)


def _packets(container: InputContainer, stream: VideoStream) -> Iterator[Stored]:
    try:
        for packet in container.demux(stream):
            if packet.size:
                yield packet
    except av.error.FFmpegError:
        return  # what can be read is what the video is


def _seconds(ticks: int | None, packet: Stored) -> float | None:
    return None if ticks is None else float(ticks * (packet.time_base or 0))
