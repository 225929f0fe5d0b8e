"""Files played live: at their own pace, from the beginning again, and resumed where a server cut them off."""

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, Self

from movinet.errors import VideoError
from movinet.video.camera.line import Line
from movinet.video.camera.live_video import LiveVideo
from movinet.video.decode import read_frames
from movinet.video.locations import Source, is_address
from movinet.video.net.sources import Limits, without_password
from movinet.video.pacer import LivePacer

if TYPE_CHECKING:
    from av import Packet
    from av.video.stream import VideoStream

_CUT_OFF = 1.0  # seconds short of its duration at which a file on a server counts as not yet ended


@dataclass
class Place:
    """Where a file that is played has come to.

    Args:
        began: When it began, by `time.monotonic`.
        duration: In seconds, where its server does not tell whether it sent all there is; else None.
        rounds: Seconds that earlier rounds lasted.
        position: Seconds of this one that have been shown.
    """

    began: float = field(default_factory=time.monotonic)
    duration: float | None = None
    rounds: float = 0.0
    position: float = 0.0


def play(
    source: Source, line: Line, pacer: LivePacer, place: Place, *, loop: bool, timeout: float, limits: Limits
) -> None:
    """Play a file to its end, from where it has come to.

    Raises:
        VideoError: It cannot be read, or was cut off; `place` is where to go on.
    """
    with _Packets(source, line) as packets:
        _play(source, line, pacer, place, packets, loop, timeout, limits)


def _play(
    source: Source, line: Line, pacer: LivePacer, place: Place, packets: "_Packets", loop: bool, timeout: float,
    limits: Limits,
) -> None:  # fmt: skip
    period = 1 / pacer.fps
    while not line.is_cut:
        before = place.position
        # The last frame comes once more, so that an end can be told from a loss.
        start = max(0.0, place.position - period)
        line.hear()
        for frame in read_frames(source, pacer.fps, start, timeout=timeout, limits=limits):
            if frame.time < place.position - period / 2:
                continue
            if _wait(line, place.began + place.rounds + frame.time):
                return
            packets.send(frame.time, place.rounds)
            pacer.is_due(place.rounds + frame.time)
            line.put(frame.at(place.rounds + frame.time))
            place.position = frame.time + period
        packets.send(inf, place.rounds)
        # Containers may outlast their pictures: where nothing more has come for having asked anew, this is the end.
        if place.duration is not None and before < place.position < place.duration - _CUT_OFF:
            raise VideoError(f"{without_password(source)}: the connection was cut")
        if not loop:
            _wait(line, place.began + place.rounds + place.position)  # the last frame's turn
            return
        place.rounds, place.position = place.rounds + place.position, 0.0
        packets.begin()


class _Packets:
    """A file of this machine as packets, which come as its frames are shown, as a camera's would; a context manager."""

    def __init__(self, source: Source, line: Line) -> None:
        self._source, self._line = source, line
        self._video: LiveVideo | None = None
        self._first: LiveVideo | None = None  # whose track later rounds go on with, so that a clip may hold several
        self._next: tuple[float, Packet[VideoStream]] | None = None
        self._moments = _Moments()
        self._arrivals: Iterator[Packet[VideoStream]] = iter(())

    def __enter__(self) -> Self:
        self.begin()
        return self

    def __exit__(self, *error: object) -> None:
        for video in (self._video, self._first):
            if video is not None:
                video.close()
        self._video = self._first = None

    def begin(self) -> None:
        """From the beginning, where anybody keeps them."""
        if self._video is not None and self._video is not self._first:
            self._video.close()
        self._video = None
        if not self._line.keeps or is_address(self._source):
            return
        with suppress(VideoError):  # as of an image folder
            self._video = LiveVideo(self._source)
            self._arrivals, self._moments, self._next = self._video.arrivals(), _Moments(), None
            if self._first is None or not _are_alike(self._first.stream, self._video.stream):
                if self._first is not None:  # another file of this name
                    self._first.close()
                self._first = self._video

    def send(self, until: float, rounds: float) -> None:
        """Those of this round up to so many seconds."""
        if self._video is None or self._first is None:
            return
        try:
            while True:
                if self._next is None:
                    packet = next(self._arrivals, None)
                    if packet is None:
                        return
                    self._next = self._moments.of(packet), packet
                moment, packet = self._next
                if moment > until:
                    return
                self._line.sent(self._first.stream, packet, rounds + moment)
                self._next = None
        except VideoError:
            self.__exit__()  # whoever decodes it says what is wrong with it


def _are_alike(one: "VideoStream", other: "VideoStream") -> bool:
    """Whether one file can hold the packets of both tracks."""
    a, b = one.codec_context, other.codec_context
    return (a.name, a.extradata, a.width, a.height) == (b.name, b.extradata, b.width, b.height)


class _Moments:
    """Seconds since the first packet of a file, as `movinet.video.timing.Clock` has them: one without a stamp of its
    own follows the one before, for some files stamp every picture with 0."""

    def __init__(self) -> None:
        self._first: float | None = None  # of the stream's stamps, in seconds
        self._stamp: float | None = None  # the last
        self._moment = self._following = 0.0

    def of(self, packet: "Packet[VideoStream]") -> float:
        """Of the next packet as they are stored."""
        ticks, base = packet.pts if packet.pts is not None else packet.dts, packet.time_base or 0
        stamp = None if ticks is None else float(ticks * base)
        if stamp is None or stamp == self._stamp:
            self._moment = self._following
        else:
            self._first = stamp if self._first is None else self._first
            self._moment = stamp - self._first
        self._stamp = stamp if stamp is not None else self._stamp
        self._following = self._moment + float((packet.duration or 0) * base)
        return self._moment


def _wait(line: Line, until: float) -> bool:
    left = max(0.0, until - time.monotonic())
    line.hear(left)
    return line.wait(left)
