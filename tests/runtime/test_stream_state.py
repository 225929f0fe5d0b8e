"""Streams that go on later, or in a pool after having begun without one."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from engines import TestEngine, pictures, tiny_model
from test_pool import INFO, answer_of, assert_same, pool_of
from tiny import tiny_spec

from movinet import MovinetError
from movinet.arch.zoo import temporal_ensemble
from movinet.nn.torch_engine import TorchEngine
from movinet.runtime.factory import create_engine
from movinet.runtime.pool import StreamPool
from movinet.runtime.stream_state import SavedStream, saved_streams
from movinet.weights.weights import Weights


@pytest.mark.parametrize("make", [TestEngine, lambda: create_engine(Weights.of(tiny_model()), "litert")])
def test_a_saved_stream_goes_on_as_if_nothing_had_happened(make: Callable[[], Any]) -> None:
    frames = pictures(6)
    with pool_of(make()) as pool, pool.join(memory=1.0) as stream:
        for frame in frames[:3]:
            answer_of(stream.submit(frame))
        saved = stream.snapshot()
        expected = [answer_of(stream.submit(frame)) for frame in frames[3:]]
    with pool_of(make()) as pool, pool.join(saved=saved) as stream:
        for frame, answer in zip(frames[3:], expected, strict=True):
            assert_same(answer_of(stream.submit(frame)), answer)
        stream.reset()
        again = [answer_of(stream.submit(frame)) for frame in frames[:3]]
    with pool_of(make()) as pool, pool.join(memory=1.0) as stream:
        for frame, answer in zip(frames[:3], again, strict=True):
            assert_same(answer_of(stream.submit(frame)), answer)


def test_a_stream_that_has_seen_nothing_can_be_saved() -> None:
    with pool_of() as pool:
        saved = pool.join(memory=1.0).snapshot()
        assert saved.frames == 0
        assert answer_of(pool.join(saved=saved).submit(pictures(1)[0])).frames == 1


@pytest.mark.parametrize("make", [TestEngine, lambda: create_engine(Weights.of(tiny_model()), "litert")])
def test_a_plain_state_is_handed_over(make: Callable[[], Any]) -> None:
    frames, engine, model = pictures(6), make(), tiny_model()
    clip = torch.from_numpy(np.stack(frames)).permute(3, 0, 1, 2)[None] / 255
    with torch.inference_mode():
        _, state = model.step(torch.cat([clip, clip.flip(2)])[:, :, :4])
        expected, _ = model.step(clip[:, :, 4:], {key: value[:1] for key, value in state.items()})
    saved = saved_streams(Weights.of(model), state, engine)
    assert [stream.frames for stream in saved] == [4, 4]
    with pool_of(engine) as pool, pool.join(saved=saved[0]) as stream:
        answer_of(stream.submit(frames[4]))
        answer = answer_of(stream.submit(frames[5]))
    assert answer.frames == 6
    np.testing.assert_allclose(answer.probabilities, expected.softmax(-1)[0].numpy(), atol=1e-5)


def test_states_of_other_networks_are_refused() -> None:
    other = TorchEngine(Weights.of(tiny_model()), size=(32, 32))
    with pool_of() as pool, pytest.raises(MovinetError, match=r"not one of tiny_stream\.test"):
        pool.join(saved=SavedStream(1, other.get_state(other.init_state(), 0)))
    with pytest.raises(MovinetError, match="of the engine's size"):
        saved_streams(Weights.of(tiny_model()), tiny_model().init_state(1, (24, 32)), other)
    with pytest.raises(MovinetError, match="no state of pair"):
        saved_streams(Weights.untrained(temporal_ensemble("pair", tiny_spec(), tiny_spec())), {}, other)
    with pytest.raises(MovinetError, match="32, 32"):
        StreamPool(Weights.of(tiny_model(), INFO), other, max_streams=1)
