"""Read a TFLite file, and the MoViNet in it, without TensorFlow or flatbuffers.

Format: `schema.fbs` of tensorflow/compiler/mlir/lite/schema. The numbers given to the accessors below are the positions
of the fields in that schema.
"""

import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from movinet.errors import WeightsError

_DTYPES = {
    0: "float32",
    1: "float16",
    2: "int32",
    3: "uint8",
    4: "int64",
    6: "bool",
    7: "int16",
    9: "int8",
    10: "float64",
    15: "uint32",
}
_KINDS = {
    0: "ADD",
    1: "AVERAGE_POOL_2D",
    2: "CONCATENATION",
    3: "CONV_2D",
    4: "DEPTHWISE_CONV_2D",
    6: "DEQUANTIZE",
    18: "MUL",
    22: "RESHAPE",
    40: "MEAN",
    42: "DIV",
    45: "STRIDED_SLICE",
    53: "CAST",
    74: "SUM",
    114: "QUANTIZE",
}
_PADDINGS = {0: "SAME", 1: "VALID"}
_ACTIVATIONS = {0: "none", 1: "relu", 2: "relu_n1_to_1", 3: "relu6", 4: "tanh", 5: "sign_bit"}
_ACTIVATION_FIELD = {"ADD": 0, "MUL": 0, "DIV": 0, "CONV_2D": 3, "DEPTHWISE_CONV_2D": 4, "AVERAGE_POOL_2D": 5}
_WINDOWED = {"CONV_2D", "DEPTHWISE_CONV_2D", "AVERAGE_POOL_2D"}
_NOT_OFFICIAL = "only the official int8 MoViNet stream files are understood"
_TRANSPARENT = {"RESHAPE", "QUANTIZE", "DEQUANTIZE"}


@dataclass(frozen=True)
class TFLiteTensor:
    """One tensor: real value = `scale` · (stored − `zero_point`), along `axis` where there are several scales."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    data: bytes  # empty unless the tensor is a constant
    scale: tuple[float, ...] = ()
    zero_point: tuple[int, ...] = ()
    axis: int = 0


@dataclass(frozen=True)
class TFLiteOperator:
    """One operator; `inputs` and `outputs` are tensor indices (−1: an absent input), `stride` is (height, width)."""

    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    activation: str = "none"
    padding: str = ""
    stride: tuple[int, int] = (1, 1)


@dataclass(frozen=True)
class TFLiteGraph:
    """The main subgraph of a file; `inputs` and `outputs` map the signature's names to tensor indices."""

    tensors: tuple[TFLiteTensor, ...]
    operators: tuple[TFLiteOperator, ...]
    inputs: dict[str, int]
    outputs: dict[str, int]

    def constant(self, index: int) -> NDArray[np.float32]:
        """The dequantised values of constant tensor `index`, in its shape."""
        tensor = self.tensors[index]
        if index < 0 or not tensor.data:
            raise WeightsError(f"tensor {tensor.name!r} is computed, not a constant")
        try:
            values = np.frombuffer(tensor.data, tensor.dtype).reshape(tensor.shape).astype(np.float64)
            if tensor.scale:
                along = [1] * values.ndim
                if len(tensor.scale) > 1:
                    along[tensor.axis] = -1
                zero = np.reshape(tensor.zero_point or (0,), along if len(tensor.zero_point) > 1 else ())
                with np.errstate(all="ignore"):
                    values = (values - zero) * np.reshape(tensor.scale, along)
        except (ValueError, TypeError, IndexError) as error:
            raise WeightsError(f"tensor {tensor.name!r} contradicts its own description: {error}") from error
        if not (np.abs(values) <= np.finfo(np.float32).max).all():
            raise WeightsError(f"tensor {tensor.name!r} holds values that are not finite; get the file again")
        return values.astype(np.float32)


