"""Gaussian-random-walk smoothing of per-frame embeddings: frames in their order should make the smoothest path.

Goldman et al., "Smooth Regularization for Efficient Video Recognition", NeurIPS 2025, arXiv 2511.20928. From the paper:
with velocities v_t = z_t+1 - z_t and accelerations a_t = v_t+1 - v_t of normalized embeddings z, and a_t ~ N(0, I), an
order of the frames of a window has the log density -½ Σ_t |a_t|², up to a constant. The loss is

    -log( exp(-½ Σ|a|²) / Σ_π exp(-½ Σ|a_π|²) ) + α · ½ Σ|v|²

with π over the (T-1)! orders that begin with the same frame (backwards would be as smooth). A constant embedding makes
all orders alike and pays log (T-1)!; that the true order wins asks for motion, and the velocity term bounds it.

Ours: |·|² is a mean over channels, so that λ and α mean the same at every width (summed over the 480 of A0, the loss
would be hundreds of times that on labels). Windows overlap, one from every frame on, and shrink to clips shorter than
they are. Embeddings are normalized by channel over all frames of the global batch. And as accelerations are linear in
the frames, an order's energy is linear in the window's Gram matrix: all orders cost one small matrix product.
"""

from functools import cache
from itertools import permutations
from math import sqrt

import torch
import torch.distributed as dist
from torch import Tensor

from movinet.errors import MovinetError
from movinet.train.distributed import sum_over_processes

_EPSILON = 1e-5
_LONGEST = 7  # frames; the paper draws from the orders of longer windows


def smoothness_loss(embeddings: Tensor, window: int = 6, velocity: float = 0.5) -> Tensor:
    """The mean over all windows of the loss above, in float32; 0 for clips of fewer than three frames.

    Args:
        embeddings: (B, T, C), one vector a frame, such as means of the features over space; not normalized.
        window: Frames of a window, 3 to 7.
        velocity: α.

    Returns:
        A scalar.

    Raises:
        MovinetError: The window has another length.
    """
    if not 3 <= window <= _LONGEST:
        raise MovinetError(f"smoothing compares the orders of 3 to {_LONGEST} frames, not {window}")
    with torch.autocast(embeddings.device.type, enabled=False):
        if embeddings.shape[1] < 3:
            return 0.0 * embeddings.float().sum()
        frames = normalized(embeddings) / sqrt(embeddings.shape[2])  # so that |.|² is a mean over channels
        windows = frames.unfold(1, min(window, embeddings.shape[1]), 1).mT  # (B, windows, T, C)
        energies = order_energies(windows)
        surprise = energies[..., 0] / 2 + torch.logsumexp(-energies / 2, dim=-1)
        speed = windows.diff(dim=2).square().sum((2, 3)) / 2
        return (surprise + velocity * speed).mean()


def normalized(embeddings: Tensor) -> Tensor:
    """Embeddings (B, T, C) with mean 0 and variance 1 in every channel, over all frames of all processes' batches."""
    centered = embeddings.float()
    centered = centered - _mean(centered)
    return centered * (_mean(centered.square()) + _EPSILON).rsqrt()


def order_energies(windows: Tensor) -> Tensor:
    """Σ |acceleration|² of every order of the frames that begins with the first: (..., T, C) to (..., (T-1)!).

    The order as it is comes first.
    """
    centered = windows - windows[..., :1, :]  # accelerations do not change, and the products below stay small
    products = centered @ centered.mT  # (..., T, T)
    return products.flatten(-2) @ _energy_forms(windows.shape[-2], windows.device).to(windows.dtype).T


@cache
@torch.inference_mode(False)  # the first call may come from an evaluation, the next from training
def _energy_forms(frames: int, device: torch.device) -> Tensor:
    """(orders, T²): what multiplies the products of frames to give each order's energy."""
    accelerate = torch.eye(frames).diff(dim=0).diff(dim=0)  # (T-2, T)
    orders = torch.tensor([(0, *rest) for rest in permutations(range(1, frames))])
    placed = torch.eye(frames)[orders]  # (orders, T, T): frame by place
    return (placed.mT @ accelerate.T @ accelerate @ placed).flatten(1).to(device)


def _mean(x: Tensor) -> Tensor:
    """(B, T, C) to (C,): over frames and processes, whose batches are of one size."""
    processes = dist.get_world_size() if dist.is_initialized() else 1
    return sum_over_processes(x.mean((0, 1))) / processes
