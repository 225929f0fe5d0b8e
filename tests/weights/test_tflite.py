"""TFLite files: tiny networks that TensorFlow's converter wrote from known weights, and the official int8 file."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from movinet.errors import WeightsError
from movinet.weights.tflite import TFLiteGraph, TFLiteTensor, extract_movinet, read_tflite

FIXTURES = Path(__file__).parent / "fixtures"


def kernel(seed: int, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """As in fixtures/make.py."""
    return (((np.arange(np.prod(shape)) * 37 + seed * 11) % 201 - 100) / 200).astype(np.float32).reshape(shape)


def tiny_parameters() -> dict[str, NDArray[np.float32]]:
    """What fixtures/make.py put into the tiny networks, by the names and in the layouts of extract_movinet."""
    shapes = {
        "stem": (3, 3, 3, 4),
        "blocks.0.0.expand": (4, 6),
        "blocks.0.0.spatial": (3, 3, 6),
        "blocks.0.0.temporal": (3, 6),
        "blocks.0.0.project": (6, 5),
        "blocks.0.0.skip": (4, 5),
        "blocks.1.0.expand": (5, 7),
        "blocks.1.0.spatial": (5, 5, 7),
        "blocks.1.0.project": (7, 5),
        "head.project": (5, 6),
        "head.hidden": (6, 8),
        "head.classifier": (8, 3),
    }
    parameters = {}
    for i, (name, shape) in enumerate(shapes.items()):
        weight = kernel(2 * i, shape)
        depthwise = name.endswith(("spatial", "temporal"))
        order = (3, 2, 0, 1) if name == "stem" else (weight.ndim - 1, *range(weight.ndim - 1))
        parameters[f"{name}.weight"] = weight.transpose(order)[:, None] if depthwise else weight.transpose(order)
        parameters[f"{name}.bias"] = kernel(2 * i + 1, shape[-1:])
        if name.endswith("0.skip"):
            parameters["blocks.0.0.scale"] = np.array(-0.7, np.float32)
        if name == "blocks.1.0.project":
            parameters["blocks.1.0.scale"] = np.array(0.4, np.float32)
    return parameters


def test_float_file_gives_its_weights_back_exactly() -> None:
    got, expected = extract_movinet(read_tflite(FIXTURES / "tiny_float.tflite")), tiny_parameters()
    assert list(got) == list(expected)
    for name, value in expected.items():
        assert got[name].dtype == np.float32
        np.testing.assert_array_equal(got[name], value, err_msg=name)


def test_int8_file_gives_its_weights_back_to_half_a_step() -> None:
    got, expected = extract_movinet(read_tflite(FIXTURES / "tiny_int8.tflite")), tiny_parameters()
    assert list(got) == list(expected)
    for name, value in expected.items():
        if name.endswith(".weight"):  # one scale for each output channel: 127 steps to its largest value
            step = np.abs(value).max(axis=tuple(range(1, value.ndim)), keepdims=True) / 127
            assert (np.abs(got[name] - value) <= 0.501 * step).all(), name
        else:
            np.testing.assert_allclose(got[name], value, atol=1e-3, err_msg=name)


def test_graph() -> None:
    graph = read_tflite(FIXTURES / "tiny_int8.tflite")
    assert graph.inputs.keys() == {"image", "buffer", "total", "count"}
    assert {graph.tensors[i].shape for i in graph.outputs.values()} == {(1, 3), (1, 2, 4, 4, 6), (1, 1, 1, 1, 6), (1,)}
    image = graph.tensors[graph.inputs["image"]]
    assert (image.shape, image.dtype, image.data) == ((1, 1, 16, 16, 3), "float32", b"")
    windows = [
        (op.kind, op.padding, op.stride, op.activation)
        for op in graph.operators
        if op.kind in {"DEPTHWISE_CONV_2D", "AVERAGE_POOL_2D"}
    ]
    assert sorted(windows) == [
        ("AVERAGE_POOL_2D", "SAME", (2, 2), "none"),
        ("DEPTHWISE_CONV_2D", "SAME", (1, 1), "relu6"),
        ("DEPTHWISE_CONV_2D", "SAME", (2, 2), "relu6"),
        ("DEPTHWISE_CONV_2D", "VALID", (1, 1), "relu6"),
    ]
    with pytest.raises(WeightsError, match="is computed, not a constant"):
        graph.constant(graph.inputs["image"])


@given(st.integers(0, 2), st.integers(0, 9))
def test_dequantisation_along_any_axis(axis: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    stored = rng.integers(-128, 128, (2, 3, 4), np.int8)
    scale, zero = rng.random(stored.shape[axis]), rng.integers(-9, 9, stored.shape[axis])
    tensor = TFLiteTensor("w", stored.shape, "int8", stored.tobytes(), tuple(scale), tuple(zero), axis)
    got = TFLiteGraph((tensor,), (), {}, {}).constant(0)
    for i in range(stored.shape[axis]):
        expected = (np.take(stored, i, axis).astype(float) - zero[i]) * scale[i]
        np.testing.assert_array_equal(np.take(got, i, axis), expected.astype(np.float32))


def test_other_networks_are_refused() -> None:
    graph = read_tflite(FIXTURES / "tiny_float.tflite")
    with pytest.raises(WeightsError, match="no input named 'image'"):
        extract_movinet(replace(graph, inputs={}))
    swish = tuple(replace(op, activation="none") for op in graph.operators)
    with pytest.raises(WeightsError, match="stem is followed by activation none, expected relu6"):
        extract_movinet(replace(graph, operators=swish))
    without_rezero = tuple(op for op in graph.operators if op.kind != "MUL")
    with pytest.raises(WeightsError, match="expected one MUL"):
        extract_movinet(replace(graph, operators=without_rezero))
    unnamed = tuple(replace(tensor, name="") for tensor in graph.tensors)
    with pytest.raises(WeightsError, match="does not tell its block and layer"):
        extract_movinet(replace(graph, tensors=unnamed))


def test_files_that_are_not_tflite(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="No such file"):
        read_tflite(tmp_path / "absent.tflite")
    for content in (b"", b"<html>not found</html>"):
        (tmp_path / "other").write_bytes(content)
        with pytest.raises(WeightsError, match="is not a TFLite file"):
            read_tflite(tmp_path / "other")


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_damage_never_ends_in_another_error(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.tflite"
    shutil.copy(FIXTURES / "tiny_int8.tflite", path)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 20))):
        content[data.draw(st.integers(8, len(content) - 1))] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(8, len(content) - 1)) :]
    path.write_bytes(content)
    try:  # a TFLite file has no checksum: damaged weights may pass
        parameters = extract_movinet(read_tflite(path))
    except WeightsError:
        return
    assert parameters["stem.weight"].ndim == 4


def test_official_file(shared: Path) -> None:
    graph = read_tflite(shared / "weights" / "movinet_a0_stream_int8.tflite")
    parameters = extract_movinet(graph)
    assert len(graph.inputs) == 44
    # MoViNet-A0: width, then (expansion, temporal kernel, spatial kernel) of each layer
    blocks = [
        (8, [(24, 1, 5)]),
        (32, [(80, 3, 3), (80, 3, 3), (80, 3, 3)]),
        (56, [(184, 5, 3), (112, 3, 3), (184, 3, 3)]),
        (56, [(184, 5, 3), (184, 3, 3), (184, 3, 3), (184, 3, 3)]),
        (104, [(384, 5, 3), (280, 1, 5), (280, 1, 5), (344, 1, 5)]),
    ]
    expected = {"stem.weight": (8, 3, 3, 3)}
    last = 8
    for b, (width, layers) in enumerate(blocks):
        for i, (expansion, temporal, spatial) in enumerate(layers):
            name = f"blocks.{b}.{i}"
            expected[f"{name}.expand.weight"] = (expansion, last)
            expected[f"{name}.spatial.weight"] = (expansion, 1, spatial, spatial)
            if temporal > 1:
                expected[f"{name}.temporal.weight"] = (expansion, 1, temporal)
            expected[f"{name}.project.weight"] = (width, expansion)
            if i == 0 and b != 3:  # strided; block 3 keeps size and width
                expected[f"{name}.skip.weight"] = (width, last)
            last = width
    expected |= {
        "head.project.weight": (480, 104),
        "head.hidden.weight": (2048, 480),
        "head.classifier.weight": (600, 2048),
    }
    assert {k: v.shape for k, v in parameters.items() if k.endswith("weight")} == expected
    assert sum(k.endswith("scale") for k in parameters) == 15
    assert all(np.isfinite(v).all() for v in parameters.values())
