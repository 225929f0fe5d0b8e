"""What can be exported: the step of a stream network, or a base network on whole clips."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from movinet.arch.spec import Activation, NetworkSpec, Size, downsample
from movinet.arch.step import LOGITS, Port, StepSignature
from movinet.errors import SpecError
from movinet.nn import blocks
from movinet.nn.activations import ACTIVATIONS, GATES
from movinet.nn.deploy import DeployedHead, DeployedStep, skip_pooling
from movinet.nn.fold import fold
from movinet.nn.movinet import MoViNet
from movinet.nn.padding import same_padding

CLIP = "clip"


class DeployedClip(nn.Module):
    """A base network on clips of one length and size: `(logits,) = deployed(clip)`, clip (B, 3, T, H, W) in [0, 1].

    It is used like a `DeployedStep` that has no state. All its convolutions are plain ones of five axes: PyTorch is
    slow with them, OpenVINO takes two thirds of the time that the network's own form would.
    """

    def __init__(self, model: MoViNet, size: Size | None = None, frames: int | None = None) -> None:
        """Deploy a trained network; size and frames of the clips are the specification's own by default.

        Raises:
            SpecError: it is a stream network.
        """
        super().__init__()
        folded = fold(model)
        assert isinstance(folded, MoViNet)
        spec = self.spec = folded.spec
        if spec.causal:
            raise SpecError(f"{spec.name} is a stream network; deploy its step")
        self.size, self.frames = size or spec.size, frames or spec.frames
        clip = Port(CLIP, (3, self.frames, *self.size))
        self.signature = StepSignature((clip,), (Port(LOGITS, (spec.classes,)),), {})
        self.stem = _convolution(folded.stem, self.size, spec.activation)
        self.layers = nn.ModuleList()
        places = spec.layers(self.size)
        for place in places:
            layer = folded.get_submodule(place.name)
            assert isinstance(layer, blocks.Layer)
            self.layers.append(_Layer(layer, place.size, spec))
        self.project = _convolution(folded.head.project, places[-1].size_after, spec.activation)
        self.head = DeployedHead(model)
        self.eval().requires_grad_(False)

    def forward(self, clip: Tensor) -> tuple[Tensor]:
        x = self.stem(clip)
        for layer in self.layers:
            x = layer(x)
        return (self.head(self.project(x).mean((2, 3, 4))),)

    def begin(self, streams: int = 1) -> list[Tensor]:
        """No state."""
        return []


Deployed = DeployedStep | DeployedClip


def example_inputs(deployed: Deployed, streams: int) -> tuple[Tensor, ...]:
    """Inputs of the shapes the exported network takes, of streams that begin."""
    first = deployed.signature.inputs[0]
    rows = streams * deployed.frames if isinstance(deployed, DeployedStep) else streams
    return torch.zeros(rows, *first.shape), *deployed.begin(streams)


class _Convolution(nn.Module):
    """A 3-D convolution with bias and settled padding."""

    def __init__(
        self, weight: Tensor, bias: Tensor | None, size: Size, stride: int, groups: int, activation: Activation | None
    ) -> None:
        super().__init__()
        assert bias is not None
        weight, padding = same_padding(weight.detach(), size, stride)
        self.weight, self.bias = nn.Parameter(weight), nn.Parameter(bias.detach())
        self.stride, self.padding = (1, stride, stride), (weight.shape[2] // 2, *padding)
        self.groups, self.activation = groups, activation

    def forward(self, x: Tensor) -> Tensor:
        x = F.conv3d(x, self.weight, self.bias, self.stride, self.padding, groups=self.groups)
        return ACTIVATIONS[self.activation](x) if self.activation else x


def _convolution(part: blocks.Convolution, size: Size, activation: Activation | None = None) -> _Convolution:
    return _Convolution(part.weight[:, :, None], part.bias, size, part.stride, part.groups, activation)


class _Layer(nn.Module):
    """One bottleneck."""

    def __init__(self, layer: blocks.Layer, size: Size, spec: NetworkSpec) -> None:
        super().__init__()
        convolution = layer.spatial or layer.volume
        assert convolution is not None
        after = downsample(size, convolution.stride)
        self.expand = _convolution(layer.expand, size, spec.activation)
        self.depthwise = nn.Sequential()
        if layer.spatial is not None:
            self.depthwise.append(_convolution(layer.spatial, size, spec.activation))
        if layer.temporal is not None:
            part = layer.temporal  # its kernel is (C, 1, kt, 1)
            channels = part.weight.shape[0]
            self.depthwise.append(_Convolution(part.weight[..., None], part.bias, after, 1, channels, spec.activation))
        if layer.volume is not None:
            whole = layer.volume
            channels = whole.weight.shape[0]
            self.depthwise.append(_Convolution(whole.weight, whole.bias, size, whole.stride, channels, spec.activation))
        self.reduce = layer.se.reduce if layer.se else None
        self.widen = layer.se.expand if layer.se else None
        self.activation, self.gate = spec.activation, spec.gate
        self.project = _convolution(layer.project, after)
        self.skip = _convolution(layer.skip.project, after) if layer.skip else None
        self.skip_stride = layer.skip.stride if layer.skip else 1
        window, padding = skip_pooling(size)
        self.pool_window, self.pool_padding = (1, *window), (0, *padding)

    def forward(self, x: Tensor) -> Tensor:
        skip = x
        if self.skip_stride > 1:
            stride = (1, self.skip_stride, self.skip_stride)
            skip = F.avg_pool3d(x, self.pool_window, stride, self.pool_padding, ceil_mode=True, count_include_pad=False)
        if self.skip is not None:
            skip = self.skip(skip)
        x = self.depthwise(self.expand(x))
        if self.reduce is not None and self.widen is not None:
            hidden = ACTIVATIONS[self.activation](self.reduce(x.mean((2, 3, 4))))
            x = x * GATES[self.gate](self.widen(hidden))[:, :, None, None, None]
        return self.project(x) + skip
