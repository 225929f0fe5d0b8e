"""LiteRT (TensorFlow Lite): the step as a TFLite file, written operator by operator, for phones and small boards.

Tensors have four axes with channels last, as images lie in memory: a port (C, H, W) of the signature is (B, H, W, C) in
the file, a vector (C,) is (B, 1, 1, C); only logits and features are (B, C). Nothing is transposed, and XNNPACK
takes the whole graph (but for the table of positions, which is looked up before it).
"""

from dataclasses import dataclass

import numpy as np

from movinet.arch import step as names
from movinet.arch.step import StateLayout
from movinet.deploy.graph_step import Step
from movinet.deploy.litert_graph import NONE, RELU6, NetworkGraph, fused_activation, gate_of
from movinet.deploy.litert_tensors import HEAD, STEP, Arithmetic, WeightType, file_dtype, file_shape
from movinet.deploy.network import Array, FoldedBottleneck, FoldedDense, FoldedExcitation, FoldedNetwork, FoldedTemporal
from movinet.deploy.tflite_writer import Graph, write_tflite


def to_litert(
    step: Step,
    streams: int = 1,
    *,
    weights: WeightType = "float32",
    arithmetic: Arithmetic = "float32",
) -> bytes:
    """Convert the step of a stream network; tensors are named as in its signature.

    Args:
        step: what to convert; `past="frames"` is the fastest here. Where it ends with features, a second signature
            turns them into logits when asked.
        streams: rows of a batch.
        weights: "float16" halves the file and nothing else; with "int8", dense layers and those 1×1 convolutions that
            have many weights compute in int8, their input quantized as it comes, with nothing to calibrate.
        arithmetic: "float16" wants a processor that has it (ARM v8.2, AVX-512 FP16) and float weights. Past frames take
            half the memory then; images, vectors and logits are float32 in any case.

    Returns:
        The TFLite file, with signatures "step" and, for a step without head, "head".

    Raises:
        MovinetError: LiteRT is not installed.
        SpecError: the network has something LiteRT has no operator for.
    """
    graphs = {STEP: step_graph(step, streams, weights, arithmetic)}
    if not step.predict:
        graphs[HEAD] = head_graph(step.network, streams, weights, arithmetic)
    return write_tflite(graphs, description=f"{step.spec.name}, {step.frames} frame(s) a step")


def head_graph(
    network: FoldedNetwork, streams: int = 1, weights: WeightType = "float32", arithmetic: Arithmetic = "float32"
) -> Graph:
    """From features to logits."""
    graph = NetworkGraph(streams, weights, arithmetic)
    features = graph.input(names.FEATURES, (streams, network.spec.project))
    graph.output(names.LOGITS, _head(graph, network, features))
    return graph


@dataclass
class _FrameContext:
    """What all layers share of a step."""

    pool_weights: list[int]  # for each frame: how far pooled means move toward it
    positions: dict[str, list[int]]  # for each frame what its position adds, by layer; empty without encoding


def step_graph(
    step: Step, streams: int = 1, weights: WeightType = "float32", arithmetic: Arithmetic = "float32"
) -> Graph:
    """From frames and state to logits or features and new state."""
    network, signature = step.network, step.signature
    graph = NetworkGraph(streams, weights, arithmetic)
    for port in signature.inputs:
        graph.input(port.name, file_shape(port, streams, step.frames), file_dtype(port, arithmetic))
    context = _frame_context(graph, network, step.frames)
    # Three colors are too few for half-precision arithmetic to be quicker.
    graph.arithmetic = "float32"
    x = graph.convolution(graph.inputs[names.FRAMES], network.stem)
    graph.arithmetic = arithmetic
    x = graph.cast(x, arithmetic)
    for layer in network.layers:
        x = _layer(graph, layer, x, step.past, context)
    means = graph.cast(graph.mean(graph.convolution(x, network.project)), "float32")
    pooled = graph.inputs["head.pool"]
    for mean, share in zip(graph.chunks(means, step.frames), context.pool_weights, strict=True):
        pooled = _toward(graph, pooled, mean, share)
    graph.output("new.head.pool", pooled)
    if step.predict:
        graph.output(names.LOGITS, _head(graph, network, pooled))
    else:
        graph.output(names.FEATURES, graph.reshape(pooled, (streams, network.spec.project)))
    graph.outputs = {port.name: graph.outputs[port.name] for port in signature.outputs}
    return graph


def _frame_context(graph: NetworkGraph, network: FoldedNetwork, frames: int) -> _FrameContext:
    context, spec = _FrameContext([], {}), network.spec
    # What XNNPACK does not do comes first, so that all the rest is one piece to it.
    if spec.positional_encoding:
        assert spec.position_limit is not None
        count = graph.inputs[names.FRAME_COUNT]
        limit, one = (graph.constant(np.array(n, np.int32)) for n in (spec.position_limit, 1))
        for _ in range(frames):
            position = graph.apply("MINIMUM", [count, limit], graph.shape(count))
            position = graph.reshape(position, (graph.streams, 1, 1))
            for layer in network.layers:
                if layer.excitation is None or layer.excitation.position_scale is None:
                    continue
                table = graph.constant(layer.excitation.position_rows(np.arange(spec.position_limit + 1)))
                shape = (graph.streams, 1, 1, graph.shape(table)[1])
                row = graph.apply("GATHER", [table, position], shape, "float32", axis=0)
                context.positions.setdefault(layer.name, []).append(row)
            count = graph.apply("ADD", [count, one], graph.shape(count))
        graph.output("new.frame_count", count)
    one, weight = graph.number(1.0), graph.inputs[names.POOL_WEIGHT]
    for _ in range(frames):
        weight = graph.binary("ADD", graph.binary("MUL", weight, graph.inputs[names.DECAY]), one)
        context.pool_weights.append(graph.binary("DIV", one, weight))
    graph.output("new.pool_weight", weight)
    return context


