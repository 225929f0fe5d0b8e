"""Which packets have to be decoded: told from their stamps, before decoding. Knows the codecs that can leave some out.

A packet's frame is wanted where an instant falls to it. Others are given to the decoder only as far as later ones refer
to them, or not at all where each picture stands alone.
"""

from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Iterator
from fractions import Fraction
from operator import attrgetter
from typing import Literal, NamedTuple, TypeAlias

import av
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from movinet.video.joined import Seams

Least = Literal["DEFAULT", "NONREF", "ALL"]
"""FFmpeg's names of what a decoder leaves out: nothing, what nothing refers to, everything."""

Packet: TypeAlias = "av.Packet[VideoStream]"

_AHEAD = 32  # packets that are read before one is decoded; codecs reorder over 16 frames at most
_AHEAD_BYTES = 8 << 20
_REMEMBERED = 64  # stamps among which none may be there twice
# Decoders that take the level anew with each packet, and whose other frames are the same to the bit for it.
_LEAVE_OUT = frozenset({"h264", "hevc", "mpeg1video", "mpeg2video", "mpeg4"})


def least_of(decoder: VideoCodecContext) -> Least | None:
    """How far the decoder may go with packets that are not wanted: "NONREF", "ALL" where each picture stands alone (see
    `goes_without`), or None where nothing is known to be exact."""
    codec = decoder.codec
    if codec.intra_only:
        return "ALL"
    if codec.name not in _LEAVE_OUT or (codec.name == "hevc" and not _has_one_layer(decoder.extradata or b"")):
        return None
    return "NONREF"


def goes_without(decoder: VideoCodecContext) -> bool:
    """Whether packets left out need not be given to the decoder. Motion JPEG's may hold tables for those after them."""
    return decoder.codec.intra_only and decoder.codec.name != "mjpeg"


def _has_one_layer(extradata: bytes) -> bool:
    """Whether an HEVC stream says that it has one temporal layer: where there are more, pictures that nothing refers to
    in their own may be needed in the next."""
    if extradata[:1] == b"\x01":  # hvcC
        return len(extradata) > 21 and extradata[21] >> 3 & 7 == 1
    begin = extradata.find(b"\x00\x00\x01\x42")  # a sequence's parameters
    return begin >= 0 and len(extradata) > begin + 5 and extradata[begin + 5] >> 1 & 7 == 0


class Stamps:
    """Checks the stamps of packets, in order of decoding.

    Args:
        joins: Whether recordings may be joined in this format, clocks and all.
    """

    def __init__(self, joins: bool) -> None:
        self._seams = Seams() if joins else None
        self._last_dts: int | None = None
        self._seen: deque[int] = deque(maxlen=_REMEMBERED)

    def is_fault(self, packet: Packet) -> bool:
        """Whether from this packet on the frames' times do not follow from stamps alone: one is missing or repeats, the
        clock stands or steps back, another recording begins."""
        pts, dts = packet.pts, packet.dts
        if not packet.size or pts is None or pts in self._seen:
            return True
        if dts is not None:
            if dts > pts or (self._last_dts is not None and dts <= self._last_dts):
                return True
            self._last_dts = dts
        self._seen.append(pts)
        return self._seams is not None and self._seams.jump(packet) != 0


class LookAhead:
    """A file's packets in order of decoding, each while it is known which follow; a bounded number of them.

    Args:
        packets: In order of decoding.
        faults: Is asked of each as it is read.
    """

    def __init__(self, packets: Iterator[Packet], faults: Stamps) -> None:
        self._packets, self._faults = packets, faults
        self._queue: deque[Packet] = deque()
        self._stamps: list[int] = []  # in order of display, of those of them that are shown
        self._bytes = self._corrupt = 0
        self._ended = False
        self.is_sound = True
        """Whether stamps can be trusted, up to the last packet read."""
        self.is_damaged = False
        """Whether a packet in sight is known to have lost something."""

    def __iter__(self) -> Iterator[Packet]:
        while True:
            while not self._ended and len(self._queue) <= _AHEAD and self._bytes <= _AHEAD_BYTES and self.is_sound:
                self._read()
            if not self._queue and not self._ended:
                self._read()
            if not self._queue:
                return
            packet = self._queue.popleft()
            if (pts := _shown_at(packet)) is not None:
                del self._stamps[bisect_left(self._stamps, pts)]
            self._bytes -= packet.size
            self.is_damaged = self._corrupt > 0
            self._corrupt -= packet.is_corrupt
            yield packet

    def _read(self) -> None:
        packet = next(self._packets, None)
        if packet is None:
            self._ended = True
            return
        self.is_sound = self.is_sound and not self._faults.is_fault(packet)
        self._queue.append(packet)
        if (pts := _shown_at(packet)) is not None:
            insort(self._stamps, pts)
        self._bytes += packet.size
        self._corrupt += packet.is_corrupt

    def next_shown(self, pts: int) -> int | None:
        """The stamp of the first frame in sight that is shown after one of this stamp; None where there is none."""
        place = bisect_right(self._stamps, pts)
        return self._stamps[place] if place < len(self._stamps) else None

    def none_before(self) -> int | None:
        """A stamp before which no frame of the packets to come is shown; None where none is known."""
        return self._queue[0].dts if self._queue else None


def _shown_at(packet: Packet) -> int | None:
    return None if packet.is_discard else packet.pts


class Sent(NamedTuple):
    """A packet that was given to the decoder, or was not, and whose frame has not come: what a clock reads of it.

    Args:
        pts, duration, time_base: As FFmpeg has them.
        wanted: Whether its frame must come.
    """

    pts: int
    duration: int
    time_base: Fraction | None
    wanted: bool
    dts: None = None


class Coming:
    """The packets whose frames have yet to come, in order of display."""

    def __init__(self) -> None:
        self._sent: list[Sent] = []

    def add(self, sent: Sent) -> None:
        insort(self._sent, sent, key=_pts)

    def take(self, pts: int) -> tuple[list[Sent], Sent | None]:
        """Takes out a frame's own, and those whose turn was before it: these, and its own."""
        place = bisect_left(self._sent, pts, key=_pts)
        own = self._sent[place] if place < len(self._sent) and self._sent[place].pts == pts else None
        before = self._sent[:place]
        del self._sent[: place + (own is not None)]
        return before, own

    def next_shown(self, pts: int) -> int | None:
        """The stamp of the first that is shown after one of this stamp; None where there is none."""
        place = bisect_right(self._sent, pts, key=_pts)
        return self._sent[place].pts if place < len(self._sent) else None

    def rest(self) -> list[Sent]:
        """Takes out all."""
        rest, self._sent = self._sent, []
        return rest


_pts = attrgetter("pts")
