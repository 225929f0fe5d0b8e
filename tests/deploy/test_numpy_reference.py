"""The interpreter of arrays answers like the network in PyTorch, whatever the variant: it may judge the rest."""

import numpy as np
import torch
from arch.specs import network_specs
from hypothesis import given, settings
from hypothesis import strategies as st
from nn.networks import SEEDS, random_frames, random_network

from movinet.arch.spec import NetworkSpec
from movinet.deploy.network import folded_network
from movinet.deploy.reference import init_state, reference_clip, reference_step
from movinet.nn.movinet import MoViNet
from movinet.weights.weights import Weights


@given(network_specs(causal=True), SEEDS, st.integers(1, 4))
@settings(max_examples=60)
def test_steps_give_the_logits_of_the_network(spec: NetworkSpec, seed: int, cut: int) -> None:
    network = random_network(spec, seed)
    assert isinstance(network, MoViNet)
    frames = random_frames(2, 5, spec.size, seed)
    arrays = folded_network(Weights.of(network))
    with torch.inference_mode():
        expected, state = network.step(frames)
    _, past = reference_step(arrays, frames[:, :, :cut].numpy())
    actual, after = reference_step(arrays, frames[:, :, cut:].numpy(), past)
    assert np.abs(actual - expected.numpy()).max() <= 1e-5 * np.abs(expected.numpy()).max()
    assert after.keys() == state.keys()
    for name, array in after.items():
        scale = max(1.0, float(np.abs(array).max(initial=0.0)))
        assert np.abs(array - state[name].numpy()).max(initial=0.0) <= 1e-4 * scale, name
    assert init_state(arrays, 2).keys() == state.keys()


@given(network_specs(causal=False), SEEDS)
@settings(max_examples=30)
def test_clips_give_the_logits_of_the_network(spec: NetworkSpec, seed: int) -> None:
    network, clip = random_network(spec, seed), random_frames(2, 4, spec.size, seed)
    with torch.inference_mode():
        expected = network(clip).numpy()
    assert isinstance(network, MoViNet)
    actual = reference_clip(folded_network(Weights.of(network)), clip.numpy())
    assert np.abs(actual - expected).max() <= 1e-5 * np.abs(expected).max()
