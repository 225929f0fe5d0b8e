"""Many streams stepped together in one engine: the answers are those each would get alone, in a third of the time."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from movinet.prediction import Prediction
from movinet.runtime.engine import forgetting, live_memory, with_decays
from movinet.runtime.factory import create_engine
from movinet.weights.load import load_weights
from movinet.weights.weights import Weights


class SteppedTogether:
    """Rows of an engine, each the state of a stream of its own.

    Args:
        weights: Of the network.
        memories: Seconds that each row remembers; infinite: it never forgets.
    """

    def __init__(self, weights: Weights, memories: Sequence[float]) -> None:
        self.info = weights.info
        engine = create_engine(weights, size=self.info.transform.size, streams=len(memories), threads=1)
        self.engine, self.state = engine, engine.init_state()
        empty = engine.get_state(self.state, 0)
        self._begun = [with_decays(engine, empty, forgetting(engine, self.info.spec, memory)) for memory in memories]
        for row in range(len(memories)):
            self.reset(row)

    def reset(self, row: int) -> None:
        """Forget all that it has seen."""
        self.engine.set_states(self.state, {row: self._begun[row]})

    def step(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """The next frame of every row, (rows, H, W, 3) as the network's transform makes them: (rows, classes)
        probabilities."""
        logits = self.engine.step(images, self.state)
        assert logits is not None
        return np.stack([Prediction.of_logits(row, 0.0, 0, self.info).probabilities for row in logits])


def loaded(given: str) -> tuple[Weights, float]:
    """Weights and the memory of a live stream of a NAME or FILE, with :SECONDS for a memory of one's own."""
    model, _, seconds = given.partition(":")
    weights = load_weights(model)
    engine = create_engine(weights, size=weights.info.transform.size, threads=1)
    return weights, live_memory(engine, weights.info, float(seconds) if seconds else None) or math.inf
