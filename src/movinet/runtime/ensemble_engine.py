"""Ensembles as an engine: an engine a member, each taking its share of the frames at its own size."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from movinet.arch.layer_spec import Size
from movinet.arch.spec import EnsembleSpec
from movinet.arch.step import FRAME_COUNT, FRAMES, LOGITS, StepSignature, TensorSpec
from movinet.runtime.engine import Engine, Frames, Logits, StreamState, step_rows
from movinet.runtime.resample import resampled


@dataclass
class EnsembleState:
    """Of a batch: the members' states, and what each of them said last."""

    members: list[Any]
    frames: NDArray[np.int32]  # (streams, 1) seen
    logits: NDArray[np.float32]  # (members, streams, num_classes), zeros before a member's first frame


class EnsembleEngine:
    """See `movinet.runtime.engine.Engine`.

    The answer is the mean of the members' newest logits; a member that has seen no frame yet is left out of it.
    """

    kind = "ensemble"

    def __init__(self, spec: EnsembleSpec, engines: Sequence[Engine[Any]], size: Size | None = None) -> None:
        """Join engines of equally many rows.

        Args:
            spec: of the ensemble.
            engines: one a member, in order, for frames of the member's size.
            size: (height, width) of the frames to come; the specification's own by default.
        """
        self._spec, self._engines = spec, tuple(engines)
        self.precision, self.streams = engines[0].precision, engines[0].streams
        ports = [TensorSpec(FRAME_COUNT, (1,), "int32")]
        for i, engine in enumerate(engines):
            state = engine.signature.state
            ports += [TensorSpec(f"members.{i}.{port.name}", port.shape, port.dtype) for port in state]
            ports.append(TensorSpec(f"members.{i}.{LOGITS}", (spec.num_outputs,)))
        self.signature = StepSignature((TensorSpec(FRAMES, (3, *(size or spec.size))), *ports), (), {})

    def init_state(self) -> EnsembleState:
        return EnsembleState(
            [engine.init_state() for engine in self._engines],
            np.zeros((self.streams, 1), np.int32),
            np.zeros((len(self._engines), self.streams, self._spec.num_outputs), np.float32),
        )

    def step(self, frames: Frames, state: EnsembleState, predict: bool = True) -> Logits | None:
        votes = np.zeros((len(self._engines), self.streams), np.float32)
        for i, (member, engine) in enumerate(zip(self._spec.members, self._engines, strict=True)):
            takes = np.array([member.takes(int(age)) for age in state.frames[:, 0]])
            if takes.any():
                height, width = engine.signature.inputs[0].shape[1:]
                images = resampled(frames, (height, width))
                # Always with an answer: it stands until the member's next frame.
                logits = step_rows(engine, images, state.members[i], np.flatnonzero(takes).tolist())
                assert logits is not None
                state.logits[i, takes] = logits[takes]
            votes[i] = state.frames[:, 0] >= member.offset  # its first frame
        state.frames += 1
        if not predict:
            return None
        total: Logits = (state.logits * votes[..., None]).sum(0) / np.maximum(votes.sum(0), 1)[:, None]
        return total

    def get_state(self, state: EnsembleState, row: int) -> StreamState:
        stream: StreamState = [state.frames[row].copy()]
        for i, engine in enumerate(self._engines):
            stream += engine.get_state(state.members[i], row)
            stream.append(state.logits[i, row].copy())
        return stream

    def set_states(self, state: EnsembleState, streams: Mapping[int, StreamState]) -> None:
        for row, stream in streams.items():
            state.frames[row] = stream[0]
        at = 1
        for i, engine in enumerate(self._engines):
            count = len(engine.signature.state)
            engine.set_states(state.members[i], {row: stream[at : at + count] for row, stream in streams.items()})
            for row, stream in streams.items():
                state.logits[i, row] = stream[at + count]
            at += count + 1
