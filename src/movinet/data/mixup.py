"""Batches whose clips are mixed with one another, and their labels with them."""

from math import sqrt

import numpy as np
from torch import Tensor


def mixup(clips: Tensor, targets: Tensor, alpha: float, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Each clip blended with another of the batch (arXiv 1710.09412), one weight from Beta(α, α) for the batch.

    Args:
        clips: (B, 3, T, h, w) float.
        targets: (B, num_classes) float: one-hot, multi-hot or soft.
        alpha: Positive; 0.2 mixes little, 1 evenly.

    Returns:
        Clips and targets, of the same shapes.
    """
    _check(clips, targets, alpha)
    weight, other = rng.beta(alpha, alpha), rng.permutation(len(clips))
    return clips.lerp(clips[other], weight), targets.lerp(targets[other], weight)


def cutmix(clips: Tensor, targets: Tensor, alpha: float, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """A box of each clip, the same in all frames, taken from another of the batch (arXiv 1905.04899); labels are mixed
    by area. Arguments and results as of `mixup`."""
    _check(clips, targets, alpha)
    weight, other = rng.beta(alpha, alpha), rng.permutation(len(clips))
    height, width = clips.shape[-2:]
    half_h, half_w = sqrt(weight) * height / 2, sqrt(weight) * width / 2
    y, x = rng.random() * height, rng.random() * width
    rows = slice(round(max(0.0, y - half_h)), round(min(height, y + half_h)))
    columns = slice(round(max(0.0, x - half_w)), round(min(width, x + half_w)))
    share = (rows.stop - rows.start) * (columns.stop - columns.start) / (height * width)
    mixed = clips.clone()
    mixed[..., rows, columns] = clips[other][..., rows, columns]
    return mixed, targets.lerp(targets[other], share)


def _check(clips: Tensor, targets: Tensor, alpha: float) -> None:
    if clips.ndim != 5 or targets.ndim != 2 or len(clips) != len(targets) or not targets.is_floating_point():
        raise ValueError(
            "mixing takes clips (B, 3, T, h, w) and float targets (B, num_classes); "
            f"got {tuple(clips.shape)} and {targets.dtype} {tuple(targets.shape)}"
        )
    if not alpha > 0:
        raise ValueError(f"alpha must be positive, not {alpha}")
