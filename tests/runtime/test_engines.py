"""Every engine against the network itself, stepped frame by frame in eager PyTorch."""

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from arch.specs import ensemble_specs
from hypothesis import given, settings
from hypothesis import strategies as st
from nn.networks import random_network
from numpy.typing import NDArray
from tiny import tiny_spec

from movinet.arch.spec import EnsembleSpec, NetworkSpec
from movinet.deploy.deployed_state import deployed_state
from movinet.deploy.network import folded_network
from movinet.errors import MissingExtra, MovinetError
from movinet.nn.ensemble import Ensemble
from movinet.nn.movinet import MoViNet
from movinet.runtime.clips import create_clip_engine
from movinet.runtime.engine import Engine, Precision, init_stream_state, step_rows
from movinet.runtime.factory import EngineKind, candidates, create_engine
from movinet.weights.load import load_weights
from movinet.weights.weights import Weights

STREAMS = 3
KINDS: tuple[EngineKind, ...] = ("torch", "litert", "openvino", "onnx")


def network(spec: NetworkSpec) -> MoViNet:
    """With parameters and statistics that do something."""
    model, generator = MoViNet(spec).eval(), torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if name.endswith("running_var"):
                value.copy_(torch.rand(value.shape, generator=generator) + 0.5)
            elif value.is_floating_point():
                value.copy_(torch.randn(value.shape, generator=generator) * 0.5)
    return model


def frames(count: int, seed: int = 0) -> NDArray[np.float32]:
    """(count, STREAMS, H, W, 3)."""
    return np.random.default_rng(seed).random((count, STREAMS, *tiny_spec().size, 3), dtype=np.float32)


def expected(model: MoViNet | Ensemble, video: NDArray[np.float32]) -> NDArray[np.float32]:
    """Logits after every frame (count, streams, classes) of a video (count, streams, H, W, 3)."""
    clips = torch.from_numpy(video).permute(1, 4, 0, 2, 3)
    with torch.inference_mode():
        return model(clips, per_frame=True).permute(1, 0, 2).numpy()


def assert_alike(actual: NDArray[Any], wanted: NDArray[Any]) -> None:
    """The same, up to rounding, on the scale of the logits."""
    assert np.abs(actual - wanted).max() <= 1e-5 * np.abs(wanted).max()


@pytest.fixture(scope="module")
def model() -> MoViNet:
    return network(tiny_spec())


@pytest.fixture(scope="module")
def engines(model: MoViNet) -> Callable[[EngineKind], Engine[Any]]:
    """Engines of three streams, each made once."""
    made: dict[EngineKind, Engine[Any]] = {}

    def get(kind: EngineKind) -> Engine[Any]:
        if kind == "litert":
            pytest.importorskip("ai_edge_litert")
        elif kind == "onnx":
            pytest.importorskip("onnx")
            pytest.importorskip("onnxruntime")
        elif kind == "openvino":
            pytest.importorskip("openvino")
        if kind not in made:
            made[kind] = create_engine(Weights.of(model), kind, streams=STREAMS, threads=1, cache=False)
        return made[kind]

    return get


@pytest.mark.parametrize("kind", KINDS)
def test_it_answers_as_the_network_does(
    kind: EngineKind, model: MoViNet, engines: Callable[[EngineKind], Engine[Any]]
) -> None:
    engine, video = engines(kind), frames(9)
    state = engine.init_state()
    assert_alike(np.stack([step(engine, images, state) for images in video]), expected(model, video))


@pytest.mark.parametrize("kind", KINDS)
def test_images_may_lie_in_memory_in_any_way(
    kind: EngineKind, model: MoViNet, engines: Callable[[EngineKind], Engine[Any]]
) -> None:
    engine, video = engines(kind), frames(5)
    state, apart = engine.init_state(), np.ascontiguousarray(video.transpose(0, 1, 4, 2, 3))
    answers = [step(engine, images.transpose(0, 2, 3, 1), state) for images in apart]
    assert_alike(np.stack(answers), expected(model, video))


@pytest.mark.parametrize("kind", KINDS)
def test_two_batches_of_an_engine_know_nothing_of_each_other(
    kind: EngineKind, model: MoViNet, engines: Callable[[EngineKind], Engine[Any]]
) -> None:
    engine, one, two = engines(kind), frames(5), frames(5, seed=1)
    states = engine.init_state(), engine.init_state()
    answers = [(step(engine, a, states[0]), step(engine, b, states[1])) for a, b in zip(one, two, strict=True)]
    assert_alike(np.stack([a for a, _ in answers]), expected(model, one))
    assert_alike(np.stack([b for _, b in answers]), expected(model, two))


