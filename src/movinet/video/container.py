"""Opening a video wherever it is, and decoding its frames with their times."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from time import monotonic
from typing import Self

import av
import av.error
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from movinet.errors import VideoError
from movinet.video.timing import LATE, Clock

_ASSUMED_RATE = 25.0  # frames a second, where neither frames nor container tell
_DECODE_RATHER_THAN_SEEK = 2.0  # seconds

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


Source = str | Path | Member
"""Where a video is: a path, an address, or inside another file."""


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
    ) -> None:
        self.name = without_password(source)
        self.damaged = 0
        """Packets and frames that could not be decoded, or only in part."""
        self._container = _open(source, timeout, device, options or {})
        try:
            self.stream = _video_stream(self._container, self.name)
        except VideoError:
            self._container.close()
            raise
        # Frame threads are fastest but hold back a frame each.
        self.stream.thread_type = "SLICE" if live else "AUTO"
        self.stream.codec_context.thread_count = threads
        average, nominal = self.stream.average_rate, self.stream.guessed_rate
        # Frames far closer than the codec or their own durations say: the time stamps stand still.
        self.stuck = bool(average and nominal and average > 2 * nominal)
        rate = nominal if self.stuck else average or nominal
        self.fps = float(rate) if rate else None
        """Frames a second as the container tells, or None. The frames' own times may differ."""
        self._clock = Clock(self.fps or _ASSUMED_RATE, trust_pts=self._container.format.name != "avi")
        self._timed = self._decode()

    @property
    def duration(self) -> float | None:
        """Seconds as the container tells; None for live sources and where it does not."""
        if self.stuck and self.stream.frames and self.fps:
            return self.stream.frames / self.fps
        if self.stream.duration and self.stream.time_base:
            return float(self.stream.duration * self.stream.time_base)
        return self._container.duration / av.time_base if self._container.duration else None

    def __iter__(self) -> Iterator[TimedFrame]:
        return self

    def __next__(self) -> TimedFrame:
        return next(self._timed)

    def seek(self, time: float) -> bool:
        """Go to a key frame at or before `time`, having read the first frame. False where that did not work out:
        the video is then anywhere, and must be opened anew."""
        if self.stuck or self._clock.offset is None or self.stream.time_base is None:
            return False
        try:
            self._container.seek(round((time - self._clock.offset) / self.stream.time_base), stream=self.stream)
        except av.error.FFmpegError:
            return False
        self._clock.seeked()
        self._timed = self._decode()
        landed = next(self, None)
        if landed is None:
            return False
        self._timed = chain([landed], self._timed)
        return landed[2].key_frame and landed[0] <= time + LATE

    def close(self) -> None:
        self._container.close()
        # It holds on to this object, and both to the decoder and its threads until garbage is collected; in a process
        # forked before that, which has no such threads, the decoder would wait for them for ever.
        self._timed = iter(())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _decode(self) -> Iterator[TimedFrame]:
        packets = self._container.demux(self.stream)
        packet: av.Packet[VideoStream] | None
        stopped: VideoError | None = None
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                break
            except av.error.FFmpegError as error:  # nothing more can be read
                packet = None  # has the decoder give up what it holds back, as the empty packet at an orderly end does
                # A server that hangs up at the end of what has no length is told from a fault by nobody.
                if isinstance(error, av.error.InvalidDataError):
                    self.damaged += 1
                elif self.duration is not None or not isinstance(error, av.error.OSError):
                    stopped = VideoError(f"{self.name}: reading stopped: {_reason(error)}")
            try:
                frames = self.stream.decode(packet)
            except av.error.FFmpegError:
                self.damaged += 1
                continue
            for frame in frames:
                self.damaged += frame.is_corrupt
                times = self._clock.read(frame)
                if times is not None:
                    yield *times, frame
        if stopped is not None:
            raise stopped


def open_at(source: Source, start: float, timeout: float | None = None, threads: int = 0) -> Video:
    """Open a video so that its next frame is the one shown at `start` seconds, or one before."""
    # A seek may land after `start` (MPEG-TS) or on what cannot be decoded alone: then from further back, then in order.
    for target in (start, start - 10.0):
        if target < _DECODE_RATHER_THAN_SEEK:
            break
        video = Video(source, timeout, threads=threads)
        if next(video, None) is not None and video.seek(target):
            return video
        video.close()
    return Video(source, timeout, threads=threads)


def is_address(source: Source) -> bool:
    """Whether this names something on a network rather than a file."""
    return isinstance(source, str) and "://" in source


def without_password(source: Source) -> str:
    """The source as it may be shown: `rtsp://user:password@host` without the user."""
    return re.sub(r"(?<=://)[^/@\s]*@", "", str(source))


def _open(source: Source, timeout: float | None, device: str | None, options: dict[str, str]) -> InputContainer:
    name = without_password(source)
    began = monotonic()
    if isinstance(source, Member):
        where = _inside(source)
    else:  # "file:" keeps FFmpeg from reading a protocol into a file name with a colon
        where = str(source) if device or is_address(source) else f"file:{source}"
    try:
        return _open_whatever_its_tags(where, device, timeout, options)
    except av.error.FileNotFoundError:
        raise VideoError(f"{name}: no such file or device") from None
    except av.error.PermissionError:
        raise VideoError(f"{name}: may not be read (permission denied)") from None
    except av.error.FFmpegError as error:
        if timeout is not None and monotonic() - began >= timeout:  # which FFmpeg reports in several ways
            raise VideoError(
                f"{name}: no answer within {timeout} s; is the address right and the source running?"
            ) from None
        if isinstance(error, av.error.InvalidDataError):
            raise VideoError(f"{name}: not a video, or cut short so that its index is missing") from None
        raise VideoError(f"{name}: cannot be opened: {_reason(error)}") from error


def _open_whatever_its_tags(
    where: str, device: str | None, timeout: float | None, options: dict[str, str]
) -> InputContainer:
    """Titles and names of old files are in whatever encoding their maker used. Nobody reads them here."""
    opened = partial(av.open, where, format=device, timeout=timeout, options=options)
    try:
        return opened(metadata_errors="replace")
    except TypeError:  # PyAV 19 takes any tag and has no such option
        return opened()


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


def _video_stream(container: InputContainer, name: str) -> VideoStream:
    moving = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not moving:
        kinds = ", ".join(sorted({stream.type for stream in container.streams if stream.type != "video"}))
        raise VideoError(f"{name}: has no video{f', only {kinds}' if kinds else ''}")
    return max(moving, key=lambda s: (bool(s.disposition & Disposition.default), s.width * s.height))


def _reason(error: av.error.FFmpegError) -> str:
    return str(getattr(error, "strerror", None) or error)
