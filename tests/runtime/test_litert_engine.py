"""The LiteRT engine steps streams like the network itself."""

import gc
import sys
import weakref
from typing import Any

import numpy as np
import pytest
import torch
from arch.specs import network_specs
from hypothesis import given, settings
from hypothesis import strategies as st
from nn.networks import SEEDS, random_frames, random_network
from numpy.typing import NDArray
from tiny import tiny_spec

import movinet.recognizer
import movinet.runtime.pool
from movinet import Recognizer, StreamPool
from movinet.arch.layer_spec import BlockSpec, LayerSpec
from movinet.arch.spec import NetworkSpec
from movinet.errors import MovinetError
from movinet.nn.movinet import MoViNet
from movinet.nn.torch_engine import TorchEngine
from movinet.runtime.engine import Precision, init_stream_state
from movinet.runtime.litert_engine import LiteRTEngine, lowered
from movinet.weights.weights import Weights

pytest.importorskip("ai_edge_litert", reason="LiteRT is not installed")


def network_of(spec: NetworkSpec, seed: int) -> MoViNet:
    if spec.positional_encoding and spec.position_limit is None:
        spec = spec.with_options(position_limit=3)
    network = random_network(spec, seed)
    assert isinstance(network, MoViNet)
    return network


def engine_of(network: MoViNet, streams: int = 1, precision: Precision = "float32") -> LiteRTEngine:
    return LiteRTEngine(
        lowered(Weights.of(network), streams=streams, precision=precision, keep=False), precision, threads=1
    )


def images(streams: int, count: int, size: tuple[int, int], seed: int) -> NDArray[np.float32]:
    """(count, streams, H, W, 3)."""
    frames: NDArray[np.float32] = random_frames(streams, count, size, seed).permute(2, 0, 3, 4, 1).contiguous().numpy()
    return frames


def assert_near(actual: Any, expected: Any, tolerance: float = 1e-4) -> None:
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * max(np.abs(expected).max(), 1e-3))


@settings(max_examples=12)
@given(
    spec=network_specs(causal=True), seed=SEEDS, streams=st.integers(1, 3), asked=st.lists(st.booleans(), min_size=9)
)
def test_answers_like_the_network_whether_asked_or_not(
    spec: NetworkSpec, seed: int, streams: int, asked: list[bool]
) -> None:
    network = network_of(spec, seed)
    engine = engine_of(network, streams)
    ours, theirs = engine.init_state(), None
    for frames, predict in zip(images(streams, len(asked), spec.size, seed), asked, strict=True):
        made = engine.step(frames, ours, predict)
        with torch.inference_mode():
            expected, theirs = network.step(torch.from_numpy(frames).permute(0, 3, 1, 2)[:, :, None], theirs)
        assert (made is None) != predict
        if made is not None:
            assert_near(made, expected.numpy())


def test_streams_change_rows_and_engines() -> None:
    network = network_of(tiny_spec(), 0)
    engine, other = engine_of(network, 2), TorchEngine(Weights.of(network))
    state = engine.init_state()
    frames = images(2, 8, network.spec.size, 0)
    for t in range(5):
        engine.step(frames[t], state)
    first, second = engine.get_state(state, 0), engine.get_state(state, 1)
    expected = engine.step(frames[5], state)
    assert expected is not None
    engine.set_states(state, {0: second})
    engine.set_states(state, {1: first})
    for put, taken in zip(first, engine.get_state(state, 1), strict=True):
        np.testing.assert_array_equal(taken, put)
    made = engine.step(frames[5, ::-1], state)
    assert made is not None
    np.testing.assert_array_equal(made, expected[::-1])

    engine.set_states(state, {0: init_stream_state(engine.signature, network.spec.decay)})
    alone = other.init_state()
    for t in range(6, 8):
        made, expected = engine.step(frames[t], state), other.step(frames[t, :1], alone)
        assert made is not None
        assert_near(made[:1], expected)


