"""The entry of a recipe that differs is named, and so is the tensor."""

from dataclasses import replace

import torch
from training_sets import BASIC

from movinet.train.differences import other_entry, other_tensor, recipe_entries
from movinet.train.recipe import AdamW, Loss, Recipe, Smoothness, recipe_to_dict
from movinet.train.recipe_data import Videos


def other(now: Recipe, then: Recipe) -> str | None:
    return other_entry(recipe_entries(recipe_to_dict(now)), recipe_entries(recipe_to_dict(then)))


def test_entries_are_named_with_their_values() -> None:
    assert other(BASIC, BASIC) is None
    assert other(replace(BASIC, epochs=9), BASIC) == "epochs was 2 and is 9"
    assert other(replace(BASIC, optimizer=AdamW(0.5)), BASIC) == "optimizer.lr was 0.01 and is 0.5"
    smooth = replace(BASIC, loss=Loss(smoothness=Smoothness(weight=0.3)))
    assert other(BASIC, smooth) == "loss.smoothness.weight was 0.3 and is as by default"
    assert other(replace(BASIC, options={"frames": 8}), BASIC) == "options.frames was as by default and is 8"


def test_files_may_lie_elsewhere() -> None:
    there = replace(BASIC, init_from="a.safetensors", data=Videos(("a",), "b", test=("3",)))
    assert other(there, replace(there, init_from="c", network="d", data=Videos(("e",), test=("3",)))) is None
    assert other(there, replace(there, data=Videos(("e",), test=("2",)))) == 'data.test was ["2"] and is ["3"]'


def test_tensors_are_named_with_their_shapes() -> None:
    then = {"a": torch.zeros(2), "b": torch.zeros(3)}
    assert other_tensor(then, then) is None
    assert other_tensor(then | {"b": torch.zeros(4)}, then) == "b was of shape (3,) and is of shape (4,)"
    assert other_tensor({"a": torch.zeros(2)}, then) == "b was of shape (3,) and is absent"
