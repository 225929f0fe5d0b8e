"""Streams of any age join, part and begin anew without touching each other."""

import math

import pytest
import torch
from arch.specs import SIZES, ensemble_specs, network_specs
from hypothesis import given, settings
from hypothesis import strategies as st
from nn.networks import (
    SEEDS,
    assert_identical,
    assert_same,
    assert_same_state,
    random_frames,
    random_network,
    with_decays,
)

from movinet.arch.spec import NetworkSpec, Spec
from movinet.arch.step import DECAY, FRAME_COUNT, decay_from_seconds
from movinet.arch.zoo import network_spec
from movinet.nn.ensemble import Ensemble, build
from movinet.nn.movinet import MoViNet
from movinet.nn.state import (
    State,
    batch_size,
    detach_state,
    join_states,
    reset_streams,
    select_streams,
    set_decay,
    split_state,
)

STREAM_SPECS = network_specs(causal=True) | ensemble_specs(causal=True)
AGES = st.lists(st.integers(0, 6), min_size=1, max_size=4)
GAMMAS = st.sampled_from([1.0, 1e-6, 0.9])


def streams_of_ages(
    network: MoViNet | Ensemble, ages: list[int], size: tuple[int, int], seed: int, gamma: float
) -> list[State]:
    """One state for every age; each stream has its own past and its own γ."""
    states = []
    for stream, age in enumerate(ages):
        state = with_decays(network.init_state(size=size), [gamma ** (stream + 1)])
        states.append(network.step(random_frames(1, age, size, seed + stream), state)[1])
    return states


@given(STREAM_SPECS, AGES, st.integers(0, 4), SIZES, GAMMAS, SEEDS)
@settings(max_examples=40, deadline=None)
@torch.inference_mode()
def test_a_batch_of_streams_equals_each_alone(
    spec: Spec, ages: list[int], frames: int, size: tuple[int, int], gamma: float, seed: int
) -> None:
    network = random_network(spec, seed)
    states = streams_of_ages(network, ages, size, seed, gamma)
    clip = random_frames(len(ages), frames, size, seed - 1)
    alone = [network.step(clip[i : i + 1], state, per_frame=True) for i, state in enumerate(states)]
    logits, together = network.step(clip, join_states(states), per_frame=True)
    assert batch_size(together) == len(ages)
    assert together[FRAME_COUNT].tolist() == [age + frames for age in ages]
    for i, (part, (expected, after)) in enumerate(zip(split_state(together), alone, strict=True)):
        assert_same(logits[i : i + 1], expected)
        assert_same_state(part, after)


@given(STREAM_SPECS, AGES, st.data(), GAMMAS, SEEDS)
@settings(max_examples=30, deadline=None)
@torch.inference_mode()
def test_join_split_select_and_reset(spec: Spec, ages: list[int], data: st.DataObject, gamma: float, seed: int) -> None:
    size, network = (9, 6), random_network(spec, seed)
    states = streams_of_ages(network, ages, size, seed, gamma)
    joined = join_states(states)
    everything = data.draw(st.permutations(range(len(ages))))
    chosen = everything[: data.draw(st.integers(0, len(ages)))]
    mask = torch.tensor([stream in chosen for stream in range(len(ages))])

    for stream, part in enumerate(split_state(joined)):
        for key, value in states[stream].items():
            assert_identical(part[key], value)
    for key, value in join_states([select_streams(joined, [stream]) for stream in everything]).items():
        assert_identical(value, select_streams(joined, torch.tensor(everything))[key])
        assert_identical(value, joined[key][everything])
    for key, value in select_streams(joined, mask).items():
        assert_identical(value, joined[key][sorted(chosen)])

    fresh = network.init_state(size=size)
    reset = reset_streams(joined, chosen)
    for key, value in reset_streams(joined, mask).items():
        assert_identical(value, reset[key])
        assert_identical(value[~mask], joined[key][~mask])
        for stream in chosen:
            setting = key.endswith(DECAY)
            assert_identical(value[stream], joined[key][stream] if setting else fresh[key][0])
    # A reset stream answers as a new one does, the others as if nothing had happened.
    clip = random_frames(len(ages), 3, size, seed)
    after, before = network.step(clip, reset)[0], network.step(clip, joined)[0]
    # An ensemble lets other streams step together after the reset, which may round differently.
    (assert_identical if isinstance(spec, NetworkSpec) else assert_same)(after[~mask], before[~mask])
    new = with_decays(network.init_state(len(ages), size), [gamma ** (i + 1) for i in range(len(ages))])
    assert_same(after[mask], network.step(clip, new)[0][mask])


