"""One connection to a camera or stream, from packets to the frames that are due."""

import time
import zlib
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import av

from movinet.errors import VideoError
from movinet.video.camera.damage import Damage
from movinet.video.camera.ladder import Ladder
from movinet.video.camera.line import Line, News
from movinet.video.camera.live_clock import LiveClock, Timeline
from movinet.video.camera.live_video import LiveVideo
from movinet.video.frame import Frame
from movinet.video.pacer import LivePacer

_STAMPED = ("rtsp", "rtp", "hls", "flv", "live_flv", "mpegts", "matroska", "mp4", "mov", "asf", "nut")
"""Formats, as FFmpeg names them, whose stamps are a camera's or server's clock."""
_AS_LONG = 0.9  # of the time-out: a read that took this long ended because of it
_BLIND = 2.0  # time-outs of packets without a picture, after which they are no pictures
_SETTLED = 1.0  # seconds after catching up for which pictures may still be far apart
_FURTHEST = 10.0  # seconds that pieces may come too late altogether, until it is begun anew at the newest
_REMEMBERED = 4096  # pictures by which old ones are known


@dataclass
class Past:
    """What is known of a source from one connection to the next.

    Args:
        timeline: Its time.
        seen: Stamps and what the pictures looked like: HLS gives old segments again.
    """

    timeline: Timeline = field(default_factory=Timeline)
    seen: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))

    def remember(self, stamp: float, looks: int) -> None:
        """A picture was seen."""
        self.seen.append((stamp, looks))


