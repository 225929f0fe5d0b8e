"""A video that is running while it is read: packets as they come, and what is made of each."""

from collections.abc import Iterator
from typing import Literal

import av
import av.error
from av.stream import Discard
from av.video.stream import VideoStream

from movinet.errors import VideoError
from movinet.video.camera.hardware import accelerator, tell_used
from movinet.video.camera.trouble import trouble
from movinet.video.container import Video
from movinet.video.locations import Source, reason
from movinet.video.net.sources import DEFAULT_LIMITS, Limits
from movinet.video.wanted import Least, goes_without, least_of

_FAULTS = 50  # packets in a row that cannot be told from each other


class LiveVideo(Video):
    """An open camera or stream.

    Args:
        source, timeout, device, options, limits: As in `movinet.video.container.Video`.
        hardware: What decodes an address, as in `movinet.video.camera.live_source.LiveSource`.
        asked: Whether it was opened before and `is_direct`.

    Raises:
        VideoError: It cannot be opened, or has no video.
    """

    def __init__(
        self,
        source: Source,
        timeout: float | None = None,
        device: str | None = None,
        options: dict[str, str] | None = None,
        limits: Limits = DEFAULT_LIMITS,
        hardware: bool | str = False,
        asked: bool = False,
    ) -> None:
        accelerated = accelerator(hardware, source)
        super().__init__(
            source, timeout, True, device, options, threads=1, limits=limits, hardware=accelerated, asked=asked
        )
        tell_used(self.stream.codec_context, accelerated, self.name)
        for other in self._container.streams:  # a playlist's variants are not even fetched then
            if other.index != self.stream.index:
                other.discard = Discard.all
        if self.stream.codec_context.name == "hevc":  # which hides what is missing, where H.264 flags it
            self._context.options = {**self._context.options, "err_detect": "explode"}

    @property
    def is_direct(self) -> bool:
        """Whether it is a camera whose server leads nowhere else."""
        return self._opened.is_direct

    @property
    def format(self) -> str:
        """FFmpeg's names of the container's format, with commas between them."""
        return self._container.format.name

    @property
    def is_picture(self) -> bool:
        """Whether it is a single picture on a server."""
        of_one = self.format.endswith("_pipe") or self.format in ("image2", "mjpeg")
        return of_one and (self._opened.type.startswith("image/") or (self._opened.finite and self.format != "mjpeg"))

    @property
    def unwanted(self) -> Least:
        """How much the decoder may leave out where a packet's picture is not wanted."""
        return least_of(self._context) or "DEFAULT"

    @property
    def goes_without(self) -> bool:
        """Whether packets whose pictures are not wanted need not be decoded at all."""
        return goes_without(self._context)

    def arrivals(self) -> Iterator["av.Packet[VideoStream]"]:
        """Packets of a stream that is running, as they come, for `decode`.

        Raises:
            VideoError: Nothing more can be read.
        """
        packets, faults = self._container.demux(self.stream), 0
        while True:
            try:
                with self._opened.watch():
                    packet = next(packets, None)
            except VideoError:
                raise
            except av.error.InvalidDataError as error:
                faults += 1
                self.damaged += 1
                if faults > _FAULTS:
                    raise VideoError(f"{self.name}: reading stopped: {reason(error)}") from None
                packets = self._container.demux(self.stream)
                continue
            except Exception as error:  # which may name the source, password and all
                raise VideoError(
                    f"{self.name}: reading stopped: {self._opened.fault or trouble(error, '')[1]}"
                ) from None
            if packet is None or not packet.size:  # empty ones have decoders give up what they hold back
                if self._opened.fault:
                    raise VideoError(f"{self.name}: reading stopped: {self._opened.fault}")
                return
            faults = 0
            yield packet

    def decode(self, packet: "av.Packet[VideoStream]") -> list[av.VideoFrame]:
        """The pictures that come out of the decoder for a packet, in order of display; none where it is damaged."""
        try:
            frames = self._decoder.decode(packet)
        except Exception:  # FFmpeg's error, or that of PyAV about something it does not know
            self.damaged += 1
            return []
        self.damaged += sum(frame.is_corrupt for frame in frames)
        return frames

    def skip(self, least: Literal["DEFAULT", "NONREF", "NONKEY", "ALL"]) -> None:
        """What the decoder leaves out from the next packet on: nothing, what no other picture refers to, all but key
        frames, or everything."""
        if self._context.skip_frame != least:
            self._context.skip_frame = least
