"""What a decoder is told to do with each packet, so that what is wanted comes out as if everything had been decoded."""

from collections import deque
from collections.abc import Iterator
from fractions import Fraction

import av

from movinet.video.pacer import FilePacer
from movinet.video.timing import LATE, Clock
from movinet.video.wanted import Coming, Least, LookAhead, Packet, Sent

_INFLUENCE = 64  # packets over which what was left out may show in what is damaged, as decoders mend from their past
_HELD = 8  # frames that come before a decoder, or their order, tells of damage
_BACK = 60.0  # seconds
_ROUNDED = 1e-6  # seconds


class Selection:
    """Asked by `movinet.video.container.Video` about each packet before it is decoded, and each frame that comes.

    This one decodes everything.
    """

    skipped = 0
    """Packets that were left out."""
    wanted_last = True
    """Whether the last frame that arrived was wanted."""
    holds_back = 0
    """How many frames are kept until it is known that none was damaged."""

    def level(self, packet: Packet) -> Least:
        """How far the decoder may go with this packet."""
        return "DEFAULT"

    def arrived(self, frame: av.VideoFrame) -> bool:
        """Notes a frame before the clock reads it. False where decoding everything would have shown something else."""
        return True

    def failed(self) -> bool:
        """Notes that a packet could not be decoded. True where what comes after may differ from decoding everything."""
        return False

    def ended(self) -> bool:
        """Notes that no more frames come. False as `arrived`."""
        return True

    def needed(self, packets: Iterator[Packet]) -> Iterator[Packet]:
        """Packets as long as any may be wanted."""
        return packets


class FileSelection(Selection):
    """Decodes of a file what its pacer wants, by packets that are known ahead.

    Everything is decoded until the first frame has come, around damage up to the next key frame, and from where stamps
    cannot be trusted on.

    Args:
        pacer: Which frames are wanted.
        clock: The video's, which reads every frame that comes; this has it read those left out.
        base: Of the packets' stamps, seconds.
        ahead: The video's packets.
        least: What the decoder may leave out of those not wanted.
        pairs_fields: Whether two packets may be one frame, as in interlaced H.264.
    """

    def __init__(
        self, pacer: FilePacer, clock: Clock, base: Fraction, ahead: LookAhead, least: Least, pairs_fields: bool
    ) -> None:
        self.skipped = 0
        self.newest = float("-inf")
        """Seconds of the latest frame whose packet has been seen."""
        self._pacer, self._clock, self._base, self._ahead, self._least = pacer, clock, base, ahead, least
        self._pairs_fields = pairs_fields
        self._keys: deque[float] = deque(maxlen=3)  # seconds of the last key frames
        self._coming = Coming()
        self._started = False  # a frame has come
        self._whole_to: float | None = None  # seconds to which everything is decoded, and on to a key frame
        self._since = _INFLUENCE  # packets since one was left out
        self._at_last = (float("-inf"), float("-inf"))  # what is on screen at the last instant: since when, and to when

    def decode_all(self, until: float | None) -> None:
        """Leave nothing out before the first key frame after this time, in seconds."""
        self._whole_to = until

    @property
    def place(self) -> float:
        """Seconds from which on to decode everything where something is damaged. What is mended is mended from what the
        decoder still holds, of which most is gone after some key frames and a minute."""
        return max(0.0, min(self._keys, default=0.0) - _BACK)

    def level(self, packet: Packet) -> Least:
        if (pts := packet.pts) is None:
            return "DEFAULT"
        if (time := self._clock.time_of(pts, self._base)) is None:  # before the first frame
            self._coming.add(Sent(pts, 0, self._base, wanted=True))
            return "DEFAULT"
        self.newest = max(self.newest, time)
        if packet.is_keyframe:
            self._keys.append(time)
        if packet.is_discard:  # decoded, and shown by nobody
            return "DEFAULT"
        if self._ahead.is_damaged:
            self._whole_to = self.newest
        elif self._whole_to is not None and packet.is_keyframe and time > self._whole_to:
            self._whole_to = None
        duration = packet.duration or 0
        if self._pacer.last is not None and time <= self._pacer.last + LATE:
            self._at_last = max(self._at_last, (time, self._clock.time_of(pts + duration, self._base) or 0.0))
        wanted = not self._can_do_without(pts, time)
        self._since = min(self._since + 1, _INFLUENCE) if wanted else 0
        self._coming.add(Sent(pts, duration, self._base, wanted))
        return "DEFAULT" if wanted else self._least

    def _can_do_without(self, pts: int, time: float) -> bool:
        if not self._started or self._whole_to is not None or not self._ahead.is_sound:
            return False
        later = [stamp for stamp in (self._ahead.next_shown(pts), self._coming.next_shown(pts)) if stamp is not None]
        if not later:
            return False
        end = self._clock.time_of(min(later), self._base)
        return end is not None and not self._pacer.wants(time, end)

    def arrived(self, frame: av.VideoFrame) -> bool:
        passed, sent = ([], None) if frame.pts is None else self._coming.take(frame.pts)
        if self._pairs_fields and frame.interlaced_frame:
            self._whole_to = float("inf")
        is_odd = frame.is_corrupt or sent is None or any(other.wanted for other in passed)
        if (is_odd or self._whole_to == float("inf")) and self.failed():
            return False
        for other in passed:
            if not other.wanted:
                self.skipped += 1
                self._clock.read(other)
        self.wanted_last = sent is None or sent.wanted
        self._started = True
        return True

    @property
    def holds_back(self) -> int:  # type: ignore[override]
        return _HELD if self._since < _INFLUENCE else 0

    def failed(self) -> bool:
        self._whole_to = max(self.newest, self._whole_to or 0.0)
        return self._since < _INFLUENCE

    def ended(self) -> bool:
        rest = self._coming.rest()
        self.skipped += sum(not sent.wanted for sent in rest)
        return not (any(sent.wanted for sent in rest) and self.failed())

    def needed(self, packets: Iterator[Packet]) -> Iterator[Packet]:
        for packet in packets:
            yield packet
            if self._is_over():
                return

    def _is_over(self) -> bool:
        last = self._pacer.last
        if last is None or not self._started or not self._ahead.is_sound or self._whole_to is not None:
            return False
        if (none_before := self._ahead.none_before()) is None:
            return False
        time = self._clock.time_of(none_before, self._base)
        stays = self._pacer.stays or self._at_last[1] > last + LATE + _ROUNDED
        return stays and time is not None and time > last + LATE
