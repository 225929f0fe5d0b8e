"""Batch norm where a process's batch is no fair sample: a share of the global one, or sub-clips of one age."""

from typing import TypeVar

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from movinet.train.distributed import sum_over_processes

_RAMP = 5000  # batches until a new network's running statistics are trusted
_LARGEST_RATIO, _LARGEST_SHIFT = 3.0, 5.0

Norm = TypeVar("Norm", bound=nn.BatchNorm2d)


class SynchronizedNorm(nn.BatchNorm2d):
    """Batch norm over the batches of all processes. `torch.nn.SyncBatchNorm` is the same for GPUs only."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or not _several():
            return super().forward(x)
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        with torch.autocast(x.device.type, enabled=False):
            values = x.float()
            count = torch.full((1,), float(x.numel() // x.shape[1]), device=x.device)
            sums = sum_over_processes(torch.cat([values.sum((0, 2, 3)), count]))
            total = sums[-1].detach()
            mean = sums[:-1] / total
            # The second pass costs another exchange and saves the digits that a mean of squares would lose.
            var = sum_over_processes((values - mean[:, None, None]).square().sum((0, 2, 3))) / total
            weight, bias = self._affine(mean.detach(), var.detach())
            scale = (var + self.eps).rsqrt() * weight
            with torch.no_grad():
                self.running_mean.lerp_(mean, self.momentum)
                self.running_var.lerp_(var * (total / (total - 1)), self.momentum)
                self.num_batches_tracked.add_(1)
            return (values * scale[:, None, None] + (bias - mean * scale)[:, None, None]).to(x.dtype)

    def _affine(self, mean: Tensor, var: Tensor) -> tuple[Tensor, Tensor]:
        """What is done to normalized values, given the statistics of the batch."""
        return self.weight, self.bias


class RenormalizedNorm(SynchronizedNorm):
    """Batch renormalization (Ioffe, arXiv 1702.03275): the values running statistics would give, the gradients of batch
    norm.

    The frames of a sub-clip are no fair sample of those of its clip: the first have no past, and in the last ones
    nothing may move any more. Batch norm would take away what sets them apart, and a stream, which is normalized by
    running statistics, would not.
    """

    settled = False
    """The running statistics are a trained network's. Those of a new one are followed more and more."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or _several():
            return super().forward(x)
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        with torch.no_grad():
            if x.device.type == "cpu":  # the other way takes thirty times as long there
                mean, var = torch.batch_norm_update_stats(x.float(), None, None, 0.0)
            else:
                var, mean = torch.var_mean(x.float(), (0, 2, 3), correction=0)
        weight, bias = self._affine(mean, var)
        y = F.batch_norm(x, self.running_mean, self.running_var, weight, bias, True, self.momentum, self.eps)
        self.num_batches_tracked.add_(1)
        return y

    def _affine(self, mean: Tensor, var: Tensor) -> tuple[Tensor, Tensor]:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        trust = 1.0 if self.settled else min(1.0, int(self.num_batches_tracked) / _RAMP)
        largest, furthest = 1 + (_LARGEST_RATIO - 1) * trust, _LARGEST_SHIFT * trust
        with torch.no_grad():
            rstd = (self.running_var + self.eps).rsqrt()
            ratio = ((var + self.eps).sqrt() * rstd).clamp(1 / largest, largest)
            shift = ((mean - self.running_mean) * rstd).clamp(-furthest, furthest)
        return self.weight * ratio, self.bias + self.weight * shift


def synchronize_norms(model: nn.Module) -> None:
    """Put every batch norm's statistics over all processes. Names and values of parameters stay."""
    _replace_norms(model, SynchronizedNorm)


def renormalize(model: nn.Module, settled: bool) -> None:
    """Let every batch norm give what its running statistics would. Names and values of parameters stay.

    Args:
        model: Over any number of processes.
        settled: See `RenormalizedNorm`.
    """
    for norm in _replace_norms(model, RenormalizedNorm):
        norm.settled = settled


def _replace_norms(model: nn.Module, kind: type[Norm]) -> list[Norm]:
    """The new ones."""
    replaced = []
    for part in model.modules():
        for name, norm in part.named_children():
            if type(norm) is nn.BatchNorm2d:
                other = kind(norm.num_features, norm.eps, norm.momentum)
                other.load_state_dict(norm.state_dict())
                other.weight, other.bias = norm.weight, norm.bias  # an optimizer may know them already
                replaced.append(other.to(norm.weight.device).train(norm.training))
                setattr(part, name, other)
    return replaced


def _several() -> bool:
    return dist.is_initialized() and dist.get_world_size() > 1
