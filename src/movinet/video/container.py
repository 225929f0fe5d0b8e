"""Opening a video wherever it is, and decoding its frames with their times."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from time import monotonic
from typing import Self

import av
import av.error
from av.codec.hwaccel import HWAccel
from av.container import InputContainer
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from movinet.errors import VideoError
from movinet.video.joined import Extent, Seams, extent, may_be_joined
from movinet.video.login import Address
from movinet.video.opening import Opened, open_address, open_device, open_file, refusal
from movinet.video.pixels import ToRGB
from movinet.video.sources import DEFAULT_LIMITS, Limits, without_password
from movinet.video.stated import stated_size
from movinet.video.timing import LATE, Clock
from movinet.video.tracks import decoder_of, first_that_moves, gray_is_limited, moving_tracks, numbered_track
from movinet.video.trouble import trouble

_ASSUMED_RATE = 25.0  # frames a second, where neither frames nor container tell
_PIECES = (b"styp", b"moof", b"sidx", b"emsg")  # boxes with which segments of streams begin
_DECODE_RATHER_THAN_SEEK = 2.0  # seconds
_HEAD = 1 << 16  # bytes
_NO_VIDEO = "not a video, or cut short so that its index is missing"

TimedFrame = tuple[float, float, av.VideoFrame]
"""(time, duration, frame), seconds since the first frame of the video."""


@dataclass(frozen=True)
class Member:
    """A video that lies unpacked in another file, as in a tar archive.

    Args:
        archive: The other file.
        name: What the video was called before it was put there.
        offset, size: Where it lies, in bytes.
    """

    archive: Path
    name: str
    offset: int
    size: int

    def __str__(self) -> str:
        return f"{self.archive}: {self.name}"

    def exists(self) -> bool:
        return self.archive.exists()

    def is_dir(self) -> bool:
        return False


@dataclass(frozen=True)
class Track:
    """One of the video tracks of a source that has several.

    Args:
        source: Where all of them are.
        number: As `ffprobe` counts streams, sound and text included, from 0.
    """

    source: str | Path | Member | Address
    number: int

    def __str__(self) -> str:
        return str(self.source)

    def __repr__(self) -> str:
        return f"Track({without_password(self.source)!r}, {self.number})"


Source = str | Path | Member | Address | Track
"""Where a video is: a path, an address, or inside another file; of several tracks the one that moves, or as told."""


class Video:
    """An open video stream, read once from front to back; a context manager.

    Args:
        source: A file, one inside another, or an address FFmpeg can open (`http://`, `rtsp://`, …).
        timeout: Seconds without an answer or data after which to give up; None waits for ever.
        live: Decode with the least delay instead of the most throughput.
        device: FFmpeg's name of a capture device (`v4l2`, `avfoundation`, `dshow`) of which `source` is one.
        options: Further FFmpeg options.
        threads: Decoding threads, 0 for as many as FFmpeg likes. One takes the least work altogether (half, for small
            videos), which counts where several videos are read at once.
        limits: What the source may make this process do.
        hardware: What decodes an address instead of the processor, where it can.

    Raises:
        VideoError: It cannot be opened, or has no video.
    """

    def __init__(
        self,
        source: Source,
        timeout: float | None = None,
        live: bool = False,
        device: str | None = None,
        options: dict[str, str] | None = None,
        threads: int = 0,
        limits: Limits = DEFAULT_LIMITS,
        hardware: HWAccel | None = None,
    ) -> None:
        self.name = without_password(source)
        self._measured: tuple[Extent | None] | None = None
        self.damaged = 0
        """Packets and frames that could not be decoded, or only in part."""
        self._source = source.source if isinstance(source, Track) else source
        self._open = partial(_open, source, timeout, device, options or {}, limits, hardware)
        self._local = not (live or device or is_address(source))
        self._opened = self._open()
        try:
            self._prepare(source, live, threads, limits)
        except Exception as error:
            self._opened.close()
            if isinstance(error, VideoError):
                raise
            # PyAV's tables have gaps. Its errors name the source, password and all: they are not passed on.
            raise VideoError(f"{self.name}: cannot be opened: {reason(error)}") from None
        self._timed = self._decode()

    def _prepare(self, source: Source, live: bool, threads: int, limits: Limits) -> None:
        self.stream = self._choose(source)
        self._check_size(limits)
        self._decoder = decoder_of(self.stream)
        # Frame threads are fastest but hold back a frame each.
        context = self.stream.codec_context if isinstance(self._decoder, VideoStream) else self._decoder
        context.thread_type = "SLICE" if live else "AUTO"
        context.thread_count = threads
        context.options = {**context.options, **limits.for_ffmpeg()}
        self._may_be_joined = may_be_joined(self._container)
        average, nominal = self.stream.average_rate, self.stream.guessed_rate
        # Frames far closer than the codec or their own durations say: the time stamps stand still.
        self.stuck = bool(average and nominal and average > 2 * nominal)
        rate = nominal if self.stuck else average or nominal
        self.fps = float(rate) if rate else None
        """Frames a second as the container tells, or None. The frames' own times may differ."""
        self._clock = Clock(self.fps or _ASSUMED_RATE, trust_pts=self._container.format.name != "avi")

    @property
    def _container(self) -> InputContainer:
        return self._opened.container

    @property
    def duration(self) -> float | None:
        """Seconds as the container tells, or as all packets of a file tell where several may have been joined; None for
        live sources and where neither does."""
        if (extent := self._extent()) is not None:
            return extent.seconds
        if self.stuck and self.stream.frames and self.fps:
            return self.stream.frames / self.fps
        if self.stream.duration and self.stream.time_base:
            return float(self.stream.duration * self.stream.time_base)
        return self._container.duration / av.time_base if self._container.duration else None

    @property
    def finite(self) -> bool:
        """Whether it is a file of known length on a server: one that ends when it has been read to its end."""
        return self._opened.finite

    def __iter__(self) -> Iterator[TimedFrame]:
        return self

    def __next__(self) -> TimedFrame:
        return next(self._timed)

    def seek(self, time: float, latest: float | None = None) -> bool:
        """Go to a key frame at about `time`, at most at `latest`, by default `time`, having read the first frame. False
        where that did not work out: the video is then anywhere, and must be opened anew."""
        if self.stuck or self._clock.offset is None or not self.stream.time_base:
            return False
        if self._may_be_joined and ((extent := self._extent()) is None or extent.joined):
            return False  # the same time stamp may be there twice
        try:
            with self._opened.watch():
                self._container.seek(round((time - self._clock.offset) / self.stream.time_base), stream=self.stream)
        except av.error.FFmpegError:
            return False
        self._clock.seeked()
        if isinstance(self._decoder, VideoCodecContext):  # one's own is not emptied by the container
            self._decoder.flush_buffers()
        self._timed = self._decode()
        landed = next(self, None)
        if landed is None:
            return False
        self._timed = chain([landed], self._timed)
        return landed[2].key_frame and landed[0] <= (time if latest is None else latest) + LATE

    def to_rgb(self) -> ToRGB:
        """What turns this video's frames into pictures."""
        return ToRGB(self.stream.sample_aspect_ratio, gray_is_limited(self.stream), self.name)

    def empty(self) -> VideoError:
        """What to say where no frame came."""
        if self.stream.codec_context.name == "webp" and _is_animated_webp(self._source):
            return VideoError(
                f"{self.name}: an animated WebP, which FFmpeg cannot read; convert it to GIF or MP4 first"
            )
        return VideoError(f"{self.name}: has no frame that can be decoded ({self.damaged} damaged packets)")

    def close(self) -> None:
        self._opened.close()
        # It holds on to this object, and both to the decoder and its threads until garbage is collected; in a process
        # forked before that, which has no such threads, the decoder would wait for them for ever.
        self._timed = iter(())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _choose(self, source: Source) -> VideoStream:
        if isinstance(source, Track):
            return numbered_track(self._container, source.number, self.name)
        tracks = moving_tracks(self._container, self.name)
        if len(tracks) == 1 or not self._local or all(track.frames for track in tracks):
            return tracks[0]
        number = first_that_moves(self._container, tracks)
        self._opened.close()
        self._opened = self._open()  # at its beginning again
        return numbered_track(self._container, number, self.name)

    def _check_size(self, limits: Limits) -> None:
        size = self.stream.width, self.stream.height
        if not size[0] and self._local and (stated := stated_size(_head(self._source))):
            size = stated
        if size[0] * size[1] > limits.max_pixels:
            raise VideoError(
                f"{self.name}: has pictures of {size[0]}x{size[1]}, more than {limits.max_pixels} pixels: refused; "
                f"Limits(max_pixels=…) allows more"
            )

    def _extent(self) -> Extent | None:
        if not (self._may_be_joined and self._local):
            return None
        if self._measured is None:
            with closing(self._open()) as again:
                track = numbered_track(again.container, self.stream.index, self.name)
                self._measured = (extent(again.container, track),)
        return self._measured[0]

    def _decode(self) -> Iterator[TimedFrame]:
        seams = Seams() if self._may_be_joined else None
        packets = self._container.demux(self.stream)
        packet: av.Packet[VideoStream] | None
        stopped: VideoError | None = None
        while True:
            try:
                with self._opened.watch():
                    packet = next(packets, None)
                if packet is None:
                    if self._opened.fault:
                        stopped = VideoError(f"{self.name}: reading stopped: {self._opened.fault}")
                    break
            except VideoError:  # no answer in time, or refused: nothing that was half read is believed
                raise
            except Exception as error:  # nothing more can be read
                packet = None  # has the decoder give up what it holds back, as the empty packet at an orderly end does
                # A server that hangs up at the end of what has no length is told from a fault by nobody.
                if isinstance(error, av.error.InvalidDataError):
                    self.damaged += 1
                elif self.duration is not None or not isinstance(error, av.error.OSError):
                    stopped = VideoError(f"{self.name}: reading stopped: {reason(error)}")
                if self._opened.fault:
                    stopped = VideoError(f"{self.name}: reading stopped: {self._opened.fault}")
            if seams is not None and packet is not None and seams.ahead(packet):
                self._clock.joined()
            try:
                frames = self._decoder.decode(packet)
            except Exception:  # FFmpeg's error, or that of PyAV about something it does not know
                self.damaged += 1
                continue
            for frame in frames:
                self.damaged += frame.is_corrupt
                times = self._clock.read(frame)
                if times is not None:
                    yield *times, frame
        if stopped is not None:
            raise stopped


