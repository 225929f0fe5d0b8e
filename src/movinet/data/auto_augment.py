"""AutoAugment and RandAugment over a clip: chains of image operations, the same for every frame.

After `official/vision/ops/augment.py` of TensorFlow's model garden, which trained the published networks: policy `v0`,
its probabilities, levels and what a level means, nearest-neighbor warps, 128 where nothing is, histograms over the
whole clip. Ours differs where that is plainly a slip, all outside of `v0`: contrast goes by the mean gray (there: by
the number of pixels), cutout is one square through all frames.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import cos, radians, sin

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import conv2d

_GRAY = (0.2989, 0.587, 0.114)  # as tf.image.rgb_to_grayscale
_FILL = 128


@dataclass(frozen=True)
class AutoAugment:
    """One of 25 pairs of operations (arXiv 1805.09501), `v0` of the model garden.

    Args:
        translate: Pixels by which level 10 moves a picture. The official 250 empties one clip in thirty at 172².
    """

    translate: float = 250.0


@dataclass(frozen=True)
class RandAugment:
    """Any operations in a row (arXiv 1909.13719); one in seventeen does nothing.

    Args:
        operations: How many.
        magnitude: Level of all of them, 0 to 10.
        translate: Pixels by which level 10 moves a picture.
        cutout: Half the side in pixels of the square that level 10 cuts out.
    """

    operations: int = 2
    magnitude: float = 10.0
    translate: float = 100.0
    cutout: float = 40.0

    def __post_init__(self) -> None:
        if not 0 <= self.operations <= 100 or not 0 <= self.magnitude <= 10:
            raise ValueError(f"RandAugment needs 0 to 100 operations and a magnitude from 0 to 10; got {self}")


Policy = AutoAugment | RandAugment


def apply_policy(clip: Tensor, policy: Policy, rng: np.random.Generator) -> Tensor:
    """A clip changed at random, (T, H, W, 3) uint8, the shape kept."""
    if isinstance(policy, RandAugment):
        for _ in range(policy.operations):
            choice = int(rng.integers(len(_RANDOM) + 1))
            if choice < len(_RANDOM):
                clip = _RANDOM[choice](clip, policy.magnitude, policy, rng)
        return clip
    for operation, probability, level in _V0[rng.integers(len(_V0))]:
        if rng.random() < probability:
            clip = operation(clip, level, policy, rng)
    return clip


Operation = Callable[[Tensor, float, Policy, np.random.Generator], Tensor]
"""(clip, level from 0 to 10, policy, rng) → clip; (T, H, W, 3) uint8."""

_LEVELS = torch.arange(256)


def auto_contrast(clip: Tensor, *_: object) -> Tensor:
    """Each channel stretched to 0..255."""
    columns = clip.view(-1, clip.shape[2] * 3)  # down to one row first: short rows are slow to reduce
    low = columns.amin(0).view(-1, 3).amin(0).float()
    high = columns.amax(0).view(-1, 3).amax(0).float()
    scale = 255.0 / (high - low).clamp(min=1.0)
    table = ((_LEVELS[:, None] - low) * scale).clamp(0, 255)
    return _per_channel(clip, torch.where(high > low, table, _LEVELS[:, None].float()).to(torch.uint8))


def equalize(clip: Tensor, *_: object) -> Tensor:
    """Each channel's histogram made flat, in whole numbers as PIL does."""
    tables = []
    for channel in range(3):
        counts = torch.from_numpy(np.bincount(clip[..., channel].numpy().ravel(), minlength=256))
        step = int(counts.sum() - counts[counts > 0][-1]) // 255
        table = torch.cat([torch.zeros(1, dtype=torch.int64), (counts.cumsum(0)[:-1] + step // 2) // max(step, 1)])
        tables.append(table.clamp(0, 255) if step else _LEVELS)
    return _per_channel(clip, torch.stack(tables, dim=1).to(torch.uint8))


def invert(clip: Tensor, *_: object) -> Tensor:
    return 255 - clip


def posterize(clip: Tensor, level: float, *_: object) -> Tensor:
    """Only the int(level · 0.4) upper bits are kept, at least one (TensorFlow shifts by at most 7)."""
    shift = 8 - max(1, int(level / 10 * 4))
    return clip >> shift << shift


def solarize(clip: Tensor, level: float, *_: object) -> Tensor:
    """Inverted from int(level · 25.6) on."""
    return _table(clip, torch.where(int(level / 10 * 256) > _LEVELS, _LEVELS, 255 - _LEVELS))


def solarize_add(clip: Tensor, level: float, *_: object) -> Tensor:
    """Below 128, int(level · 11) brighter."""
    return _table(clip, torch.where(_LEVELS < 128, (_LEVELS + int(level / 10 * 110)).clamp(max=255), _LEVELS))


def color(clip: Tensor, level: float, *_: object) -> Tensor:
    """Between gray (factor 0), the clip (1) and beyond; factor 0.1 to 1.9."""
    factor = _factor(level)
    # Per pixel gray + factor · (pixel − gray), as one matrix: short rows are slow to broadcast over.
    mix = factor * torch.eye(3) + (1 - factor) * torch.tensor(_GRAY)[:, None]
    return (clip.float() @ mix).round_().clamp_(0, 255).to(torch.uint8)


def contrast(clip: Tensor, level: float, *_: object) -> Tensor:
    mean = float((clip.view(-1, 3).float().mean(dim=0) @ torch.tensor(_GRAY)).floor())
    return _table(clip, (mean + _factor(level) * (_LEVELS - mean)).clamp(0, 255))


def brightness(clip: Tensor, level: float, *_: object) -> Tensor:
    return _table(clip, (_factor(level) * _LEVELS).clamp(0, 255))


def sharpness(clip: Tensor, level: float, *_: object) -> Tensor:
    """Between smoothed (factor 0), the clip (1) and beyond; the border stays."""
    if min(clip.shape[1:3]) < 3:
        return clip
    kernel = torch.tensor([[1.0, 1, 1], [1, 5, 1], [1, 1, 1]]).expand(3, 1, 3, 3) / 13
    smooth = clip.clone()
    inside = conv2d(clip.permute(0, 3, 1, 2).float(), kernel, groups=3).clamp(0, 255)
    smooth[:, 1:-1, 1:-1] = inside.permute(0, 2, 3, 1).to(torch.uint8)
    return torch.lerp(smooth.float(), clip.float(), _factor(level)).clamp_(0, 255).to(torch.uint8)


def rotate(clip: Tensor, level: float, _: object, rng: np.random.Generator) -> Tensor:
    """By up to 30 degrees either way around the center."""
    angle = radians(_signed(level / 10 * 30, rng))
    x, y = (clip.shape[2] - 1) / 2, (clip.shape[1] - 1) / 2
    c, s = cos(angle), sin(angle)
    return _warp(clip, (c, -s, x - c * x + s * y), (s, c, y - s * x - c * y))


def shear_x(clip: Tensor, level: float, _: object, rng: np.random.Generator) -> Tensor:
    return _warp(clip, (1, _signed(level / 10 * 0.3, rng), 0), (0, 1, 0))


def shear_y(clip: Tensor, level: float, _: object, rng: np.random.Generator) -> Tensor:
    return _warp(clip, (1, 0, 0), (_signed(level / 10 * 0.3, rng), 1, 0))


def translate_x(clip: Tensor, level: float, policy: Policy, rng: np.random.Generator) -> Tensor:
    return _warp(clip, (1, 0, _signed(level / 10 * policy.translate, rng)), (0, 1, 0))


def translate_y(clip: Tensor, level: float, policy: Policy, rng: np.random.Generator) -> Tensor:
    return _warp(clip, (1, 0, 0), (0, 1, _signed(level / 10 * policy.translate, rng)))


def cutout(clip: Tensor, level: float, policy: Policy, rng: np.random.Generator) -> Tensor:
    """A square of 128 somewhere."""
    half = int(level / 10 * policy.cutout) if isinstance(policy, RandAugment) else 0
    y, x = int(rng.integers(clip.shape[1])), int(rng.integers(clip.shape[2]))
    clip = clip.clone()
    clip[:, max(0, y - half) : y + half, max(0, x - half) : x + half] = _FILL
    return clip


def _factor(level: float) -> float:
    return level / 10 * 1.8 + 0.1


def _signed(amount: float, rng: np.random.Generator) -> float:
    return amount if rng.random() < 0.5 else -amount


def _table(clip: Tensor, table: Tensor) -> Tensor:
    """Each level replaced by the table's entry, (256,)."""
    return table.to(torch.uint8).index_select(0, clip.flatten().int()).view(clip.shape)


def _per_channel(clip: Tensor, tables: Tensor) -> Tensor:
    """Each channel's levels replaced by its column of the (256, 3) tables."""
    return torch.stack([_table(clip[..., channel], tables[:, channel]) for channel in range(3)], dim=-1)


def _warp(clip: Tensor, to_x: tuple[float, float, float], to_y: tuple[float, float, float]) -> Tensor:
    """The pixel at (x, y) becomes what was nearest to (a·x + b·y + c, d·x + e·y + f); outside is gray."""
    frames, height, width, _ = clip.shape
    x, y = torch.arange(width, dtype=torch.float32), torch.arange(height, dtype=torch.float32)[:, None]
    from_x = (to_x[0] * x + to_x[1] * y + to_x[2]).round_().long()
    from_y = (to_y[0] * x + to_y[1] * y + to_y[2]).round_().long()
    outside = ((from_x < 0) | (from_x >= width) | (from_y < 0) | (from_y >= height)).flatten()
    source = (from_y.clamp_(0, height - 1) * width + from_x.clamp_(0, width - 1)).flatten()
    warped = clip.view(frames, height * width, 3).index_select(1, source)
    warped[:, outside] = _FILL
    return warped.view(clip.shape)


_RANDOM: tuple[Operation, ...] = (
    auto_contrast, equalize, invert, rotate, posterize, solarize, color, contrast, brightness, sharpness,
    shear_x, shear_y, translate_x, translate_y, cutout, solarize_add,
)  # fmt: skip

_V0: tuple[tuple[tuple[Operation, float, int], tuple[Operation, float, int]], ...] = (
    ((equalize, 0.8, 1), (shear_y, 0.8, 4)),
    ((color, 0.4, 9), (equalize, 0.6, 3)),
    ((color, 0.4, 1), (rotate, 0.6, 8)),
    ((solarize, 0.8, 3), (equalize, 0.4, 7)),
    ((solarize, 0.4, 2), (solarize, 0.6, 2)),
    ((color, 0.2, 0), (equalize, 0.8, 8)),
    ((equalize, 0.4, 8), (solarize_add, 0.8, 3)),
    ((shear_x, 0.2, 9), (rotate, 0.6, 8)),
    ((color, 0.6, 1), (equalize, 1.0, 2)),
    ((invert, 0.4, 9), (rotate, 0.6, 0)),
    ((equalize, 1.0, 9), (shear_y, 0.6, 3)),
    ((color, 0.4, 7), (equalize, 0.6, 0)),
    ((posterize, 0.4, 6), (auto_contrast, 0.4, 7)),
    ((solarize, 0.6, 8), (color, 0.6, 9)),
    ((solarize, 0.2, 4), (rotate, 0.8, 9)),
    ((rotate, 1.0, 7), (translate_y, 0.8, 9)),
    ((shear_x, 0.0, 0), (solarize, 0.8, 4)),
    ((shear_y, 0.8, 0), (color, 0.6, 4)),
    ((color, 1.0, 0), (rotate, 0.6, 2)),
    ((equalize, 0.8, 4), (equalize, 0.0, 8)),
    ((equalize, 1.0, 4), (auto_contrast, 0.6, 2)),
    ((shear_y, 0.4, 7), (solarize_add, 0.6, 7)),
    ((posterize, 0.8, 2), (solarize, 0.6, 10)),
    ((solarize, 0.6, 8), (equalize, 0.6, 1)),
    ((color, 0.8, 6), (rotate, 0.4, 5)),
)
