"""Run by test_processes.py: a search by two processes, from the folder given."""

import sys
from dataclasses import replace
from pathlib import Path

import torch
from spaces import search_recipe
from training_sets import noise

from movinet.search.search_recipe import SearchRecipe
from movinet.search.search_run import PreparedSearch, run_search
from movinet.train.distributed import connect
from movinet.train.recipe import RMSprop


def prepared(folder: Path) -> PreparedSearch:
    """Without anything random in the network, and an optimizer that makes nothing of rounding."""
    recipe: SearchRecipe = search_recipe(folder)
    recipe = replace(recipe, training=replace(recipe.training, optimizer=RMSprop(0.2)))
    return PreparedSearch(recipe, recipe.template(3), noise(clips=12, validation=8))


if __name__ == "__main__":
    fabric = connect("cpu", processes=2, in_part=True)
    torch.set_num_threads(1)
    run_search(prepared(Path(sys.argv[1])), Path(sys.argv[1], "two"), fabric)
