"""What is told before a run is what happens in it: counted where torch can be asked, measured where it cannot."""

from dataclasses import replace

import pytest
import torch
from tiny import tiny_spec
from torch import Tensor

from movinet.arch.spec import NetworkSpec
from movinet.arch.zoo import network_spec
from movinet.costs import macs_per_clip, parameters
from movinet.errors import MovinetError
from movinet.nn.movinet import MoViNet
from movinet.train.estimate import estimate
from movinet.train.recipe import AdamW, Recipe
from movinet.train.recipe_data import Clips, Gestures

RECIPE = Recipe(AdamW(1e-3), epochs=4, batch_size=8, network="movinet_t0_stream", warmup_epochs=0.5)


def zoo(name: str, **options: object) -> NetworkSpec:
    spec = network_spec(name)
    assert isinstance(spec, NetworkSpec)
    return spec.with_options(num_classes=5, **options)


def kept_by_autograd(model: MoViNet, clip: Tensor) -> int:
    """Bytes, each storage once, without the weights."""
    weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    seen: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        seen[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = model(clip).sum()
    assert loss.requires_grad
    return sum(tensor.untyped_storage().nbytes() for address, tensor in seen.items() if address not in weights)


@pytest.mark.parametrize(
    "spec",
    [
        zoo("movinet_a0_stream"),
        zoo("movinet_t0_stream", rezero=False, activation="relu6"),
        zoo("movinet_a0_stream", squeeze_excitation="none", norm="folded"),
        zoo("movinet_a0_base"),
        zoo("movinet_a0_base", causal=True, squeeze_excitation="cumulative"),
        zoo("movinet_t0_stream", positional_encoding=True),
    ],
    ids=lambda spec: f"{spec.name}-{spec.squeeze_excitation}-{spec.norm}-{spec.activation}",
)
@pytest.mark.parametrize("frames", [1, 5])
def test_activations_are_those_that_autograd_keeps(spec: NetworkSpec, frames: int) -> None:
    spec = spec.with_options(size=(90, 124))
    recipe = replace(RECIPE, batch_size=2, clips=Clips(frames=frames))
    kept = kept_by_autograd(MoViNet(spec).train(), torch.rand(2, 3, frames, *spec.size))
    assert estimate(recipe, spec, 16).memory.activations == pytest.approx(kept, rel=0.02)
    # Elsewhere plain modules keep more than nn/fused_cpu.py does.
    assert 0.96 * kept < estimate(recipe, spec, 16, device="cuda").memory.activations < 1.4 * kept


def test_what_lies_below_the_first_layer_that_learns_is_not_kept() -> None:
    spec = tiny_spec()
    model = MoViNet(spec).train()
    model.stem.requires_grad_(False).eval()
    model.blocks[0].requires_grad_(False).eval()
    kept = kept_by_autograd(model, torch.rand(2, 3, 20, *spec.size))
    found = estimate(replace(RECIPE, batch_size=2, freeze=("stem", "blocks.0")), spec, 16).memory
    assert 0.9 * kept < found.activations < 1.4 * kept
    everything = estimate(replace(RECIPE, batch_size=2, freeze=("blocks.0",)), spec, 16).memory
    assert everything.activations > 2 * found.activations


def test_weights_gradients_optimizer_and_average_are_counted() -> None:
    spec = zoo("movinet_a0_stream")
    memory = estimate(replace(RECIPE, ema_decay=0.9), spec, 16).memory
    numbers = {name: value.numel() for name, value in MoViNet(spec).state_dict().items() if value.is_floating_point()}
    assert memory.weights == memory.average == 4 * sum(numbers.values())
    assert 2 * memory.gradients == memory.optimizer == 8 * parameters(spec)
    assert estimate(RECIPE, spec, 16).memory.average == 0
    assert memory.total > memory.weights + memory.activations


@pytest.mark.slow
def test_with_the_recurrent_strategy_activations_do_not_grow_with_the_clip() -> None:
    spec = zoo("movinet_t0_stream")
    found = [
        estimate(replace(RECIPE, strategy="recurrent", clips=Clips(frames=frames)), spec, 16).memory
        for frames in (8, 64)
    ]
    assert found[0].activations == found[1].activations
    assert found[1].batch - found[0].batch == 8 * 56 * 3 * 160 * 160
    whole = estimate(replace(RECIPE, clips=Clips(frames=64)), spec, 16).memory
    assert whole.activations == pytest.approx(8 * found[0].activations, rel=0.1)


def test_half_the_bits_take_half_the_room() -> None:
    spec = zoo("movinet_t0_stream")
    assert estimate(RECIPE, spec, 16).memory.activations == 2 * estimate(RECIPE, spec, 16, half=True).memory.activations


def test_steps_rates_and_shapes() -> None:
    spec = zoo("movinet_t0_stream", size=(64, 80))
    found = estimate(replace(RECIPE, clips=Clips(frames=12)), spec, 100, device=None)
    assert (found.steps_per_epoch, found.steps, found.batch, found.sub_clip) == (13, 52, (8, 3, 12, 64, 80), 12)
    assert found.macs == 3 * 8 * macs_per_clip(spec, frames=12)
    assert list(found.rates) == [0, 6, 26, 51]
    assert found.rates[0] == pytest.approx(1e-3 / 7, rel=0.05)
    assert found.rates[6] == pytest.approx(1e-3, rel=0.05)
    assert found.rates[51] < 1e-5
    shared = estimate(replace(RECIPE, clips=Clips(frames=12)), spec, 100, processes=2, device=None)
    assert (shared.batch, shared.steps, shared.macs) == ((4, 3, 12, 64, 80), 52, found.macs)
    assert estimate(RECIPE, spec, 5, device=None).batch[0] == 5
    even = estimate(RECIPE, spec, 14, device=None)
    assert (even.batch[0], even.steps_per_epoch) == (7, 2)
    synthetic = replace(RECIPE, data=Gestures(clips=100, frames=(4, 9)), strategy="recurrent", sub_clip=5)
    assert estimate(synthetic, spec, 100, device=None).batch[2] == 9
    assert estimate(synthetic, spec, 100, device=None).sub_clip == 5
    once, twice = estimate(synthetic, spec, 100), estimate(replace(synthetic, bptt_clips=2), spec, 100)
    assert twice.macs == pytest.approx(once.macs * 3.5 / 3)  # the first of two sub-clips goes forwards twice
    assert 0 < twice.memory.total - once.memory.total < 0.1 * once.memory.activations


def test_what_cannot_be_is_refused() -> None:
    spec = tiny_spec()
    with pytest.raises(MovinetError, match="3 processes cannot share 2 clips"):
        estimate(RECIPE, spec, 2, processes=3)
    with pytest.raises(MovinetError, match="the warm-up is longer than the training"):
        estimate(replace(RECIPE, warmup_epochs=5.0), spec, 80)
