"""The search: the super-network learns from one half of the data while the controller learns from the other."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from torch import Tensor

from movinet.data.dataset import EpochOrder, Example, Pick, batches_of, load_batches, scaled
from movinet.dataclass_io import from_plain
from movinet.errors import MovinetError, WeightsError
from movinet.metrics import mean_average_precision
from movinet.search.choose import Judge
from movinet.search.controller import Controller
from movinet.search.learner import Draws, Remembered, SuperLearner, average_gradients, mean_over_processes
from movinet.search.names import entropies, odds
from movinet.search.recipe import SearchRecipe
from movinet.search.space import ALL, Point
from movinet.search.supernet import SuperNetwork
from movinet.train.checkpoint import Checkpoint, optimizer_tensors, restore_optimizer, save_checkpoint
from movinet.train.differences import other_tensor
from movinet.train.fingerprint import changed_clips, clip_digests
from movinet.train.learner import seed_of
from movinet.train.loop import new_optimizer
from movinet.train.optimizer import parameter_groups, set_rate
from movinet.train.recipe import AdamW, Gestures
from movinet.train.schedule import rate_factor
from movinet.train.sets import Sets
from movinet.train.signals import Stop
from movinet.words import counted

if TYPE_CHECKING:
    from lightning_fabric import Fabric

_WEIGHTS, _WARMUP, _REWARD = range(3)  # what a generator is for


class Observer(Protocol):
    """Whoever wants to know how a search goes."""

    def step(self, row: Mapping[str, float]) -> None:
        """After every update."""

    def epoch(self, row: Mapping[str, float], controller: Controller) -> None:
        """After every pass over the training clips."""


@dataclass
class Place:
    """Where a search stands between two updates."""

    step: int = 0
    epoch: int = 0
    batch: int = 0  # of the epoch
    seconds: float = 0.0  # in all sessions
    recent: dict[str, float] = field(default_factory=dict)  # figures of the last reward

    def __post_init__(self) -> None:
        if min(self.step, self.epoch, self.batch) < 0:
            raise ValueError("before the beginning")


class Search:
    """A search that can be interrupted after any update and gone on with to the same end.

    Everything random comes from the seed, the number of the update and, for dropout, the process. All processes draw
    the same networks, train them on their share of a batch and reward them by the mean over processes.

    Args:
        fabric: Device and processes.
        recipe: What to do.
        network: The super-network as it begins; it is trained in place.
        sets: To train the weights on, and to reward with.
        judge: Of costs.
        checkpoint: File to keep the state in.
        workers: Processes that prepare examples, for each process.
        checkpoint_seconds: Longest time without a checkpoint.
    """

    def __init__(
        self,
        fabric: "Fabric",
        recipe: SearchRecipe,
        network: SuperNetwork,
        sets: Sets,
        judge: Judge,
        checkpoint: Path,
        workers: int = 0,
        checkpoint_seconds: float = 300.0,
    ) -> None:
        self.fabric, self.recipe, self.network, self.sets, self.judge = fabric, recipe, network, sets, judge
        self.path, self.workers, self.checkpoint_seconds = checkpoint, workers, checkpoint_seconds
        training, ranks = recipe.training, fabric.world_size
        self.batch_size = min(training.batch_size, len(sets.train)) // ranks * ranks
        if not self.batch_size:
            raise MovinetError(
                f"{ranks} processes cannot share {counted(len(sets.train), 'clip')} in batches of {training.batch_size}"
            )
        if sets.validation is None:
            raise MovinetError("a search rewards networks for held-out clips: the recipe's data needs validation clips")
        if min(recipe.controller.clips, len(sets.validation)) < ranks:
            raise MovinetError(f"{ranks} processes cannot share the held-out clips of a reward: there are too few")
        self.held_out = Remembered(sets.validation)
        data = training.data
        same = isinstance(data, Gestures) and not data.fresh and len(data.frames) == 1
        self.train_clips = Remembered(sets.train) if same else sets.train
        self.steps_per_epoch = batches_of(len(sets.train), self.batch_size, ranks)
        self.steps = training.epochs * self.steps_per_epoch
        self.learner = SuperLearner(network, training.loss, sets.train).to(fabric.device)
        options = training.optimizer
        decay = options.weight_decay if isinstance(options, AdamW) else options.l2
        extra = [network.skips, *([self.learner.readers] if self.learner.readers else [])]
        self.optimizer = new_optimizer(training, parameter_groups(network.largest, decay=decay, extra=extra))
        self.controller = Controller(recipe.space)
        self.place = Place()
        self.observers: Sequence[Observer] = ()

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint.

        Raises:
            WeightsError: It belongs to another search.
        """
        try:
            progress = dict(checkpoint.progress)
            examples = progress.pop("examples")
            self.place = from_plain(Place, progress, "progress")
            self.learner.load_state_dict(checkpoint.tensors["learner"])
            restore_optimizer(self.optimizer, self._parameters(), checkpoint.tensors["optimizer"])
            self.controller.restore(checkpoint.tensors["controller"])
        except (RuntimeError, KeyError, TypeError, ValueError) as error:
            another = other_tensor(self.learner.state_dict(), checkpoint.tensors.get("learner", {}))
            what = another or str(error).partition("\n")[0]
            raise WeightsError(f"{self.path}: the state of a search of another recipe or version: {what}") from error
        others = changed_clips(self.sets, self._clip_digests, checkpoint.tensors.get("clips", {}))
        if examples != self.sets.fingerprint or others:
            named = f" ({', '.join(others[:3])}{', …' if len(others) > 3 else ''})" if others else ""
            raise WeightsError(f"{self.path}: the clips have changed since this search began{named}; begin a new one")

    def run(self, stop: Stop, observers: Sequence[Observer] = ()) -> bool:
        """Search to the end; False if asked to stop before. The state is in the checkpoint either way.

        Raises:
            MovinetError: The loss is not finite, no clip can be read, or the checkpoint cannot be written.
        """
        self.observers = observers if self.fabric.is_global_zero else ()
        rank, ranks, seed = self.fabric.global_rank, self.fabric.world_size, self.recipe.training.seed
        order = EpochOrder(len(self.sets.train), seed, rank=rank, ranks=ranks, batch_size=self.batch_size)
        loader = load_batches(self.train_clips, order, workers=self.workers)
        first = max(self.place.step, self.reward_from)
        draws = Draws(len(self.held_out), self.recipe.controller.clips, first, self.steps, seed, rank, ranks)
        held_out = iter(load_batches(self.held_out, draws, draws.share, min(self.workers, 1)))
        saved = time.monotonic()
        while self.place.epoch < self.recipe.training.epochs:
            order.set_epoch(self.place.epoch, order.before(self.place.batch))
            begin = time.monotonic()
            for examples in loader:
                values = self._update_weights(Example(*examples))
                if self.place.step >= self.reward_from:
                    self.place.recent = self._update_controller(Example(*next(held_out)))
                now = time.monotonic()
                self._tell(values, len(examples[0]) * ranks, now - begin)
                begin = now
                if self._any(stop.requested):
                    self.save()
                    return False
                if now - saved > self.checkpoint_seconds and self.place.batch < self.steps_per_epoch:
                    self.save()
                    begin = saved = time.monotonic()
            self._end_epoch()
            saved = time.monotonic()
        return True

    @property
    def reward_from(self) -> int:
        """The first update that rewards networks."""
        return round(self.recipe.controller.delay * self.steps) if self.recipe.method == "controller" else self.steps

    def quality(self, point: Point) -> float:
        """How good the network at a point is on all held-out clips with the shared weights: top-1, or mean average
        precision. Batches mix the clips in an order of their own, since norms are the batch's."""
        size = min(self.recipe.controller.clips, len(self.held_out))
        order = np.random.default_rng(self.recipe.training.seed).permutation(len(self.held_out))
        found = []
        for places in np.array_split(order, max(1, len(order) // size)):
            examples = [self.held_out[Pick(0, int(place))] for place in places]
            clips, targets = (torch.stack([torch.as_tensor(e[n]) for e in examples]) for n in (0, 1))
            found.append((self._answer(clips, point), targets))
        logits, targets = (torch.cat(column) for column in zip(*found, strict=True))
        return score(logits, targets)

    def save(self) -> None:
        """Write the checkpoint.

        Raises:
            WeightsError: It cannot be written; the one before is untouched.
        """
        if self.fabric.is_global_zero:
            tensors = {
                "learner": self.learner.state_dict(),
                "optimizer": optimizer_tensors(self.optimizer, self._parameters()),
                "controller": self.controller.tensors(),
                "clips": self._clip_digests,
            }
            save_checkpoint(self.path, tensors, {**asdict(self.place), "examples": self.sets.fingerprint})

    @cached_property
    def _clip_digests(self) -> dict[str, Tensor]:
        return clip_digests(self.sets)

    def _update_weights(self, examples: Example) -> dict[str, float]:
        """Train a network drawn from the controller, with some decisions left open during the warm-up."""
        place, fabric, training = self.place, self.fabric, self.recipe.training
        point = self.controller.sample(1, self._generator(_WEIGHTS))[0]
        chance = max(0.0, 1 - place.step / (self.recipe.warmup * self.steps)) if self.recipe.warmup else 0.0
        point[self._generator(_WARMUP).random(len(point)) < chance] = ALL
        warmup = round(training.warmup_epochs * self.steps_per_epoch)
        rate = training.optimizer.rate * rate_factor(place.step, self.steps, warmup, training.final_rate)
        set_rate(self.optimizer, rate)
        torch.manual_seed(seed_of(training.seed, place.step, fabric.global_rank))
        self.learner.train()
        clip = scaled(examples.clip.to(fabric.device, non_blocking=True), self.sets.train.transform)
        with fabric.autocast():
            parts = self.learner(
                clip, examples.target.to(fabric.device), examples.track.to(fabric.device), tuple(point.tolist())
            )
        torch.stack(list(parts.values())).sum().backward()
        average_gradients(self.learner)
        limit = training.optimizer.clip_norm if isinstance(training.optimizer, AdamW) else 0.0
        norm = float(torch.nn.utils.clip_grad_norm_(self.learner.parameters(), limit or math.inf))
        means = mean_over_processes(fabric, torch.stack([part.detach() for part in parts.values()])).tolist()
        if not math.isfinite(sum(means) + norm):
            raise MovinetError(
                f"the loss of update {place.step + 1} is {sum(means)}, the norm of its gradient {norm}: "
                "a lower learning rate may help"
            )
        self.optimizer.step()
        self.optimizer.zero_grad()
        return {"loss": sum(means), "rate": rate, **dict(zip(parts, means, strict=True))}

    def _update_controller(self, examples: Example) -> dict[str, float]:
        """Reward networks for held-out clips."""
        options = self.recipe.controller
        points = self.controller.sample(options.draws, self._generator(_REWARD))
        costs = self.judge.cost(points)
        found = [score(self._answer(examples.clip, tuple(p.tolist())), examples.target) for p in points]
        qualities = mean_over_processes(self.fabric, torch.tensor(found, dtype=torch.float64)).numpy()
        rewards = self.judge.rewards(points, qualities)
        done = (self.place.step - self.reward_from) / max(1, self.steps - self.reward_from)
        self.controller.update(points, rewards, options.rate * options.growth**done)
        means = {"quality": qualities.mean(), "reward": rewards.mean(), "cost": costs.mean()}
        return {name: float(value) for name, value in means.items()}

    @torch.inference_mode()
    def _answer(self, clips: Tensor, point: Point) -> Tensor:
        """Logits on the CPU of clips (B, 3, T, h, w) uint8."""
        clip = scaled(clips.to(self.fabric.device, non_blocking=True), self.sets.train.transform)
        with self.fabric.autocast():
            return self.network(clip, point).float().cpu()

    def _tell(self, values: Mapping[str, float], clips: int, seconds: float) -> None:
        place = self.place
        place.step, place.batch, place.seconds = place.step + 1, place.batch + 1, place.seconds + seconds
        if self.observers:
            row = {"step": place.step, "epoch": place.epoch + 1, **values, **place.recent, **self.outlook()}
            row["clips_per_s"] = clips / seconds
            for observer in self.observers:
                observer.step(row)

    def outlook(self) -> dict[str, float]:
        """What the controller expects a network to cost, and how open its decisions are, as a share of wholly: all of
        them, and those of each kind."""
        return {
            "expected_cost": self.judge.cost.expected(self.controller.probabilities()),
            **entropies(self.controller),
        }

    def _end_epoch(self) -> None:
        place = self.place
        place.epoch, place.batch = place.epoch + 1, 0
        row = {"step": place.step, "epoch": place.epoch, "seconds": place.seconds, **self.outlook()}
        row |= odds(self.controller)
        for observer in self.observers:
            observer.epoch(row, self.controller)
        self.save()

    def _any(self, wish: bool) -> bool:
        """Whether any process is asked to stop: then all do, after the same update."""
        return float(mean_over_processes(self.fabric, torch.tensor(float(wish), device=self.fabric.device))) > 0

    def _parameters(self) -> dict[str, Tensor]:
        return dict(self.learner.named_parameters())

    def _generator(self, purpose: int) -> np.random.Generator:
        return np.random.default_rng((self.recipe.training.seed, self.place.step, purpose))


def score(logits: Tensor, targets: Tensor) -> float:
    """Top-1 of clips of one class, mean average precision of others: larger is better."""
    if targets.ndim == 2:
        return float(mean_average_precision(logits.numpy(), targets.numpy()))
    return float((logits.argmax(1) == targets).float().mean())
