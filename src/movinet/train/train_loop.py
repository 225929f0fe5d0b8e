"""The training loop: epochs of updates, each epoch followed by validation, a line in the log and a checkpoint. A
search is the same loop with more between its updates (`movinet.search.search_loop`)."""

import math
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch
import torch.distributed as dist
from torch import Tensor
from torch.utils.data import DataLoader

from movinet import __version__
from movinet.data.batches import EpochOrder, WorkerLost, batches_of, load_batches
from movinet.data.dataset import Example
from movinet.dataclass_io import from_plain
from movinet.errors import MovinetError, WeightsError
from movinet.nn.baseline_network import BaselineNetwork
from movinet.nn.movinet import MoViNet
from movinet.train.batch_norm import renormalize, synchronize_norms
from movinet.train.checkpoint import Checkpoint, optimizer_tensors, restore_optimizer, save_checkpoint
from movinet.train.datasets import Sets
from movinet.train.differences import other_entry, other_tensor, recipe_entries
from movinet.train.distributed import align_gradients, shared_batch
from movinet.train.ema import MovingAverage
from movinet.train.fingerprint import changed_clips, clip_digests
from movinet.train.model_with_loss import ModelWithLoss, StepOutput, forward_backward
from movinet.train.optimizer import Groups, RMSpropTF, adamw, parameter_groups, set_lr, train_mode
from movinet.train.recipe import AdamW, Recipe, recipe_to_dict
from movinet.train.schedule import lr_factor
from movinet.train.signals import Stop, Stopped
from movinet.train.validation import EvalOutput, evaluate, main_score

if TYPE_CHECKING:
    from lightning_fabric import Fabric


class Observer(Protocol):
    """Whoever wants to know how a run goes."""

    def step(self, row: Mapping[str, float]) -> None:
        """After every update."""

    def epoch(self, row: Mapping[str, float], answers: EvalOutput | None) -> None:
        """After every epoch, with what was said of the validation set, if anything."""

    def best(self, model: MoViNet | BaselineNetwork, row: Mapping[str, float]) -> None:
        """When the network (with averaged weights where there are) has the best validation score so far; after every
        epoch where there is no validation set."""


@dataclass
class TrainState:
    """Where a run stands between two updates."""

    step: int = 0
    epoch: int = 0
    batch: int = 0  # of the epoch
    best: tuple[float, float] | None = None  # validation score and negative loss, which decides between equals
    best_epoch: int = 0
    seconds: float = 0.0  # of training, in all sessions
    loss_sum: float = 0.0  # over the epoch's batches
    before: dict[str, float] | None = None  # validation scores of the weights that were started from

    def __post_init__(self) -> None:
        if min(self.step, self.epoch, self.batch, self.best_epoch) < 0:
            raise ValueError("before the beginning")


