"""The controller: independent odds for every decision, learned by REINFORCE (TuNAS, Bender et al. 2020)."""

from collections.abc import Mapping
from math import log
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from movinet.search.space import Point, Points, Space
from movinet.train.checkpoint import optimizer_tensors, restore_optimizer

_MOMENTUM = 0.95  # of the baseline


class Controller:
    """Draws networks and learns which to draw more often.

    The odds of a decision's choices are softmax(logits), zeros at first. Decisions of layers that are not there have no
    part in a network's probability.

    Args:
        space: What is to be decided.
    """

    def __init__(self, space: Space) -> None:
        self.space = space
        sizes = [len(decision.choices) for decision in space.decisions]
        self.allowed = torch.arange(max(sizes)) < torch.tensor(sizes)[:, None]  # (decisions, most choices)
        self.logits = torch.zeros(self.allowed.shape, requires_grad=True)
        self.optimizer = torch.optim.Adam([self.logits], lr=0.0, betas=(0.0, 0.999))
        self.baseline: float | None = None

    def log_odds(self) -> Tensor:
        """(decisions, most choices) log-probabilities; -inf where there is no such choice."""
        return self.logits.masked_fill(~self.allowed, -torch.inf).log_softmax(-1)

    def probabilities(self) -> list[NDArray[np.float64]]:
        """Of each decision's choices."""
        odds = self.log_odds().detach().double().exp().numpy()
        return [row[: len(d.choices)] / row.sum() for row, d in zip(odds, self.space.decisions, strict=True)]

    def sample(self, count: int, rng: np.random.Generator) -> Points:
        """Networks drawn with the odds, (count, decisions)."""
        gumbel = rng.gumbel(size=(count, *self.allowed.shape))
        return np.asarray((self.log_odds().detach().double().numpy() + gumbel).argmax(-1), np.int64)

    def best(self) -> Point:
        """The most probable choice of each decision."""
        return tuple(self.log_odds().argmax(-1).tolist())

    def log_probabilities(self, points: Points) -> Tensor:
        """(N,) of networks, of those of their decisions that matter."""
        each = self.log_odds().gather(1, torch.from_numpy(points).T).T  # (N, decisions)
        return each.where(torch.from_numpy(self.space.active(points)), 0.0).sum(1)

    def entropies(self) -> list[float]:
        """Of each decision, as a share of what it is while nothing is known; 0 where there is nothing to choose."""
        odds = self.probabilities()
        return [float(-(p * np.log(p.clip(1e-30))).sum() / log(len(p))) if len(p) > 1 else 0.0 for p in odds]

    def update(self, points: Points, rewards: NDArray[np.float64], lr: float) -> None:
        """One step of REINFORCE against a moving average of rewards.

        Args:
            points: (N, decisions) networks drawn with the odds.
            rewards: (N,) of them.
            lr: Of learning.
        """
        mean = float(rewards.mean())
        self.baseline = mean if self.baseline is None else _MOMENTUM * self.baseline + (1 - _MOMENTUM) * mean
        advantages = torch.from_numpy(rewards - self.baseline).float()
        self.optimizer.param_groups[0]["lr"] = lr
        self.optimizer.zero_grad()
        (-(advantages * self.log_probabilities(points)).mean()).backward()
        self.optimizer.step()

    def tensors(self) -> dict[str, Tensor]:
        """All it knows, for a checkpoint."""
        known = {"logits": self.logits.detach(), **optimizer_tensors(self.optimizer, {"logits": self.logits})}
        return known | ({} if self.baseline is None else {"baseline": torch.tensor(self.baseline, dtype=torch.float64)})

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Know what another did."""
        rest: dict[str, Any] = dict(tensors)
        baseline = rest.pop("baseline", None)
        self.baseline = None if baseline is None else float(baseline)
        with torch.no_grad():
            self.logits.copy_(rest.pop("logits"))
        restore_optimizer(self.optimizer, {"logits": self.logits}, rest)
