"""Makes the videos the tests read: frames that carry their number, in any container, at any times."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

BITS = 8


def numbered(number: int, height: int = 32, width: int = 64) -> NDArray[np.uint8]:
    """A frame whose columns of black and white are its number in binary; survives lossy codecs."""
    bits = [255 * (number >> bit & 1) for bit in range(BITS)]
    row = np.repeat(np.array(bits, np.uint8), width // BITS)
    return np.broadcast_to(np.pad(row, (0, width - len(row)))[None, :, None], (height, width, 3)).copy()


def number_of(rgb: NDArray[np.uint8]) -> int:
    """The number back from a frame made by `numbered`."""
    _, width = rgb.shape[:2]
    step = width // BITS
    middles = rgb[:, step // 2 :: step].mean(axis=(0, 2))[:BITS]
    return sum(int(level > 127) << bit for bit, level in enumerate(middles))


def write(
    path: Path,
    frames: Sequence[NDArray[np.uint8]],
    ticks: Sequence[int] | None = None,
    time_base: Fraction = Fraction(1, 25),
    codec: str = "libx264",
    pixels: str = "yuv420p",
    rotation: tuple[int, bool, bool] = (0, False, False),
    options: dict[str, str] | None = None,
    container: str | None = None,
    source: str = "rgb24",
    title: str = "",
    muxer: dict[str, str] | None = None,
) -> Path:
    """Encode frames shown at `ticks` × time_base seconds (0, 1, 2, … by default)."""
    with av.open(str(path), "w", format=container, options=muxer or {}) as out:
        if title:
            out.metadata["title"] = title
        stream = out.add_stream(codec, rate=round(1 / time_base), options=options or {})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pixels
        stream.codec_context.time_base = time_base
        stream.codec_context.thread_count = 1
        if rotation != (0, False, False):
            stream.set_display_rotation(rotation[0], hflip=rotation[1], vflip=rotation[2])
        for tick, image in zip(ticks or range(len(frames)), frames, strict=True):
            frame = av.VideoFrame.from_ndarray(image, format=source)
            frame.pts, frame.time_base = tick, time_base
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def write_planes(
    path: Path, planes: tuple[int, ...], colorspace: int, color_range: int, size: tuple[int, int] = (32, 32)
) -> Path:
    """Three lossless frames of one color, given as stored (Y, U, V), tagged as told."""
    height, width = size
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=5, options={"qp": "0"})
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv444p"
        stream.codec_context.colorspace, stream.codec_context.color_range = colorspace, color_range
        for tick in range(3):
            frame = av.VideoFrame(width, height, "yuv444p")
            for plane, value in zip(frame.planes, planes, strict=True):
                plane.update(bytes([value]) * plane.buffer_size)
            frame.pts, frame.colorspace, frame.color_range = tick, colorspace, color_range
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def write_sound(path: Path) -> Path:
    """A file with sound only."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("aac", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 8000
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def write_with_sound(path: Path, frames: Sequence[NDArray[np.uint8]], fps: int, seconds: int) -> Path:
    """Frames, and sound that may last longer than they."""
    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=fps)
        video.height, video.width, video.pix_fmt = *frames[0].shape[:2], "yuv420p"
        audio = out.add_stream("aac", rate=8000, layout="mono")
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 8000 * seconds), np.float32), format="fltp", layout="mono")
        sound.sample_rate = 8000
        for image in frames:
            out.mux(video.encode(av.VideoFrame.from_ndarray(image)))
        out.mux(video.encode(None))
        out.mux(audio.encode(sound))
        out.mux(audio.encode(None))
    return path
