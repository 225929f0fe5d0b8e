"""The super-network with its loss; and held-out clips kept in memory."""

import shutil
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import Sampler

from movinet.data.dataset import Example, LabeledClips, SampleKey
from movinet.errors import MovinetError
from movinet.nn.state import State
from movinet.search.supernet import SuperNetwork
from movinet.train.aux_point_loss import Tap
from movinet.train.model_with_loss import ModelWithLoss
from movinet.train.recipe import Loss

if TYPE_CHECKING:
    from lightning_fabric import Fabric


class SupernetWithLoss(ModelWithLoss):
    """A super-network and its loss, of the network at a point."""

    def __init__(self, network: SuperNetwork, loss: Loss, data: LabeledClips) -> None:
        super().__init__(network, loss, data, layers=network.largest)
        for name in loss.aux_point.layers if loss.aux_point else ():
            _refuse_optional(network, name)

    @property
    def network(self) -> SuperNetwork:
        return cast("SuperNetwork", self.model)

    @property
    def auxiliary(self) -> list[nn.Module]:
        return [self.network.skips, *super().auxiliary]

    def forward(
        self, clip: Tensor, targets: Tensor | None, track: Tensor, state: State | None, carry: bool, *more: Any
    ) -> tuple[dict[str, Tensor], Tensor, State | None]:
        """As of any network, at a point that may have `ALL`, with dropout or without."""
        tracking = self.loss.aux_point
        if self.readers is not None and tracking is not None:
            for tap in self.readers.taps:
                tap.remove()
            skeleton, largest = self.network.skeleton(*more), self.network.largest
            layers = [(skeleton.get_submodule(name), largest.get_submodule(name)) for name in tracking.layers]
            self.readers.taps = [_WideTap(part, _outputs(wide)) for part, wide in layers]
        return super().forward(clip, targets, track, state, carry, *more)


class _WideTap(Tap):
    """Keeps the images of a narrow layer, and gives them as the widest layer's, zeros beside them."""

    def __init__(self, part: nn.Module, channels: int) -> None:
        super().__init__(part)
        self._channels = channels

    def take(self) -> Tensor:
        images = super().take()
        return F.pad(images, (0, 0, 0, 0, 0, self._channels - images.shape[1]))


def _refuse_optional(network: SuperNetwork, layer: str) -> None:
    _, block, n = layer.split(".")
    least = network.space.decisions[network.space.places[f"blocks.{block}.layers"]].choices[0]
    if int(n) >= least:
        raise MovinetError(
            f"loss.aux_point.layers: {layer} is a layer that not every network has; there is blocks.{block}.0"
        )


def _outputs(layer: nn.Module) -> int:
    return cast("Tensor", cast("Any", layer).project.weight).shape[0]


class Remembered:
    """A set whose clips never change and are equally long, read once: they are kept in memory that data workers share.

    Args:
        data: The set.
        limit: Bytes; a larger set is read anew each time, and so is one that does not fit into half the memory that can
            be shared.
    """

    def __init__(self, data: LabeledClips, limit: int = 2 << 30) -> None:
        self.data, self.classes, self.multi_label, self.transform = data, data.classes, data.multi_label, data.transform
        first = data[SampleKey(0, 0)]
        parts = [torch.as_tensor(part) for part in first]
        size = sum(part.numel() * part.element_size() for part in parts)
        self._parts: list[Tensor] | None = None
        if size * len(data) <= min(limit, _shareable() // 2):
            self._parts = [torch.empty(len(data), *part.shape, dtype=part.dtype).share_memory_() for part in parts]
            self._known = torch.zeros(len(data), dtype=torch.bool).share_memory_()

    def __len__(self) -> int:
        return len(self.data)

    def labels_of(self, index: int, /) -> tuple[str, ...]:
        return self.data.labels_of(index)

    def __getitem__(self, pick: SampleKey, /) -> Example:
        if self._parts is None:
            return self.data[pick]
        if not self._known[pick.video]:
            for kept, part in zip(self._parts, self.data[pick], strict=True):
                kept[pick.video] = torch.as_tensor(part)
            self._known[pick.video] = True
        clip, target, video, track, begins = (kept[pick.video] for kept in self._parts)
        return Example(clip, target, int(video), track, bool(begins))


def _shareable() -> int:
    """Bytes that processes can still share: in containers, often few."""
    try:
        return shutil.disk_usage("/dev/shm").free
    except OSError:  # no Linux
        return sys.maxsize


class Draws(Sampler[SampleKey]):
    """Which held-out clips each update rewards with: other ones each time, as many; this process's share.

    Args:
        size: Clips in the set.
        clips: For each update, over all processes; a set with fewer is shown whole.
        first, last: Updates, the last not included.
        seed: Of the drawing.
        rank, ranks: Of processes.
    """

    def __init__(self, size: int, clips: int, first: int, last: int, seed: int, rank: int = 0, ranks: int = 1) -> None:
        self.size, self.clips = size, min(clips, size) // ranks * ranks
        self.first, self.last, self.seed, self.rank, self.ranks = first, last, seed, rank, ranks

    @property
    def share(self) -> int:
        """Clips of this process for each update."""
        return self.clips // self.ranks

    def __iter__(self) -> Iterator[SampleKey]:
        for step in range(self.first, self.last):
            drawn = np.random.default_rng((self.seed, step)).permutation(self.size)[: self.clips]
            yield from (SampleKey(0, int(index)) for index in drawn[self.rank :: self.ranks])

    def __len__(self) -> int:
        return (self.last - self.first) * self.share


def mean_over_processes(fabric: "Fabric", values: Tensor) -> Tensor:
    """Of numbers that each process has for a share of equal size."""
    if fabric.world_size > 1:
        dist.all_reduce(values)
        values /= fabric.world_size
    return values
