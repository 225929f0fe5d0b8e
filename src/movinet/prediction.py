"""A network's answer for a person to read."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from movinet.errors import MovinetError
from movinet.weights.info import WeightsInfo


def check_classifier(info: WeightsInfo) -> None:
    """Refuse a network that says nothing of classes.

    Raises:
        MovinetError: it has no classifier.
    """
    if not info.spec.num_classes:
        raise MovinetError(
            f"{info.name} has no classifier: engines run it, and its answers are what a classifier would see; give the "
            "model one with reset_classifier(num_classes), and train that"
        )


def probabilities_of(logits: NDArray[np.float32], info: WeightsInfo) -> NDArray[np.float32]:
    """What a network puts out, (..., num_classes), as probabilities.

    Raises:
        MovinetError: it has no classifier.
    """
    check_classifier(info)
    if info.multi_label:
        probabilities = 1 / (1 + np.exp(-np.clip(logits, -80, 80)))
    else:
        exponentials = np.exp(logits - logits.max(-1, keepdims=True))
        probabilities = exponentials / exponentials.sum(-1, keepdims=True)
    return probabilities.astype(np.float32)


@dataclass(frozen=True, eq=False, repr=False)
class Prediction:
    """What the network thinks after a frame."""

    time: float  # seconds, of the frame
    frames: int  # frames of the stream the network has seen
    probabilities: NDArray[np.float32]  # (num_classes,), summing to 1 unless the network is multi-label
    info: WeightsInfo

    @classmethod
    def of_logits(cls, logits: NDArray[np.float32], time: float, frames: int, info: WeightsInfo) -> Self:
        """From what a network puts out (num_classes,).

        Raises:
            MovinetError: it has no classifier.
        """
        return cls(time, frames, probabilities_of(logits, info), info)

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

    def to_dict(self, k: int = 5) -> dict[str, Any]:
        """Plain types, ready for JSON: time, frames, and the k likeliest labels."""
        top = [{"label": label, "probability": round(p, 6)} for label, p in self.top(k)]
        return {"time": round(self.time, 3), "frames": self.frames, "top": top}
