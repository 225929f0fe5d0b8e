"""What is minimized, for class numbers, mixed labels and multi-label targets; in float32 whatever the precision.

Every loss is a plain mean over examples, so that sub-batches and processes of one size add up to the whole.
"""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from movinet.errors import MovinetError


def cross_entropy(logits: Tensor, targets: Tensor, smoothing: float = 0.0, weights: Tensor | None = None) -> Tensor:
    """Cross-entropy, for clips that show one class, or a mixture of several.

    Args:
        logits: (B, num_classes), or (B, T, num_classes): the mean of the losses after every frame.
        targets: (B,) int64, or (B, num_classes) shares of the classes.
        smoothing: The share of each target that is spread evenly over the classes.
        weights: (num_classes,) from `class_weights`. They weigh examples: what smoothing gives to others is not theirs.

    Returns:
        A scalar.
    """
    shares = class_shares(targets, logits.shape[-1])
    smoothed = shares * (1 - smoothing) + smoothing / logits.shape[-1]
    if logits.ndim == 3:
        smoothed = smoothed[:, None]
    losses = -(smoothed * logits.float().log_softmax(-1)).sum(-1)
    if weights is not None:
        losses = losses * (shares @ weights).view(-1, *[1] * (losses.ndim - 1))
    return losses.mean()


def binary_cross_entropy(
    logits: Tensor, targets: Tensor, smoothing: float = 0.0, weights: Tensor | None = None
) -> Tensor:
    """Binary cross-entropy, for clips that show any number of classes: the mean over clips and classes.

    Args:
        logits: (B, num_classes), or (B, T, num_classes): the mean of the losses after every frame.
        targets: (B, num_classes) in [0, 1], or (B,) int64.
        smoothing: The share of each target that becomes 0.5.
        weights: (num_classes,) from `class_weights`; only their ratios matter, as every clip counts for every class.

    Returns:
        A scalar.
    """
    smoothed = class_shares(targets, logits.shape[-1]) * (1 - smoothing) + smoothing / 2
    if logits.ndim == 3:
        smoothed = smoothed[:, None].expand_as(logits)
    relative = None if weights is None else weights / weights.mean()
    return F.binary_cross_entropy_with_logits(logits.float(), smoothed, relative)


def class_shares(targets: Tensor, num_classes: int) -> Tensor:
    """Targets as float32 (B, num_classes), as mixing wants them: class numbers (B,) become one-hot."""
    return F.one_hot(targets, num_classes).float() if targets.ndim == 1 else targets.float()


def class_weights(
    wanted: Literal["even", "balanced"] | Mapping[str, float],
    classes: Sequence[str],
    counts: Sequence[int],
    multi_label: bool = False,
) -> Tensor | None:
    """The weight of each class, with a mean of 1 over the examples, so that the scale of the loss stays.

    Args:
        wanted: `even`; `balanced`: all classes together weigh the same, n / (k · count); or weights by name, 1 for
            those not named.
        classes: Their names.
        counts: Examples of each. A balanced class without any has weight 1.
        multi_label: Every clip counts for every class, so that balanced they are by themselves.

    Returns:
        (num_classes,) float32; None for `even`.

    Raises:
        MovinetError: An unknown name, a weight that is none, or no example that weighs anything.
    """
    if wanted == "even" or (wanted == "balanced" and multi_label):
        return None
    examples = torch.tensor(counts, dtype=torch.float64)
    if wanted == "balanced":
        weights = torch.where(examples > 0, 1 / examples.clamp(min=1), 0.0)
    else:
        assert isinstance(wanted, Mapping)
        if unknown := sorted(wanted.keys() - set(classes)):
            raise MovinetError(f"class_weights: no class is called {unknown[0]!r}; there are {', '.join(classes)}")
        if wrong := [name for name, weight in wanted.items() if not (isfinite(weight) and weight >= 0)]:
            raise MovinetError(f"class_weights: {wrong[0]!r} is {wanted[wrong[0]]}; want a number from 0")
        weights = torch.tensor([wanted.get(name, 1.0) for name in classes], dtype=torch.float64)
    total = examples @ weights
    if not total > 0:
        raise MovinetError("class_weights: not one example weighs anything; give a weight to a class that has examples")
    weights = weights * (examples.sum() / total)
    return (torch.where(examples > 0, weights, 1.0) if wanted == "balanced" else weights).float()
