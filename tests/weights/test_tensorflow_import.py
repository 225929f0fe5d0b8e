"""The golden checkpoints of the official code, and properties; all its networks are in tests/reference."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from movinet.arch.layer_spec import BlockSpec, LayerSpec
from movinet.arch.spec import NetworkSpec
from movinet.arch.zoo import network_names, network_spec
from movinet.errors import WeightsError
from movinet.weights.load import load_weights
from movinet.weights.tensorflow import (
    Form,
    Variable,
    find_form,
    find_network,
    from_tensorflow,
    tensorflow_variables,
    to_tensorflow,
)
from movinet.weights.tf_objects import find_objects
from movinet.weights.weights import check_fit

NETWORKS = [name for name in network_names() if isinstance(network_spec(name), NetworkSpec)]


@torch.inference_mode()
def test_golden_base(shared: Path) -> None:
    model = load_weights(shared / "golden" / "a0_base_ckpt").to_model()
    golden = np.load(shared / "golden" / "a0_base.npz")
    logits = model(torch.from_numpy(golden["input"]).permute(0, 4, 1, 2, 3))
    assert np.abs(logits.numpy() - golden["logits"]).max() < 2e-4  # of up to 41


@torch.inference_mode()
def test_golden_stream(shared: Path) -> None:
    model = load_weights(shared / "golden" / "a0_stream_ckpt", options={"gate": "hard_sigmoid_garden"}).to_model()
    golden = np.load(shared / "golden" / "a0_stream.npz")
    clip = torch.from_numpy(golden["input"]).permute(0, 4, 1, 2, 3)
    frames, state = [], None
    for frame in clip.split(1, dim=2):
        answer, state = model.step(frame, state)
        frames.append(answer)
    _, state = model.step(clip[:, :, :3])
    ours = {
        "logits_whole_clip": model(clip),
        "logits_per_frame": torch.stack(frames, dim=1),
        "logits_chunk_3_rest": model.step(clip[:, :, 3:], state)[0],
    }
    apart = {call: float(np.abs(logits.numpy() - golden[call]).max()) for call, logits in ours.items()}
    assert all(value < 2e-5 for value in apart.values()), apart


def forms(spec: NetworkSpec) -> list[Form]:
    return ["3d"] if spec.convolution == "3d" else ["2plus1d", "3d_2plus1d"]


def filled(variables: dict[str, Variable], seed: int) -> dict[str, NDArray[np.float32]]:
    """A checkpoint of random values."""
    rng = np.random.default_rng(seed)
    return {v.key: rng.standard_normal(v.shape).astype(np.float32) for v in variables.values()}


def there_and_back(spec: NetworkSpec, form: Form, seed: int = 0) -> None:
    checkpoint = filled(tensorflow_variables(spec, form), seed)
    arrays = from_tensorflow(checkpoint, spec, form)
    check_fit(arrays, spec)
    back = to_tensorflow(arrays, spec, form)
    assert back.keys() == checkpoint.keys()
    for key, array in checkpoint.items():
        assert back[key].shape == array.shape
        np.testing.assert_array_equal(back[key], array, err_msg=key)
    # The other form of the same network leads to the same parameters.
    for other in forms(spec):
        again = from_tensorflow(to_tensorflow(arrays, spec, other), spec, other)
        assert all(np.array_equal(value, arrays[name]) for name, value in again.items())


@st.composite
def specs(draw: st.DrawFn) -> NetworkSpec:
    widths = st.integers(1, 6)
    layers = st.builds(
        LayerSpec,
        expansion=widths.map(lambda width: 2 * width),
        kernel=st.tuples(st.sampled_from([1, 3, 5]), st.sampled_from([1, 3]), st.sampled_from([3, 5])),
        squeeze_excitation=st.booleans(),
    )
    blocks = st.builds(
        BlockSpec,
        channels=widths,
        layers=st.lists(layers, min_size=1, max_size=3).map(tuple),
        stride=st.sampled_from([1, 2]),
    )
    causal = draw(st.booleans())
    kinds = ["cumulative", "cumulative_frame", "none"] if causal else ["global", "none"]
    squeeze_excitation = draw(st.sampled_from(kinds))
    return NetworkSpec(
        name="tiny",
        stem=draw(widths),
        blocks=tuple(draw(st.lists(blocks, min_size=1, max_size=3))),
        project=draw(widths),
        hidden=draw(widths),
        size=(32, 32),
        fps=5,
        frames=4,
        num_classes=draw(widths),
        causal=causal,
        convolution=draw(st.sampled_from(["3d", "2plus1d"])),
        squeeze_excitation=squeeze_excitation,
        positional_encoding=squeeze_excitation.startswith("cumulative") and draw(st.booleans()),
        rezero=draw(st.booleans()),
    )


@settings(max_examples=25, deadline=None)
@given(spec=specs(), seed=st.integers(0, 2**32 - 1), data=st.data())
def test_there_and_back(spec: NetworkSpec, seed: int, data: st.DataObject) -> None:
    there_and_back(spec, data.draw(st.sampled_from(forms(spec))), seed)


@pytest.mark.parametrize("name", ["movinet_a0_base", "movinet_a0_stream"])
def test_published_there_and_back(name: str) -> None:
    spec = network_spec(name).with_options(num_classes=3, hidden=16)
    assert isinstance(spec, NetworkSpec)
    for form in forms(spec):
        there_and_back(spec, form)


def shapes(name: str, num_classes: int, form: Form | None = None) -> dict[str, NDArray[np.float32]]:
    """A checkpoint of nothing but names and shapes."""
    spec = network_spec(name).with_options(num_classes=num_classes)
    assert isinstance(spec, NetworkSpec)
    variables = tensorflow_variables(spec, form or forms(spec)[0]).values()
    return {v.key: np.broadcast_to(np.float32(0), v.shape) for v in variables} | {"save_counter": np.zeros(())}


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_is_recognized(name: str) -> None:
    spec = network_spec(name).with_options(num_classes=7)
    assert isinstance(spec, NetworkSpec)
    for form in forms(spec):
        network = find_objects(shapes(name, 7, form), None)
        assert find_form(network.variables) == form
        assert find_network(network) == spec


def test_positional_encoding_is_recognized() -> None:
    expected = network_spec("movinet_a0_stream").with_options(num_classes=7, positional_encoding=True)
    assert isinstance(expected, NetworkSpec)
    checkpoint = {v.key: np.zeros(v.shape) for v in tensorflow_variables(expected, "2plus1d").values()}
    assert find_network(find_objects(checkpoint, None)) == expected


def test_optimizer_slots_are_passed_over() -> None:
    checkpoint = shapes("movinet_a0_base", 7)
    key = next(iter(checkpoint))
    slot = key.replace("/.ATTRIBUTES", "/.OPTIMIZER_SLOT/optimizer/average/.ATTRIBUTES")
    network = find_objects({**checkpoint, slot: checkpoint[key]}, None)
    assert find_network(network).name == "movinet_a0_base"


def test_what_does_not_fit_is_refused() -> None:
    whole = dict(find_objects(shapes("movinet_a0_stream", 7), None).variables)
    spec, form = find_network(find_objects(whole, None)), find_form(whole)
    for part in ("_rezero/scale", "layer_with_weights-15/_projection/_conv/_conv/kernel", "depthwise_kernel"):
        key = next(key for key in whole if part in key)
        for wrong in (
            {k: v for k, v in whole.items() if k != key},
            {**whole, key: np.zeros((2, *whole[key].shape), np.float32)},
        ):
            with pytest.raises(WeightsError, match=part):
                from_tensorflow(wrong, spec, form)
    with pytest.raises(WeightsError, match="none of the published networks"):
        find_network(find_objects(wrong, None))
    more = {**whole, key.replace("layer_with_weights-1/", "layer_with_weights-99/"): whole[key]}
    with pytest.raises(WeightsError, match="weights-99"):
        from_tensorflow(more, spec, form)
    backbone = {k: v for k, v in whole.items() if "layer_with_weights-1/_" not in k}
    with pytest.raises(WeightsError, match="classifier"):
        find_network(find_objects(backbone, None))
