"""Which network is taken in the end, and the searches TuNAS is compared with."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from movinet.errors import MovinetError
from movinet.search.controller import Controller
from movinet.search.cost import CostTable
from movinet.search.reward import Budget
from movinet.search.space import Point, Points, Space

FloatArray = NDArray[np.float64]

_DRAWN = 4096
_ROUNDS = 250
_POPULATION, _TOURNAMENT, _MUTATION = 24, 6, 0.03


@dataclass(frozen=True)
class Judge:
    """What a network costs, and whether it may.

    Args:
        budget: What it may cost.
        cost: The table of it.
        state: Bytes of a stream's state.
    """

    budget: Budget
    cost: CostTable
    state: CostTable

    @property
    def space(self) -> Space:
        return self.cost.space

    def penalties(self, points: Points) -> FloatArray:
        """(N,) what is added to the quality of networks (N, decisions)."""
        return self.budget.penalty(self.cost(points), self.state(points))

    def fits(self, points: Points) -> NDArray[np.bool_]:
        """(N,) whether networks (N, decisions) may be taken."""
        return self.budget.fits(self.cost(points), self.state(points))

    def random(self, count: int, rng: np.random.Generator) -> Points:
        """Networks that fit the budget, every other decision even, (count, decisions).

        Raises:
            MovinetError: Hardly any network does; the message says what they cost.
        """
        found, seen = [], []
        for _ in range(_ROUNDS):
            drawn = self.space.random(_DRAWN, rng)
            found.append(drawn[self.fits(drawn)])
            seen.append(self.cost(drawn))
            if sum(map(len, found)) >= count:
                return np.concatenate(found)[:count]
        costs = np.concatenate(seen)
        raise MovinetError(
            f"of {len(costs):,} networks drawn from the space, {sum(map(len, found))} fit the budget; their cost is "
            f"from {costs.min():,.4g} to {costs.max():,.4g}, half below {np.median(costs):,.4g}: change target or space"
        )


def most_probable(controller: Controller, judge: Judge, rng: np.random.Generator) -> Point:
    """The network within the budget whose decisions are least worse than the controller's favourites; the favourite
    itself where it fits, and the nearest to the target where nothing does."""
    best = np.array(controller.best())
    points = np.concatenate([best[None], _neighbours(best, judge.space), controller.sample(8 * _DRAWN, rng)])
    log_odds = controller.log_odds().detach().double().numpy()
    chosen = np.take_along_axis(log_odds, points.T, axis=1).T
    regrets = np.where(judge.space.active(points), log_odds.max(1) - chosen, 0.0).sum(1)
    fits = judge.fits(points)
    if not fits.any():
        return _point(points[np.argmax(judge.penalties(points))])
    return _point(points[np.argmin(np.where(fits, regrets, np.inf))])


def random_search(judge: Judge, quality: Callable[[Point], float], tries: int, rng: np.random.Generator) -> Point:
    """The best of so many networks that fit the budget."""
    points = [_point(row) for row in judge.random(tries, rng)]
    return max(points, key=quality)


def evolution(judge: Judge, quality: Callable[[Point], float], tries: int, rng: np.random.Generator) -> Point:
    """Regularised evolution (Real et al. 2019) among networks that fit the budget: the best of a few of the population
    has a child that differs here and there, and the oldest dies."""
    population = [(quality(point), point) for point in map(_point, judge.random(min(_POPULATION, tries), rng))]
    ever = list(population)
    while len(ever) < tries:
        rivals = [population[n] for n in rng.integers(len(population), size=_TOURNAMENT)]
        child = _mutated(np.array(max(rivals)[1]), judge, rng)
        ever.append((quality(child), child))
        population = [*population[1:], ever[-1]]
    return max(ever)[1]


def _mutated(parent: NDArray[np.int64], judge: Judge, rng: np.random.Generator) -> Point:
    """A child within the budget, another network; the parent itself where none is found."""
    matters = judge.space.active(parent[None])[0]
    share = max(_MUTATION, 1.5 / len(parent))
    for _ in range(_ROUNDS):
        others = judge.space.random(_DRAWN // 8, rng)
        children = np.where(rng.random(others.shape) < share, others, parent)
        fitting = children[judge.fits(children) & ((children != parent) & matters).any(1)]
        if len(fitting):
            return _point(fitting[0])
    return _point(parent)


def _neighbours(point: NDArray[np.int64], space: Space) -> Points:
    """All points that differ in one or two decisions that matter."""
    matter = space.active(point[None])[0]
    changes = [
        (place, choice)
        for place, decision in enumerate(space.decisions)
        if matter[place]
        for choice in range(len(decision.choices))
        if choice != point[place]
    ]
    pairs = [(a, b) for a, b in combinations(changes, 2) if a[0] != b[0]][: 200 * _DRAWN]
    found = np.repeat(point[None], len(changes) + len(pairs), axis=0)
    for row, (place, choice) in enumerate(changes):
        found[row, place] = choice
    for row, pair in enumerate(pairs, start=len(changes)):
        for place, choice in pair:
            found[row, place] = choice
    return found


def _point(row: NDArray[np.int64]) -> Point:
    return tuple(row.tolist())
