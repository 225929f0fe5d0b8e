"""Streams of a pool that go on later, or elsewhere."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from movinet.arch.step import Past
from movinet.errors import MovinetError
from movinet.nn.deploy import DeployedStep
from movinet.nn.ensemble import Ensemble
from movinet.nn.movinet import MoViNet
from movinet.nn.state import FRAME_COUNT, State
from movinet.runtime.engine import Engine, StreamState


@dataclass(frozen=True, eq=False)
class SavedStream:
    """A stream as an engine holds it; it goes on with the same network on an engine that holds the past alike."""

    frames: int  # it has seen
    state: StreamState


def saved_streams(model: MoViNet | Ensemble, state: State, engine: Engine[Any]) -> list[SavedStream]:
    """Streams that `model.step` has begun, one by one, as an engine holds them.

    Args:
        model: the engine's network.
        state: of any number of streams, with frames of the engine's size.
        engine: on which they are to go on.

    Raises:
        MovinetError: the engine holds no state of this network, or the frames were of another size.
    """
    names = [port.name for port in engine.signature.state]
    is_plain = set(names) == set(state)
    tensors = [state[name] for name in names] if is_plain else _form(model, engine).handed_over(state)
    arrays = [tensor.detach().cpu().numpy() for tensor in tensors]
    if [array.shape[1:] for array in arrays] != [port.shape for port in engine.signature.state]:
        raise MovinetError(f"the state is not one of {model.spec.name} with frames of the engine's size")
    counts = state[FRAME_COUNT].tolist()
    return [SavedStream(count, [np.array(array[row]) for array in arrays]) for row, count in enumerate(counts)]


def _form(model: MoViNet | Ensemble, engine: Engine[Any]) -> DeployedStep:
    """The network with its past held as the engine does."""
    if isinstance(model, MoViNet):
        height, width = engine.signature.inputs[0].shape[1:]
        forms: tuple[Past, ...] = ("sums", "frames", "buffer")
        for past in forms:
            step = DeployedStep(model, (height, width), past, predict=False)
            if step.signature.state == engine.signature.state:
                return step
    raise MovinetError(f"the engine holds no state of {model.spec.name}")