class Training:
    """A run of a recipe, which can be interrupted after any update and gone on with to the same end.

    Every random number of an update comes from the seed, the number of the update and the process; every example from
    seed, epoch and place. So a checkpoint needs no generators' states.

    Args:
        fabric: Device and processes.
        recipe: What to do.
        model: The network as it starts; it is trained in place.
        sets: Examples.
        checkpoint: File to keep the state in.
        workers: Processes that prepare examples, for each process.
        checkpoint_seconds: Longest time without a checkpoint.
        learner: The network with its loss, where the recipe's loss is not all.
    """

    instead = "begin a new run that starts from its model.safetensors"
    """What to do where it cannot go on."""

    shuffle = True
    """Whether the examples of an epoch come in another order each time."""

    saved_together = False
    """Whether all processes are needed to save."""

    def __init__(
        self,
        fabric: "Fabric",
        recipe: Recipe,
        model: MoViNet | BaselineNetwork,
        sets: Sets,
        checkpoint: Path,
        workers: int = 0,
        checkpoint_seconds: float = 300.0,
        learner: ModelWithLoss | None = None,
    ) -> None:
        self.fabric, self.recipe, self.model, self.sets = fabric, recipe, model, sets
        self.path, self.workers, self.checkpoint_seconds = checkpoint, workers, checkpoint_seconds
        self.observers: Sequence[Observer] = ()
        ranks = fabric.world_size
        self.batch_size = shared_batch(recipe.batch_size, len(sets.train), ranks)
        self.steps_per_epoch = batches_of(len(sets.train), self.batch_size, ranks)
        self.steps = recipe.epochs * self.steps_per_epoch
        learner = learner or ModelWithLoss(model, recipe.loss, sets.train)
        options = recipe.optimizer
        decay = options.weight_decay if isinstance(options, AdamW) else options.l2
        groups = parameter_groups(
            model, decay=decay, layer_decay=recipe.layer_decay, frozen=recipe.freeze, extra=learner.auxiliary
        )
        if recipe.batch_norm == "batch":
            if recipe.strategy == "recurrent":
                renormalize(model, settled=recipe.init_from is not None)
            elif ranks > 1:
                synchronize_norms(model)
        learner.to(fabric.device)  # before the optimizer sees its parameters
        if ranks > 1:
            align_gradients(learner)
        optimizer = new_optimizer(recipe, groups)
        self.learner, self.optimizer = fabric.setup(learner, optimizer)
        self.average = MovingAverage(model, recipe.ema_decay) if recipe.ema_decay is not None else None
        self.state = TrainState()

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint.

        Raises:
            WeightsError: It belongs to another run.
        """
        tensors, progress = checkpoint.tensors, dict(checkpoint.progress)
        version = progress.pop("version", None)
        began = progress.pop("recipe", None)  # 0.1 did not say
        network = progress.pop("network", None)
        another = other_entry(self.entries(), began) if isinstance(began, dict) else None
        if another is None and isinstance(network, dict):  # where it comes from may hold another one by now
            another = other_entry(self._network(), network)
        if another is None and "learner" in tensors:
            another = other_tensor(self.learner.module.state_dict(), tensors["learner"])
        try:
            if another is not None:
                raise ValueError(another)
            examples = progress.pop("examples")
            self.state = from_plain(TrainState, progress, "progress")
            self.load_tensors(tensors)
        except (RuntimeError, KeyError, TypeError, ValueError) as error:
            by = f" (begun by movinet {version})" if version not in (None, __version__) else ""
            what = str(error).partition("\n")[0]
            raise WeightsError(
                f"{self.path}: the state of a run of another recipe or version{by}: {what}; a run goes on as it "
                f"began, so put that back, or {self.instead}"
            ) from error
        others = changed_clips(self.sets, self._clip_digests, tensors.get("clips", {}))
        if examples != self.sets.fingerprint or others:
            named = f" ({', '.join(others[:3])}{', …' if len(others) > 3 else ''})" if others else ""
            raise WeightsError(
                f"{self.path}: the clips have changed since this run began{named}, so it cannot go on to the same end; "
                f"bring back those it began with, or {self.instead}"
            )

    def entries(self) -> dict[str, Any]:
        """What must stay the same for a run to go on, by name, in JSON's types."""
        return recipe_entries(recipe_to_dict(self.recipe))

    def tensors(self) -> dict[str, Mapping[str, Tensor]]:
        """All it knows, by part and name; not copies."""
        return {
            "learner": self.learner.module.state_dict(),
            "optimizer": optimizer_tensors(self.optimizer.optimizer, self._parameters()),
            "average": self.average.average if self.average is not None else {},
        }

    def load_tensors(self, tensors: Mapping[str, Mapping[str, Tensor]]) -> None:
        """Know what another did, whose `tensors` these are."""
        self.learner.module.load_state_dict(tensors["learner"])
        restore_optimizer(self.optimizer.optimizer, self._parameters(), tensors["optimizer"])
        if self.average is not None:
            self.average.load_state_dict({"updates": self.state.step, "average": tensors["average"]})

    def run(self, stop: Stop, observers: Sequence[Observer] = ()) -> bool:
        """Train to the end; False if asked to stop before. The state is in the checkpoint either way.

        Args:
            stop: Asked after every update and between batches of validation.
            observers: Called in turn, in the first process only.

        Raises:
            MovinetError: The loss is not finite, no clip can be read, or the checkpoint cannot be written.
        """
        self.observers = observers if self.fabric.is_global_zero else ()
        order = EpochOrder(
            len(self.sets.train),
            self.recipe.seed,
            rank=self.fabric.global_rank,
            ranks=self.fabric.world_size,
            batch_size=self.batch_size,
            shuffle=self.shuffle,
        )
        loader = load_batches(self.sets.train, order, workers=self.workers)
        if self.recipe.init_from is not None and not self.state.step and self.state.before is None:
            try:
                self.state.before = self.evaluate(stop)[1]
            except Stopped:
                self.save()
                return False
        while not self.finished:
            order.set_epoch(self.state.epoch, order.before(self.state.batch))
            try:
                if not self._train_epoch(loader, stop):
                    return False
                self._end_epoch(stop)
            except Stopped:
                self.save()
                return False
            except WorkerLost:
                if not self.saved_together or self.fabric.world_size == 1:  # the others do not know
                    self.save()  # between two updates, so nothing is lost
                raise
        return True

    @property
    def finished(self) -> bool:
        patience = self.recipe.patience
        late = patience is not None and self.state.epoch - self.state.best_epoch >= patience
        return self.state.epoch >= self.recipe.epochs or (late and self.state.best is not None)

    def _train_epoch(self, loader: DataLoader[Example], stop: Stop) -> bool:
        """The rest of an epoch; False if asked to stop."""
        state = self.state
        begin = saved = time.monotonic()
        for examples in loader:
            rate = self._rate()
            outcome, norm = self._update(Example(*examples), rate)
            due = time.monotonic() - saved > self.checkpoint_seconds
            values, stopping, due = self._over_processes(outcome.parts, stop.requested, due)
            loss = sum(values.values())
            self._check(loss, f"the loss of update {state.step + 1}")
            more = self.after_update()
            state.step, state.batch, state.loss_sum = state.step + 1, state.batch + 1, state.loss_sum + loss
            now = time.monotonic()
            row = {"step": state.step, "epoch": state.epoch + 1, "loss": loss, "lr": rate, "gradient_norm": norm}
            row["clips_per_s"] = len(examples[0]) * self.fabric.world_size / (now - begin)
            state.seconds, begin = state.seconds + now - begin, now
            for observer in self.observers:
                observer.step(row | values | more)
            if stopping:
                self.save()
                return False
            if due and state.batch < self.steps_per_epoch:
                self.save()
                begin = saved = time.monotonic()
        return True

    def _update(self, examples: Example, rate: float) -> tuple[StepOutput, float]:
        """One update of the weights; what came of it and the norm of the gradient."""
        recipe, fabric = self.recipe, self.fabric
        train_mode(self.model, recipe.freeze, keep_statistics=recipe.batch_norm == "kept")
        set_lr(self.optimizer, rate)
        outcome = self.forward_backward(examples)
        limit = recipe.optimizer.clip_norm if isinstance(recipe.optimizer, AdamW) else 0.0
        norm = fabric.clip_gradients(self.learner, self.optimizer, max_norm=limit or math.inf, error_if_nonfinite=False)
        assert norm is not None
        self._check(float(norm), f"the norm of the gradient of update {self.state.step + 1}")
        self.optimizer.step()
        self.optimizer.zero_grad()
        if self.average is not None:
            self.average.update(self.model)
        return outcome, float(norm)

    def forward_backward(self, batch: Example) -> StepOutput:
        """Add the gradients of this process's share of a batch."""
        more = self.network_arguments()
        return forward_backward(self.fabric, self.learner, self.sets.train, batch, self.recipe, self.state.step, more)

    def network_arguments(self) -> tuple[Any, ...]:
        """What the network takes beside its clips in the next update."""
        return ()

    def after_update(self) -> dict[str, float]:
        """What else there is to do after every update of the weights, and its figures."""
        return {}

    def _end_epoch(self, stop: Stop) -> None:
        """Validate, tell the observers, remember the best, save.

        Raises:
            Stopped: Before the answers are there, with which the run then goes on.
        """
        state = self.state
        with self.average.applied(self.model) if self.average is not None else nullcontext():
            answers, scores = self.evaluate(stop)
            mean = state.loss_sum / self.steps_per_epoch
            state.epoch, state.batch, state.loss_sum = state.epoch + 1, 0, 0.0
            row = {"step": state.step, "epoch": state.epoch, "loss": mean, "seconds": state.seconds}
            score = (main_score(answers.scores()), -scores["validation_loss"]) if answers else None
            better = score is None or state.best is None or score > state.best
            if better:
                # A score that is no number, say of a set without positives, is worse than any.
                state.best, state.best_epoch = None if score is None or math.isnan(score[0]) else score, state.epoch
            for observer in self.observers:
                if better:
                    observer.best(self.model, row | scores)
                observer.epoch(row | scores, answers)
        self.save()

    def evaluate(self, stop: Stop) -> tuple[EvalOutput | None, dict[str, float]]:
        """After every epoch: what the network says of the validation clips, and `validation_loss` and so on; nothing
        where there are none.

        Raises:
            Stopped: Before the answers are there.
        """
        if self.sets.validation is None:
            return None, {}
        share = self.batch_size // self.fabric.world_size
        answers = evaluate(self.fabric, self.model, self.sets.validation, share, self.workers, stop)
        scores = {f"validation_{name}": value for name, value in answers.scores().items()}
        self._check(scores["validation_loss"], f"the validation loss after update {self.state.step}")
        return answers, scores

    def save(self) -> None:
        """Write the checkpoint.

        Raises:
            WeightsError: It cannot be written; the one before is untouched.
        """
        if not self.fabric.is_global_zero and not self.saved_together:
            return
        tensors = self.tensors()
        if self.fabric.is_global_zero:
            tensors |= {"clips": self._clip_digests}
            about = {"recipe": self.entries(), "network": self._network(), "version": __version__}
            save_checkpoint(self.path, tensors, {**asdict(self.state), "examples": self.sets.fingerprint, **about})

    def _network(self) -> dict[str, Any]:
        """What the network is, by name, in JSON's types."""
        return recipe_entries({"network": self.model.spec.to_dict()})

    @cached_property
    def _clip_digests(self) -> dict[str, Tensor]:
        return clip_digests(self.sets)

    def _check(self, number: float, what: str) -> None:
        """Refuse to go on with a network that is beyond repair."""
        if not math.isfinite(number):
            saved = f"; {self.path} holds the state saved last before that" if self.path.exists() else ""
            raise MovinetError(f"{what} is {number}: a lower learning rate may help{saved}")

    def _parameters(self) -> dict[str, Tensor]:
        return dict(self.learner.module.named_parameters())

    def _rate(self) -> float:
        warmup = round(self.recipe.warmup_epochs * self.steps_per_epoch)
        return self.recipe.optimizer.lr * lr_factor(self.state.step, self.steps, warmup, self.recipe.final_lr_ratio)

    def _over_processes(
        self, parts: Mapping[str, Tensor], stop: bool, due: bool
    ) -> tuple[dict[str, float], bool, bool]:
        """The means of the parts of the loss, and whether any process is asked to stop or thinks that a checkpoint is
        due: then all do it, after the same update."""
        wishes = torch.tensor([float(stop), float(due)], device=self.fabric.device)
        numbers = torch.cat([torch.stack(list(parts.values())), wishes])
        if self.fabric.world_size > 1:
            dist.all_reduce(numbers)
        *values, stops, dues = numbers.tolist()
        means = {name: value / self.fabric.world_size for name, value in zip(parts, values, strict=True)}
        return means, stops > 0, dues > 0


def new_optimizer(recipe: Recipe, groups: Groups) -> torch.optim.Optimizer:
    """A recipe's optimizer, for `parameter_groups`."""
    options = recipe.optimizer
    if isinstance(options, AdamW):
        return adamw(groups, options.lr, options.betas)
    return RMSpropTF(
        groups,
        options.lr,
        decay=options.decay,
        momentum=options.momentum,
        epsilon=options.epsilon,
        clip_norm=options.clip_norm,
    )
