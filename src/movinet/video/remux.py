"""Packets written to a file as they were sent, without decoding or encoding them."""

import io
from fractions import Fraction
from pathlib import Path
from typing import Self

import av
from av.video.stream import VideoStream

from movinet.errors import VideoError

_IN_MP4 = frozenset({"h264", "hevc", "av1", "vp9", "mpeg4", "mjpeg"})  # what browsers' and players' favorite holds
_TICK = Fraction(1, 90_000)  # seconds: of stamps
# What is written is there for good second by second, whatever ends this process; a file that is closed is a plain MP4.
_AS_IT_COMES = {
    ".mp4": {"movflags": "hybrid_fragmented", "frag_duration": "1000000", "flush_packets": "1"},
    ".mkv": {"cluster_time_limit": "1000", "flush_packets": "1"},
}
_LEAST_STEP = 90  # ticks between packets: no two may be one in the container's own
_USUAL_STEP, _LONGEST_STEP = 3600, 90_000  # ticks that the newest packet lasts, as far as is known


def suffix_for(connection: bytes) -> str:
    """The suffix of a file that holds this codec: .mp4, or .mkv, which holds nearly all.

    Args:
        connection: of a packet, see `movinet.video.camera.kept_packets.Kept`.
    """
    with av.open(io.BytesIO(connection), format="nut") as described:
        return ".mp4" if described.streams.video[0].codec_context.name in _IN_MP4 else ".mkv"


def has_pictures(path: Path) -> bool:
    """Whether a file that was not closed can be played.

    Raises:
        OSError: It cannot be read.
    """
    try:
        with av.open(path) as container:
            return any(packet.size for packet in container.demux(container.streams.video[0]))
    except OSError:
        raise
    except Exception:  # FFmpeg's, of half a file
        return False


class _Whole(io.FileIO):
    """Writes all of it, or fails: FFmpeg takes what is cut short for written, and closes a file that lacks its end."""

    def write(self, data: bytes, /) -> int:  # type: ignore[override]
        rest = memoryview(data)
        while rest:
            rest = rest[super().write(rest) :]
        return memoryview(data).nbytes


class Remux:
    """A file that packets of one connection are written to; a context manager.

    Args:
        path: whose suffix says the container.
        connection: of the packets, see `movinet.video.camera.kept_packets.Kept`.
        format: FFmpeg's name of the container, where the suffix does not say it.

    Raises:
        VideoError: the file cannot be made.
    """

    def __init__(self, path: Path, connection: bytes, format: str | None = None) -> None:
        self.path = path
        self._began: float | None = None  # in seconds of the stream
        self._last: int | None = None  # the newest decoding stamp written
        self._described = av.open(io.BytesIO(connection), format="nut")
        try:
            self._file = _Whole(path, "w")
        except OSError as error:
            self._described.close()
            raise self._fault(error) from None
        try:
            self._out = av.open(self._file, "w", format=format, options=_AS_IT_COMES.get(path.suffix, {}))
            self._track: VideoStream = self._out.add_stream_from_template(self._described.streams.video[0])
        except (OSError, ValueError) as error:  # PyAV's errors are one or the other
            self._file.close()
            self._described.close()
            raise self._fault(error) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def add(self, data: bytes, moment: float, ahead: float, is_key: bool) -> None:
        """Write a packet.

        Args:
            data: what the camera sent.
            moment: seconds of the stream at which its picture is shown. The file's times are these: a camera's stamps
                may jump, or be none.
            ahead: seconds that it is decoded before.
            is_key: whether decoding can begin with it.

        Raises:
            VideoError: nothing can be written (a full disk).
        """
        if self._began is None:
            self._began = moment - ahead
        shown = round((moment - self._began) / _TICK)
        decoded = shown - round(ahead / _TICK)
        packet = av.Packet(data)
        packet.duration = _USUAL_STEP  # else FFmpeg asks the codec's description, which may speak of months, and fails
        if self._last is not None:
            decoded = max(decoded, self._last + _LEAST_STEP)
            packet.duration = min(decoded - self._last, _LONGEST_STEP)
        self._last = decoded
        packet.dts, packet.pts = decoded, max(shown, decoded)
        packet.time_base, packet.stream, packet.is_keyframe = _TICK, self._track, is_key
        try:
            self._out.mux_one(packet)
        except (OSError, ValueError) as error:
            self._file.close()  # where its beginning is missing, FFmpeg breaks down at its end: it writes none then
            raise self._fault(error) from None

    def close(self) -> None:
        """Finish the file.

        Raises:
            VideoError: its end cannot be written.
        """
        try:
            self._out.close()
        except (OSError, ValueError) as error:
            raise self._fault(error) from None
        finally:
            self._file.close()
            self._described.close()

    def _fault(self, error: Exception) -> VideoError:
        return VideoError(f"{self.path}: cannot be written: {getattr(error, 'strerror', None) or error}")
