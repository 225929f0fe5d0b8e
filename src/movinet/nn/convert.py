"""Across the torch line: arrays to networks and back."""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from movinet.arch.spec import EnsembleSpec, NetworkSpec
from movinet.errors import MovinetError
from movinet.nn.baseline_network import BaselineNetwork
from movinet.nn.ensemble import Ensemble, build
from movinet.nn.movinet import MoViNet
from movinet.weights.info import WeightsInfo

Networks = MoViNet | Ensemble | BaselineNetwork


def unwrapped(model: nn.Module) -> MoViNet | Ensemble | BaselineNetwork:
    """The network in what `torch.compile` or parallel training made of it.

    Raises:
        MovinetError: there is none.
    """
    inner: object = model
    for _ in range(4):  # a compiled network in a parallel one, or the other way round
        if isinstance(inner, Networks):
            return inner
        inner = getattr(inner, "_orig_mod", None) or getattr(inner, "module", None)
    parts = model.named_modules() if isinstance(model, nn.Module) else ()
    inside = next((f"model.{name}" for name, part in parts if isinstance(part, Networks)), None)
    hint = f"; {inside} is one: give that, and keep the layers around it by torch.save(model.state_dict(), …)"
    raise MovinetError(f"want a MoViNet or an Ensemble, not {type(model).__name__}{hint if inside else ''}")


def arrays_of(model: nn.Module) -> dict[str, NDArray[np.float32]]:
    """Copies of all parameters and statistics in float32, without batch norm's count of batches."""
    return {
        name: np.array(value.detach().to("cpu", torch.float32).numpy())
        for name, value in model.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }


def model_of(
    spec: NetworkSpec | EnsembleSpec, arrays: Mapping[str, NDArray[np.float32]], info: WeightsInfo | None = None
) -> MoViNet | Ensemble:
    """The network with these numbers as parameters and statistics, its own copies, in evaluation mode.

    Args:
        spec: the network.
        arrays: as `arrays_of` names them.
        info: what else is known of it.
    """
    with torch.device("meta"):  # no memory, no initial values
        model = build(spec, info)
    counts = {k: torch.zeros((), dtype=torch.int64) for k in model.state_dict() if k.endswith("num_batches_tracked")}
    tensors = {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}
    model.load_state_dict({**counts, **tensors}, assign=True)
    return model.eval()
