"""The losses of frames, against plain sums over them."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from movinet.data.streams import IGNORE, either
from movinet.train.stream_loss import frame_loss, truncated_mse

LOGITS = torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(0))
PLAIN = torch.tensor([[0, 3, IGNORE, 1, 1], [2, 2, IGNORE, IGNORE, 0]])


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_where_one_class_is_right_it_is_cross_entropy(smoothing: float) -> None:
    wanted = F.cross_entropy(LOGITS.mT, PLAIN, ignore_index=IGNORE, label_smoothing=smoothing)
    assert float(frame_loss(LOGITS, PLAIN, 3, smoothing)) == pytest.approx(float(wanted), rel=1e-6)


def test_where_two_are_right_their_probabilities_add_up() -> None:
    logits = LOGITS[:1, :1]
    shares = logits[0, 0].softmax(-1)
    found = frame_loss(logits, torch.tensor([[either(1)]]), background=3)
    assert float(found) == pytest.approx(-float(torch.log(shares[1] + shares[3])), rel=1e-6)
    hurried = frame_loss(logits, torch.tensor([[either(1)]]), background=3, early=1.0)
    assert float(hurried) == pytest.approx(-float(torch.log(shares[1])), rel=1e-6)


def test_weights_are_those_of_what_is_wanted() -> None:
    weights = torch.tensor([1.0, 2.0, 3.0, 0.5])
    losses = F.cross_entropy(LOGITS.mT, PLAIN, ignore_index=IGNORE, reduction="none")
    wanted = (losses * weights[PLAIN.clamp(min=0)]).sum() / 7
    assert float(frame_loss(LOGITS, PLAIN, 3, weights=weights)) == pytest.approx(float(wanted), rel=1e-6)


def test_of_the_background_the_hardest_frames_count() -> None:
    targets = torch.tensor([[3, 3, 3, 1, IGNORE], [3, 3, 3, 2, 2]])
    losses = F.cross_entropy(LOGITS.mT, targets, ignore_index=IGNORE, reduction="none")
    hardest = losses[targets == 3].sort(descending=True).values[:3]
    wanted = (hardest.sum() + losses[(targets == 1) | (targets == 2)].sum()) / 6
    assert float(frame_loss(LOGITS, targets, 3, hard=0.5)) == pytest.approx(float(wanted), rel=1e-6)
    assert float(frame_loss(LOGITS, PLAIN, 3, hard=0.01)) > 0


def test_frames_of_which_nothing_is_to_be_learned_have_no_gradient() -> None:
    logits = LOGITS.clone().requires_grad_()
    frame_loss(logits, PLAIN, 3).backward()
    assert logits.grad is not None
    assert ((logits.grad != 0).any(-1) == (PLAIN != IGNORE)).all()
    nothing = frame_loss(logits, torch.full_like(PLAIN, IGNORE), 3)
    assert float(nothing.detach()) == 0.0


def test_truncated_mse_is_the_published_sum() -> None:
    logits = 5 * LOGITS
    targets = torch.tensor([[0, 0, 1, 1, 1], [2, 2, 2, 2, 0]])
    shares = logits.double().softmax(-1).numpy()
    squares = [
        np.minimum(np.abs(np.log(shares[b, t]) - np.log(shares[b, t - 1])), 4.0) ** 2
        for b in range(2)
        for t in range(1, 5)
        if targets[b, t] == targets[b, t - 1]
    ]
    assert float(truncated_mse(logits, targets)) == pytest.approx(np.mean(squares), rel=1e-5)


def test_truncated_mse_moves_the_later_frame_towards_the_earlier() -> None:
    logits = LOGITS[:1, :2].clone().requires_grad_()
    truncated_mse(logits, torch.zeros(1, 2, dtype=torch.int64)).backward()
    assert logits.grad is not None
    assert float(logits.grad[0, 0].abs().max()) == 0.0
    assert float(logits.grad[0, 1].abs().max()) > 0.0
    assert float(truncated_mse(LOGITS[:, :1], PLAIN[:, :1])) == 0.0
