"""The network as it was trained, as an engine: what ensembles run on, and what the others are compared with."""

import numpy as np
import torch

from movinet.arch.step import FRAMES, Port, StepSignature
from movinet.nn.ensemble import Ensemble
from movinet.nn.fold import fold
from movinet.nn.movinet import MoViNet
from movinet.nn.state import State
from movinet.runtime.engine import Frames, Logits, Precision, StreamState
from movinet.runtime.torch_engine import dtype_of


class PlainEngine:
    """See `movinet.runtime.engine.Engine`."""

    kind = "plain"

    def __init__(
        self,
        model: MoViNet | Ensemble,
        *,
        size: tuple[int, int] | None = None,
        streams: int = 1,
        precision: Precision = "float32",
        device: str | torch.device = "cpu",
    ) -> None:
        """Fold a trained stream network or ensemble.

        Args:
            model: it is left as it is.
            size: (height, width) of the frames to come; the specification's own by default.
            streams: rows of a batch.
            precision: of weights and activations; "int8" is not to be had here.
            device: where it runs.
        """
        self.precision, self.streams = precision, streams
        self.device, self.dtype, self.size = torch.device(device), dtype_of(precision), size or model.spec.size
        self.model = fold(model).to(device=self.device, dtype=self.dtype)
        ports = tuple(
            Port(name, tuple(tensor.shape[1:]), "int32" if tensor.dtype == torch.int64 else "float32")
            for name, tensor in self._fresh().items()
        )
        self.signature = StepSignature((Port(FRAMES, (3, *self.size)), *ports), (), {})

    def begin(self) -> State:
        return self._fresh()

    def step(self, frames: Frames, state: State, predict: bool = True) -> Logits | None:
        with torch.inference_mode():
            images = torch.from_numpy(frames).permute(0, 3, 1, 2)[:, :, None]
            logits, after = self.model.step(images.to(self.device, self.dtype), state)
        state.update(after)
        return logits.float().cpu().numpy() if predict else None

    def take(self, state: State, row: int) -> StreamState:
        return [
            np.asarray(state[port.name][row].cpu().to(getattr(torch, port.dtype)).numpy()).copy()
            for port in self.signature.state
        ]

    def put(self, state: State, row: int, stream: StreamState) -> None:
        with torch.inference_mode():
            for port, array in zip(self.signature.state, stream, strict=True):
                state[port.name][row] = torch.from_numpy(np.asarray(array))

    def _fresh(self) -> State:
        return self.model.init_state(self.streams, self.size, self.dtype, self.device)