def read_tflite(path: str | Path) -> TFLiteGraph:
    """Read the first subgraph of the TFLite file at `path`. Raises `WeightsError` where it is missing or damaged."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise WeightsError(f"cannot read {path}: {error.strerror or error}") from error
    if data[4:8] != b"TFL3":
        raise WeightsError(f"{path} is not a TFLite file (no TFL3 mark at byte 4)")
    try:
        return _graph(_Table(data, struct.unpack_from("<I", data)[0]))
    except (struct.error, ValueError, IndexError, KeyError, OverflowError) as error:
        raise WeightsError(f"{path} is a damaged TFLite file ({error}); get it again") from error


class _Table:
    """A flatbuffer table at `position` of `data`; every accessor takes the field's position in the schema."""

    def __init__(self, data: bytes, position: int) -> None:
        self.data, self.position = data, position
        self.vtable = position - self.unpack("i", position)
        if self.vtable < 0:
            raise ValueError(f"table at {position} points before the file")

    def unpack(self, code: str, position: int) -> int:
        return int(struct.unpack_from("<" + code, self.data, position)[0])

    def at(self, field: int) -> int | None:
        entry = 4 + 2 * field
        offset = self.unpack("H", self.vtable + entry) if entry < self.unpack("H", self.vtable) else 0
        return self.position + offset if offset else None

    def scalar(self, field: int, code: str) -> int:
        position = self.at(field)
        return 0 if position is None else self.unpack(code, position)

    def _pointer(self, field: int) -> int | None:
        position = self.at(field)
        return None if position is None else position + self.unpack("I", position)

    def table(self, field: int) -> "_Table | None":
        position = self._pointer(field)
        return None if position is None else _Table(self.data, position)

    def raw(self, field: int) -> bytes:
        position = self._pointer(field)
        if position is None:
            return b""
        size = self.unpack("I", position)
        if position + 4 + size > len(self.data):
            raise ValueError(f"{size} bytes at {position} reach past the end")
        return self.data[position + 4 : position + 4 + size]

    def text(self, field: int) -> str:
        return self.raw(field).decode()

    def floats(self, field: int) -> tuple[float, ...]:
        position = self._pointer(field)
        return (
            () if position is None else struct.unpack_from(f"<{self.unpack('I', position)}f", self.data, position + 4)
        )

    def integers(self, field: int, code: str = "i") -> tuple[int, ...]:
        position = self._pointer(field)
        return (
            ()
            if position is None
            else struct.unpack_from(f"<{self.unpack('I', position)}{code}", self.data, position + 4)
        )

    def tables(self, field: int) -> "list[_Table]":
        first = self._pointer(field)
        if first is None:
            return []
        slots = range(first + 4, first + 4 + 4 * self.unpack("I", first), 4)
        return [_Table(self.data, slot + self.unpack("I", slot)) for slot in slots]


def _graph(model: _Table) -> TFLiteGraph:
    # The code has two fields: a byte in old files, an int in new ones; the larger one is meant.
    codes = [max(code.scalar(0, "b"), code.scalar(3, "i")) for code in model.tables(1)]
    buffers = [buffer.raw(0) for buffer in model.tables(4)]
    subgraph = model.tables(2)[0]
    tensors = tuple(_tensor(table, buffers) for table in subgraph.tables(0))
    operators = tuple(_operator(table, codes) for table in subgraph.tables(3))
    names = [{tensors[i].name: i for i in subgraph.integers(field)} for field in (1, 2)]
    for signature in model.tables(7)[:1]:
        names = [{entry.text(0): entry.scalar(1, "I") for entry in signature.tables(field)} for field in (0, 1)]
    used = [i for operator in operators for i in (*operator.inputs, *operator.outputs)]
    if any(not -1 <= i < len(tensors) for i in (*used, *names[0].values(), *names[1].values())):
        raise ValueError(f"an index beyond its {len(tensors)} tensors")
    computed = {output: step for step, operator in enumerate(operators) for output in operator.outputs}
    if any(computed.get(i, -1) >= step for step, operator in enumerate(operators) for i in operator.inputs):
        raise ValueError("its operators are not in order")
    return TFLiteGraph(tensors, operators, *names)


def _tensor(table: _Table, buffers: list[bytes]) -> TFLiteTensor:
    shape, dtype = table.integers(0), _DTYPES.get(table.scalar(1, "b"), "unknown")
    name, data = table.text(3), buffers[table.scalar(2, "I")]
    quantisation = table.table(4)
    if quantisation is None:
        return TFLiteTensor(name, shape, dtype, data)
    scale, zero_point = quantisation.floats(2), quantisation.integers(3, "q")
    return TFLiteTensor(name, shape, dtype, data, scale, zero_point, quantisation.scalar(6, "i"))


