"""The CPU's ways of finding a convolution's gradients against autograd's own in float64."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from nn.networks import SEEDS
from torch import Tensor

from movinet.nn import fused_cpu
from movinet.nn.fused_cpu import convolve, convolve_causally
from movinet.nn.padding import same_padding

Convolve = Callable[[Tensor, Tensor, Tensor | None], Tensor]

SIZES = st.tuples(st.integers(1, 13), st.integers(1, 13))


def plainly(x: Tensor, weight: Tensor, bias: Tensor | None, stride: int) -> Tensor:
    padded, padding = same_padding(weight, x.shape, stride)
    return F.conv2d(x, padded, bias, stride, padding, groups=x.shape[1] // weight.shape[1])


def causally(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return F.conv2d(F.pad(x, (0, 0, weight.shape[2] - 1, 0)), weight, bias, groups=len(weight))


def assert_alike(ours: Convolve, plain: Convolve, shape: tuple[int, ...], kernel: tuple[int, ...], seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    x = torch.randn(shape, generator=random).contiguous(memory_format=torch.channels_last)
    values = [x, torch.randn(kernel, generator=random), torch.randn(kernel[:1], generator=random)]

    def run(forward: Convolve, dtype: torch.dtype) -> list[Tensor]:
        leaves = [value.to(dtype, copy=True).requires_grad_() for value in values]
        y = forward(*leaves)
        y.backward(torch.randn(y.shape, generator=torch.Generator().manual_seed(seed)).to(dtype))
        return [y.detach(), *(leaf.grad for leaf in leaves if leaf.grad is not None)]

    for found, exact in zip(run(ours, torch.float32), run(plain, torch.float64), strict=True):
        assert found.shape == exact.shape
        assert (found - exact).abs().max() <= 1e-5 * max(float(exact.abs().max()), 1.0)


@given(
    st.sampled_from([2, 24]), st.sampled_from([(1, 3), (3, 3), (5, 5), (7, 7)]), st.sampled_from([1, 2]), SIZES, SEEDS
)
@settings(max_examples=80, deadline=None)
def test_depthwise(channels: int, kernel: tuple[int, int], stride: int, size: tuple[int, int], seed: int) -> None:
    assert_alike(
        lambda x, weight, bias: convolve(x, weight, bias, stride),
        lambda x, weight, bias: plainly(x, weight, bias, stride),
        (2, channels, *size),
        (channels, 1, *kernel),
        seed,
    )


@given(st.sampled_from([2, 24]), st.sampled_from([3, 5]), st.integers(1, 12), st.integers(1, 5), SEEDS)
@settings(max_examples=60, deadline=None)
def test_causal(channels: int, taps: int, frames: int, pixels: int, seed: int) -> None:
    assert_alike(convolve_causally, causally, (2, channels, frames, pixels), (channels, 1, taps, 1), seed)


@pytest.mark.parametrize("stride", [1, 2])
def test_not_depthwise(stride: int) -> None:
    assert_alike(
        lambda x, weight, bias: convolve(x, weight, bias, stride),
        lambda x, weight, bias: plainly(x, weight, bias, stride),
        (2, 3, 9, 12),
        (5, 3, 3, 3),
        0,
    )


def test_only_wanted_gradients_are_found() -> None:
    x, weight, bias = torch.randn(1, 4, 8, 8), torch.randn(4, 1, 5, 5), torch.randn(4)
    for wanted in (x, weight, bias):
        leaves = [value.clone().requires_grad_(value is wanted) for value in (x, weight, bias)]
        convolve(leaves[0], leaves[1], leaves[2], 1).sum().backward()
        assert [leaf.grad is not None for leaf in leaves] == [value is wanted for value in (x, weight, bias)]


def test_where_it_applies() -> None:
    x = torch.rand(1, 4, 2, 2)
    assert fused_cpu.applies(x)
    for other in (x.bfloat16(), x.double(), x.to("meta")):
        assert not fused_cpu.applies(other)
    with torch.no_grad():
        assert not fused_cpu.applies(x)
    with torch.autocast("cpu"):
        assert not fused_cpu.applies(x)
