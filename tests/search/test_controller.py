"""The controller learns what it is rewarded for: its gradient is the true one, and it finds known optima."""

from itertools import product

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from spaces import SPACE, template

from movinet.errors import MovinetError
from movinet.search import cost
from movinet.search.candidates import CandidateEvaluator, evolution, most_probable, random_search
from movinet.search.controller import Controller
from movinet.search.reward import Budget
from movinet.search.space import Point, Points, Space

TINY = Space((8, 16), 16, (8,), ((1, 2),), (2,), (1.0,), (1.0, 2.0), ((1, 3, 3), (3, 3, 3)), (True, False))
FloatArray = NDArray[np.float64]


def all_points(space: Space) -> Points:
    return np.array(list(product(*(range(len(decision.choices)) for decision in space.decisions))))


def rewards_of(points: Points, space: Space, seed: int = 0) -> FloatArray:
    """Something that decisions that do not matter have no part in, and others not independently."""
    rng = np.random.default_rng(seed)
    worth = rng.normal(size=(len(space.decisions), 8))
    active = space.active(points)
    each = np.where(active, worth[np.arange(len(space.decisions)), points], 0.0)
    return np.asarray(np.sin(each.sum(1)) + each[:, 0])


def true_gradient(controller: Controller) -> torch.Tensor:
    """Of the mean reward, by going through every point."""
    points = all_points(controller.space)
    each = controller.log_odds().gather(1, torch.from_numpy(points).T).T
    mean = (each.sum(1).exp() * torch.from_numpy(rewards_of(points, controller.space)).float()).sum()
    (gradient,) = torch.autograd.grad(mean, controller.logits)
    return gradient


def test_the_estimate_is_the_gradient_of_the_mean_reward() -> None:
    controller = Controller(TINY)
    points = all_points(TINY)  # each as likely as any other, so that their mean is the expectation
    expected = true_gradient(controller)
    controller.update(points, rewards_of(points, TINY), lr=0.0)
    assert controller.logits.grad is not None
    torch.testing.assert_close(-controller.logits.grad, expected, atol=1e-6, rtol=1e-4)


def test_the_estimate_is_right_on_average_whatever_the_odds() -> None:
    controller = Controller(TINY)
    with torch.no_grad():
        controller.logits.copy_(torch.randn(controller.logits.shape))
    points = controller.sample(100_000, np.random.default_rng(0))
    expected = true_gradient(controller)
    controller.update(points, rewards_of(points, TINY), lr=0.0)
    assert controller.logits.grad is not None
    torch.testing.assert_close(-controller.logits.grad, expected, atol=0.01, rtol=0.0)
    assert expected.abs().max() > 0.05


def test_draws_have_the_odds() -> None:
    controller = Controller(SPACE)
    with torch.no_grad():
        controller.logits.copy_(torch.randn(controller.logits.shape))
    drawn = controller.sample(20_000, np.random.default_rng(1))
    for column, p in zip(drawn.T, controller.probabilities(), strict=True):
        np.testing.assert_allclose(np.bincount(column, minlength=len(p)) / len(drawn), p, atol=0.02)


def test_the_reward_is_the_absolute_one() -> None:
    points = SPACE.random(5, np.random.default_rng(0))
    costs = cost.macs(SPACE, template())(points)
    np.testing.assert_allclose(judge_of(200_000).rewards(points, np.full(5, 0.7)), 0.7 - 0.1 * abs(costs / 200_000 - 1))


def test_entropy_is_a_share() -> None:
    controller = Controller(SPACE)
    choices = [len(decision.choices) for decision in SPACE.decisions]
    assert controller.entropies() == pytest.approx([1.0 if n > 1 else 0.0 for n in choices])
    with torch.no_grad():
        controller.logits[:, 0] = 50.0
    assert controller.entropies() == pytest.approx([0.0] * len(choices), abs=1e-6)
    assert controller.best() == (0,) * len(choices)


def judge_of(target: float, tolerance: float = 0.03) -> CandidateEvaluator:
    state = cost.state_bytes(SPACE, template())
    return CandidateEvaluator(Budget(target, tolerance=tolerance), cost.macs(SPACE, template()), state)


def search_for(reward: FloatArray, judge: CandidateEvaluator, steps: int = 600, noise: float = 0.02) -> Controller:
    """Learn, with noise in every reward."""
    controller = Controller(SPACE)
    for step in range(steps):
        rng = np.random.default_rng((2, step))
        points = controller.sample(2, rng)
        noisy = judge.rewards(points, quality(points, reward) + rng.normal(size=2) * noise)
        controller.update(points, noisy, 0.03 * 10 ** (step / steps))
    return controller


def quality(points: Points, worth: FloatArray) -> FloatArray:
    each = np.where(SPACE.active(points), worth[np.arange(len(SPACE.decisions)), points], 0.0)
    return np.asarray(each.sum(1))


