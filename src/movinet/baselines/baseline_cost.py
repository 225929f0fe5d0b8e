"""What the networks to compare with cost, counted on modules without contents."""

from dataclasses import dataclass
from functools import cached_property, lru_cache, partial

import torch
from torch import Tensor, nn
from torch.func import functional_call

from movinet.arch.baseline_spec import BaselineSpec
from movinet.baselines.build import build_baseline
from movinet.baselines.mobilenet import InvertedResidual
from movinet.baselines.resnet3d import ResBlock
from movinet.baselines.x3d import Block
from movinet.nn.baseline_network import BaselineNetwork


@dataclass(frozen=True)
class BaselineCost:
    """The cost of a network; multiply-adds are those of convolutions and dense layers, as for MoViNets.

    Args:
        spec: what it is.
    """

    spec: BaselineSpec

    @property
    def parameters(self) -> int:
        """Trainable parameters."""
        return sum(parameter.numel() for parameter in self._model.parameters())

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Every array, named as in its state dict, without batch norm's count of batches."""
        state = self._model.state_dict()
        return {name: tuple(value.shape) for name, value in state.items() if not name.endswith("num_batches_tracked")}

    @property
    def receptive_field(self) -> int:
        """Frames that its convolutions see."""
        return self._model.receptive_field

    def macs(self, frames: int, size: tuple[int, int]) -> int:
        """Multiply-adds of a clip."""
        return multiply_adds(self._model, (frames, *size))

    def state_numbers(self, size: tuple[int, int]) -> int:
        """Numbers of one stream's state; 0 where it cannot stream."""
        if not self.spec.causal:
            return 0
        with torch.device("meta"):
            _, state = self._model.step(torch.empty(1, 3, 1, *size))
        return sum(tensor.numel() for tensor in state.values())

    @cached_property
    def _model(self) -> BaselineNetwork:
        with torch.device("meta"):
            return build_baseline(self.spec).eval()


@lru_cache(maxsize=32)
def baseline_cost(spec: BaselineSpec) -> BaselineCost:
    """Of a network, built once: that takes half a second."""
    return BaselineCost(spec)


def multiply_adds(model: nn.Module, clip: tuple[int, int, int]) -> int:
    """Of a clip (frames, height, width), in convolutions and linear layers, as papers count them; nothing is computed.

    Args:
        model: whose `forward` takes (1, 3, T, H, W); left as it is.
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


def image_shapes(spec: BaselineSpec, size: tuple[int, int]) -> dict[str, tuple[int, int, int]]:
    """(channels, h, w) of what the blocks of a network put out for every frame, by name.

    Args:
        spec: of the network.
        size: (height, width) of the frames.
    """
    found: dict[str, tuple[int, int, int]] = {}

    def note(name: str, part: nn.Module, inputs: object, output: Tensor | tuple[Tensor, ...]) -> None:
        images = output if isinstance(output, Tensor) else output[0]
        if images.ndim == 4 or images.shape[2] == spec.frames:  # not those of a slower pathway
            found[name] = (images.shape[1], images.shape[-2], images.shape[-1])

    with torch.device("meta"):
        model = build_baseline(spec).eval()
        for name, module in model.named_modules():
            if isinstance(module, Block | ResBlock | InvertedResidual):
                module.register_forward_hook(partial(note, name))
        model(torch.empty(1, 3, spec.frames, *size))
    return found
