"""Compound scaling of a search space, and of a single network, to a target.

As in the paper, the space is what is scaled, not a network found in it: widths, depths, resolution and frame rate get
factors, drawn at random among those that meet the target, and the best of some is kept.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from movinet.arch.count import macs_per_frame
from movinet.arch.layer_spec import BlockSpec, LayerSpec, Size
from movinet.arch.spec import NetworkSpec
from movinet.errors import MovinetError
from movinet.search.space import Space, round_to_8

_DRAWN = 24  # networks whose mean is a space's cost
_TRIES = 100
_FACTORS = np.linspace(0.2, 4.0, 1521)


@dataclass(frozen=True)
class Scaling:
    """Factors of a space and its template.

    Args:
        width: Of base widths, and so of expansions.
        depth: Of numbers of layers.
        resolution: Of height and width of frames.
        rate: Of frames a second; a clip lasts as long as before.
    """

    width: float = 1.0
    depth: float = 1.0
    resolution: float = 1.0
    rate: float = 1.0

    def apply(self, space: Space, template: NetworkSpec) -> tuple[Space, NetworkSpec]:
        """The space and the template, scaled."""
        changed = replace(
            template,
            size=_scaled_size(template.size, self.resolution),
            fps=template.fps * self.rate,
            frames=max(1, round(template.frames * self.rate)),
        )
        return space.scaled(self.width, self.depth), changed


def cost_a_second(space: Space, template: NetworkSpec, rng: np.random.Generator, size: Size | None = None) -> float:
    """Multiply-adds for a second of video, the mean over networks drawn from a space."""
    specs = [space.to_spec(point.tolist(), template) for point in space.random(_DRAWN, rng)]
    return template.fps * float(np.mean([macs_per_frame(spec, size) for spec in specs]))


def draw_scaling(
    space: Space,
    template: NetworkSpec,
    target: float,
    rng: np.random.Generator,
    *,
    width: tuple[float, float] = (0.6, 1.6),
    depth: tuple[float, float] = (0.6, 1.6),
    rate: tuple[float, float] = (0.5, 2.5),
    resolution: tuple[float, float] = (0.5, 2.0),
    tolerance: float = 0.05,
) -> Scaling:
    """Factors that meet a target: width, depth and rate are drawn (their logarithms evenly), resolution follows.

    Args:
        space, template: To be scaled.
        target: Multiply-adds for a second of video, the mean over the scaled space.
        rng: Draws.
        width, depth, rate, resolution: Ranges of the factors.
        tolerance: Share of the target that the cost may be off, since frames have whole pixels.

    Raises:
        MovinetError: No factors in these ranges meet it.
    """
    for _ in range(_TRIES):
        drawn = [float(np.exp(rng.uniform(*np.log(bounds)))) for bounds in (width, depth, rate)]
        scaling = Scaling(drawn[0], drawn[1], 1.0, drawn[2])
        scaled, other = scaling.apply(space, template)
        seed = int(rng.integers(2**31))
        low, high = resolution
        for _ in range(20):
            middle = (low + high) / 2
            cost = cost_a_second(scaled, other, np.random.default_rng(seed), _scaled_size(template.size, middle))
            low, high = (low, middle) if cost > target else (middle, high)
            if abs(cost / target - 1) <= tolerance:
                return replace(scaling, resolution=middle)
    raise MovinetError(f"no scaling in these ranges costs {target:,.4g} multiply-adds a second; widen them")


def search_scaling(
    space: Space,
    template: NetworkSpec,
    target: float,
    worth: Callable[[Space, NetworkSpec], float],
    tries: int,
    rng: np.random.Generator,
) -> tuple[Scaling, list[tuple[Scaling, float]]]:
    """Random search for the factors under which a space is worth most.

    Args:
        worth: Of a scaled space with its template, say the mean accuracy of some of its networks after short training.
        tries: Scalings to look at.

    Returns:
        The best, and all with their worth.
    """
    tried = []
    for _ in range(tries):
        scaling = draw_scaling(space, template, target, rng)
        tried.append((scaling, worth(*scaling.apply(space, template))))
    return max(tried, key=lambda pair: pair[1])[0], tried


def scale_network(spec: NetworkSpec, target: float) -> NetworkSpec:
    """A network with all its widths times one factor, rounded to 8, so that its multiply-adds a frame are as near to
    the target as they come."""
    return min(
        (_times(spec, float(factor)) for factor in _FACTORS), key=lambda found: abs(macs_per_frame(found) / target - 1)
    )


def _times(spec: NetworkSpec, factor: float) -> NetworkSpec:
    def scaled(width: int) -> int:
        return round_to_8(width * factor)

    blocks = tuple(
        BlockSpec(
            scaled(block.channels),
            tuple(LayerSpec(scaled(x.expansion), x.kernel, x.squeeze_excitation) for x in block.layers),
            block.stride,
        )
        for block in spec.blocks
    )
    return replace(spec, stem=scaled(spec.stem), blocks=blocks, project=scaled(spec.project))


def _scaled_size(size: Size, factor: float) -> Size:
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))
