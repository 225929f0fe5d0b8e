"""Training on a CPU: the plain modules' numbers with fewer passes over memory.

Two thirds of a plain training step there go by moving activations about, not by multiplying. Each function here is a
formula of the network with a shorter way back, and depthwise convolutions find their kernels' gradients in another way
than torch's own; `applies` and `applies_with` say where they stand in for the plain modules. They can be differentiated
once.
"""

from collections.abc import Sequence
from math import gcd
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from movinet.nn.padding import same_padding

enabled = True
"""The switch: False trains with the plain modules alone, as where gradients are to be differentiated again."""

_WIDE = 3  # columns up to which oneDNN finds the gradient of a kernel quickly, and only with a margin up to one
_NARROW = 32  # channels

_convolution_backward = torch.ops.aten.convolution_backward
_batch_norm_backward = torch.ops.aten.native_batch_norm_backward


class _Padded(NamedTuple):
    """A kernel among zeros, so that its padding is alike on both sides."""

    kernel: Tensor  # (C', C or 1, KH, KW)
    padding: tuple[int, int]
    begin: tuple[int, ...]  # row and column in which the kernel itself begins


def applies(x: Tensor) -> bool:
    """Whether x is float32 on a CPU, gradients are wanted and the switch is on."""
    return (
        enabled
        and x.device.type == "cpu"
        and x.dtype == torch.float32
        and torch.is_grad_enabled()
        and not torch.is_autocast_enabled("cpu")
    )


