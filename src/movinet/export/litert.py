"""LiteRT (TensorFlow Lite): the step as a TFLite file, written operator by operator, for phones and small boards.

Tensors have four axes with channels last, as images lie in memory: a port (C, H, W) of the signature is (B, H, W, C) in
the file, a vector (C,) is (B, 1, 1, C); only logits and features are (B, C). Nothing is transposed, and XNNPACK
takes the whole graph (but for the table of positions, which is looked up before it).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from movinet.arch import step as names
from movinet.arch.spec import Activation, Gate
from movinet.arch.step import Port
from movinet.export.tflite_writer import Graph, Shape, write_tflite
from movinet.nn.deploy import (
    DeployedConvolution,
    DeployedExcitation,
    DeployedHead,
    DeployedLayer,
    DeployedStep,
    DeployedTemporal,
)

STEP, HEAD = "step", "head"  # names of the signatures
Precision = Literal["float32", "float16"]

_SAME, _VALID = 0, 1
_FUSED: dict[Activation, int] = {"relu": 1, "relu6": 3}  # that every operator can do on its way out
_RELU6 = 3
# Gates that are relu6(slope · x + 3) · scale: slope and scale go into the weights before and after.
_HARD_GATES: dict[Gate, tuple[float, float]] = {
    "hard_sigmoid_keras": (1.2, 1 / 6),
    "hard_sigmoid_garden": (1.0, 0.16667),
    "hard_sigmoid_torch": (1.0, 1 / 6),
}


def to_litert(
    step: DeployedStep, head: DeployedHead | None = None, streams: int = 1, precision: Precision = "float32"
) -> bytes:
    """Convert a step; tensors are named as in its signature.

    Args:
        step: what to convert; `past="frames"` is the fastest here.
        head: of a step without one, as a second signature that turns features into logits when asked.
        streams: rows of a batch.
        precision: "float16" computes in it, which wants a processor that can (ARM v8.2, AVX-512 FP16) or a GPU;
            weights and past frames take half the memory. Frames, vectors and logits are float32 in any case.

    Returns:
        The TFLite file, with signatures "step" and, if there is a head, "head".

    Raises:
        MovinetError: LiteRT is not installed.
    """
    graphs = {STEP: step_graph(step, streams, precision)}
    if head is not None:
        graphs[HEAD] = head_graph(head, streams, precision)
    return write_tflite(graphs, description=f"{step.spec.name}, {step.frames} frame(s) a step")


def file_shape(port: Port, streams: int, frames: int = 1) -> Shape:
    """The shape in the file of a signature's port."""
    if port.name == names.FRAMES:
        streams *= frames
    if port.name in (names.LOGITS, names.FEATURES):
        return (streams, *port.shape)
    if len(port.shape) == 1:
        return (streams, 1, 1, *port.shape)
    return (streams, *port.shape[1:], port.shape[0])


def file_dtype(port: Port, precision: Precision = "float32") -> str:
    """The type in the file of a signature's port: in half precision, the past frames are."""
    images = len(port.shape) == 3 and port.name != names.FRAMES
    return precision if images else port.dtype


def head_graph(head: DeployedHead, streams: int = 1, precision: Precision = "float32") -> Graph:
    graph = _NetworkGraph(streams, precision)
    features = graph.input(names.FEATURES, (streams, head.hidden.in_features))
    graph.output(names.LOGITS, _head(graph, head, features))
    return graph


@dataclass
class _Now:
    """What all layers share of a step."""

    mix: list[int]  # for each frame: how far pooled means move towards it
    positions: list[int]  # for each frame; empty without positional encoding


def step_graph(step: DeployedStep, streams: int = 1, precision: Precision = "float32") -> Graph:
    spec, signature = step.spec, step.signature
    graph = _NetworkGraph(streams, precision)
    for port in signature.inputs:
        graph.input(port.name, file_shape(port, streams, step.frames), file_dtype(port, precision))
    now = _clock(graph, step)
    x = graph.convolution(graph.cast(graph.inputs[names.FRAMES], precision), step.stem)
    for (name, _, _), layer in zip(names.layers(spec), step.layers, strict=True):
        assert isinstance(layer, DeployedLayer)
        x = _layer(graph, name, layer, x, now)
    means = graph.cast(graph.mean(graph.convolution(x, step.project)), "float32")
    pooled = graph.inputs["head.pool"]
    for mean, share in zip(graph.chunks(means, step.frames), now.mix, strict=True):
        pooled = _towards(graph, pooled, mean, share)
    graph.output("new.head.pool", pooled)
    if step.head is not None:
        graph.output(names.LOGITS, _head(graph, step.head, pooled))
    else:
        graph.output(names.FEATURES, graph.reshape(pooled, (streams, spec.project)))
    graph.outputs = {port.name: graph.outputs[port.name] for port in signature.outputs}
    return graph


