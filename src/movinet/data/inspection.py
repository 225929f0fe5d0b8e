"""What one video of a data set is like, without decoding all of it."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av.error
import numpy as np
from av.container import InputContainer
from numpy.typing import NDArray

from movinet.errors import MovinetError
from movinet.labeled.entries import VideoEntry
from movinet.video.container import Video as Source
from movinet.video.container import open_at
from movinet.video.decode import probe, read_at
from movinet.video.joined import Seams, may_be_joined
from movinet.video.locations import Member
from movinet.video.orientation import Matrices, is_turned
from movinet.video.timing import LATE, Clock

_SAMPLE, _CHUNK = 1 << 16, 1 << 20  # bytes


@dataclass(frozen=True)
class Inspection:
    """What a stretch of video is like.

    Args:
        size: (height, width) of the stored frames, turned as shown; None where nothing can be decoded.
        fps: frames a second on average; None for image folders and where unknown.
        duration: of the stretch, in seconds; None for image folders.
        frames: in the stretch, 0 where nothing can be decoded.
        error: why it cannot be used, or empty.
        damage: what of it cannot be decoded, or empty. Reading goes on around it.
        oddities: what is strange about its time stamps.
    """

    size: tuple[int, int] | None = None
    fps: float | None = None
    duration: float | None = None
    frames: int = 0
    error: str = ""
    damage: str = ""
    oddities: tuple[str, ...] = ()


def inspect_video(video: VideoEntry) -> Inspection:
    """Reads all packets of a video, and decodes the first frame of the stretch, the middle and the last. Never raises:
    what is wrong is told."""
    try:
        return _inspect_images(video) if video.path.is_dir() else _inspect_file(video)
    except (MovinetError, OSError, ValueError) as error:
        return Inspection(error=str(error).removeprefix(f"{video.path}: "))


def sample_digest(path: Path | Member) -> str:
    """A digest of the size, beginning, middle and end of a file, or of all files of a folder. Equal files have equal
    ones; unequal files hardly ever.

    Raises:
        OSError: it cannot be read.
    """
    digest = hashlib.blake2b(digest_size=16)
    for file, offset, size in _files(path):
        with open(file, "rb") as data:
            digest.update(size.to_bytes(8, "little"))
            for place in sorted({0, max(0, size // 2 - _SAMPLE // 2), max(0, size - _SAMPLE)}):
                data.seek(offset + place)
                digest.update(data.read(min(_SAMPLE, size - place)))
    return digest.hexdigest()


def full_digest(path: Path | Member) -> str:
    """A digest of all of a file, or of all files of a folder.

    Raises:
        OSError: it cannot be read.
    """
    digest = hashlib.blake2b(digest_size=16)
    for file, offset, size in _files(path):
        digest.update(size.to_bytes(8, "little"))
        with open(file, "rb") as data:
            data.seek(offset)
            for done in range(0, size, _CHUNK):
                digest.update(data.read(min(_CHUNK, size - done)))
    return digest.hexdigest()


def _files(path: Path | Member) -> Iterator[tuple[Path, int, int]]:
    """Files with the first byte and the number of bytes that count."""
    if isinstance(path, Member):
        yield path.archive, path.offset, path.size
        return
    inside = sorted(path.iterdir()) if path.is_dir() else [path]
    for file in inside:
        if file == path or (file.is_file() and not file.name.startswith(".")):
            yield file, 0, file.stat().st_size


def _inspect_images(video: VideoEntry) -> Inspection:
    info = probe(video.path)
    count = info.frames or 0
    for frame in read_at(video.path, sorted({0, count // 2, count - 1})):
        _ = frame.rgb  # or VideoError
    return Inspection(info.size, frames=count)


def _inspect_file(video: VideoEntry) -> Inspection:
    packets = _read_packets(video.path)
    times, fps = packets.times, packets.fps
    if not len(times):
        return Inspection(error="has no frame")
    period = 1 / fps if fps else float(np.median(np.diff(times))) if len(times) > 1 else 0.0
    whole = float(times[-1]) + period
    end = min(video.end or whole, whole)
    first = int(np.searchsorted(times, video.start + LATE, "right")) - 1  # on screen at the start
    inside = times[first : max(first + 1, int(np.searchsorted(times, end - LATE)))]
    if video.start >= whole:
        return Inspection(error=f"has no frame from {video.start:g} s; it lasts {whole:.2f} s")
    oddities = _oddities(packets, whole)
    if video.end is not None and video.end > whole + max(0.5, period):
        oddities.append(f"ends at {whole:.2f} s, listed to {video.end:g} s")

    damage, size = [], None
    if packets.broken or len(times) < 0.9 * packets.expected:
        damage.append(
            f"cut short, {len(times)}{f' of {packets.expected}' if packets.expected else ''} frames are there"
        )
    elif packets.says and packets.says - whole > max(1.0, 0.1 * whole):
        damage.append(f"cut short, {whole:.2f} of {packets.says:.2f} s are there")
    for place in sorted({float(inside[k]) for k in (0, len(inside) // 2, -1)}):
        shape, whole_frame = _decode_at(video.path, place)
        if shape is None and size is None:
            return Inspection(error=f"no frame can be decoded at {place:.2f} s")
        if not whole_frame:
            damage.append(f"damaged at {place:.2f} s")
        size = size or shape
    return Inspection(size, fps, end - video.start, len(inside), damage="; ".join(damage), oddities=tuple(oddities))


class _Packet(NamedTuple):
    pts: int | None
    dts: int | None
    duration: int
    time_base: Fraction | None
    is_keyframe: bool


@dataclass(frozen=True)
class _Packets:
    times: NDArray[np.float64]  # when frames are shown, seconds since the first, as the decoder tells time
    repeated: int  # frames that share their time stamp with another of their recording or have none
    expected: int  # frames the header announces, or 0
    fps: float | None
    says: float | None  # seconds, as the container tells
    broken: bool  # reading broke off


def _read_packets(path: Path | Member) -> _Packets:
    packets, broken = list[_Packet](), False
    with Source(path, threads=1) as opened:
        stream, container = opened.stream, opened.stream.container
        assert isinstance(container, InputContainer)
        try:
            for packet in container.demux(stream):
                if packet.size:  # those before reading breaks off are kept
                    packets.append(
                        _Packet(packet.pts, packet.dts, packet.duration or 0, packet.time_base, packet.is_keyframe)
                    )
        except av.error.FFmpegError:
            broken = True
        clock = Clock(opened.fps or 25.0, trust_pts=container.format.name != "avi")
        read, repeated = [], 0
        for recording, is_ahead in _recordings(packets, may_be_joined(container)):
            if all(packet.pts is not None for packet in recording):  # from the order of decoding to that of display
                recording.sort(key=lambda packet: packet.pts or 0)
            if is_ahead:
                clock.joined()
            stamps = [packet.dts if packet.pts is None else packet.pts for packet in recording]
            repeated += len(stamps) - len(set(stamps) - {None})
            read += [clock.read(packet) for packet in recording]
        times = np.array([time[0] for time in read if time is not None])
        return _Packets(times, repeated, stream.frames, opened.fps, opened.duration, broken)


def _recordings(packets: list[_Packet], may_be_several: bool) -> list[tuple[list[_Packet], bool]]:
    """The packets of each of the recordings that were joined, and whether its clock is ahead of the one before."""
    parts: list[tuple[list[_Packet], bool]] = [([], False)]
    seams = Seams()
    for packet in packets:
        jump = seams.jump(packet) if may_be_several else 0
        if jump:
            parts.append(([], jump > 0))
        parts[-1][0].append(packet)
    return parts


def _oddities(packets: _Packets, lasts: float) -> list[str]:
    times, says = packets.times, packets.says
    gaps = np.diff(times)
    found = []
    if packets.repeated:
        found.append(f"{packets.repeated} of {len(times)} frames without time stamps; their durations are gone by")
    if len(gaps) and (longest := float(gaps.max())) > max(1.0, 5 * float(np.median(gaps))):
        found.append(f"no frame for {longest:.2f} s after {times[int(gaps.argmax())]:.2f} s")
    if says and lasts - says > max(1.0, 0.1 * lasts):
        found.append(f"claims to last {says:.2f} s, but its frames last {lasts:.2f} s")
    return found


def _decode_at(path: Path | Member, time: float) -> tuple[tuple[int, int] | None, bool]:
    """Height and width of the frame shown at a time, or None, and whether it and what led to it is undamaged."""
    shape, until, matrices = None, 0.0, Matrices()
    with open_at(path, time, threads=1) as opened:
        for at, duration, frame in opened:
            shape = (frame.width, frame.height) if is_turned(matrices.of(frame)) else (frame.height, frame.width)
            until = at + duration
            if until > time + LATE:
                break
        # Where packets are empty, AVI's frames come a little earlier than its packets.
        return shape, not opened.damaged and until > time - 0.2
