"""Wrong answers without a word that are known, each with the issue that rebuilds what gives them.

They fail today; strictly, so that who mends one finds its test here and moves it to its place.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tiny import tiny_weights

from movinet import MovinetError, Recognizer
from movinet.nn.movinet import MoViNet
from movinet.weights.load import load_weights
from movinet.weights.safetensors_file import save_weights

SESSION = "issue 14 rebuilds recognizers as sessions"
LABELS = "issue 14 gives classes and labels one home"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_weights(tmp_path_factory.mktemp("weights"))


def pictures(count: int, seed: int = 0) -> list[NDArray[np.uint8]]:
    return list(np.random.default_rng(seed).integers(0, 256, (count, 24, 32, 3), dtype=np.uint8))


@pytest.mark.xfail(strict=True, reason=f"logits that are no numbers are an answer: {SESSION}")
def test_logits_that_are_no_numbers_are_no_answer(weights: Path) -> None:
    loaded = load_weights(weights)
    with torch.no_grad():
        next(loaded.model.parameters()).fill_(torch.nan)
    recognizer = Recognizer(loaded, engine="torch")
    with pytest.raises(MovinetError):
        recognizer.push(pictures(1)[0])


@pytest.mark.xfail(strict=True, reason=f"a frame that is refused uses up its turn: {SESSION}")
def test_a_frame_that_is_refused_leaves_its_turn_to_the_next(weights: Path) -> None:
    recognizer, (first, second) = Recognizer.load(weights, engine="torch"), pictures(2)
    assert recognizer.push(first, 0.0) is not None
    with pytest.raises(ValueError, match="uint8"):
        recognizer.push(second.astype(np.float32), 0.2)
    assert recognizer.push(second, 0.21) is not None


@pytest.mark.xfail(strict=True, reason=f"`memory` of a stream that runs does nothing: {SESSION}")
def test_a_stream_that_runs_forgets_from_when_it_is_told(weights: Path) -> None:
    recognizers = [Recognizer.load(weights, engine="torch") for _ in range(2)]
    answers = []
    for recognizer in recognizers:
        for picture in pictures(4):
            recognizer.push(picture)
        if recognizer is recognizers[1]:
            recognizer.memory = 0.3
        for picture in pictures(4, seed=1):
            prediction = recognizer.push(picture)
        assert prediction is not None
        answers.append(prediction.probabilities)
    assert np.abs(answers[0] - answers[1]).max() > 1e-4


@pytest.mark.xfail(strict=True, reason=f"labels stay those of the old classifier: {LABELS}")
def test_a_new_classifier_has_no_old_labels(weights: Path) -> None:
    loaded = load_weights(weights)
    assert isinstance(loaded.model, MoViNet)
    loaded.model.reset_classifier(2)
    prediction = Recognizer(loaded, engine="torch").push(pictures(1)[0])
    assert prediction is not None
    assert {label for label, _ in prediction.top(2)} == {"class 0", "class 1"}


@pytest.mark.xfail(strict=True, reason=f"the saved file does not fit itself: {LABELS}")
def test_a_network_with_a_new_classifier_is_saved_as_it_is(weights: Path, tmp_path: Path) -> None:
    loaded = load_weights(weights)
    assert isinstance(loaded.model, MoViNet)
    loaded.model.reset_classifier(2)
    save_weights(tmp_path / "two.safetensors", loaded.model.state_dict(), loaded.info)
    assert load_weights(tmp_path / "two.safetensors").info.spec.classes == 2