def test_a_known_optimum_is_found() -> None:
    rng = np.random.default_rng(3)
    worth = rng.uniform(0, 0.1, (len(SPACE.decisions), 4))
    for place, decision in enumerate(SPACE.decisions):
        if decision.kind == "layers":
            worth[place, len(decision.choices) - 1] += 0.3  # so that all decisions matter
    optimum = tuple(int(row[: len(d.choices)].argmax()) for row, d in zip(worth, SPACE.decisions, strict=True))
    judge = CandidateEvaluator(
        Budget(1e6, weight=0.0), cost.macs(SPACE, template()), cost.state_bytes(SPACE, template())
    )
    controller = search_for(worth, judge, steps=1500)
    wrong = [d.name for d, a, b in zip(SPACE.decisions, controller.best(), optimum, strict=True) if a != b]
    shortfall = quality(np.array([optimum, controller.best()]), worth)
    assert shortfall[0] - shortfall[1] < 0.02, wrong


@pytest.mark.parametrize("target", [150_000, 200_000, 270_000])
def test_what_is_found_costs_what_it_should_and_is_better_than_chance(target: float) -> None:
    judge = judge_of(target)
    worth = np.random.default_rng(4).normal(0, 0.004, (len(SPACE.decisions), 4))
    controller = search_for(worth, judge, noise=0.005)
    found = np.array([most_probable(controller, judge, np.random.default_rng(0))])
    assert abs(judge.cost(found)[0] / target - 1) <= 0.03
    others = quality(judge.random(400, np.random.default_rng(5)), worth)
    assert quality(found, worth)[0] > np.quantile(others, 0.97)
    assert judge.cost.expected(controller.probabilities()) == pytest.approx(target, rel=0.1)


def test_the_favorite_itself_is_taken_where_it_fits() -> None:
    controller = Controller(SPACE)
    with torch.no_grad():
        controller.logits.copy_(torch.randn(controller.logits.shape))
    favorite = controller.best()
    target = float(cost.macs(SPACE, template())(np.array([favorite]))[0])
    assert most_probable(controller, judge_of(target), np.random.default_rng(0)) == favorite


def test_where_nothing_fits_the_nearest_is_taken() -> None:
    controller, judge = Controller(SPACE), judge_of(1.0)
    found = np.array([most_probable(controller, judge, np.random.default_rng(0))])
    cheapest = judge.cost(SPACE.random(5000, np.random.default_rng(1))).min()
    assert judge.cost(found)[0] <= cheapest * 1.05


@pytest.mark.parametrize("share", [0.55, 1.9])
def test_networks_are_drawn_for_targets_that_chance_hardly_meets(share: float) -> None:
    middle = np.median(cost.macs(SPACE, template())(SPACE.random(1000, np.random.default_rng(0))))
    judge = judge_of(share * middle, tolerance=0.01)
    points = judge.random(50, np.random.default_rng(1))
    assert points.shape == (50, len(SPACE.decisions))
    assert judge.fits(points).all()
    assert len(np.unique(points, axis=0)) > 40


def test_a_budget_out_of_reach_is_refused() -> None:
    with pytest.raises(MovinetError, match="no network of the space fits the budget: most cost"):
        judge_of(1.0).random(1, np.random.default_rng(0))


@pytest.mark.parametrize("method", [random_search, evolution])
def test_other_searches_stay_within_the_budget(method: object) -> None:
    judge, worth = judge_of(200_000), np.random.default_rng(4).normal(0, 0.03, (len(SPACE.decisions), 4))
    asked: list[Point] = []

    def good(point: Point) -> float:
        asked.append(point)
        return float(quality(np.array([point]), worth)[0])

    found = method(judge, good, 60, np.random.default_rng(0))
    assert len(asked) == 60
    assert judge.fits(np.array(asked)).all()
    assert good(found) == max(map(good, list(asked)))


def test_evolution_learns() -> None:
    judge = judge_of(200_000)
    found: dict[object, list[float]] = {evolution: [], random_search: []}
    for seed in range(4):
        worth = np.random.default_rng(seed).normal(0, 0.03, (len(SPACE.decisions), 4))

        def good(point: Point, worth: FloatArray = worth) -> float:
            return float(quality(np.array([point]), worth)[0])

        for method in (evolution, random_search):
            found[method].append(good(method(judge, good, 200, np.random.default_rng(seed))))
    assert np.mean(found[evolution]) > np.mean(found[random_search])


def test_a_controller_goes_on_from_what_it_knew() -> None:
    first, second = Controller(SPACE), Controller(SPACE)
    second.restore(first.tensors())  # before it has learned anything
    points, rewards = SPACE.random(4, np.random.default_rng(0)), np.array([0.1, 0.5, 0.2, 0.9])
    first.update(points, rewards, 0.1)
    second.restore(first.tensors())
    for controller in (first, second):
        controller.update(points, rewards[::-1].copy(), 0.1)
    assert torch.equal(first.logits, second.logits)
    assert first.baseline == second.baseline
