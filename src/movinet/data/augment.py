"""Changes of a clip that leave its meaning: every frame is changed alike, and every choice comes from a generator."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, exp, inf, log, pi, sin, sqrt

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from movinet.data.auto_augment import Policy, apply_policy


@dataclass(frozen=True)
class RandomCrop:
    """A random part of the picture, resized to the network's size (Inception's; Szegedy et al., arXiv 1409.4842).

    Args:
        area: Of the picture, drawn evenly from this range.
        aspect: Width divided by height relative to the network's size, drawn evenly on a logarithmic scale.
        attempts: To find a part that fits; then it is the largest in the middle.
    """

    area: tuple[float, float] = (0.08, 1.0)
    aspect: tuple[float, float] = (0.5, 2.0)
    attempts: int = 100

    def __post_init__(self) -> None:
        if not 0 < self.area[0] <= self.area[1] <= 1:
            raise ValueError(f"area must be a range within (0, 1], the lower first; got {self.area}")
        if not 0 < self.aspect[0] <= self.aspect[1] < inf:
            raise ValueError(f"aspect must be a range of positive numbers, the lower first; got {self.aspect}")
        if not 0 <= self.attempts <= 10_000:
            raise ValueError(f"attempts must lie in 0 to 10,000; got {self.attempts}")


@dataclass(frozen=True)
class ColorJitter:
    """Colors changed by up to so much, each 0 or more: factors from 1 − x (at least 0) to 1 + x, the hue by ±x turns
    (at most 0.5). Hue turns in YIQ, which is linear, so that all four are one map of colors."""

    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0

    def __post_init__(self) -> None:
        if min(self.brightness, self.contrast, self.saturation, self.hue) < 0 or self.hue > 0.5:
            raise ValueError(f"a color jitter is 0 or more, and at most half a turn of the hue; got {self}")


@dataclass(frozen=True)
class Augmentation:
    """What may happen to a clip in training. The default changes nothing.

    Args:
        crop: A random part instead of the transform's resize and center crop.
        flip: Probability of mirroring left and right. Leave it at 0 where labels have a direction, or say in `swap`
            which labels become each other.
        swap: Pairs of labels that are each other's mirror image, such as ("swipe_left", "swipe_right").
        policy: AutoAugment or RandAugment.
        color: Change of colors.
    """

    crop: RandomCrop | None = None
    flip: float = 0.0
    swap: tuple[tuple[str, str], ...] = ()
    policy: Policy | None = None
    color: ColorJitter | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.flip <= 1:
            raise ValueError(f"flip is a probability, not {self.flip}")
        names = [name for pair in self.swap for name in pair]
        if len(set(names)) < len(names):
            raise ValueError(f"a label has one mirror image; got {self.swap}")

    def mirrored(self, labels: Sequence[str]) -> tuple[str, ...]:
        """What a clip shows once it is mirrored."""
        images = {left: right for pair in self.swap for left, right in (pair, pair[::-1])}
        return tuple(images.get(label, label) for label in labels)


@dataclass(frozen=True)
class Box:
    """A part of a picture in fractions of its height and width, so that it fits frames of any size."""

    top: float
    left: float
    height: float
    width: float

    def pixels(self, height: int, width: int) -> tuple[slice, slice]:
        """Rows and columns, at least one of each."""
        rows, columns = max(1, round(self.height * height)), max(1, round(self.width * width))
        top, left = min(round(self.top * height), height - rows), min(round(self.left * width), width - columns)
        return slice(top, top + rows), slice(left, left + columns)


def draw_box(crop: RandomCrop, frame: tuple[int, int], size: tuple[int, int], rng: np.random.Generator) -> Box:
    """A random part of frames of (height, width) that will be resized to `size`."""
    height, width = frame
    wanted = size[1] / size[0]
    low, high = (log(aspect * wanted) for aspect in crop.aspect)
    for _ in range(crop.attempts):
        area = rng.uniform(*crop.area) * height * width
        aspect = exp(rng.uniform(low, high))
        h, w = sqrt(area / aspect), sqrt(area * aspect)
        if h <= height and w <= width:
            return Box(rng.random() * (1 - h / height), rng.random() * (1 - w / width), h / height, w / width)
    aspect = min(max(width / height, exp(low)), exp(high))
    h, w = min(height, width / aspect), min(width, height * aspect)
    return Box((1 - h / height) / 2, (1 - w / width) / 2, h / height, w / width)


def crop_and_resize(frames: Tensor, box: Box, size: tuple[int, int]) -> Tensor:
    """A part of the frames, (T, H, W, 3) uint8 to (T, h, w, 3) uint8 on the CPU; bilinear, antialiased."""
    rows, columns = box.pixels(frames.shape[1], frames.shape[2])
    part = frames[:, rows, columns].permute(0, 3, 1, 2)
    if part.shape[2:] != size:
        part = interpolate(part, size, mode="bilinear", antialias=True)
    return part.permute(0, 2, 3, 1)


def augment(clip: Tensor, augmentation: Augmentation, rng: np.random.Generator) -> tuple[Tensor, bool]:
    """Everything but the crop, which comes first and decides on the size (`draw_box`, `crop_and_resize`).

    Args:
        clip: (T, H, W, 3) uint8 RGB on the CPU; not written to.
        rng: Equal generators give equal clips.

    Returns:
        The clip, (T, H, W, 3) uint8, and whether it was mirrored: then it shows `augmentation.mirrored(labels)`.
    """
    if clip.dtype != torch.uint8 or clip.ndim != 4 or clip.shape[-1] != 3:
        raise ValueError(f"a clip to augment is uint8 (T, H, W, 3), not {clip.dtype} {tuple(clip.shape)}")
    flipped = rng.random() < augmentation.flip
    if flipped:
        clip = clip.flip(2)
    if augmentation.policy:
        clip = apply_policy(clip.contiguous(), augmentation.policy, rng)
    if augmentation.color:
        clip = _jitter(clip, augmentation.color, rng)
    return clip, flipped


_TO_GRAY = torch.tensor([0.299, 0.587, 0.114])
_TO_YIQ = torch.tensor([[0.299, 0.587, 0.114], [0.595716, -0.274453, -0.321263], [0.211456, -0.522591, 0.311135]])


def _jitter(clip: Tensor, color: ColorJitter, rng: np.random.Generator) -> Tensor:
    """One linear map and one shift: hue, saturation, contrast around the clip's mean gray, then brightness."""
    brightness, contrast, saturation = (
        rng.uniform(max(0.0, 1 - jitter), 1 + jitter) for jitter in (color.brightness, color.contrast, color.saturation)
    )
    angle = 2 * pi * rng.uniform(-color.hue, color.hue)
    turn = torch.tensor([[1, 0, 0], [0, cos(angle), -sin(angle)], [0, sin(angle), cos(angle)]])
    hue = torch.linalg.solve(_TO_YIQ, turn @ _TO_YIQ) if color.hue else torch.eye(3)
    saturate = saturation * torch.eye(3) + (1 - saturation) * _TO_GRAY.expand(3, 3)
    pixels = clip.reshape(-1, 3).float()
    gray = float(pixels.mean(dim=0) @ _TO_GRAY)
    changed = pixels @ (brightness * contrast * saturate @ hue).T
    changed += brightness * (1 - contrast) * gray
    return changed.round_().clamp_(0, 255).to(torch.uint8).view(clip.shape)
