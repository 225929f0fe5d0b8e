"""TFLite files: tiny networks that TensorFlow's converter wrote from known weights, and the official int8 file."""

import shutil
import struct
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from time import process_time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from movinet.arch.parameters import parameter_shapes
from movinet.arch.zoo import network_spec
from movinet.errors import MovinetError, WeightsError
from movinet.weights import tflite_curves
from movinet.weights.tflite import TFLiteGraph, TFLiteOperator, TFLiteTensor, parse_tflite, read_tflite
from movinet.weights.tflite_network import extract_movinet

FIXTURES = Path(__file__).parent / "fixtures"


def kernel(seed: int, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """As in fixtures/make.py."""
    return (((np.arange(np.prod(shape)) * 37 + seed * 11) % 201 - 100) / 200).astype(np.float32).reshape(shape)


def tiny_parameters() -> dict[str, NDArray[np.float32]]:
    """What fixtures/make.py put into the tiny networks, under our names; kernels without axes of one."""
    shapes = {
        "stem": (3, 3, 3, 4),
        "blocks.0.0.expand": (4, 6),
        "blocks.0.0.spatial": (3, 3, 6),
        "blocks.0.0.temporal": (3, 6),
        "blocks.0.0.project": (6, 5),
        "blocks.0.0.skip.project": (4, 5),
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
        if name.endswith("0.skip.project"):
            parameters["blocks.0.0.scale"] = np.array(-0.7, np.float32)
        if name == "blocks.1.0.project":
            parameters["blocks.1.0.scale"] = np.array(0.4, np.float32)
    return parameters


def test_float_file_gives_its_weights_back_exactly() -> None:
    (_, got), expected = extract_movinet(read_tflite(FIXTURES / "tiny_float.tflite")), tiny_parameters()
    assert got.keys() == expected.keys()
    for name, value in expected.items():
        assert got[name].dtype == np.float32
        np.testing.assert_array_equal(got[name].reshape(value.shape), value, err_msg=name)


def test_int8_file_gives_its_weights_back_to_half_a_step() -> None:
    (_, found), expected = extract_movinet(read_tflite(FIXTURES / "tiny_int8.tflite")), tiny_parameters()
    assert found.keys() == expected.keys()
    got = {name: found[name].reshape(value.shape) for name, value in expected.items()}
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
    with pytest.raises(WeightsError, match="without states"):
        extract_movinet(replace(graph, inputs={"image": graph.inputs["image"]}))
    straight = tuple(replace(op, activation="none") for op in graph.operators)
    with pytest.raises(WeightsError, match="followed by none of the activations"):
        extract_movinet(replace(graph, operators=straight))
    one = next(op for op in graph.operators if op.activation == "relu6")
    mixed = tuple(replace(op, activation="relu") if op is one else op for op in graph.operators)
    with pytest.raises(WeightsError, match=r"differ in activation \(relu, relu6\)"):
        extract_movinet(replace(graph, operators=mixed))
    for change, message in {
        "dilation": "has dilation",
        "stride": "the stem is not a convolution of the image with stride 2",
        "padding": "the stem is not a convolution of the image with stride 2",
    }.items():
        value = "VALID" if change == "padding" else (3, 3)
        other = (replace(op, **{change: value}) if op is one else op for op in graph.operators)
        with pytest.raises(WeightsError, match=message):
            extract_movinet(replace(graph, operators=tuple(other)))
    for shape in ((), (1,)):  # a bias of one number, whose channels cannot be counted
        biases = {op.inputs[2] for op in graph.operators if op.kind == "CONV_2D"}
        tensors = (
            replace(tensor, shape=shape, data=bytes(tensor.data)[:4]) if i in biases else tensor
            for i, tensor in enumerate(graph.tensors)
        )
        with pytest.raises(WeightsError, match="has a bias of shape"):
            extract_movinet(replace(graph, tensors=tuple(tensors)))
    without_adds = tuple(op for op in graph.operators if op.kind != "ADD")
    with pytest.raises(WeightsError, match=r"expected a ADD before head\.hidden"):
        extract_movinet(replace(graph, operators=without_adds))


def test_names_are_not_needed() -> None:
    """Blocks are then told from widths and strides."""
    graph = read_tflite(FIXTURES / "tiny_float.tflite")
    unnamed = tuple(replace(tensor, name="") for tensor in graph.tensors)
    spec, arrays = extract_movinet(replace(graph, tensors=unnamed))
    named, wanted = extract_movinet(graph)
    assert [place.layer for place in spec.layers()] == [place.layer for place in named.layers()]
    assert [block.stride for block in spec.blocks] == [2]  # the second layer is like the first
    for name, array in wanted.items():
        np.testing.assert_array_equal(arrays[name.replace("blocks.1.0", "blocks.0.1")], array)


def test_files_that_are_not_tflite(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="No such file"):
        read_tflite(tmp_path / "absent.tflite")
    for content in (b"", b"<html>not found</html>"):
        (tmp_path / "other").write_bytes(content)
        with pytest.raises(WeightsError, match="is not a TFLite file"):
            read_tflite(tmp_path / "other")


@settings(max_examples=60, deadline=None)
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
        spec, arrays = extract_movinet(read_tflite(path))
    except MovinetError:
        return
    assert arrays.keys() == parameter_shapes(spec).keys()


def test_official_file(shared: Path) -> None:
    """The published int8 file is MoViNet-A0 without squeeze-excitation, and says so itself."""
    graph = read_tflite(shared / "weights" / "movinet_a0_stream_int8.tflite")
    assert len(graph.inputs) == 44
    spec, arrays = extract_movinet(graph)
    assert spec == network_spec("movinet_a0_stream").with_options(
        squeeze_excitation="none", activation="relu6", head_activation="relu6", norm="folded"
    )
    assert {name: array.shape for name, array in arrays.items()} == parameter_shapes(spec)
    assert all(np.isfinite(array).all() for array in arrays.values())


@pytest.mark.parametrize("kind", ["RESHAPE", "ADD", "MUL", "CONCATENATION"])
def test_forks_and_depth_cost_no_more_than_operators(kind: str) -> None:
    """Each level takes the one before twice, thousands of levels deep: neither paths nor recursion grow with them."""
    graph = read_tflite(FIXTURES / "tiny_float.tflite")
    first, image = len(graph.tensors), graph.inputs["image"]
    levels = 5000
    tensors = (*graph.tensors, *(TFLiteTensor("x", (1,), "float32", b"") for _ in range(levels)))
    chain = [image, *range(first, first + levels)]
    steps = [TFLiteOperator(kind, (a, a), (b,)) for a, b in pairwise(chain)]
    stem = next(op for op in graph.operators if op.kind == "CONV_2D")
    operators = [replace(op, inputs=(chain[-1], *op.inputs[1:])) if op is stem else op for op in graph.operators]
    hostile = replace(graph, tensors=tensors, operators=(*steps, *operators))
    start = process_time()
    if kind == "RESHAPE":
        extract_movinet(hostile)
    else:
        with pytest.raises(WeightsError):
            extract_movinet(hostile)
    assert process_time() - start < 5


def flatbuffer(rows: int, name: int, shape: int) -> bytes:
    """A file of one subgraph whose `rows` tensors are all the same table, with a name and a shape of these lengths."""
    out = bytearray(struct.pack("<I4s", 0, b"TFL3"))
    places: dict[str, int] = {}
    pointers: list[tuple[int, str]] = [(0, "model")]

    def put(label: str, data: bytes, targets: dict[int, str]) -> None:
        places[label] = len(out)
        pointers.extend((len(out) + at, target) for at, target in targets.items())
        out.extend(data + bytes(-len(data) % 4))

    def table(label: str, fields: dict[int, str]) -> None:
        slots = max(fields) + 1
        offsets = {field: 4 + 4 * n for n, field in enumerate(sorted(fields))}
        vtable = len(out)
        put("", struct.pack(f"<HH{slots}H", 4 + 2 * slots, 0, *(offsets.get(n, 0) for n in range(slots))), {})
        start = struct.pack("<i", len(out) - vtable) + bytes(4 * len(fields))
        put(label, start, {offset: fields[field] for field, offset in offsets.items()})

    def vector(label: str, targets: list[str]) -> None:
        slots = {4 + 4 * n: target for n, target in enumerate(targets)}
        put(label, struct.pack("<I", len(targets)) + bytes(4 * len(targets)), slots)

    table("model", {2: "subgraphs", 4: "buffers"})
    vector("subgraphs", ["subgraph"])
    vector("buffers", ["buffer"])
    table("buffer", {9: "name"})
    table("subgraph", {0: "tensors"})
    vector("tensors", ["tensor"] * rows)
    table("tensor", {0: "shape", 3: "name"})
    put("shape", struct.pack(f"<I{shape}i", shape, *[1] * shape), {})
    put("name", struct.pack("<I", name) + b"x" * name, {})
    for at, target in pointers:
        struct.pack_into("<I", out, at, places[target] - at)
    return bytes(out)


def test_tables_that_share_their_bytes_are_refused() -> None:
    """A megabyte could ask for gigabytes: by a name that every tensor points to, or by one tensor listed for ever."""
    with pytest.raises(WeightsError, match="point to each other"):
        parse_tflite(flatbuffer(rows=20_000, name=100_000, shape=1))
    with pytest.raises(WeightsError, match="point to each other"):
        parse_tflite(flatbuffer(rows=20_000, name=1, shape=8))
    with pytest.raises(WeightsError, match="9 axes"):
        parse_tflite(flatbuffer(rows=1, name=100, shape=9))


@pytest.mark.parametrize("shape", [(-1,), (-1, -1), (1 << 31, 1 << 31), (2,), (3, 1 << 40)])
def test_constants_are_checked_before_memory_is_taken(shape: tuple[int, ...]) -> None:
    tensor = TFLiteTensor("w", shape, "int8", bytes(9))
    with pytest.raises(WeightsError, match="9 bytes for shape"):
        TFLiteGraph((tensor,), (), {}, {}).constant(0)
    large = TFLiteTensor("w", (1 << 26,), "int8", memoryview(np.zeros(1 << 26, np.int8)))
    with pytest.raises(WeightsError, match="not a MoViNet's"):
        TFLiteGraph((large,), (), {}, {}).constant(0)


def test_constants_that_share_their_bytes_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Operators without end that each read the same large constant."""
    monkeypatch.setattr(tflite_curves, "_MOST_NUMBERS", 1 << 16)
    large = TFLiteTensor("c", (1 << 12,), "int8", bytes(1 << 12))
    tensors = (TFLiteTensor("image", (1,), "float32", b""), large, *[TFLiteTensor("x", (1,), "float32", b"")] * 40)
    operators = tuple(TFLiteOperator("ADD", (0, 1), (n,)) for n in range(2, 42))
    with pytest.raises(WeightsError, match="constant numbers"):
        extract_movinet(TFLiteGraph(tensors, operators, {"image": 0, "state": 2}, {"logits": 41}))
