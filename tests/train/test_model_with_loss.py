"""One batch, whole or in sub-clips: the same where it should be, without a past to learn from where it should not."""

import copy
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import tiny_spec
from torch import Tensor
from training_sets import BASIC, Noise, batch, fabric

from movinet.nn.movinet import MoViNet
from movinet.nn.state import State, detach_state
from movinet.train.losses import binary_cross_entropy, class_weights
from movinet.train.model_with_loss import ModelWithLoss, StepOutput, forward_backward
from movinet.train.optimizer import train_mode
from movinet.train.recipe import AuxPoint, Loss, Recipe, Smoothness
from movinet.train.smoothness_loss import smoothness_loss
from movinet.train.train_loop import Example

ALL_PARTS = Loss(0.1, "balanced", Smoothness(weight=0.5, frames=3), AuxPoint(("blocks.0.0", "blocks.1.0")))


def deterministic() -> MoViNet:
    """With everything that remembers, nothing that is random, and answers that differ."""
    torch.manual_seed(0)
    spec = tiny_spec().with_options(dropout=0.0, stochastic_depth=0.0, positional_encoding=True)
    model = MoViNet(spec)
    for name, parameter in model.named_parameters():
        if name.endswith(("scale", "position_scale")):
            torch.nn.init.constant_(parameter, 0.5)
    torch.nn.init.normal_(model.head.classifier.weight)
    return model


@pytest.fixture
def network() -> MoViNet:
    return deterministic()


def set_up(model: MoViNet, loss: Loss, data: Noise) -> object:
    torch.manual_seed(1)
    return fabric().setup_module(ModelWithLoss(copy.deepcopy(model), loss, data))


def learn(
    model: MoViNet, recipe: Recipe, data: Noise, examples: Example
) -> tuple[StepOutput, dict[str, Tensor], Tensor]:
    """What came of a batch, the gradients by name, and all statistics after it."""
    learner = set_up(model, recipe.loss, data)
    outcome = forward_backward(fabric(), learner, data, examples, recipe, step=3)
    gradients = {name: p.grad for name, p in learner.module.named_parameters() if p.grad is not None}
    return outcome, gradients, torch.cat([b.flatten().double() for b in learner.module.buffers()])


def assert_close(found: dict[str, Tensor], wanted: dict[str, Tensor], rounding: float = 1e-6) -> None:
    assert found.keys() == wanted.keys()
    scale = max(value.abs().max() for value in wanted.values())
    for name, value in wanted.items():
        assert (found[name] - value).abs().max() <= rounding * scale, name


@pytest.mark.parametrize("sub_clip", [6, 100])
def test_one_sub_clip_is_the_clip(network: MoViNet, sub_clip: int) -> None:
    data = Noise(frames=6)
    recipe = replace(BASIC, loss=ALL_PARTS)
    whole, gradients, statistics = learn(network, recipe, data, batch(data))
    recurrent = replace(recipe, strategy="recurrent", sub_clip=sub_clip)
    cut, cut_gradients, cut_statistics = learn(network, recurrent, data, batch(data))
    assert whole.parts.keys() == cut.parts.keys() == {"labels", "aux_point", "smoothness"}
    for name, value in whole.parts.items():
        assert cut.parts[name].item() == pytest.approx(value.item(), rel=1e-6)
    assert_close(cut_gradients, gradients)
    torch.testing.assert_close(cut_statistics, statistics)
    torch.testing.assert_close(cut.logits, whole.logits)


def by_hand(
    model: MoViNet, data: Noise, examples: Example, sub_clip: int, bptt_clips: int
) -> tuple[float, dict[str, Tensor], dict[str, Tensor]]:
    """The recurrent strategy in few words, from the network's own `step`: loss, gradients and statistics."""
    model, state, losses = copy.deepcopy(model), None, []
    clip = examples.clip.float() / 255
    for n, start in enumerate(range(0, clip.shape[2], sub_clip), start=1):
        piece = clip[:, :, start : start + sub_clip]
        logits, state = model.step(piece, state)
        state = detach_state(state) if n % bptt_clips == 0 else state
        losses.append(F.cross_entropy(logits, examples.target) * piece.shape[2] / clip.shape[2])
    torch.stack(losses).sum().backward()
    gradients = {f"model.{name}": p.grad for name, p in model.named_parameters() if p.grad is not None}
    return torch.stack(losses).sum().item(), gradients, dict(model.named_buffers())


