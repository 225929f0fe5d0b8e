"""Scaling meets its target, along every axis."""

import numpy as np
import pytest
from spaces import SPACE, template

from movinet.arch.count import macs_per_frame
from movinet.arch.spec import NetworkSpec
from movinet.arch.zoo import network_spec
from movinet.errors import MovinetError
from movinet.search.scaling import Scaling, cost_a_second, draw_scaling, scale_network, search_scaling


@pytest.mark.parametrize("factor", [0.5, 1.0, 2.0])
def test_a_scaled_space_costs_what_it_should(factor: float) -> None:
    here = template(size=(96, 128))
    target = factor * cost_a_second(SPACE, here, np.random.default_rng(0))
    scaling = draw_scaling(SPACE, here, target, np.random.default_rng(1))
    found = cost_a_second(*scaling.apply(SPACE, here), np.random.default_rng(2))
    assert found == pytest.approx(target, rel=0.25)  # other networks are drawn


def test_every_axis_is_scaled() -> None:
    space, scaled = Scaling(2.0, 2.0, 0.5, 2.0).apply(SPACE, template())
    assert (scaled.size, scaled.fps, scaled.frames) == ((12, 16), 10.0, 40)
    choices = {decision.name: decision.choices for decision in space.decisions}
    assert choices["blocks.1.width"] == (24, 32, 40)
    assert choices["blocks.1.layers"] == (2, 4, 6)


def test_the_best_scaling_is_kept() -> None:
    here = template(size=(96, 128))
    target = cost_a_second(SPACE, here, np.random.default_rng(0))
    best, tried = search_scaling(SPACE, here, target, lambda space, _: -space.width, 4, np.random.default_rng(0))
    assert len(tried) == 4
    assert best.width == min(scaling.width for scaling, _ in tried)


@pytest.mark.slow
def test_a_target_out_of_reach_is_refused() -> None:
    with pytest.raises(MovinetError, match="widen them"):
        draw_scaling(SPACE, template(), 1e15, np.random.default_rng(0))


@pytest.mark.parametrize("share", [0.3, 0.7, 1.5])
def test_a_network_is_scaled_to_a_cost(share: float) -> None:
    spec = network_spec("movinet_a0_stream")
    assert isinstance(spec, NetworkSpec)
    found = scale_network(spec, share * macs_per_frame(spec))
    assert macs_per_frame(found) == pytest.approx(share * macs_per_frame(spec), rel=0.02)
    assert [len(block.layers) for block in found.blocks] == [len(block.layers) for block in spec.blocks]
