"""One batch forward through the network and its loss and backward, whole or in sub-clips."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from movinet.data.dataset import Example, LabeledClips, scaled
from movinet.data.mixup import cutmix, mixup
from movinet.errors import MovinetError
from movinet.nn.baseline_network import BaselineNetwork
from movinet.nn.movinet import MoViNet
from movinet.nn.state import State, detach_state
from movinet.train.aux_point_loss import AuxPointLoss, Tap
from movinet.train.losses import binary_cross_entropy, class_shares, class_weights, cross_entropy
from movinet.train.recipe import Loss, Recipe
from movinet.train.smoothness_loss import smoothness_loss

if TYPE_CHECKING:
    from lightning_fabric import Fabric
    from lightning_fabric.wrappers import _FabricModule


class ModelWithLoss(nn.Module):
    """A network and its loss as one module: with several processes one call must do both, so that gradients meet.

    Args:
        model: The network.
        loss: What is minimized.
        data: Whose labels are learned.
        layers: The network whose layers the loss reads, where the model only holds it.
    """

    class_weights: Tensor | None

    def __init__(self, model: nn.Module, loss: Loss, data: LabeledClips, layers: MoViNet | None = None) -> None:
        super().__init__()
        self.model, self.loss = model, loss
        network = cast("MoViNet | BaselineNetwork", layers or model)
        counts = Counter(chain.from_iterable(data.labels_of(index) for index in range(len(data))))
        each = [counts[label] for label in data.classes]
        weights = class_weights(loss.class_weights, data.classes, each, data.multi_label)
        self.register_buffer("class_weights", weights, persistent=False)
        self.classify = binary_cross_entropy if data.multi_label else cross_entropy
        self.readers = AuxPointLoss(network, loss.aux_point.layers, data.transform.size) if loss.aux_point else None
        self.embeddings = Tap(_embeddings(network)) if loss.smoothness else None

    @property
    def auxiliary(self) -> list[nn.Module]:
        """What learns with the network and is thrown away afterwards."""
        return [self.readers] if self.readers is not None else []

    def forward(
        self, clip: Tensor, targets: Tensor | None, track: Tensor, state: State | None, carry: bool, *more: Any
    ) -> tuple[dict[str, Tensor], Tensor, State | None]:
        """The parts of the loss, whose sum is minimized, the logits, and the state after the clip.

        Args:
            clip: (B, 3, T, H, W) float.
            targets: (B, num_classes) shares of the classes; None: no loss is wanted.
            track: (B, T, 2), NaN where unknown.
            state: Of the clips before these frames.
            carry: Go on from the state; otherwise the clip is all there is.
            more: What the network takes beside a clip.
        """
        if carry:
            logits, state = cast("MoViNet", self.model).step(clip, state)
        else:
            logits = self.model(clip, *more)
        if targets is None:
            return {}, logits, state
        parts = {"labels": self.classify(logits, targets, self.loss.label_smoothing, self.class_weights)}
        if self.readers is not None and self.loss.aux_point is not None:
            parts["aux_point"] = self.loss.aux_point.weight * self.readers.loss(track)
        if self.embeddings is not None and self.loss.smoothness is not None:
            frames = self.embeddings.frame_means(len(clip))  # (B, T, C)
            parts["smoothness"] = self.loss.smoothness.weight * smoothness_loss(
                frames, window=self.loss.smoothness.frames, velocity=self.loss.smoothness.velocity
            )
        return parts, logits, state


def _embeddings(network: "MoViNet | BaselineNetwork") -> nn.Module:
    """The part whose means over space are a frame's embedding."""
    if isinstance(network, BaselineNetwork):
        raise MovinetError(f"{network.spec.name}: smoothing (loss.smoothness) is for MoViNets; leave it out")
    return network.head.project


@dataclass(frozen=True)
class StepOutput:
    """What an update's forward passes gave.

    Attributes:
        parts: The parts of the loss, means over the batch (and sub-clips); scalars on the device.
        logits: (B, num_classes) after the last frame.
    """

    parts: dict[str, Tensor]
    logits: Tensor

    @property
    def loss(self) -> Tensor:
        return torch.stack(list(self.parts.values())).sum()


