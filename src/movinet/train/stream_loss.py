"""What is minimised on streams: the loss of every frame, and steady answers from frame to frame."""

import torch
from torch import Tensor

from movinet.data.streams import IGNORE


def frame_loss(
    logits: Tensor,
    targets: Tensor,
    background: int,
    smoothing: float = 0.0,
    weights: Tensor | None = None,
    early: float = 0.0,
    hard: float = 1.0,
) -> Tensor:
    """Cross-entropy, the mean over all frames but the ignored; 0 where all are.

    At frames of which both a label and the background are right (`movinet.data.streams.either`), it is that of both
    together, -log(p(label) + p(background)).

    Args:
        logits: (B, T, num_classes).
        targets: (B, T) int64.
        background: Its class.
        smoothing: The share of each target that is spread evenly over the classes; not where two are right.
        weights: (num_classes,) by which the frames of each class count; where two are right, by the label's.
        early: At frames where two are right, the share of the loss that is of the label alone: answers come earlier
            with it.
        hard: Of the frames at which the background alone is right, only this share counts, those with the largest
            losses (Shrivastava et al., "Online Hard Example Mining", CVPR 2016, arXiv 1604.03540).

    Returns:
        A float32 scalar.
    """
    log_shares = logits.float().log_softmax(-1)
    two = targets < IGNORE
    labels = torch.where(two, IGNORE - 1 - targets, targets).clamp(min=0)
    said = log_shares.gather(-1, labels[..., None])[..., 0]
    losses = -(1 - smoothing) * said - smoothing * log_shares.mean(-1)
    both = -torch.logaddexp(said, log_shares[..., background])
    losses = torch.where(two, (1 - early) * both - early * said, losses)
    counted = targets != IGNORE
    if hard < 1:
        counted &= ~_easy(losses.detach(), targets == background, hard)
    if weights is not None:
        losses = losses * weights[labels]
    return losses.where(counted, 0.0).sum() / counted.sum().clamp(min=1)


def _easy(losses: Tensor, background: Tensor, share: float) -> Tensor:
    """Which frames of the background are not among its hardest."""
    count = int(background.sum())
    if not count:
        return background
    kept = max(1, round(share * count))
    order = losses.masked_fill(~background, -torch.inf).flatten().argsort(descending=True, stable=True)
    easy = torch.zeros_like(background).flatten()
    easy[order[kept:count]] = True
    return easy.view_as(background)


def truncated_mse(logits: Tensor, targets: Tensor, limit: float = 4.0) -> Tensor:
    """How much answers change from one frame to the next where what is wanted does not: the mean square over frames
    and classes of the change of the log-probabilities, larger ones counted as `limit`.

    The T-MSE of Farha and Gall, "MS-TCN", CVPR 2019, arXiv 1903.01945; as there, gradients go to the later of two
    frames alone.

    Args:
        logits: (B, T, num_classes).
        targets: (B, T) int64.
        limit: τ.

    Returns:
        A float32 scalar; 0 for a single frame.
    """
    log_shares = logits.float().log_softmax(-1)
    changes = (log_shares[:, 1:] - log_shares[:, :-1].detach()).abs().clamp(max=limit).square().mean(-1)  # (B, T-1)
    alike = targets[:, 1:] == targets[:, :-1]
    return changes.where(alike, 0.0).sum() / alike.sum().clamp(min=1)