def _operator(table: _Table, codes: list[int]) -> TFLiteOperator:
    code = codes[table.scalar(0, "I")]
    kind = _KINDS.get(code, f"operator {code}")
    inputs, outputs, options = table.integers(1), table.integers(2), table.table(4)
    if options is None or kind not in _ACTIVATION_FIELD:
        return TFLiteOperator(kind, inputs, outputs)
    activation = _ACTIVATIONS[options.scalar(_ACTIVATION_FIELD[kind], "b")]
    if kind not in _WINDOWED:
        return TFLiteOperator(kind, inputs, outputs, activation)
    stride = options.scalar(2, "i"), options.scalar(1, "i")
    return TFLiteOperator(kind, inputs, outputs, activation, _PADDINGS[options.scalar(0, "b")], stride)


def extract_movinet(graph: TFLiteGraph) -> dict[str, NDArray[np.float32]]:
    """The folded parameters of an official int8 stream file, in network order, in PyTorch's layouts.

    The network: (2+1)D causal convolutions, ReLU6 after all but the projections, no squeeze-excitation, a ReZero scalar
    on the branch before the skip is added, batch norm folded into weights and biases.

    `stem`, `head.{project,hidden,classifier}` and `blocks.{block}.{layer}.{expand,spatial,temporal,project,skip}` each
    have a `.weight` and a `.bias`; `blocks.{block}.{layer}.scale` has shape (). Weights: stem (O, I, k, k), spatial
    (C, 1, k, k), temporal (C, 1, kt) with the oldest frame first, all others (O, I). Layers without a temporal
    convolution or with an identity skip lack those entries. Raises `WeightsError` where the graph is another network.
    """
    try:
        return dict(_Walk(graph).parameters())
    except WeightsError:
        raise
    except (ValueError, IndexError) as error:  # another number of inputs, consumers or dimensions than expected
        raise WeightsError(f"the graph has another shape ({error}): {_NOT_OFFICIAL}") from error


