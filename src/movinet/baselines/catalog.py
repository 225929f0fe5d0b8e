"""The networks MoViNets are compared with, by name, and what was published of them."""

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches

import torch
from torch import Tensor, nn
from torch.func import functional_call

from movinet.baselines.mobilenet import MobileNet
from movinet.baselines.resnet3d import ResNet3D
from movinet.baselines.slowfast import SlowFast
from movinet.baselines.x3d import X3D
from movinet.errors import MovinetError

_MODEL_ZOO = "SlowFast MODEL_ZOO.md"
_X3D_PAPER = "arXiv 2004.04730, table 4"
_MMACTION = "mmaction2 configs/recognition"


@dataclass(frozen=True)
class Baseline:
    """A network, the clips it takes, and published figures of it.

    Args:
        build: makes it, given the number of classes.
        frames, stride: of a clip, of the video's frames.
        size: side of the crop, pixels, that `gmacs` belongs to.
        parameters: millions, with 400 classes; None where no source was found.
        gmacs: billions of multiply-adds a clip; None where no source was found. That of `tsm_mobilenet_v2` counts
            normalization, too.
        top1: percent of Kinetics-400, with `protocol`; None where no source was found.
        protocol: clips × crops of it.
        source: of the figures.
    """

    build: Callable[[int], nn.Module]
    frames: int
    stride: int
    size: int
    parameters: float | None = None
    gmacs: float | None = None
    top1: float | None = None
    protocol: str = ""
    source: str = ""


def _x3d(width: float, depth: float) -> Callable[[int], nn.Module]:
    return lambda num_classes: X3D(num_classes, width=width, depth=depth)


BASELINES: dict[str, Baseline] = {
    "x3d_xs": Baseline(_x3d(2.0, 2.2), 4, 12, 160, 3.8, 0.60, 69.5, "10×3", _MODEL_ZOO),
    "x3d_s": Baseline(_x3d(2.0, 2.2), 13, 6, 160, 3.8, 1.96, 73.5, "10×3", _MODEL_ZOO),
    "x3d_m": Baseline(_x3d(2.0, 2.2), 16, 5, 224, 3.8, 4.73, 76.2, "10×3", _MODEL_ZOO),
    "x3d_l": Baseline(_x3d(2.0, 5.0), 16, 5, 312, 6.2, 18.37, 77.5, "10×3", _MODEL_ZOO),
    "x3d_xl": Baseline(_x3d(2.9, 5.0), 16, 5, 312, 11.0, 35.84, source=_X3D_PAPER),
    "slow_r50_4x16": Baseline(ResNet3D, 4, 16, 256, 32.45, 27.38, 72.7, "10×3", f"{_MODEL_ZOO}; {_MMACTION}"),
    "slow_r50_8x8": Baseline(ResNet3D, 8, 8, 256, 32.45, 54.75, 74.8, "10×3", f"{_MODEL_ZOO}; {_MMACTION}"),
    "slow_r50_stream": Baseline(lambda n: ResNet3D(n, causal=True), 8, 8, 256),
    "slowfast_r50_4x16": Baseline(
        lambda n: SlowFast(n, alpha=8, lateral_kernel=5), 32, 2, 256, 34.5, 36.3, 75.6, "10×3", _MODEL_ZOO
    ),
    "slowfast_r50_8x8": Baseline(
        lambda n: SlowFast(n, alpha=4, lateral_kernel=7), 32, 2, 256, 34.6, 66.1, 77.0, "10×3", _MODEL_ZOO
    ),
    "tsn_mobilenet_v2": Baseline(lambda n: MobileNet(n, version=2), 8, 8, 224),
    "tsm_mobilenet_v2": Baseline(
        lambda n: MobileNet(n, version=2, shift="both"), 8, 8, 256, 2.736, 3.269, 68.7, "8×3", f"{_MMACTION}/tsm"
    ),
    "tsm_mobilenet_v2_online": Baseline(lambda n: MobileNet(n, version=2, shift="past"), 8, 8, 224),
    "tsn_mobilenet_v3": Baseline(MobileNet, 8, 8, 224),
    "tsm_mobilenet_v3": Baseline(lambda n: MobileNet(n, shift="both"), 8, 8, 224),
    "tsm_mobilenet_v3_online": Baseline(lambda n: MobileNet(n, shift="past"), 8, 8, 224),
}


def create_baseline(name: str, num_classes: int = 400) -> nn.Module:
    """A network of `BASELINES` with fresh weights.

    Raises:
        MovinetError: there is none of this name.
    """
    if name not in BASELINES:
        near = get_close_matches(name, BASELINES, n=3) or list(BASELINES)
        raise MovinetError(f"{name}: no such network to compare with; there are {', '.join(near)}")
    return BASELINES[name].build(num_classes)


def multiply_adds(model: nn.Module, clip: tuple[int, int, int]) -> int:
    """Of a clip (frames, height, width), in convolutions and linear layers, as papers count them; nothing is computed.

    Args:
        model: whose `forward` takes (1, 3, T, H, W).
        clip: its size.
    """
    total = 0

    def count(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        weight = module.weight
        assert isinstance(weight, Tensor)
        total += output.numel() * weight[0].numel()

    layers = [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Conv3d | nn.Linear)]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    shapes = {name: tensor.to("meta") for name, tensor in (*model.named_parameters(), *model.named_buffers())}
    training = model.training
    try:
        functional_call(model.eval(), shapes, (torch.empty(1, 3, *clip, device="meta"),))
    finally:
        model.train(training)
        for hook in hooks:
            hook.remove()
    return total
