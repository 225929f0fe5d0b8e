"""Rendered examples: a function of their pick, fresh where wanted, balanced, of one length a batch."""

from collections import Counter
from functools import partial

import numpy as np
import pytest
import torch

from movinet.data.batches import EpochOrder, load_batches
from movinet.data.dataset import Example, SampleKey
from movinet.data.synthetic.gesture_clips import GESTURES, render_gesture
from movinet.data.synthetic.gesture_dataset import TEST_SEEDS, TRAINING_SEEDS, GestureDataset
from movinet.errors import MovinetError

make = partial(GestureDataset, (16, 20), 5.0, (2, 3, 4), 24)


def same(a: Example, b: Example) -> bool:
    return all(torch.equal(torch.as_tensor(x), torch.as_tensor(y)) for x, y in zip(a, b, strict=True))


def test_an_example_depends_on_its_pick() -> None:
    dataset = make()
    first = dataset[SampleKey(3, 2, 1)]
    assert first.clip.dtype == torch.uint8
    assert first.clip.shape[:1] + first.clip.shape[2:] == (3, 16, 20)
    assert first.track.shape == (first.clip.shape[1], 2)
    _ = dataset[SampleKey(0, 0)]
    assert same(first, make()[SampleKey(3, 2, 1)])
    assert not same(first, dataset[SampleKey(4, 2, 1)])
    assert not same(first, make(seed=1)[SampleKey(3, 2, 1)])
    assert not same(first, make(seeds=TEST_SEEDS)[SampleKey(3, 2, 1)])
    kept = make(fresh=False)
    assert same(kept[SampleKey(3, 2, 1)], kept[SampleKey(4, 2, 1)])


def test_it_is_what_the_generator_renders(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def render(*arguments: object) -> object:
        asked.append(arguments)
        return render_gesture(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr("movinet.data.synthetic.gesture_dataset.render_gesture", render)
    dataset = make()
    examples = [dataset[SampleKey(0, video)] for video in range(24)]
    for video, (example, arguments) in enumerate(zip(examples, asked, strict=True)):
        clip = render_gesture(*arguments)  # type: ignore[arg-type]
        assert clip.label == GESTURES[int(example.target)] == dataset.labels_of(video)[0]
        assert np.array_equal(example.clip.permute(1, 2, 3, 0).numpy(), clip.frames)
        assert np.array_equal(example.track.numpy(), clip.fingertip)
    _, seeds, sizes, _, rates = zip(*asked, strict=True)
    assert set(sizes) == {(16, 20)}
    assert len(set(seeds)) == 24
    assert all(seed in TRAINING_SEEDS for seed in seeds)
    assert 3.75 <= min(rates) < 4.5
    assert 6.0 < max(rates) <= 7.0


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_epochs_are_balanced_and_batches_of_one_length(workers: int) -> None:
    dataset, order = make(classes=("tick", "star")), EpochOrder(24, batch_size=4)
    lengths = set()
    for epoch in range(2):
        order.set_epoch(epoch)
        here, there = list(load_batches(dataset, order, 4)), list(load_batches(dataset, order, 4, workers))
        assert all(same(a, b) for a, b in zip(here, there, strict=True))
        assert Counter(int(target) for batch in here for target in batch.target) == {0: 12, 1: 12}
        lengths |= {batch.clip.shape[2] for batch in here}
    assert lengths == {2, 3, 4}
    halves = [EpochOrder(24, rank=rank, ranks=2, batch_size=4) for rank in range(2)]
    for half in halves:
        half.set_epoch(1)
    for whole, *parts in zip(here, *(load_batches(dataset, half, 2) for half in halves), strict=True):
        assert torch.equal(whole.clip, torch.stack([part.clip for part in parts], 1).flatten(0, 1))


def test_training_and_test_clips_are_others() -> None:
    assert not set(TRAINING_SEEDS[-2:]) & set(TEST_SEEDS[:2])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"clips": 0}, "at least one"),
        ({"frames": ()}, "at least one"),
        ({"frames": (4, 0)}, "at least one"),
        ({"fps_scale": (1.4, 0.75)}, "lower first"),
        ({"classes": ("tick", "wave")}, "called wave"),
    ],
)
def test_what_cannot_be_rendered_is_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(MovinetError, match=message):
        GestureDataset(**({"size": (16, 20), "fps": 5.0, "frames": 4, "clips": 8} | settings))  # type: ignore[arg-type]
