"""Training on streams that never end: the training loop with a state for every lane, carried from update to update."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn

from movinet.data.dataset import Example, scaled
from movinet.data.stream_chunks import StreamChunks
from movinet.errors import MovinetError
from movinet.nn.movinet import MoViNet
from movinet.nn.state import State, detach_state, reset_streams
from movinet.train.aux_point_loss import Tap
from movinet.train.datasets import Sets
from movinet.train.losses import class_weights
from movinet.train.model_with_loss import StepOutput, seed_of
from movinet.train.recipe import Loss, Recipe
from movinet.train.signals import Stop
from movinet.train.smoothness_loss import smoothness_loss
from movinet.train.stream_loss import frame_loss, truncated_mse
from movinet.train.stream_validation import evaluate_streams
from movinet.train.train_loop import Training
from movinet.train.validation import EvalOutput

if TYPE_CHECKING:
    from lightning_fabric import Fabric


class StreamModelWithLoss(nn.Module):
    """A stream network and the loss of all frames of a chunk as one module (see `ModelWithLoss`).

    Args:
        model: The network.
        loss: What is minimised.
        data: Whose labels are learned.
    """

    class_weights: Tensor | None

    def __init__(self, model: MoViNet, loss: Loss, data: StreamChunks) -> None:
        super().__init__()
        self.model, self.loss, self.background = model, loss, data.background
        self.register_buffer("class_weights", _weights(loss, data), persistent=False)
        self.embeddings = Tap(model.head.project) if loss.smoothness else None
        self.auxiliary: list[nn.Module] = []

    def forward(self, frames: Tensor, targets: Tensor, state: State) -> tuple[dict[str, Tensor], Tensor, State]:
        """The parts of the loss, whose sum is minimised, the logits of every frame, and the state after them.

        Args:
            frames: (B, 3, T, H, W) float.
            targets: (B, T) int64.
            state: Of the B lanes, before these frames.
        """
        loss = self.loss
        logits, after = self.model.step(frames, state, per_frame=True)
        parts = {
            "labels": frame_loss(
                logits,
                targets,
                self.background,
                smoothing=loss.label_smoothing,
                weights=self.class_weights,
                early=loss.early,
                hard=loss.hard_background,
            )
        }
        if loss.steadiness is not None:
            parts["steadiness"] = loss.steadiness.weight * truncated_mse(logits, targets, loss.steadiness.limit)
        if self.embeddings is not None and loss.smoothness is not None:
            means = self.embeddings.frame_means(len(frames))  # (B, T, C)
            parts["smoothness"] = loss.smoothness.weight * smoothness_loss(
                means, window=loss.smoothness.frames, velocity=loss.smoothness.velocity
            )
        return parts, logits, after


class StreamTraining(Training):
    """A training in which each update takes the next chunk of every lane and goes on from the state that the last one
    left, detached: memory holds the activations of a chunk and a state a lane, however long the streams are.

    The states are part of the checkpoint, so that a run that goes on comes to the same end. A chunk with which a stream
    begins has no past. The decay of the states is the network's (`arch.spec.NetworkSpec.decay`).
    """

    shuffle, saved_together = False, True

    def __init__(
        self,
        fabric: "Fabric",
        recipe: Recipe,
        model: MoViNet,
        sets: Sets,
        checkpoint: Path,
        workers: int = 0,
        checkpoint_seconds: float = 300.0,
    ) -> None:
        assert isinstance(sets.train, StreamChunks)
        self.lanes, self.validation = sets.train, sets.validation
        if recipe.batch_size != self.lanes.count or self.lanes.count % fabric.world_size:
            raise MovinetError(
                f"{fabric.world_size} processes cannot share {self.lanes.count} lanes evenly; batch_size says how many"
            )
        learner = StreamModelWithLoss(model, recipe.loss, self.lanes)
        super().__init__(fabric, recipe, model, sets, checkpoint, workers, checkpoint_seconds, cast("Any", learner))
        own = self.lanes.count // fabric.world_size
        self.streams = model.init_state(own, self.lanes.transform.size, device=fabric.device)
        """The state of this process's lanes."""

    def forward_backward(self, batch: Example) -> StepOutput:
        device, begins = self.fabric.device, torch.as_tensor(batch.begins)
        state = reset_streams(self.streams, begins) if bool(begins.any()) else self.streams
        frames = scaled(batch.clip.to(device, non_blocking=True), self.lanes.transform)
        torch.manual_seed(seed_of(self.recipe.seed, self.state.step, self.fabric.global_rank, 0))  # of dropout
        parts, logits, after = self.learner(frames, batch.target.to(device, non_blocking=True), state)
        self.fabric.backward(torch.stack(list(parts.values())).sum())
        self.streams = detach_state(after)
        return StepOutput({name: value.detach() for name, value in parts.items()}, logits.detach()[:, -1])

    def evaluate(self, stop: Stop) -> tuple[EvalOutput | None, dict[str, float]]:
        if self.validation is None:
            return None, {}
        assert isinstance(self.validation, StreamChunks)
        assert isinstance(self.model, MoViNet)
        answers = evaluate_streams(self.fabric, self.model, self.validation, self.workers, stop)
        scores = {f"validation_{name}": value for name, value in answers.scores().items()}
        self._check(scores["validation_loss"], f"the validation loss after update {self.state.step}")
        return answers, scores

    def tensors(self) -> dict[str, Mapping[str, Tensor]]:
        return super().tensors() | {"streams": self._of_all_lanes()}

    def load_tensors(self, tensors: Mapping[str, Mapping[str, Tensor]]) -> None:
        super().load_tensors(tensors)
        saved, rank, ranks = tensors["streams"], self.fabric.global_rank, self.fabric.world_size
        if saved.keys() != self.streams.keys():
            raise ValueError("the states of its lanes are of another network")
        for name, value in self.streams.items():
            value.copy_(saved[name][rank::ranks])

    def _of_all_lanes(self) -> State:
        """The state of all lanes, in their order; called by all processes."""
        ranks = self.fabric.world_size
        if ranks == 1:
            return self.streams
        found = {}
        for name, value in self.streams.items():
            parts = [torch.empty_like(value).contiguous() for _ in range(ranks)]
            dist.all_gather(parts, value.contiguous())
            found[name] = torch.stack(parts, dim=1).flatten(0, 1)  # lane n is the process n % ranks's
        return found


def _weights(loss: Loss, data: StreamChunks) -> Tensor | None:
    """The weight of the frames of each class; by name, those not named weigh 1."""
    if loss.class_weights == "balanced":
        raise MovinetError("loss.class_weights: nobody knows how many frames streams have of each class; give weights")
    return class_weights(loss.class_weights, data.classes, [1] * len(data.classes))
