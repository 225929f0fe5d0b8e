"""LiteRT (TensorFlow Lite): the step as a TFLite file, written operator by operator, for phones and small boards.

Tensors have four axes with channels last, as images lie in memory: a port (C, H, W) of the signature is (B, H, W, C) in
the file, a vector (C,) is (B, 1, 1, C); only logits and features are (B, C). Nothing is transposed, and XNNPACK
takes the whole graph (but for the table of positions, which is looked up before it).
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from movinet.arch import step as names
from movinet.arch.spec import Activation
from movinet.arch.step import Port
from movinet.export.litert_graph import NONE, RELU6, Arithmetic, NetworkGraph, Weights, fused_activation, gate_of
from movinet.export.tflite_writer import Graph, Shape, write_tflite
from movinet.nn.blocks import refuse_unknown_parts
from movinet.nn.deploy import DeployedExcitation, DeployedHead, DeployedLayer, DeployedStep, DeployedTemporal

STEP, HEAD = "step", "head"  # names of the signatures


def to_litert(
    step: DeployedStep,
    head: DeployedHead | None = None,
    streams: int = 1,
    *,
    weights: Weights = "float32",
    arithmetic: Arithmetic = "float32",
) -> bytes:
    """Convert a step; tensors are named as in its signature.

    Args:
        step: what to convert; `past="frames"` is the fastest here.
        head: of a step without one, as a second signature that turns features into logits when asked.
        streams: rows of a batch.
        weights: "float16" halves the file and nothing else; with "int8", dense layers and those 1×1 convolutions that
            have many weights compute in int8, their input quantised as it comes, with nothing to calibrate.
        arithmetic: "float16" wants a processor that has it (ARM v8.2, AVX-512 FP16) and float weights. Past frames take
            half the memory then; images, vectors and logits are float32 in any case.

    Returns:
        The TFLite file, with signatures "step" and, if there is a head, "head".

    Raises:
        MovinetError: LiteRT is not installed.
    """
    graphs = {STEP: step_graph(step, streams, weights, arithmetic)}
    if head is not None:
        graphs[HEAD] = head_graph(head, streams, weights, arithmetic)
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


def file_dtype(port: Port, arithmetic: Arithmetic = "float32") -> str:
    """The type in the file of a signature's port: that of past frames is what the arithmetic is in."""
    past = len(port.shape) == 3 and port.name != names.FRAMES
    return arithmetic if past else port.dtype


def head_graph(
    head: DeployedHead, streams: int = 1, weights: Weights = "float32", arithmetic: Arithmetic = "float32"
) -> Graph:
    """From features to logits."""
    graph = NetworkGraph(streams, weights, arithmetic)
    features = graph.input(names.FEATURES, (streams, head.hidden.in_features))
    graph.output(names.LOGITS, _head(graph, head, features))
    return graph


@dataclass
class _Now:
    """What all layers share of a step."""

    mix: list[int]  # for each frame: how far pooled means move towards it
    positions: dict[str, list[int]]  # for each frame what its position adds, by layer; empty without encoding


def step_graph(
    step: DeployedStep, streams: int = 1, weights: Weights = "float32", arithmetic: Arithmetic = "float32"
) -> Graph:
    """From frames and state to logits or features and new state."""
    spec, signature = step.spec, step.signature
    graph = NetworkGraph(streams, weights, arithmetic)
    for port in signature.inputs:
        graph.input(port.name, file_shape(port, streams, step.frames), file_dtype(port, arithmetic))
    now = _clock(graph, step)
    # Three colours are too few for half-precision arithmetic to be quicker.
    graph.arithmetic = "float32"
    x = graph.convolution(graph.inputs[names.FRAMES], step.stem)
    graph.arithmetic = arithmetic
    x = graph.cast(x, arithmetic)
    for name, layer in zip((place.name for place in spec.layers()), step.layers, strict=True):
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


