"""Videos for `archive.py`, made by PyAV: H.264 as people have it, small odd ones, hours of gestures."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray

from movinet.video.decode import read_frames
from movinet.video.sample import sample_clip
from movinet.video.transform import Transform

SIZES = {"340x256": (340, 256), "720p": (1280, 720), "1080p": (1920, 1080)}


def encode(
    path: Path, pictures: Iterable[NDArray[np.uint8]], fps: int, codec: str = "libx264", group: int | None = None
) -> Path:
    """Pictures (H, W, 3) as a video, with the encoder's defaults."""
    with av.open(path, "w") as container:
        stream: VideoStream | None = None
        for picture in pictures:
            if stream is None:
                stream = cast(VideoStream, container.add_stream(codec, rate=fps))
                stream.height, stream.width = picture.shape[:2]
                stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
                if group is not None:
                    stream.codec_context.gop_size = group
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        assert stream is not None
        container.mux(stream.encode())
    return path


def repeat(once: Path, path: Path, seconds: float) -> Path:
    """A video again and again, packet for packet."""
    with av.open(once) as read, av.open(path, "w") as write:
        source = read.streams.video[0]
        packets = [packet for packet in read.demux(source) if packet.size]
        stream, base = write.add_stream_from_template(source), source.time_base or Fraction(1)
        lasts = max((packet.pts or 0) + (packet.duration or 0) for packet in packets) - (packets[0].pts or 0)
        for turn in range(round(seconds / float(lasts * base))):
            for packet in packets:
                pts, dts = packet.pts, packet.dts
                packet.stream = stream
                packet.pts, packet.dts = (pts or 0) + turn * lasts, (dts or 0) + turn * lasts
                packet.time_base = base
                write.mux(packet)
                packet.pts, packet.dts, packet.time_base = pts, dts, base
    return path


def footage(path: Path, size: tuple[int, int], clips: list[Path], seconds: float) -> Path:
    """A video of 25 frames a second in which something moves: clips, one behind the other, or what a hand draws."""
    if path.exists():
        return path
    width, height = size
    transform = Transform((height, width), min(height, width), 25.0)

    def pictures() -> Iterable[NDArray[np.uint8]]:
        for clip in clips or [sample_clip()]:
            for number, frame in enumerate(read_frames(clip, fps=25.0)):
                if number == 125:
                    break
                yield frame.levels(transform)

    once = encode(path.with_suffix(".once.mp4"), pictures(), 25)
    repeat(once, path.with_suffix(".part.mp4"), seconds)
    once.unlink()
    return path.with_suffix(".part.mp4").rename(path)


def small_clip(path: Path) -> Path:
    """Three frames of 64×48."""
    transform = Transform((48, 64), 48, 5.0)
    frames = [frame.levels(transform) for frame in read_frames(sample_clip(), fps=5.0, end=0.6)]
    return encode(path, frames, 5, "mjpeg")


def gestures(path: Path, seconds: float, seed: int) -> Path:
    """The gesture of the bundled clip, shifted, some mirrored or backwards, with pauses: ten minutes, repeated."""
    generator = np.random.default_rng(seed)
    transform = Transform((96, 128), 96, 5.0)
    hand = [frame.levels(transform) for frame in read_frames(sample_clip(), fps=5.0)]
    pictures: list[NDArray[np.uint8]] = []
    while len(pictures) < 3000:
        gesture = hand[:: int(generator.choice((1, 1, -1)))]
        if generator.random() < 0.3:
            gesture = [np.flip(picture, 1) for picture in gesture]
        shift = int(generator.integers(-12, 12))
        pictures += [np.ascontiguousarray(np.roll(picture, shift, 1)) for picture in gesture]
        pictures += [pictures[-1]] * int(generator.integers(5, 40))
    once = encode(path.with_suffix(".once.mp4"), pictures, 5, group=50)
    repeat(once, path, seconds)
    once.unlink()
    return path
