"""A TFLite file answers as the step it was written from."""

import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from arch.specs import network_specs
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from nn.networks import SEEDS, folded, random_frames, random_network
from numpy.typing import NDArray
from tiny import tiny_spec

from movinet.arch.spec import NetworkSpec
from movinet.arch.step import DECAY, FEATURES, FRAMES, LOGITS, StateLayout, step_signature
from movinet.deploy.graph_step import Step
from movinet.deploy.litert import to_litert
from movinet.deploy.litert_graph import Arithmetic, WeightType, _rounded
from movinet.deploy.litert_tensors import HEAD, STEP, file_shape
from movinet.deploy.network import FoldedNetwork
from movinet.nn.movinet import MoViNet

interpreter = pytest.importorskip("ai_edge_litert.interpreter", reason="LiteRT is not installed")

Arrays = dict[str, NDArray[Any]]
NUMBERS: tuple[tuple[WeightType, Arithmetic], ...] = (
    ("float32", "float32"),
    ("float16", "float32"),
    ("float16", "float16"),
    ("int8", "float32"),
)
PASTS = st.sampled_from(get_args(StateLayout))


def runner(file: bytes, signature: str = STEP) -> Any:
    return interpreter.Interpreter(model_content=file, num_threads=1).get_signature_runner(signature)


def state_of_file(network: FoldedNetwork, streams: int, past: StateLayout = "frames") -> Arrays:
    signature = step_signature(network.spec, network.size, past)
    state = {port.name: np.zeros(file_shape(port, streams), port.dtype) for port in signature.state}
    return state | {DECAY: np.full_like(state[DECAY], network.spec.decay)}


def channels_last(frames: torch.Tensor) -> NDArray[np.float32]:
    return frames.permute(0, 2, 3, 1).contiguous().numpy()


def random_step(spec: NetworkSpec, seed: int) -> tuple[MoViNet, FoldedNetwork]:
    if spec.positional_encoding and spec.position_limit is None:
        spec = spec.with_options(position_limit=3)
    network = random_network(spec, seed)
    assert isinstance(network, MoViNet)
    return network, folded(network)


@settings(max_examples=40)
@given(spec=network_specs(causal=True), seed=SEEDS, past=PASTS, streams=st.integers(1, 3), frames=st.integers(1, 3))
def test_every_variant_answers_like_the_network_over_20_frames(
    spec: NetworkSpec, seed: int, past: StateLayout, streams: int, frames: int
) -> None:
    network, arrays = random_step(spec, seed)
    run = runner(to_litert(Step(arrays, past, frames), streams))
    state, signature = state_of_file(arrays, streams, past), step_signature(arrays.spec, None, past, frames)
    clip = random_frames(streams, 20 // frames * frames, spec.size, seed)
    theirs = None
    for t in range(0, clip.shape[2], frames):
        chunk = clip[:, :, t : t + frames]
        images = chunk.permute(2, 0, 1, 3, 4).flatten(0, 1)  # time before stream
        outputs = run(**{FRAMES: channels_last(images)}, **state)
        known = state | outputs
        state = {name: known[source] for name, source in signature.next_state.items()}
        with torch.inference_mode():
            logits, theirs = network.step(chunk, theirs)
        scale = max(logits.abs().max().item(), 1e-3)
        np.testing.assert_allclose(outputs[LOGITS], logits.numpy(), rtol=0, atol=1e-4 * scale)


@settings(max_examples=5)
@given(spec=network_specs(causal=True), seed=SEEDS, streams=st.integers(1, 3))
def test_the_head_can_be_asked_apart(spec: NetworkSpec, seed: int, streams: int) -> None:
    _, network = random_step(spec, seed)
    file = to_litert(Step(network, "frames", predict=False), streams)
    inputs = {FRAMES: channels_last(random_frames(streams, 1, network.spec.size, seed)[:, :, 0])}
    inputs |= state_of_file(network, streams)
    features = runner(file)(**inputs)[FEATURES]
    logits = runner(file, HEAD)(features=features)[LOGITS]
    expected = runner(to_litert(Step(network, "frames"), streams))(**inputs)[LOGITS]
    np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-5)


