"""What a network sees of a clip, as a picture, and what looks wrong with it: the first thing to look at when its
predictions make no sense."""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from movinet.errors import VideoError
from movinet.video.container import open_at
from movinet.video.decode import duration, probe, read_at, read_frames
from movinet.video.drawing import ALARM, BACKGROUND, BRIGHT, DIM, LETTER, Picture, png, write_text
from movinet.video.frame import Frame
from movinet.video.locations import Source, is_address
from movinet.video.looks import Finding, motion, of_luma, of_pixels, of_stamps, of_times
from movinet.video.net.sources import DEFAULT_LIMITS, Limits
from movinet.video.orientation import Matrices, rotation
from movinet.video.transform import Transform
from movinet.weights.info import WeightsInfo
from movinet.words import counted

SOFTWARE = "movinet inspect"
"""What the pictures say they were drawn by."""
_SHOWN = 40  # frames of a sheet
_COLUMNS = 8
_LOOKED_AT = 300  # frames, as they are stored, whose times and levels are looked at
_UNKNOWN = 10.0  # seconds of what does not tell how long it lasts
_APART = 10.0  # seconds between frames from where on one seeks
_TINY = Transform((32, 32), 32, 1.0)
_MARGIN, _LINE, _TEXT = 12, 14, 110  # pixels; letters of a line

_MATRICES = {1: "BT.709", 5: "BT.601", 6: "BT.601", 9: "BT.2020"}
_RANGES = {1: "limited", 2: "full"}
_HDR = {16: "PQ", 18: "HLG"}  # AVCOL_TRC_SMPTE2084, AVCOL_TRC_ARIB_STD_B67


@dataclass(frozen=True)
class Stored:
    """A video as it is stored.

    Args:
        codec, pixels: FFmpeg's names, such as `h264` and `yuv420p`.
        stored: (height, width) before pixels are made square and the picture is turned.
        shown: (height, width) after that.
        aspect: Width of a pixel divided by its height.
        rotation: Degrees counter-clockwise.
        matrix, range: Of colors, as tagged; None where untagged.
        transfer: `PQ` or `HLG` where it is of high dynamic range.
        fps: Frames a second, as tagged or, where it is not, on average; None for folders and where unknown.
        damaged: Packets and frames that could not be decoded, among the first 300 frames.
        captured: Frames a second the camera took, where it tells (phones do, of slow motion).
        seconds: Of the whole video; None for what does not tell.
    """

    codec: str
    pixels: str | None
    stored: tuple[int, int]
    shown: tuple[int, int]
    aspect: float
    rotation: int
    matrix: str | None
    range: str | None
    transfer: str | None
    fps: float | None
    captured: float | None
    damaged: int
    seconds: float | None


@dataclass(frozen=True)
class Inspected:
    """What was found of a clip.

    Args:
        video: As it is stored.
        model: Name of the network, for whose eyes it was prepared.
        transform: The network's.
        frames: How many the network is given of the clip, as far as its file tells.
        times: Seconds of the frames below.
        levels: (T, h, w, 3), some or all of these frames as the network sees them.
        findings: What looks wrong, if anything.
    """

    video: Stored
    model: str
    transform: Transform
    frames: int
    times: tuple[float, ...]
    levels: NDArray[np.uint8]
    findings: tuple[Finding, ...]

    def to_dict(self) -> dict[str, Any]:
        """All but the pixels, for JSON."""
        prepared = {"model": self.model, "size": list(self.transform.size), "fps": self.transform.fps}
        return {
            "video": asdict(self.video),
            **prepared,
            "frames": self.frames,
            "times": [round(time, 3) for time in self.times],
            "findings": [asdict(finding) for finding in self.findings],
        }


