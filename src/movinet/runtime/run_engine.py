"""Any file that a runtime turns from inputs into outputs, as an engine: the state is arrays, moved up by reference."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from movinet.arch.step import DECAY, FRAMES, LOGITS, StepSignature
from movinet.deploy.run_file import Run
from movinet.runtime.engine import Frames, Logits, Precision, StreamState


@dataclass
class RunState:
    """The arrays of a batch, by the names of the signature."""

    arrays: dict[str, NDArray[Any]]


class RunEngine:
    """See `movinet.runtime.engine.Engine`. The head is in the file: `predict=False` saves nothing here."""

    def __init__(
        self,
        run: Run,
        signature: StepSignature,
        *,
        kind: str,
        streams: int,
        decay: float,
        precision: Precision = "float32",
        channels_last: bool = False,
    ) -> None:
        """Take a file into use.

        Args:
            run: the file in its runtime; tensors are named as in the signature.
            signature: of its step, of one frame, with the head.
            kind: what the runtime is called.
            streams: rows of a batch.
            decay: that a stream begins with.
            precision: of the weights in the file.
            channels_last: it takes frames (B, H, W, 3).
        """
        self.kind, self.streams, self.precision, self.signature = kind, streams, precision, signature
        self._run, self._decay, self._channels_last = run, decay, channels_last

    def init_state(self) -> RunState:
        arrays = {port.name: np.zeros((self.streams, *port.shape), port.dtype) for port in self.signature.state}
        arrays[DECAY][:] = self._decay
        return RunState(arrays)

    def step(self, frames: Frames, state: RunState, predict: bool = True) -> Logits | None:
        images = np.ascontiguousarray(frames if self._channels_last else frames.transpose(0, 3, 1, 2))
        outputs = self._run({FRAMES: images, **state.arrays})
        known = state.arrays | outputs
        state.arrays = {name: known[source] for name, source in self.signature.next_state.items()}
        return outputs[LOGITS] if predict else None

    def get_state(self, state: RunState, row: int) -> StreamState:
        return [state.arrays[port.name][row].copy() for port in self.signature.state]

    def set_states(self, state: RunState, streams: Mapping[int, StreamState]) -> None:
        for row, stream in streams.items():
            for port, array in zip(self.signature.state, stream, strict=True):
                state.arrays[port.name][row] = array
