"""What the networks to compare with have in common: what they are, and a classifier that can be replaced."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from movinet.arch.baseline_spec import BaselineSpec
from movinet.errors import MovinetError
from movinet.nn.predict import predict
from movinet.nn.state import State
from movinet.prediction import Prediction
from movinet.weights.info import WeightsInfo, fresh_info


class BaselineNetwork(nn.Module):
    """A network that takes clips (B, 3, T, H, W) in [0, 1] and gives logits (B, classes), as `MoViNet` does.

    Args:
        spec: what it is.
        info: what else is known of it.
    """

    dropout: nn.Dropout
    classifier: nn.Linear

    def __init__(self, spec: BaselineSpec, info: WeightsInfo | None = None) -> None:
        super().__init__()
        self.info = replace(info, spec=spec) if info else fresh_info(spec)

    @property
    def spec(self) -> BaselineSpec:
        """What the network is."""
        assert isinstance(self.info.spec, BaselineSpec)
        return self.info.spec

    @property
    def num_classes(self) -> int:
        """Logits a clip has."""
        return self.spec.num_classes

    @property
    def receptive_field(self) -> int:
        """Frames that its convolutions see."""
        raise NotImplementedError

    def step(self, frames: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Show it the next frames of streams; wherever a clip is cut, the last answer is that of the clip.

        Args:
            frames: (B, 3, T, H, W), T ≥ 1.
            state: what the call before returned; None: the beginning.

        Returns:
            Logits (B, classes) after the last frame, and the state; every tensor has the stream first.

        Raises:
            MovinetError: it looks into the future.
        """
        raise MovinetError(f"{self.spec.name} looks into the future and cannot stream; it answers for whole clips")

    def predict(self, clip: Tensor | NDArray[Any] | str | Path) -> list[Prediction]:
        """What clips show, in labels and probabilities; see `MoViNet.predict`."""
        return predict(self, self.info, clip)

    def get_classifier(self) -> nn.Linear:
        """The last layer."""
        return self.classifier

    def reset_classifier(self, num_classes: int) -> None:
        """Put a new, untrained classifier on top; labels and figures of the old one are no longer those of `info`."""
        like = self.classifier.weight
        self.info = self.info.for_new_classifier(num_classes)
        self.add_classifier(like.shape[1], num_classes)
        self.classifier.to(like.device, like.dtype)

    def add_classifier(self, features: int, num_classes: int) -> None:
        """A fresh one, of so many numbers."""
        self.classifier = nn.Linear(features, num_classes)
        nn.init.normal_(self.classifier.weight, std=0.01)
        nn.init.zeros_(self.classifier.bias)


def mean_so_far(mean: Tensor, frames: int, state: State | None) -> tuple[Tensor, State]:
    """The mean over all frames of streams, and what is to be remembered of it.

    Args:
        mean: (B, C), over the frames of this call.
        frames: of this call.
        state: with the mean before and the count of frames; None or empty: the beginning.
    """
    seen = state["frames_seen"] if state else torch.zeros(len(mean), dtype=torch.int64, device=mean.device)
    if state:
        share = frames / (seen.to(mean.dtype)[:, None] + frames)
        mean = state["mean"] + (mean - state["mean"]) * share
    return mean, {"mean": mean, "frames_seen": seen + frames}
