"""A network as data: what goes over to PyTorch and back, and what does not fit."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import LABELS, tiny_spec, tiny_weights

from movinet import Recognizer
from movinet.errors import WeightsError
from movinet.nn.movinet import MoViNet
from movinet.weights.load import load_weights
from movinet.weights.safetensors_file import save_weights
from movinet.weights.weights import Weights


def test_a_network_comes_back_from_pytorch_as_it_went(tmp_path: Path) -> None:
    weights = load_weights(tiny_weights(tmp_path))
    back = Weights.of(weights.to_model(), weights.info)
    assert back.info == weights.info
    assert back.hash == weights.hash
    assert all(np.array_equal(back.arrays[name], array) for name, array in weights.arrays.items())


def test_what_pytorch_changes_stays_there(tmp_path: Path) -> None:
    weights = load_weights(tiny_weights(tmp_path))
    before, model = weights.hash, weights.to_model()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    assert Weights(weights.info, weights.arrays).hash == before
    assert Weights.of(model).hash != before


def test_a_hash_is_over_arrays_alone(tmp_path: Path) -> None:
    weights = load_weights(tiny_weights(tmp_path))
    other = Weights(weights.info.with_labels(("a", "b", "c")), weights.arrays).with_options(decay=0.5)
    assert other.hash == weights.hash
    one = dict(weights.arrays)
    one["head.classifier.bias"] = np.nextafter(one["head.classifier.bias"], np.float32(9))
    assert Weights(weights.info, one).hash != weights.hash


def test_a_new_classifier_has_no_old_labels_and_can_be_saved(tmp_path: Path) -> None:
    weights = load_weights(tiny_weights(tmp_path))
    model = weights.to_model()
    assert isinstance(model, MoViNet)
    assert weights.info.labels == LABELS
    model.reset_classifier(2)
    mine = Weights.of(model, weights.info)
    prediction = Recognizer(mine, engine="torch").push(np.zeros((24, 32, 3), np.uint8))
    assert prediction is not None
    assert {label for label, _ in prediction.top(2)} == {"class 0", "class 1"}
    save_weights(tmp_path / "two.safetensors", mine.arrays, mine.info)
    assert load_weights(tmp_path / "two.safetensors").spec.num_classes == 2


def test_arrays_of_another_network_are_refused() -> None:
    weights = Weights.untrained(tiny_spec())
    with pytest.raises(WeightsError, match="do not fit"):
        weights.with_options(hidden=9)
    with pytest.raises(WeightsError, match=r"stem\.weight"):
        Weights(weights.info, {name: array for name, array in weights.arrays.items() if name != "stem.weight"})
