"""Wrong answers without a word that are known, each with the issue that rebuilds what gives them.

They fail today; strictly, so that who mends one finds its test here and moves it to its place.
"""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tiny import tiny_weights

from movinet import MovinetError, Recognizer
from movinet.weights.load import load_weights
from movinet.weights.weights import Weights

SESSION = "issue 14 rebuilds recognizers as sessions"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_weights(tmp_path_factory.mktemp("weights"))


def pictures(count: int, seed: int = 0) -> list[NDArray[np.uint8]]:
    return list(np.random.default_rng(seed).integers(0, 256, (count, 24, 32, 3), dtype=np.uint8))


@pytest.mark.xfail(strict=True, reason=f"logits that are no numbers are an answer: {SESSION}")
def test_logits_that_are_no_numbers_are_no_answer(weights: Path) -> None:
    loaded = load_weights(weights)
    broken = {name: np.full_like(array, np.nan) for name, array in loaded.arrays.items()}
    recognizer = Recognizer(Weights(loaded.info, broken), engine="torch")
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
