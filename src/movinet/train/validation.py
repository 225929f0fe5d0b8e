"""What a network says of every clip of a set, and how good that is."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Sampler

from movinet.data.batches import load_batches
from movinet.data.dataset import LabeledClips, SampleKey, scaled
from movinet.metrics import confusion_matrix, mean_average_precision, top_k_accuracy
from movinet.nn.baseline_network import BaselineNetwork
from movinet.nn.ensemble import Ensemble
from movinet.nn.movinet import MoViNet
from movinet.train.losses import binary_cross_entropy, cross_entropy
from movinet.train.signals import Stop, Stopped

if TYPE_CHECKING:
    from lightning_fabric import Fabric

_PIECE = 8  # frames of a stream that go through the network at once

Network = MoViNet | Ensemble | BaselineNetwork


@dataclass(frozen=True)
class EvalOutput:
    """What a network said of the clips of a set.

    Attributes:
        logits: (clips, num_classes) float32.
        targets: (clips,) int64; (clips, num_classes) of 0 and 1 in a multi-label set.
        videos: (clips,) which of the set's videos was shown.
        classes: In the order of the logits.
    """

    logits: NDArray[np.float32]
    targets: NDArray[Any]
    videos: NDArray[np.int64]
    classes: tuple[str, ...]

    @property
    def multi_label(self) -> bool:
        return self.targets.ndim == 2

    def scores(self) -> dict[str, float]:
        """`loss`, and `top1` (and `top5` of more than five classes), or `map` of a multi-label set; shares, not
        percent."""
        logits, targets = torch.from_numpy(self.logits), torch.from_numpy(self.targets)
        if self.multi_label:
            loss = binary_cross_entropy(logits, targets)
            return {"loss": float(loss), "map": mean_average_precision(self.logits, self.targets)}
        found = {"loss": float(cross_entropy(logits, targets)), "top1": top_k_accuracy(self.logits, self.targets, 1)}
        return found | ({"top5": top_k_accuracy(self.logits, self.targets, 5)} if len(self.classes) > 5 else {})

    def probabilities(self) -> NDArray[np.float32]:
        """(clips, num_classes), each clip's summing to 1; each class by itself in a multi-label set."""
        logits = torch.from_numpy(self.logits)
        return (logits.sigmoid() if self.multi_label else logits.softmax(-1)).numpy()

    def confusion(self) -> NDArray[np.int64] | None:
        """(num_classes, num_classes) counts: true by row, said by column; None for a multi-label set."""
        if self.multi_label:
            return None
        return confusion_matrix(self.logits.argmax(1), self.targets, len(self.classes))


def main_score(scores: dict[str, float]) -> float:
    """What runs are compared by: larger is better."""
    return scores["top1"] if "top1" in scores else scores["map"]


def evaluate(
    fabric: "Fabric", model: Network, data: LabeledClips, batch_size: int, workers: int = 0, stop: Stop | None = None
) -> EvalOutput:
    """What the network says of every clip of a set. A stream network takes them in steps of some frames, so that memory
    grows with their length by their 8-bit pixels alone.

    Args:
        fabric: Device and processes, which share the clips; all of them get all answers.
        model: The network.
        data: The set.
        batch_size: Of each process.
        workers: Processes that prepare clips, for each process.
        stop: Asked after every batch.

    Raises:
        Stopped: One of the processes was asked to stop.
    """
    was_training = model.training
    model.eval()
    answer = _streamed if model.spec.causal else _whole
    found = []
    share = _Share(len(data), fabric.global_rank, fabric.world_size)
    with torch.inference_mode():
        for batch in load_batches(data, share, batch_size, min(workers, len(share))):
            if stop is not None and stop.requested:
                break
            with fabric.autocast():
                said = answer(model, data, batch.clip.to(fabric.device, non_blocking=True))
            found.append((said.float().cpu().numpy(), batch.target.numpy(), np.asarray(batch.video)))
    model.train(was_training)
    parts = [(found, stop is not None and stop.requested)]
    if fabric.world_size > 1:
        parts *= fabric.world_size
        dist.all_gather_object(parts, parts[0])
    if any(stopped for _, stopped in parts):
        raise Stopped
    columns = zip(*(answer for part, _ in parts for answer in part), strict=True)
    logits, targets, videos = (np.concatenate(column) for column in columns)
    _, kept = np.unique(videos, return_index=True)  # one that stood in for a broken one counts once
    return EvalOutput(logits[kept], targets[kept], videos[kept], data.classes)


class _Share(Sampler[SampleKey]):
    """Every `ranks`-th clip, all of them over all processes."""

    def __init__(self, size: int, rank: int, ranks: int) -> None:
        self.indices = range(rank, size, ranks)

    def __iter__(self) -> Iterator[SampleKey]:
        return (SampleKey(0, index) for index in self.indices)

    def __len__(self) -> int:
        return len(self.indices)


def _whole(model: Network, data: LabeledClips, levels: Tensor) -> Tensor:
    return model(scaled(levels, data.transform))


def _streamed(model: Network, data: LabeledClips, levels: Tensor) -> Tensor:
    state = None
    for piece in levels.split(_PIECE, dim=2):
        logits, state = model.step(scaled(piece, data.transform), state)
    return logits