def _layer(graph: NetworkGraph, layer: FoldedBottleneck, x: int, past: StateLayout, context: _FrameContext) -> int:
    skip = x
    if layer.skip is not None:
        if layer.place.stride > 1:
            skip = graph.average_pool(x, layer.place.stride)
        skip = graph.convolution(skip, layer.skip)
    x = graph.convolution(x, layer.expand)
    if layer.spatial is not None:
        x = graph.convolution(x, layer.spatial)
    scale = 1.0
    if layer.temporal is not None or layer.excitation is not None:
        frames = graph.chunks(x, len(context.pool_weights))
        if layer.temporal is not None:
            convolved = _temporal(graph, layer.name, layer.temporal, frames, past)
            frames = [graph.activate(y, layer.temporal.activation) for y in convolved]
        if layer.excitation is not None:
            frames, scale = _excitation(graph, layer.name, layer.excitation, frames, context)
        x = graph.concatenate(frames, 0)
    return graph.binary("ADD", graph.convolution(x, layer.project, scale), skip)


def _temporal(
    graph: NetworkGraph, name: str, temporal: FoldedTemporal, frames: list[int], past: StateLayout
) -> list[int]:
    """The outputs of new frames, with the activation if it can be fused."""
    kt, bias = temporal.frames, temporal.bias
    fused = fused_activation(temporal.activation)

    def tap(x: int, which: int, bias: Array | None = None) -> int:
        return graph.depthwise(x, temporal.weight[:, which], bias, temporal.stride)

    def add(x: int, y: int, last: bool = True) -> int:
        return graph.binary("ADD", x, y, fused if last else NONE)

    outputs = []
    if past == "partial_sums":
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
        if temporal.in_space:
            y = tap(window[0], 0, bias)
            for which in range(1, kt):
                y = add(y, tap(window[which], which), which == kt - 1)
        else:
            y = graph.convolution_of_frames(window, temporal.weight[:, :, 0, 0], bias, fused)
        outputs.append(y)
    newest = known[len(frames) :]
    if past == "buffer":
        graph.output(f"new.{name}.buffer", graph.concatenate(newest, 3))
    else:
        for i, frame in list(enumerate(newest))[-len(frames) :]:
            graph.output(f"new.{name}.past.{i}", frame)
    return outputs


def _excitation(
    graph: NetworkGraph, name: str, se: FoldedExcitation, frames: list[int], context: _FrameContext
) -> tuple[list[int], float]:
    """The frames times their gates, and a factor that is still missing."""
    pool, activation = graph.inputs[f"{name}.pool"], se.reduce.activation
    scale, scaled = 1.0, []
    for t, x in enumerate(frames):
        mean = graph.cast(graph.mean(x), "float32")
        pool = _toward(graph, pool, mean, context.pool_weights[t])
        seen = graph.concatenate([pool, mean], 3) if se.beside_frame else pool
        seen = graph.cast(seen, graph.arithmetic)
        fused = fused_activation(activation) if se.position_scale is None else NONE
        hidden = graph.dense(seen, se.reduce, fused)
        if se.position_scale is not None:
            row = graph.cast(context.positions[name][t], graph.arithmetic)
            hidden = graph.binary("ADD", hidden, row, fused_activation(activation))
        hidden = graph.activate(hidden, activation)
        gates, scale = _gates(graph, hidden, se)
        scaled.append(graph.binary("MUL", x, gates))
    graph.output(f"new.{name}.pool", pool)
    return scaled, scale


def _gates(graph: NetworkGraph, hidden: int, se: FoldedExcitation) -> tuple[int, float]:
    """Gates up to a factor, and the factor."""
    hard = gate_of(se.gate)
    if hard is None:
        gates = graph.dense(hidden, se.expand)
        return graph.apply("LOGISTIC", [gates], graph.shape(gates)), 1.0
    slope, scale = hard
    expand = FoldedDense(se.expand.weight * np.float32(slope), se.expand.bias * np.float32(slope) + np.float32(3.0))
    return graph.dense(hidden, expand, RELU6), scale


def _toward(graph: NetworkGraph, pool: int, mean: int, share: int) -> int:
    return graph.binary("ADD", pool, graph.binary("MUL", graph.binary("SUB", mean, pool), share))


def _head(graph: NetworkGraph, network: FoldedNetwork, features: int) -> int:
    features = graph.cast(features, graph.arithmetic)
    hidden = graph.dense(features, network.hidden, fused_activation(network.hidden.activation), keep=False)
    hidden = graph.activate(hidden, network.hidden.activation)
    logits = graph.dense(hidden, network.classifier, keep=False) if network.classifier else hidden
    return graph.cast(logits, "float32")
