"""What a network says of every frame of some streams, and how good that is."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch.utils.data import Sampler

from movinet.data.batches import load_batches
from movinet.data.dataset import Example, SampleKey, scaled
from movinet.data.stream_chunks import StreamChunks
from movinet.data.streams import IGNORE, EventLanes
from movinet.evaluate.event_curve import StreamScores, event_curve
from movinet.evaluate.frame_metrics import frame_scores
from movinet.evaluate.matching import Segment
from movinet.metrics import confusion_matrix
from movinet.nn.movinet import MoViNet
from movinet.nn.state import reset_streams
from movinet.train.signals import Stop, Stopped
from movinet.train.stream_loss import frame_loss
from movinet.train.validation import EvalOutput

if TYPE_CHECKING:
    from lightning_fabric import Fabric


@dataclass(frozen=True)
class StreamEvalOutput(EvalOutput):
    """What a network said of streams.

    Attributes:
        logits: (frames, num_classes) float32, of all streams, one after the other.
        targets: (frames,) int64, see `movinet.data.streams.StreamChunk`.
        videos: (frames,) which of the streams.
        classes: In the order of the logits.
        background: The class of frames in which nothing happens.
        fps: Frames a second.
        truth: What happens in each stream, in seconds from its beginning; None where nobody says it.
    """

    background: int
    fps: float
    truth: tuple[tuple[Segment, ...], ...] | None

    def scores(self) -> dict[str, float]:
        """`loss`; `map`: the mean over the labels but the background of the average precision over the frames of which
        one thing alone is right; and `event_f1` where it is known what happens: the best F1 of events over all
        thresholds (`movinet.evaluate.event_curve`)."""
        logits, targets = torch.from_numpy(self.logits), torch.from_numpy(self.targets)
        loss = frame_loss(logits[None], targets[None], self.background)
        known = np.where(self.targets < 0, self.background, self.targets)
        found = frame_scores(self.probabilities(), known, self.background, self.targets < 0)
        scores = {"loss": float(loss), "map": found.mean_ap}
        return scores if self.truth is None else scores | {"event_f1": self._event_f1(self.truth)}

    def _event_f1(self, truth: tuple[tuple[Segment, ...], ...]) -> float:
        """NaN where nothing happens."""
        probabilities, streams = self.probabilities(), []
        for stream, there in enumerate(truth):
            own = probabilities[self.videos == stream]
            times = np.arange(len(own)) / self.fps
            streams.append(StreamScores(times, own, self.classes, there, len(own) / self.fps))
        curve = event_curve(streams, background=frozenset({self.classes[self.background]}))
        if not curve.there:
            return float("nan")
        found = curve.there - curve.missed
        shares = 2 * found / (curve.there + found + curve.false_alarms)
        return float(shares.max(initial=0.0))

    def confusion(self) -> NDArray[np.int64]:
        """(num_classes, num_classes) frames of which one thing alone is right: true by row, said by column."""
        sure = self.targets > IGNORE
        return confusion_matrix(self.logits.argmax(1)[sure], self.targets[sure], len(self.classes))


def evaluate_streams(
    fabric: "Fabric", model: MoViNet, data: StreamChunks, workers: int = 0, stop: Stop | None = None
) -> StreamEvalOutput:
    """What the network says of every frame of all lanes, chunk by chunk, as at use.

    Args:
        fabric: Device and processes, which share the lanes; all of them get all answers.
        model: The network.
        data: The lanes.
        workers: Processes that prepare chunks, for each process.
        stop: Asked after every chunk.

    Raises:
        Stopped: One of the processes was asked to stop.
    """
    was_training = model.training
    model.eval()
    order = _OwnLanes(data, fabric.global_rank, fabric.world_size)
    own = len(order.lanes)
    found: list[tuple[NDArray[np.float32], NDArray[np.int64]]] = []  # (lanes, T, classes) and (lanes, T)
    with torch.inference_mode():
        state = model.init_state(own, data.transform.size, device=fabric.device)
        for examples in load_batches(data, order, own, workers) if own else ():
            if stop is not None and stop.requested:
                break
            batch = Example(*examples)
            state = reset_streams(state, torch.as_tensor(batch.begins))
            with fabric.autocast():
                frames = scaled(batch.clip.to(fabric.device, non_blocking=True), data.transform)
                logits, state = model.step(frames, state, per_frame=True)
            found.append((logits.float().cpu().numpy(), batch.target.numpy()))
    model.train(was_training)
    parts = [(order.lanes, found, stop is not None and stop.requested)]
    if fabric.world_size > 1:
        parts *= fabric.world_size
        dist.all_gather_object(parts, parts[0])
    if any(stopped for _, _, stopped in parts):
        raise Stopped
    by_lane = {}
    for lanes, said, _ in parts:
        for row, lane in enumerate(lanes):
            by_lane[lane] = [np.concatenate([pair[n][row] for pair in said]) for n in (0, 1)]
    every, wanted = (np.concatenate([by_lane[lane][n] for lane in sorted(by_lane)]) for n in (0, 1))
    streams = np.concatenate([np.full(len(by_lane[lane][1]), lane) for lane in sorted(by_lane)])
    truth = None
    if isinstance(data.lanes, EventLanes):
        truth = tuple(_happens(data.lanes, lane, data.chunks) for lane in sorted(by_lane))
    return StreamEvalOutput(
        every, wanted, streams, data.classes, background=data.background, fps=data.transform.fps, truth=truth
    )


def _happens(lanes: EventLanes, lane: int, chunks: int) -> tuple[Segment, ...]:
    return tuple(Segment(str(lane), lanes.classes[label], a, b) for label, a, b in lanes.segments(lane, chunks))


class _OwnLanes(Sampler[SampleKey]):
    """The chunks of every `ranks`-th lane, in order."""

    def __init__(self, data: StreamChunks, rank: int, ranks: int) -> None:
        self.data, self.lanes = data, range(rank, data.count, ranks)

    def __iter__(self) -> Iterator[SampleKey]:
        count = self.data.count
        return (SampleKey(0, number * count + lane) for number in range(self.data.chunks) for lane in self.lanes)

    def __len__(self) -> int:
        return len(self.lanes) * self.data.chunks
