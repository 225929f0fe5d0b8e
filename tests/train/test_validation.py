"""What a network says of a set: of every clip once, the same in batches and as streams."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from training_sets import BASIC, Noise, fabric, new_network

from movinet.data.dataset import SampleKey
from movinet.nn.movinet import MoViNet
from movinet.train.validation import EvalOutput, evaluate, main_score


@pytest.fixture
def network(tmp_path: Path) -> MoViNet:
    return new_network(BASIC, tmp_path)


def one_by_one(model: MoViNet, data: Noise) -> np.ndarray:
    model.eval()
    with torch.no_grad():
        answers = [model(data[SampleKey(0, n)].clip[None] / 255) for n in range(len(data))]
    model.train()
    return torch.cat(answers).numpy()


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("workers", [0, 1])
def test_every_clip_is_answered_once_and_in_order(network: MoViNet, multi_label: bool, workers: int) -> None:
    data = Noise(7, multi_label=multi_label)
    wanted = one_by_one(network, data)
    answers = evaluate(fabric(), network, data, batch_size=3, workers=workers)
    np.testing.assert_allclose(answers.logits, wanted, atol=1e-5)
    assert answers.videos.tolist() == list(range(7))
    assert answers.classes == data.classes
    assert answers.multi_label is multi_label
    np.testing.assert_array_equal(
        answers.targets, torch.stack([data[SampleKey(0, n)].target for n in range(7)]).numpy()
    )
    assert network.training


def test_a_stream_comes_to_what_the_clip_does(network: MoViNet) -> None:
    data = Noise(3, frames=19)  # two pieces and a rest
    answers = evaluate(fabric(), network.eval(), data, 1)
    np.testing.assert_allclose(answers.logits, one_by_one(network, data), atol=1e-5)
    assert answers.videos.tolist() == [0, 1, 2]


def test_a_stream_goes_through_in_pieces(network: MoViNet, monkeypatch: pytest.MonkeyPatch) -> None:
    lengths = []
    step = network.step

    def noted(frames: torch.Tensor, *rest: object) -> object:
        lengths.append(frames.shape[2])
        return step(frames, *rest)

    monkeypatch.setattr(network, "step", noted)
    evaluate(fabric(), network, Noise(3, frames=30), 2)
    assert sum(lengths) == 2 * 30
    assert max(lengths) <= 8


def test_a_base_network_answers_for_whole_clips(tmp_path: Path) -> None:
    network = new_network(BASIC, tmp_path, causal=False, convolution="3d", squeeze_excitation="global", name="base")
    data = Noise(2, frames=9)
    np.testing.assert_allclose(evaluate(fabric(), network, data, 2).logits, one_by_one(network, data), atol=1e-5)


def test_training_goes_on_after_an_evaluation(network: MoViNet) -> None:
    """Nothing that was made without gradients stays behind."""
    data = Noise(2)
    evaluate(fabric(), network, data, 2)
    network(data[SampleKey(0, 0)].clip[None] / 255).sum().backward()
    assert all(p.grad is not None for p in network.parameters())


LOGITS = np.array([[3, 1, 0], [0, 1, 2], [1, 2, 0], [5, 1, 0]], np.float32)


def answers(targets: object, classes: tuple[str, ...] = ("a", "b", "c")) -> EvalOutput:
    return EvalOutput(LOGITS, np.array(targets), np.arange(4), classes)


def test_scores_of_one_label() -> None:
    found = answers([0, 2, 0, 1])
    scores = found.scores()
    assert scores.keys() == {"loss", "top1"}
    assert scores["top1"] == main_score(scores) == 0.5
    own = np.exp(LOGITS)[range(4), [0, 2, 0, 1]] / np.exp(LOGITS).sum(1)
    assert scores["loss"] == pytest.approx(-np.log(own).mean(), rel=1e-5)
    confusion = found.confusion()
    assert confusion is not None
    assert confusion.tolist() == [[1, 1, 0], [1, 0, 0], [0, 0, 1]]
    np.testing.assert_allclose(found.probabilities().sum(1), 1, rtol=1e-6)


def test_scores_of_many_classes() -> None:
    found = replace(
        answers([0, 2, 0, 1], tuple("abcdef")), logits=np.concatenate([LOGITS, LOGITS - 9], axis=1)
    ).scores()
    assert found["top5"] == 1.0
    assert found["top1"] == 0.5


def test_scores_of_many_labels() -> None:
    found = answers([[1.0, 0, 0], [0, 0, 1], [1, 1, 0], [0, 0, 0]])
    scores = found.scores()
    assert scores.keys() == {"loss", "map"}
    assert main_score(scores) == scores["map"] == pytest.approx(((1 / 2 + 2 / 3) / 2 + 1 + 1) / 3)
    assert found.confusion() is None
    np.testing.assert_allclose(found.probabilities(), 1 / (1 + np.exp(-LOGITS)), rtol=1e-5)
