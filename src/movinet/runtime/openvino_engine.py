"""OpenVINO as an engine: the state lives inside it, as partial sums that it updates in place."""

import os
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from movinet.arch.count import Size
from movinet.arch.step import DECAY, FEATURES, FRAMES
from movinet.errors import MovinetError, needs_extra
from movinet.export.openvino import to_openvino
from movinet.nn.deploy import DeployedHead, DeployedStep
from movinet.nn.movinet import MoViNet
from movinet.runtime.engine import Frames, Logits, Precision, StreamState

if TYPE_CHECKING:
    import openvino as ov

_HINTS: dict[Precision, str] = {"float32": "f32", "bfloat16": "bf16", "float16": "f16"}


@dataclass
class OpenVINOState:
    """A request that holds the variables of a batch, by name, and the decays, which are no variables."""

    request: "ov.InferRequest"
    variables: "dict[str, ov.VariableState]"
    decay: NDArray[np.float32]  # (streams, 1)


class OpenVINOEngine:
    """See `movinet.runtime.engine.Engine`."""

    kind = "openvino"

    def __init__(
        self,
        model: MoViNet,
        *,
        size: Size | None = None,
        streams: int = 1,
        precision: Precision = "float32",
        threads: int | None = None,
        device: str = "CPU",
    ) -> None:
        """Deploy a trained stream network.

        Args:
            model: it is left as it is.
            size: (height, width) of the frames to come; the specification's own by default.
            streams: rows of a batch.
            precision: of most arithmetic; "bfloat16" is quick on processors that have AMX or AVX-512 BF16.
            threads: of the processor; all by default.
            device: one of OpenVINO's, such as "CPU" or "GPU".

        Raises:
            MovinetError: OpenVINO is not installed.
        """
        hint = hint_of(precision)
        with needs_extra("openvino"):
            import openvino as ov
        self.precision, self.streams = precision, streams
        step = DeployedStep(model, size, "sums", predict=False)
        self.signature, self._decay = step.signature, step.spec.decay
        config = {
            "INFERENCE_PRECISION_HINT": hint,
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
        }
        if device == "CPU":
            config |= {
                "INFERENCE_NUM_THREADS": threads or os.cpu_count() or 1,
                "ENABLE_CPU_PINNING": False,  # two processes would sit on the same cores
            }
        core = ov.Core()
        graph = to_openvino(step, streams, channels_last=True, stateful=True)
        self._step = core.compile_model(graph, device, config)
        self._head = core.compile_model(_head_graph(model, streams), device, config).create_infer_request()

    def begin(self) -> OpenVINOState:
        request = self._step.create_infer_request()
        decay = np.full((self.streams, 1), self._decay, dtype=np.float32)
        # The head reads the features where the step leaves them, and the step the decays where they are.
        request.set_tensor(DECAY, _shared(decay))
        # OpenVINO calls a variable by the names of the input and the output it was made from.
        carry = self.signature.carry
        names = {f"{port.name}{carry[port.name]}": port.name for port in self.signature.state}
        variables = {names[variable.name]: variable for variable in request.query_state()}
        return OpenVINOState(request, variables, decay)

    def step(self, frames: Frames, state: OpenVINOState, predict: bool = True) -> Logits | None:
        state.request.set_tensor(FRAMES, _shared(np.ascontiguousarray(frames)))
        state.request.infer()
        if not predict:
            return None
        self._head.set_input_tensor(state.request.get_tensor(FEATURES))
        self._head.infer()
        return self._head.get_output_tensor().data.astype(np.float32)

    def take(self, state: OpenVINOState, row: int) -> StreamState:
        return [
            state.decay[row].copy() if port.name == DECAY else state.variables[port.name].state.data[row].copy()
            for port in self.signature.state
        ]

    def put(self, state: OpenVINOState, row: int, stream: StreamState) -> None:
        import openvino as ov

        for port, array in zip(self.signature.state, stream, strict=True):
            if port.name == DECAY:
                state.decay[row] = array
                continue
            variable = state.variables[port.name]
            whole = variable.state.data.copy()
            whole[row] = array
            variable.state = ov.Tensor(whole)


def hint_of(precision: Precision) -> str:
    """OpenVINO's name for a precision.

    Raises:
        MovinetError: OpenVINO does not run networks in it.
    """
    if precision not in _HINTS:
        raise MovinetError(f"OpenVINO runs in {', '.join(_HINTS)}, not in {precision}")
    return _HINTS[precision]


def _head_graph(model: MoViNet, streams: int) -> "ov.Model":
    import openvino as ov

    example = torch.zeros(streams, model.spec.project)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        graph = ov.convert_model(DeployedHead(model), example_input=example)
    graph.reshape(list(example.shape))
    return graph


def _shared(array: NDArray[Any]) -> "ov.Tensor":
    import openvino as ov

    return ov.Tensor(array, shared_memory=True)
