"""How long a live stream remembers, where nobody says it, and that it is what a pool's streams then do."""

import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from engines import TestEngine, pictures, tiny_model
from tiny import tiny_spec

from movinet.arch.spec import NetworkSpec
from movinet.arch.step import decay_from_seconds
from movinet.cli.recognizing import load_recognizer
from movinet.nn.movinet import MoViNet
from movinet.recognizer import Recognizer
from movinet.runtime.engine import live_memory
from movinet.runtime.pool import StreamPool
from movinet.video.transform import Transform
from movinet.weights.info import WeightsInfo
from movinet.weights.operating_point import OperatingPoint
from movinet.weights.weights import Weights

INFO = WeightsInfo("tiny_stream.test", tiny_spec(), Transform((24, 32), 24, 5.0), ("left", "right", "other"))
TRAINED = replace(INFO, spec=replace(tiny_spec(), decay=decay_from_seconds(3.0, 5.0)))


def chosen(info: WeightsInfo, memory: float | None) -> WeightsInfo:
    return replace(info, operating_point=OperatingPoint(0.5, 0.3, memory=memory))


def weights_of(info: WeightsInfo) -> Weights:
    assert isinstance(info.spec, NetworkSpec)
    model = MoViNet(info.spec).eval()
    model.load_state_dict(tiny_model().state_dict())
    return Weights.of(model, info)


@pytest.mark.parametrize(
    ("info", "seconds"),
    [
        (INFO, 4.0),  # of its clips: 20 frames, 5 a second
        (TRAINED, 3.0),
        (chosen(TRAINED, 1.5), 1.5),
        (chosen(TRAINED, None), math.inf),  # thresholds that were chosen for streams that never forget
    ],
)
def test_thresholds_come_before_training_and_training_before_clips(info: WeightsInfo, seconds: float) -> None:
    with StreamPool(weights_of(info), TestEngine(), max_streams=1) as pool:
        assert pool.memory == seconds  # as it is shown: no 2.9999999999999987


@pytest.mark.parametrize(("wanted", "seconds"), [(0.5, 0.5), (0.0, math.inf), (None, 1.5)])
def test_who_asks_is_given_that(wanted: float | None, seconds: float) -> None:
    assert live_memory(TestEngine(), chosen(INFO, 1.5), wanted) == seconds


def test_what_never_forgets_has_none_and_may_be_told_so() -> None:
    engine: Any = SimpleNamespace(signature=SimpleNamespace(state=()))  # without a γ
    assert live_memory(engine, chosen(INFO, 1.5)) is None
    assert live_memory(engine, INFO, 0.0) is None
    assert live_memory(engine, INFO, 2.0) == 2.0  # and whoever joins with it is refused


@pytest.mark.parametrize("info", [INFO, TRAINED, chosen(INFO, 0.4), chosen(TRAINED, None)])
def test_streams_that_join_with_it_answer_as_networks_of_that_decay(info: WeightsInfo) -> None:
    frames = pictures(12)
    with StreamPool(weights_of(info), TestEngine(), max_streams=1) as pool:
        memory = pool.memory
        assert memory is not None
        with pool.join(memory=memory) as stream:
            given = [stream.push(frame) for frame in frames]
    spec = replace(tiny_spec(), decay=math.exp(-1 / (5.0 * memory)))
    alone = Recognizer(weights_of(replace(INFO, spec=spec)), engine="torch")
    for one, frame in zip(given, frames, strict=True):
        other = alone.push(frame)
        assert one is not None
        assert other is not None
        np.testing.assert_allclose(one.probabilities, other.probabilities, atol=1e-5)


def test_zero_on_the_command_line_never_forgets() -> None:
    """Whatever the network was trained with: the bundled one forgets by itself."""
    options = (None, True, "auto", "float32", "cpu", 1)
    never = load_recognizer("movinet_t0_stream.gestures", *options, memory=0.0)
    own = load_recognizer("movinet_t0_stream.gestures", *options, memory=None)
    assert (never.memory, own.memory) == (math.inf, None)
