"""The search: the super-network learns from one half of the data while the controller learns from the other."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from movinet.data.batches import load_batches
from movinet.data.dataset import Example, SampleKey, scaled
from movinet.dataclass_io import to_plain
from movinet.errors import MovinetError
from movinet.metrics import mean_average_precision
from movinet.search.candidates import CandidateEvaluator
from movinet.search.controller import Controller
from movinet.search.names import entropies, odds
from movinet.search.search_recipe import SearchRecipe
from movinet.search.space import ALL, Point
from movinet.search.supernet import SuperNetwork
from movinet.search.supernet_loss import Draws, Remembered, SupernetWithLoss, mean_over_processes
from movinet.train.datasets import Sets
from movinet.train.differences import recipe_entries
from movinet.train.recipe_data import Gestures
from movinet.train.signals import Stop
from movinet.train.train_loop import Observer, Training
from movinet.train.validation import EvalOutput

if TYPE_CHECKING:
    from lightning_fabric import Fabric

_WEIGHTS, _WARMUP, _REWARD = range(3)  # what a generator is for


class Search(Training):
    """A training of the super-network at points drawn from the controller, which is rewarded after every update.

    Everything random comes from the seed, the number of the update and, for dropout, the process. All processes draw
    the same networks, train them on their share of a batch and reward them by the mean over processes.

    Args:
        fabric: Device and processes; see `connect` for networks of which only a part is used.
        recipe: What to do.
        network: The super-network as it begins; it is trained in place.
        sets: To train the weights on, and to reward with.
        judge: Of costs.
        checkpoint: File to keep the state in.
        workers: Processes that prepare_search examples, for each process.
        checkpoint_seconds: Longest time without a checkpoint.
    """

    instead = "begin a new search"

    def __init__(
        self,
        fabric: "Fabric",
        recipe: SearchRecipe,
        network: SuperNetwork,
        sets: Sets,
        judge: CandidateEvaluator,
        checkpoint: Path,
        workers: int = 0,
        checkpoint_seconds: float = 300.0,
    ) -> None:
        self.search, self.network, self.judge = recipe, network, judge
        if sets.validation is None:
            raise MovinetError("a search rewards networks for held-out clips: the recipe's data needs validation clips")
        if min(recipe.controller.clips, len(sets.validation)) < fabric.world_size:
            raise MovinetError(
                f"{fabric.world_size} processes cannot share the held-out clips of a reward: there are too few"
            )
        self.held_out = Remembered(sets.validation)
        data = recipe.training.data
        if isinstance(data, Gestures) and not data.fresh and len(data.frames) == 1:
            sets = replace(sets, train=Remembered(sets.train))
        learner = SupernetWithLoss(network, recipe.training.loss, sets.train)
        super().__init__(
            fabric, recipe.training, network.largest, sets, checkpoint, workers, checkpoint_seconds, learner
        )
        self.controller = Controller(recipe.space)

    def run(self, stop: Stop, observers: Sequence[Observer] = ()) -> bool:
        """Search to the end; see `Training.run`."""
        first, rank, ranks = max(self.state.step, self.reward_from), self.fabric.global_rank, self.fabric.world_size
        seed, clips = self.recipe.seed, self.search.controller.clips
        draws = Draws(len(self.held_out), clips, first, self.steps, seed, rank, ranks)
        self._held_out = iter(load_batches(self.held_out, draws, draws.share, min(self.workers, 1)))
        return super().run(stop, observers)

    @property
    def reward_from(self) -> int:
        """The first update that rewards networks."""
        return round(self.search.controller.delay * self.steps) if self.search.method == "controller" else self.steps

    def entries(self) -> dict[str, Any]:
        return recipe_entries(to_plain(self.search))

    def tensors(self) -> dict[str, Mapping[str, Tensor]]:
        return super().tensors() | {"controller": self.controller.tensors()}

    def load_tensors(self, tensors: Mapping[str, Mapping[str, Tensor]]) -> None:
        super().load_tensors(tensors)
        self.controller.restore(tensors["controller"])

    def network_arguments(self) -> tuple[Point, bool]:
        """A point drawn from the controller, with some decisions left open during the warm-up; with dropout."""
        point = self.controller.sample(1, self._generator(_WEIGHTS))[0]
        chance = max(0.0, 1 - self.state.step / (self.search.warmup * self.steps)) if self.search.warmup else 0.0
        point[self._generator(_WARMUP).random(len(point)) < chance] = ALL
        return tuple(point.tolist()), True

    def after_update(self) -> dict[str, float]:
        """Reward networks for held-out clips, once the controller has begun to learn."""
        rewarded = self._update_controller(Example(*next(self._held_out))) if self._rewards else {}
        return rewarded | self.outlook()

    def evaluate(self, stop: Stop) -> tuple[EvalOutput | None, dict[str, float]]:
        """No network is validated before the end; what the controller thinks of all choices is told instead."""
        return None, self.outlook() | odds(self.controller)

    def quality(self, point: Point) -> float:
        """How good the network at a point is on all held-out clips with the shared weights: top-1, or mean average
        precision. Batches mix the clips in an order of their own, since norms are the batch's."""
        size = min(self.search.controller.clips, len(self.held_out))
        order = np.random.default_rng(self.recipe.seed).permutation(len(self.held_out))
        found = []
        for places in np.array_split(order, max(1, len(order) // size)):
            examples = [self.held_out[SampleKey(0, int(state))] for state in places]
            clips, targets = (torch.stack([torch.as_tensor(e[n]) for e in examples]) for n in (0, 1))
            found.append((self._answer(clips, point), targets))
        logits, targets = (torch.cat(column) for column in zip(*found, strict=True))
        return score(logits, targets)

    def outlook(self) -> dict[str, float]:
        """What the controller expects a network to cost, and how open its decisions are, as a share of wholly: all of
        them, and those of each kind."""
        return {
            "expected_cost": self.judge.cost.expected(self.controller.probabilities()),
            **entropies(self.controller),
        }

    @property
    def _rewards(self) -> bool:
        return self.state.step >= self.reward_from

    def _update_controller(self, examples: Example) -> dict[str, float]:
        """Reward networks for held-out clips."""
        options = self.search.controller
        points = self.controller.sample(options.draws, self._generator(_REWARD))
        costs = self.judge.cost(points)
        found = [score(self._answer(examples.clip, tuple(p.tolist())), examples.target) for p in points]
        qualities = mean_over_processes(self.fabric, torch.tensor(found, dtype=torch.float64)).numpy()
        rewards = self.judge.rewards(points, qualities)
        done = (self.state.step - self.reward_from) / max(1, self.steps - self.reward_from)
        self.controller.update(points, rewards, options.lr * options.growth**done)
        means = {"quality": qualities.mean(), "reward": rewards.mean(), "cost": costs.mean()}
        return {name: float(value) for name, value in means.items()}

    @torch.inference_mode()
    def _answer(self, clips: Tensor, point: Point) -> Tensor:
        """Logits on the CPU of clips (B, 3, T, h, w) uint8."""
        clip = scaled(clips.to(self.fabric.device, non_blocking=True), self.sets.train.transform)
        with self.fabric.autocast():
            return self.network(clip, point).float().cpu()

    def _generator(self, purpose: int) -> np.random.Generator:
        return np.random.default_rng((self.recipe.seed, self.state.step, purpose))


def score(logits: Tensor, targets: Tensor) -> float:
    """Top-1 of clips of one class, mean average precision of others: larger is better."""
    if targets.ndim == 2:
        return float(mean_average_precision(logits.numpy(), targets.numpy()))
    return float((logits.argmax(1) == targets).float().mean())
