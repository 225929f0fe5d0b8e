"""The deployed step is the network's own step, in every variant and however it holds the past."""

from typing import get_args

import pytest
import torch
from arch.specs import network_specs
from hypothesis import given, settings
from hypothesis import strategies as st
from nn.networks import SEEDS, assert_same, folded, random_frames, random_network, with_decays

from movinet.arch.spec import NetworkSpec
from movinet.arch.step import StateLayout, step_signature
from movinet.arch.zoo import network_spec
from movinet.deploy.deployed_state import deployed_state
from movinet.errors import SpecError
from movinet.nn.deploy import DeployedHead, DeployedStep
from movinet.nn.movinet import MoViNet
from movinet.nn.state import State

TOLERANCE = 1e-4
SMALL = st.tuples(st.integers(4, 24), st.integers(4, 24))


@st.composite
def stream_specs(draw: st.DrawFn) -> NetworkSpec:
    spec = draw(network_specs(causal=True, size=draw(SMALL)))
    if spec.positional_encoding and spec.position_limit is None:
        return spec.with_options(position_limit=draw(st.integers(0, 6)))
    return spec


def images(frames: torch.Tensor) -> torch.Tensor:
    """(B, 3, n, H, W) as a deployed step takes them: time before stream."""
    return frames.permute(2, 0, 1, 3, 4).flatten(0, 1)


def from_model_state(network: MoViNet, state: State, past: StateLayout) -> list[torch.Tensor]:
    return [torch.from_numpy(array) for array in deployed_state(folded(network), state, past).values()]


@settings(max_examples=60)
@given(
    spec=stream_specs(),
    seed=SEEDS,
    past=st.sampled_from(get_args(StateLayout)),
    at_once=st.sampled_from([1, 1, 3]),
    before=st.integers(0, 7),
    decays=st.lists(st.sampled_from([1.0, 0.9, 0.3]), min_size=1, max_size=2),
    predict=st.booleans(),
)
def test_steps_equal_the_networks_own_from_any_moment_on(
    spec: NetworkSpec, seed: int, past: StateLayout, at_once: int, before: int, decays: list[float], predict: bool
) -> None:
    network = random_network(spec, seed)
    assert isinstance(network, MoViNet)
    streams = len(decays)
    frames = random_frames(streams, before + 4 * at_once, spec.size, seed)
    state = with_decays(network.init_state(streams), decays)
    deployed = DeployedStep(folded(network), past=past, frames=at_once, predict=predict)
    head = DeployedHead(folded(network))
    with torch.inference_mode():
        _, state = network.step(frames[:, :, :before], state)
        held = from_model_state(network, state, past)
        for t in range(before, frames.shape[2], at_once):
            expected, state = network.step(frames[:, :, t : t + at_once], state)
            inputs = [images(frames[:, :, t : t + at_once]), *held]
            for port, tensor in zip(deployed.signature.inputs[1:], inputs[1:], strict=True):
                assert tensor.shape == (streams, *port.shape)
            outputs = deployed(*inputs)
            held = deployed.next_state(inputs, outputs)
            assert_same(outputs[0] if predict else head(outputs[0]), expected, TOLERANCE)


@settings(max_examples=15)
@given(spec=stream_specs(), seed=SEEDS, past=st.sampled_from(get_args(StateLayout)))
def test_new_streams_begin_as_the_networks_do(spec: NetworkSpec, seed: int, past: StateLayout) -> None:
    network = random_network(spec, seed)
    assert isinstance(network, MoViNet)
    deployed = DeployedStep(folded(network), past=past)
    for ours, theirs in zip(
        deployed.init_state(2), from_model_state(network, network.init_state(2), past), strict=True
    ):
        assert torch.equal(ours, theirs)
        assert ours.dtype == theirs.dtype


@settings(max_examples=15)
@given(spec=stream_specs(), seed=SEEDS, at_once=st.sampled_from([1, 3]))
def test_sums_may_take_the_old_ones_memory(spec: NetworkSpec, seed: int, at_once: int) -> None:
    network = random_network(spec, seed)
    assert isinstance(network, MoViNet)
    plain, quick = (DeployedStep(folded(network), frames=at_once, overwrite=over) for over in (False, True))
    ours, theirs = plain.init_state(2), quick.init_state(2)
    for t in range(3):
        frames = images(random_frames(2, at_once, spec.size, seed + t))
        mine, its = [frames, *ours], [frames, *theirs]
        with torch.inference_mode():
            a, b = plain(*mine), quick(*its)
        assert_same(b[0], a[0], 1e-6)
        ours, theirs = plain.next_state(mine, a), quick.next_state(its, b)


def test_the_model_is_left_as_it_is() -> None:
    network = random_network(network_spec("movinet_t0_stream").with_options(num_classes=3, size=(16, 16)), 0)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    assert isinstance(network, MoViNet)
    deployed = DeployedStep(folded(network), overwrite=True)
    with torch.inference_mode():
        deployed(torch.rand(1, 3, 16, 16), *deployed.init_state())
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    assert all(parameter.requires_grad for parameter in network.parameters())


@pytest.mark.parametrize(
    ("name", "message"),
    [("movinet_a0_base", "base network"), ("movinet_a3_stream", "position_limit=119")],
)
def test_what_has_no_step_is_refused(name: str, message: str) -> None:
    spec = network_spec(name)
    assert isinstance(spec, NetworkSpec)
    with pytest.raises(SpecError, match=message):
        step_signature(spec)
