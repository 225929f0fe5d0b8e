"""The sets of a run: what the recipe says, for the network that is trained."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny import tiny_spec
from training_sets import BASIC, SIZE, clips_folder, csv_list

from movinet.data.augment import Augmentation
from movinet.data.dataset import LabeledClips, SampleKey
from movinet.data.synthetic.paths import GESTURES
from movinet.errors import MovinetError
from movinet.train.datasets import Sets, classes_of, make_sets, read_splits
from movinet.train.recipe import Recipe
from movinet.train.recipe_data import Clips, Gestures, Videos
from movinet.video.transform import Transform

TRANSFORM = Transform(SIZE, 24, 5.0)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes; 6 frames, 30 frames and 1 frame at 5 frames a second."""
    folder = tmp_path_factory.mktemp("clips")
    for frames, counts in ((6, {"a": 5, "b": 4}), (30, {"long": 1}), (1, {"short": 1})):
        clips_folder(folder, counts, frames)
    return folder


def made(data: Videos | Gestures, causal: bool = True, **changes: object) -> Sets:
    recipe = replace(BASIC, data=data, **changes)
    return make_sets(recipe, read_splits(recipe), tiny_spec(causal).with_options(frames=8), TRANSFORM)


def listed(clips: Path, rows: Mapping[str, str], **options: object) -> Videos:
    """Files by split."""
    path = csv_list(
        clips / f"{'-'.join(rows)}.csv",
        [(file, file.partition("/")[0], split) for split, files in rows.items() for file in files.split()],
    )
    return Videos((str(path),), **options)


def frames_of(part: LabeledClips | None, index: int = 0, epoch: int = 0) -> torch.Tensor:
    assert part is not None
    return part[SampleKey(epoch, index)].clip


def test_what_to_train_on_must_be_said() -> None:
    with pytest.raises(MovinetError, match="--data"):
        read_splits(BASIC)
    assert read_splits(replace(BASIC, data=Gestures(4, (4,)))) is None
    assert classes_of(None) == GESTURES


def test_held_out_clips_are_the_seeds(clips: Path) -> None:
    def held_out(recipe: Recipe) -> list[str]:
        splits = read_splits(recipe)
        assert splits is not None
        assert splits.validation is not None
        assert classes_of(splits) == ("a", "b", "long", "short")
        return [video.source for video in splits.validation.videos]

    recipe = replace(BASIC, data=Videos((str(clips),), held_out=0.5))
    assert held_out(recipe) == held_out(recipe)
    assert held_out(recipe) != held_out(replace(recipe, seed=1))


def test_lengths_of_clips(clips: Path) -> None:
    data = listed(clips, {"train": "a/0.mp4 long/0.mp4", "val": "a/1.mp4 long/0.mp4", "test": "a/2.mp4 long/0.mp4"})
    sets = made(data, clips=Clips(frames=3))
    assert [len(part) for part in (sets.train, sets.validation, sets.test) if part] == [2, 2, 2]
    assert frames_of(sets.train, 1).shape == (3, 3, *SIZE)
    assert frames_of(sets.validation, 1).shape == (3, 8, *SIZE)  # the network's own
    assert frames_of(sets.test, 1).shape == (3, 30, *SIZE)  # all there is
    base = made(data, causal=False, clips=Clips(frames=3))
    assert torch.equal(frames_of(base.test, 1), frames_of(base.validation, 1))
    assert frames_of(made(data).train, 1).shape[1] == 8


def test_training_clips_are_fresh_in_every_epoch_and_others_never(clips: Path) -> None:
    data = listed(clips, {"train": "a/0.mp4 long/0.mp4", "val": "long/0.mp4", "test": "long/0.mp4"})
    sets = made(data, augmentation=Augmentation(flip=0.5))
    assert len({frames_of(sets.train, 1, epoch).numpy().tobytes() for epoch in range(4)}) > 1
    for part in (sets.validation, sets.test):
        assert torch.equal(frames_of(part), frames_of(part, epoch=3))


def test_spread_over_the_whole_video(clips: Path) -> None:
    data = listed(clips, {"train": "long/0.mp4 a/0.mp4", "val": "long/0.mp4", "test": "long/0.mp4"})
    sets = made(data, clips=Clips(frames=6, spread=True))
    whole = frames_of(made(data).test)  # every frame
    assert torch.equal(frames_of(sets.train), whole[:, 2::5])
    assert frames_of(sets.validation).shape[1] == frames_of(sets.test).shape[1] == 8


def test_a_short_clip_holds_its_last_frame_or_begins_again(clips: Path) -> None:
    data = listed(clips, {"train": "a/0.mp4 short/0.mp4", "val": "a/0.mp4 short/0.mp4", "test": "short/0.mp4"})
    held = frames_of(made(data).validation)
    assert torch.equal(held[:, 6], held[:, 5])
    again = frames_of(made(data, clips=Clips(loop=True)).validation)
    assert torch.equal(again[:, 6], again[:, 0])
    for part in (made(data).train, made(data).validation):
        one = frames_of(part, 1)
        assert one.shape == (3, 8, *SIZE)
        assert torch.equal(one, one[:, :1].expand_as(one))
    assert frames_of(made(data).test).shape[1] == 1


def test_gestures_to_look_at_are_never_trained_on() -> None:
    sets = made(Gestures(11, (2, 3), validation=11, test=22))
    assert [len(part) for part in (sets.train, sets.validation, sets.test) if part] == [11, 11, 22]
    assert sets.train.classes == GESTURES
    assert frames_of(sets.train).shape[1] in (2, 3)
    assert not torch.equal(frames_of(sets.train), frames_of(sets.train, epoch=1))
    validation, test = frames_of(sets.validation), frames_of(sets.test)
    assert validation.shape == test.shape == (3, 20, *SIZE)  # four seconds
    assert not torch.equal(validation, test)
    assert torch.equal(validation, frames_of(sets.validation, epoch=1))
    assert not torch.equal(sets.train[SampleKey(0, 1)].clip, sets.train[SampleKey(1, 1)].clip)
    same = made(Gestures(11, (2, 3), fresh=False)).train
    assert torch.equal(same[SampleKey(0, 1)].clip, same[SampleKey(1, 1)].clip)
    none = made(Gestures(11, (2,), validation=0, test=0))
    assert (none.validation, none.test) == (None, None)
