"""What a camera sent in the last seconds, packet by packet, so that it can be written to a file as it was sent."""

import io
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import av
from av.video.stream import VideoStream

from movinet.video.camera.picture_format import PictureFormat

_MOST_BYTES = 64 << 20  # of one source
_MOST_AHEAD = 1.0  # seconds
_LONGEST = 30.0  # seconds beyond those wanted that a source without key frames is kept


@dataclass(frozen=True)
class Kept:
    """A packet.

    Attributes:
        number: from 0, over all connections.
        connection: a small file with the codec's description and its first key frame; another object after every
            reconnection, and where pictures become larger or smaller: no file holds both.
        moment: seconds of the stream, of its picture.
        wall: when it came: Unix time.
        ahead: seconds that it is decoded before its picture is shown, where pictures are sent out of order.
        is_key: whether decoding can begin with it.
    """

    number: int
    connection: bytes
    moment: float
    wall: float
    data: bytes
    ahead: float
    is_key: bool


class KeptPackets:
    """The packets of the last seconds, from a key frame on; safe to use from several threads.

    Args:
        seconds: that are kept at least, unless they take more than `most` bytes.
        most: bytes.
    """

    def __init__(self, seconds: float, most: int = _MOST_BYTES) -> None:
        self.seconds, self.most = seconds, most
        self.refused: str | None = None
        """Why this source's packets are not kept, if they are not."""
        self._changed = threading.Condition()
        self._packets: deque[Kept] = deque()
        self._keys: deque[int] = deque()  # numbers of those kept that are key frames
        self._bytes = self._next = 0
        self._stream: VideoStream | None = None
        self._format: PictureFormat | None = None
        self._connection: bytes | None = None

    def add(self, stream: VideoStream, packet: "av.Packet[VideoStream]", moment: float) -> None:
        """Keep a packet, and let old ones go. By the thread that reads.

        Args:
            stream: its track; another object after every reconnection.
            packet: not decoded yet.
            moment: its seconds in the stream.
        """
        if stream is not self._stream or self._format is None:
            self._stream, self._format, self._connection = stream, PictureFormat(stream), None
        if packet.is_keyframe and self._format.changes(packet):
            self._connection = None
        if self._connection is None:
            if not packet.is_keyframe or not (described := self._describe(stream, packet, self._format)):
                return
            self._connection = described
        with self._changed:
            kept = Kept(
                self._next, self._connection, moment, time.time(), bytes(packet), _ahead(packet), packet.is_keyframe
            )
            self._next += 1
            self._packets.append(kept)
            self._bytes += len(kept.data)
            if kept.is_key:
                self._keys.append(kept.number)
            self._let_go(moment)
            self._changed.notify_all()

    def since(self, moment: float) -> int | None:
        """The number of the key frame at or before a moment of the stream, or the first there is after it, of the
        newest connection: what was before a loss is in no file with what comes after it. None where there is none."""
        with self._changed:
            first = self._packets[0].number if self._packets else 0
            known = [self._packets[number - first] for number in self._keys]
            known = [kept for kept in known if kept.connection is self._packets[-1].connection]
            if not known:
                return None
            return next((kept.number for kept in reversed(known) if kept.moment <= moment), known[0].number)

    def after(self, number: int) -> list[Kept]:
        """Those kept from this number on, in order."""
        with self._changed:
            if not self._packets:
                return []
            begin = max(0, number - self._packets[0].number)
            return [self._packets[i] for i in range(begin, len(self._packets))]

    def wait(self, until: Callable[[], bool], seconds: float) -> None:
        """Wait for a packet or `wake`, at most so long."""
        with self._changed:
            if not until():
                self._changed.wait(seconds)

    def wake(self) -> None:
        """Have whoever waits look again."""
        with self._changed:
            self._changed.notify_all()

    def _describe(self, stream: VideoStream, packet: "av.Packet[VideoStream]", form: PictureFormat) -> bytes | None:
        """A file from which another file's track can be made, by another thread and after the camera is gone."""
        if stream.codec_context.name == "rawvideo":
            self.refused = "it sends raw pictures, which only fit into a file encoded"
            return None
        data = io.BytesIO()
        try:
            with av.open(data, "w", format="nut") as container:
                track = container.add_stream_from_template(stream)
                if form.extradata is not None:
                    track.codec_context.extradata = form.extradata
                if form.size is not None:
                    track.width, track.height = form.size
                first = av.Packet(bytes(packet))  # muxing changes a packet's stamps
                first.pts = first.dts = 0
                first.stream, first.is_keyframe = track, True
                container.mux_one(first)
        except Exception as error:  # FFmpeg's, of a codec that no file holds
            self.refused = f"FFmpeg cannot write {stream.codec_context.name}: {type(error).__name__}"
            return None
        return data.getvalue()

    def _let_go(self, newest: float) -> None:
        while len(self._keys) > 1:
            first, second = self._packets[0].number, self._keys[1]
            if self._packets[second - first].moment > newest - self.seconds:
                break
            for _ in range(second - first):
                self._drop()
        while self._bytes > self.most or self._packets[0].moment < newest - self.seconds - _LONGEST:
            self._drop()

    def _drop(self) -> None:
        gone = self._packets.popleft()
        self._bytes -= len(gone.data)
        if self._keys and self._keys[0] == gone.number:
            self._keys.popleft()


def _ahead(packet: "av.Packet[VideoStream]") -> float:
    """What stamps say of it, as far as they can be believed: a clock that is set makes hours of it."""
    if packet.pts is None or packet.dts is None or packet.time_base is None:
        return 0.0
    return min(max(0.0, float((packet.pts - packet.dts) * packet.time_base)), _MOST_AHEAD)