def _clock(graph: "_NetworkGraph", step: DeployedStep) -> _Now:
    now = _Now([], [])
    one, weight = graph.number(1.0), graph.inputs[names.POOL_WEIGHT]
    for _ in range(step.frames):
        weight = graph.binary("ADD", graph.binary("MUL", weight, graph.inputs[names.DECAY]), one)
        now.mix.append(graph.binary("DIV", one, weight))
    graph.output("new.pool_weight", weight)
    if step.spec.positional_encoding:
        count = graph.inputs[names.FRAME_COUNT]
        limit, one = (graph.constant(np.array(n, np.int32)) for n in (step.spec.position_limit, 1))
        for _ in range(step.frames):
            position = graph.apply("MINIMUM", [count, limit], graph.shape(count))
            now.positions.append(graph.reshape(position, (graph.streams, 1, 1)))
            count = graph.apply("ADD", [count, one], graph.shape(count))
        graph.output("new.frame_count", count)
    return now


def _layer(graph: "_NetworkGraph", name: str, layer: DeployedLayer, x: int, now: _Now) -> int:
    skip = x
    if layer.skip is not None:
        if layer.skip_stride > 1:
            skip = graph.average_pool(x, layer.skip_stride)
        skip = graph.convolution(skip, layer.skip)
    x = graph.convolution(x, layer.expand)
    if layer.spatial is not None:
        x = graph.convolution(x, layer.spatial)
    scale = 1.0
    if layer.temporal is not None or layer.se is not None:
        frames = graph.chunks(x, len(now.mix))
        if layer.temporal is not None:
            frames = [
                graph.activate(y, layer.activation)
                for y in _temporal(graph, name, layer.temporal, frames, layer.activation)
            ]
        if layer.se is not None:
            frames, scale = _excitation(graph, name, layer.se, frames, now)
        x = graph.concatenate(frames, 0)
    return graph.binary("ADD", graph.convolution(x, layer.project, scale), skip)


def _temporal(
    graph: "_NetworkGraph", name: str, temporal: DeployedTemporal, frames: list[int], activation: Activation
) -> list[int]:
    """The outputs of new frames, with the activation if it can be fused."""
    kt, past = temporal.kt, temporal.past
    bias = temporal.bias.flatten()
    fused = _FUSED.get(activation, 0)

    def tap(x: int, which: int, bias: Tensor | None = None) -> int:
        weight = temporal.taps[which]
        weight = weight if temporal.volume else weight[..., None]  # (C, 1, 1, 1)
        return graph.depthwise(x, weight, bias, temporal.stride)

    def add(x: int, y: int, last: bool = True) -> int:
        return graph.binary("ADD", x, y, fused if last else 0)

    outputs = []
    if past == "sums":
        sums = [graph.inputs[f"{name}.sum.{i}"] for i in range(kt - 1)]
        for x in frames:
            outputs.append(add(tap(x, kt - 1, bias), sums[0]))
            taps = [tap(x, kt - 2 - i) for i in range(kt - 1)]
            sums = [add(t, due, False) for t, due in zip(taps, sums[1:], strict=False)] + taps[-1:]
        for i, new in enumerate(sums):
            graph.output(f"new.{name}.sum.{i}", new)
        return outputs
    if past == "buffer":
        before = graph.chunks(graph.inputs[f"{name}.buffer"], kt - 1, axis=3)
    else:
        before = [graph.inputs[f"{name}.past.{i}"] for i in range(kt - 1)]
    known = before + frames
    for t in range(len(frames)):
        window = known[t : t + kt]
        if temporal.volume:
            y = tap(window[0], 0, bias)
            for which in range(1, kt):
                y = add(y, tap(window[which], which), which == kt - 1)
        else:
            y = graph.convolution_of_frames(window, torch.cat(list(temporal.taps), 1), bias, fused)
        outputs.append(y)
    newest = known[len(frames) :]
    if past == "buffer":
        graph.output(f"new.{name}.buffer", graph.concatenate(newest, 3))
    else:
        for i, frame in list(enumerate(newest))[-len(frames) :]:
            graph.output(f"new.{name}.past.{i}", frame)
    return outputs


