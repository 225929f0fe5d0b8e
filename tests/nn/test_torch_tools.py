"""What people do to a module in PyTorch, done to these: compiled whole, exported, halved, without values, moved."""

import copy
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from nn.networks import assert_same, random_frames, random_network
from tiny import tiny_spec
from torch import Tensor, nn

from movinet.arch.zoo import temporal_ensemble
from movinet.nn.ensemble import Ensemble
from movinet.nn.movinet import MoViNet
from movinet.nn.state import State

CLIP = random_frames(2, 4, (24, 32), 1)


def network(causal: bool = True) -> MoViNet:
    model = random_network(tiny_spec(causal).with_options(dropout=0.0, stochastic_depth=0.0), 0)
    assert isinstance(model, MoViNet)
    return model


@pytest.mark.parametrize("causal", [True, pytest.param(False, marks=pytest.mark.slow)], ids=["stream", "base"])
@torch.no_grad()
def test_a_whole_network_is_one_graph(causal: bool) -> None:
    model = network(causal)
    expected = model(CLIP)
    model.compile(fullgraph=True, backend="eager")
    assert_same(model(CLIP), expected)
    if causal:
        step = torch.compile(model.step, fullgraph=True, backend="eager")
        _, state = step(CLIP[:, :, :2])
        for t in (2, 3):
            logits, state = step(CLIP[:, :, t : t + 1], state)
        assert_same(logits, expected)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_a_compiled_network_trains_and_streams() -> None:
    model = network()
    expected = torch.autograd.grad(model.train()(CLIP).square().sum(), list(model.parameters()))
    compiled = torch.compile(copy.deepcopy(model), fullgraph=True)
    compiled(CLIP).square().sum().backward()
    largest = max(gradient.abs().max() for gradient in expected)  # some are nothing but rounding, before a norm
    for parameter, gradient in zip(compiled.parameters(), expected, strict=True):
        assert parameter.grad is not None
        assert (parameter.grad - gradient).abs().max() <= 1e-3 * largest
    model.eval()
    step = torch.compile(model.step, fullgraph=True)
    with torch.no_grad():
        _, state = step(CLIP[:, :, :3])
        assert_same(step(CLIP[:, :, 3:], state)[0], model(CLIP))


class Step(nn.Module):
    """What `torch.export` wants: a module whose `forward` is the step."""

    def __init__(self, model: MoViNet) -> None:
        super().__init__()
        self.model = model

    def forward(self, frames: Tensor, state: State) -> tuple[Tensor, State]:
        return self.model.step(frames, state)


@torch.no_grad()
def test_clips_and_steps_are_exported(tmp_path: Path) -> None:
    model = network()
    exported = torch.export.export(model, (CLIP,), dynamic_shapes={"clip": {0: torch.export.Dim("batch")}})
    clips = random_frames(3, 4, (24, 32), 2)
    assert_same(exported.module()(clips), model(clips))
    state = model.init_state(2)
    step = torch.export.export(Step(model), (CLIP[:, :, :1], state))
    torch.export.save(step, tmp_path / "step.pt2")
    again = torch.export.load(tmp_path / "step.pt2").module()
    for t in range(4):
        logits, state = again(CLIP[:, :, t : t + 1], state)
    assert_same(logits, model(CLIP))
    base = network(causal=False)
    assert_same(torch.export.export(base, (CLIP,)).module()(CLIP), base(CLIP))


@pytest.mark.parametrize("causal", [True, False], ids=["stream", "base"])
@torch.no_grad()
def test_halved_and_without_values(causal: bool) -> None:
    model = network(causal)
    half = copy.deepcopy(model).half()
    assert half(CLIP.half()).dtype == torch.float16
    assert_same(half(CLIP.half()).float(), model(CLIP), 0.02)
    assert {p.label for p in half.predict(CLIP)} == {p.label for p in model.predict(CLIP)}
    with pytest.raises(ValueError, match=r"clip is torch.float32, but the network is torch.float16"):
        half(CLIP)
    meta = copy.deepcopy(model).to("meta")
    assert meta(CLIP.to("meta")).shape == (2, 3)
    meta.reset_classifier(5)
    assert meta.get_classifier().weight.is_meta
    assert meta.forward_features(CLIP.to("meta")).is_meta
    if causal:
        logits, state = meta.step(CLIP.to("meta"))
        assert logits.shape == (2, 5)
        assert all(value.is_meta for value in state.values())


@pytest.mark.parametrize("kind", ["stream", "base", "ensemble"])
def test_levels_are_taken_for_no_values(kind: str) -> None:
    """A clip in 0…255, as floats, would be answered with nonsense. Noise, and what is scaled and centered, is taken."""
    model: MoViNet | Ensemble = network(kind != "base")
    if kind == "ensemble":
        pair = random_network(temporal_ensemble("pair", tiny_spec(), tiny_spec()), 0)
        assert isinstance(pair, Ensemble)
        model = pair
    calls = [model, model.predict, *([model.step] if kind != "base" else [])]
    for call in calls:
        with pytest.raises(ValueError, match=r"values are in \[0, 1\], but there is 2\d\d.*: divide"):
            call(CLIP * 255)
        with pytest.raises(ValueError, match="divide"):
            call((CLIP * 255).byte())
        call(CLIP * 4 - 2)
        call(torch.randn(CLIP.shape))
        call(CLIP * torch.nan)


def test_a_network_of_levels_takes_levels() -> None:
    model = network()
    levels = replace(model.info, transform=replace(model.info.transform, scale=(0.0, 255.0)))
    assert MoViNet(model.spec, levels).eval()(CLIP * 255).shape == (2, 3)