class Running:
    """Reads and decodes until there is no more.

    Args:
        video: Opened.
        line: Where frames and news go.
        pacer: Asked for every packet before it is decoded, and for every frame.
        past: Of the source.
        timeout: Seconds without a picture after which it is lost.
        max_lag: Seconds.
    """

    def __init__(
        self, video: LiveVideo, line: Line, pacer: LivePacer, past: Past, timeout: float | None, max_lag: float
    ) -> None:
        self.video, self.line, self.pacer, self.past = video, line, pacer, past
        self.timeout = float("inf") if timeout is None else timeout
        formats = video.format.split(",")
        self.played = "hls" in formats
        self.clock = LiveClock(past.timeline, any(name in _STAMPED for name in formats), self.played)
        self.ladder = Ladder(max_lag)
        self.damage = Damage()
        self._to_rgb = video.to_rgb()
        self._keys = False  # whether packets tell that they are key frames
        self._until_key = False  # nothing is decoded before the next
        self._usual_gap = self._gap = pacer.max_gap
        self._usual_from = 0.0
        self._begun = False  # whether there was a picture
        self._last_picture = time.monotonic()
        self._known = dict(past.seen) if self.played else {}
        self._fresh = not self._known
        self._waiting: list[tuple[av.Packet[av.VideoStream], float]] = []  # to be kept

    def run(self) -> None:
        """Until the line is cut.

        Raises:
            VideoError: The stream was lost, or has ended.
        """
        for packet, waited in self._packets():
            if not self._take(packet, time.monotonic(), waited):
                return
        if not self.line.is_cut:
            raise VideoError(f"{self.video.name}: the stream ended")

    def _take(self, packet: "av.Packet[av.VideoStream]", now: float, waited: float) -> bool:
        """One packet; False where the line was cut meanwhile."""
        self.line.hear()
        moment = self.clock.arrived(_seconds(packet, packet.pts), _seconds(packet, packet.dts), now, waited)
        self._keep(packet, moment)
        if packet.is_keyframe:
            self._keys = True
            self.ladder.key(moment)
        self._climb(now)
        early = self.clock.early(now)
        if early > 0 and self._fresh:
            self.line.hear(early)
            if self.line.wait(early):
                return False
        if packet.is_keyframe:
            self._until_key = False
        elif self._keys and (self._until_key or self.ladder.least == "NONKEY"):
            self.line.count(1, 0, self.clock.lag)
            return True
        wanted = self.pacer.wants(moment, self.clock.coming)
        least = self._least(wanted)
        if least == "ALL":
            self.pacer.passed(moment)
            if self.video.goes_without:
                self.line.count(0, 0, self.clock.lag)
                return True
        self.video.skip(least)
        self._decode(packet)
        if time.monotonic() - self._last_picture > _BLIND * self.timeout:
            raise VideoError(f"{self.video.name}: sends nothing that can be decoded")
        return True

    def _keep(self, packet: "av.Packet[av.VideoStream]", moment: float) -> None:
        """Hand a packet on to be kept. Until a new picture has been shown, when it is known what time it is, the newest
        since a key frame wait."""
        if not self.line.keeps:
            return
        if self._fresh and self.past.timeline.last is not None:
            self._keep_waiting()
            self.line.sent(self.video.stream, packet, moment)
            return
        if packet.is_keyframe:
            self._waiting.clear()
        self._waiting.append((packet, moment - self.clock.shifted))

    def _keep_waiting(self) -> None:
        for waiting, moment in self._waiting:
            self.line.sent(self.video.stream, waiting, moment + self.clock.shifted)
        self._waiting.clear()

    def _least(self, wanted: bool) -> Literal["DEFAULT", "NONREF", "NONKEY", "ALL"]:
        """What the decoder leaves out of a packet."""
        unwanted = self.video.unwanted
        if self._until_key or self.ladder.least == "NONKEY":
            return "NONKEY"
        if not wanted and self.past.timeline.last is not None:
            return unwanted
        return "NONREF" if self.ladder.least == unwanted == "NONREF" else "DEFAULT"

    def _packets(self) -> "Iterator[tuple[av.Packet[av.VideoStream], float]]":
        """The track's packets and the seconds that each was waited for; those that only came because reading was given
        up are thrown away."""
        asked, arrivals = time.monotonic(), self.video.arrivals()
        while True:
            try:
                packet = next(arrivals, None)
            except VideoError:
                if not self.line.is_cut and not self._is_silent(asked):
                    raise
                packet = None
            if self.line.is_cut:
                return
            if self._is_silent(asked):
                raise VideoError(f"{self.video.name}: no picture within {self.timeout:g} s")
            if packet is None:
                return
            yield packet, time.monotonic() - asked
            asked = time.monotonic()

    def _is_silent(self, since: float) -> bool:
        return time.monotonic() - since >= _AS_LONG * self.timeout

    def _climb(self, now: float) -> None:
        """Leave out more, or less."""
        lag, ladder = self.clock.lag, self.ladder
        before = ladder.least
        step = ladder.look(lag, now)
        if before == "NONKEY" and ladder.least != "NONKEY":
            self._until_key = True
        if step == "lagging":
            # What is left out then is no gap.
            self._stretch(max(self._usual_gap, 2 * ladder.key_interval + ladder.max_lag))
            self.line.tell(News("lagging", f"pictures come {lag:.1f} s late: some are left out", lag))
        elif step == "caught_up":
            self.line.tell(News("caught_up", "pictures come in time again", now - ladder.since))
        elif step == "anew" and self.clock.is_slow:
            self.clock.forgive()
        if (step == "anew" and not self.clock.is_slow) or self.clock.waits > _FURTHEST:
            behind = lag + self.clock.waits
            raise VideoError(f"{self.video.name}: {behind:.1f} s behind, and leaving pictures out does not help")
        if ladder.lagging or self._until_key:
            self._usual_from = now + _SETTLED
        elif self._gap != self._usual_gap and now > self._usual_from:
            self._stretch(self._usual_gap)

    def _stretch(self, gap: float) -> None:
        """What is no gap from here on: seconds."""
        self._gap = gap
        self.line.stretch(gap)

    def _decode(self, packet: "av.Packet[av.VideoStream]") -> None:
        before = self.video.damaged
        frames = self.video.decode(packet)
        damaged = self.video.damaged - before
        now = time.monotonic()
        for frame in frames:
            self._last_picture = now
            self._until_key = self._until_key and not frame.key_frame
            self._show(frame)
        self._begun = self._begun or bool(frames)
        if not self._begun:  # what comes before the first key frame lacks what it refers to
            damaged = 0
        if (frames or damaged) and self.damage.look(bool(damaged), now):
            share = f"{100 * self.damage.share:.0f} %"
            if self.damage.unfit:
                self.line.tell(News("unfit", f"{share} of its pictures arrive damaged", 0.0))
            else:
                self.line.tell(News("fit", "its pictures arrive whole again", 0.0))
        self.line.count(0, damaged, self.clock.lag)

    def _show(self, frame: av.VideoFrame) -> None:
        stamp = None if frame.pts is None or not frame.time_base else float(frame.pts * frame.time_base)
        if self.played and self._is_old(frame, stamp):
            return
        is_first = self.past.timeline.last is None
        moment, passed = self.clock.shown(stamp)
        if self._waiting and self._fresh:
            self._keep_waiting()  # before the picture is recognized: an event that begins with it is recorded
        if is_first and moment is not None:  # time begins here, with a key frame
            self.ladder.key(moment)
        for other in passed:
            self.pacer.passed(other)
        if self.ladder.lagging and passed:
            self.line.count(len(passed), 0, self.clock.lag)
        if moment is None or not self.pacer.is_due(moment) or self.damage.unfit:
            return
        patience = 1 / self.pacer.fps if self.played else 0.0
        self.line.put(Frame.of_decoded(frame, moment, self._to_rgb), patience)

    def _is_old(self, frame: av.VideoFrame, stamp: float | None) -> bool:
        """Whether a picture has been there before the source was lost."""
        if stamp is None:
            return False
        looks = zlib.crc32(memoryview(frame.planes[0]))
        if not self._fresh:
            if self._known.get(stamp) == looks:
                return True
            self._fresh = True
            self.clock.anchor(time.monotonic())
        self.past.remember(stamp, looks)
        return False


def _seconds(packet: "av.Packet[av.VideoStream]", ticks: int | None) -> float | None:
    return None if ticks is None or not packet.time_base else float(ticks * packet.time_base)