def _excitation(
    graph: "_NetworkGraph", name: str, se: DeployedExcitation, frames: list[int], now: _Now
) -> tuple[list[int], float]:
    """The frames times their gates, and a factor that is still missing."""
    pool = graph.inputs[f"{name}.pool"]
    slope, scale = _HARD_GATES.get(se.gate, (1.0, 1.0))
    scaled = []
    for t, x in enumerate(frames):
        mean = graph.cast(graph.mean(x), "float32")
        pool = _towards(graph, pool, mean, now.mix[t])
        seen = graph.concatenate([pool, mean], 3) if se.beside_frame else pool
        seen = graph.cast(seen, graph.precision)
        fused = _FUSED.get(se.activation, 0) if se.positions is None else 0
        hidden = graph.dense(seen, se.reduce.weight, se.reduce.bias, fused)
        if se.positions is not None:
            table = graph.constant(se.positions.detach().numpy())
            row = graph.apply("GATHER", [table, now.positions[t]], graph.shape(hidden), axis=0)
            hidden = graph.binary("ADD", hidden, graph.cast(row, graph.precision), _FUSED.get(se.activation, 0))
        hidden = graph.activate(hidden, se.activation)
        if se.gate == "sigmoid":
            gates = graph.dense(hidden, se.expand.weight, se.expand.bias)
            gates = graph.apply("LOGISTIC", [gates], graph.shape(gates))
        else:
            gates = graph.dense(hidden, se.expand.weight * slope, se.expand.bias * slope + 3.0, _RELU6)
        scaled.append(graph.binary("MUL", x, gates))
    graph.output(f"new.{name}.pool", pool)
    return scaled, scale


def _towards(graph: "_NetworkGraph", pool: int, mean: int, share: int) -> int:
    return graph.binary("ADD", pool, graph.binary("MUL", graph.binary("SUB", mean, pool), share))


def _head(graph: "_NetworkGraph", head: DeployedHead, features: int) -> int:
    features = graph.cast(features, graph.precision)
    hidden = graph.dense(features, head.hidden.weight, head.hidden.bias, _FUSED.get(head.activation, 0), keep=False)
    hidden = graph.activate(hidden, head.activation)
    return graph.cast(graph.dense(hidden, head.classifier.weight, head.classifier.bias, keep=False), "float32")