@settings(max_examples=15)
@given(frames=st.integers(2, 9), sub_clip=st.integers(1, 4), bptt_clips=st.integers(1, 5))
def test_sub_clips_are_steps_whose_gradients_reach_so_far_into_the_past(
    frames: int, sub_clip: int, bptt_clips: int
) -> None:
    model, data = deterministic(), Noise(frames=frames)
    recipe = replace(BASIC, strategy="recurrent", sub_clip=sub_clip, bptt_clips=bptt_clips)
    outcome, gradients, statistics = learn(model, recipe, data, batch(data))
    loss, wanted, buffers = by_hand(model, data, batch(data), sub_clip, bptt_clips)
    assert outcome.loss.item() == pytest.approx(loss, rel=1e-5)
    assert_close(gradients, wanted, rounding=3e-6)  # of sums in another order
    torch.testing.assert_close(
        statistics, torch.cat([b.flatten().double() for b in buffers.values()]), rtol=1e-5, atol=1e-6
    )
    if frames > sub_clip * bptt_clips:  # otherwise the test could not tell
        _, tied, _ = by_hand(model, data, batch(data), sub_clip, bptt_clips=9)
        assert any((tied[name] - wanted[name]).abs().max() > 1e-4 * wanted[name].abs().max() for name in wanted)


def test_a_sub_clip_that_goes_through_twice_loses_the_same_to_dropout(network: MoViNet) -> None:
    torch.manual_seed(0)
    spec = network.spec.with_options(dropout=0.5, stochastic_depth=0.5)
    random, data = MoViNet(spec), Noise(frames=9)
    random.load_state_dict(network.state_dict())
    learner = set_up(random, ALL_PARTS, data)
    answers: list[Tensor] = []
    learner.module.register_forward_hook(lambda _, __, found: answers.append(found[1].detach()))
    recipe = replace(BASIC, strategy="recurrent", sub_clip=3, bptt_clips=3)
    outcome = forward_backward(fabric(), learner, data, batch(data), recipe, step=0)
    assert outcome.parts.keys() == {"labels", "aux_point", "smoothness"}
    first, second, last, second_again, first_again = answers
    torch.testing.assert_close(first_again, first)
    torch.testing.assert_close(second_again, second)
    assert not torch.allclose(first, random(batch(data).clip[:, :, :3] / 255))  # something was dropped
    assert not torch.allclose(last, second)


@given(frames=st.integers(2, 9), sub_clip=st.integers(1, 4), mixup=st.sampled_from([0.0, 0.5]))
@settings(deadline=None)
def test_sub_clips_answered_for_by_the_last_are_the_clip(frames: int, sub_clip: int, mixup: float) -> None:
    """Chance included: dropout and stochastic depth take the same of a clip however it is cut."""
    torch.manual_seed(0)
    spec = deterministic().spec.with_options(dropout=0.5, stochastic_depth=0.5)
    model, data = MoViNet(spec), Noise(frames=frames)
    model.load_state_dict(deterministic().state_dict())
    train_mode(model, keep_statistics=True)
    whole = replace(BASIC, mixup=mixup)
    pieces = replace(whole, strategy="recurrent", sub_clip=sub_clip, bptt_clips=9, loss_on="last")
    outcome, gradients, _ = learn(model, pieces, data, batch(data))
    wanted, wanted_gradients, _ = learn(model, whole, data, batch(data))
    torch.testing.assert_close(outcome.logits, wanted.logits, rtol=1e-5, atol=1e-5)
    assert outcome.loss.item() == pytest.approx(wanted.loss.item(), rel=1e-5)
    assert_close(gradients, wanted_gradients, rounding=1e-5)


