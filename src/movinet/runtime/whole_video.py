"""A video as one clip: held whole for a base network, and passed through by a stream network."""

import math
from collections.abc import Callable, Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from movinet.errors import MovinetError
from movinet.prediction import Prediction
from movinet.runtime.engine import Clips
from movinet.runtime.session import Session
from movinet.video.frame import Frame
from movinet.video.pacer import FilePacer
from movinet.video.transform import HasArray, Transform, as_frames, levels_of_floats, scale_levels

TOGETHER = 64
"""Frames of a file that are decoded before the network sees them: taking turns at each, decoder and network drive one
another out of the processor's cache, which costs a tenth of the time of both (`benchmarks/file_to_labels.py`)."""
_MOST_HELD = 1 << 30  # bytes of 8-bit pixels; in float32 they take four times that, and what networks make of them more


def array_frames(rgb: NDArray[np.uint8] | HasArray, fps: float, rate: float) -> Iterator[Frame]:
    """Frames of an array as a network is shown those of a file.

    Args:
        rgb: uint8 RGB (T, H, W, 3) or (H, W, 3), or floats in [0, 1], also with channels first.
        fps: frames a second that it has.
        rate: that the network wants.

    Raises:
        ValueError: it has another type or shape, or no frames, or its rate is none.
    """
    frames = as_frames(levels_of_floats(rgb))
    if not len(frames):
        raise ValueError("the clip has no frames")
    if not 0 < fps < math.inf:
        raise ValueError(f"fps is {fps}; want the frames a second that the clip has")
    timed = ((n / fps, 1 / fps, frame) for n, frame in enumerate(frames))
    return (Frame.of_rgb(frame, time) for time, frame in FilePacer(rate).shown(timed))


def most_held(transform: Transform) -> int:
    """Frames of the network's size that may be held at once."""
    return _MOST_HELD // (3 * math.prod(transform.size))


def held_clip(frames: Iterable[Frame], transform: Transform) -> tuple[Clips, float]:
    """All frames, at the network's size.

    Args:
        frames: at least one.
        transform: what the network sees of them.

    Returns:
        The clip (1, 3, T, H, W), float32, and the time of its last frame in seconds.

    Raises:
        MovinetError: there are more than `most_held`.
    """
    # Made small one by one, so that a long video never lies in memory at its full size.
    levels: list[NDArray[np.uint8]] = []
    last, most = 0.0, most_held(transform)
    for frame in frames:
        if len(levels) == most:
            raise MovinetError(
                f"more than {most} frames are too many for one clip, which is held in memory: take a part of the "
                "video, or a stream network, which holds none"
            )
        levels.append(frame.levels(transform))
        last = frame.time
    return scale_levels(np.stack(levels).transpose(3, 0, 1, 2), transform.scale)[None], last


def stream_answer(
    session: Session, frames: Iterable[Frame], progress: Callable[[int, int | None], None] | None = None
) -> Prediction:
    """The answer after the last frame, in constant memory.

    Args:
        session: a stream that has seen nothing.
        frames: at least one, at the network's rate.
        progress: called with the frames seen so far, and None.
    """
    waiting: list[Frame] = []

    def see(shown: Iterable[Frame]) -> None:
        for frame in shown:
            session.see(frame, answer=False)  # the head is a third of A0's step
            if progress:
                progress(session.frames, None)

    for frame in frames:
        if len(waiting) == TOGETHER:
            see(waiting)
            waiting.clear()
        waiting.append(frame.kept(session.info.transform))
    *rest, last_frame = waiting
    see(rest)
    prediction = session.see(last_frame)
    assert prediction is not None
    return prediction
