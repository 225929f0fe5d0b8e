"""One set of weights for every network of a space: each uses a corner of the largest one's.

A network is run by slicing its weights out and calling the ordinary network with them. So one path is computed and
remembered, whatever the size of the space; gradients flow back through the slices.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import cast

import torch
from torch import Tensor, nn
from torch.func import functional_call

from movinet.arch.spec import NetworkSpec
from movinet.nn.blocks import Bottleneck, Shortcut, initialize
from movinet.nn.movinet import MoViNet
from movinet.search.space import ALL, Kernel, Point, Space
from movinet.train.batch_norm import synchronize_norms
from movinet.train.init_model import begin_rezero

_SKELETONS = 4  # a point comes again for its hooks, and for many batches when it is judged


class SuperNetwork(nn.Module):
    """The weights that all networks of a space share, and any of these networks run with them.

    Layers share 1×1 convolutions by their first filters, kernels by what lies around the center; of a causal temporal
    kernel by the latest taps. Normalization is by the batch at hand, in training and evaluation alike: running means
    would be those of no network in particular.

    Args:
        space: Of the networks.
        template: Has what the space does not decide.
        rezero: Where ReZero scales begin.
    """

    def __init__(self, space: Space, template: NetworkSpec, rezero: float = 0.0) -> None:
        super().__init__()
        self.space, self.template = space, template
        spec = space.to_spec((ALL,) * len(space.decisions), template, "super-network")
        self.largest = MoViNet(spec)
        begin_rezero(self.largest, rezero)
        # Where blocks may differ in width but the largest do not, the largest network has no such skip.
        self.skips = nn.ModuleDict()
        inputs = [spec.stem, *(block.channels for block in spec.blocks)]
        for b, block in enumerate(spec.blocks):
            layer = cast("Bottleneck", cast("nn.ModuleList", self.largest.blocks[b])[0])
            if layer.skip is None:
                self.skips[str(b)] = Shortcut(inputs[b], block.channels, 1, spec)
        initialize(self.skips)
        self._skeleton = lru_cache(_SKELETONS)(self._new_skeleton)

    def forward(self, clip: Tensor, point: Point, dropout: bool = False) -> Tensor:
        """Logits (B, num_classes) of a clip (B, 3, T, H, W), from the network at a point.

        Args:
            clip: Floating point in [0, 1].
            point: May have `ALL`: the widest, and the mean of all kernels.
            dropout: And stochastic depth, as the template has them.
        """
        skeleton = self._skeleton(point, dropout)
        weights = self.weights_of(point, skeleton)
        logits: Tensor = functional_call(skeleton, weights | _blank_buffers(skeleton, clip.device), (clip,))
        return logits

    def skeleton(self, point: Point, dropout: bool = False) -> MoViNet:
        """The network at a point without weights, as `forward` runs it: for hooks."""
        return self._skeleton(point, dropout)

    def weights_of(self, point: Point, network: nn.Module) -> dict[str, Tensor]:
        """The weights of the network at a point, by name: slices, through which gradients flow.

        Args:
            point: Where.
            network: There.
        """
        shared = dict(self.largest.named_parameters())
        for b, skip in self.skips.items():
            shared |= {f"blocks.{b}.0.skip.{name}": value for name, value in skip.named_parameters()}
        found = {}
        for name, parameter in network.named_parameters():
            # In the 3-D form a kernel of one frame is a slice of a volume's.
            source = shared[name] if name in shared else shared[name.replace(".spatial.", ".volume.")]
            if name.endswith((".spatial.weight", ".temporal.weight", ".volume.weight")):
                found[name] = self._kernel(point, name, source, parameter.shape)
            elif name.endswith(".se.reduce.weight") and self.template.squeeze_excitation == "cumulative_frame":
                hidden, channels = parameter.shape
                halves = source.unflatten(1, (2, -1))  # the clip's mean beside the frame's
                found[name] = halves[:hidden, :, : channels // 2].flatten(1)
            else:
                found[name] = source[tuple(slice(n) for n in parameter.shape)]
        return found

    @torch.no_grad()
    def extract(self, point: Point, spec: NetworkSpec) -> MoViNet:
        """A network of its own with the weights of a point, for training further; its norms' means are still blank."""
        model = MoViNet(spec)
        model.load_state_dict({k: v.clone() for k, v in self.weights_of(point, model).items()}, strict=False)
        return model

    def _new_skeleton(self, point: Point, dropout: bool) -> MoViNet:
        spec = self.space.to_spec(point, self.template, "point")
        if not dropout:
            spec = spec.with_options(dropout=0.0, stochastic_depth=0.0)
        with torch.device("meta"):
            skeleton = MoViNet(spec)
            if torch.distributed.is_available() and torch.distributed.is_initialized():
                synchronize_norms(skeleton)
        return skeleton.train()

    def _kernel(self, point: Point, name: str, source: Tensor, shape: Sequence[int]) -> Tensor:
        """A depthwise kernel (C, 1, …) out of the shared one: around its center, or the mean of all kernels."""
        place = self.space.places[".".join(name.split(".")[:3]) + ".kernel"]  # blocks.1.0.kernel
        temporal = name.endswith(".temporal.weight")
        weight = source[: shape[0]]
        if point[place] == ALL:
            kernels = cast("tuple[Kernel, ...]", self.space.decisions[place].choices)
            weight = weight * self._share(kernels, weight, temporal)
        wanted = (1, *shape[2:]) if weight.ndim > len(shape) else shape[2:]
        for axis, extent in enumerate(wanted, start=2):
            latest = axis == 2 and (temporal or weight.ndim == 5) and self.template.causal
            weight = weight.narrow(axis, _first(weight.shape[axis], extent, latest), extent)
        return weight.reshape(tuple(shape))

    def _share(self, kernels: Sequence[Kernel], weight: Tensor, temporal: bool) -> Tensor:
        """Of each tap, the share of kernels that have it: times the shared kernel, that is the mean of them all."""
        share = weight.new_zeros(weight.shape[2:])
        some = [kernel for kernel in kernels if kernel[0] > 1] if temporal else kernels
        for kernel in some:
            extents = (kernel[0], 1) if temporal else kernel[-share.ndim :]
            window = share
            for axis, extent in enumerate(extents):
                latest = axis == 0 and (temporal or share.ndim == 3) and self.template.causal
                window = window.narrow(axis, _first(share.shape[axis], extent, latest), extent)
            window += 1 / len(some)
        return share


def _first(extent: int, wanted: int, latest: bool) -> int:
    """Where a part of so many taps begins: it is the last, or in the middle."""
    return extent - wanted if latest else (extent - wanted) // 2


def _blank_buffers(network: nn.Module, device: torch.device) -> dict[str, Tensor]:
    """Running means that nobody reads: in training, norms use the batch's own."""
    return {name: torch.zeros(b.shape, dtype=b.dtype, device=device) for name, b in network.named_buffers()}
