"""Frames on their way from a camera into a batch."""

from typing import cast

import numpy as np
from numpy.typing import NDArray

from movinet.video.transform import Transform, scale_levels

Image = NDArray[np.uint8] | NDArray[np.float32]


def prepared(frame: Image, transform: Transform) -> Image:
    """A copy of what a network sees of a frame: (h, w, 3).

    Args:
        frame: (H, W, 3) uint8 RGB of any size, or float32 as the network takes it, which stays as it is.
        transform: the network's.

    Raises:
        ValueError: the frame has another type or shape, or holds values that are no numbers.
    """
    if isinstance(frame, np.ndarray) and frame.dtype == np.float32:
        wanted = (*transform.size, 3)
        if frame.shape != wanted:
            raise ValueError(f"float32 frames are taken as they are, so of shape {wanted}, not {frame.shape}")
        if not np.isfinite(frame).all():
            raise ValueError("the frame holds values that are no numbers")
        return frame.copy()
    levels = transform.levels(frame)
    if len(levels) != 1:
        raise ValueError(f"frames are pushed one at a time, not {len(levels)} at once")
    return levels[0]


def write_scaled(image: Image, scale: tuple[float, float], out: NDArray[np.float32]) -> None:
    """Write a prepared frame where the engine reads it, levels 0 and 255 becoming the ends of `scale`."""
    if image.dtype == np.uint8:
        scale_levels(cast(NDArray[np.uint8], image), scale, out)
    else:
        out[...] = image
