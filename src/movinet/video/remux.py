"""Packets written to a file as they were sent, without decoding or encoding them."""

import io
from fractions import Fraction
from pathlib import Path
from typing import Self

import av
from av.video.stream import VideoStream

from movinet.errors import VideoError

_IN_MP4 = frozenset({"h264", "hevc", "av1", "vp9", "mpeg4", "mjpeg"})  # what browsers' and players' favorite holds
_LEAST_STEP = Fraction(1, 1000)  # seconds between packets


def suffix_for(connection: bytes) -> str:
    """The suffix of a file that holds this codec: .mp4, or .mkv, which holds nearly all.

    Args:
        connection: of a packet, see `movinet.video.camera.kept_packets.Kept`.
    """
    with av.open(io.BytesIO(connection), format="nut") as described:
        return ".mp4" if described.streams.video[0].codec_context.name in _IN_MP4 else ".mkv"


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
        self._first: Fraction | None = None  # of the stream's stamps, in seconds
        self._last = -1  # the newest decoding stamp written
        self._described = av.open(io.BytesIO(connection), format="nut")
        try:
            self._out = av.open(path, "w", format=format)
            self._track: VideoStream = self._out.add_stream_from_template(self._described.streams.video[0])
        except (OSError, ValueError) as error:  # PyAV's errors are one or the other
            self._described.close()
            raise VideoError(f"{path}: cannot be written: {getattr(error, 'strerror', None) or error}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def add(
        self, data: bytes, ticks: tuple[int | None, int | None], time_base: Fraction, moment: float, is_key: bool
    ) -> None:
        """Write a packet.

        Args:
            data: what the camera sent.
            ticks: presentation and decoding stamps in `time_base`; where it has none, `moment` is both.
            time_base: seconds a tick.
            moment: seconds of the stream.
            is_key: whether decoding can begin with it.

        Raises:
            VideoError: nothing can be written (a full disk).
        """
        shown, decoded = ticks
        if shown is None and decoded is None:
            shown = decoded = round(Fraction(moment) / time_base)
        assert shown is not None or decoded is not None
        decoded = shown if decoded is None else decoded
        shown = decoded if shown is None else shown
        assert shown is not None
        assert decoded is not None
        if self._first is None:
            self._first = decoded * time_base
        begin = round(self._first / time_base)
        # A camera's clock may step back; a file's may not, nor may two stamps be one in the container's own ticks.
        decoded = max(decoded - begin, self._last + max(1, round(_LEAST_STEP / time_base)) if self._last >= 0 else 0)
        self._last = decoded
        packet = av.Packet(data)
        packet.dts, packet.pts = decoded, max(shown - begin, decoded)
        packet.time_base, packet.stream, packet.is_keyframe = time_base, self._track, is_key
        try:
            self._out.mux_one(packet)
        except (OSError, ValueError) as error:
            raise VideoError(f"{self.path}: cannot be written: {getattr(error, 'strerror', None) or error}") from None

    def close(self) -> None:
        """Finish the file.

        Raises:
            VideoError: its end cannot be written.
        """
        try:
            self._out.close()
        except (OSError, ValueError) as error:
            raise VideoError(f"{self.path}: cannot be written: {getattr(error, 'strerror', None) or error}") from None
        finally:
            self._described.close()
