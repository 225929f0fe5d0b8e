"""What every engine offers: batches of streams stepped together, their state in its own memory."""

import math
from collections.abc import Iterable, Mapping
from typing import Literal, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from movinet.arch.spec import Spec
from movinet.arch.step import StepSignature, decays, memory_of
from movinet.errors import MovinetError
from movinet.weights.info import WeightsInfo

Precision = Literal["float32", "bfloat16", "float16", "int8"]
Mode = Precision | Literal["fast"]  # "fast" is the quickest precision the processor has
Frames = NDArray[np.float32]  # (streams, H, W, 3), RGB in [0, 1]
Logits = NDArray[np.float32]  # (streams, num_classes)
Clips = NDArray[np.float32]  # (B, 3, T, H, W) in [0, 1], of base networks
StreamState = list[NDArray[np.generic]]  # one stream's, without the stream axis, in the order of the signature's state

BatchState = TypeVar("BatchState")


class Engine(Protocol[BatchState]):
    """Runs the deployed step of one network for a fixed number of streams at once.

    The state of a batch is the engine's own object; only the engine looks into it. One engine serves any number of
    batches, but one call at a time: it has no locks.
    """

    kind: str
    precision: Precision
    streams: int  # rows of a batch
    signature: StepSignature

    def init_state(self) -> BatchState:
        """The state of a batch of streams that have seen nothing."""

    def step(self, frames: Frames, state: BatchState, predict: bool = True) -> Logits | None:
        """Show every stream its next frame; the state changes in place.

        Args:
            frames: (streams, H, W, 3) float32 in [0, 1].
            state: from `init_state` of this engine.
            predict: False spares the head; the next answer is the same.

        Returns:
            Logits (streams, num_classes), the caller's own, or None without `predict`.
        """

    def get_state(self, state: BatchState, row: int) -> StreamState:
        """A copy of one stream's state."""

    def set_states(self, state: BatchState, streams: Mapping[int, StreamState]) -> None:
        """Overwrite the states of some rows, which are copied: all at once, as an engine may have to write whole
        batches."""


def step_rows(
    engine: Engine[BatchState], frames: Frames, state: BatchState, rows: Iterable[int], predict: bool = True
) -> Logits | None:
    """Step only some rows of a batch: the others' state stays as it is, and their logits mean nothing."""
    idle = sorted(set(range(engine.streams)) - set(rows))
    kept = [engine.get_state(state, row) for row in idle]
    logits = engine.step(frames, state, predict)
    engine.set_states(state, dict(zip(idle, kept, strict=True)))
    return logits


def forgetting(engine: Engine[BatchState], spec: Spec, seconds: float) -> dict[str, float]:
    """The entries of a stream's state that make it forget what is older than some seconds: γ by name.

    Raises:
        ValueError: the seconds are not positive.
        MovinetError: the engine runs a file that cannot forget.
    """
    forget = decays(spec, seconds)
    if not can_forget(engine, spec):
        raise MovinetError(f"{spec.name} comes from a file that never forgets: leave `memory` out, or reset the stream")
    return forget


def can_forget(engine: Engine[BatchState], spec: Spec) -> bool:
    """Whether the network's memory can be bounded: files of other people's take no γ."""
    return decays(spec, 1.0).keys() <= {port.name for port in engine.signature.state if port.shape == (1,)}


def usual_memory(info: WeightsInfo) -> float | None:
    """The memory of a network's live streams where nobody says another, in seconds; None where they never forget.

    It is what the network's thresholds were chosen with, or else what it was trained with, or else the length of the
    clips it was made for.
    """
    if info.operating_point is not None:
        return info.operating_point.memory
    return memory_of(info.spec) or info.spec.frames / info.spec.fps


def live_memory(engine: Engine[BatchState], info: WeightsInfo, wanted: float | None = None) -> float | None:
    """The memory of a live stream, as `Session` takes it: seconds, infinity where it never forgets.

    Args:
        engine: that runs the network.
        info: of its weights.
        wanted: seconds that somebody asked for, 0 for never; None: the usual one.

    Returns:
        None where the file cannot forget, and nobody asked for it.
    """
    if wanted is not None:
        return wanted or (math.inf if can_forget(engine, info.spec) else None)
    if not can_forget(engine, info.spec):
        return None
    return usual_memory(info) or math.inf


def with_decays(engine: Engine[BatchState], stream: StreamState, decays: Mapping[str, float]) -> StreamState:
    """A stream's state that forgets by these γ, by name; arrays are shared where nothing differs."""
    return [
        np.full_like(array, decays[port.name]) if port.name in decays else array
        for port, array in zip(engine.signature.state, stream, strict=True)
    ]


def init_stream_state(signature: StepSignature, decay: float) -> StreamState:
    """The state of a stream that has seen nothing and forgets with this γ."""
    arrays: StreamState = [np.zeros(port.shape, dtype=port.dtype) for port in signature.state]
    arrays[0][...] = decay
    return arrays
