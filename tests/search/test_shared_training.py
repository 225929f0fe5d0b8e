"""What a search says of its weights is what a training would say: they are trained by the same loop."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from spaces import SPACE, search_recipe, template
from training_sets import Asked, Noise, fabric, noise

from movinet.arch.count import macs_per_frame
from movinet.errors import MovinetError, WeightsError
from movinet.nn.movinet import MoViNet
from movinet.search import cost
from movinet.search.candidates import CandidateEvaluator
from movinet.search.search_loop import Search
from movinet.search.search_recipe import SearchRecipe
from movinet.search.supernet import SuperNetwork
from movinet.search.supernet_loss import SupernetWithLoss
from movinet.train.checkpoint import load_checkpoint
from movinet.train.model_with_loss import ModelWithLoss
from movinet.train.recipe import Loss


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("weights", ["even", "balanced", {"left": 3.0}])
def test_classes_weigh_the_same(multi_label: bool, weights: object) -> None:
    data, loss = Noise(13, multi_label=multi_label), Loss(class_weights=weights)
    alone = ModelWithLoss(MoViNet(template()), loss, data).class_weights
    shared = SupernetWithLoss(SuperNetwork(SPACE, template()), loss, data).class_weights
    assert (alone is None) == (shared is None)
    if alone is not None:
        torch.testing.assert_close(shared, alone)


def new_search(recipe: SearchRecipe, folder: Path, on: object = None) -> Search:
    like, sets = recipe.template(3), noise(clips=13, validation=8)
    judge = CandidateEvaluator(recipe.budget, cost.macs(recipe.space, like), cost.state_bytes(recipe.space, like))
    torch.manual_seed(0)
    network = SuperNetwork(recipe.space, like, 0.5)
    return Search(on or fabric(), recipe, network, sets, judge, folder / "checkpoint.safetensors")


def test_a_search_goes_on_as_it_began(tmp_path: Path) -> None:
    recipe = search_recipe(tmp_path)
    new_search(recipe, tmp_path).run(Asked(1))
    checkpoint = load_checkpoint(tmp_path / "checkpoint.safetensors")
    changes = {
        r"budget\.target was 200000": replace(recipe, budget=replace(recipe.budget, target=150_000.0)),
        r"training\.epochs was 2 and is 3": replace(recipe, training=replace(recipe.training, epochs=3)),
    }
    for complaint, other in changes.items():
        with pytest.raises(WeightsError, match=rf"another recipe or version: {complaint}.*begin a new search"):
            new_search(other, tmp_path).restore(checkpoint)
    new_search(recipe, tmp_path).restore(checkpoint)


def test_batches_that_processes_cannot_share_are_refused(tmp_path: Path) -> None:
    class Three:
        world_size = 3

    with pytest.raises(MovinetError, match="3 processes cannot share 13 clips in batches of 4 evenly"):
        new_search(search_recipe(tmp_path), tmp_path, on=Three())


def test_the_number_of_classes_comes_from_the_data(tmp_path: Path) -> None:
    training = search_recipe(tmp_path).training
    recipe = search_recipe(tmp_path, training=replace(training, options={**training.options, "num_classes": 7}))
    with pytest.raises(MovinetError, match="comes from the data"):
        recipe.template(3)
    assert macs_per_frame(search_recipe(tmp_path).template(3)) > 0