def inspect(
    source: Source, info: WeightsInfo, start: float = 0.0, end: float | None = None, *, limits: Limits = DEFAULT_LIMITS
) -> Inspected:
    """Look at a clip as a network does.

    Args:
        source: A video, an image folder or an address. Of what does not tell its length, 10 seconds count.
        info: The network's.
        start, end: Seconds.
        limits: What the video may make this process do.

    Raises:
        VideoError: It cannot be read.
        ValueError: A span that is empty.
    """
    transform = info.transform
    found = []
    if not is_address(source) and Path(str(source)).is_dir():
        video = _folder(source, transform.fps, limits)
    else:
        video, luma, times, tiny, stamped = _stored(source, start, end, limits)
        found += stamped
        found += of_luma(luma, limited=video.range != "full" and not (video.pixels or "").startswith("yuvj"))
        found += of_times(times, video.fps, video.captured, motion(tiny), transform.fps)
    until = end if end is not None else start + _UNKNOWN
    if video.seconds is not None:
        until = video.seconds if end is None else min(end, video.seconds)
    count = max(1, math.ceil((until - start) * transform.fps - 1e-3))
    frames = list(_prepared(source, transform.fps, start, until, count, limits))
    levels = np.stack([frame.levels(transform) for frame in frames])
    findings = [*_of_shape(video, transform), *found, *of_pixels(levels)]
    if count < max(2, info.spec.frames // 8):
        findings.append(Finding("short", f"has {counted(count, 'frame')}, and this network was made for clips of "
                        f"{info.spec.frames}: it has hardly begun to see"))  # fmt: skip
    kept: dict[str, Finding] = {}
    for finding in findings:
        kept.setdefault(finding.kind, finding)
    return Inspected(video, info.name, transform, count, tuple(f.time for f in frames), levels, tuple(kept.values()))


def _prepared(source: Source, fps: float, start: float, end: float, count: int, limits: Limits) -> Iterator[Frame]:
    """All frames a network is given, or some of them, evenly spread."""
    if count <= _SHOWN:
        # A container may promise more than there is, or a hair less.
        yield from islice(
            read_frames(source, fps, start, max(end, start + 0.5 / fps), folder_fps=fps, limits=limits), _SHOWN
        )
        return
    ticks = np.linspace(0, count - 1, _SHOWN).round()
    times = [start + float(tick) / fps for tick in ticks]
    for some in [times] if times[1] - times[0] < _APART else [[time] for time in times]:
        yield from read_at(source, some, folder_fps=fps, limits=limits)


def _folder(source: Source, fps: float, limits: Limits) -> Stored:
    about, lasts = probe(source, limits=limits), duration(source, folder_fps=fps, limits=limits)
    return Stored(about.codec, None, about.size, about.size, 1.0, 0, None, None, None, None, None, 0, lasts)


def _stored(
    source: Source, start: float, end: float | None, limits: Limits
) -> tuple[Stored, NDArray[np.int64], list[float], NDArray[np.uint8], list[Finding]]:
    """The video, how often each level of brightness is in it, its first frames' times, these frames, very small, and
    what is wrong with their time stamps."""
    until = end if end is not None else start + _UNKNOWN if is_address(source) else math.inf
    counts, times, tiny = np.zeros(256, np.int64), list[float](), list[NDArray[np.uint8]]()
    stamps = list[int | None]()
    with open_at(source, start, 10.0 if is_address(source) else None, limits=limits) as video:
        to_rgb, first = video.to_rgb(), None
        for time, _, frame in video:
            if time < start - 1e-3:
                continue
            if (times and time >= until) or len(times) == _LOOKED_AT:
                break
            first = first or frame
            if len(times) % 10 == 0:
                _count_luma(frame, counts)
            times.append(time)
            stamps.append(frame.dts if frame.pts is None else frame.pts)
            tiny.append(to_rgb.levels(frame, _TINY))
        if first is None:
            raise video.empty() if start == 0 else VideoError(f"{video.name}: has no frame from {start} s on")
        told = video.stream.codec_context.framerate or video.stream.average_rate
        stored = Stored(
            codec=video.stream.codec_context.name,
            pixels=first.format.name,
            stored=(first.height, first.width),
            shown=to_rgb.size(first),
            aspect=float(to_rgb.aspect or 1),
            rotation=rotation(Matrices().of(first)),
            matrix=_MATRICES.get(int(first.colorspace)),
            range=_RANGES.get(int(first.color_range)),
            transfer=_HDR.get(int(first.color_trc)),
            fps=float(told) if told and told < 1000 else video.fps,
            captured=_number(video.stream.container.metadata.get("com.android.capture.fps")),
            damaged=video.damaged,
            seconds=video.duration if video.finite or not is_address(source) else None,
        )
        # Of what is live, the moment of arrival counts.
        live = is_address(source) and not video.finite
        stamped = [] if live else of_stamps(stamps, times, video.keeps_times)
    return stored, counts, times, np.stack(tiny), stamped


def _count_luma(frame: av.VideoFrame, counts: NDArray[np.int64]) -> None:
    """Adds the levels of a frame's brightness as they are stored, where that is a plane of bytes."""
    if frame.format.name.startswith(("yuv4", "yuvj", "nv12")) and frame.format.components[0].bits == 8:
        plane = frame.planes[0]
        if plane.line_size < plane.width:  # from the bottom up
            return
        room = np.ndarray((plane.height, plane.width), np.uint8, memoryview(plane), strides=(plane.line_size, 1))
        counts += np.bincount(room[::2, ::2].ravel(), minlength=256)


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if 0 < number < 1e6 else None


def _of_shape(video: Stored, transform: Transform) -> list[Finding]:
    found = []
    height, width = video.shown
    resized = transform.resized(height, width)
    seen = [crop / size for crop, size in zip(transform.size, resized, strict=True)]
    if height >= 1.3 * width:
        found.append(Finding("portrait", f"is upright: the network sees the middle {seen[0]:.0%} of its height; if it "
                     "lies on its side in the sheet, its file lost a tag"))  # fmt: skip
    elif min(seen) < 0.42:
        what = "height" if seen[0] < seen[1] else "width"
        found.append(Finding("crop", f"is so long that the network sees the middle {min(seen):.0%} of its {what} only: "
                     "cut out what matters first"))  # fmt: skip
    if (larger := min(resized) / min(height, width)) > 2:
        found.append(Finding("small", f"has {min(height, width)} pixels across and is magnified {larger:.1f} times"))
    if video.damaged:
        found.append(Finding("damaged", f"{counted(video.damaged, 'packet')} of its beginning cannot be decoded: some "
                     "frames are left out or smeared"))  # fmt: skip
    if video.transfer:
        found.append(Finding("hdr", f"is of high dynamic range ({video.transfer}), which is not mapped to that of the "
                     "clips networks were trained on: it looks washed-out to them; convert it to BT.709"))  # fmt: skip
    return found


def lines_of(seen: Inspected, name: str) -> list[str]:
    """What is known of a clip, in a few lines of ASCII where its name is."""
    video, (height, width) = seen.video, seen.transform.size
    size = f"{video.shown[1]}x{video.shown[0]}"
    if video.shown != video.stored:
        size += f" (stored as {video.stored[1]}x{video.stored[0]}"
        size += f", pixels {Fraction(video.aspect).limit_denominator(100)}" if video.aspect != 1 else ""
        size += f", turned by {video.rotation} degrees)" if video.rotation else ")"
    elif video.rotation:
        size += f" (turned by {video.rotation} degrees)"
    rate = f"{video.fps:.4g} frames/s" if video.fps else "no rate of its own"
    lasts = f"{video.seconds:.2f} s" if video.seconds is not None else "unknown length"
    colors = f"colors {video.matrix or 'untagged'}, range {video.range or 'untagged'}"
    kind = " ".join(part for part in (video.codec, video.pixels, video.transfer) if part)
    given = counted(seen.frames, "frame")
    shown = f"; {len(seen.times)} of them shown" if seen.frames > len(seen.times) else ""
    return [
        name,
        f"{kind}, {size}, {rate}, {lasts}, {colors}",
        f"{seen.model} is given {given} of {width}x{height} at {seen.transform.fps:g} a second{shown}",
    ]


def sheet(seen: Inspected, name: str) -> bytes:
    """The frames as the network sees them, with their times, and what looks wrong: a PNG."""
    count, height, width = seen.levels.shape[:3]
    columns = min(_COLUMNS, count)
    rows = -(-count // columns)
    texts = [(line, BRIGHT if number == 0 else DIM) for number, line in enumerate(lines_of(seen, name))]
    for finding in seen.findings:
        texts += [(line, ALARM) for line in _wrapped(f"{finding.kind}: {finding.text}")]
    across = max(columns * (width + 4), max(min(_TEXT, len(line)) for line, _ in texts) * LETTER)
    top = _MARGIN + len(texts) * _LINE + _MARGIN
    picture: Picture = np.full((top + rows * (height + _LINE) + _MARGIN, across + 2 * _MARGIN, 3), BACKGROUND, np.uint8)
    for number, (line, color) in enumerate(texts):
        write_text(picture, line[:_TEXT], _MARGIN + number * _LINE, _MARGIN, color)
    for number, (time, levels) in enumerate(zip(seen.times, seen.levels, strict=True)):
        y, x = top + number // columns * (height + _LINE), _MARGIN + number % columns * (width + 4)
        picture[y : y + height, x : x + width] = levels
        write_text(picture, f"{time:.2f} s"[: width // LETTER], y + height + 3, x, DIM)
    return png(picture, SOFTWARE)


def _wrapped(text: str) -> list[str]:
    lines, line = list[str](), ""
    for word in text.split():
        if line and len(line) + 1 + len(word) > _TEXT:
            lines.append(line)
            line = " " * 2
        line = f"{line} {word}" if line.strip() else line + word
    return [*lines, line]
