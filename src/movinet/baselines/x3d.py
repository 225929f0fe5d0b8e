"""X3D (Feichtenhofer, arXiv 2004.04730): one small network expanded along one axis after the other."""

from math import ceil

import torch
from torch import Tensor, nn

from movinet.arch.baseline_spec import BaselineSpec
from movinet.nn.baseline_network import BaselineNetwork
from movinet.weights.info import WeightsInfo

_DEPTHS = (1, 2, 5, 3)  # before they are multiplied
_SE_EVERY = 2  # blocks
_BOTTLENECK = 2.25  # factor of the channels within a block


def rounded(channels: float, divisor: int = 8) -> int:
    """Channels as a multiple of 8, at most a tenth below what was asked for."""
    near = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return near + divisor if near < 0.9 * channels else near


class SqueezeExcitation(nn.Module):
    """Weights channels by what their means over the clip say."""

    def __init__(self, channels: int, ratio: float = 0.0625) -> None:
        super().__init__()
        squeezed = rounded(channels * ratio)
        self.reduce, self.expand = nn.Conv3d(channels, squeezed, 1), nn.Conv3d(squeezed, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.expand(torch.relu(self.reduce(x.mean((2, 3, 4), keepdim=True)))))


class Block(nn.Module):
    """1³ expansion, 3³ depthwise with the stride in space, squeeze-excitation in every other block, 1³ projection."""

    def __init__(self, channels: int, inner: int, out: int, stride: int, se: bool) -> None:
        super().__init__()
        self.expand, self.expand_norm = nn.Conv3d(channels, inner, 1, bias=False), nn.BatchNorm3d(inner)
        self.depthwise = nn.Conv3d(inner, inner, 3, (1, stride, stride), 1, groups=inner, bias=False)
        self.depthwise_norm = nn.BatchNorm3d(inner)
        self.se: nn.Module = SqueezeExcitation(inner) if se else nn.Identity()
        self.project, self.project_norm = nn.Conv3d(inner, out, 1, bias=False), nn.BatchNorm3d(out)
        self.shortcut: nn.Module = nn.Identity()
        if channels != out:
            self.shortcut = nn.Sequential(
                nn.Conv3d(channels, out, 1, (1, stride, stride), bias=False), nn.BatchNorm3d(out)
            )
        elif stride != 1:
            self.shortcut = nn.Conv3d(channels, out, 1, (1, stride, stride), bias=False)
        nn.init.zeros_(self.project_norm.weight)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.expand_norm(self.expand(x)))
        y = nn.functional.silu(self.se(self.depthwise_norm(self.depthwise(y))))
        return torch.relu(self.project_norm(self.project(y)) + self.shortcut(x))


class X3D(BaselineNetwork):
    """X3D of any size: `width` is 2 for XS, S, M and L, 2.9 for XL; `depth` 2.2 for XS, S and M, 5 for L and XL."""

    def __init__(self, spec: BaselineSpec, info: WeightsInfo | None = None) -> None:
        super().__init__(spec, info)
        width = spec.width
        channels = rounded(12 * width)
        self.stem_space = nn.Conv3d(3, channels, (1, 3, 3), (1, 2, 2), (0, 1, 1), bias=False)
        self.stem_time = nn.Conv3d(channels, channels, (5, 1, 1), 1, (2, 0, 0), groups=channels, bias=False)
        self.stem_norm = nn.BatchNorm3d(channels)
        stages = []
        for n_stage, blocks in enumerate(_DEPTHS):
            out = rounded((12 << n_stage) * width)
            inner = int(_BOTTLENECK * out)
            stages.append(
                nn.Sequential(
                    *(
                        Block(out if n else channels, inner, out, 1 if n else 2, n % _SE_EVERY == 0)
                        for n in range(ceil(spec.depth * blocks))
                    )
                )
            )
            channels = out
        self.stages = nn.Sequential(*stages)
        inner = int(_BOTTLENECK * channels)
        self.head, self.head_norm = nn.Conv3d(channels, inner, 1, bias=False), nn.BatchNorm3d(inner)
        self.features = nn.Conv3d(inner, 2048, 1, bias=False)
        self.dropout = nn.Dropout(spec.dropout)
        self.add_classifier(2048, spec.num_classes)

    @property
    def receptive_field(self) -> int:
        blocks = sum(ceil(self.spec.depth * blocks) for blocks in _DEPTHS)
        return 5 + 2 * blocks

    def forward(self, clip: Tensor) -> Tensor:
        """Logits (B, classes) of clips (B, 3, T, H, W)."""
        x = torch.relu(self.stem_norm(self.stem_time(self.stem_space(clip))))
        x = torch.relu(self.head_norm(self.head(self.stages(x))))
        return self.classifier(self.dropout(torch.relu(self.features(x.mean((2, 3, 4), keepdim=True))).flatten(1)))