def _clock(graph: NetworkGraph, step: DeployedStep) -> _Now:
    now = _Now([], {})
    # What XNNPACK does not do comes first, so that all the rest is one piece to it.
    if step.spec.positional_encoding:
        count = graph.inputs[names.FRAME_COUNT]
        limit, one = (graph.constant(np.array(n, np.int32)) for n in (step.spec.position_limit, 1))
        for _ in range(step.frames):
            position = graph.apply("MINIMUM", [count, limit], graph.shape(count))
            position = graph.reshape(position, (graph.streams, 1, 1))
            for name, layer in zip((place.name for place in step.spec.layers()), step.layers, strict=True):
                assert isinstance(layer, DeployedLayer)
                if layer.se is not None and layer.se.positions is not None:
                    table = graph.constant(layer.se.positions.detach().numpy())
                    shape = (graph.streams, 1, 1, graph.shape(table)[1])
                    row = graph.apply("GATHER", [table, position], shape, "float32", axis=0)
                    now.positions.setdefault(name, []).append(row)
            count = graph.apply("ADD", [count, one], graph.shape(count))
        graph.output("new.frame_count", count)
    one, weight = graph.number(1.0), graph.inputs[names.POOL_WEIGHT]
    for _ in range(step.frames):
        weight = graph.binary("ADD", graph.binary("MUL", weight, graph.inputs[names.DECAY]), one)
        now.mix.append(graph.binary("DIV", one, weight))
    graph.output("new.pool_weight", weight)
    return now


def _layer(graph: NetworkGraph, name: str, layer: DeployedLayer, x: int, now: _Now) -> int:
    refuse_unknown_parts(layer)
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
    graph: NetworkGraph, name: str, temporal: DeployedTemporal, frames: list[int], activation: Activation
) -> list[int]:
    """The outputs of new frames, with the activation if it can be fused."""
    kt, past = temporal.kt, temporal.past
    bias = temporal.bias.flatten()
    fused = fused_activation(activation)

    def tap(x: int, which: int, bias: Tensor | None = None) -> int:
        weight = temporal.taps[which]
        weight = weight if temporal.volume else weight[..., None]  # (C, 1, 1, 1)
        return graph.depthwise(x, weight, bias, temporal.stride)

    def add(x: int, y: int, last: bool = True) -> int:
        return graph.binary("ADD", x, y, fused if last else NONE)

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
    graph: NetworkGraph, name: str, se: DeployedExcitation, frames: list[int], now: _Now
) -> tuple[list[int], float]:
    """The frames times their gates, and a factor that is still missing."""
    pool = graph.inputs[f"{name}.pool"]
    hard = gate_of(se.gate)
    slope, scale = hard or (1.0, 1.0)
    scaled = []
    for t, x in enumerate(frames):
        mean = graph.cast(graph.mean(x), "float32")
        pool = _towards(graph, pool, mean, now.mix[t])
        seen = graph.concatenate([pool, mean], 3) if se.beside_frame else pool
        seen = graph.cast(seen, graph.arithmetic)
        fused = fused_activation(se.activation) if se.positions is None else NONE
        hidden = graph.dense(seen, se.reduce.weight, se.reduce.bias, fused)
        if se.positions is not None:
            row = graph.cast(now.positions[name][t], graph.arithmetic)
            hidden = graph.binary("ADD", hidden, row, fused_activation(se.activation))
        hidden = graph.activate(hidden, se.activation)
        if hard is None:
            gates = graph.dense(hidden, se.expand.weight, se.expand.bias)
            gates = graph.apply("LOGISTIC", [gates], graph.shape(gates))
        else:
            gates = graph.dense(hidden, se.expand.weight * slope, se.expand.bias * slope + 3.0, RELU6)
        scaled.append(graph.binary("MUL", x, gates))
    graph.output(f"new.{name}.pool", pool)
    return scaled, scale


def _towards(graph: NetworkGraph, pool: int, mean: int, share: int) -> int:
    return graph.binary("ADD", pool, graph.binary("MUL", graph.binary("SUB", mean, pool), share))


def _head(graph: NetworkGraph, head: DeployedHead, features: int) -> int:
    features = graph.cast(features, graph.arithmetic)
    hidden = graph.dense(features, head.hidden.weight, head.hidden.bias, fused_activation(head.activation), keep=False)
    hidden = graph.activate(hidden, head.activation)
    return graph.cast(graph.dense(hidden, head.classifier.weight, head.classifier.bias, keep=False), "float32")