def applies_with(norm: nn.Module, x: Tensor) -> bool:
    """Whether x is float32 on a CPU and goes to a plain batch norm in training."""
    return (
        type(norm) is nn.BatchNorm2d  # a subclass may count elsewhere too
        and norm.training
        and norm.affine
        and norm.running_mean is not None
        and norm.momentum is not None
        and applies(x)
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


def convolve_and_normalize(
    x: Tensor,
    weight: Tensor,
    norm: nn.BatchNorm2d,
    stride: int,
    gates: Tensor | None = None,
    scale: Tensor | None = None,
) -> Tensor:
    """`norm(conv2d(x * gates, weight)) * scale` with 'same' padding.

    Args:
        x: (N, C, H, W), channels last.
        weight: (C', C, kh, kw), or (C, 1, kh, kw) of a depthwise convolution.
        norm: in training; its statistics are updated.
        stride: 1 or 2.
        gates: (N, C).
        scale: ().
    """
    outputs, inputs, *kernel = weight.shape
    if kernel == [1, 1] and stride == 1 and inputs == x.shape[1]:
        if gates is not None and outputs < x.shape[2] * x.shape[3]:
            return batch_norm(_gated_pointwise(x, gates, weight), norm, scale)
        if gates is None and inputs <= outputs and x[:, 0].numel() > 1:
            return _pointwise_batch_norm(x, weight, norm, scale)
    if gates is not None:
        x = x * gates[..., None, None]
    return batch_norm(convolve(x, weight, None, stride), norm, scale)


def batch_norm(x: Tensor, norm: nn.BatchNorm2d, scale: Tensor | None = None) -> Tensor:
    """`norm(x) * scale`, where the factor costs no pass of its own.

    Args:
        x: (N, C, H, W), channels last.
        norm: in training; its statistics are updated.
        scale: ().
    """
    assert norm.num_batches_tracked is not None
    assert norm.momentum is not None
    norm.num_batches_tracked.add_(1)
    gamma, beta = _affine(norm, scale)
    if x.shape[1] < _NARROW < x[:, 0].numel():
        y: Tensor = _NarrowBatchNorm.apply(x, gamma, beta, norm)  # type: ignore[no-untyped-call]
        return y
    return F.batch_norm(x, norm.running_mean, norm.running_var, gamma, beta, True, norm.momentum, norm.eps)


def frame_means(x: Tensor) -> tuple[Tensor, Tensor]:
    """The means of images (N, C, H, W) over space, (N, C), and the images, to go on with instead of x.

    Both gradients come back here together, so that the means' is not spread over an image of its own first. For any
    device and precision.
    """
    means, x = _FrameMeans.apply(x)  # type: ignore[no-untyped-call]
    return means, x


def _gated_pointwise(x: Tensor, gates: Tensor, weight: Tensor) -> Tensor:
    """A 1×1 convolution of `x * gates` by a kernel for each image: there is less of kernels to scale than of images."""
    kernels = weight.flatten(1) * gates[:, None]  # (N, C', C)
    y = torch.bmm(x.permute(0, 2, 3, 1).flatten(1, 2), kernels.transpose(1, 2))
    return y.unflatten(1, x.shape[2:]).permute(0, 3, 1, 2)


def _pointwise_batch_norm(x: Tensor, weight: Tensor, norm: nn.BatchNorm2d, scale: Tensor | None) -> Tensor:
    """A 1×1 convolution and batch norm as one convolution.

    The statistics after a linear map W follow from those before it: the mean is W·mean(x), the variances are the
    diagonal of W·cov(x)·Wᵀ. So batch norm's passes over the map's output fall away, forward and backward. It pays where
    the map widens.
    """
    assert norm.num_batches_tracked is not None
    assert norm.running_mean is not None
    assert norm.running_var is not None
    assert norm.momentum is not None
    count = x[:, 0].numel()
    gamma, beta = _affine(norm, scale)
    y, mean, var = _PointwiseBatchNorm.apply(  # type: ignore[no-untyped-call]
        x, weight.flatten(1), gamma, beta, norm.eps
    )
    with torch.no_grad():
        norm.num_batches_tracked.add_(1)
        norm.running_mean.lerp_(mean, norm.momentum)
        norm.running_var.lerp_(var * (count / (count - 1)), norm.momentum)
    assert isinstance(y, Tensor)
    return y


class _PointwiseBatchNorm(torch.autograd.Function):
    """Matrices are float64 here, for a variance may be a small difference of large covariances."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, gamma: Tensor, beta: Tensor, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        pixels, matrix = rows(x).double(), weight.double()
        mean = pixels.new_ones(len(pixels)) @ pixels / len(pixels)  # faster than pixels.mean(0)
        cov = pixels.T @ pixels / len(pixels) - torch.outer(mean, mean)
        out_mean, out_var = matrix @ mean, (matrix @ cov * matrix).sum(1)
        rstd = (out_var + eps).rsqrt()
        factor = gamma * rstd
        ctx.save_for_backward(x, weight, mean, cov, rstd, factor)
        y = F.conv2d(x, _pointwise_kernel(factor[:, None] * matrix), (beta - factor * out_mean).float())
        statistics = out_mean.float(), out_var.float()
        ctx.mark_non_differentiable(*statistics)
        ctx.set_materialize_grads(False)
        return y, *statistics

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, *_: None) -> tuple[Tensor | None, ...]:
        x, weight, mean, cov, rstd, factor = ctx.saved_tensors
        matrix, pixels = weight.double(), x[:, 0].numel()
        scaled = factor[:, None] * matrix
        shape = [1, 1], [0, 0], [1, 1], False, [0, 0], 1
        needed = [ctx.needs_input_grad[0], True, False]
        grad_x, products, _ = _convolution_backward(gradient, x, _pointwise_kernel(scaled), None, *shape, needed)
        grad_beta = channel_sums(gradient).double()
        products = products.flatten(1) - torch.outer(grad_beta, mean)  # Σ gradient · (x - mean)
        grad_gamma = rstd * (products * matrix).sum(1)
        # y depends on the weight and on x by themselves and through their variance.
        through_var = (factor * rstd * grad_gamma)[:, None] * matrix
        grad_weight = factor[:, None] * products - through_var @ cov
        if grad_x is not None:
            slope = matrix.T @ through_var / -pixels
            level = -(grad_beta @ scaled / pixels + slope @ mean)
            grad_x += F.conv2d(x, _pointwise_kernel(slope), level.float())
        return grad_x, grad_weight.float(), grad_gamma.float(), grad_beta.float(), None


class _NarrowBatchNorm(torch.autograd.Function):
    """Batch norm whose sums on the way back are of rows of many pixels.

    torch keeps a row of sums for each thread. Those of few channels share a cache line, and two threads that write to
    it take four times as long as one.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, gamma: Tensor, beta: Tensor, norm: nn.BatchNorm2d) -> Tensor:
        assert norm.momentum is not None
        y, mean, rstd = torch.native_batch_norm(
            x, gamma, beta, norm.running_mean, norm.running_var, True, norm.momentum, norm.eps
        )
        ctx.save_for_backward(x, gamma, mean, rstd)
        ctx.eps = norm.eps
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, gamma, mean, rstd = ctx.saved_tensors
        count = x[:, 0].numel()
        pixels = gcd(count, 32)

        def wide(values: Tensor) -> Tensor:  # (C,) as often as a row has pixels
            return values.repeat(pixels)

        values, gradients = (rows(of).reshape(count // pixels, -1) for of in (x, gradient))
        statistics = None, None, wide(mean), wide(rstd), True, ctx.eps, [False, True, True]
        _, *sums = _batch_norm_backward(gradients, values, wide(gamma), *statistics)
        grad_gamma, grad_beta = (part.view(pixels, -1).sum(0) for part in sums)
        factor = gamma * rstd
        slope = -factor * rstd * grad_gamma / count
        level = -factor * grad_beta / count - slope * mean
        grad_x = torch.addcmul(wide(level), values, wide(slope)).addcmul_(gradients, wide(factor))
        n, c, h, w = x.shape
        return grad_x.view(n, h, w, c).permute(0, 3, 1, 2), grad_gamma, grad_beta, None


class _FrameMeans(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> tuple[Tensor, Tensor]:
        ctx.pixels = x.shape[2] * x.shape[3]
        return x.mean((2, 3)), x.view_as(x)

    @staticmethod
    def backward(ctx: Any, of_means: Tensor, of_images: Tensor) -> Tensor:
        return of_images + (of_means / ctx.pixels)[..., None, None]


def _affine(norm: nn.BatchNorm2d, scale: Tensor | None) -> tuple[Tensor, Tensor]:
    return (norm.weight, norm.bias) if scale is None else (norm.weight * scale, norm.bias * scale)


def _pointwise_kernel(matrix: Tensor) -> Tensor:
    return matrix.float()[:, :, None, None].contiguous(memory_format=torch.channels_last)
