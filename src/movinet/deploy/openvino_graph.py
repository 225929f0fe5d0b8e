"""Networks as OpenVINO's own graphs, of static shapes."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from movinet.arch.step import FEATURES, FRAMES, LOGITS, TensorSpec
from movinet.deploy.graph_clip import Clip, write_clip
from movinet.deploy.graph_step import Step, write_head, write_step
from movinet.deploy.network import Array, FoldedNetwork
from movinet.errors import needs_extra

if TYPE_CHECKING:
    import openvino as ov


def openvino_step(
    step: Step, streams: int = 1, *, channels_last: bool = False, stateful: bool = False, rounded: bool = False
) -> "ov.Model":
    """A step; tensors are named as in its signature.

    Args:
        step: `past="partial_sums"` is the fastest here.
        streams: rows of a batch.
        channels_last: `frames` is (n·streams, H, W, 3), as images lie in memory.
        stateful: the graph keeps the past of its convolutions in variables of its own, named as the ports they take
            the place of, which begin at zero and which `InferRequest.reset_state` sets back. Pools and counts stay
            inputs and outputs: as variables they would take on the precision of inference, in bfloat16 one that cannot
            even count to 300 frames.
        rounded: it will be computed in fewer bits than float32, all but the pools.

    Raises:
        MovinetError: OpenVINO is not installed.
    """
    with needs_extra("openvino"):
        import openvino as ov
        from openvino import opset13 as ops
    graph = OpenVINOOperators(rounded)
    parameters, sinks, inputs = [], [], {}
    for port in step.signature.inputs:
        shape = (streams, *port.shape)
        if stateful and is_variable(port.name):
            zeros = graph.constant(np.zeros(shape, port.dtype))
            inputs[port.name] = ops.read_value(zeros, port.name, zeros.get_element_type(), zeros.get_shape()).output(0)
            continue
        if port.name == FRAMES:
            channels, height, width = port.shape
            rows = streams * step.frames
            shape = (rows, height, width, channels) if channels_last else (rows, *port.shape)
        parameters.append(_parameter(port, shape))
        inputs[port.name] = parameters[-1].output(0)
        if port.name == FRAMES and channels_last:
            inputs[FRAMES] = graph.transpose(inputs[FRAMES], (0, 3, 1, 2))
    outputs = write_step(graph, step, inputs)
    if stateful:
        for name, new in step.signature.next_state.items():
            if is_variable(name):
                sinks.append(ops.assign(_node((inputs | outputs)[new]), name))
        outputs = {name: output for name, output in outputs.items() if not is_variable(name)}
    return ov.Model(_results(outputs), sinks, parameters, step.spec.name)


def openvino_head(network: FoldedNetwork, streams: int = 1) -> "ov.Model":
    """From `features` (streams, project) to `logits` (streams, num_classes).

    Raises:
        MovinetError: OpenVINO is not installed.
    """
    with needs_extra("openvino"):
        import openvino as ov
    features = _parameter(TensorSpec(FEATURES, ()), (streams, network.spec.project))
    logits = write_head(OpenVINOOperators(), network, features.output(0))
    return ov.Model(_results({LOGITS: logits}), [features], f"{network.spec.name}, head")


def openvino_clip(clip: Clip, streams: int = 1) -> "ov.Model":
    """A base network for so many clips at once; tensors are named as in its signature.

    Raises:
        MovinetError: OpenVINO is not installed.
    """
    with needs_extra("openvino"):
        import openvino as ov
    (port,) = clip.signature.inputs
    video = _parameter(port, (streams, *port.shape))
    logits = write_clip(OpenVINOOperators(), clip.network, video.output(0))
    return ov.Model(_results({LOGITS: logits}), [video], clip.spec.name)


def is_variable(name: str) -> bool:
    """Whether a stateful graph keeps this part of the state to itself."""
    return ".sum." in name or ".past." in name or name.endswith(".buffer")


def _parameter(port: TensorSpec, shape: Sequence[int]) -> Any:
    from openvino import opset13 as ops

    made = ops.parameter(list(shape), np.dtype(port.dtype), port.name)
    made.output(0).get_tensor().set_names({port.name})
    return made


def _copy(output: "ov.Output") -> Any:
    """A node with this tensor as its only output; it costs nothing, as OpenVINO takes it out again."""
    from openvino import opset13 as ops

    return ops.convert(output, output.get_element_type())


def _node(output: "ov.Output") -> Any:
    node = output.get_node()
    return node if node.get_output_size() == 1 else _copy(output)


def _results(outputs: "Mapping[str, ov.Output]") -> list[Any]:
    from openvino import opset13 as ops

    results, named = [], set()
    for name, output in outputs.items():
        owner = (output.get_node().get_friendly_name(), output.get_index())
        # Two results of one tensor would share one name.
        made = ops.result(_copy(output) if owner in named else output)
        made.output(0).get_tensor().set_names({name})
        results.append(made)
        named.add(owner)
    return results


class OpenVINOOperators:
    """See `movinet.deploy.operators.Operators`."""

    def __init__(self, rounded: bool = False) -> None:
        from openvino import opset13

        self._ops, self._rounded = opset13, rounded

    def constant(self, values: NDArray[Any]) -> "ov.Output":
        return self._ops.constant(np.ascontiguousarray(values)).output(0)

    def _axes(self, axes: Sequence[int]) -> "ov.Output":
        return self.constant(np.array(axes, np.int64))

    def _operand(self, y: "ov.Output | Array") -> "ov.Output":
        return self.constant(y) if isinstance(y, np.ndarray) else y

    def convolution(
        self,
        x: "ov.Output",
        weight: Array,
        bias: Array | None,
        strides: Sequence[int],
        before: Sequence[int],
        after: Sequence[int],
        groups: int,
    ) -> "ov.Output":
        convolve, ones = self._ops.convolution, [1] * len(strides)
        if groups > 1:
            convolve, weight = self._ops.group_convolution, weight.reshape(groups, -1, *weight.shape[1:])
        y = convolve(x, self.constant(weight), list(strides), list(before), list(after), ones).output(0)
        return y if bias is None else self.add(y, bias.reshape(-1, *ones))

    def average_pool(
        self,
        x: "ov.Output",
        window: Sequence[int],
        strides: Sequence[int],
        before: Sequence[int],
        after: Sequence[int],
    ) -> "ov.Output":
        return self._ops.avg_pool(x, list(strides), list(before), list(after), list(window), True).output(0)

    def dense(self, x: "ov.Output", weight: Array, bias: Array) -> "ov.Output":
        return self.add(self._ops.matmul(x, self.constant(weight), False, True).output(0), bias[None])

    def mean(self, x: "ov.Output", axes: Sequence[int]) -> "ov.Output":
        return self._ops.reduce_mean(x, self._axes(axes), False).output(0)

    def pooling(self, mean: "ov.Output") -> "ov.Output":
        """With a convolution that changes nothing before the pool, where numbers are rounded.

        OpenVINO takes what leads from the last convolution to an output for a tail, which it computes in float32
        whatever the precision asked for. The pools need that; the layers before them would take half as long again.
        """
        if not self._rounded:
            return mean
        channels = mean.get_shape()[1]
        ones = np.ones((channels, 1, 1, 1), np.float32)
        image = self.expand_dims(mean, (2, 3))
        return self.squeeze(self.convolution(image, ones, None, (1, 1), (0, 0), (0, 0), channels), (2, 3))

    def add(self, x: "ov.Output", y: "ov.Output | Array") -> "ov.Output":
        return self._ops.add(x, self._operand(y)).output(0)

    def subtract(self, x: "ov.Output", y: "ov.Output") -> "ov.Output":
        return self._ops.subtract(x, y).output(0)

    def multiply(self, x: "ov.Output", y: "ov.Output | Array") -> "ov.Output":
        return self._ops.multiply(x, self._operand(y)).output(0)

    def reciprocal(self, x: "ov.Output") -> "ov.Output":
        return self._ops.divide(self.constant(np.ones((1, 1), np.float32)), x).output(0)

    def concatenate(self, parts: "Sequence[ov.Output]", axis: int) -> "ov.Output":
        return self._ops.concat(list(parts), axis).output(0)

    def split(self, x: "ov.Output", count: int, axis: int) -> "list[ov.Output]":
        return list(self._ops.split(x, axis, count).outputs())

    def transpose(self, x: "ov.Output", order: Sequence[int]) -> "ov.Output":
        return self._ops.transpose(x, self._axes(order)).output(0)

    def expand_dims(self, x: "ov.Output", axes: Sequence[int]) -> "ov.Output":
        return self._ops.unsqueeze(x, self._axes(axes)).output(0)

    def squeeze(self, x: "ov.Output", axes: Sequence[int]) -> "ov.Output":
        return self._ops.squeeze(x, self._axes(axes)).output(0)

    def minimum(self, x: "ov.Output", limit: int) -> "ov.Output":
        return self._ops.minimum(x, self.constant(np.array([[limit]], np.int32))).output(0)

    def increment(self, x: "ov.Output") -> "ov.Output":
        return self._ops.add(x, self.constant(np.array([[1]], np.int32))).output(0)

    def look_up(self, table: Array, rows: "ov.Output") -> "ov.Output":
        return self._ops.gather(self.constant(table), rows, self.constant(np.array(0, np.int64))).output(0)

    def relu(self, x: "ov.Output") -> "ov.Output":
        return self._ops.relu(x).output(0)

    def clip(self, x: "ov.Output", low: float, high: float) -> "ov.Output":
        return self._ops.clamp(x, low, high).output(0)

    def sigmoid(self, x: "ov.Output") -> "ov.Output":
        return self._ops.sigmoid(x).output(0)

    def hard_swish(self, x: "ov.Output") -> "ov.Output":
        return self._ops.hswish(x).output(0)

    def swish(self, x: "ov.Output") -> "ov.Output":
        return self._ops.swish(x).output(0)
