"""Folded networks answer like the networks they came from."""

import torch
from arch.specs import SIZES, ensemble_specs, network_specs
from hypothesis import given, settings
from hypothesis import strategies as st
from nn.networks import SEEDS, assert_same, assert_same_state, random_frames, random_network
from torch import nn

from movinet.arch.spec import NetworkSpec
from movinet.arch.zoo import network_spec
from movinet.deploy.fold import fold
from movinet.weights.weights import Weights


@given(network_specs(), SIZES, SEEDS)
@settings(max_examples=40)
def test_a_folded_network_gives_the_same_logits(spec: NetworkSpec, size: tuple[int, int], seed: int) -> None:
    network, clip = random_network(spec, seed), random_frames(2, 3, size, seed)
    folded = fold(Weights.of(network)).to_model()
    assert not any(isinstance(part, nn.BatchNorm2d) for part in folded.modules())
    assert folded.spec == spec.with_options(norm="folded", rezero=False)
    with torch.inference_mode():
        assert_same(folded(clip), network(clip), tolerance=1e-4)


@given(st.one_of(network_specs(causal=True), ensemble_specs(causal=True)), SEEDS)
@settings(max_examples=15)
def test_a_live_state_goes_over_to_the_folded_network(spec: NetworkSpec, seed: int) -> None:
    network, (height, width) = random_network(spec, seed), spec.size
    folded = fold(Weights.of(network)).to_model()
    first, rest = random_frames(2, 3, (height, width), seed).split([1, 2], dim=2)
    with torch.inference_mode():
        _, state = network.step(first)
        expected, expected_state = network.step(rest, state)
        actual, actual_state = folded.step(rest, state)
    assert_same(actual, expected, tolerance=1e-4)
    assert list(actual_state) == list(expected_state)


def test_folding_leaves_the_network_as_it_was_and_folds_only_once() -> None:
    spec = network_spec("movinet_t0_stream").with_options(num_classes=3)
    network = random_network(spec, 1)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    once = fold(Weights.of(network))
    assert_same_state(network.state_dict(), before)
    clip = random_frames(1, 2, (32, 32), 1)
    with torch.inference_mode():
        assert torch.equal(fold(once).to_model()(clip), once.to_model()(clip))
