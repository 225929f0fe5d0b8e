"""Activations and gates by the names a specification uses."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from movinet.arch.spec import Activation, Gate


def hard_sigmoid_keras(x: Tensor) -> Tensor:
    """clamp(0.2 x + 0.5, 0, 1): Keras' own, which the published stream checkpoints were trained with."""
    return torch.clamp(0.2 * x + 0.5, 0.0, 1.0)


def hard_sigmoid_garden(x: Tensor) -> Tensor:
    """relu6(x + 3) · 0.16667: official/modeling/activations/sigmoid.py, the constant included."""
    return F.relu6(x + 3.0) * 0.16667


ACTIVATIONS: dict[Activation, Callable[..., Tensor]] = {  # of a tensor; `inplace=True` is understood
    "relu": F.relu,
    "relu6": F.relu6,
    "swish": F.silu,
    "hard_swish": F.hardswish,
}

GATES: dict[Gate, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid,
    "hard_sigmoid_keras": hard_sigmoid_keras,
    "hard_sigmoid_garden": hard_sigmoid_garden,
    "hard_sigmoid_torch": F.hardsigmoid,
}
