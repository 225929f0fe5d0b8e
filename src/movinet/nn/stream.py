"""What makes a network stream: the stream buffer, cumulative pooling and the positional encoding.

Layers hold no state. Each takes the past it needs and returns the new one; `StepContext` is what all of them share of a
call. Activations are images `(B·T, C, H, W)` in channels-last memory, which in memory is (B, T, H, W, C): views of the
same numbers serve 2-D convolutions, temporal convolutions over (T, H·W) and 3-D convolutions without a copy.
"""

from contextlib import nullcontext
from typing import NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import Tensor

from movinet.arch.step import DECAY, FRAME_COUNT, POOL_WEIGHT
from movinet.nn import fused_cpu
from movinet.nn.padding import same_padding
from movinet.nn.state import State


class StepContext(NamedTuple):
    """Where in its stream each frame of a call stands, and how pooled means weigh it. Same for every layer.

    A pooled mean at row r is `mean + Σ_t pool_weights[r, t] * (x[t] - mean)`, `mean` being the one before the call. A
    causal network has a row for every frame; a base network has a single row, the plain mean over the clip.
    """

    batch: int
    frames: int
    positions: Tensor  # (B, T) int64: frames seen before this one
    pool_weights: Tensor  # (B, R, T) float32
    weight: Tensor  # (B,) float32: pool weight after the call

    @classmethod
    def whole_clip(cls, batch: int, frames: int, device: torch.device) -> Self:
        """For a base network: every mean is over all frames."""
        return cls(
            batch,
            frames,
            positions=torch.arange(frames, device=device).expand(batch, frames),
            pool_weights=torch.full((batch, 1, frames), 1.0 / frames, device=device),
            weight=torch.full((batch,), float(frames), device=device),
        )

    @classmethod
    def from_state(cls, state: State, frames: int) -> Self:
        """For a stream network: frame t weighs frame i ≤ t of the call by γ^(t-i) and the past by γ^(t+1).

        Powers of γ ≤ 1 are formed directly and never divided by, so nothing overflows however small γ is.
        """
        gamma = state[DECAY].float()[:, None]  # (B, 1)
        steps = torch.arange(frames, device=gamma.device)
        age = steps[:, None] - steps[None, :]  # (T, T): t - i
        powers = (gamma[..., None] ** age.clamp(min=0)).tril()  # (B, T, T)
        past = gamma ** (steps + 1) * state[POOL_WEIGHT].float()[:, None]  # (B, T)
        weight = past + powers.sum(-1)
        return cls(
            state[FRAME_COUNT].shape[0],
            frames,
            positions=state[FRAME_COUNT][:, None] + steps,
            pool_weights=powers / weight[..., None],
            weight=weight[:, -1],
        )

    @classmethod
    def initial(cls, batch: int, frames: int, decay: float, device: torch.device) -> Self:
        """For a stream network: nothing was seen yet."""
        nothing = torch.zeros(batch, device=device)
        state = {FRAME_COUNT: nothing.long(), DECAY: nothing + decay, POOL_WEIGHT: nothing}
        return cls.from_state(state, frames)

    def last(self) -> Self:
        """Only the last row: for a pool whose earlier means nobody asks for."""
        return self._replace(pool_weights=self.pool_weights[:, -1:])


def pooled_mean(x: Tensor, mean: Tensor | None, context: StepContext) -> tuple[Tensor, Tensor]:
    """The mean over all frames so far, at every row of the context.

    In float32 whatever the precision of the network: long sums overflow float16 and stall in bfloat16.

    Args:
        x: (B, T, C), one vector a frame.
        mean: (B, C), the mean before this call; None if there was nothing before.
        context: of this call.

    Returns:
        The means (B, R, C) and the mean after the call (B, C), both float32.
    """
    # There is no autocast to switch off for tensors without values.
    with nullcontext() if x.is_meta else torch.autocast(x.device.type, enabled=False):
        if mean is None:
            means = torch.bmm(context.pool_weights, x.float())
        else:
            # Moving toward what is new, a mean cannot drift however long the stream and however rounded the weights.
            before = mean.float()[:, None]
            means = before + torch.bmm(context.pool_weights, x.float() - before)
    return means, means[:, -1]