@pytest.mark.parametrize(("precision", "tolerance"), [("float16", 0.03), ("int8", 0.3)])
@settings(max_examples=8)
@given(seed=SEEDS)
def test_coarser_numbers_stay_near(precision: Precision, tolerance: float, seed: int) -> None:
    # With positions, whose table is looked up in float32, and layers with so many weights that they become int8.
    layer = LayerSpec(expansion=64, kernel=(3, 3, 3))
    blocks = (BlockSpec(32, (layer, layer), stride=2), BlockSpec(32, (layer,), stride=2))
    spec = tiny_spec().with_options(blocks=blocks, hidden=64, project=64, positional_encoding=True, position_limit=5)
    network = network_of(spec, seed)
    exact, coarse = (engine_of(network, 2, p) for p in ("float32", precision))
    ours, theirs = coarse.init_state(), exact.init_state()
    errors, sizes = [], []
    for frames in images(2, 20, spec.size, seed):
        made, expected = coarse.step(frames, ours), exact.step(frames, theirs)
        assert made is not None
        assert expected is not None
        assert made.dtype == np.float32
        errors.append(np.square(made - expected).mean())
        sizes.append(np.square(expected).mean())
    assert 0 < np.sqrt(np.mean(errors)) <= tolerance * np.sqrt(np.mean(sizes))
    for port, array in zip(coarse.signature.state, coarse.get_state(ours, 0), strict=True):
        assert array.dtype == port.dtype


def test_answers_are_the_callers_own() -> None:
    network = network_of(tiny_spec(), 0)
    engine = engine_of(network)
    state = engine.init_state()
    first, second = images(1, 2, network.spec.size, 0)
    kept = engine.step(first, state)
    assert kept is not None
    copy = kept.copy()
    engine.step(second, state)
    np.testing.assert_array_equal(kept, copy)


def test_other_frames_are_refused() -> None:
    engine = engine_of(network_of(tiny_spec(), 0))
    frames, state = images(1, 1, (24, 32), 0)[0], engine.init_state()
    for wrong in (frames.astype(np.float64), frames.astype(np.uint8), frames[:, :20], frames.transpose(0, 3, 1, 2)):
        with pytest.raises(ValueError, match=r"float32 \(1, 24, 32, 3\)"):
            engine.step(wrong, state)


def test_other_precisions_are_refused() -> None:
    with pytest.raises(MovinetError, match="bfloat16"):
        engine_of(network_of(tiny_spec(), 0), precision="bfloat16")


def test_without_litert_the_message_says_where_it_is_to_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    with pytest.raises(MovinetError, match="LiteRT is not there"):
        engine_of(network_of(tiny_spec(), 0))


def test_who_runs_weights_by_an_engine_of_its_own_gives_up_their_arrays(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are as large as the engine's copies; only what a saved stream is compared with remains."""
    kept: list[weakref.ref[Weights]] = []

    def opened(*args: Any, **options: Any) -> Weights:
        weights = Weights.untrained(tiny_spec())
        kept.append(weakref.ref(weights))
        return weights

    for module in (movinet.recognizer, movinet.runtime.pool):
        monkeypatch.setattr(module, "open_network", opened)
    recognizer = Recognizer.load("any", engine="litert")
    with StreamPool.load("any", max_streams=1, engine="litert") as pool:
        gc.collect()
        assert [ref() for ref in kept] == [None, None]
        assert recognizer.network.hash == pool.network.hash == Weights.untrained(tiny_spec()).hash


def test_a_batch_that_is_overwritten_is_not_read_first(monkeypatch: pytest.MonkeyPatch) -> None:
    from ai_edge_litert.tensor_buffer import TensorBuffer

    engine = engine_of(network_of(tiny_spec(), 0), 2)
    state, frames = engine.init_state(), images(2, 2, engine.signature.inputs[0].shape[1:], 0)
    engine.step(frames[0], state)
    kept = [engine.get_state(state, row) for row in range(2)]
    expected = engine.step(frames[1], state)
    with monkeypatch.context() as patch:
        patch.delattr(TensorBuffer, "read")
        engine.set_states(state, dict(enumerate(kept)))
    np.testing.assert_array_equal(engine.step(frames[1], state), expected)
