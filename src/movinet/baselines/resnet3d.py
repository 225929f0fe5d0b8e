"""ResNet3D-50, the slow pathway of SlowFast by itself, with and without a stream buffer.

Feichtenhofer et al., SlowFast Networks for Video Recognition (arXiv 1812.03982), table 1. The causal form is section
3.2 of the MoViNet paper (arXiv 2103.11511): the same weights, with all of each temporal kernel in the past.
"""

from math import ceil

import torch
from torch import Tensor, nn

from movinet.arch.baseline_spec import BaselineSpec
from movinet.nn.baseline_network import BaselineNetwork, mean_so_far
from movinet.nn.state import State
from movinet.weights.info import WeightsInfo

_DEPTHS = (3, 4, 6, 3)
_EXPANSION = 4


def depths(factor: float) -> tuple[int, ...]:
    """Bottlenecks of each stage."""
    return tuple(ceil(factor * depth) for depth in _DEPTHS)


class TemporalConv(nn.Module):
    """A convolution over time alone (kt × 1 × 1), 'same' or causal.

    Args:
        channels, out: of images.
        kernel: frames, odd.
        causal: whether all of the kernel lies in the past, or half of it in the future.
    """

    def __init__(self, channels: int, out: int, kernel: int, causal: bool) -> None:
        super().__init__()
        self.past = kernel - 1 if causal else 0
        self.conv = nn.Conv3d(channels, out, (kernel, 1, 1), padding=(0 if causal else kernel // 2, 0, 0), bias=False)

    def forward(self, x: Tensor, buffer: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Convolve.

        Args:
            x: (B, C, T, H, W).
            buffer: (B, C, kt-1, H, W), the frames before; None: there were none. Used by the causal form.

        Returns:
            The result, and the buffer after the call (None where nothing is to be remembered).
        """
        if not self.past:
            return self.conv(x), None
        if buffer is None:
            buffer = x.new_zeros(x.shape[0], x.shape[1], self.past, *x.shape[3:])
        x = torch.cat([buffer, x], dim=2)
        return self.conv(x), x[:, :, x.shape[2] - self.past :].clone()


class ResBlock(nn.Module):
    """kt × 1 × 1, 1 × 3 × 3 with the stride, 1 × 1 × 1; added to what came in."""

    def __init__(self, channels: int, inner: int, out: int, kernel: int, stride: int, causal: bool) -> None:
        super().__init__()
        self.reduce, self.reduce_norm = TemporalConv(channels, inner, kernel, causal), nn.BatchNorm3d(inner)
        self.space = nn.Conv3d(inner, inner, (1, 3, 3), (1, stride, stride), (0, 1, 1), bias=False)
        self.space_norm = nn.BatchNorm3d(inner)
        self.expand, self.expand_norm = nn.Conv3d(inner, out, 1, bias=False), nn.BatchNorm3d(out)
        self.shortcut: nn.Module = nn.Identity()
        if channels != out or stride != 1:
            self.shortcut = nn.Sequential(
                nn.Conv3d(channels, out, 1, (1, stride, stride), bias=False), nn.BatchNorm3d(out)
            )
        nn.init.zeros_(self.expand_norm.weight)  # the block begins as the identity

    def forward(self, x: Tensor, buffer: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """As `TemporalConv.forward`."""
        y, buffer = self.reduce(x, buffer)
        y = torch.relu(self.reduce_norm(y))
        y = torch.relu(self.space_norm(self.space(y)))
        return torch.relu(self.expand_norm(self.expand(y)) + self.shortcut(x)), buffer


def stage(
    channels: int, inner: int, out: int, depth: int, kernel: int, stride: int, causal: bool = False
) -> nn.ModuleList:
    """Bottlenecks in a row; the first has the stride."""
    return nn.ModuleList(
        ResBlock(out if n else channels, inner, out, kernel, 1 if n else stride, causal) for n in range(depth)
    )


def stem(out: int, kernel: int) -> nn.Sequential:
    """kt × 7 × 7 at stride 2, and a 3 × 3 maximum at stride 2: both in space."""
    return nn.Sequential(
        nn.Conv3d(3, out, (kernel, 7, 7), (1, 2, 2), (kernel // 2, 3, 3), bias=False),
        nn.BatchNorm3d(out),
        nn.ReLU(),
        nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)),
    )


class ResNet3D(BaselineNetwork):
    """Slow-only ResNet3D; causal with stream buffers, so that it may go frame by frame, with the clip's answer."""

    def __init__(self, spec: BaselineSpec, info: WeightsInfo | None = None) -> None:
        super().__init__(spec, info)
        width = round(spec.width)
        self.stem = stem(width, 1)
        channels, stages = width, []
        for n, depth in enumerate(depths(spec.depth)):
            inner = width << n
            out = _EXPANSION * inner
            kernel, stride = 1 if n < 2 else 3, 1 if n == 0 else 2
            stages.append(stage(channels, inner, out, depth, kernel, stride, spec.causal))
            channels = out
        self.stages = nn.ModuleList(stages)
        self.dropout = nn.Dropout(spec.dropout)
        self.add_classifier(channels, spec.num_classes)

    @property
    def receptive_field(self) -> int:
        return 1 + 2 * sum(depths(self.spec.depth)[2:])

    def forward(self, clip: Tensor) -> Tensor:
        """Logits (B, classes) of clips (B, 3, T, H, W)."""
        return self._run(clip, {})[0]

    def step(self, frames: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        return self._run(frames, state or {}) if self.spec.causal else super().step(frames, state)

    def _run(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        new: State = {}
        frames = x.shape[2]
        x = self.stem(x)
        for n, blocks in enumerate(self.stages):
            assert isinstance(blocks, nn.ModuleList)
            for m, block in enumerate(blocks):
                name = f"stages.{n}.{m}.buffer"
                x, buffer = block(x, state.get(name))
                if buffer is not None:
                    new[name] = buffer
        mean, counted = mean_so_far(x.mean((2, 3, 4)), frames, state)
        return self.classifier(self.dropout(mean)), new | counted
