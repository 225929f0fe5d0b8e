"""Which instants of a video make a clip: plain numbers, in seconds from the start of the (stretch of) video.

Every function takes the duration (seconds, positive) and a random generator first, so that
`functools.partial(random_clip, fps=5, frames=16)` is a complete description of how a data set is sampled. Instants lie
in [0, duration] and ascend, but for `loop`.

A video shorter than its clip holds its last frame, as a stream would. With `loop` it begins again instead, as in the
official training (`official/vision/ops/preprocess_ops_3d.py`).
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from movinet.video.timing import LATE

FrameTimes = NDArray[np.floating[Any]]
"""(frames,), or (clips, frames) where a video gives several clips."""

Sampling = Callable[[float, np.random.Generator], FrameTimes]
"""From a duration in seconds and a generator to the instants to be seen."""


def random_clip(
    duration: float,
    rng: np.random.Generator,
    *,
    fps: float,
    frames: int,
    jitter: tuple[float, float] = (1.0, 1.0),
    loop: bool = False,
) -> FrameTimes:
    """A stretch of `frames` at `fps` that begins anywhere it fits; for training.

    Args:
        fps: Frames a second.
        frames: How many, at least 1.
        jitter: The gap between frames is multiplied by a number drawn evenly from this range: above 1 things seem
            faster. The official recipes jitter the frame stride by −1 or 0 of 5, which is (0.8, 1).
        loop: See above.

    Returns:
        (frames,) seconds.
    """
    _check(duration, fps=fps, frames=frames)
    if not 0 < jitter[0] <= jitter[1] < math.inf:
        raise ValueError(f"jitter must be a range of positive factors, the lower first; got {jitter}")
    gap = rng.uniform(*jitter) / fps
    start = rng.random() * max(0.0, duration - (frames - 1) * gap)
    return _fitted(start + np.arange(frames) * gap, duration, loop)


def windows(
    duration: float,
    rng: np.random.Generator | None = None,
    *,
    fps: float,
    frames: int,
    clips: int = 1,
    loop: bool = False,
) -> FrameTimes:
    """Stretches of `frames` at `fps`: the middle one, or several from the first to the last that fits, as in the
    official evaluation. Nothing is random.

    Returns:
        (frames,) seconds for one clip, (clips, frames) for more.
    """
    _check(duration, fps=fps, frames=frames, clips=clips)
    slack = max(0.0, duration - frames / fps)
    starts = np.linspace(0.0, slack, clips) if clips > 1 else np.array([slack / 2])
    instants = _fitted(starts[:, None] + np.arange(frames) / fps, duration, loop)
    return instants if clips > 1 else instants[0]


def uniform(duration: float, rng: np.random.Generator | None = None, *, frames: int, clips: int = 1) -> FrameTimes:
    """The whole video in `frames` instants: it is cut into equal parts, and the middle of each is seen; several clips
    see different instants of each part. Nothing is random.

    Returns:
        (frames,) seconds for one clip, (clips, frames) for more.
    """
    _check(duration, frames=frames, clips=clips)
    instants = (np.arange(frames * clips) + 0.5) * (duration / (frames * clips))
    return instants.reshape(frames, clips).T if clips > 1 else instants


def dense(duration: float, rng: np.random.Generator | None = None, *, fps: float) -> FrameTimes:
    """Every frame at `fps`, those that `movinet.video.decode.read_frames` gives; at least one. Nothing is random."""
    _check(duration, fps=fps)
    return np.arange(max(1, math.ceil((duration - LATE) * fps))) / fps


def within(start: float, end: float, sampling: Sampling, rng: np.random.Generator) -> FrameTimes:
    """The instants of a sampling in a stretch of a video, from `start` to `end` in seconds of the video. What begins at
    the end is no longer part of it."""
    return start + np.minimum(sampling(end - start, rng), max(0.0, end - start - 2 * LATE))


def _fitted(instants: FrameTimes, duration: float, loop: bool) -> FrameTimes:
    return np.where(instants < duration, instants, instants % duration) if loop else np.minimum(instants, duration)


def _check(duration: float, fps: float = 1.0, frames: int = 1, clips: int = 1) -> None:
    if not 0 < duration < math.inf:
        raise ValueError(f"duration must be positive, not {duration}")
    if not 0 < fps < math.inf:
        raise ValueError(f"fps must be positive, not {fps}")
    if frames < 1 or clips < 1:
        raise ValueError(f"a clip has at least one frame and a video at least one clip, not {frames} and {clips}")