@pytest.mark.parametrize("kind", KINDS)
def test_answers_nobody_asked_for_change_nothing(
    kind: EngineKind, model: MoViNet, engines: Callable[[EngineKind], Engine[Any]]
) -> None:
    engine, video = engines(kind), frames(7)
    state = engine.init_state()
    for images in video[:-1]:
        assert engine.step(images, state, predict=False) is None
    assert_alike(step(engine, video[-1], state), expected(model, video)[-1])


@pytest.mark.parametrize("kind", KINDS)
@given(st.lists(st.sets(st.integers(0, STREAMS - 1), min_size=1), min_size=1, max_size=8))
@settings(max_examples=8, deadline=None)
def test_streams_that_miss_turns_stay_where_they_were(
    kind: EngineKind,
    model: MoViNet,
    engines: Callable[[EngineKind], Engine[Any]],
    turns: list[set[int]],
) -> None:
    engine, video = engines(kind), frames(len(turns))
    state = engine.init_state()
    last: dict[int, NDArray[np.float32]] = {}
    for images, rows in zip(video, turns, strict=True):
        logits = step_rows(engine, images, state, rows)
        assert logits is not None
        last |= {row: logits[row] for row in rows}
    for row, answer in last.items():
        mine = np.stack([images[row] for images, rows in zip(video, turns, strict=True) if row in rows])
        assert_alike(answer, expected(model, mine[:, None])[-1, 0])


@pytest.mark.parametrize("kind", KINDS)
def test_a_stream_moves_to_another_row_and_batch(
    kind: EngineKind, model: MoViNet, engines: Callable[[EngineKind], Engine[Any]]
) -> None:
    engine, video = engines(kind), frames(6)
    before, after = engine.init_state(), engine.init_state()
    for images in video[:4]:
        engine.step(images, before)
        engine.step(images[::-1].copy(), after)
    engine.set_states(after, {2: engine.get_state(before, 0)})
    for images in video[4:]:
        logits = step(engine, np.roll(images, 2, axis=0), after)
    assert_alike(logits[2], expected(model, video)[-1, 0])


@pytest.mark.parametrize("kind", KINDS)
def test_it_goes_on_where_the_network_stopped(
    kind: EngineKind, model: MoViNet, engines: Callable[[EngineKind], Engine[Any]]
) -> None:
    engine, video = engines(kind), frames(6)
    begun = torch.from_numpy(video[:4]).permute(1, 4, 0, 2, 3)
    past = "partial_sums" if any(".sum." in port.name for port in engine.signature.state) else "frames"
    with torch.inference_mode():
        _, plain = model.step(begun)
    held = deployed_state(folded_network(Weights.of(model)), plain, past)
    state = engine.init_state()
    for row in range(STREAMS):
        engine.set_states(state, {row: [array[row] for array in held.values()]})
    answers = np.stack([step(engine, images, state) for images in video[4:]])
    assert_alike(answers, expected(model, video)[4:])


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "precision"), [("openvino", "bfloat16"), ("litert", "float16")])
def test_few_digits_do_not_add_up_over_a_long_stream(kind: EngineKind, precision: Precision) -> None:
    pytest.importorskip({"openvino": "openvino", "litert": "ai_edge_litert"}[kind])
    weights = load_weights("movinet_t0_stream.gestures")
    size = weights.info.transform.size
    exact = create_engine(weights, "torch", size=size)
    rounded = create_engine(weights, kind, size=size, precision=precision, threads=1)
    noise = np.random.default_rng(0).random((40, 1, *size, 3), dtype=np.float32)
    states, errors = (exact.init_state(), rounded.init_state()), []
    for n in range(620):
        # Light that comes and goes: after hundreds of frames, a mean that stands still is a mean that is wrong.
        images = noise[n % 40] * (0.5 + 0.5 * np.sin(n / 97)) + 0.1 * np.sin(n / 301)
        images = images.clip(0, 1).astype(np.float32)
        wanted, answer = step(exact, images, states[0]), step(rounded, images, states[1])
        errors.append(np.abs(answer - wanted).max() / np.abs(wanted).max())
    assert max(errors) < 0.05


