"""Frames on their way from a camera into a batch."""

import math
from typing import cast

import numpy as np
from numpy.typing import NDArray

from movinet.video.frame import Frame
from movinet.video.transform import Transform, scale_levels

_ROUNDED = 1e-3  # by which values may lie beyond the range

Image = NDArray[np.uint8] | NDArray[np.float32]


def prepared(frame: Image | Frame, transform: Transform) -> Image:
    """What a network sees of a frame: (h, w, 3), which is not changed by what happens to the frame later.

    Args:
        frame: (H, W, 3) uint8 RGB of any size, or float32 as the network takes it, which stays as it is; or a frame of
            a video.
        transform: the network's.

    Raises:
        ValueError: the frame has another type or shape, or holds values that are no numbers.
        VideoError: a video's frame cannot be converted.
    """
    if isinstance(frame, Frame):
        return frame.levels(transform)
    if isinstance(frame, np.ndarray) and frame.dtype == np.float32:
        wanted = (*transform.size, 3)
        if frame.shape != wanted:
            raise ValueError(
                f"float32 frames are taken as they are, so of shape {wanted}, not {frame.shape}; pictures must be uint8"
            )
        low, high = sorted(transform.scale)
        least, most = float(frame.min()), float(frame.max())
        if not (low - _ROUNDED <= least and most <= high + _ROUNDED):
            odd = (
                "holds values that are no numbers" if math.isnan(least) else f"holds values from {least:g} to {most:g}"
            )
            raise ValueError(
                f"the frame {odd}; float32 frames are taken as they are, in {low:g} to {high:g}; pictures must be uint8"
            )
        return frame.copy()
    levels = transform.levels(frame)
    if len(levels) != 1:
        raise ValueError(f"frames are pushed one at a time, not {len(levels)} at once")
    return levels[0]


def write_scaled(image: Image, scale: tuple[float, float], out: NDArray[np.float32]) -> None:
    """Write a prepared frame where the engine reads it, levels 0 and 255 becoming the ends of `scale`."""
    if image.dtype == np.uint8:
        scale_levels(cast("NDArray[np.uint8]", image), scale, out)
    else:
        out[...] = image