class _Walk:
    """Follows the graph from the image to the logits, naming the parameters it passes."""

    def __init__(self, graph: TFLiteGraph) -> None:
        self.graph = graph
        self.producer = {o: op for op in graph.operators for o in op.outputs}
        self.consumers: dict[int, list[TFLiteOperator]] = {}
        for op in graph.operators:
            for i in op.inputs:
                self.consumers.setdefault(i, []).append(op)

    def parameters(self) -> Iterator[tuple[str, NDArray[np.float32]]]:
        if "image" not in self.graph.inputs:
            raise WeightsError(f"no input named 'image': {_NOT_OFFICIAL}")
        stem = self.only(self.graph.inputs["image"], "CONV_2D")
        yield from self.convolution("stem", stem, "relu6", lambda w: w.transpose(0, 3, 1, 2))
        x, layers = stem.outputs[0], []
        while any(self.following(op.outputs[0], "DEPTHWISE_CONV_2D") for op in self.following(x, "CONV_2D")):
            name, x, parameters = self.layer(x)
            layers.append(name)
            yield from parameters
        expected = [(b, i) for b in range(len(layers)) for i in range(sum(block == b for block, _ in layers))]
        if not layers or layers != expected:
            raise WeightsError(f"layers are named {layers}, not block by block: {_NOT_OFFICIAL}")
        project = self.only(x, "CONV_2D")
        yield from self.convolution("head.project", project, "relu6", _matrix)
        total = self.only(project.outputs[0], "SUM")
        average = self.only(self.only(total.outputs[0], "MUL").outputs[0], "ADD")
        mean = self.only(average.outputs[0], "DIV")
        hidden = self.only(mean.outputs[0], "CONV_2D")
        yield from self.convolution("head.hidden", hidden, "relu6", _matrix)
        classifier = self.only(hidden.outputs[0], "CONV_2D")
        yield from self.convolution("head.classifier", classifier, "none", _matrix)

    def layer(self, x: int) -> tuple[tuple[int, int], int, list[tuple[str, NDArray[np.float32]]]]:
        """One bottleneck from its input tensor `x`: its (block, layer), its output tensor and its parameters."""
        (expand,) = [op for op in self.following(x, "CONV_2D") if self.following(op.outputs[0], "DEPTHWISE_CONV_2D")]
        spatial = self.only(expand.outputs[0], "DEPTHWISE_CONV_2D")
        temporal = None
        buffered = self.following(spatial.outputs[0], "CONCATENATION")
        if buffered:
            temporal = self.only(buffered[0].outputs[0], "DEPTHWISE_CONV_2D")
        project = self.only((temporal or spatial).outputs[0], "CONV_2D")
        rezero = self.only(project.outputs[0], "MUL")
        add = self.only(rezero.outputs[0], "ADD")
        out = add.outputs[0]
        found = re.search(r"block(\d+)_layer(\d+)/", self.graph.tensors[out].name)
        if found is None:
            raise WeightsError(f"{self.graph.tensors[out].name!r} does not tell its block and layer")
        block, index = int(found[1]), int(found[2])
        name = f"blocks.{block}.{index}"
        parameters = [
            *self.convolution(f"{name}.expand", expand, "relu6", _matrix),
            *self.convolution(f"{name}.spatial", spatial, "relu6", lambda w: w.transpose(3, 0, 1, 2)),
        ]
        if temporal is not None:
            parameters += self.convolution(f"{name}.temporal", temporal, "relu6", lambda w: _matrix(w, 1).T[:, None])
        parameters += self.convolution(f"{name}.project", project, "none", _matrix)
        (other,) = (i for i in add.inputs if self.source(i) is not rezero)
        skip = self.source(other)
        if skip is not self.source(x):
            if skip is None or skip.kind != "CONV_2D":
                raise WeightsError(f"{name} has a skip that is neither the layer's input nor a convolution of it")
            parameters += self.convolution(f"{name}.skip", skip, "none", _matrix)
        (constant,) = (i for i in rezero.inputs if self.graph.tensors[i].data)
        scale = np.unique(self.graph.constant(constant))
        if scale.size != 1:
            raise WeightsError(f"{name} scales its branch by {scale.size} different values, not by one scalar")
        return (block, index), out, [*parameters, (f"{name}.scale", scale.reshape(()))]

    def convolution(
        self,
        name: str,
        op: TFLiteOperator,
        activation: str,
        layout: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    ) -> list[tuple[str, NDArray[np.float32]]]:
        if op.activation != activation:
            raise WeightsError(f"{name} is followed by activation {op.activation}, expected {activation}")
        weight, bias = (self.graph.constant(i) for i in op.inputs[1:3])
        return [(f"{name}.weight", np.ascontiguousarray(layout(weight))), (f"{name}.bias", bias)]

    def following(self, tensor: int, kind: str) -> list[TFLiteOperator]:
        """The operators of this kind that take `tensor`, looking through reshapes and changes of number format."""
        found = []
        for op in self.consumers.get(tensor, []):
            if op.kind in _TRANSPARENT:
                found += self.following(op.outputs[0], kind)
            elif op.kind == kind:
                found.append(op)
        return found

    def only(self, tensor: int, kind: str) -> TFLiteOperator:
        found = self.following(tensor, kind)
        if len(found) != 1:
            where = f"expected one {kind} after {self.graph.tensors[tensor].name!r}, found {len(found)}"
            raise WeightsError(f"{where}: {_NOT_OFFICIAL}")
        return found[0]

    def source(self, tensor: int) -> TFLiteOperator | None:
        """The operator that computes `tensor`, looking through reshapes and changes of number format."""
        op = self.producer.get(tensor)
        while op is not None and op.kind in _TRANSPARENT:
            op = self.producer.get(op.inputs[0])
        return op


def _matrix(weight: NDArray[np.float32], rows: int = 0) -> NDArray[np.float32]:
    """Axis `rows` and the last of a kernel whose other axes are 1: (O, 1, 1, I) → (O, I)."""
    return weight.reshape(weight.shape[rows], weight.shape[-1])
