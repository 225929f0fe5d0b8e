"""A network's answer for a person to read."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from movinet.weights.info import WeightsInfo


@dataclass(frozen=True, eq=False, repr=False)
class Prediction:
    """What the network thinks after a frame."""

    time: float  # seconds, of the frame
    frames: int  # frames of the stream the network has seen
    probabilities: NDArray[np.float32]  # (classes,), summing to 1 unless the network is multi-label
    info: WeightsInfo

    def __repr__(self) -> str:
        return f"Prediction({self.time:.2f} s, frame {self.frames}: {self.label} {self.confidence:.0%})"

    @property
    def label(self) -> str:
        """The likeliest label."""
        return self.info.label(int(self.probabilities.argmax()))

    @property
    def confidence(self) -> float:
        """The likeliest label's probability."""
        return float(self.probabilities.max())

    def top(self, k: int = 5) -> list[tuple[str, float]]:
        """The k likeliest labels with their probabilities, likeliest first."""
        order = np.argsort(-self.probabilities, kind="stable")[:k]
        return [(self.info.label(int(i)), float(self.probabilities[i])) for i in order]