class _NetworkGraph(Graph):
    """Operators by what a network calls them; tensors are (N, H, W, C)."""

    def __init__(self, streams: int, precision: Precision) -> None:
        super().__init__()
        self.streams, self.precision = streams, precision

    def number(self, value: float) -> int:
        return self.constant(np.full((1, 1, 1, 1), value, np.float32))

    def weights(self, values: Tensor) -> int:
        return self.constant(values.detach().numpy().astype(self.precision))

    def cast(self, x: int, dtype: str) -> int:
        return x if self.tensors[x].dtype == dtype else self.apply("CAST", [x], self.shape(x), dtype)

    def binary(self, kind: str, x: int, y: int, fused: int = 0) -> int:
        shape = tuple(np.broadcast_shapes(self.shape(x), self.shape(y)))
        return self.apply(kind, [x, y], shape, fusedActivationFunction=fused)

    def activate(self, x: int, activation: Activation) -> int:
        """An activation as an operator of its own; those that can be fused already were."""
        if activation == "hard_swish":
            return self.apply("HARD_SWISH", [x], self.shape(x))
        if activation == "swish":
            return self.binary("MUL", x, self.apply("LOGISTIC", [x], self.shape(x)))
        return x

    def convolution(self, x: int, part: DeployedConvolution, scale: float = 1.0) -> int:
        """With activation; the weights, not the bias, times `scale`."""
        fused = _FUSED.get(part.activation, 0) if part.activation else 0
        if part.groups > 1:
            y = self.depthwise(x, part.weight, part.bias, part.stride, fused)
        else:
            weight = _unpadded(part.weight * scale)
            shape = self._strided(x, part.stride, weight.shape[0])
            # (O, kh, kw, I)
            inputs = [x, self.weights(weight.permute(0, 2, 3, 1)), self.weights(part.bias)]
            y = self._windowed("CONV_2D", inputs, shape, part.stride, fused)
        return self.activate(y, part.activation) if part.activation else y

    def depthwise(self, x: int, weight: Tensor, bias: Tensor | None, stride: int = 1, fused: int = 0) -> int:
        weight = _unpadded(weight)  # (C, 1, kh, kw)
        channels = weight.shape[0]
        bias = weight.new_zeros(channels) if bias is None else bias
        inputs = [x, self.weights(weight.permute(1, 2, 3, 0)), self.weights(bias)]
        shape = self._strided(x, stride, channels)
        return self._windowed("DEPTHWISE_CONV_2D", inputs, shape, stride, fused, depthMultiplier=1)

    def convolution_of_frames(self, frames: Sequence[int], weight: Tensor, bias: Tensor, fused: int = 0) -> int:
        """A depthwise convolution over as many frames as it has taps (C, kt, 1).

        The frames are joined along their height and the kernel's taps lie a frame's height apart: to join and convolve
        takes a third less time than to scale and add frame by frame, and no tensor has to change its shape.
        """
        kernel = weight[None].permute(0, 2, 3, 1)  # (1, kt, 1, C)
        inputs = [self.concatenate(frames, 1), self.weights(kernel), self.weights(bias)]
        return self.apply(
            "DEPTHWISE_CONV_2D",
            inputs,
            self.shape(frames[0]),
            padding=_VALID,
            strideW=1,
            strideH=1,
            fusedActivationFunction=fused,
            depthMultiplier=1,
            dilationHFactor=self.shape(frames[0])[1],
        )

    def average_pool(self, x: int, stride: int) -> int:
        """3×3; like TensorFlow's, it divides by the pixels inside the picture."""
        shape = self._strided(x, stride, self.shape(x)[3])
        return self._windowed("AVERAGE_POOL_2D", [x], shape, stride, 0, filterWidth=3, filterHeight=3)

    def dense(self, x: int, weight: Tensor, bias: Tensor, fused: int = 0, keep: bool = True) -> int:
        inputs = [x, self.weights(weight), self.weights(bias)]
        shape = (*self.shape(x)[:-1], weight.shape[0]) if keep else (self.streams, weight.shape[0])
        return self.apply("FULLY_CONNECTED", inputs, shape, fusedActivationFunction=fused, keepNumDims=keep)

    def mean(self, x: int) -> int:
        n, _, _, c = self.shape(x)
        return self.apply("MEAN", [x, self.constant(np.array([1, 2], np.int32))], (n, 1, 1, c), keepDims=True)

    def reshape(self, x: int, shape: Shape) -> int:
        target = self.constant(np.array(shape, np.int32))
        return self.apply("RESHAPE", [x, target], shape, newShape=list(shape))

    def concatenate(self, parts: Sequence[int], axis: int) -> int:
        if len(parts) == 1:
            return parts[0]
        shape = list(self.shape(parts[0]))
        shape[axis] = sum(self.shape(part)[axis] for part in parts)
        return self.apply("CONCATENATION", parts, tuple(shape), axis=axis)

    def chunks(self, x: int, count: int, axis: int = 0) -> list[int]:
        if count == 1:
            return [x]
        size = list(self.shape(x))
        size[axis] //= count
        pieces = []
        for i in range(count):
            begin = [0] * len(size)
            begin[axis] = i * size[axis]
            bounds = [self.constant(np.array(bound, np.int32)) for bound in (begin, size)]
            pieces.append(self.apply("SLICE", [x, *bounds], tuple(size)))
        return pieces

    def _strided(self, x: int, stride: int, channels: int) -> Shape:
        n, h, w, _ = self.shape(x)
        return n, -(-h // stride), -(-w // stride), channels

    def _windowed(self, kind: str, inputs: list[int], shape: Shape, stride: int, fused: int, **options: Any) -> int:
        return self.apply(
            kind,
            inputs,
            shape,
            padding=_SAME,
            strideW=stride,
            strideH=stride,
            fusedActivationFunction=fused,
            **options,
        )


def _unpadded(weight: Tensor) -> Tensor:
    """Without the row or column of zeros `same_padding` put in front, for here 'same' is TensorFlow's own."""
    return weight.detach()[..., 1 - weight.shape[-2] % 2 :, 1 - weight.shape[-1] % 2 :].contiguous()
