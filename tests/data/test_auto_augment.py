"""Each operation against its definition, pixel by pixel."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from movinet.data import auto_augment
from movinet.data.auto_augment import AutoAugment, RandAugment, apply_policy

POLICY = RandAugment(translate=10, cutout=8)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def noise(frames: int = 2, height: int = 11, width: int = 14) -> Tensor:
    return torch.randint(0, 256, (frames, height, width, 3), dtype=torch.uint8)


@pytest.mark.parametrize(
    ("operation", "level", "expected"),
    [
        (auto_augment.invert, 5, lambda v: 255 - v),
        (auto_augment.solarize, 5, lambda v: v if v < 128 else 255 - v),
        (auto_augment.solarize, 10, lambda v: v),
        (auto_augment.solarize, 0, lambda v: 255 - v),
        (auto_augment.solarize_add, 3, lambda v: min(255, v + 33) if v < 128 else v),
        (auto_augment.posterize, 6, lambda v: v & 0b11000000),
        (auto_augment.posterize, 2, lambda v: v & 0b10000000),
        (auto_augment.posterize, 10, lambda v: v & 0b11110000),
        (auto_augment.brightness, 5, lambda v: v),
        (auto_augment.brightness, 10, lambda v: min(255, int(v * 1.9))),
    ],
)
def test_tables(operation, level: float, expected) -> None:
    every = torch.arange(256, dtype=torch.uint8).view(1, 16, 16, 1).expand(-1, -1, -1, 3).contiguous()
    changed = operation(every, level, POLICY, rng())
    assert [int(v) for v in changed[0, ..., 1].flatten()] == [expected(v) for v in range(256)]


@pytest.mark.parametrize("operation", [auto_augment.color, auto_augment.contrast, auto_augment.sharpness])
def test_a_factor_of_one_changes_nothing(operation) -> None:
    clip = noise()
    assert (operation(clip, 5.0, POLICY, rng()) == clip).all()


def test_least_color_contrast_and_sharpness() -> None:
    clip = noise()
    spread = float(clip.float().std())
    assert float(auto_augment.contrast(clip, 0, POLICY, rng()).float().std()) == pytest.approx(0.1 * spread, rel=0.1)
    channels = auto_augment.color(clip, 0, POLICY, rng()).float()
    least = 0.1 * float(clip.float().std(dim=-1).mean())
    assert float(channels.std(dim=-1).mean()) == pytest.approx(least, rel=0.1)
    soft = auto_augment.sharpness(clip, 0, POLICY, rng())
    assert (soft[:, 0] == clip[:, 0]).all()
    assert (soft[:, :, -1] == clip[:, :, -1]).all()
    around = clip[0, 3:6, 4:7, 2].float()
    smooth = int((around.sum() + 4 * around[1, 1]) / 13)
    assert abs(int(soft[0, 4, 5, 2]) - (smooth + 0.1 * (int(clip[0, 4, 5, 2]) - smooth))) <= 1


def test_auto_contrast_and_equalize_fill_the_range_of_the_whole_clip() -> None:
    clip = (noise(4, 40, 40) // 4) + 60
    clip[0] = 90  # one flat frame must not be stretched by itself
    for operation in (auto_augment.auto_contrast, auto_augment.equalize):
        changed = operation(clip, 0, POLICY, rng())
        assert changed.amin() == 0
        assert changed.amax() == 255
        assert changed[0].unique().numel() <= 3
    stretched = auto_augment.auto_contrast(clip, 0, POLICY, rng())
    assert int(stretched[0, 0, 0, 0]) == int((90 - 60) * 255 / (123 - 60))
    skewed = (torch.rand(4, 64, 64, 3) ** 3 * 255).to(torch.uint8)
    levels = auto_augment.equalize(skewed, 0, POLICY, rng()).float()
    assert skewed.float().mean() < 75
    assert abs(levels.mean() - 127.5) < 8
    flat = torch.full((1, 4, 4, 3), 7, dtype=torch.uint8)
    assert (auto_augment.auto_contrast(flat, 0, POLICY, rng()) == flat).all()
    assert (auto_augment.equalize(flat, 0, POLICY, rng()) == flat).all()


@pytest.mark.parametrize("seed", [0, 3])  # one either way
@pytest.mark.parametrize("name", ["rotate", "shear_x", "shear_y", "translate_x", "translate_y"])
def test_warps_fetch_the_nearest_pixel_or_gray(name: str, seed: int) -> None:
    clip, level = noise(), 6
    _, height, width, _ = clip.shape
    sign = 1 if rng(seed).random() < 0.5 else -1
    angle, middle = sign * math.radians(18), ((width - 1) / 2, (height - 1) / 2)

    def source(x: int, y: int) -> tuple[float, float]:
        dx, dy = x - middle[0], y - middle[1]
        turned = (dx * math.cos(angle) - dy * math.sin(angle), dx * math.sin(angle) + dy * math.cos(angle))
        return {
            "rotate": (middle[0] + turned[0], middle[1] + turned[1]),
            "shear_x": (x + sign * 0.18 * y, y),
            "shear_y": (x, y + sign * 0.18 * x),
            "translate_x": (x + sign * 6, y),
            "translate_y": (x, y + sign * 6),
        }[name]

    changed = getattr(auto_augment, name)(clip, level, POLICY, rng(seed))
    for y in range(height):
        for x in range(width):
            from_x, from_y = source(x, y)
            if min(abs(from_x % 1 - 0.5), abs(from_y % 1 - 0.5)) < 1e-3:
                continue  # halfway between pixels: either is nearest
            column, row = round(from_x), round(from_y)
            inside = 0 <= column < width and 0 <= row < height
            expected = clip[:, row, column] if inside else torch.full((2, 3), 128)
            assert (changed[:, y, x] == expected).all()


def test_cutout_cuts_one_square_through_all_frames() -> None:
    clip = noise(3, 40, 40) // 2  # never 128
    changed = auto_augment.cutout(clip, 5, POLICY, rng(4))
    cut = (changed == 128).all(dim=-1)
    assert (cut == cut[:1]).all()
    assert 16 <= cut[0].sum() <= 64
    assert (changed[~cut] == clip[~cut]).all()


def test_both_directions_and_doing_nothing_happen() -> None:
    clip = noise()
    both = {auto_augment.shear_x(clip, 9, POLICY, rng(seed)).numpy().tobytes() for seed in range(20)}
    assert len(both) == 2
    for policy in (AutoAugment(translate=5), POLICY):
        results = [apply_policy(clip, policy, rng(seed)) for seed in range(60)]
        assert any((result == clip).all() for result in results)
        assert len({result.numpy().tobytes() for result in results}) > 20
