"""Small files as TensorFlow's tools write them: a TFLite network, and a checkpoint."""

import numpy as np
from numpy.typing import NDArray

from movinet.arch.spec import NetworkSpec
from movinet.deploy.tflite_writer import Graph, write_tflite
from movinet.errors import MovinetError
from movinet.weights.crc32c import crc32c
from movinet.weights.tensorflow import tensorflow_variables


def tflite_file() -> tuple[bytes, ...]:
    """A stream network of one layer; none where the writer's package is missing."""
    try:
        return (write_tflite({"serving_default": _network()}),)
    except MovinetError:
        return ()


def _network() -> Graph:
    graph = Graph()
    image = graph.input("image", (1, 1, 4, 4, 3))
    x = graph.apply("RESHAPE", [image, graph.constant(np.array([1, 4, 4, 3], np.int32))], (1, 4, 4, 3))
    x = _convolution(graph, x, (2, 3, 3, 3), (1, 2, 2, 2), stride=2)
    inside = _convolution(graph, x, (2, 1, 1, 2), (1, 2, 2, 2))
    weight, bias = graph.constant(np.ones((1, 3, 3, 2), np.float32)), graph.constant(np.zeros(2, np.float32))
    options = {"padding": 0, "strideH": 1, "strideW": 1, "depthMultiplier": 1, "fusedActivationFunction": 3}
    inside = graph.apply("DEPTHWISE_CONV_2D", [inside, weight, bias], (1, 2, 2, 2), **options)
    inside = _convolution(graph, inside, (2, 1, 1, 2), (1, 2, 2, 2), activation=0)
    inside = graph.apply("MUL", [inside, graph.constant(np.array(0.5, np.float32))], (1, 2, 2, 2))
    x = graph.apply("ADD", [x, inside], (1, 2, 2, 2))
    graph.tensors[x].name = "block0_layer0/add"
    x = _convolution(graph, x, (2, 1, 1, 2), (1, 2, 2, 2))
    x = graph.apply("SUM", [x, graph.constant(np.array([1, 2], np.int32))], (1, 1, 1, 2))
    x = graph.apply("MUL", [x, graph.constant(np.array(0.25, np.float32))], (1, 1, 1, 2))
    total, count = graph.input("total", (1, 1, 1, 2)), graph.input("count", (1,), "int32")
    x = graph.apply("ADD", [x, total], (1, 1, 1, 2))
    graph.output("new_total", x)
    count = graph.apply("ADD", [count, graph.constant(np.array(1, np.int32))], (1,))
    graph.output("new_count", count)
    x = graph.apply("DIV", [x, graph.apply("CAST", [count], (1,), "float32")], (1, 1, 1, 2))
    x = _convolution(graph, x, (2, 1, 1, 2), (1, 1, 1, 2))
    x = _convolution(graph, x, (3, 1, 1, 2), (1, 1, 1, 3), activation=0)
    graph.output("logits", graph.apply("RESHAPE", [x, graph.constant(np.array([1, 3], np.int32))], (1, 3)))
    return graph


def _convolution(
    graph: Graph, x: int, weight: tuple[int, ...], shape: tuple[int, ...], stride: int = 1, activation: int = 3
) -> int:
    constants = [graph.constant(np.ones(size, np.float32)) for size in (weight, weight[:1])]
    options = {"padding": 0, "strideH": stride, "strideW": stride, "fusedActivationFunction": activation}
    return graph.apply("CONV_2D", [x, *constants], shape, **options)


def bundle(spec: NetworkSpec) -> tuple[bytes, bytes]:
    """The index and the data of a TensorFlow checkpoint of a stream network, with its graph of objects."""
    variables = tensorflow_variables(spec, "2plus1d").values()
    tensors: dict[str, NDArray[np.float32] | bytes] = {v.key: np.ones(v.shape, np.float32) for v in variables}
    tensors["_CHECKPOINTABLE_OBJECT_GRAPH"] = _objects([variable.key for variable in variables])
    data, entries = b"", [(b"", bytes([8, 1, 26, 2, 8, 1]))]
    for key, tensor in sorted(tensors.items()):
        shape, kind = ((), b"\x08\x07\x12") if isinstance(tensor, bytes) else (tensor.shape, b"\x08\x01\x12")
        raw = _varint(len(tensor)) + bytes(4) + tensor if isinstance(tensor, bytes) else tensor.tobytes()
        dims = b"".join(b"\x12" + _varint(len(dim)) + dim for dim in (b"\x08" + _varint(n) for n in shape))
        place = b"\x20" + _varint(len(data)) + b"\x28" + _varint(len(raw)) + b"\x35" + _masked(raw)
        entries.append((key.encode(), kind + _varint(len(dims)) + dims + place))
        data += raw
    first = _block(entries)
    table = _checked(first)
    meta = _varint(len(table)) + _varint(8)
    table += _checked(_block([]))
    index = _block([(entries[-1][0], _varint(0) + _varint(len(first)))])
    footer = meta + _varint(len(table)) + _varint(len(index))
    table += _checked(index)
    return table + footer.ljust(40, b"\0") + 0xDB4775248B80FB57.to_bytes(8, "little"), data


def _objects(keys: list[str]) -> bytes:
    """TrackableObjectGraph: an object for every step on the way to a variable."""
    children: list[dict[str, int]] = [{}]
    variables: dict[int, str] = {}
    for key in keys:
        at = 0
        for step in key.partition("/.ATTRIBUTES")[0].split("/"):
            if step not in children[at]:
                children[at][step] = len(children)
                children.append({})
            at = children[at][step]
        variables[at] = key
    graph = b""
    for number, steps in enumerate(children):
        node = b"".join(_field(1, b"\x08" + _varint(child) + _field(2, name.encode())) for name, child in steps.items())
        if number in variables:
            node += _field(2, _field(1, b"VARIABLE_VALUE") + _field(3, variables[number].encode()))
        graph += _field(1, node)
    return graph


def _field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _checked(contents: bytes) -> bytes:
    return contents + b"\0" + _masked(contents + b"\0")


def _block(entries: list[tuple[bytes, bytes]]) -> bytes:
    out = b"".join(b"\0" + _varint(len(key)) + _varint(len(value)) + key + value for key, value in entries)
    return out + (0).to_bytes(4, "little") + (1).to_bytes(4, "little")


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _masked(data: bytes) -> bytes:
    crc = crc32c(data)
    return (((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF).to_bytes(4, "little")
