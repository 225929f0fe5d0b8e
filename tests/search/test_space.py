"""A space is what its declaration says: every point a network, counted without listing them."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from spaces import SPACE, template

from movinet.arch.spec import NetworkSpec
from movinet.arch.zoo import network_spec
from movinet.errors import SpecError
from movinet.search.published import published_space
from movinet.search.space import ALL, KERNELS, Space, round_to_8

# Where a published network is no point of its space.
MISFITS = {
    "a0": ["blocks.4.0.expansion is 384"],
    "a1": [],
    "a2": ["blocks.2.1.expansion is 160"],
    "a3": [*(f"blocks.2.{n}.expansion is 240" for n in (0, 2, 4)), "blocks.3.width is 88"],
    "a4": ["blocks.2.1.expansion is 160", "blocks.2.5.expansion is 160"],
    "a5": ["blocks.1.width is 64", "blocks.3.width is 120"],
}


def zoo(name: str) -> NetworkSpec:
    spec = network_spec(name)
    assert isinstance(spec, NetworkSpec)
    return spec


def test_the_size_counts_every_network_once() -> None:
    space = Space((8, 8, 16), 16, (8,), ((1, 2), (1,)), (2, 2), (1.0,), (1.0, 2.0), ((1, 3, 3), (3, 3, 3)), (True,))
    sizes = [range(len(decision.choices)) for decision in space.decisions]
    networks = {space.to_spec(point, template()) for point in product(*sizes)}
    assert len(networks) == space.size()


@given(seed=st.integers(0, 10**6))
def test_a_point_is_a_network_and_the_nearest_point_to_it(seed: int) -> None:
    point = tuple(SPACE.random(1, np.random.default_rng(seed))[0].tolist())
    spec = SPACE.to_spec(point, template())
    found, misfits = SPACE.nearest(spec)
    assert misfits == ()
    assert SPACE.to_spec(found, template()) == spec
    matter = SPACE.active(np.array([point]))[0]
    assert np.array_equal(np.array(found)[matter], np.array(point)[matter])


def test_decisions_of_layers_that_are_not_there_change_nothing() -> None:
    rng = np.random.default_rng(0)
    points, others = SPACE.random(50, rng), SPACE.random(50, rng)
    mixed = np.where(SPACE.active(points), points, others)
    for point, other in zip(points, mixed, strict=True):
        assert SPACE.to_spec(point, template()) == SPACE.to_spec(other, template())


def test_all_is_the_largest() -> None:
    spec = SPACE.to_spec((ALL,) * len(SPACE.decisions), template())
    assert [len(block.layers) for block in spec.blocks] == [2, 3]
    assert {layer.kernel for block in spec.blocks for layer in block.layers} == {(5, 3, 3)}
    assert (spec.stem, spec.blocks[1].channels, spec.hidden) == (8, 24, 16)


def test_the_papers_space_is_the_default() -> None:
    space = Space()
    assert len(space.kernels) == 7
    assert space.decisions[0].choices == (16, 24)  # 16·0.75 and 16·1 are both 16 in multiples of 8
    choices = {decision.name: decision.choices for decision in space.decisions}
    assert choices["blocks.4.width"] == (144, 192, 240)
    assert choices["blocks.1.0.expansion"] == (72, 96, 120, 144, 168, 192)
    assert choices["blocks.4.layers"] == tuple(range(1, 11))
    assert space.size() > 10**90


@pytest.mark.parametrize("name", MISFITS)
@pytest.mark.parametrize("kind", ["base", "stream"])
def test_published_networks_are_points_of_their_spaces_but_for_a_few_widths(name: str, kind: str) -> None:
    spec, space = zoo(f"movinet_{name}_{kind}"), published_space(name)
    space = replace(space, hidden=(spec.hidden,))
    point, misfits = space.nearest(spec)
    assert [text.partition(";")[0] for text in misfits] == MISFITS[name]
    assert (space.to_spec(point, spec, spec.name) == spec) == (not misfits)


def test_scaling_scales_widths_and_depths() -> None:
    scaled = Space().scaled(1.5, 0.5)
    choices = {decision.name: decision.choices for decision in scaled.decisions}
    assert choices["blocks.4.width"] == (216, 288, 360)
    assert max(choices["blocks.4.layers"]) == 5
    assert scaled.kernels == KERNELS


@pytest.mark.parametrize(("width", "rounded"), [(1, 8), (12, 16), (18, 16), (20, 24), (27.9, 24)])
def test_round_to_8(width: float, rounded: int) -> None:
    assert round_to_8(width) == rounded


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"widths": (8, 8)}, "one of each a block"),
        ({"kernels": ()}, r"space\.kernels is empty"),
        ({"kernels": ((2, 3, 3),)}, "want odd sizes"),
        ({"layers": ((0, 1), (1,))}, "numbers of layers from 1"),
        ({"width": 0.0}, "must be positive"),
    ],
)
def test_what_is_no_space_is_refused(changes: dict[str, object], complaint: str) -> None:
    with pytest.raises(SpecError, match=complaint):
        replace(SPACE, **changes)
