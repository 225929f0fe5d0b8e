"""Which networks a search may find: a declared space, each point of which is a specification.

A point is a tuple of numbers, one a decision: which of its choices is taken. `ALL` in the place of a number stands for
the largest width and for all kernels at once, as the warm-up of a super-network wants it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from movinet.arch.layer_spec import BlockSpec, LayerSpec
from movinet.arch.limits import LARGEST_KERNEL, MOST_LAYERS, WIDEST
from movinet.arch.spec import NetworkSpec
from movinet.errors import SpecError

Kernel = tuple[int, int, int]
Point = tuple[int, ...]
Points = NDArray[np.int64]  # (N, decisions)
Kind = Literal["width", "layers", "expansion", "kernel", "se", "hidden"]

ALL = -1
KERNELS: tuple[Kernel, ...] = ((1, 3, 3), (1, 5, 5), (1, 7, 7), (5, 1, 1), (7, 1, 1), (3, 3, 3), (5, 3, 3))


@dataclass(frozen=True)
class Space:
    """What may be chosen; everything else is a template network's. The defaults are the paper's space around A2.

    Args:
        widths: Of the stem and each block, before multipliers.
        project: Width of the convolution before the pool, before multipliers.
        hidden: Widths of the dense layer before the classifier.
        layers: Numbers of layers to choose from, for each block.
        strides: Of each block.
        multipliers: Of all widths; what comes out is rounded to 8.
        expansions: Multiples of a block's base width, rounded to 8.
        kernels: Frames, height, width of depthwise convolutions.
        squeeze_excitation: With, without, or either, layer by layer.
        width: Compound scaling's factor of all base widths.
        depth: Compound scaling's factor of the largest number of layers.
    """

    widths: tuple[float, ...] = (16, 24, 48, 96, 96, 192)
    project: float = 512
    hidden: tuple[int, ...] = (2048,)
    layers: tuple[tuple[int, ...], ...] = (tuple(range(1, 11)),) * 5
    strides: tuple[int, ...] = (2, 2, 2, 1, 2)
    multipliers: tuple[float, ...] = (0.75, 1.0, 1.25)
    expansions: tuple[float, ...] = (1.5, 2.0, 2.5, 3.0, 3.5, 4.0)
    kernels: tuple[Kernel, ...] = KERNELS
    squeeze_excitation: tuple[bool, ...] = (True, False)
    width: float = 1.0
    depth: float = 1.0

    def __post_init__(self) -> None:
        if not len(self.widths) - 1 == len(self.layers) == len(self.strides) > 0:
            raise SpecError(
                f"space: {len(self.widths) - 1} widths after the stem's, {len(self.layers)} entries in layers and "
                f"{len(self.strides)} strides; want one of each a block"
            )
        for name in ("hidden", "multipliers", "expansions", "kernels", "squeeze_excitation"):
            if not getattr(self, name):
                raise SpecError(f"space.{name} is empty; want something to choose from")
        numbers = [*self.widths, self.project, *self.hidden, *self.multipliers, *self.expansions]
        if min(numbers) <= 0 or self.width <= 0 or self.depth <= 0:
            raise SpecError("space: widths, multipliers, expansions, width and depth must be positive")
        if any(not choices or min(choices) < 1 for choices in self.layers):
            raise SpecError("space.layers: every block needs numbers of layers from 1 to choose from")
        if any(k < 1 or k % 2 == 0 for kernel in self.kernels for k in kernel):
            raise SpecError(f"space.kernels are {self.kernels}; want odd sizes")
        if max(k for kernel in self.kernels for k in kernel) > LARGEST_KERNEL:
            raise SpecError(f"space.kernels: the largest size is {LARGEST_KERNEL}")
        times = max(1.0, self.width) * max(*self.multipliers, *self.expansions, 1.0)
        if max(*self.widths, self.project) * times > WIDEST or max(self.hidden) > WIDEST:
            raise SpecError(f"space: a layer can have {WIDEST} channels, multipliers and expansions counted")
        if sum(map(max, self.layers)) * max(1.0, self.depth) > MOST_LAYERS:
            raise SpecError(f"space: networks of more than {MOST_LAYERS} layers cannot be built")

    @cached_property
    def decisions(self) -> "tuple[Decision, ...]":
        """Everything to decide, in network order."""
        found = [Decision("stem", "width", self._scaled(self.widths[0]))]
        for b, base in enumerate(self.widths[1:]):
            counts = self._counts(b)
            found.append(Decision(f"blocks.{b}.width", "width", self._scaled(base)))
            found.append(Decision(f"blocks.{b}.layers", "layers", counts))
            expansions = tuple(sorted({round_to_8(base * self.width * e) for e in self.expansions}))
            for n in range(counts[-1]):
                found.append(Decision(f"blocks.{b}.{n}.expansion", "expansion", expansions))
                found.append(Decision(f"blocks.{b}.{n}.kernel", "kernel", self.kernels))
                found.append(Decision(f"blocks.{b}.{n}.se", "se", self.squeeze_excitation))
        found.append(Decision("project", "width", self._scaled(self.project)))
        found.append(Decision("hidden", "hidden", tuple(sorted(self.hidden))))
        return tuple(found)

    @cached_property
    def places(self) -> dict[str, int]:
        """Where in a point each decision is."""
        return {decision.name: place for place, decision in enumerate(self.decisions)}

    def size(self) -> int:
        """How many networks there are."""
        total = prod(len(d.choices) for d in self.decisions if d.name in ("stem", "project", "hidden"))
        for b in range(len(self.strides)):
            choices = {d.name.rpartition(".")[2]: len(d.choices) for d in self.decisions if d.block == b}
            each = choices["expansion"] * choices["kernel"] * choices["se"]
            total *= choices["width"] * sum(each**n for n in self._counts(b))
        return total

    def active(self, points: Points) -> NDArray[np.bool_]:
        """(N, decisions): which decisions matter; those of layers that are not there do not."""
        mask = np.ones(points.shape, bool)
        for place, decision in enumerate(self.decisions):
            if decision.layer is not None:
                counts = np.array(self._counts(decision.block or 0))
                mask[:, place] = decision.layer < counts[points[:, self.places[f"blocks.{decision.block}.layers"]]]
        return mask

    def random(self, count: int, rng: np.random.Generator) -> Points:
        """Points whose every decision is drawn evenly, (count, decisions)."""
        sizes = np.array([len(decision.choices) for decision in self.decisions])
        return rng.integers(0, sizes, (count, len(sizes)))

    def to_spec(self, point: Sequence[int], template: NetworkSpec, name: str = "found") -> NetworkSpec:
        """The network at a point.

        Args:
            point: The choice of each decision, or `ALL`.
            template: Has everything that is not decided: size, form, activations, num_classes.
            name: Of the network.
        """
        chosen = {d.name: d.largest if c == ALL else d.choices[c] for d, c in zip(self.decisions, point, strict=True)}
        blocks = tuple(
            BlockSpec(
                chosen[f"blocks.{b}.width"],
                tuple(
                    LayerSpec(*(chosen[f"blocks.{b}.{n}.{what}"] for what in ("expansion", "kernel", "se")))
                    for n in range(chosen[f"blocks.{b}.layers"])
                ),
                stride,
            )
            for b, stride in enumerate(self.strides)
        )
        return replace(
            template,
            name=name,
            stem=chosen["stem"],
            blocks=blocks,
            project=chosen["project"],
            hidden=chosen["hidden"],
        )

    def nearest(self, spec: NetworkSpec) -> tuple[Point, tuple[str, ...]]:
        """The point nearest to a network, and what differs there; nothing does where the network is a point.

        Layers that the network lacks are decided like its block's last.
        """
        wanted: dict[str, Any] = {"stem": spec.stem, "project": spec.project, "hidden": spec.hidden}
        if len(spec.blocks) != len(self.strides):
            raise SpecError(f"{spec.name} has {len(spec.blocks)} blocks, the space {len(self.strides)}")
        for b, block in enumerate(spec.blocks):
            wanted |= {f"blocks.{b}.width": block.channels, f"blocks.{b}.layers": len(block.layers)}
            for n in range(self._counts(b)[-1]):
                layer = block.layers[min(n, len(block.layers) - 1)]
                wanted |= {f"blocks.{b}.{n}.expansion": layer.expansion, f"blocks.{b}.{n}.kernel": layer.kernel}
                wanted[f"blocks.{b}.{n}.se"] = layer.squeeze_excitation
        point, misfits = [], []
        for decision in self.decisions:
            want = wanted[decision.name]
            gaps = [float(np.abs(np.subtract(choice, want, dtype=float)).sum()) for choice in decision.choices]
            point.append(int(np.argmin(gaps)))
            beyond = decision.layer is not None and decision.layer >= len(spec.blocks[decision.block or 0].layers)
            if min(gaps) > 0 and not beyond:
                misfits.append(f"{decision.name} is {want}; the space has {', '.join(map(str, decision.choices))}")
        return tuple(point), tuple(misfits)

    def scaled(self, width: float, depth: float) -> "Space":
        """The space scaled: its widths and expansions, and its numbers of layers."""
        return replace(self, width=self.width * width, depth=self.depth * depth)

    def _scaled(self, base: float) -> tuple[int, ...]:
        return tuple(sorted({round_to_8(base * self.width * m) for m in self.multipliers}))

    def _counts(self, block: int) -> tuple[int, ...]:
        """Numbers of layers to choose from; with depth, up to so many more or fewer."""
        counts = sorted(set(self.layers[block]))
        if self.depth == 1.0:
            return tuple(counts)
        return tuple(sorted({max(1, round(n * self.depth)) for n in counts}))


@dataclass(frozen=True)
class Decision:
    """One thing to decide.

    Args:
        name: `stem`, `blocks.1.width`, `blocks.1.layers`, `blocks.1.0.kernel` ….
        kind: What it is about.
        choices: Widths, numbers of layers, kernels, or whether there is squeeze-excitation.
    """

    name: str
    kind: Kind
    choices: tuple[Any, ...]

    @property
    def block(self) -> int | None:
        """The block it belongs to."""
        return int(self.name.split(".")[1]) if self.name.startswith("blocks.") else None

    @property
    def layer(self) -> int | None:
        """The layer of its block it belongs to."""
        parts = self.name.split(".")
        return int(parts[2]) if len(parts) == 4 else None

    @property
    def largest(self) -> Any:
        """What holds every choice: the largest width; of kernels, the largest extent along each axis."""
        if self.kind == "kernel":
            return tuple(max(sizes) for sizes in zip(*self.choices, strict=True))
        return max(self.choices)


def round_to_8(width: float) -> int:
    """The nearest multiple of 8, at least 8; halves go up."""
    return max(8, int(width + 4) // 8 * 8)
