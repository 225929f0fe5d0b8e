"""What networks of a space cost, many at once: sums over tables with an entry for every layer there could be."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from movinet.arch.count import parts, state_shapes
from movinet.arch.layer_spec import BlockSpec, LayerSpec, Size, downsample
from movinet.arch.spec import NetworkSpec
from movinet.search.space import Points, Space

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class LayerKind:
    """All that the cost of a layer depends on.

    Args:
        inputs, outputs: Channels.
        layer: Expansion, kernel and squeeze-excitation.
        stride: In space.
        size: (height, width) of its input.
    """

    inputs: int
    outputs: int
    layer: LayerSpec
    stride: int
    size: Size


@dataclass(frozen=True)
class Ends:
    """What the cost of stem and head depends on: the size of the stem's input and that of the head's."""

    stem: int
    inputs: int
    project: int
    hidden: int
    size: Size
    head_size: Size


class CostTable:
    """The cost of any network of a space, as the sum of what its parts cost.

    Args:
        space: Of the networks.
        template: Has what the space does not decide.
        layer: The cost of a layer.
        ends: The cost of stem and head together.
    """

    def __init__(
        self,
        space: Space,
        template: NetworkSpec,
        layer: Callable[[LayerKind], float],
        ends: Callable[[Ends], float],
    ) -> None:
        self.space = space
        place, decisions = space.places, space.decisions
        self._tables: list[tuple[list[int], FloatArray]] = []
        """Places of decisions, and the cost by their choices; those of a layer are led by its block's `layers`."""
        size, before = downsample(template.size, 2), "stem"
        for b, stride in enumerate(space.strides):
            width, counts = f"blocks.{b}.width", f"blocks.{b}.layers"
            most = int(decisions[place[counts]].choices[-1])
            first: FloatArray | None = None
            for n in range(most):
                names = [counts, before if n == 0 else width, width]
                names += [f"blocks.{b}.{n}.{what}" for what in ("expansion", "kernel", "se")]
                if n < 2:  # from the second on, all layers of a block are alike
                    first = _layer_table(space, names, layer, stride if n == 0 else 1, size)
                    size = downsample(size, stride) if n == 0 else size
                assert first is not None
                there = np.array([float(n < int(c)) for c in decisions[place[counts]].choices])
                table = there.reshape(-1, *[1] * first.ndim) * first
                self._tables.append(([place[name] for name in names], table))
            before = width
        names = ["stem", before, "project", "hidden"]
        choices: list[Any] = [decisions[place[name]].choices for name in names]
        costs = [
            ends(Ends(stem, inputs, project, hidden, template.size, size))
            for stem, inputs, project, hidden in product(*choices)
        ]
        self._tables.append(([place[name] for name in names], np.array(costs).reshape([len(c) for c in choices])))

    def __call__(self, points: Points) -> FloatArray:
        """(N,) costs of points (N, decisions)."""
        total = np.zeros(len(points))
        for places, table in self._tables:
            total += table[tuple(points[:, place] for place in places)]
        return total

    def expected(self, probabilities: Sequence[FloatArray]) -> float:
        """The mean cost of networks whose decisions are drawn independently.

        Args:
            probabilities: Of each decision's choices.
        """
        total = 0.0
        for places, table in self._tables:
            axes = {place: n for n, place in enumerate(dict.fromkeys(places))}
            operands: list[Any] = [table, [axes[place] for place in places]]
            for place, axis in axes.items():
                operands += [probabilities[place], [axis]]
            total += float(np.einsum(*operands, []))
        return total


def macs(space: Space, template: NetworkSpec) -> CostTable:
    """Multiply-adds a frame, exactly `movinet.arch.count.macs_per_frame`."""
    return CostTable(space, template, partial(_layer_macs, template=template), partial(_ends_macs, template=template))


def state_bytes(space: Space, template: NetworkSpec) -> CostTable:
    """Bytes of one stream's state in float32, exactly `movinet.arch.count.state_bytes`."""

    def layer(kind: LayerKind) -> float:
        shapes = state_shapes(one_layer(kind, template))
        return 4.0 * sum(int(np.prod(shape)) for name, shape in shapes.items() if name.startswith("blocks."))

    return CostTable(space, template, layer, lambda ends: 4.0 * ends.project if template.causal else 0.0)


def one_layer(kind: LayerKind, template: NetworkSpec) -> NetworkSpec:
    """A network of which the layer is a part."""
    size = (2 * kind.size[0], 2 * kind.size[1])  # the stem halves it
    block = BlockSpec(kind.outputs, (kind.layer,), kind.stride)
    return template.with_options(stem=kind.inputs, blocks=(block,), size=size)


def _layer_table(space: Space, names: list[str], cost: Callable[[LayerKind], float], stride: int, size: Size) -> Any:
    """The cost by choices of: channels before, channels, expansion, kernel, squeeze-excitation."""
    choices: list[Any] = [space.decisions[space.places[name]].choices for name in names[1:]]
    same = names[1] == names[2]
    costs = [
        cost(LayerKind(inputs, outputs, LayerSpec(*layer), stride, size)) if not same or inputs == outputs else 0.0
        for inputs, outputs, *layer in product(*choices)
    ]
    return np.array(costs, float).reshape([len(c) for c in choices])


def _layer_macs(kind: LayerKind, template: NetworkSpec) -> float:
    part = parts(one_layer(kind, template))[1]
    return part.frame_macs + part.clip_macs / template.frames


def _ends_macs(ends: Ends, template: NetworkSpec) -> float:
    stem = parts(template.with_options(stem=ends.stem))[0].frame_macs
    block = BlockSpec(ends.inputs, (LayerSpec(8, (1, 1, 1), False),), stride=1)
    size = (2 * ends.head_size[0], 2 * ends.head_size[1])
    spec = template.with_options(blocks=(block,), project=ends.project, hidden=ends.hidden, size=size)
    head = parts(spec)[-1]
    return stem + head.frame_macs + head.clip_macs / template.frames
