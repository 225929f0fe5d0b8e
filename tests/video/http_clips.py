"""A clip for servers on loopback, and what is seen of it from there."""

from pathlib import Path

import numpy as np
from video_clips import number_of, numbered, write

from movinet.video.decode import read_frames
from movinet.video.net.sources import DEFAULT_LIMITS, Limits


def large_clip(path: Path) -> bytes:
    """100 frames with their numbers, of noise that makes them a file of some size."""
    noise = np.random.default_rng(0).integers(0, 40, (100, 64, 128, 3), dtype=np.uint8)
    frames = [np.clip(numbered(i, 64, 128), 60, 190) + noise[i] for i in range(100)]
    return write(path, frames, options={"g": "10", "preset": "ultrafast"}).read_bytes()


def numbers(source: str, limits: Limits = DEFAULT_LIMITS, timeout: float = 2, start: float = 0.0) -> list[int]:
    """Of the frames that come."""
    return [number_of(frame.rgb) for frame in read_frames(source, start=start, timeout=timeout, limits=limits)]
