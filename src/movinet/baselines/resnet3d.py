"""ResNet3D-50, the slow pathway of SlowFast by itself, with and without a stream buffer.

Feichtenhofer et al., SlowFast Networks for Video Recognition (arXiv 1812.03982), table 1. The causal form is section
3.2 of the MoViNet paper (arXiv 2103.11511): the same weights, with all of each temporal kernel in the past.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from movinet.errors import MovinetError

State = dict[str, Tensor]

DEPTHS = (3, 4, 6, 3)
_EXPANSION = 4


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


class Bottleneck(nn.Module):
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
        Bottleneck(out if n else channels, inner, out, kernel, 1 if n else stride, causal) for n in range(depth)
    )


def stem(out: int, kernel: int) -> nn.Sequential:
    """kt × 7 × 7 at stride 2, and a 3 × 3 maximum at stride 2: both in space."""
    return nn.Sequential(
        nn.Conv3d(3, out, (kernel, 7, 7), (1, 2, 2), (kernel // 2, 3, 3), bias=False),
        nn.BatchNorm3d(out),
        nn.ReLU(),
        nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)),
    )


class ResNet3D(nn.Module):
    """Slow-only ResNet3D.

    Args:
        num_classes: of the logits.
        causal: with stream buffers, so that it may go frame by frame (`step`), with the answer of the whole clip.
        width: channels of the first stage, 64 in the paper.
        depths: bottlenecks a stage.
        dropout: before the classifier.
    """

    def __init__(
        self,
        num_classes: int = 400,
        *,
        causal: bool = False,
        width: int = 64,
        depths: Sequence[int] = DEPTHS,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.causal, self.num_classes = causal, num_classes
        self.stem = stem(width, 1)
        channels, stages = width, []
        for n, depth in enumerate(depths):
            inner = width << n
            out = _EXPANSION * inner
            stages.append(stage(channels, inner, out, depth, 1 if n < 2 else 3, 1 if n == 0 else 2, causal))
            channels = out
        self.stages = nn.ModuleList(stages)
        self.dropout, self.classifier = nn.Dropout(dropout), nn.Linear(channels, num_classes)
        nn.init.normal_(self.classifier.weight, std=0.01)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, clip: Tensor) -> Tensor:
        """Logits (B, classes) of clips (B, 3, T, H, W)."""
        return self._run(clip, None)[0]

    def step(self, frames: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Show it the next frames of streams; wherever a clip is cut, the last answer is that of the clip.

        Args:
            frames: (B, 3, T, H, W), T ≥ 1.
            state: what the call before returned; None: the beginning.

        Returns:
            Logits (B, classes) after the last frame, and the state.

        Raises:
            MovinetError: it was not made with `causal=True`.
        """
        if not self.causal:
            raise MovinetError("this ResNet3D looks into the future; take one with causal=True to stream")
        return self._run(frames, state or {})

    def _run(self, x: Tensor, state: State | None) -> tuple[Tensor, State]:
        new: State = {}
        frames = x.shape[2]
        x = self.stem(x)
        for n, blocks in enumerate(self.stages):
            assert isinstance(blocks, nn.ModuleList)
            for m, block in enumerate(blocks):
                name = f"stages.{n}.{m}.buffer"
                x, buffer = block(x, None if state is None else state.get(name))
                if buffer is not None:
                    new[name] = buffer
        mean = x.mean((2, 3, 4))
        if state:
            seen = state["frames_seen"].to(mean.dtype)[:, None]
            mean = state["mean"] + (mean - state["mean"]) * (frames / (seen + frames))
        before = state["frames_seen"] if state else torch.zeros(len(x), dtype=torch.int64, device=x.device)
        new |= {"mean": mean, "frames_seen": before + frames}
        return self.classifier(self.dropout(mean)), new
