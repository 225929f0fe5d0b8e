"""Stream buffer, cumulative pooling, padding and positional encoding against slow, independent references."""

from math import cos, sin

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from nn.networks import SEEDS, assert_same
from torch import Tensor

from movinet.arch.step import DECAY, FRAME_COUNT, POOL_WEIGHT
from movinet.nn.padding import same_padding
from movinet.nn.stream import (
    StepContext,
    pooled_mean,
    positional_encoding,
    temporal_convolution,
    volume_convolution,
)

SIDES = st.integers(1, 12)
GAMMAS = st.sampled_from([1.0, 1e-6, 0.5]) | st.floats(1e-6, 1.0)


def tensorflow_pads(side: int, kernel: int, stride: int) -> tuple[int, int]:
    """'SAME', as TensorFlow documents it: before and after."""
    total = max((-(-side // stride) - 1) * stride + kernel - side, 0)
    return total // 2, total - total // 2


def clock_after(frames: int, gamma: float, start: int = 0, weight: float = 0.0) -> StepContext:
    state = {
        FRAME_COUNT: torch.tensor([start]),
        DECAY: torch.tensor([gamma]),
        POOL_WEIGHT: torch.tensor([weight]),
    }
    return StepContext.from_state(state, frames)


@given(SIDES, SIDES, st.sampled_from([(1, 1), (3, 3), (5, 5), (7, 7), (1, 3), (5, 1)]), st.sampled_from([1, 2]), SEEDS)
@settings(max_examples=60, deadline=None)
def test_same_padding(height: int, width: int, kernel: tuple[int, int], stride: int, seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    x = torch.randn(2, 3, height, width, generator=random)
    weight = torch.randn(4, 3, *kernel, generator=random)
    padded, padding = same_padding(weight, x.shape, stride)
    (top, bottom), (left, right) = (tensorflow_pads(n, k, stride) for n, k in zip((height, width), kernel, strict=True))
    expected = F.conv2d(F.pad(x, (left, right, top, bottom)), weight, stride=stride)
    assert_same(F.conv2d(x, padded, stride=stride, padding=padding), expected)
    assert expected.shape[2:] == (-(-height // stride), -(-width // stride))


def depthwise_case(
    seed: int, batch: int, frames: int, size: tuple[int, int], kernel: tuple[int, int, int]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Frames (B, C, T, H, W), a buffer before them, weights and biases."""
    random = torch.Generator().manual_seed(seed)
    shapes = (batch, 5, frames, *size), (batch, 5, kernel[0] - 1, *size), (5, 1, *kernel), (5,)
    x, buffer, weight, bias = (torch.randn(shape, generator=random) for shape in shapes)
    return x, buffer, weight, bias


def images(x: Tensor) -> Tensor:
    return x.transpose(1, 2).flatten(0, 1).contiguous(memory_format=torch.channels_last)


DEPTHWISE = (SEEDS, st.integers(1, 3), st.integers(1, 6), st.tuples(SIDES, SIDES), st.sampled_from([3, 5, 7]))


def before_and_after(buffer: Tensor, x: Tensor, past: str) -> Tensor:
    """All frames a kernel sees."""
    if past == "none":
        return F.pad(x, (0, 0, 0, 0, buffer.shape[2] // 2, buffer.shape[2] // 2))
    return torch.cat([buffer if past == "buffer" else torch.zeros_like(buffer), x], dim=2)


PAST = st.sampled_from(["none", "zeros", "buffer"])  # a base network, a whole clip of a stream network, a step


@given(*DEPTHWISE, PAST, st.booleans())
@settings(max_examples=50, deadline=None)
def test_temporal_convolution(
    seed: int, batch: int, frames: int, size: tuple[int, int], kt: int, past: str, biased: bool
) -> None:
    x, buffer, weight, bias = depthwise_case(seed, batch, frames, size, (kt, 1, 1))
    context = StepContext.whole_clip(batch, frames, x.device)
    given_past, given_bias = buffer if past == "buffer" else None, bias if biased else None
    y, after = temporal_convolution(images(x), weight[..., 0], given_bias, given_past, context, past != "none")
    seen = before_and_after(buffer, x, past)
    assert_same(y, images(F.conv3d(seen, weight, given_bias, groups=5)))
    if past == "buffer":
        assert after is not None
        assert torch.equal(after, seen[:, :, frames:])
    else:
        assert after is None


@given(*DEPTHWISE, PAST, st.sampled_from([1, 2]), st.sampled_from([1, 3, 5]))
@settings(max_examples=50, deadline=None)
def test_volume_convolution(
    seed: int, batch: int, frames: int, size: tuple[int, int], kt: int, past: str, stride: int, side: int
) -> None:
    x, buffer, weight, bias = depthwise_case(seed, batch, frames, size, (kt, side, side))
    context = StepContext.whole_clip(batch, frames, x.device)
    given_past = buffer if past == "buffer" else None
    y, after = volume_convolution(images(x), weight, bias, stride, given_past, context, past != "none")
    seen = before_and_after(buffer, x, past)
    (top, bottom), (left, right) = (tensorflow_pads(n, side, stride) for n in size)
    padded = F.pad(seen, (left, right, top, bottom))
    assert_same(y, images(F.conv3d(padded, weight, bias, stride=(1, stride, stride), groups=5)))
    if past == "buffer":
        assert after is not None
        assert torch.equal(after, seen[:, :, frames:])
    else:
        assert after is None


@pytest.mark.parametrize("frames", [1, 30])
def test_a_buffer_keeps_no_clip_alive(frames: int) -> None:
    x, buffer, weight, bias = depthwise_case(0, 1, frames, (4, 4), (5, 3, 3))
    context = StepContext.whole_clip(1, frames, x.device)
    for after in (
        temporal_convolution(images(x), weight[:, :, :, :1, 0], bias, buffer, context, True)[1],
        volume_convolution(images(x), weight, bias, 1, buffer, context, True)[1],
    ):
        assert after is not None
        assert after.untyped_storage().nbytes() <= 5 / 4 * buffer.untyped_storage().nbytes()


@given(st.lists(GAMMAS, min_size=1, max_size=3), st.lists(st.integers(1, 5), min_size=1, max_size=4), SEEDS)
@settings(max_examples=80, deadline=None)
def test_pooled_mean_is_the_recurrence(gammas: list[float], cuts: list[int], seed: int) -> None:
    """sum ← γ·sum + x, weight ← γ·weight + 1, mean = sum / weight; every stream with its own γ, in any cut."""
    x = torch.randn(len(gammas), sum(cuts), 4, generator=torch.Generator().manual_seed(seed))
    state = {
        FRAME_COUNT: torch.zeros(len(gammas), dtype=torch.int64),
        DECAY: torch.tensor(gammas),
        POOL_WEIGHT: torch.zeros(len(gammas)),
    }
    mean, rows = torch.zeros(len(gammas), 4), []
    for piece in x.split(cuts, dim=1):
        context = StepContext.from_state(state, piece.shape[1])
        means, mean = pooled_mean(piece, mean, context)
        last, _ = pooled_mean(piece, rows[-1][:, -1] if rows else None, context.last())
        assert_same(last[:, 0], mean)
        state |= {FRAME_COUNT: state[FRAME_COUNT] + piece.shape[1], POOL_WEIGHT: context.weight}
        rows.append(means)
    expected, weights = np.empty(x.shape), np.empty(len(gammas))
    for stream in range(len(gammas)):
        gamma, total, weight = float(np.float32(gammas[stream])), np.zeros(4), 0.0
        for t, frame in enumerate(x[stream].double().numpy()):
            total, weight = gamma * total + frame, gamma * weight + 1
            expected[stream, t] = total / weight
        weights[stream] = weight
        if gamma == 1:
            np.testing.assert_allclose(expected[stream, -1], x[stream].double().mean(0))
    np.testing.assert_allclose(torch.cat(rows, dim=1), expected, atol=2e-6)
    np.testing.assert_allclose(state[POOL_WEIGHT], weights, rtol=1e-5)


@pytest.mark.parametrize("frames", [1, 100])
@pytest.mark.parametrize("seen", [10**6, 16_777_215, 3 * 10**7])  # float32 counts to 2^24 = 16,777,216
def test_means_of_endless_streams_stay_put(seen: int, frames: int) -> None:
    x = torch.full((1, frames, 1), 1.5)
    mean, weight = x[:, 0], float(seen)
    for _ in range(500):
        context = clock_after(frames, 1.0, seen, weight)
        _, mean = pooled_mean(x, mean, context)
        weight = float(context.weight)
    assert mean.item() == 1.5
    assert weight >= seen


@given(st.floats(0.01, 0.999), st.integers(1, 5))
@settings(max_examples=30, deadline=None)
def test_decayed_weight_settles(gamma: float, frames: int) -> None:
    limit = 1 / (1 - float(np.float32(gamma)))
    context = clock_after(frames, gamma, 10**6, weight=limit)
    np.testing.assert_allclose(context.weight, limit, rtol=1e-5)


def test_base_networks_average_the_clip() -> None:
    x = torch.randn(2, 7, 3)
    means, last = pooled_mean(x, None, StepContext.whole_clip(2, 7, x.device))
    torch.testing.assert_close(means, x.mean(1, keepdim=True))
    torch.testing.assert_close(last, x.mean(1))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_means_are_float32_in_every_precision(dtype: torch.dtype) -> None:
    x = torch.full((1, 700, 2), 100.0, dtype=dtype)  # sums to 70,000; float16 ends at 65,504
    with torch.autocast("cpu", dtype=torch.bfloat16):
        means, last = pooled_mean(x, torch.zeros(1, 2), clock_after(700, 1.0))
    assert means.dtype == last.dtype == torch.float32
    torch.testing.assert_close(means, torch.full((1, 700, 2), 100.0), rtol=1e-5, atol=0)


@given(st.lists(st.integers(0, 2000), min_size=1, max_size=4), st.integers(1, 20).map(lambda n: 2 * n))
@settings(max_examples=30, deadline=None)
def test_positional_encoding(positions: list[int], channels: int) -> None:
    expected = []
    for position in positions:
        angles = [position / 10_000 ** (2 * (i // 2) / channels) for i in range(channels)]
        expected.append([sin(a) for a in angles[::2]] + [cos(a) for a in angles[1::2]])
    encoding = positional_encoding(torch.tensor([positions]), channels)
    assert encoding.dtype == torch.float32
    np.testing.assert_allclose(encoding[0], expected, atol=3e-4)  # float32 angles up to 2000
