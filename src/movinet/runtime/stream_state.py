"""Streams that go on later, or elsewhere."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
from numpy.typing import ArrayLike

from movinet.arch.spec import NetworkSpec
from movinet.arch.step import FRAME_COUNT, StateLayout, step_signature
from movinet.errors import MovinetError
from movinet.runtime.engine import Engine, StreamState
from movinet.weights.weights import Weights


@dataclass(frozen=True, eq=False)
class SavedStream:
    """A stream as an engine holds it; it goes on with the same network on an engine that holds the past alike."""

    frames: int  # it has seen
    state: StreamState


def saved_streams(weights: Weights, state: Mapping[str, ArrayLike], engine: Engine[Any]) -> list[SavedStream]:
    """Streams that `MoViNet.step` has begun, one by one, as an engine holds them.

    Args:
        weights: the engine's network.
        state: of any number of streams, tensors on the CPU or arrays, with frames of the engine's size.
        engine: on which they are to go on.

    Raises:
        MovinetError: the engine holds no state of this network, or the frames were of another size.
    """
    height, width = engine.signature.inputs[0].shape[1:]
    past = _past(weights, engine)
    try:
        from movinet.deploy.deployed_state import deployed_state
        from movinet.deploy.network import folded_network

        held = deployed_state(folded_network(weights, (height, width)), state, past)
    except KeyError as error:
        raise MovinetError(f"the state has no {error}: it is not one of {weights.spec.name}") from error
    if [array.shape[1:] for array in held.values()] != [port.shape for port in engine.signature.state]:
        raise MovinetError(f"the state is not one of {weights.spec.name} with frames of the engine's size")
    counts = np.asarray(state[FRAME_COUNT]).tolist()
    return [SavedStream(count, [array[row].copy() for array in held.values()]) for row, count in enumerate(counts)]


def _past(weights: Weights, engine: Engine[Any]) -> StateLayout:
    """How the engine holds the past of this network."""
    spec = weights.spec
    if isinstance(spec, NetworkSpec):
        height, width = engine.signature.inputs[0].shape[1:]
        pasts: tuple[StateLayout, ...] = get_args(StateLayout)
        for past in pasts:
            if step_signature(spec, (height, width), past, predict=False).state == engine.signature.state:
                return past
    raise MovinetError(f"the engine holds no state of {spec.name}")
