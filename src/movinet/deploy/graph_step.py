"""The step of a stream network, written once for every kind of graph. `movinet.arch.step` says what its tensors are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Generic, get_args

import numpy as np

from movinet.arch.spec import NetworkSpec
from movinet.arch.step import (
    DECAY,
    FEATURES,
    FRAME_COUNT,
    FRAMES,
    LOGITS,
    POOL_WEIGHT,
    StateLayout,
    StepSignature,
    step_signature,
)
from movinet.deploy.network import Array, FoldedBottleneck, FoldedExcitation, FoldedNetwork, FoldedTemporal
from movinet.deploy.operators import (
    Operators,
    T,
    activate,
    column,
    convolve,
    gates,
    halve,
    same_padding,
    transform,
)
from movinet.errors import SpecError


@dataclass(frozen=True, eq=False)
class Step:
    """A network's step in one form.

    Args:
        network: a stream network; its positional encoding, if any, needs a limit.
        past: how the convolutions' past is held.
        frames: that a step takes at once; its logits are those after the last.
        predict: False leaves the head out: the step ends with features.

    Raises:
        SpecError: the network cannot stream, has positions without limit, or the form is none that there is.
    """

    network: FoldedNetwork
    past: StateLayout = "partial_sums"
    frames: int = 1
    predict: bool = True

    def __post_init__(self) -> None:
        if self.frames < 1:
            raise SpecError(f"{self.spec.name}: a step takes one frame or more, not {self.frames}")
        if self.past not in get_args(StateLayout):
            raise SpecError(f"{self.spec.name}: a step cannot hold its past as {self.past!r}")
        _ = self.signature  # refuses what has none

    @property
    def spec(self) -> NetworkSpec:
        return self.network.spec

    @cached_property
    def signature(self) -> StepSignature:
        return step_signature(self.spec, self.network.size, self.past, self.frames, self.predict)


def write_step(graph: Operators[T], step: Step, inputs: Mapping[str, T]) -> dict[str, T]:
    """Write a step of B streams to a graph.

    Args:
        graph: to write to.
        step: what to write.
        inputs: the tensors of `step.signature.inputs` by name; `frames` is (n·B, 3, H, W), time before stream.

    Returns:
        Those of `step.signature.outputs` by name, in their order.

    Raises:
        SpecError: the network has an activation or a gate for which there are no operators.
    """
    network = step.network
    walk = _Walk(graph, step, inputs, {}, [], [])
    walk.frame_context()
    x, size = convolve(graph, inputs[FRAMES], network.stem, network.size), network.size
    for layer in network.layers:
        x, size = walk.layer(x, layer), layer.place.size_after
    means = graph.mean(convolve(graph, x, network.project, size), (2, 3))
    pooled = inputs["head.pool"]
    for t, mean in enumerate(walk.each(means)):
        pooled = walk.toward(pooled, mean, t)
    walk.outputs["new.head.pool"] = pooled
    walk.outputs[LOGITS if step.predict else FEATURES] = write_head(graph, network, pooled) if step.predict else pooled
    return {port.name: walk.outputs[port.name] for port in step.signature.outputs}


def write_head(graph: Operators[T], network: FoldedNetwork, features: T) -> T:
    """Features (B, project) to logits (B, num_classes), or without a classifier to (B, hidden)."""
    hidden = transform(graph, features, network.hidden)
    return transform(graph, hidden, network.classifier) if network.classifier else hidden


@dataclass
class _Walk(Generic[T]):
    """On the way through a step."""

    graph: Operators[T]
    step: Step
    inputs: Mapping[str, T]
    outputs: dict[str, T]
    pool_weights: list[T]  # (B, 1) for each frame: how far pooled means move toward it
    positions: list[T]  # (B,) for each frame; empty without positional encoding

    def frame_context(self) -> None:
        """What all layers share."""
        graph, spec, weight = self.graph, self.step.spec, self.inputs[POOL_WEIGHT]
        one = np.ones((1, 1), np.float32)
        for _ in range(self.step.frames):
            weight = graph.add(graph.multiply(weight, self.inputs[DECAY]), one)
            self.pool_weights.append(graph.reciprocal(weight))
        self.outputs[f"new.{POOL_WEIGHT}"] = weight
        if spec.positional_encoding:
            assert spec.position_limit is not None
            count = self.inputs[FRAME_COUNT]
            for _ in range(self.step.frames):
                self.positions.append(graph.squeeze(graph.minimum(count, spec.position_limit), (1,)))
                count = graph.increment(count)
            self.outputs[f"new.{FRAME_COUNT}"] = count

    def layer(self, x: T, layer: FoldedBottleneck) -> T:
        graph, place = self.graph, layer.place
        around = x
        if layer.skip is not None:
            if place.stride > 1:
                around = halve(graph, x, place.size, place.stride)
            around = convolve(graph, around, layer.skip, place.size_after)
        x = convolve(graph, x, layer.expand, place.size)
        if layer.spatial is not None:
            x = convolve(graph, x, layer.spatial, place.size)
        if layer.temporal is not None or layer.excitation is not None:
            frames = self.each(x)
            if layer.temporal is not None:
                frames = [
                    activate(graph, y, layer.temporal.activation) for y in self.temporal(frames, layer, layer.temporal)
                ]
            if layer.excitation is not None:
                frames = self.excite(frames, layer.name, layer.excitation)
            x = graph.concatenate(frames, 0) if len(frames) > 1 else frames[0]
        return graph.add(convolve(graph, x, layer.project, place.size_after), around)

    def temporal(self, frames: Sequence[T], layer: FoldedBottleneck, part: FoldedTemporal) -> list[T]:
        """The outputs of new frames, before the activation."""
        kt, past = part.frames, self.step.past
        bias = column(part.bias)

        def tap(x: T, which: int, onto: T | None = None) -> T:
            """What frame x adds to the output for which it is frame number `which`, the oldest being 0."""
            y = self.tap(x, part.weight[:, which], layer, part)
            return y if onto is None else self.graph.add(onto, y)

        if past == "partial_sums":
            sums = [self.inputs[f"{layer.name}.sum.{i}"] for i in range(kt - 1)]
            outputs = []
            for x in frames:
                # Tap kt-1 completes the output now due; tap kt-2 goes to the next, and so on to the last, which it
                # begins.
                outputs.append(self.graph.add(tap(x, kt - 1, sums[0]), bias))
                sums = [tap(x, kt - 2 - i, onto) for i, onto in enumerate([*sums[1:], None])]
            self.outputs |= {f"new.{layer.name}.sum.{i}": new for i, new in enumerate(sums)}
            return outputs
        if past == "buffer":
            known = [*self.split(self.inputs[f"{layer.name}.buffer"], kt - 1, 1), *frames]
        else:
            known = [*(self.inputs[f"{layer.name}.past.{i}"] for i in range(kt - 1)), *frames]
        outputs = []
        for t in range(len(frames)):
            y = self.graph.add(tap(known[t], 0), bias)
            for which in range(1, kt):
                y = tap(known[t + which], which, y)
            outputs.append(y)
        newest = known[len(frames) :]
        if past == "buffer":
            joined = self.graph.concatenate(newest, 1) if len(newest) > 1 else newest[0]
            self.outputs[f"new.{layer.name}.buffer"] = joined
        else:
            fresh = list(enumerate(newest))[-len(frames) :]
            self.outputs |= {f"new.{layer.name}.past.{i}": frame for i, frame in fresh}
        return outputs

    def tap(self, x: T, weight: Array, layer: FoldedBottleneck, part: FoldedTemporal) -> T:
        """A frame by one tap (C, kh, kw)."""
        if not part.in_space:
            return self.graph.multiply(x, column(weight))
        before, after = same_padding(layer.place.size, weight.shape[1:], part.stride)
        strides = (part.stride, part.stride)
        return self.graph.convolution(x, weight[:, None], None, strides, before, after, len(weight))

    def excite(self, frames: Sequence[T], name: str, part: FoldedExcitation) -> list[T]:
        graph, pool = self.graph, self.inputs[f"{name}.pool"]
        table = None
        if part.position_scale is not None:
            assert self.step.spec.position_limit is not None
            table = part.position_rows(np.arange(self.step.spec.position_limit + 1))
        scaled = []
        for t, x in enumerate(frames):
            mean = graph.mean(x, (2, 3))
            pool = self.toward(pool, mean, t)
            seen = graph.concatenate([pool, mean], 1) if part.beside_frame else pool
            row = None if table is None else graph.look_up(table, self.positions[t])
            scaled.append(graph.multiply(x, graph.expand_dims(gates(graph, seen, part, row), (2, 3))))
        self.outputs[f"new.{name}.pool"] = pool
        return scaled

    def toward(self, pool: T, mean: T, t: int) -> T:
        """A pooled mean after the mean of frame t of this step."""
        change = self.graph.subtract(self.graph.pooling(mean), pool)
        return self.graph.add(pool, self.graph.multiply(change, self.pool_weights[t]))

    def split(self, x: T, count: int, axis: int) -> Sequence[T]:
        return self.graph.split(x, count, axis) if count > 1 else (x,)

    def each(self, x: T) -> Sequence[T]:
        """The frames of a step, each by itself."""
        return self.split(x, self.step.frames, 0)
