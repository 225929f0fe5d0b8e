"""Prepared frames at another size, for the members of an ensemble."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from movinet.arch.layer_spec import Size
from movinet.runtime.engine import Frames


def resampled(frames: Frames, size: Size) -> Frames:
    """Antialiased bilinear, as the ensembles in PyTorch do it.

    Args:
        frames: (B, H, W, 3) float32.
        size: (height, width) wanted.

    Returns:
        (B, height, width, 3) float32; the frames themselves if they are of that size.
    """
    batch, height, width, colors = frames.shape
    if (height, width) == size:
        return frames
    rows, columns = triangle_weights(height, size[0]), triangle_weights(width, size[1])
    narrow = np.matmul(columns, frames)  # (B, H, width, 3)
    tall = np.matmul(rows, narrow.reshape(batch, height, size[1] * colors))
    return tall.reshape(batch, *size, colors)


@lru_cache(16)
def triangle_weights(before: int, after: int) -> NDArray[np.float32]:
    """(after, before): what each sample weighs in each new one; a triangle that widens as the picture shrinks."""
    scale = before / after
    centers = (np.arange(after)[:, None] + 0.5) * scale
    weights = np.maximum(0.0, 1.0 - np.abs(np.arange(before) + 0.5 - centers) / max(scale, 1.0))
    return (weights / weights.sum(1, keepdims=True)).astype(np.float32)
