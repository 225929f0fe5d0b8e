"""What a network is worth: how good it is, less what it costs beyond the target."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from movinet.errors import MovinetError

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Budget:
    """What a network may cost.

    Args:
        cost: `macs`: multiply-adds a frame. `latency`: milliseconds of a step on this machine.
        target: So many; cheaper is no better than dearer.
        tolerance: How far from the target the network that is taken in the end may be, as a share of it.
        weight: β, from TuNAS: of the distance from the target.
        state_bytes: The most that the state of a stream may take; None: any.
    """

    target: float
    cost: Literal["macs", "latency"] = "macs"
    tolerance: float = 0.03
    weight: float = -0.1
    state_bytes: float | None = None

    def __post_init__(self) -> None:
        if not self.target > 0 or not self.tolerance > 0 or not self.weight <= 0:
            raise MovinetError("budget: want a positive target and tolerance, and a weight of at most 0")
        if self.state_bytes is not None and not self.state_bytes > 0:
            raise MovinetError(f"budget.state_bytes is {self.state_bytes}; want a positive number")

    def distance(self, costs: FloatArray, states: FloatArray) -> FloatArray:
        """(N,) |T/T₀ - 1|, and S/S₀ - 1 where the state is too large: what β is multiplied with."""
        beyond = np.abs(costs / self.target - 1)
        return beyond if self.state_bytes is None else beyond + np.maximum(0, states / self.state_bytes - 1)

    def fits(self, costs: FloatArray, states: FloatArray) -> NDArray[np.bool_]:
        """(N,) whether a network may be taken."""
        right = np.abs(costs / self.target - 1) <= self.tolerance
        return right if self.state_bytes is None else right & (states <= self.state_bytes)
