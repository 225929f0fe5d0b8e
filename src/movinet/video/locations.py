"""Where a video is, and opening it there."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from time import monotonic

import av
import av.error
from av.codec.hwaccel import HWAccel

from movinet.errors import VideoError
from movinet.video.camera.trouble import trouble
from movinet.video.net.login import Address
from movinet.video.net.opening import Opened, open_address, open_device, open_file, refusal
from movinet.video.net.sources import Limits, without_password

_PIECES = (b"styp", b"moof", b"sidx", b"emsg")  # boxes with which segments of streams begin
_HEAD = 1 << 16  # bytes
_NO_VIDEO = "not a video, or cut short so that its index is missing"


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
    """One of the video tracks of a source that has several, or how it is shown, where the source does not tell or lies.

    Args:
        source: Where all of them are.
        number: As `ffprobe` counts streams, sound and text included, from 0; None for the one that moves.
        aspect: Width to height of the picture, before it is turned; as the source says by default.
    """

    source: str | Path | Member | Address
    number: int | None
    aspect: Fraction | None = None

    def __str__(self) -> str:
        return str(self.source)

    def __repr__(self) -> str:
        return f"Track({without_password(self.source)!r}, {self.number})"


Source = str | Path | Member | Address | Track
"""Where a video is: a path, an address, or inside another file; of several tracks the one that moves, or as told."""


def is_address(source: Source) -> bool:
    """Whether this names something on a network rather than a file."""
    if isinstance(source, Track):
        source = source.source
    return isinstance(source, Address) or (isinstance(source, str) and "://" in source)


def open_source(
    source: Source,
    timeout: float | None,
    device: str | None,
    options: dict[str, str],
    limits: Limits,
    hardware: HWAccel | None,
    asked: bool = False,
) -> Opened:
    name = without_password(source)
    began = monotonic()
    if isinstance(source, Track):
        source = source.source
    try:
        if device:
            return open_device(str(source), device, limits, timeout, options)
        if isinstance(source, Address) or (isinstance(source, str) and is_address(source)):
            return open_address(source, limits, timeout, options, hardware, asked)
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
    head = head_of(source)
    if why := refusal(error, head, limits):
        return why
    if isinstance(error, av.error.InvalidDataError):
        if head[4:8] in _PIECES:
            return "a piece of a stream (DASH, HLS); put it behind its init segment, in one file"
        return _NO_VIDEO
    return f"cannot be opened: {reason(error)}"


def is_animated_webp(source: str | Path | Member | Address) -> bool:
    head = head_of(source)
    return head[8:16] == b"WEBPVP8X" and len(head) > 20 and bool(head[20] & 0x02)


def head_of(source: str | Path | Member | Address) -> bytes:
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
