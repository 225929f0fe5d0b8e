"""The graphs written for OpenVINO and ONNX Runtime answer as the numpy reference, whatever the variant."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest
from arch.specs import network_specs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nn.networks import SEEDS, random_frames, random_network
from numpy.typing import NDArray
from tiny import tiny_spec

from movinet.arch.spec import Activation, Gate, NetworkSpec
from movinet.arch.step import CLIP, DECAY, FEATURES, FRAMES, LOGITS, StateLayout
from movinet.deploy.graph_clip import Clip
from movinet.deploy.graph_step import Step
from movinet.deploy.network import FoldedNetwork, folded_network
from movinet.deploy.onnx_graph import OnnxOperators, onnx_model
from movinet.deploy.openvino_core import openvino_core
from movinet.deploy.openvino_graph import is_variable, openvino_clip, openvino_head, openvino_step
from movinet.deploy.operators import HARD_GATES, activate, gates
from movinet.deploy.reference import reference_clip, reference_step
from movinet.errors import SpecError
from movinet.weights.weights import Weights

Arrays = dict[str, NDArray[Any]]
Run = Callable[[Mapping[str, NDArray[Any]]], Arrays]
Writer = Callable[[Step | Clip, int], Run]


def in_openvino(lowered: Step | Clip, streams: int) -> Run:
    model = openvino_step(lowered, streams) if isinstance(lowered, Step) else openvino_clip(lowered, streams)
    return compiled(model)


def compiled(model: Any) -> Run:

    request = openvino_core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"}).create_infer_request()

    def run(inputs: Mapping[str, NDArray[Any]]) -> Arrays:
        results = request.infer(dict(inputs))
        return {port.get_any_name(): array.copy() for port, array in results.items()}

    return run


def in_onnx_runtime(lowered: Step | Clip, streams: int) -> Run:
    import onnx
    import onnxruntime

    model = onnx_model(lowered, streams)
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [port.name for port in session.get_outputs()]
    return lambda inputs: dict(zip(names, session.run(names, dict(inputs)), strict=True))


@pytest.fixture(params=["openvino", "onnxruntime"])
def write(request: pytest.FixtureRequest) -> Writer:
    pytest.importorskip(request.param)
    return {"openvino": in_openvino, "onnxruntime": in_onnx_runtime}[request.param]


def stream_network(spec: NetworkSpec, seed: int) -> FoldedNetwork:
    if spec.positional_encoding and spec.position_limit is None:
        spec = spec.with_options(position_limit=3)
    return folded_network(Weights.of(random_network(spec, seed)))


def init_state(step: Step, streams: int) -> Arrays:
    state = {port.name: np.zeros((streams, *port.shape), port.dtype) for port in step.signature.state}
    state[DECAY][:] = step.spec.decay
    return state


def followed(run: Run, step: Step, clip: NDArray[np.float32]) -> NDArray[np.float32]:
    """The last output of a video (B, 3, T, H, W) shown to a step, its state handed on as the signature says."""
    state = init_state(step, len(clip))
    for t in range(0, clip.shape[2], step.frames):
        images = clip[:, :, t : t + step.frames].transpose(2, 0, 1, 3, 4).reshape(-1, 3, *clip.shape[3:])
        outputs = run({FRAMES: images, **state})
        assert list(outputs) == [port.name for port in step.signature.outputs]
        known = state | outputs
        state = {name: known[source] for name, source in step.signature.next_state.items()}
    return outputs[step.signature.outputs[0].name]


def assert_alike(actual: NDArray[Any], wanted: NDArray[Any]) -> None:
    """Within 1e-4 of the largest, which is never next to nothing here but by chance."""
    assert actual.shape == wanted.shape
    assert np.abs(actual - wanted).max() <= 1e-4 * max(float(np.abs(wanted).max()), 1e-2)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    spec=network_specs(causal=True),
    seed=SEEDS,
    past=st.sampled_from(get_args(StateLayout)),
    streams=st.integers(1, 3),
    frames=st.integers(1, 3),
)
def test_steps_answer_as_the_reference(
    write: Writer, spec: NetworkSpec, seed: int, past: StateLayout, streams: int, frames: int
) -> None:
    network = stream_network(spec, seed)
    step = Step(network, past, frames)
    clip = random_frames(streams, 4 * frames, spec.size, seed).numpy()
    expected, _ = reference_step(network, clip)
    assert_alike(followed(write(step, streams), step, clip), expected)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(spec=network_specs(causal=False), seed=SEEDS, streams=st.integers(1, 2), frames=st.integers(1, 7))
def test_clips_answer_as_the_reference(write: Writer, spec: NetworkSpec, seed: int, streams: int, frames: int) -> None:
    network = folded_network(Weights.of(random_network(spec, seed)))
    clip = random_frames(streams, frames, spec.size, seed).numpy()
    (logits,) = write(Clip(network, frames), streams)({CLIP: clip}).values()
    assert_alike(logits, reference_clip(network, clip))


@settings(max_examples=8)
@given(
    spec=network_specs(causal=True),
    seed=SEEDS,
    past=st.sampled_from(get_args(StateLayout)),
    streams=st.integers(1, 2),
    frames=st.integers(1, 2),
    rounded=st.booleans(),
)
def test_openvino_keeps_the_past_to_itself(
    spec: NetworkSpec, seed: int, past: StateLayout, streams: int, frames: int, rounded: bool
) -> None:
    pytest.importorskip("openvino")
    network = stream_network(spec, seed)
    step = Step(network, past, frames, predict=False)
    graph = openvino_step(step, streams, channels_last=True, stateful=True, rounded=rounded)
    wanted = {port.name for port in step.signature.inputs if not is_variable(port.name)}
    assert {port.get_any_name() for port in graph.inputs} == wanted
    run, head = compiled(graph), compiled(openvino_head(network, streams))
    clip = random_frames(streams, 4, spec.size, seed).numpy()
    state = {name: array for name, array in init_state(step, streams).items() if name in wanted}
    for t in range(0, 4, frames):
        images = clip[:, :, t : t + frames].transpose(2, 0, 3, 4, 1).reshape(-1, *spec.size, 3)
        outputs = run({FRAMES: images, **state})
        known = state | outputs
        state = {name: known[source] for name, source in step.signature.next_state.items() if name in wanted}
    logits = head({FEATURES: outputs[FEATURES]})[LOGITS]
    expected, _ = reference_step(network, clip)
    assert_alike(logits, expected)


@pytest.mark.parametrize("which", range(4))
def test_every_activation_and_gate_is_the_references(write: Writer, which: int) -> None:
    activation, gate = get_args(Activation)[which], get_args(Gate)[which]
    spec = tiny_spec().with_options(activation=activation, head_activation=activation, gate=gate)
    step = Step(stream_network(spec, which))
    clip = random_frames(2, 3, spec.size, 1).numpy()
    assert_alike(followed(write(step, 2), step, clip), reference_step(step.network, clip)[0])


def test_none_is_left_out() -> None:
    assert len(get_args(Activation)) == len(get_args(Gate)) == 4  # or the test above sees too few
    assert {*HARD_GATES, "sigmoid"} == set(get_args(Gate))


def test_what_no_graph_can_be_made_of_is_said() -> None:
    pytest.importorskip("onnx")
    network = stream_network(tiny_spec(), 0)
    excitation = network.layers[0].excitation
    assert excitation is not None
    with pytest.raises(SpecError, match="activation 'gelu'"):
        activate(OnnxOperators(), "x", "gelu")  # type: ignore[arg-type]
    with pytest.raises(SpecError, match="gate 'softsign'"):
        gates(OnnxOperators(), "x", replace(excitation, gate="softsign"))  # type: ignore[arg-type]
    with pytest.raises(SpecError, match="deploy its step"):
        Clip(network, 4)
    with pytest.raises(SpecError, match="has no step"):
        Step(folded_network(Weights.of(random_network(tiny_spec(causal=False), 0))))
    with pytest.raises(SpecError, match="one frame or more"):
        Step(network, frames=0)
    with pytest.raises(SpecError, match="past as 'ring'"):
        Step(network, "ring")  # type: ignore[arg-type]
