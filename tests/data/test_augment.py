"""What changes, changes in all frames alike, by the seed, and by as much as was asked."""

import colorsys
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from movinet.data.augment import Augmentation, Box, ColorJitter, RandomCrop, augment, crop_and_resize, draw_box
from movinet.data.auto_augment import AutoAugment, RandAugment

seeds = st.integers(0, 2**32)
EVERYTHING = [
    Augmentation(flip=0.5),
    Augmentation(policy=AutoAugment()),
    Augmentation(policy=RandAugment(operations=3, translate=10, cutout=8)),
    Augmentation(color=ColorJitter(0.4, 0.4, 0.4, 0.5)),
]


def noise(frames: int = 3, height: int = 20, width: int = 24) -> Tensor:
    return torch.randint(0, 256, (frames, height, width, 3), dtype=torch.uint8)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@settings(max_examples=60)
@given(st.sampled_from(EVERYTHING), seeds)
def test_equal_frames_stay_equal_and_the_seed_decides(augmentation: Augmentation, seed: int) -> None:
    clip = noise(1).expand(4, -1, -1, -1)
    before = clip.clone()
    changed, flipped = augment(clip, augmentation, rng(seed))
    assert changed.shape == clip.shape
    assert changed.dtype == torch.uint8
    assert (changed == changed[:1]).all()
    assert (clip == before).all()
    again, flipped_again = augment(clip, augmentation, rng(seed))
    assert (changed == again).all()
    assert flipped == flipped_again


@pytest.mark.parametrize("augmentation", EVERYTHING[1:])
def test_something_changes(augmentation: Augmentation) -> None:
    clip = noise()
    assert len({augment(clip, augmentation, rng(seed))[0].numpy().tobytes() for seed in range(20)}) > 5


def test_nothing_asked_nothing_changed() -> None:
    clip = noise()
    for nothing in (
        Augmentation(),
        Augmentation(policy=RandAugment(operations=0)),
        Augmentation(color=ColorJitter()),
    ):
        assert (augment(clip, nothing, rng())[0] == clip).all()


def test_a_flip_mirrors_and_two_restore() -> None:
    clip = noise()
    once, flipped = augment(clip, Augmentation(flip=1), rng())
    assert flipped
    assert (once[:, :, 0] == clip[:, :, -1]).all()
    assert (augment(once, Augmentation(flip=1), rng())[0] == clip).all()


def test_mirrored_labels() -> None:
    swap = Augmentation(flip=0.5, swap=(("left", "right"),))
    assert swap.mirrored(("left", "up", "right")) == ("right", "up", "left")
    with pytest.raises(ValueError, match="one mirror image"):
        Augmentation(swap=(("a", "b"), ("b", "c")))


@given(seeds, st.integers(1, 300), st.integers(1, 300), st.integers(1, 64), st.integers(1, 64))
def test_a_crop_is_a_part_of_the_asked_size_and_shape(seed: int, height: int, width: int, h: int, w: int) -> None:
    crop = RandomCrop(attempts=10)
    box = draw_box(crop, (height, width), (h, w), rng(seed))
    rows, columns = box.pixels(height, width)
    assert 0 <= rows.start < rows.stop <= height
    assert 0 <= columns.start < columns.stop <= width
    aspect = box.width * width / (box.height * height) / (w / h)
    assert crop.aspect[0] * 0.999 <= aspect <= crop.aspect[1] * 1.001


def test_crops_reach_everywhere() -> None:
    boxes = [draw_box(RandomCrop(), (192, 256), (172, 172), rng(seed)) for seed in range(400)]
    areas = [box.height * box.width for box in boxes]
    assert 0.08 <= min(areas) < 0.12
    assert 0.85 < max(areas) <= 1
    assert min(box.top for box in boxes) < 0.02
    assert max(box.left + box.width for box in boxes) > 0.98


def test_cropping_cuts_and_resizes() -> None:
    clip = noise(2, 10, 12)
    assert (crop_and_resize(clip, Box(0, 0, 1, 1), (10, 12)) == clip).all()
    assert (crop_and_resize(clip, Box(0.2, 0.5, 0.5, 0.25), (5, 3)) == clip[:, 2:7, 6:9]).all()
    halves = torch.zeros(1, 8, 16, 3, dtype=torch.uint8)
    halves[:, :, 8:] = 200
    small = crop_and_resize(halves, Box(0, 0, 1, 1), (2, 4))
    assert small.shape == (1, 2, 4, 3)
    assert (small[0, :, 0] < 20).all()
    assert (small[0, :, 3] > 180).all()


GRAY = torch.tensor([0.299, 0.587, 0.114])


@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation"])
@pytest.mark.parametrize("seed", range(4))
def test_a_factor_moves_colors_away_from_black_mean_or_gray(name: str, seed: int) -> None:
    clip = noise()
    changed = augment(clip, Augmentation(color=replace(ColorJitter(), **{name: 0.3})), rng(seed))[0]
    origin = {
        "brightness": torch.zeros(()),
        "contrast": (clip.float() @ GRAY).mean(),
        "saturation": (clip.float() @ GRAY)[..., None],
    }[name]
    before, after = clip - origin, changed - origin
    inside = (changed > 0) & (changed < 255)
    factor = (before * after)[inside].sum() / (before * before)[inside].sum()
    assert 0.7 <= factor <= 1.3
    assert abs(factor - 1) > 0.01
    assert torch.allclose(after[inside], before[inside] * factor, atol=1.5)


def test_hue_turns_all_colors_by_one_angle() -> None:
    clip = 100 + noise() // 8  # leaves room, so that nothing is cut off
    changed = augment(clip, Augmentation(color=ColorJitter(hue=0.3)), rng(1))[0]
    pixels = zip(clip.view(-1, 3).tolist(), changed.view(-1, 3).tolist(), strict=True)
    pairs = [(colorsys.rgb_to_yiq(*before), colorsys.rgb_to_yiq(*after)) for before, after in pixels]
    assert all(abs(before[0] - after[0]) < 1.5 for before, after in pairs)
    turns = [complex(*after[1:]) / complex(*before[1:]) for before, after in pairs if abs(complex(*before[1:])) > 7]
    assert len(turns) > 50
    assert np.allclose(turns, np.mean(turns), atol=0.2)
    assert abs(np.mean(turns)) == pytest.approx(1, abs=0.03)


def test_unfit_descriptions_and_clips_are_refused() -> None:
    for unfit in (
        lambda: RandomCrop(area=(0.5, 0.1)),
        lambda: RandomCrop(area=(0.0, 1.0)),
        lambda: RandomCrop(aspect=(2, 1)),
        lambda: ColorJitter(brightness=-1),
        lambda: ColorJitter(hue=0.6),
        lambda: Augmentation(flip=2),
        lambda: RandAugment(magnitude=11),
        lambda: augment(noise().float(), Augmentation(), rng()),
    ):
        with pytest.raises(ValueError, match=r"got|not"):
            unfit()
