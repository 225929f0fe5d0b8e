"""The moving average of a network's weights, which is often better than the weights themselves."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


class MovingAverage:
    """An exponential moving average of all parameters and buffers, counts and other whole numbers as they are.

    Early on it forgets faster, as TensorFlow's does: the decay after n updates is min(decay, (1 + n) / (10 + n)).

    Args:
        model: What is averaged, as it is now.
        decay: In [0, 1); 0.999 remembers about a thousand updates.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        if not 0 <= decay < 1:
            raise ValueError(f"a decay lies in [0, 1), got {decay}")
        self.decay, self.updates = decay, 0
        self.average = {name: tensor.detach().clone() for name, tensor in _tensors(model).items()}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Move toward the network's present weights: once after each step of the optimizer."""
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        self.updates += 1
        averages, current = [], []
        for name, tensor in _tensors(model).items():
            if tensor.is_floating_point():
                averages.append(self.average[name])
                current.append(tensor)
            else:
                self.average[name].copy_(tensor)
        torch._foreach_lerp_(averages, current, 1 - decay)

    @contextmanager
    def applied(self, model: nn.Module) -> Iterator[None]:
        """The network with the averaged weights, to evaluate or save it. Nothing is copied: the two change places, and
        what changes the network meanwhile changes the average."""
        self._swap(model)
        try:
            yield
        finally:
            self._swap(model)

    def state_dict(self) -> dict[str, Any]:
        """`updates` and the tensors of the `average`, not copied."""
        return {"updates": self.updates, "average": dict(self.average)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a `state_dict`; its values are copied.

        Raises:
            ValueError: It is of another network.
        """
        shapes = [{name: t.shape for name, t in average.items()} for average in (self.average, state["average"])]
        if shapes[0] != shapes[1]:
            raise ValueError("the moving average is of another network")
        self.updates = state["updates"]
        for name, tensor in state["average"].items():
            self.average[name].copy_(tensor)

    def _swap(self, model: nn.Module) -> None:
        for name, tensor in _tensors(model).items():
            tensor.data, self.average[name] = self.average[name], tensor.data


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    return dict(model.named_parameters()) | dict(model.named_buffers())
