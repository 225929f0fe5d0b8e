"""One batch through a network of the super-network, with its loss; and held-out clips kept in memory."""

import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import Sampler

from movinet.data.dataset import Example, LabelledClips, Pick
from movinet.errors import MovinetError
from movinet.search.space import Point
from movinet.search.supernet import SuperNetwork
from movinet.train.losses import binary_cross_entropy, class_weights, cross_entropy
from movinet.train.recipe import Loss
from movinet.train.tracking import PointReader, Tap

if TYPE_CHECKING:
    from lightning_fabric import Fabric


class SuperLearner(nn.Module):
    """A super-network and its loss."""

    class_weights: Tensor | None

    def __init__(self, network: SuperNetwork, loss: Loss, data: LabelledClips) -> None:
        super().__init__()
        self.network, self.loss = network, loss
        counts = Counter(chain.from_iterable(data.labels_of(index) for index in range(len(data))))
        weights = class_weights(loss.class_weights, data.classes, [counts[label] for label in data.classes])
        self.register_buffer("class_weights", weights, persistent=False)
        self.classify = binary_cross_entropy if data.multi_label else cross_entropy
        self.readers: PointReader | None = None
        if loss.tracking is not None:
            self.readers = PointReader(network.largest, loss.tracking.layers, data.transform.size)
            for name in loss.tracking.layers:
                _refuse_optional(network, name)

    def forward(self, clip: Tensor, targets: Tensor, track: Tensor, point: Point) -> dict[str, Tensor]:
        """The parts of the loss of the network at a point, whose sum is minimised.

        Args:
            clip: (B, 3, T, H, W) float.
            targets: (B,) classes, or (B, classes) of 0 and 1.
            track: (B, T, 2), NaN where unknown.
            point: May have `ALL`.
        """
        tracking = self.loss.tracking
        if self.readers is None or tracking is None:
            logits = self.network(clip, point, dropout=True)
            return {"labels": self.classify(logits, targets, self.loss.label_smoothing, self.class_weights)}
        for tap in self.readers.taps:
            tap.remove()
        skeleton, largest = self.network.skeleton(point, dropout=True), self.network.largest
        layers = [(skeleton.get_submodule(name), largest.get_submodule(name)) for name in tracking.layers]
        self.readers.taps = [_WideTap(part, _outputs(wide)) for part, wide in layers]
        logits = self.network(clip, point, dropout=True)
        labels = self.classify(logits, targets, self.loss.label_smoothing, self.class_weights)
        return {"labels": labels, "tracking": tracking.weight * self.readers.loss(track)}


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
            f"loss.tracking.layers: {layer} is a layer that not every network has; there is blocks.{block}.0"
        )


def _outputs(layer: nn.Module) -> int:
    return cast("Tensor", cast("Any", layer).project.weight).shape[0]


def average_gradients(module: nn.Module) -> None:
    """The mean over processes, which all ran the same network and so have gradients of the same parameters."""
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return
    gradients = [p.grad for p in module.parameters() if p.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    for gradient, mean in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(mean.view_as(gradient))


class Remembered:
    """A set whose clips never change and are equally long, read once: they are kept in memory that data workers share.

    Args:
        data: The set.
        limit: Bytes; a larger set is read anew each time, and so is one that does not fit into half the memory that can
            be shared.
    """

    def __init__(self, data: LabelledClips, limit: int = 2 << 30) -> None:
        self.data, self.classes, self.multi_label, self.transform = data, data.classes, data.multi_label, data.transform
        first = data[Pick(0, 0)]
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

    def __getitem__(self, pick: Pick, /) -> Example:
        if self._parts is None:
            return self.data[pick]
        if not self._known[pick.video]:
            for kept, part in zip(self._parts, self.data[pick], strict=True):
                kept[pick.video] = torch.as_tensor(part)
            self._known[pick.video] = True
        clip, target, video, track = (kept[pick.video] for kept in self._parts)
        return Example(clip, target, int(video), track)


def _shareable() -> int:
    """Bytes that processes can still share: in containers, often few."""
    try:
        return shutil.disk_usage("/dev/shm").free
    except OSError:  # no Linux
        return sys.maxsize


class Draws(Sampler[Pick]):
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

    def __iter__(self) -> Iterator[Pick]:
        for step in range(self.first, self.last):
            drawn = np.random.default_rng((self.seed, step)).permutation(self.size)[: self.clips]
            yield from (Pick(0, int(index)) for index in drawn[self.rank :: self.ranks])

    def __len__(self) -> int:
        return (self.last - self.first) * self.share


def mean_over_processes(fabric: "Fabric", values: Tensor) -> Tensor:
    """Of numbers that each process has for a share of equal size."""
    if fabric.world_size > 1:
        dist.all_reduce(values)
        values /= fabric.world_size
    return values
