"""Spaces and searches small enough for tests."""

from dataclasses import replace
from pathlib import Path

from tiny import tiny_spec
from training_sets import BASIC, as_file

from movinet.arch.spec import NetworkSpec
from movinet.search.reward import Budget
from movinet.search.search_recipe import ControllerOptions, SearchRecipe
from movinet.search.space import Space

SPACE = Space(
    widths=(8, 8, 16),
    project=16,
    hidden=(8, 16),
    layers=((1, 2), (1, 2, 3)),
    strides=(2, 1),
    expansions=(1.0, 2.0),
    kernels=((1, 3, 3), (5, 1, 1), (3, 3, 3)),
)


def template(causal: bool = True, **options: object) -> NetworkSpec:
    """What the space does not decide: three classes, 24×32 pixels, nothing random."""
    return tiny_spec(causal).with_options(dropout=0.0, stochastic_depth=0.0, **options)


def search_recipe(folder: Path, **changes: object) -> SearchRecipe:
    """Two epochs of three updates."""
    training = replace(BASIC, network=str(as_file(folder)), options={"dropout": 0.0, "stochastic_depth": 0.0})
    recipe = SearchRecipe(
        Budget(200_000, tolerance=0.1), training, SPACE, controller=ControllerOptions(lr=0.1, clips=4, draws=2)
    )
    return replace(recipe, **changes)