@pytest.mark.parametrize("loss", [Loss(), ALL_PARTS])
def test_before_the_last_reach_there_is_nothing_to_learn_from_the_last_answer(network: MoViNet, loss: Loss) -> None:
    """Unless there are losses on frames, which are of all frames."""
    data, network = Noise(frames=8), network.eval()
    learner = set_up(network, loss, data)
    calls: list[bool] = []
    learner.module.register_forward_pre_hook(lambda _, inputs: calls.append(torch.is_grad_enabled()))
    recipe = replace(BASIC, strategy="recurrent", sub_clip=2, bptt_clips=2, loss_on="last", loss=loss)
    outcome = forward_backward(fabric(), learner, data, batch(data), recipe, step=0)
    first = [False, False] if loss == Loss() else [False, True, True]
    assert calls == [*first, False, True, True]
    whole = forward_backward(fabric(), learner, data, batch(data), replace(BASIC, loss=loss), step=0)
    assert outcome.parts["labels"].item() == pytest.approx(whole.parts["labels"].item(), rel=1e-5)


def test_positions_and_pooling_carry_on(network: MoViNet) -> None:
    data = Noise(frames=7)
    examples = batch(data)
    learner = set_up(network.eval(), Loss(), data)
    recipe = replace(BASIC, strategy="recurrent", sub_clip=3)
    outcome = forward_backward(fabric(), learner, data, examples, recipe, step=0)
    with torch.no_grad():
        torch.testing.assert_close(outcome.logits, network(examples.clip / 255), atol=1e-5, rtol=1e-5)
        assert (network(examples.clip[:, :, -1:] / 255) - outcome.logits).abs().max() > 1e-2


def test_the_state_is_the_clips_own(network: MoViNet) -> None:
    """A batch begins new streams, whatever came before it."""
    data = Noise(frames=4)
    learner = set_up(network.eval(), Loss(), data)
    recipe = replace(BASIC, strategy="recurrent", sub_clip=2)
    first = forward_backward(fabric(), learner, data, batch(data), recipe, step=0)
    second = forward_backward(fabric(), learner, data, batch(data), recipe, step=1)
    assert torch.equal(first.logits, second.logits)


@contextmanager
def saved_bytes() -> Iterator[list[int]]:
    """[now, at most]: bytes that autograd keeps for the way back."""
    count = [0, 0]

    class Kept:
        def __init__(self, tensor: Tensor) -> None:
            self.tensor = tensor
            size = tensor.numel() * tensor.element_size()
            count[0] += size
            count[1] = max(count)
            weakref.finalize(self, lambda: count.__setitem__(0, count[0] - size))

    with torch.autograd.graph.saved_tensors_hooks(Kept, lambda kept: kept.tensor):
        yield count


@pytest.mark.slow
def test_memory_does_not_grow_with_the_clip(network: MoViNet) -> None:
    most = {}
    for strategy, reach in (("clip", 1), ("recurrent", 1), ("recurrent", 2)):
        for frames in (8, 16, 32):
            data = Noise(frames=frames)
            recipe = replace(BASIC, strategy=strategy, sub_clip=4, bptt_clips=reach)
            learner = set_up(network, Loss(), data)
            with saved_bytes() as count:
                forward_backward(fabric(), learner, data, batch(data, 2), recipe, step=0)
            assert count[0] == 0
            most[strategy, reach, frames] = count[1]
    for reach in (1, 2):
        assert most["recurrent", reach, 32] == most["recurrent", reach, 16] == most["recurrent", reach, 8]
        assert most["clip", 1, 8] > 1.5 * most["recurrent", reach, 8]
    assert most["clip", 1, 32] > 1.9 * most["clip", 1, 16] > 3.6 * most["clip", 1, 8]


def parts_of(network: MoViNet, loss: Loss, data: Noise) -> dict[str, float]:
    outcome, _, _ = learn(network.train(), replace(BASIC, loss=loss), data, batch(data))
    assert outcome.loss.item() == pytest.approx(sum(v.item() for v in outcome.parts.values()))
    return {name: value.item() for name, value in outcome.parts.items()}