def open_at(
    source: Source,
    start: float,
    timeout: float | None = None,
    threads: int = 0,
    limits: Limits = DEFAULT_LIMITS,
) -> Video:
    """Open a video so that its next frame is the one shown at `start` seconds, or one before."""
    # A seek may land after `start` (MPEG-TS) or on what cannot be decoded alone: then from further back, then in order.
    measured: tuple[Extent | None] | None = None
    for target in (start, start - 10.0):
        if target < _DECODE_RATHER_THAN_SEEK or (measured is not None and measured[0] and measured[0].joined):
            break
        video = Video(source, timeout, threads=threads, limits=limits)
        video._measured = measured
        if next(video, None) is not None and video.seek(target, start):
            return video
        measured = video._measured
        video.close()
    return Video(source, timeout, threads=threads, limits=limits)


def is_address(source: Source) -> bool:
    """Whether this names something on a network rather than a file."""
    if isinstance(source, Track):
        source = source.source
    return isinstance(source, Address) or (isinstance(source, str) and "://" in source)


def _open(
    source: Source,
    timeout: float | None,
    device: str | None,
    options: dict[str, str],
    limits: Limits,
    hardware: HWAccel | None,
) -> Opened:
    name = without_password(source)
    began = monotonic()
    if isinstance(source, Track):
        source = source.source
    try:
        if device:
            return open_device(str(source), device, limits, timeout, options)
        if isinstance(source, Address) or (isinstance(source, str) and is_address(source)):
            return open_address(source, limits, timeout, options, hardware)
        # "file:" keeps FFmpeg from reading a protocol into a file name with a colon
        where = _inside(source) if isinstance(source, Member) else f"file:{source}"
        return open_file(where, limits, timeout, options)
    except VideoError:
        raise
    except Exception as error:  # FFmpeg's, or PyAV's of what it does not know
        if is_address(source):
            raise _unreachable(error, source, name, timeout, began, options) from None
        if not isinstance(error, av.error.FFmpegError):
            raise VideoError(f"{name}: cannot be opened: {reason(error)}") from error
        raise VideoError(f"{name}: {_unreadable(error, source, limits)}") from None


