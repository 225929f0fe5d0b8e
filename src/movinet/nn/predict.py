"""Labels of clips from a network in PyTorch, without a recognizer."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from movinet.prediction import Prediction
from movinet.weights.info import WeightsInfo


def predict(model: nn.Module, info: WeightsInfo, clip: Tensor | NDArray[Any] | str | Path) -> list[Prediction]:
    """What clips show to a network that `info` describes; see `MoViNet.predict`."""
    like = next(model.parameters())
    if isinstance(clip, np.ndarray):
        clip = torch.from_numpy(clip)
    elif not isinstance(clip, Tensor):
        from movinet.video.decode import read_clip

        clip = torch.from_numpy(read_clip(clip, info.transform))[None]
    if clip.is_floating_point():
        clip = clip.to(like.device, like.dtype)
    with torch.inference_mode(), evaluating(model):
        logits = model(clip).float().cpu().numpy()
    frames = clip.shape[2]
    return [Prediction.of_logits(row, (frames - 1) / info.transform.fps, frames, info) for row in logits]


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """The network in evaluation mode, and every part of it in its own again afterwards."""
    before = [(part, part.training) for part in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for part, training in before:
            part.training = training