def test_the_loss_of_one_label_and_of_many(network: MoViNet) -> None:
    for data in (Noise(), Noise(multi_label=True)):
        examples = batch(data)
        logits = copy.deepcopy(network)(examples.clip / 255)
        parts = parts_of(network, Loss(), data)
        wanted = binary_cross_entropy if data.multi_label else F.cross_entropy
        assert parts == {"labels": pytest.approx(wanted(logits, examples.target).item(), rel=1e-5)}


def test_classes_weigh_what_their_clips_say(network: MoViNet) -> None:
    data = Noise(clips=4)  # left, right, other, left
    examples = batch(data)
    logits = copy.deepcopy(network)(examples.clip / 255)
    each = F.cross_entropy(logits, examples.target, reduction="none")
    for wanted in ("balanced", {"left": 3.0}):
        weights = class_weights(wanted, data.classes, [2, 1, 1])
        assert weights is not None
        parts = parts_of(network, Loss(class_weights=wanted), data)
        assert parts["labels"] == pytest.approx((each * weights[examples.target]).mean().item(), rel=1e-5)


def test_what_is_added_to_the_loss_on_labels(network: MoViNet) -> None:
    data = Noise()
    alone = parts_of(network, Loss(), data)
    found = parts_of(network, ALL_PARTS, data)
    assert found.keys() == {"labels", "aux_point", "smoothness"}
    assert (
        parts_of(network, replace(ALL_PARTS, label_smoothing=0.0, class_weights="even"), data)["labels"]
        == alone["labels"]
    )
    frames: list[Tensor] = []
    model = copy.deepcopy(network)
    model.head.project.register_forward_hook(lambda _, __, images: frames.append(images.mean((2, 3))))
    model(batch(data).clip / 255)
    smoothing = 0.5 * smoothness_loss(frames[0].unflatten(0, (4, -1)), window=3, velocity=0.5).item()
    assert found["smoothness"] == pytest.approx(smoothing, rel=1e-5)
    doubled = replace(ALL_PARTS, aux_point=replace(ALL_PARTS.aux_point, weight=6.0))
    assert parts_of(network, doubled, data)["aux_point"] == pytest.approx(2 * found["aux_point"], rel=1e-6)


def test_all_that_is_thrown_away_learns_too(network: MoViNet) -> None:
    data = Noise()
    _, gradients, _ = learn(network, replace(BASIC, loss=ALL_PARTS), data, batch(data))
    readers = [name for name in gradients if name.startswith("readers")]
    assert len(readers) == 4
    assert all(gradients[name].abs().max() > 0 for name in readers)


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
def test_all_sub_clips_are_mixed_alike(network: MoViNet, kind: str) -> None:
    data = Noise(frames=6)
    examples = batch(data)
    still = examples._replace(clip=examples.clip[:, :, :1].expand(-1, -1, 6, -1, -1).contiguous())
    learner = set_up(network, Loss(), data)
    seen: list[tuple[Tensor, Tensor]] = []

    def note(_: object, inputs: tuple[Tensor, Tensor, Tensor, State | None, bool]) -> None:
        seen.append((inputs[0], inputs[1]))

    learner.module.register_forward_pre_hook(note)
    recipe = replace(BASIC, strategy="recurrent", sub_clip=2, **{kind: 1.0})
    forward_backward(fabric(), learner, data, still, recipe, step=5)
    (clip, targets), *others = seen
    assert len(others) == 2
    assert not torch.equal(clip, still.clip[:, :, :2] / 255)
    assert ((targets > 0) & (targets < 1)).any()
    torch.testing.assert_close(targets.sum(1), torch.ones(4))
    for other, other_targets in others:
        assert torch.equal(other, clip)
        assert torch.equal(other_targets, targets)
    forward_backward(fabric(), learner, data, still, recipe, step=6)
    assert not torch.equal(seen[-1][0], clip)