def _unreachable(
    error: Exception,
    source: str | Path | Member | Address,
    name: str,
    timeout: float | None,
    began: float,
    options: dict[str, str],
) -> VideoError:
    """Why an address cannot be opened."""
    if timeout is not None and monotonic() - began >= timeout:  # which FFmpeg reports in several ways
        return VideoError(f"{name}: no answer within {timeout} s; is the address right and the source running?")
    scheme = (source.url if isinstance(source, Address) else str(source)).partition("://")[0].lower()
    if isinstance(error, av.error.InvalidDataError) and not scheme.startswith("rtsp"):
        return VideoError(f"{name}: {_NO_VIDEO}")
    kind, why = trouble(error, scheme, options.get("rtsp_transport", "tcp"))
    return kind(f"{name}: cannot be opened: {why}")


def _unreadable(error: av.error.FFmpegError, source: str | Path | Member | Address, limits: Limits) -> str:
    """Why a file cannot be opened."""
    if isinstance(error, av.error.FileNotFoundError):
        return "no such file or device"
    if isinstance(error, av.error.PermissionError):
        return "may not be read (permission denied)"
    head = _head(source)
    if why := refusal(error, head, limits):
        return why
    if isinstance(error, av.error.InvalidDataError):
        if head[4:8] in _PIECES:
            return "a piece of a stream (DASH, HLS); put it behind its init segment, in one file"
        return _NO_VIDEO
    return f"cannot be opened: {reason(error)}"


