"""The optimizer against TensorFlow's own numbers, and which parameter learns at which rate."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import tiny_spec
from torch import nn

from movinet.arch.zoo import network_spec
from movinet.errors import MovinetError
from movinet.nn.movinet import MoViNet
from movinet.train.optimizer import RMSpropTF, adamw, freeze, parameter_groups, set_lr, train_mode

REFERENCE = json.loads((Path(__file__).parent / "rmsprop.json").read_text(encoding="utf-8"))


def names(model: nn.Module, parameters: list[torch.Tensor]) -> set[str]:
    return {name for name, p in model.named_parameters() if any(p is other for other in parameters)}


def test_steps_are_those_of_tensorflow() -> None:
    variables = [nn.Parameter(torch.tensor(start)) for start in REFERENCE["starts"]]
    groups = [
        {"params": [w], "weight_decay": decay} for w, decay in zip(variables, REFERENCE["weight_decay"], strict=True)
    ]
    optimizer = RMSpropTF(groups, lr=0.0, **REFERENCE["settings"])
    for step in REFERENCE["steps"]:
        for group in optimizer.param_groups:
            group["lr"] = step["lr"]
        for w, gradient in zip(variables, step["gradients"], strict=True):
            w.grad = torch.tensor(gradient)
        optimizer.step()
        for w, after in zip(variables, step["after"], strict=True):
            np.testing.assert_allclose(w.detach(), after, rtol=2e-6, atol=2e-6)


@given(st.integers(0, 2**31), st.floats(0.01, 100), st.floats(0, 0.1))
@settings(max_examples=20)
def test_one_variable_by_hand(seed: int, scale: float, decay: float) -> None:
    rng = np.random.default_rng(seed)
    start, gradients = rng.normal(size=7), scale * rng.normal(size=(3, 7))
    w, square, update = start.copy(), np.zeros(7), np.zeros(7)
    parameter = nn.Parameter(torch.from_numpy(start.copy()))
    optimizer = RMSpropTF([parameter], 0.3, clip_norm=1.0, weight_decay=decay)
    for gradient in gradients:
        g = gradient + decay * w
        g = g * min(1.0, 1.0 / np.linalg.norm(g))
        square = 0.9 * square + 0.1 * g**2
        update = 0.9 * update + 0.3 * g / np.sqrt(square + 1.0)
        w = w - update
        parameter.grad = torch.from_numpy(gradient.copy())
        optimizer.step()
        assert np.array_equal(parameter.grad, gradient), "the gradient is the caller's"
    np.testing.assert_allclose(parameter.detach(), w, rtol=1e-12)


def test_a_loaded_optimizer_goes_on_as_if_nothing_had_happened() -> None:
    def run(interrupted: bool) -> torch.Tensor:
        torch.manual_seed(0)
        layer = nn.Linear(4, 3)
        optimizer = RMSpropTF(layer.parameters(), 0.5, clip_norm=1.0)
        for number in range(6):
            if interrupted and number == 3:
                state = optimizer.state_dict()
                optimizer = RMSpropTF(layer.parameters(), 0.1)
                optimizer.load_state_dict(state)
            optimizer.zero_grad()
            layer(torch.randn(2, 4)).square().sum().backward()
            optimizer.step()
        return layer.weight.detach()

    assert torch.equal(run(False), run(True))


def test_impossible_settings_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"momentum is out of range: 1\.5"):
        RMSpropTF([nn.Parameter(torch.ones(1))], 0.1, momentum=1.5)


@pytest.mark.parametrize("name", ["movinet_a0_stream", "movinet_a3_stream", "movinet_a0_base"])
def test_kernels_decay_and_nothing_else(name: str) -> None:
    with torch.device("meta"):
        model = MoViNet(network_spec(name))
    groups = parameter_groups(model, decay=3e-5)
    assert [group["lr_scale"] for group in groups] == [1.0, 1.0]
    decayed = {n for group in groups if group["weight_decay"] for n in names(model, group["params"])}
    others = {n for group in groups if not group["weight_decay"] for n in names(model, group["params"])}
    assert decayed | others == {n for n, _ in model.named_parameters()}
    assert not decayed & others
    assert {n for n in decayed if not n.endswith("weight") or ".norm." in n} == set()
    assert {n for n in others if n.endswith("weight") and ".norm." not in n} == {"head.classifier.weight"}
    if name == "movinet_a0_stream":  # as many as the official code hands its regularizer
        assert len(decayed) == 93


def test_layers_further_down_learn_more_slowly() -> None:
    model = MoViNet(tiny_spec())
    optimizer = adamw(parameter_groups(model, decay=0.1, layer_decay=0.5), 1.0)
    set_lr(optimizer, 8.0)
    rates = {n: group["lr"] for group in optimizer.param_groups for n in names(model, group["params"])}
    assert rates["head.classifier.weight"] == rates["head.project.norm.bias"] == 8.0
    assert rates["blocks.1.0.expand.weight"] == 4.0
    assert rates["blocks.0.0.scale"] == 2.0
    assert rates["stem.weight"] == 1.0
    assert rates.keys() == dict(model.named_parameters()).keys()


def test_frozen_parts_are_left_out_and_keep_their_statistics() -> None:
    model = MoViNet(tiny_spec())
    frozen = ("stem", "blocks.0")
    groups = parameter_groups(model, decay=0.1, frozen=frozen)
    learning = {n for group in groups for n in names(model, group["params"])}
    assert learning == {n for n, _ in model.named_parameters() if not n.startswith(("stem.", "blocks.0."))}
    before = {key: value.clone() for key, value in model.state_dict().items()}
    train_mode(model, frozen)
    optimizer = RMSpropTF(groups, 0.1)
    model(torch.rand(2, 3, 4, 24, 32)).square().sum().backward()
    optimizer.step()
    changed = {key for key, value in model.state_dict().items() if not torch.equal(value, before[key])}
    assert not {key for key in changed if key.startswith(("stem.", "blocks.0."))}
    assert {"head.project.norm.running_mean", "head.classifier.weight", "blocks.1.0.expand.norm.running_var"} <= changed
    train_mode(model)
    assert all(part.training for part in model.modules())


def test_statistics_are_kept_while_norms_learn() -> None:
    model = MoViNet(tiny_spec())
    statistics = {key: value.clone() for key, value in model.named_buffers()}
    train_mode(model, keep_statistics=True)
    model(torch.rand(2, 3, 4, 24, 32)).square().sum().backward()
    assert all(torch.equal(value, statistics[key]) for key, value in model.named_buffers())
    norms = [part for part in model.modules() if isinstance(part, nn.BatchNorm2d)]
    assert all(norm.weight.grad is not None and norm.bias.grad is not None for norm in norms)
    assert {part for part in model.modules() if not part.training} == set(norms)


def test_names_are_matched_whole_and_unfreezing_is_freezing_less() -> None:
    model = nn.ModuleDict({"a1": nn.Linear(1, 1), "a10": nn.Linear(1, 1)})
    freeze(model, ["a1"])
    assert [p.requires_grad for p in model.parameters()] == [False, False, True, True]
    freeze(model, [])
    assert all(p.requires_grad for p in model.parameters())


@pytest.mark.parametrize("name", ["block.0", "blocks.7", "", "stem.weight"])
def test_unknown_parts_are_named(name: str) -> None:
    with pytest.raises(
        MovinetError, match=r"no part called '.*' to freeze; there are stem, blocks.0 to blocks.1, head"
    ):
        parameter_groups(MoViNet(tiny_spec()), decay=0.1, frozen=("stem", name))


def test_something_must_be_left_to_learn() -> None:
    with pytest.raises(MovinetError, match="nothing is left to learn"):
        parameter_groups(MoViNet(tiny_spec()), decay=0.1, frozen=("stem", "blocks", "head"))


def test_further_modules_learn_at_the_rate_of_the_head() -> None:
    extra = nn.Linear(2, 3)
    groups = parameter_groups(MoViNet(tiny_spec()), decay=0.1, layer_decay=0.5, extra=[extra])
    for parameter, decay in ((extra.weight, 0.1), (extra.bias, 0.0)):
        (group,) = [group for group in groups if any(p is parameter for p in group["params"])]
        assert (group["lr_scale"], group["weight_decay"]) == (1.0, decay)
