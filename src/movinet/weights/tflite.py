"""Read a TFLite file without TensorFlow or flatbuffers.

Format: `schema.fbs` of tensorflow/compiler/mlir/lite/schema. The numbers given to the accessors below are the positions
of the fields in that schema. A file may be anybody's: what is read of it is bounded before it is read.
"""

import struct
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from movinet.errors import WeightsError, brief

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
    14: "LOGISTIC",
    18: "MUL",
    19: "RELU",
    20: "RELU_N1_TO_1",
    21: "RELU6",
    22: "RESHAPE",
    40: "MEAN",
    41: "SUB",
    42: "DIV",
    43: "SQUEEZE",
    45: "STRIDED_SLICE",
    53: "CAST",
    55: "MAXIMUM",
    57: "MINIMUM",
    66: "SIN",
    70: "EXPAND_DIMS",
    74: "SUM",
    96: "RANGE",
    108: "COS",
    114: "QUANTIZE",
    117: "HARD_SWISH",
    128: "CUMSUM",
    152: "RELU_0_TO_1",
}
_PADDINGS = {0: "SAME", 1: "VALID"}
_ACTIVATIONS = {0: "none", 1: "relu", 2: "relu_n1_to_1", 3: "relu6", 4: "tanh", 5: "sign_bit"}
_ACTIVATION_FIELD = {"ADD": 0, "SUB": 0, "MUL": 0, "DIV": 0, "CONV_2D": 3, "DEPTHWISE_CONV_2D": 4, "AVERAGE_POOL_2D": 5}
_DILATION_FIELD = {"CONV_2D": 4, "DEPTHWISE_CONV_2D": 5}
_WINDOWED = {"CONV_2D", "DEPTHWISE_CONV_2D", "AVERAGE_POOL_2D"}

_LARGEST_FILE = 1 << 30  # bytes; the largest published MoViNet takes 153 MB
_MOST_READ = 1 << 22  # tables and numbers; MoViNet-A5 in int8 has about a million
_MOST_AXES = 8
_LARGEST_CONSTANT = 1 << 25  # numbers


@dataclass(frozen=True)
class TFLiteTensor:
    """One tensor: real value = `scale` · (stored − `zero_point`), along `axis` where there are several scales."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    data: bytes | memoryview  # empty unless the tensor is a constant; a view of the file
    scale: tuple[float, ...] = ()
    zero_point: tuple[int, ...] = ()
    axis: int = 0


@dataclass(frozen=True)
class TFLiteOperator:
    """One operator; `inputs` and `outputs` are tensor indices (−1: an absent input), pairs are (height, width)."""

    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    activation: str = "none"
    padding: str = ""
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    window: tuple[int, int] = (1, 1)  # of an average pool


@dataclass(frozen=True)
class TFLiteGraph:
    """The main subgraph of a file; `inputs` and `outputs` map the signature's names to tensor indices."""

    tensors: tuple[TFLiteTensor, ...]
    operators: tuple[TFLiteOperator, ...]
    inputs: dict[str, int]
    outputs: dict[str, int]

    def constant(self, index: int) -> NDArray[np.float32]:
        """The dequantized values of constant tensor `index`, in its shape.

        Raises:
            WeightsError: the tensor is no constant, of a type that is not supported, or contradicts itself.
        """
        tensor = self.tensors[index]
        if index < 0 or not tensor.data:
            raise WeightsError(f"tensor {brief(tensor.name)} is computed, not a constant")
        if tensor.dtype == "unknown" or len(tensor.data) != prod(tensor.shape) * np.dtype(tensor.dtype).itemsize:
            raise WeightsError(
                f"tensor {brief(tensor.name)} has {len(tensor.data)} bytes for shape {tensor.shape} of {tensor.dtype}"
            )
        if prod(tensor.shape) > _LARGEST_CONSTANT:
            raise WeightsError(f"tensor {brief(tensor.name)} has shape {tensor.shape}: not a MoViNet's")
        try:
            values = np.frombuffer(tensor.data, tensor.dtype).reshape(tensor.shape).astype(np.float64)
            if tensor.scale:
                along = [1] * values.ndim
                if len(tensor.scale) > 1:
                    along[tensor.axis] = -1
                zero = np.reshape(tensor.zero_point or (0,), along if len(tensor.zero_point) > 1 else ())
                with np.errstate(all="ignore"):
                    values = np.subtract(values, zero, out=values)
                    values = np.multiply(values, np.reshape(tensor.scale, along), out=values)
        except (ValueError, TypeError, IndexError) as error:
            raise WeightsError(f"tensor {brief(tensor.name)} contradicts its own description: {error}") from error
        if not (np.abs(values) <= np.finfo(np.float32).max).all():
            raise WeightsError(f"tensor {brief(tensor.name)} holds values that are not finite; get the file again")
        return values.astype(np.float32)


def read_tflite(path: str | Path) -> TFLiteGraph:
    """Read the first subgraph of the TFLite file at `path`. Raises `WeightsError` where it is missing or damaged."""
    try:
        with Path(path).open("rb") as file:
            data = file.read(_LARGEST_FILE + 1)
    except OSError as error:
        raise WeightsError(f"cannot read {path}: {error.strerror or error}") from error
    if data[4:8] != b"TFL3":
        raise WeightsError(f"{path} is not a TFLite file (no TFL3 mark at byte 4)")
    if len(data) > _LARGEST_FILE:
        raise WeightsError(f"{path} has more than {_LARGEST_FILE >> 20} MiB: not a MoViNet")
    return parse_tflite(data, path)


