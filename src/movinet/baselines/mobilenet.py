"""MobileNets over the frames of a clip: TSN, which averages their answers, and TSM, which shifts channels in time.

MobileNetV2 (arXiv 1801.04381), MobileNetV3 (arXiv 1905.02244); Temporal Segment Networks (arXiv 1608.00859), Temporal
Shift Module (arXiv 1811.08383): within every residual block an eighth of the channels comes from the frame before and
an eighth from the frame after; in its online form an eighth comes from the frame before.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from movinet.arch.baseline_spec import BaselineSpec, Shift
from movinet.baselines.x3d import rounded
from movinet.nn.baseline_network import BaselineNetwork, mean_so_far
from movinet.nn.state import State
from movinet.weights.info import WeightsInfo

_PART = 8  # an eighth of the channels comes from each neighbor


class Row(NamedTuple):
    """An inverted residual of the table of a network."""

    kernel: int
    inner: int
    out: int
    se: bool
    hard_swish: bool
    stride: int

    def scaled(self, width: float, channels: int | None) -> "Row":
        """With channels times a factor; those inside are a multiple of what comes in, where that is given."""
        if width == 1:
            return self
        if channels is not None:
            return self._replace(inner=channels * (6 if self.inner != 32 else 1), out=rounded(self.out * width))
        return self._replace(inner=rounded(self.inner * width), out=rounded(self.out * width))


def _v2() -> tuple[Row, ...]:
    rows, channels = [], 32
    table = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
    for factor, out, depth, stride in table:
        for n in range(depth):
            rows.append(Row(3, factor * channels, out, se=False, hard_swish=False, stride=1 if n else stride))
            channels = out
    return tuple(rows)


_V2 = _v2()
_V3_LARGE = tuple(
    Row(kernel, inner, out, bool(se), bool(hard), stride)
    for kernel, inner, out, se, hard, stride in (
        (3, 16, 16, 0, 0, 1),
        (3, 64, 24, 0, 0, 2),
        (3, 72, 24, 0, 0, 1),
        (5, 72, 40, 1, 0, 2),
        (5, 120, 40, 1, 0, 1),
        (5, 120, 40, 1, 0, 1),
        (3, 240, 80, 0, 1, 2),
        (3, 200, 80, 0, 1, 1),
        (3, 184, 80, 0, 1, 1),
        (3, 184, 80, 0, 1, 1),
        (3, 480, 112, 1, 1, 1),
        (3, 672, 112, 1, 1, 1),
        (5, 672, 160, 1, 1, 2),
        (5, 960, 160, 1, 1, 1),
        (5, 960, 160, 1, 1, 1),
    )
)


class InvertedResidual(nn.Module):
    """1 × 1 expansion, depthwise with the stride, squeeze-excitation, 1 × 1 projection; added where shapes allow."""

    def __init__(self, channels: int, row: Row, relu6: bool, eps: float, momentum: float) -> None:
        super().__init__()

        def norm(width: int) -> nn.BatchNorm2d:
            return nn.BatchNorm2d(width, eps, momentum)

        def activation() -> nn.Module:
            return nn.Hardswish() if row.hard_swish else nn.ReLU6() if relu6 else nn.ReLU()

        inner = row.inner
        self.expand: nn.Module = nn.Identity()
        if inner != channels:
            self.expand = nn.Sequential(nn.Conv2d(channels, inner, 1, bias=False), norm(inner), activation())
        space = nn.Conv2d(inner, inner, row.kernel, row.stride, row.kernel // 2, groups=inner, bias=False)
        self.depthwise = nn.Sequential(space, norm(inner), activation())
        self.se = SqueezeExcitation(inner) if row.se else nn.Identity()
        self.project = nn.Sequential(nn.Conv2d(inner, row.out, 1, bias=False), norm(row.out))
        self.residual = row.stride == 1 and channels == row.out

    def forward(self, x: Tensor, shifted: Tensor) -> Tensor:
        """Of images (N, C, H, W), and the same with channels of their neighbors in time."""
        y = self.project(self.se(self.depthwise(self.expand(shifted))))
        return x + y if self.residual else y


class SqueezeExcitation(nn.Module):
    """Weights channels by what their means over the image say."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        squeezed = rounded(channels // 4)
        self.reduce, self.expand = nn.Conv2d(channels, squeezed, 1), nn.Conv2d(squeezed, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * F.hardsigmoid(self.expand(torch.relu(self.reduce(x.mean((2, 3), keepdim=True)))))


class MobileNet(BaselineNetwork):
    """MobileNetV2 or MobileNetV3-Large over frames; `width` is a factor of all channels but the last layer's."""

    def __init__(self, spec: BaselineSpec, info: WeightsInfo | None = None) -> None:
        super().__init__(spec, info)
        v2, width = spec.family == "mobilenet_v2", spec.width
        self.shift: Shift = spec.shift
        rows, first, eps, momentum = (_V2, 32, 1e-5, 0.1) if v2 else (_V3_LARGE, 16, 1e-3, 0.01)

        def unit(channels: int, out: int, kernel: int, stride: int) -> nn.Sequential:
            conv = nn.Conv2d(channels, out, kernel, stride, kernel // 2, bias=False)
            return nn.Sequential(conv, nn.BatchNorm2d(out, eps, momentum), nn.ReLU6() if v2 else nn.Hardswish())

        first = rounded(first * width)
        self.stem = unit(3, first, 3, 2)
        blocks, channels = [], first
        for published in rows:
            row = published.scaled(width, channels if v2 else None)
            blocks.append(InvertedResidual(channels, row, v2, eps, momentum))
            channels = row.out
        self.blocks = nn.ModuleList(blocks)
        last = 1280 if v2 else rounded(960 * width)
        self.head = unit(channels, last, 1, 1)
        self.features: nn.Module = nn.Identity()
        if not v2:
            self.features = nn.Sequential(nn.Linear(last, 1280), nn.Hardswish())
        self.dropout = nn.Dropout(spec.dropout)
        self.add_classifier(1280, spec.num_classes)

    @property
    def receptive_field(self) -> int:
        shifts = sum(isinstance(block, InvertedResidual) and block.residual for block in self.blocks)
        return 1 + shifts * {"none": 0, "past": 1, "both": 2}[self.shift]

    def forward(self, clip: Tensor) -> Tensor:
        """Logits (B, classes) of clips (B, 3, T, H, W): the mean over the frames'."""
        return self._frames(clip, {})[0].mean(1)

    def step(self, frames: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        if not self.spec.causal:
            return super().step(frames, state)
        state = state or {}
        logits, new = self._frames(frames, state)
        mean, counted = mean_so_far(logits.mean(1), frames.shape[2], state)
        return mean, new | counted

    def _frames(self, clip: Tensor, state: State) -> tuple[Tensor, State]:
        """Logits (B, T, classes), and what the shifts remember."""
        batch, _, frames = clip.shape[:3]
        images = clip.transpose(1, 2).flatten(0, 1).contiguous(memory_format=torch.channels_last)  # quicker on a CPU
        x, new = self.stem(images), {}
        for n, block in enumerate(self.blocks):
            assert isinstance(block, InvertedResidual)
            shifted = x
            if block.residual and self.shift != "none":
                name = f"blocks.{n}.buffer"
                images = x.unflatten(0, (batch, frames))
                around, new[name] = shifted_in_time(images, state.get(name), self.shift == "both")
                shifted = around.flatten(0, 1)
            x = block(x, shifted)
        features = self.features(self.head(x).mean((2, 3)))
        return self.classifier(self.dropout(features)).unflatten(0, (batch, frames)), new


def shifted_in_time(images: Tensor, buffer: Tensor | None, both: bool) -> tuple[Tensor, Tensor]:
    """Channels of each frame replaced by its neighbors'.

    Args:
        images: (B, T, C, H, W).
        buffer: (B, C/8, H, W), of the frame before; None: there was none.
        both: whether the next eighth comes from the frame after.

    Returns:
        The same shape, and the buffer after the call.
    """
    part = images.shape[2] // _PART
    past = images[:, :, :part]
    before = torch.zeros_like(past[:, :1]) if buffer is None else buffer[:, None]
    pieces = [torch.cat([before, past[:, :-1]], dim=1)]
    if both:
        future = images[:, :, part : 2 * part]
        pieces.append(torch.cat([future[:, 1:], torch.zeros_like(future[:, :1])], dim=1))
    kept = images[:, :, len(pieces) * part :]
    return torch.cat([*pieces, kept], dim=2), past[:, -1].clone()