def temporal_convolution(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    buffer: Tensor | None,
    context: StepContext,
    causal: bool,
    training: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """A depthwise convolution over time, one 2-D convolution on (T, H·W) images.

    Args:
        x: (B·T, C, H, W).
        weight: (C, 1, kt, 1), the oldest frame's tap first.
        bias: (C,) or None.
        buffer: (B, C, kt-1, H, W), the frames before these; None if there were none and none will come.
        context: of this call.
        causal: whether all of the kernel lies in the past, or half of it in the future.
        training: whether gradients may be found in the way that is quickest, which can be differentiated no further.

    Returns:
        The result, shaped like x, and the buffer after the call.
    """
    n, c, h, w = x.shape
    frames = x.permute(0, 2, 3, 1).reshape(context.batch, context.frames, h * w, c)
    if buffer is not None:
        frames = torch.cat([buffer.to(x.dtype).permute(0, 2, 3, 4, 1).flatten(2, 3), frames], dim=1)
        buffer = _newest(frames[:, context.frames :], context).unflatten(2, (h, w)).permute(0, 4, 1, 2, 3)
    images, frames_around = frames.permute(0, 3, 1, 2), weight.shape[2] - 1  # (B, C, kt-1+T, H·W)
    if buffer is not None:
        y = F.conv2d(images, weight, bias, groups=c)
    elif not causal:
        y = F.conv2d(images, weight, bias, padding=(frames_around // 2, 0), groups=c)
    elif training and fused_cpu.applies(x):
        y = fused_cpu.convolve_causally(images, weight, bias)
    else:  # frames of zeros before and taps of zeros for what comes after: cheaper than to put frames before
        y = F.conv2d(images, F.pad(weight, (0, 0, 0, frames_around)), bias, padding=(frames_around, 0), groups=c)
    return y.permute(0, 2, 3, 1).reshape(n, h, w, c).permute(0, 3, 1, 2), buffer


def volume_convolution(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: int,
    buffer: Tensor | None,
    context: StepContext,
    causal: bool,
) -> tuple[Tensor, Tensor | None]:
    """A depthwise convolution over time and space at once, 'same' in space.

    Args:
        x: (B·T, C, H, W).
        weight: (C, 1, kt, kh, kw), the oldest frame's tap first.
        bias: (C,) or None.
        stride: in space.
        buffer: (B, C, kt-1, H, W), the frames before these; None if there were none and none will come.
        context: of this call.
        causal: whether all of the kernel lies in the past, or half of it in the future.

    Returns:
        The result (B·T, C, H/stride, W/stride) and the buffer after the call.
    """
    frames = x.unflatten(0, (context.batch, context.frames)).transpose(1, 2)  # (B, C, T, H, W), channels last in memory
    if buffer is not None:
        frames = torch.cat([buffer.to(x.dtype), frames], dim=2).contiguous(memory_format=torch.channels_last_3d)
        buffer = _newest(frames[:, :, context.frames :], context)
    elif causal:
        frames = F.pad(frames, (0, 0, 0, 0, weight.shape[2] - 1, 0)).contiguous(memory_format=torch.channels_last_3d)
    pad_time = 0 if causal else weight.shape[2] // 2
    weight, padding = same_padding(weight, x.shape, stride)
    y = F.conv3d(frames, weight, bias, (1, stride, stride), (pad_time, *padding), groups=x.shape[1])
    return y.transpose(1, 2).flatten(0, 1), buffer


def positional_encoding(positions: Tensor, channels: int) -> Tensor:
    """Sines beside cosines (not interleaved), as official nn_layers.PositionalEncoding computes them.

    Args:
        positions: (B, T) integers.
        channels: even.

    Returns:
        (B, T, channels) float32.
    """
    even = torch.arange(0, channels, 2, device=positions.device, dtype=torch.float32)
    radians = positions[..., None].float() * (1.0 / torch.pow(10_000.0, even / channels))
    return torch.cat([radians.sin(), radians.cos()], dim=-1)


def _newest(frames: Tensor, context: StepContext) -> Tensor:
    """A buffer that does not keep a whole clip's memory alive through a view; after one frame a view is cheaper."""
    return frames.clone() if context.frames > 1 else frames
