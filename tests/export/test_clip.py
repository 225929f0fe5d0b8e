"""The deployed clip of base networks is the network's own."""

import pytest
import torch
from arch.specs import network_specs
from hypothesis import given, settings
from hypothesis import strategies as st
from nn.networks import SEEDS, assert_same, random_frames, random_network
from tiny import tiny_spec

from movinet.arch.spec import NetworkSpec
from movinet.errors import SpecError
from movinet.export.clip import DeployedClip
from movinet.nn.movinet import MoViNet


@settings(max_examples=40)
@given(spec=network_specs(causal=False), seed=SEEDS, frames=st.integers(1, 7), batch=st.integers(1, 2))
def test_clips_get_the_networks_own_logits(spec: NetworkSpec, seed: int, frames: int, batch: int) -> None:
    network = random_network(spec, seed)
    assert isinstance(network, MoViNet)
    clip = random_frames(batch, frames, spec.size, seed)
    deployed = DeployedClip(network, frames=frames)
    with torch.inference_mode():
        assert_same(deployed(clip)[0], network(clip), 1e-4)


def test_stream_networks_are_refused() -> None:
    with pytest.raises(SpecError, match="deploy its step"):
        DeployedClip(MoViNet(tiny_spec()))