def forward_backward(
    fabric: "Fabric",
    learner: "_FabricModule",
    data: LabeledClips,
    batch: Example,
    recipe: Recipe,
    step: int,
    more: tuple[Any, ...] = (),
) -> StepOutput:
    """Add the gradients of one batch.

    With the recurrent strategy the clips go through in sub-clips, in order; the loss is the mean over sub-clips, each
    answered for by the logits after it, or that of the last (`recipe.loss_on`). The state is carried from one to the
    next but cut from its history after every `recipe.bptt_clips` sub-clips, so memory holds the activations of a single
    sub-clip and `reach` states, however long the clips are: with more than one, all but the last go through twice,
    first to learn the states between them, then from the last to the first, each with the gradient of what comes after
    it with respect to its state.

    Args:
        fabric: Moves, casts and, over several processes, averages gradients once a batch.
        learner: From `fabric.setup`.
        data: Where the batch is from.
        batch: This process's share.
        recipe: Strategy and mixing.
        step: Number of the update, which decides all that is random.
        more: What the network takes beside its clips.
    """
    recurrent = recipe.strategy == "recurrent"
    levels = batch.clip  # (B, 3, T, h, w) uint8, on the device one sub-clip at a time
    length = recipe.sub_clip if recurrent else levels.shape[2]
    pieces = list(zip(levels.split(length, dim=2), batch.track.split(length, dim=1), strict=True))
    last = len(pieces) - 1
    only_last = recurrent and recipe.loss_on == "last"
    besides = recipe.loss.smoothness is not None or recipe.loss.aux_point is not None  # losses on frames
    shares = class_shares(batch.target.to(fabric.device, non_blocking=True), len(data.classes))
    seed = recipe.seed, step, fabric.global_rank

    def ahead(n: int, state: State | None, with_loss: bool) -> tuple[dict[str, Tensor], Tensor, State | None]:
        """Sub-clip n through the network, the same however often; what it counts for of each part of the loss."""
        piece, track = pieces[n]
        clip = scaled(piece.to(fabric.device, non_blocking=True), data.transform)
        clip, targets = _mixed(clip, shares, recipe, np.random.default_rng(seed))
        torch.manual_seed(seed_of(*seed, 0))  # of dropout, which takes the same of all sub-clips
        wanted = targets if with_loss else None
        parts, logits, after = learner(clip, wanted, track.to(fabric.device), state, recurrent, *more)
        share = piece.shape[2] / levels.shape[2]  # a shorter last piece counts by its frames
        counts = {"labels": float(n == last)} if only_last else {}
        return {name: counts.get(name, share) * value for name, value in parts.items()}, logits, after

    found: list[dict[str, Tensor]] = []
    state: State | None = None
    answer = torch.empty(0)
    for first in range(0, len(pieces), recipe.bptt_clips):
        window = range(first, min(first + recipe.bptt_clips, len(pieces)))
        befores: list[tuple[State | None, list[Tensor]]] = [(state, _statistics(learner))]  # before each sub-clip
        idle = only_last and window[-1] < last and not besides  # nothing is learned from these
        with torch.no_grad():
            for n in window if idle else window[:-1]:
                _, _, after = ahead(n, befores[-1][0], with_loss=False)
                befores.append((after, _statistics(learner)))
        if idle:
            state = befores[-1][0]
            continue
        pull: State = {}  # the gradient with respect to the state after a sub-clip
        for n, (before, statistics) in zip(reversed(window), reversed(befores), strict=True):
            leaves = _leaves(before) if before is not None and n > first else before
            alone = n > first or window[-1] < last  # gradients meet those of other processes at the end
            again = _as_it_was(learner, statistics) if n < window[-1] else nullcontext()
            with again, fabric.no_backward_sync(learner, enabled=alone):
                parts, logits, after = ahead(n, leaves, with_loss=True)
                loss = torch.stack(list(parts.values())).sum()
                if after is not None:
                    loss = loss + sum((after[key] * value).sum() for key, value in pull.items())
                fabric.backward(loss)
            if leaves is not None:
                pull = {key: value.grad for key, value in leaves.items() if value.grad is not None}
            if n == window[-1]:
                state = detach_state(after) if after is not None else None
                answer = logits.detach()
            found.append({name: value.detach() for name, value in parts.items()})
    return StepOutput({name: torch.stack([parts[name] for parts in found]).sum() for name in found[0]}, answer)


def _statistics(learner: nn.Module) -> list[Tensor]:
    """Batch norm's, as they are now."""
    return [buffer.clone() for buffer in learner.buffers()]


@contextmanager
def _as_it_was(learner: nn.Module, statistics: list[Tensor]) -> Iterator[None]:
    """Batch norm has the statistics of then, and takes no notice of what goes through for the second time."""
    now = _statistics(learner)
    _restore(learner, statistics)
    yield
    _restore(learner, now)


def _restore(learner: nn.Module, statistics: list[Tensor]) -> None:
    with torch.no_grad():
        for buffer, value in zip(learner.buffers(), statistics, strict=True):
            buffer.copy_(value)


def _leaves(state: State) -> State:
    """The state, with gradients to be found for what the network computed: buffers and means, not counts."""
    return {key: value.detach().requires_grad_(value.ndim > 1) for key, value in state.items()}


def seed_of(*numbers: int) -> int:
    """One seed of several numbers."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0])


def _mixed(clip: Tensor, targets: Tensor, recipe: Recipe, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Clips mixed with one another, if the recipe says so; equal generators mix all sub-clips alike."""
    kinds = [(mix, alpha) for mix, alpha in ((mixup, recipe.mixup), (cutmix, recipe.cutmix)) if alpha]
    if not kinds:
        return clip, targets
    mix, alpha = kinds[int(rng.integers(len(kinds)))]
    return mix(clip, targets, alpha, rng)
