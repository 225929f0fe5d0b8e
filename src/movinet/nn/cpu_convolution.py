"""Depthwise convolutions with a shorter way back than torch's own, for training on a CPU.

The numbers are those of `torch.nn.functional.conv2d`; only how the kernel's gradient is found differs. They can be
differentiated once.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from movinet.nn.padding import same_padding

_WIDE = 3  # columns up to which oneDNN finds the gradient of a kernel quickly, and only with a margin up to one

_convolution_backward = torch.ops.aten.convolution_backward


class _Padded(NamedTuple):
    """A kernel among zeros, so that its padding is alike on both sides."""

    kernel: Tensor  # (C', C or 1, KH, KW)
    padding: tuple[int, int]
    begin: tuple[int, ...]  # row and column in which the kernel itself begins


def applies(x: Tensor) -> bool:
    """Whether x is float32 on a CPU and gradients are wanted."""
    return (
        x.device.type == "cpu"
        and x.dtype == torch.float32
        and torch.is_grad_enabled()
        and not torch.is_autocast_enabled("cpu")
    )


def convolve(x: Tensor, weight: Tensor, bias: Tensor | None, stride: int) -> Tensor:
    """A convolution with TensorFlow's 'same' padding.

    Args:
        x: (N, C, H, W), channels last.
        weight: (C', C, kh, kw), or (C, 1, kh, kw) of a depthwise convolution; kh and kw odd.
        bias: (C',).
        stride: 1 or 2.
    """
    padded, padding = same_padding(weight, x.shape, stride)
    groups = x.shape[1] // weight.shape[1]
    if groups == 1:
        return F.conv2d(x, padded, bias, stride, padding)
    begin = tuple(wide - k for wide, k in zip(padded.shape[2:], weight.shape[2:], strict=True))
    return _depthwise(x, weight, bias, stride, _Padded(padded, padding, begin))


def convolve_causally(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """A depthwise convolution over rows none of which sees those after it.

    Args:
        x: (N, C, T, P), channels last.
        weight: (C, 1, k, 1), the oldest row's tap first.
        bias: (C,).
    """
    past = weight.shape[2] - 1
    # Rows of zeros before and taps of zeros for what comes after: cheaper than to put rows before.
    return _depthwise(x, weight, bias, 1, _Padded(F.pad(weight, (0, 0, 0, past)), (past, 0), (0, 0)))


def channel_sums(x: Tensor) -> Tensor:
    """The sums over everything but channels (C,) of images (N, C, H, W); faster than `torch.sum`."""
    return x.new_ones(x[:, 0].numel()) @ rows(x)


def rows(x: Tensor) -> Tensor:
    """Images (N, C, H, W) as (N·H·W, C); a view if channels are last in memory."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])


def _depthwise(x: Tensor, weight: Tensor, bias: Tensor | None, stride: int, padded: _Padded) -> Tensor:
    """`conv2d` with the padded weight."""
    kernel, padding, _ = padded
    if kernel.shape[3] > _WIDE or kernel.shape[2] > x.shape[2]:
        y: Tensor = _DepthwiseConvolution.apply(x, weight, bias, stride, padded)  # type: ignore[no-untyped-call]
        return y
    return F.conv2d(x, kernel, bias, stride, padding, groups=len(weight))


class _DepthwiseConvolution(torch.autograd.Function):
    """With a kernel that is wide, or higher than the images."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, stride: int, padded: _Padded) -> Tensor:
        kernel = padded.kernel.detach()
        ctx.save_for_backward(x, kernel)
        ctx.stride, ctx.padding, ctx.begin, ctx.kernel = stride, padded.padding, padded.begin, weight.shape
        return F.conv2d(x, kernel, bias, stride, padded.padding, groups=len(weight))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, padded = ctx.saved_tensors
        of_x, of_weight, of_bias, *_ = ctx.needs_input_grad
        grad_x = grad_weight = None
        if of_x:
            grad_x = _backward(gradient, x, padded, ctx.stride, ctx.padding, [True, False, False])[0]
        if of_weight:
            if _can_be_shifted(padded, x):
                wide = _gradient_by_shifts(gradient, x, padded.shape, ctx.stride, ctx.padding)
                grad_weight = wide[:, :, ctx.begin[0] :, ctx.begin[1] :]
            else:
                first = tuple(at - pad for at, pad in zip(ctx.begin, ctx.padding, strict=True))
                grad_weight = _gradient_in_margin(gradient, x, ctx.kernel, ctx.stride, first)
        return grad_x, grad_weight, channel_sums(gradient) if of_bias else None, None, None


def _can_be_shifted(kernel: Tensor, x: Tensor) -> bool:
    """Whether `_gradient_by_shifts` knows the kernel's width and gains by it: not where margins are most of what is
    seen, nor where oneDNN is slow for the kernel's height."""
    return _WIDE < kernel.shape[3] <= 2 * _WIDE and x.shape[3] > _WIDE + 1 and kernel.shape[2] <= x.shape[2]


def _gradient_in_margin(
    gradient: Tensor, x: Tensor, kernel: Sequence[int], stride: int, first: tuple[int, ...]
) -> Tensor:
    """The gradient of a depthwise kernel, from images with all the margin it needs: for any, quicker for small ones.

    Args:
        gradient: (N, C, H', W'), of the result.
        x: (N, C, H, W), which was convolved.
        kernel: Its shape, (C, 1, kh, kw).
        stride: In both directions.
        first: (rows, columns) from the pixel p of x that belongs to a pixel of the result to the kernel's first tap.
    """
    (top, left), (height, width) = first, gradient.shape[2:]
    bottom, right = (
        (outputs - 1) * stride + begin + k - side
        for outputs, begin, k, side in zip((height, width), first, kernel[2:], x.shape[2:], strict=True)
    )
    x, columns = F.pad(x, (-left, right, -top, bottom)), []
    for column in range(0, kernel[3], _WIDE):
        part = x.new_empty(*kernel[:3], min(_WIDE, kernel[3] - column))
        seen = x[..., column : column + (width - 1) * stride + part.shape[3]]
        columns.append(_backward(gradient, seen, part, stride, (0, 0), [False, True, False])[1])
    return torch.cat(columns, dim=3)


def _gradient_by_shifts(
    gradient: Tensor, x: Tensor, kernel: Sequence[int], stride: int, padding: tuple[int, int]
) -> Tensor:
    """The gradient of a depthwise kernel four to six columns wide, from shifted gradients of the result.

    The columns at -1, 0 and 1 from the pixel in the middle make one part, and those on either side another: none needs
    more margin than the quick ways have. What is shifted is no larger than the images.
    """
    (margin, middle), width, parts = padding, x.shape[3], []
    for left, count, side in ((0, middle - 1, 0), (middle - 1, 3, 1), (middle + 2, kernel[3] - middle - 2, 0)):
        if not count:
            continue
        # Column i meets pixel p of the result at pixel stride·p + i - middle: a narrower kernel's, some pixels later.
        shift = (left - middle + side) // stride
        outputs = (width + 2 * side - count) // stride + 1
        shifted = F.pad(gradient, (shift, outputs - gradient.shape[3] - shift))
        part = x.new_empty(*kernel[:3], count)
        parts.append(_backward(shifted, x, part, stride, (margin, side), [False, True, False])[1])
    return torch.cat(parts, dim=3)


def _backward(
    gradient: Tensor, x: Tensor, kernel: Tensor, stride: int, padding: tuple[int, int], needed: list[bool]
) -> list[Tensor]:
    shape = [stride] * 2, list(padding), [1, 1], False, [0, 0], len(kernel)
    found: list[Tensor] = _convolution_backward(gradient, x, kernel, None, *shape, needed)
    return found
