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
_ROUNDS = 25
_LEAST, _CHANGES = 64, 600
_NEIGHBORS = 200  # single changes of which pairs are tried
_POPULATION, _TOURNAMENT, _MUTATION = 24, 6, 0.03


@dataclass(frozen=True)
class CandidateEvaluator:
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

    def distances(self, points: Points) -> FloatArray:
        """(N,) how far networks (N, decisions) are from the budget."""
        return self.budget.distance(self.cost(points), self.state(points))

    def rewards(self, points: Points, qualities: FloatArray) -> FloatArray:
        """(N,) of networks (N, decisions) so good: Q + β·|T/T₀ - 1|."""
        return qualities + self.budget.weight * self.distances(points)

    def fits(self, points: Points) -> NDArray[np.bool_]:
        """(N,) whether networks (N, decisions) may be taken."""
        return self.budget.fits(self.cost(points), self.state(points))

    def random(self, count: int, rng: np.random.Generator) -> Points:
        """Networks that fit the budget, (count, decisions): every decision is drawn evenly, and what does not fit is
        thrown away. Where hardly any fits, drawn ones are changed, one decision at a time, toward the target.

        Raises:
            MovinetError: None does, even so.
        """
        found: list[Points] = []
        for _ in range(_ROUNDS):
            drawn = self.space.random(_DRAWN, rng)
            found.append(drawn[self.fits(drawn)])
            if sum(map(len, found)) >= count:
                return np.concatenate(found)[:count]
        found.append(self._changed(self.space.random(2 * count + _LEAST, rng), rng))
        if sum(map(len, found)) >= count:
            return np.concatenate(found)[:count]
        drawn = self.space.random(_DRAWN, rng)
        raise MovinetError(
            f"no network of the space fits the budget: most cost {np.quantile(self.cost(drawn), 0.01):,.4g} to "
            f"{np.quantile(self.cost(drawn), 0.99):,.4g}; the target is {self.budget.target:,.4g}: change one of them"
        )

    def _changed(self, points: Points, rng: np.random.Generator) -> Points:
        """Those of the points that fit after changes that each came nearer."""
        distance = self.distances(points)
        for _ in range(_CHANGES):
            place = rng.integers(points.shape[1], size=len(points))
            others = points.copy()
            rows = np.arange(len(points))
            others[rows, place] = self.space.random(len(points), rng)[rows, place]
            new = self.distances(others)
            better = (new < distance) & ~self.fits(points)
            points = np.where(better[:, None], others, points)
            distance = np.where(better, new, distance)
        return points[self.fits(points)]


def most_probable(controller: Controller, judge: CandidateEvaluator, rng: np.random.Generator) -> Point:
    """The network within the budget whose decisions are least worse than the controller's favorites; the favorite
    itself where it fits, and the nearest to the target where nothing does."""
    best = np.array(controller.best())
    log_odds = controller.log_odds().detach().double().numpy()
    losses = log_odds.max(1, keepdims=True) - log_odds
    near = _neighbors(best, judge.space, losses)
    points = np.concatenate([best[None], near, controller.sample(2 * _DRAWN, rng)])
    regrets = np.where(judge.space.active(points), np.take_along_axis(losses, points.T, axis=1).T, 0.0).sum(1)
    fits = judge.fits(points)
    if not fits.any():
        return _point(points[np.argmin(judge.distances(points))])
    return _point(points[np.argmin(np.where(fits, regrets, np.inf))])


def random_search(
    judge: CandidateEvaluator, quality: Callable[[Point], float], tries: int, rng: np.random.Generator
) -> Point:
    """The best of so many networks that fit the budget."""
    points = [_point(row) for row in judge.random(tries, rng)]
    return max(points, key=quality)


def evolution(
    judge: CandidateEvaluator, quality: Callable[[Point], float], tries: int, rng: np.random.Generator
) -> Point:
    """Regularized evolution (Real et al. 2019) among networks that fit the budget: the best of a few of the population
    has a child that differs here and there, and the oldest dies."""
    population = [(quality(point), point) for point in map(_point, judge.random(min(_POPULATION, tries), rng))]
    ever = list(population)
    while len(ever) < tries:
        rivals = [population[n] for n in rng.integers(len(population), size=_TOURNAMENT)]
        child = _mutated(np.array(max(rivals)[1]), judge, rng)
        ever.append((quality(child), child))
        population = [*population[1:], ever[-1]]
    return max(ever)[1]


def _mutated(parent: NDArray[np.int64], judge: CandidateEvaluator, rng: np.random.Generator) -> Point:
    """A child within the budget, another network; the parent itself where none is found."""
    matters = judge.space.active(parent[None])[0]
    share = max(_MUTATION, 1.5 / len(parent))
    for _ in range(10 * _ROUNDS):
        others = judge.space.random(_DRAWN // 8, rng)
        children = np.where(rng.random(others.shape) < share, others, parent)
        fitting = children[judge.fits(children) & ((children != parent) & matters).any(1)]
        if len(fitting):
            return _point(fitting[0])
    return _point(parent)


def _neighbors(point: NDArray[np.int64], space: Space, losses: FloatArray) -> Points:
    """Points that differ in one or two decisions that matter, of all changes in those that lose least.

    Args:
        losses: (decisions, choices) of each choice.
    """
    matter = space.active(point[None])[0]
    changes = [
        (place, choice)
        for place, decision in enumerate(space.decisions)
        if matter[place]
        for choice in range(len(decision.choices))
        if choice != point[place]
    ]
    changes.sort(key=lambda change: float(losses[change]))
    pairs = [(a, b) for a, b in combinations(changes[:_NEIGHBORS], 2) if a[0] != b[0]]
    found = np.repeat(point[None], len(changes) + len(pairs), axis=0)
    for row, several in enumerate([*((change,) for change in changes), *pairs]):
        for place, choice in several:
            found[row, place] = choice
    return found


def _point(row: NDArray[np.int64]) -> Point:
    return tuple(row.tolist())
