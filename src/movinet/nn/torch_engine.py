"""PyTorch as an engine: nothing to install, eager or compiled, on any device."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from movinet.arch.baseline_spec import BaselineSpec
from movinet.arch.layer_spec import Size
from movinet.deploy.fold import fold
from movinet.deploy.network import folded_network
from movinet.errors import MovinetError
from movinet.nn.deploy import DeployedHead, DeployedStep
from movinet.runtime.engine import Frames, Logits, Precision, StreamState
from movinet.weights.weights import Weights

Part = TypeVar("Part", bound=nn.Module)

_DTYPES: dict[Precision, torch.dtype] = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


def dtype_of(precision: Precision) -> torch.dtype:
    """Torch's name for a precision.

    Raises:
        MovinetError: torch does not run networks in it.
    """
    if precision not in _DTYPES:
        raise MovinetError(f"torch runs in {', '.join(_DTYPES)}, not in {precision}")
    return _DTYPES[precision]


def usable_device(device: str | torch.device) -> torch.device:
    """A device that is there.

    Raises:
        MovinetError: it is not, or PyTorch knows no such name.
    """
    try:
        found = torch.device(device)
        torch.zeros(1, device=found).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).partition("\n")[0]
        raise MovinetError(f"PyTorch cannot use the device {str(device)!r} here: {reason}") from error
    return found


@dataclass
class TorchState:
    """The tensors of a batch, in the order of the signature's state."""

    tensors: list[Tensor]


class TorchEngine:
    """See `movinet.runtime.engine.Engine`."""

    def __init__(
        self,
        weights: Weights,
        *,
        size: Size | None = None,
        streams: int = 1,
        precision: Precision = "float32",
        compiled: bool = False,
        device: str | torch.device = "cpu",
    ) -> None:
        """Deploy a stream network.

        Args:
            weights: the network.
            size: (height, width) of the frames to come; the specification's own by default.
            streams: rows of a batch.
            precision: of weights and activations; "int8" is not to be had here.
            compiled: by torch.compile, which wants a C++ compiler and takes half a minute.
            device: where it runs, such as "cuda".

        Raises:
            MovinetError: there is no such device here.
        """
        self.kind, self.precision, self.streams = "compile" if compiled else "torch", precision, streams
        self.device, self.dtype = usable_device(device), dtype_of(precision)
        network = folded_network(weights, size)
        step = DeployedStep(network, "partial_sums", predict=False, overwrite=not compiled)
        self.signature = step.signature
        self._step = _for_inference(step, self.device, self.dtype)
        self._head = _for_inference(DeployedHead(network), self.device, self.dtype)
        self._run = torch.compile(self._step) if compiled else self._step

    def init_state(self) -> TorchState:
        return TorchState([self._own(tensor) for tensor in self._step.init_state(self.streams)])

    def step(self, frames: Frames, state: TorchState, predict: bool = True) -> Logits | None:
        with torch.inference_mode():
            images = torch.from_numpy(frames).permute(0, 3, 1, 2).to(self.device, self.dtype)
            inputs = [images, *state.tensors]
            outputs = self._run(*inputs)
            state.tensors = self._step.next_state(inputs, outputs)
            return self._head(outputs[0]).float().cpu().numpy() if predict else None

    def get_state(self, state: TorchState, row: int) -> StreamState:
        return [tensor[row].float().cpu().numpy().copy() for tensor in state.tensors]

    def set_states(self, state: TorchState, streams: Mapping[int, StreamState]) -> None:
        with torch.inference_mode():  # what a step made may be changed in no other mode
            for row, stream in streams.items():
                for tensor, array in zip(state.tensors, stream, strict=True):
                    tensor[row] = torch.from_numpy(np.asarray(array))

    def _own(self, tensor: Tensor) -> Tensor:
        if tensor.ndim == 4:
            return tensor.to(self.device, self.dtype).contiguous(memory_format=torch.channels_last)
        return tensor.to(self.device)  # counts and means keep their precision


def _for_inference(module: Part, device: torch.device, dtype: torch.dtype) -> Part:
    """The module with parameters of its own that no gradient will ever want, which spares every operation a check."""
    module = copy.deepcopy(module).to(device, dtype).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    with torch.inference_mode():
        for parameter in module.parameters():
            parameter.data = parameter.data.clone()
    return module


def torch_clips(
    weights: Weights, precision: Precision = "float32", device: str | torch.device = "cpu"
) -> Callable[[Frames], Logits]:
    """What runs a network or ensemble on whole clips.

    Returns:
        From clips (B, 3, T, H, W) float32 in [0, 1] to logits (B, num_classes).
    """
    place, dtype = usable_device(device), dtype_of(precision)
    network = weights if isinstance(weights.spec, BaselineSpec) else fold(weights)
    folded = network.to_model().to(device=place, dtype=dtype)

    def run(clips: Frames) -> Logits:
        with torch.inference_mode():
            return folded(torch.from_numpy(clips).to(place, dtype)).float().cpu().numpy()

    return run