@pytest.mark.parametrize("kind", KINDS)
def test_a_fresh_stream_forgets_as_asked(
    kind: EngineKind, model: MoViNet, engines: Callable[[EngineKind], Engine[Any]]
) -> None:
    engine, video = engines(kind), frames(8)
    state = engine.init_state()
    for images in video[:3]:
        engine.step(images, state)
    for row in range(STREAMS):
        engine.set_states(state, {row: init_stream_state(engine.signature, decay=0.7)})
    forgetful = MoViNet(model.spec.with_options(decay=0.7)).eval()
    forgetful.load_state_dict(model.state_dict())
    answers = np.stack([step(engine, images, state) for images in video[3:]])
    assert_alike(answers, expected(forgetful, video[3:]))


@pytest.mark.parametrize("kind", ["torch", "litert"])
@given(ensemble_specs(causal=True, position_limit=3), st.integers(0, 99))
@settings(max_examples=8, deadline=None)
def test_ensembles_run_on_any_engine(kind: EngineKind, spec: EnsembleSpec, seed: int) -> None:
    """Members of any size, rate and offset; streams of different age share the batch."""
    if kind == "litert":
        pytest.importorskip("ai_edge_litert")
    ensemble = random_network(spec, seed)
    engine = create_engine(Weights.of(ensemble), kind, streams=2, threads=1, cache=False)
    video = np.random.default_rng(seed).random((6, 2, *spec.size, 3), dtype=np.float32)
    state, fresh = engine.init_state(), engine.get_state(engine.init_state(), 0)
    answers = [step(engine, images, state) for images in video[:3]]
    engine.set_states(state, {1: fresh})
    answers += [step(engine, images, state) for images in video[3:]]
    wanted = expected(ensemble, video[:, :1])[:, 0]
    scale = np.abs(wanted).max()
    assert np.abs(np.stack(answers)[:, 0] - wanted).max() <= 1e-4 * scale
    late = expected(ensemble, video[3:, 1:])[:, 0]
    assert np.abs(np.stack(answers)[3:, 1] - late).max() <= 1e-4 * max(scale, np.abs(late).max())


@pytest.mark.parametrize(
    ("precision", "device", "kinds"),
    [
        ("float32", "cpu", ("litert", "openvino", "torch")),
        ("bfloat16", "cpu", ("openvino", "torch")),
        ("int8", "cpu", ("litert",)),
        ("float32", "cuda:0", ("torch",)),
    ],
)
def test_auto_begins_with_the_quickest(precision: Any, device: str, kinds: tuple[str, ...]) -> None:
    assert candidates(precision, device) == kinds


def test_auto_goes_on_to_the_next_engine_where_one_cannot_be_imported(
    monkeypatch: pytest.MonkeyPatch, model: MoViNet
) -> None:
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    monkeypatch.setitem(sys.modules, "openvino", None)
    assert create_engine(Weights.of(model)).kind == "torch"
    with pytest.raises(MissingExtra, match="LiteRT is not there"):
        create_engine(Weights.of(model), "litert")
    with pytest.raises(MovinetError, match="LiteRT is not there"):
        create_engine(Weights.of(model), precision="int8")


def test_devices_that_are_not_there_are_named(model: MoViNet) -> None:
    if not torch.cuda.is_available():
        with pytest.raises(MovinetError, match="'cuda' here"):
            create_engine(Weights.of(model), device="cuda")
    with pytest.raises(MovinetError, match="'nonsense' here"):
        create_engine(Weights.of(model), "torch", device="nonsense")


def test_what_an_engine_cannot_do_is_said(model: MoViNet) -> None:
    with pytest.raises(MovinetError, match="there is no engine 'tensorrt'"):
        create_engine(Weights.of(model), "tensorrt")  # type: ignore[arg-type]
    with pytest.raises(MovinetError, match="not in int8"):
        create_engine(Weights.of(model), "torch", precision="int8")
    with pytest.raises(MovinetError, match="runs on the CPU"):
        create_engine(Weights.of(model), "litert", device="cuda")


@pytest.mark.parametrize("kind", ["torch", "openvino", "onnx"])
def test_base_networks_run_whole_clips(kind: EngineKind) -> None:
    pytest.importorskip(kind)
    base = network(tiny_spec(causal=False))
    run = create_clip_engine(Weights.of(base), kind, threads=1)
    for count in (4, 7):
        clips = torch.rand(2, 3, count, *base.spec.size)
        with torch.inference_mode():
            assert_alike(run(clips.numpy()), base(clips).numpy())
    with pytest.raises(MovinetError, match="whole clips"):
        create_clip_engine(Weights.of(base), "litert")


def step(engine: Engine[Any], images: NDArray[np.float32], state: Any) -> NDArray[np.float32]:
    logits = engine.step(images, state)
    assert logits is not None
    return logits
