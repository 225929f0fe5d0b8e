"""Somebody's own `DataLoader` over our sets: new augmentation in every epoch, whoever prepares the clips."""

from functools import partial
from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader, WeightedRandomSampler
from training_sets import clips_folder

from movinet.data.augment import Augmentation, RandomCrop
from movinet.data.dataset import ClipDataset, SampleKey
from movinet.data.synthetic.gesture_dataset import GestureDataset
from movinet.labeled.readers import read_set
from movinet.labeled.sampling import random_clip
from movinet.video.transform import Transform

TRANSFORM = Transform((16, 16), 18, fps=5.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clips_folder(tmp_path_factory.mktemp("clips"), {"left": 3, "right": 2}, frames=12)


def new_set(folder: Path) -> ClipDataset:
    sampling = partial(random_clip, fps=5.0, frames=4)
    return ClipDataset(
        read_set(folder).select(), TRANSFORM, sampling, Augmentation(RandomCrop(area=(0.3, 1.0))), seed=3
    )


def epoch_of(loader: DataLoader) -> dict[int, torch.Tensor]:
    """What the loader shows of each video, once through."""
    shown = {}
    for batch in loader:
        shown |= dict(zip(batch.video.tolist(), batch.clip, strict=True))
    return shown


LOADERS = [(0, False), (1, False), (1, True), (2, False), (2, True)]


@pytest.mark.parametrize(("workers", "persistent"), LOADERS)
def test_every_epoch_is_new_and_the_same_for_any_workers(workers: int, persistent: bool, folder: Path) -> None:
    data, again = new_set(folder), new_set(folder)
    loader = DataLoader(data, 2, shuffle=True, num_workers=workers, persistent_workers=persistent)
    epochs = [epoch_of(loader) for _ in range(3)]
    for n, shown in enumerate(epochs):
        assert sorted(shown) == [0, 1, 2, 3, 4]
        for video, clip in shown.items():
            assert torch.equal(clip, again[SampleKey(n, video)].clip)  # in whatever order they came
    assert not any(torch.equal(epochs[0][video], epochs[1][video]) for video in range(5))
    assert not any(torch.equal(epochs[1][video], epochs[2][video]) for video in range(5))


@pytest.mark.parametrize(("workers", "persistent"), [(0, False), (2, True)])
def test_a_run_goes_on_with_the_epoch_it_was_in(workers: int, persistent: bool, folder: Path) -> None:
    data, again = new_set(folder), new_set(folder)
    loader = DataLoader(data, 5, num_workers=workers, persistent_workers=persistent)
    epoch_of(loader)
    data.set_epoch(7)
    for video, clip in epoch_of(loader).items():
        assert torch.equal(clip, again[SampleKey(7, video)].clip)


def test_samplers_that_draw_twice_see_two(folder: Path) -> None:
    data = new_set(folder)
    sampler = WeightedRandomSampler([1.0, 0, 0, 0, 0], 3)
    clips = [example.clip[0] for example in DataLoader(data, 1, sampler=sampler)]
    assert len({clip.numpy().tobytes() for clip in clips}) == 3


def test_what_our_own_loader_asks_for_does_not_count(folder: Path) -> None:
    data = new_set(folder)
    first = data[SampleKey(0, 1)].clip
    data[SampleKey(5, 1)]
    assert torch.equal(data[1].clip, first)
    assert not torch.equal(data[1].clip, first)
    assert torch.equal(new_set(folder)[-1].clip, data[SampleKey(0, 4)].clip)
    with pytest.raises(IndexError):
        data[5]


def test_synthetic_gestures_too() -> None:
    data = GestureDataset((16, 16), 5.0, 3, clips=4, seed=1)
    loader = DataLoader(data, 2, shuffle=True)
    first, second = epoch_of(loader), epoch_of(loader)
    assert not any(torch.equal(first[n], second[n]) for n in range(4))
    assert torch.equal(second[3], data[SampleKey(1, 3)].clip)
    still = DataLoader(GestureDataset((16, 16), 5.0, 3, clips=4, seed=1, fresh=False), 2)
    first, second = epoch_of(still), epoch_of(still)
    assert all(torch.equal(first[n], second[n]) for n in range(4))
    several = GestureDataset((16, 16), 5.0, (2, 3, 4, 5), clips=4)
    lengths = [{clip.shape[1] for clip in epoch_of(DataLoader(several, 2)).values()} for _ in range(6)]
    assert all(len(found) == 1 for found in lengths)
    assert len(set.union(*lengths)) > 1
