"""The parts a MoViNet is built of.

Each part maps images `(B·T, C, H, W)` to images; those with a past take it and return the new one.
Source: official/projects/movinet/modeling/movinet_layers.py.
"""

from math import sqrt

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from movinet.arch.count import se_hidden
from movinet.arch.layer_spec import LayerPlace
from movinet.arch.spec import Activation, NetworkSpec
from movinet.nn import fused_cpu
from movinet.nn.activations import ACTIVATIONS, GATES
from movinet.nn.padding import same_padding
from movinet.nn.stream import (
    StepContext,
    pooled_mean,
    positional_encoding,
    temporal_convolution,
    volume_convolution,
)

_NO_NORM = nn.Identity()
BATCH_NORM_EPS, BATCH_NORM_MOMENTUM = 1e-3, 0.01  # Keras says momentum 0.99


class ConvNormAct(nn.Module):
    """A 2-D convolution with 'same' padding, batch norm (or a bias, once folded) and an activation."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        spec: NetworkSpec,
        *,
        kernel: tuple[int, int] = (1, 1),
        stride: int = 1,
        groups: int = 1,
        activation: Activation | None = None,
    ) -> None:
        super().__init__()
        self.stride, self.groups = stride, groups
        self.weight = nn.Parameter(torch.empty(outputs, inputs // groups, *kernel))
        self.bias, self.norm = _bias_and_norm(outputs, spec)
        self.activation = ACTIVATIONS[activation] if activation else None

    def forward(self, x: Tensor, gates: Tensor | None = None, *, scale: Tensor | None = None) -> Tensor:
        """Images (N, C, H, W) to (N, C', H/stride, W/stride).

        Args:
            x: the images.
            gates: (N, C), multiplied with their channels first.
            scale: (), multiplied with the normalized result.
        """
        if fused_cpu.applies_with(self.norm, x):
            assert isinstance(self.norm, nn.BatchNorm2d)
            x = fused_cpu.convolve_and_normalize(x, self.weight, self.norm, self.stride, gates, scale)
            return self.activation(x) if self.activation else x
        if gates is not None:
            x = x * gates[..., None, None]
        weight, bias, norm = _with_settled_norm(self, x)
        if scale is not None and bias is not None:
            weight, bias, scale = weight * scale, bias * scale, None
        if self.training and fused_cpu.applies(x):
            x = fused_cpu.convolve(x, weight, bias, self.stride)
        else:
            weight, padding = same_padding(weight, x.shape, self.stride)
            x = F.conv2d(x, weight, bias, self.stride, padding, groups=self.groups)
        x = norm(x)
        if scale is not None:
            x = x * scale
        return self.activation(x) if self.activation else x


class TemporalConv(nn.Module):
    """The temporal half of a (2+1)D depthwise convolution, with its own batch norm and activation."""

    def __init__(self, channels: int, frames: int, spec: NetworkSpec) -> None:
        super().__init__()
        self.causal = spec.causal
        self.weight = nn.Parameter(torch.empty(channels, 1, frames, 1))
        self.bias, self.norm = _bias_and_norm(channels, spec)
        self.activation = ACTIVATIONS[spec.activation]

    def forward(self, x: Tensor, context: StepContext, buffer: Tensor | None) -> tuple[Tensor, Tensor | None]:
        weight, bias, norm = _with_settled_norm(self, x)
        x, buffer = temporal_convolution(x, weight, bias, buffer, context, self.causal, self.training)
        return self.activation(norm(x)), buffer


class DepthwiseConv3d(nn.Module):
    """A depthwise 3-D convolution with batch norm and activation."""

    def __init__(self, channels: int, kernel: tuple[int, int, int], stride: int, spec: NetworkSpec) -> None:
        super().__init__()
        self.stride, self.causal = stride, spec.causal
        self.weight = nn.Parameter(torch.empty(channels, 1, *kernel))
        self.bias, self.norm = _bias_and_norm(channels, spec)
        self.activation = ACTIVATIONS[spec.activation]

    def forward(self, x: Tensor, context: StepContext, buffer: Tensor | None) -> tuple[Tensor, Tensor | None]:
        x, buffer = volume_convolution(x, self.weight, self.bias, self.stride, buffer, context, self.causal)
        return self.activation(self.norm(x)), buffer


class SqueezeExcitation(nn.Module):
    """Scales channels by what was seen so far: the (cumulative) mean over the clip, beside each frame's own mean."""

    def __init__(self, channels: int, hidden: int, spec: NetworkSpec) -> None:
        super().__init__()
        self.beside_frame = spec.squeeze_excitation == "cumulative_frame"
        self.position_limit = spec.position_limit
        self.reduce = nn.Linear(channels * (2 if self.beside_frame else 1), hidden)
        self.expand = nn.Linear(hidden, channels)
        self.position_scale = nn.Parameter(torch.zeros(())) if spec.positional_encoding else None
        self.activation, self.gate = ACTIVATIONS[spec.activation], GATES[spec.gate]

    def forward(self, frame_means: Tensor, context: StepContext, pool: Tensor | None) -> tuple[Tensor, Tensor]:
        """Means over space (B·T, C) to gates (B·T, C), and the pooled mean after the call."""
        frame_means = frame_means.unflatten(0, (context.batch, context.frames))  # (B, T, C)
        means, pool = pooled_mean(frame_means, pool, context)  # (B, R, C)
        means = means.to(frame_means.dtype)
        if self.beside_frame:
            means = torch.cat([means, frame_means], dim=-1)  # (B, T, 2C)
        if self.position_scale is not None:
            positions = context.positions
            if self.position_limit is not None:
                positions = positions.clamp(max=self.position_limit)
            means = means + self.position_scale * positional_encoding(positions, means.shape[-1]).to(means.dtype)
        gates = self.gate(self.expand(self.activation(self.reduce(means))))  # (B, R, C), R = T or 1
        return gates.expand(-1, context.frames, -1).flatten(0, 1), pool


class Shortcut(nn.Module):
    """The way around a layer that changes width or size: an average pool if strided, then a 1×1 convolution."""

    def __init__(self, inputs: int, outputs: int, stride: int, spec: NetworkSpec) -> None:
        super().__init__()
        self.stride = stride
        self.project = ConvNormAct(inputs, outputs, spec)

    def forward(self, x: Tensor) -> Tensor:
        if self.stride > 1:
            # TensorFlow's 'same' average divides by the pixels inside the picture. Padding nothing on even sides and
            # letting the last window run over the edge (ceil_mode) is that, without a correction afterwards.
            x = F.avg_pool2d(
                x, 3, self.stride, (x.shape[2] % 2, x.shape[3] % 2), ceil_mode=True, count_include_pad=False
            )
        return self.project(x)


class Bottleneck(nn.Module):
    """One bottleneck: expand, convolve over space and time, squeeze-excite, project, scale (ReZero), add the skip."""

    def __init__(self, place: LayerPlace, layers: int, spec: NetworkSpec) -> None:
        """A layer of its own; `layers` is how many the network has."""
        super().__init__()
        layer, inputs, outputs, stride = place.layer, place.inputs, place.outputs, place.stride
        channels, (kt, kh, kw) = layer.expansion, layer.kernel
        self.drop_rate = spec.stochastic_depth * (place.depth + 1) / layers
        self.expand = ConvNormAct(inputs, channels, spec, activation=spec.activation)
        self.spatial: ConvNormAct | None = None
        self.temporal: TemporalConv | None = None
        self.volume: DepthwiseConv3d | None = None
        if spec.convolution == "3d" and kt > 1:
            self.volume = DepthwiseConv3d(channels, layer.kernel, stride, spec)
        else:
            self.spatial = ConvNormAct(
                channels, channels, spec, kernel=(kh, kw), stride=stride, groups=channels, activation=spec.activation
            )
            self.temporal = TemporalConv(channels, kt, spec) if kt > 1 else None
        self.se = SqueezeExcitation(channels, se_hidden(channels, spec), spec) if spec.has_se(layer) else None
        self.project = ConvNormAct(channels, outputs, spec)
        self.scale = nn.Parameter(torch.zeros(())) if spec.rezero else None
        self.skip = Shortcut(inputs, outputs, stride, spec) if place.projects_skip else None

    def forward(
        self, x: Tensor, context: StepContext, buffer: Tensor | None, pool: Tensor | None
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Images in and out, with this layer's stream buffer and pooled mean before and after."""
        skip = x if self.skip is None else self.skip(x)
        x = self.expand(x)
        if self.spatial is not None:
            x = self.spatial(x)
        if self.temporal is not None:
            x, buffer = self.temporal(x, context, buffer)
        if self.volume is not None:
            x, buffer = self.volume(x, context, buffer)
        gates = None
        if self.se is not None:
            frame_means, x = fused_cpu.frame_means(x) if self.training else (x.mean((2, 3)), x)
            gates, pool = self.se(frame_means, context, pool)
        x = self.project(x, gates, scale=self.scale)
        if self.training and self.drop_rate > 0:
            return torch.addcmul(skip, x, self._drop(context, x)), buffer, pool
        return x + skip, buffer, pool

    def _drop(self, context: StepContext, like: Tensor) -> Tensor:
        """Stochastic depth: the whole branch of a stream is dropped for the call, or scaled up to keep its mean."""
        keep = torch.rand(context.batch, device=like.device) >= self.drop_rate
        factor = keep.to(like.dtype).repeat_interleave(context.frames) / (1.0 - self.drop_rate)
        return factor[:, None, None, None]


class Head(nn.Module):
    """Projection, the pool over space and all frames so far, a dense layer, dropout and the classifier."""

    def __init__(self, inputs: int, spec: NetworkSpec) -> None:
        super().__init__()
        self.project = ConvNormAct(inputs, spec.project, spec, activation=spec.activation)
        self.hidden = nn.Linear(spec.project, spec.hidden)
        self.activation = ACTIVATIONS[spec.head_activation]
        self.dropout = nn.Dropout(spec.dropout)
        self.classifier: nn.Linear | nn.Identity
        self.classifier = nn.Linear(spec.hidden, spec.num_classes) if spec.num_classes else nn.Identity()

    def pool(self, x: Tensor, context: StepContext, pool: Tensor | None) -> tuple[Tensor, Tensor]:
        """Images (B·T, C, H, W) to means (B, R, project), and the mean after the call."""
        frame_means = self.project(x).mean((2, 3)).unflatten(0, (context.batch, context.frames))
        means, pool = pooled_mean(frame_means, pool, context)
        return means.to(frame_means.dtype), pool

    def embed(self, means: Tensor) -> Tensor:
        """Pooled means (..., project) to the embedding the classifier sees (..., hidden)."""
        return self.activation(self.hidden(means))

    def forward(self, means: Tensor) -> Tensor:
        """Pooled means (..., project) to logits (..., num_classes), or without a classifier to (..., hidden)."""
        return self.classifier(self.dropout(self.embed(means)))


def without_norm(weight: Tensor, norm: nn.BatchNorm2d, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """The kernel and bias of a convolution that does what one with this kernel and norm do, by running statistics.

    Args:
        weight: (C, …).
        norm: Of C channels.
        dtype: Of the computation and of what comes out.
    """
    assert norm.running_mean is not None
    assert norm.running_var is not None
    factor = norm.weight.to(dtype) / (norm.running_var.to(dtype) + norm.eps).sqrt()
    bias = norm.bias.to(dtype) - norm.running_mean.to(dtype) * factor
    return weight.to(dtype) * factor.view(-1, *[1] * (weight.ndim - 1)), bias


def initialize(module: nn.Module) -> None:
    """The official initializers: He, truncated at two deviations, for kernels; N(0, 0.01) for the classifier."""
    for part in module.modules():
        if isinstance(part, ConvNormAct | TemporalConv | DepthwiseConv3d):
            _he_normal(part.weight)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
        elif isinstance(part, nn.Linear):
            _he_normal(part.weight)
            nn.init.zeros_(part.bias)
    for part in module.modules():
        if isinstance(part, Head) and isinstance(part.classifier, nn.Linear):
            nn.init.normal_(part.classifier.weight, std=0.01)


def _he_normal(weight: Tensor) -> None:
    # 0.8796… is the deviation of a unit normal cut at ±2; Keras divides it out.
    std = sqrt(2.0 / weight[0].numel()) / 0.87962566103423978
    nn.init.trunc_normal_(weight, std=std, a=-2 * std, b=2 * std)


def _with_settled_norm(part: ConvNormAct | TemporalConv, x: Tensor) -> tuple[Tensor, Tensor | None, nn.Module]:
    """Kernel, bias and norm to treat x with. A norm that keeps its running statistics in training is part of the kernel
    on a CPU: it costs no pass over images then."""
    norm = part.norm
    if part.training and isinstance(norm, nn.BatchNorm2d) and not norm.training and fused_cpu.applies(x):
        return *without_norm(part.weight, norm, x.dtype), _NO_NORM
    return part.weight, part.bias, norm


def _bias_and_norm(channels: int, spec: NetworkSpec) -> tuple[nn.Parameter | None, nn.Module]:
    if spec.norm == "folded":
        return nn.Parameter(torch.empty(channels)), nn.Identity()
    return None, nn.BatchNorm2d(channels, BATCH_NORM_EPS, BATCH_NORM_MOMENTUM)