def _is_animated_webp(source: str | Path | Member | Address) -> bool:
    head = _head(source)
    return head[8:16] == b"WEBPVP8X" and len(head) > 20 and bool(head[20] & 0x02)


def _head(source: str | Path | Member | Address) -> bytes:
    """How a file, or one inside another, begins; nothing of what is elsewhere."""
    if isinstance(source, Address) or is_address(source):
        return b""
    offset, size = (source.offset, source.size) if isinstance(source, Member) else (0, _HEAD)
    path = Path(source.archive if isinstance(source, Member) else source)
    try:
        if not path.is_file():  # a pipe would be waited for
            return b""
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(min(size, _HEAD))
    except OSError:
        return b""


def _inside(member: Member) -> str:
    """FFmpeg's name for a part of a file."""
    end = member.offset + member.size
    try:
        there = member.archive.stat().st_size
    except OSError as error:
        raise VideoError(f"{member}: cannot be opened: {error.strerror or error}") from None
    if there < end:
        raise VideoError(f"{member}: should end at byte {end} of the archive, which is cut short at byte {there}")
    return f"subfile,,start,{member.offset},end,{end},,:file:{member.archive}"


def reason(error: Exception) -> str:
    """What an error of FFmpeg or PyAV says, without what it names."""
    if isinstance(error, av.error.FFmpegError):
        return str(error.strerror or error)
    return f"{type(error).__name__}: {error}"
