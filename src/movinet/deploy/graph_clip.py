"""A base network on whole clips, written once for every kind of graph. Its convolutions are plain ones of five axes:
OpenVINO takes two thirds of the time that frame by frame, with the taps added up, would take."""

from dataclasses import dataclass
from functools import cached_property

from movinet.arch.spec import NetworkSpec
from movinet.arch.step import CLIP, LOGITS, StepSignature, TensorSpec
from movinet.deploy.graph_step import Step, write_head
from movinet.deploy.network import FoldedBottleneck, FoldedNetwork, FoldedTemporal
from movinet.deploy.operators import Operators, T, activate, convolve, gates, halve, same_padding
from movinet.errors import SpecError


@dataclass(frozen=True, eq=False)
class Clip:
    """A base network for clips of one length.

    Args:
        network: it sees the whole clip.
        frames: of a clip.

    Raises:
        SpecError: it is a stream network, or `frames` is less than one.
    """

    network: FoldedNetwork
    frames: int

    def __post_init__(self) -> None:
        if self.spec.causal:
            raise SpecError(f"{self.spec.name} is a stream network; deploy its step")
        if self.frames < 1:
            raise SpecError(f"{self.spec.name}: a clip has one frame or more, not {self.frames}")

    @property
    def spec(self) -> NetworkSpec:
        return self.network.spec

    @cached_property
    def signature(self) -> StepSignature:
        """`clip` (B, 3, T, H, W) in [0, 1] to `logits` (B, num_classes), without state."""
        port = TensorSpec(CLIP, (3, self.frames, *self.network.size))
        return StepSignature((port,), (TensorSpec(LOGITS, (self.spec.num_outputs,)),), {})


Lowered = Step | Clip


def write_clip(graph: Operators[T], network: FoldedNetwork, clip: T) -> T:
    """Write a base network to a graph.

    Args:
        graph: to write to.
        network: a base network.
        clip: (B, 3, T, H, W).

    Returns:
        Logits (B, num_classes).

    Raises:
        SpecError: the network has an activation or a gate for which there are no operators.
    """
    x, size = convolve(graph, clip, network.stem, network.size, clip=True), network.size
    for layer in network.layers:
        x, size = _layer(graph, x, layer), layer.place.size_after
    means = graph.mean(convolve(graph, x, network.project, size, clip=True), (2, 3, 4))
    return write_head(graph, network, means)


def _layer(graph: Operators[T], x: T, layer: FoldedBottleneck) -> T:
    place, around = layer.place, x
    if layer.skip is not None:
        if place.stride > 1:
            around = halve(graph, x, place.size, place.stride, clip=True)
        around = convolve(graph, around, layer.skip, place.size_after, clip=True)
    x = convolve(graph, x, layer.expand, place.size, clip=True)
    if layer.spatial is not None:
        x = convolve(graph, x, layer.spatial, place.size, clip=True)
    if layer.temporal is not None:
        x = _temporal(graph, x, layer, layer.temporal)
    if layer.excitation is not None:
        means = graph.mean(x, (2, 3, 4))
        x = graph.multiply(x, graph.expand_dims(gates(graph, means, layer.excitation), (2, 3, 4)))
    return graph.add(convolve(graph, x, layer.project, place.size_after, clip=True), around)


def _temporal(graph: Operators[T], x: T, layer: FoldedBottleneck, part: FoldedTemporal) -> T:
    before, after = same_padding(layer.place.size, part.weight.shape[2:], part.stride)
    half = part.frames // 2
    strides = (1, part.stride, part.stride)
    weight, groups = part.weight[:, None], len(part.weight)
    y = graph.convolution(x, weight, part.bias, strides, [half, *before], [half, *after], groups)
    return activate(graph, y, part.activation)