def test_tensors_are_those_of_the_signature() -> None:
    _, network = random_step(tiny_spec(), 0)
    run, signature = runner(to_litert(Step(network, "frames"), streams=2)), step_signature(network.spec, past="frames")
    inputs, outputs = run.get_input_details(), run.get_output_details()
    assert {name: tuple(tensor["shape"]) for name, tensor in inputs.items()} == {
        port.name: file_shape(port, 2) for port in signature.inputs
    }
    assert {name: tuple(tensor["shape"]) for name, tensor in outputs.items()} == {
        port.name: file_shape(port, 2) for port in signature.outputs
    }
    assert all(
        tensor["dtype"] == np.dtype(port.dtype)
        for port, tensor in ((port, inputs[port.name]) for port in signature.inputs)
    )


@pytest.mark.parametrize("past", get_args(StateLayout))
@pytest.mark.parametrize("numbers", NUMBERS)
def test_xnnpack_takes_all_but_the_counting_in_one_piece(
    past: StateLayout, numbers: tuple[WeightType, Arithmetic]
) -> None:
    _, network = random_step(tiny_spec().with_options(positional_encoding=True), 0)
    loaded = interpreter.Interpreter(
        model_content=to_litert(Step(network, past), weights=numbers[0], arithmetic=numbers[1])
    )
    loaded.allocate_tensors()
    kinds = [operator["op_name"] for operator in loaded._get_ops_details()]  # those it took are listed all the same
    assert kinds.count("DELEGATE") == 1


@pytest.mark.parametrize(("weights", "tolerance"), [("float32", 1e-4), ("float16", 0.01), ("int8", 0.1)])
def test_files_need_no_xnnpack(weights: WeightType, tolerance: float) -> None:
    network, arrays = random_step(tiny_spec().with_options(positional_encoding=True), 0)
    loaded = interpreter.Interpreter(
        model_content=to_litert(Step(arrays, "frames"), weights=weights),
        experimental_op_resolver_type=interpreter.OpResolverType.BUILTIN_REF,
    )
    frames = random_frames(1, 1, arrays.spec.size, 0)
    images = {FRAMES: channels_last(frames[:, :, 0])}
    logits = loaded.get_signature_runner(STEP)(**images, **state_of_file(arrays, 1))[LOGITS]
    with torch.inference_mode():
        expected = network(frames).numpy()
    np.testing.assert_allclose(logits, expected, rtol=0, atol=tolerance * np.abs(expected).max())


def test_coarser_weights_make_smaller_files() -> None:
    _, network = random_step(tiny_spec().with_options(hidden=1024, num_classes=600), 0)
    sizes = [len(to_litert(Step(network, "frames"), weights=weights)) for weights in get_args(WeightType)]
    assert sizes[1] < 0.55 * sizes[0]
    assert sizes[2] < 0.30 * sizes[0]


@given(arrays(np.float32, st.tuples(st.integers(1, 4), st.integers(1, 30)), elements=st.floats(-126, 126, width=32)))
def test_rounding_keeps_sums(rows: NDArray[np.float32]) -> None:
    rounded = _rounded(rows)
    assert (rounded == np.round(rounded)).all()
    assert np.abs(rounded - rows).max() <= 1
    np.testing.assert_allclose(rounded.sum(1), rows.sum(1), rtol=0, atol=0.51)


def test_running_a_file_says_nothing(tmp_path: Path) -> None:
    _, network = random_step(tiny_spec(), 0)
    (tmp_path / "model.tflite").write_bytes(to_litert(Step(network, "frames")))
    code = f"""
from pathlib import Path
from movinet.deploy.run_file import run_litert
run_litert(Path({str(tmp_path)!r}) / "model.tflite")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == done.stderr == ""