@pytest.mark.parametrize("convolution", ["3d", "2plus1d"])
@torch.inference_mode()
def test_buffers_stay_channels_last(convolution: str) -> None:
    spec = network_spec("movinet_t0_stream").with_options(convolution=convolution, squeeze_excitation="cumulative")
    network = build(spec).eval()
    for frames in (0, 1, 6):
        _, state = network.step(torch.rand(3, 3, frames, 64, 64))
        for same in (state, reset_streams(state, [1]), select_streams(state, [2, 0]), join_states(split_state(state))):
            buffers = [value for key, value in same.items() if key.endswith("buffer")]
            assert len(buffers) == 8
            assert {buffer.stride(1) for buffer in buffers} == {1}


def test_no_streams_at_all() -> None:
    for spec in (network_spec("movinet_t0_stream"), network_spec("movinet_a6_stream").with_options(blocks=TINY)):
        network = build(spec).eval()
        empty = select_streams(network.init_state(2, (16, 16)), [])
        logits, after = network.step(torch.rand(0, 3, 2, 16, 16), empty)
        assert logits.shape == (0, 600)
        assert batch_size(reset_streams(after, [])) == 0
        assert split_state(after) == []


TINY = network_spec("movinet_t0_stream").blocks[:1]


def test_wrong_streams_are_refused() -> None:
    network = build(network_spec("movinet_t0_stream"))
    state = network.init_state(3, (16, 16))
    for change in (select_streams, reset_streams):
        for streams in ([3], [-1]):
            with pytest.raises(ValueError, match="there are streams 0 to 2"):
                change(state, streams)
        with pytest.raises(ValueError, match="the mask has shape"):
            change(state, torch.tensor([True, False]))
    with pytest.raises(ValueError, match="no states"):
        join_states([])
    other = {key: value for key, value in state.items() if key != "head.pool"}
    for states in ([state, other], [other, state], [state, network.init_state(1, (33, 16))]):
        with pytest.raises(ValueError, match="different networks or frame sizes"):
            join_states(states)


def test_set_decay() -> None:
    network = build(network_spec("movinet_a6_stream").with_options(blocks=TINY))
    state = network.init_state(2, (16, 16))
    for decay in (0.25, torch.tensor([0.5, 1.0])):
        changed = set_decay(state, decay)
        for key, value in changed.items():
            expected = torch.as_tensor(decay).expand(2) if key.endswith(DECAY) else state[key]
            assert_identical(value, expected)
    assert state["members.0.decay"].tolist() == [1, 1]
    for wrong in (0.0, -1.0, 1.01, float("nan"), torch.tensor([0.5, 0.0])):
        with pytest.raises(ValueError, match=r"a decay lies in \(0, 1\]"):
            set_decay(state, wrong)


def test_decay_from_seconds() -> None:
    gamma = decay_from_seconds(seconds=4, fps=5)
    assert gamma**20 == pytest.approx(1 / math.e)
    for seconds, fps in [(0, 5), (1, 0), (-1, 5)]:
        with pytest.raises(ValueError, match="positive"):
            decay_from_seconds(seconds, fps)


def test_detach_state() -> None:
    network = random_network(network_spec("movinet_t0_stream"), 0)
    _, state = network.step(torch.rand(1, 3, 2, 16, 16))
    assert state["head.pool"].requires_grad
    detached = detach_state(state)
    assert not any(value.requires_grad for value in detached.values())
    for key, value in state.items():
        assert_identical(detached[key], value)
