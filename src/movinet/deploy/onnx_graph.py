"""Networks as ONNX graphs of static shapes, written node by node."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from movinet.arch.step import FRAMES, TensorSpec
from movinet.deploy.graph_clip import Lowered, write_clip
from movinet.deploy.graph_step import Step, write_step
from movinet.deploy.network import Array
from movinet.errors import needs_extra

if TYPE_CHECKING:
    import onnx

OPSET = 20
_IR_VERSION = 9  # the format of files when that operator set was new


def onnx_model(lowered: Lowered, streams: int = 1) -> "onnx.ModelProto":
    """A step or a base network; tensors are named as in its signature, images (n·streams, 3, H, W).

    Args:
        lowered: of a step, `past="frames"` is the fastest in ONNX Runtime.
        streams: rows of a batch.

    Raises:
        MovinetError: the packages of the extra `onnx` are not installed.
    """
    with needs_extra("onnx"):
        from onnx import helper
    graph = OnnxOperators()
    signature = lowered.signature
    names = {port.name: port.name for port in signature.inputs}
    if isinstance(lowered, Step):
        outputs = write_step(graph, lowered, names)
    else:
        (clip,), (logits,) = signature.inputs, signature.outputs
        outputs = {logits.name: write_clip(graph, lowered.network, clip.name)}
    graph.name_outputs(outputs)
    rows = streams * lowered.frames
    inputs = [_value(port, rows if port.name == FRAMES else streams) for port in signature.inputs]
    results = [_value(port, streams) for port in signature.outputs]
    whole = helper.make_graph(graph.nodes, lowered.spec.name, inputs, results, graph.tensors)
    opset = helper.make_opsetid("", OPSET)
    return helper.make_model(whole, opset_imports=[opset], ir_version=_IR_VERSION, producer_name="movinet")


def _value(port: TensorSpec, rows: int) -> "onnx.ValueInfoProto":
    from onnx import helper

    kind = helper.np_dtype_to_tensor_dtype(np.dtype(port.dtype))
    return helper.make_tensor_value_info(port.name, kind, (rows, *port.shape))


class OnnxOperators:
    """See `movinet.deploy.operators.Operators`; a tensor is its name."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.tensors: list[onnx.TensorProto] = []

    def node(self, kind: str, inputs: Sequence[str], outputs: int = 1, **attributes: Any) -> list[str]:
        from onnx import helper

        made = (
            [f"{kind}.{len(self.nodes)}"] if outputs == 1 else [f"{kind}.{len(self.nodes)}.{i}" for i in range(outputs)]
        )
        self.nodes.append(helper.make_node(kind, inputs, made, f"node.{made[0]}", **attributes))
        return made

    def apply(self, kind: str, *inputs: str, **attributes: Any) -> str:
        return self.node(kind, inputs, **attributes)[0]

    def constant(self, values: NDArray[Any], name: str = "constant") -> str:
        from onnx import numpy_helper

        name = f"{name}.{len(self.tensors)}"
        self.tensors.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def name_outputs(self, outputs: dict[str, str]) -> None:
        """Give tensors that nodes make the names of the graph's outputs; one of two names for one is a copy."""
        named: dict[str, str] = {}
        for name, made in outputs.items():
            if named.setdefault(made, name) != name:
                copy = self.apply("Identity", made)
                named[copy] = name
        for node in self.nodes:
            for names in (node.input, node.output):
                names[:] = [named.get(name, name) for name in names]

    def convolution(
        self,
        x: str,
        weight: Array,
        bias: Array | None,
        strides: Sequence[int],
        before: Sequence[int],
        after: Sequence[int],
        groups: int,
    ) -> str:
        inputs = [x, self.constant(weight, "weight")]
        if bias is not None:
            inputs.append(self.constant(bias, "bias"))
        kernel = list(weight.shape[2:])
        return self.apply(
            "Conv", *inputs, kernel_shape=kernel, strides=list(strides), pads=[*before, *after], group=groups
        )

    def average_pool(
        self, x: str, window: Sequence[int], strides: Sequence[int], before: Sequence[int], after: Sequence[int]
    ) -> str:
        pads = [*before, *after]
        return self.apply("AveragePool", x, kernel_shape=list(window), strides=list(strides), pads=pads)

    def dense(self, x: str, weight: Array, bias: Array) -> str:
        return self.apply("Gemm", x, self.constant(weight, "weight"), self.constant(bias, "bias"), transB=1)

    def mean(self, x: str, axes: Sequence[int]) -> str:
        return self.apply("ReduceMean", x, self._axes(axes), keepdims=0)

    def pooling(self, mean: str) -> str:
        return mean

    def add(self, x: str, y: str | Array) -> str:
        return self.apply("Add", x, self._operand(y))

    def subtract(self, x: str, y: str) -> str:
        return self.apply("Sub", x, y)

    def multiply(self, x: str, y: str | Array) -> str:
        return self.apply("Mul", x, self._operand(y))

    def reciprocal(self, x: str) -> str:
        return self.apply("Reciprocal", x)

    def concatenate(self, parts: Sequence[str], axis: int) -> str:
        return self.apply("Concat", *parts, axis=axis)

    def split(self, x: str, count: int, axis: int) -> list[str]:
        return self.node("Split", [x], count, axis=axis, num_outputs=count)

    def expand_dims(self, x: str, axes: Sequence[int]) -> str:
        return self.apply("Unsqueeze", x, self._axes(axes))

    def squeeze(self, x: str, axes: Sequence[int]) -> str:
        return self.apply("Squeeze", x, self._axes(axes))

    def minimum(self, x: str, limit: int) -> str:
        return self.apply("Min", x, self.constant(np.array([[limit]], np.int32)))

    def increment(self, x: str) -> str:
        return self.apply("Add", x, self.constant(np.array([[1]], np.int32)))

    def look_up(self, table: Array, rows: str) -> str:
        return self.apply("Gather", self.constant(table, "weight"), rows, axis=0)

    def relu(self, x: str) -> str:
        return self.apply("Relu", x)

    def clip(self, x: str, low: float, high: float) -> str:
        return self.apply("Clip", x, *(self.constant(np.array(bound, np.float32)) for bound in (low, high)))

    def sigmoid(self, x: str) -> str:
        return self.apply("Sigmoid", x)

    def hard_swish(self, x: str) -> str:
        return self.apply("HardSwish", x)

    def swish(self, x: str) -> str:
        return self.multiply(x, self.sigmoid(x))

    def _axes(self, axes: Sequence[int]) -> str:
        return self.constant(np.array(axes, np.int64))

    def _operand(self, y: str | Array) -> str:
        return y if isinstance(y, str) else self.constant(y)