def parse_tflite(data: bytes, path: str | Path = "the file") -> TFLiteGraph:
    """The first subgraph of a TFLite file's bytes; `path` is how messages call it. Raises `WeightsError`."""
    try:
        return _graph(_Table(_File(data), struct.unpack_from("<I", data)[0]))
    except (struct.error, ValueError, IndexError, KeyError, OverflowError) as error:
        raise WeightsError(f"{path} is a damaged TFLite file ({error}); get it again") from error


class _File:
    """A file's bytes, and how much more of them may be read.

    Tables may overlap and be pointed to any number of times: without this a small file could ask for any work.
    """

    def __init__(self, data: bytes) -> None:
        self.data, self.view = data, memoryview(data)
        # In an honest file everything has bytes of its own.
        self.left = min(len(data) + 1024, _MOST_READ)

    def spend(self, amount: int) -> None:
        self.left -= amount
        if self.left < 0:
            raise ValueError("its tables point to each other's bytes, or are more than a MoViNet has")


class _Table:
    """A flatbuffer table at `position` of `file`; every accessor takes the field's position in the schema."""

    def __init__(self, file: _File, position: int) -> None:
        file.spend(1)
        self.file, self.position = file, position
        self.vtable = position - self.unpack("i", position)
        if self.vtable < 0:
            raise ValueError(f"table at {position} points before the file")

    def unpack(self, code: str, position: int) -> int:
        return int(struct.unpack_from("<" + code, self.file.data, position)[0])

    def at(self, field: int) -> int | None:
        entry = 4 + 2 * field
        offset = self.unpack("H", self.vtable + entry) if entry < self.unpack("H", self.vtable) else 0
        return self.position + offset if offset else None

    def scalar(self, field: int, code: str) -> int:
        position = self.at(field)
        return 0 if position is None else self.unpack(code, position)

    def pair(self, fields: tuple[int, int], absent: int = 0) -> tuple[int, int]:
        """(height, width) of two integers."""
        height, width = (self.scalar(field, "i") or absent for field in fields)
        return height, width

    def _pointer(self, field: int) -> int | None:
        position = self.at(field)
        return None if position is None else position + self.unpack("I", position)

    def table(self, field: int) -> "_Table | None":
        position = self._pointer(field)
        return None if position is None else _Table(self.file, position)

    def raw(self, field: int) -> memoryview:
        """A view of the file: it takes no memory however often the bytes are pointed to."""
        position = self._pointer(field)
        if position is None:
            return self.file.view[:0]
        size = self.unpack("I", position)
        if position + 4 + size > len(self.file.data):
            raise ValueError(f"{size} bytes at {position} reach past the end")
        return self.file.view[position + 4 : position + 4 + size]

    def text(self, field: int) -> str:
        raw = self.raw(field)
        self.file.spend(len(raw))
        return str(raw, "utf-8")

    def floats(self, field: int) -> tuple[float, ...]:
        return self._numbers(field, "f")

    def integers(self, field: int, code: str = "i") -> tuple[int, ...]:
        return self._numbers(field, code)

    def _numbers(self, field: int, code: str) -> tuple[int, ...]:
        position = self._pointer(field)
        if position is None:
            return ()
        count = self.unpack("I", position)
        self.file.spend(count)
        return struct.unpack_from(f"<{count}{code}", self.file.data, position + 4)

    def tables(self, field: int) -> "list[_Table]":
        first = self._pointer(field)
        if first is None:
            return []
        count = self.unpack("I", first)
        self.file.spend(count)
        slots = range(first + 4, first + 4 + 4 * count, 4)
        return [_Table(self.file, slot + self.unpack("I", slot)) for slot in slots]


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


def _tensor(table: _Table, buffers: list[memoryview]) -> TFLiteTensor:
    shape, dtype = table.integers(0), _DTYPES.get(table.scalar(1, "b"), "unknown")
    name, data = table.text(3), buffers[table.scalar(2, "I")]
    if len(shape) > _MOST_AXES:
        raise ValueError(f"a tensor of {len(shape)} axes")
    if data and min(shape, default=1) < 0:
        raise ValueError(f"a constant of shape {shape}")
    quantization = table.table(4)
    if quantization is None:
        return TFLiteTensor(name, shape, dtype, data)
    scale, zero_point = quantization.floats(2), quantization.integers(3, "q")
    return TFLiteTensor(name, shape, dtype, data, scale, zero_point, quantization.scalar(6, "i"))


def _operator(table: _Table, codes: list[int]) -> TFLiteOperator:
    code = codes[table.scalar(0, "I")]
    kind = _KINDS.get(code, f"operator {code}")
    inputs, outputs, options = table.integers(1), table.integers(2), table.table(4)
    if options is None or kind not in _ACTIVATION_FIELD:
        return TFLiteOperator(kind, inputs, outputs)
    activation = _ACTIVATIONS[options.scalar(_ACTIVATION_FIELD[kind], "b")]
    if kind not in _WINDOWED:
        return TFLiteOperator(kind, inputs, outputs, activation)
    padding, stride = _PADDINGS[options.scalar(0, "b")], options.pair((2, 1))
    if kind == "AVERAGE_POOL_2D":
        return TFLiteOperator(kind, inputs, outputs, activation, padding, stride, window=options.pair((4, 3)))
    width = _DILATION_FIELD[kind]
    return TFLiteOperator(kind, inputs, outputs, activation, padding, stride, options.pair((width + 1, width), 1))
