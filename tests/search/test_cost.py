"""Costs of many networks at once are those of each by itself."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from spaces import SPACE, template

from movinet.arch.count import macs_per_frame
from movinet.arch.count import state_bytes as bytes_of
from movinet.arch.zoo import network_spec
from movinet.search import cost
from movinet.search.controller import Controller
from movinet.search.reward import Budget
from movinet.search.space import Space

FORMS = {
    "stream": template(),
    "stream 3d": template(convolution="3d", squeeze_excitation="cumulative"),
    "base": template(causal=False),
    "odd size": template(size=(27, 41), positional_encoding=True),
}


@pytest.mark.parametrize("form", FORMS)
def test_tables_agree_with_arch(form: str) -> None:
    points = SPACE.random(60, np.random.default_rng(1))
    specs = [SPACE.to_spec(point, FORMS[form]) for point in points]
    found = cost.macs(SPACE, FORMS[form])(points)
    np.testing.assert_allclose(found, [macs_per_frame(spec) for spec in specs], rtol=1e-12)
    np.testing.assert_array_equal(cost.state_bytes(SPACE, FORMS[form])(points), [bytes_of(spec) for spec in specs])


def test_the_published_network_costs_what_it_does() -> None:
    spec = network_spec("movinet_a2_stream")
    space = Space(layers=((1, 2, 3), *((1, 5, 6, 7),) * 4), kernels=((1, 3, 3), (1, 5, 5), (3, 3, 3), (5, 3, 3)))
    point, misfits = space.nearest(spec)
    assert len(misfits) == 1
    near = space.to_spec(point, spec)
    found = cost.macs(space, spec)(np.array([point]))[0]
    assert found == macs_per_frame(near)
    assert found == pytest.approx(macs_per_frame(spec), rel=0.01)


@settings(max_examples=10)
@given(seed=st.integers(0, 10**6))
def test_the_expected_cost_is_the_mean_over_draws(seed: int) -> None:
    controller = Controller(SPACE)
    with torch.no_grad():
        controller.logits.copy_(torch.randn(controller.logits.shape, generator=torch.Generator().manual_seed(seed)))
    table = cost.macs(SPACE, template())
    drawn = table(controller.sample(20_000, np.random.default_rng(seed)))
    expected = table.expected(controller.probabilities())
    assert expected == pytest.approx(drawn.mean(), abs=5 * drawn.std() / np.sqrt(len(drawn)))


def test_a_budget_takes_and_punishes() -> None:
    budget = Budget(100.0, state_bytes=10.0)
    costs, states = np.array([100.0, 120.0, 90.0, 102.0]), np.array([5.0, 5.0, 20.0, 10.0])
    np.testing.assert_allclose(budget.distance(costs, states), [0.0, 0.2, 1.1, 0.02])
    assert budget.fits(costs, states).tolist() == [True, False, False, True]
