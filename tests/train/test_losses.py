"""Losses against torch's own and by their properties."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from movinet.errors import MovinetError
from movinet.train.losses import (
    binary_cross_entropy,
    class_shares,
    class_weights,
    cross_entropy,
)

SEEDS, SMOOTHING = st.integers(0, 2**31), st.sampled_from([0.0, 0.1, 0.5])
LOSSES = pytest.mark.parametrize("loss", [cross_entropy, binary_cross_entropy])


def batch(seed: int, clips: int = 6, classes: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(clips, classes, generator=generator)
    return logits, torch.randint(classes, (clips,), generator=generator)


@given(SEEDS, SMOOTHING)
@settings(max_examples=20)
def test_cross_entropy_is_torchs(seed: int, smoothing: float) -> None:
    logits, labels = batch(seed)
    expected = F.cross_entropy(logits, labels, label_smoothing=smoothing)
    torch.testing.assert_close(cross_entropy(logits, labels, smoothing), expected)
    torch.testing.assert_close(cross_entropy(logits, class_shares(labels, 5), smoothing), expected)


@given(SEEDS, SMOOTHING, st.floats(0, 1))
@settings(max_examples=20)
def test_a_mixed_label_costs_the_mixture_of_both(seed: int, smoothing: float, share: float) -> None:
    logits, labels = batch(seed)
    others = labels.roll(1)
    weights = torch.tensor([0.5, 2.0, 1.0, 1.0, 3.0])
    mixed = class_shares(labels, 5).lerp(class_shares(others, 5), share)
    expected = (1 - share) * cross_entropy(logits, labels, 0.0, None) + share * cross_entropy(logits, others, 0.0, None)
    torch.testing.assert_close(cross_entropy(logits, mixed), expected)
    assert cross_entropy(logits, mixed, smoothing, weights).isfinite()


@given(SEEDS)
@settings(max_examples=20)
def test_weights_weigh_examples(seed: int) -> None:
    logits, labels = batch(seed)
    weights = torch.tensor([0.5, 2.0, 1.0, 0.0, 3.0])
    one_by_one = torch.stack([cross_entropy(logits[i : i + 1], labels[i : i + 1], 0.1) for i in range(6)])
    torch.testing.assert_close(cross_entropy(logits, labels, 0.1, weights), (one_by_one * weights[labels]).mean())


def test_weights_do_not_draw_what_smoothing_spreads_to_rare_classes() -> None:
    logits = torch.zeros(1, 3, requires_grad=True)
    weights = torch.tensor([0.5, 100.0, 1.0])
    cross_entropy(logits, torch.tensor([0]), 0.3, weights).backward()
    assert logits.grad is not None
    assert logits.grad[0, 1] == logits.grad[0, 2]


@given(SEEDS, SMOOTHING)
@settings(max_examples=20)
def test_binary_cross_entropy_by_hand(seed: int, smoothing: float) -> None:
    logits, _ = batch(seed)
    targets = (torch.rand(6, 5, generator=torch.Generator().manual_seed(seed)) > 0.5).float()
    p, t = logits.double().sigmoid().numpy(), (targets * (1 - smoothing) + smoothing / 2).double().numpy()
    expected = -(t * np.log(p) + (1 - t) * np.log(1 - p))
    np.testing.assert_allclose(binary_cross_entropy(logits, targets, smoothing), expected.mean(), rtol=1e-5)
    weights = np.array([1.0, 2, 3, 4, 5])
    found = binary_cross_entropy(logits, targets, smoothing, torch.from_numpy(weights).float())
    np.testing.assert_allclose(found, (expected * weights / 3).mean(), rtol=1e-5)


@LOSSES
def test_frames_are_averaged(loss) -> None:
    logits, labels = batch(0)
    frames = torch.stack([logits, logits.flip(0), 2 * logits], dim=1)
    targets, weights = class_shares(labels, 5), torch.tensor([0.5, 2.0, 1.0, 1.0, 3.0])
    expected = sum(loss(frames[:, t], targets, 0.1, weights) for t in range(3)) / 3
    torch.testing.assert_close(loss(frames, targets, 0.1, weights), expected)


@LOSSES
def test_halves_of_a_batch_add_up_to_the_whole(loss) -> None:
    logits, labels = batch(1)
    weights = torch.tensor([0.5, 2.0, 1.0, 1.0, 3.0])
    halves = [loss(logits[i : i + 3], labels[i : i + 3], 0.1, weights) for i in (0, 3)]
    torch.testing.assert_close(loss(logits, labels, 0.1, weights), sum(halves) / 2)


@LOSSES
def test_half_precision_loses_nothing_further(loss) -> None:
    logits, labels = batch(2)
    logits = 50 * logits.bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        found = loss(logits, labels, 0.1, torch.tensor([0.5, 2.0, 1.0, 1.0, 3.0]))
    assert found.dtype == torch.float32
    expected = loss(logits.float(), labels, 0.1, torch.tensor([0.5, 2.0, 1.0, 1.0, 3.0]))
    torch.testing.assert_close(found, expected)


@given(st.lists(st.integers(0, 1000), min_size=2, max_size=8).filter(any), st.data())
def test_weights_have_mean_one_over_the_examples(counts: list[int], data: st.DataObject) -> None:
    classes = [f"class {i}" for i in range(len(counts))]
    weights = class_weights("balanced", classes, counts)
    assert weights is not None
    array = np.array(counts)
    assert np.dot(weights.numpy(), array) / sum(counts) == pytest.approx(1, rel=1e-5)
    mass = (weights.numpy() * array)[array > 0]
    assert mass == pytest.approx(np.full(len(mass), sum(counts) / len(mass)), rel=1e-5), "every class weighs the same"
    assert all(weights.numpy()[array == 0] == 1)
    given_weights = data.draw(st.dictionaries(st.sampled_from(classes), st.floats(0.1, 10)))
    named = class_weights(given_weights, classes, counts)
    assert named is not None
    assert np.dot(named.numpy(), array) / sum(counts) == pytest.approx(1, rel=1e-5)
    wanted = np.array([given_weights.get(name, 1.0) for name in classes])
    np.testing.assert_allclose((named / named[0]).numpy(), wanted / wanted[0], rtol=1e-4)


def test_even_weights_are_none() -> None:
    assert class_weights("even", ["a", "b"], [1, 2]) is None


@pytest.mark.parametrize(
    ("wanted", "counts", "message"),
    [
        ({"c": 1.0}, [1, 2], "no class is called 'c'; there are a, b"),
        ({"a": -1.0}, [1, 2], "'a' is -1.0; want a number from 0"),
        ({"a": float("nan")}, [1, 2], "'a' is nan"),
        ({"a": 0.0}, [3, 0], "not one example weighs anything"),
        ("balanced", [0, 0], "not one example weighs anything"),
    ],
)
def test_weights_that_are_none_are_refused(wanted, counts: list[int], message: str) -> None:
    with pytest.raises(MovinetError, match=message):
        class_weights(wanted, ["a", "b"], counts)
