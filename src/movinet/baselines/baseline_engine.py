"""PyTorch as the engine of the networks to compare with that can stream."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from movinet.arch.baseline_spec import BaselineSpec
from movinet.arch.layer_spec import Size
from movinet.arch.step import FRAMES, LOGITS, StepSignature, TensorSpec
from movinet.errors import MovinetError
from movinet.nn.torch_engine import dtype_of, usable_device
from movinet.runtime.engine import Frames, Logits, Precision, StreamState
from movinet.weights.weights import Weights


@dataclass
class BaselineState:
    """The tensors of a batch, by name."""

    tensors: dict[str, Tensor]


class BaselineEngine:
    """See `movinet.runtime.engine.Engine`. The head is in the network: `predict=False` saves nothing here."""

    kind = "torch"

    def __init__(
        self,
        weights: Weights,
        *,
        size: Size | None = None,
        streams: int = 1,
        precision: Precision = "float32",
        device: str | torch.device = "cpu",
    ) -> None:
        """Take a network into use.

        Args:
            weights: of a network that streams.
            size: (height, width) of the frames to come; the specification's own by default.
            streams: rows of a batch.
            precision: of weights and activations.
            device: where it runs, such as "cuda".

        Raises:
            MovinetError: it cannot stream, or there is no such device here.
        """
        spec = weights.spec
        assert isinstance(spec, BaselineSpec)
        self.streams, self.precision = streams, precision
        self.device, self.dtype = usable_device(device), dtype_of(precision)
        model = weights.to_model().to(self.device, self.dtype)
        self._model, self._size = model, size or spec.size
        with torch.inference_mode():
            # Zeros are the state of a stream that has seen nothing.
            _, state = model.step(torch.zeros(streams, 3, 1, *self._size, device=self.device, dtype=self.dtype))
        self._begin = {name: torch.zeros_like(tensor) for name, tensor in state.items()}
        specs = [
            TensorSpec(name, tuple(tensor.shape[1:]), "int32" if tensor.dtype == torch.int64 else "float32")
            for name, tensor in state.items()
        ]
        new = [TensorSpec(f"{part.name}.new", part.shape, part.dtype) for part in specs]
        carry = {part.name: f"{part.name}.new" for part in specs}
        first = TensorSpec(LOGITS, (spec.num_outputs,))
        self.signature = StepSignature((TensorSpec(FRAMES, (3, *self._size)), *specs), (first, *new), carry)

    def init_state(self) -> BaselineState:
        return BaselineState({name: tensor.clone() for name, tensor in self._begin.items()})

    def step(self, frames: Frames, state: BaselineState, predict: bool = True) -> Logits | None:
        with torch.inference_mode():
            images = torch.from_numpy(np.ascontiguousarray(frames)).to(self.device, self.dtype)
            logits, state.tensors = self._model.step(images.permute(0, 3, 1, 2)[:, :, None], state.tensors)
            return logits.float().cpu().numpy() if predict else None

    def get_state(self, state: BaselineState, row: int) -> StreamState:
        return [state.tensors[t.name][row].to("cpu", _KEPT[t.dtype]).numpy().copy() for t in self.signature.state]

    def set_states(self, state: BaselineState, streams: Mapping[int, StreamState]) -> None:
        with torch.inference_mode():
            for row, stream in streams.items():
                for part, array in zip(self.signature.state, stream, strict=True):
                    state.tensors[part.name][row] = torch.from_numpy(np.array(array)).to(state.tensors[part.name])


_KEPT = {"float32": torch.float32, "int32": torch.int32}


def baseline_engine(
    weights: Weights, kind: str, size: Size, streams: int, precision: Precision, device: str
) -> BaselineEngine:
    """The only engine there is for these networks.

    Raises:
        MovinetError: another was asked for.
    """
    if kind not in ("auto", "torch"):
        raise MovinetError(f"{weights.spec.name} is a network to compare with, which PyTorch alone runs, not {kind!r}")
    return BaselineEngine(weights, size=size, streams=streams, precision=precision, device=device)
