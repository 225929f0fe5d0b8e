"""Writes TFLite files: graphs as plain lists of tensors and operators, and the flatbuffer made of them.

Format: `schema.fbs` of tensorflow/compiler/mlir/lite/schema, by the classes generated from it that come with LiteRT.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from movinet.errors import needs_litert

Shape = tuple[int, ...]

_OPTIONS = {  # the table of options each operator has in the schema
    "ADD": "AddOptions",
    "AVERAGE_POOL_2D": "Pool2DOptions",
    "CONCATENATION": "ConcatenationOptions",
    "CONV_2D": "Conv2DOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "DIV": "DivOptions",
    "FULLY_CONNECTED": "FullyConnectedOptions",
    "GATHER": "GatherOptions",
    "MEAN": "ReducerOptions",
    "MUL": "MulOptions",
    "RESHAPE": "ReshapeOptions",
    "SUB": "SubOptions",
}
_ALIGNMENT = 16  # of constants, as the schema demands


@dataclass(frozen=True)
class Quantization:
    """Real value = scale · (stored − zero_point), along `axis` where there are several scales."""

    scale: NDArray[np.float32]
    zero_point: NDArray[np.int64]
    axis: int = 0


@dataclass
class Tensor:
    """A value of the graph; `data` is that of a constant."""

    name: str
    shape: Shape
    dtype: str = "float32"
    data: NDArray[Any] | None = None
    quantization: Quantization | None = None


@dataclass
class Operator:
    """`kind` is the schema's name; inputs and outputs are positions in the graph's tensors."""

    kind: str
    inputs: list[int]
    outputs: list[int]
    options: dict[str, Any] = field(default_factory=dict)


@dataclass
class Graph:
    """A function of named tensors, its operators in the order they run."""

    tensors: list[Tensor] = field(default_factory=list)
    operators: list[Operator] = field(default_factory=list)
    inputs: dict[str, int] = field(default_factory=dict)
    outputs: dict[str, int] = field(default_factory=dict)

    def shape(self, tensor: int) -> Shape:
        return self.tensors[tensor].shape

    def input(self, name: str, shape: Shape, dtype: str = "float32") -> int:
        self.inputs[name] = self._add(Tensor(name, shape, dtype))
        return self.inputs[name]

    def output(self, name: str, tensor: int) -> None:
        self.outputs[name] = tensor
        self.tensors[tensor].name = name

    def constant(self, data: NDArray[Any]) -> int:
        return self._add(
            Tensor(f"constant.{len(self.tensors)}", data.shape, str(data.dtype), np.ascontiguousarray(data))
        )

    def apply(self, kind: str, inputs: Sequence[int], shape: Shape, dtype: str = "", **options: Any) -> int:
        """Append an operator with one output.

        Args:
            kind: the schema's name of it.
            inputs: tensors.
            shape: of the output.
            dtype: of the output; that of the first input by default.
            options: fields of the operator's table in the schema.
        """
        made = self._add(Tensor(f"{kind.lower()}.{len(self.tensors)}", shape, dtype or self.tensors[inputs[0]].dtype))
        self.operators.append(Operator(kind, list(inputs), [made], options))
        return made

    def _add(self, tensor: Tensor) -> int:
        self.tensors.append(tensor)
        return len(self.tensors) - 1


def write_tflite(graphs: dict[str, Graph], description: str = "") -> bytes:
    """A file with one signature for each graph.

    Raises:
        MovinetError: LiteRT is not installed.
    """
    with needs_litert():
        import flatbuffers
        from ai_edge_litert import schema_py_generated as schema

    kinds = sorted({operator.kind for graph in graphs.values() for operator in graph.operators})
    codes = [getattr(schema.BuiltinOperator, kind) for kind in kinds]
    buffers: list[Any] = [schema.BufferT()]  # the first is empty, for what is no constant
    subgraphs, signatures = [], []
    for key, graph in graphs.items():
        tensors = []
        for tensor in graph.tensors:
            buffer = 0
            if tensor.data is not None:
                buffer = len(buffers)
                buffers.append(_Constant(tensor.data))
            tensors.append(
                schema.TensorT(
                    shape=list(tensor.shape),
                    type=getattr(schema.TensorType, tensor.dtype.upper()),
                    buffer=buffer,
                    name=tensor.name,
                    quantization=_quantization(schema, tensor.quantization),
                    hasRank=True,
                )
            )
        operators = [_operator(schema, operator, kinds.index(operator.kind)) for operator in graph.operators]
        subgraphs.append(
            schema.SubGraphT(tensors, list(graph.inputs.values()), list(graph.outputs.values()), operators, name=key)
        )
        ports = [
            [schema.TensorMapT(name=name, tensorIndex=tensor) for name, tensor in named.items()]
            for named in (graph.inputs, graph.outputs)
        ]
        signatures.append(schema.SignatureDefT(*ports, signatureKey=key, subgraphIndex=len(subgraphs) - 1))
    model = schema.ModelT(
        version=3,
        operatorCodes=[
            schema.OperatorCodeT(deprecatedBuiltinCode=min(code, 127), builtinCode=code, version=1) for code in codes
        ],
        subgraphs=subgraphs,
        description=description,
        buffers=buffers,
        signatureDefs=signatures,
    )
    size = sum(tensor.data.nbytes for graph in graphs.values() for tensor in graph.tensors if tensor.data is not None)
    builder = flatbuffers.Builder(size + 2**20)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(memoryview(builder.Bytes)[builder.Head() :])  # `Output` would make one copy more


class _Constant:
    """A buffer of the schema that keeps the alignment, which the generated classes forget."""

    def __init__(self, data: NDArray[Any]) -> None:
        self.data = data

    def Pack(self, builder: Any) -> Any:
        from ai_edge_litert import schema_py_generated as schema

        data = self.data.tobytes()
        builder.StartVector(1, len(data), _ALIGNMENT)
        builder.head = builder.head - len(data)
        builder.Bytes[builder.head : builder.head + len(data)] = data
        vector = builder.EndVector()
        schema.BufferStart(builder)
        schema.BufferAddData(builder, vector)
        return schema.BufferEnd(builder)


def _operator(schema: Any, operator: Operator, code: int) -> Any:
    table = _OPTIONS.get(operator.kind)
    return schema.OperatorT(
        opcodeIndex=code,
        inputs=operator.inputs,
        outputs=operator.outputs,
        builtinOptionsType=getattr(schema.BuiltinOptions, table) if table else 0,
        builtinOptions=getattr(schema, f"{table}T")(**operator.options) if table else None,
    )


def _quantization(schema: Any, quantization: Quantization | None) -> Any:
    if quantization is None:
        return None
    return schema.QuantizationParametersT(
        scale=quantization.scale, zeroPoint=quantization.zero_point, quantizedDimension=quantization.axis
    )
