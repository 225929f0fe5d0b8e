"""OpenVINO as an engine: partial sums live inside it, where it updates them in place; pools and counts go through."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from movinet.arch.layer_spec import Size
from movinet.arch.step import DECAY, FEATURES, FRAMES
from movinet.cores import usable_cores
from movinet.deploy.graph_step import Step
from movinet.deploy.network import folded_network
from movinet.deploy.openvino_core import openvino_core
from movinet.deploy.openvino_graph import is_variable, openvino_head, openvino_step
from movinet.errors import MovinetError, needs_extra
from movinet.runtime.engine import Frames, Logits, Precision, StreamState
from movinet.weights.weights import Weights

if TYPE_CHECKING:
    import openvino as ov

_HINTS: dict[Precision, str] = {"float32": "f32", "bfloat16": "bf16", "float16": "f16"}


@dataclass
class OpenVINOState:
    """A request that holds the variables of a batch, and the state that goes in and comes out; both by name."""

    request: "ov.InferRequest"
    variables: "dict[str, ov.VariableState]"
    arrays: dict[str, NDArray[Any]]  # what the request reads
    after: list[tuple[NDArray[Any], NDArray[Any]]]  # what it writes, and where that goes


class OpenVINOEngine:
    """See `movinet.runtime.engine.Engine`."""

    kind = "openvino"

    def __init__(
        self,
        weights: Weights,
        *,
        size: Size | None = None,
        streams: int = 1,
        precision: Precision = "float32",
        threads: int | None = None,
        device: str = "CPU",
    ) -> None:
        """Take a stream network into use.

        Args:
            weights: of one network.
            size: (height, width) of the frames to come; the specification's own by default.
            streams: rows of a batch.
            precision: of most arithmetic; "bfloat16" is quick on processors that have AMX or AVX-512 BF16.
            threads: of the processor; all by default.
            device: one of OpenVINO's, such as "CPU" or "GPU".

        Raises:
            MovinetError: OpenVINO is not installed, or the network cannot stream or is an ensemble.
        """
        config = compile_options(precision, threads, device)
        with needs_extra("openvino"):
            pass
        self.precision, self.streams = precision, streams
        network = folded_network(weights, size)
        step = Step(network, "partial_sums", predict=False)
        self.signature, self._decay = step.signature, step.spec.decay
        core = openvino_core()
        graph = openvino_step(step, streams, channels_last=True, stateful=True, rounded=precision != "float32")
        self._step = core.compile_model(graph, device, config)
        self._head = core.compile_model(openvino_head(network, streams), device, config).create_infer_request()

    def init_state(self) -> OpenVINOState:
        request, carry = self._step.create_infer_request(), self.signature.next_state
        arrays, after = {}, []
        for port in self.signature.state:
            if is_variable(port.name):
                continue
            arrays[port.name] = np.zeros((self.streams, *port.shape), port.dtype)
            request.set_tensor(port.name, _shared(arrays[port.name]))
            if carry[port.name] != port.name:
                written = np.zeros_like(arrays[port.name])
                request.set_tensor(carry[port.name], _shared(written))
                after.append((written, arrays[port.name]))
        arrays[DECAY][:] = self._decay
        variables = {variable.name: variable for variable in request.query_state()}
        return OpenVINOState(request, variables, arrays, after)

    def step(self, frames: Frames, state: OpenVINOState, predict: bool = True) -> Logits | None:
        images = np.ascontiguousarray(frames)  # OpenVINO reads this memory and does not keep it alive
        state.request.set_tensor(FRAMES, _shared(images))
        state.request.infer()
        for written, read in state.after:
            read[:] = written
        if not predict:
            return None
        self._head.set_input_tensor(state.request.get_tensor(FEATURES))
        self._head.infer()
        return self._head.get_output_tensor().data.astype(np.float32)

    def get_state(self, state: OpenVINOState, row: int) -> StreamState:
        return [
            (state.variables[port.name].state.data if is_variable(port.name) else state.arrays[port.name])[row].copy()
            for port in self.signature.state
        ]

    def set_states(self, state: OpenVINOState, streams: Mapping[int, StreamState]) -> None:
        import openvino as ov

        for n, port in enumerate(self.signature.state):
            kept = is_variable(port.name)
            whole = state.variables[port.name].state.data.copy() if kept else state.arrays[port.name]
            for row, stream in streams.items():
                whole[row] = stream[n]
            if kept:
                state.variables[port.name].state = ov.Tensor(whole)


def compile_options(precision: Precision, threads: int | None, device: str = "CPU") -> dict[str, Any]:
    """For one batch at a time, on so many threads of the processor; all by default."""
    options: dict[str, Any] = {
        "INFERENCE_PRECISION_HINT": _hint_of(precision),
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
    }
    if device == "CPU":
        options |= {
            "INFERENCE_NUM_THREADS": threads or usable_cores(),
            "ENABLE_CPU_PINNING": False,  # two processes would sit on the same cores
        }
    return options


def _hint_of(precision: Precision) -> str:
    """OpenVINO's name for a precision.

    Raises:
        MovinetError: OpenVINO does not run networks in it.
    """
    if precision not in _HINTS:
        raise MovinetError(f"OpenVINO runs in {', '.join(_HINTS)}, not in {precision}")
    return _HINTS[precision]


def _shared(array: NDArray[Any]) -> "ov.Tensor":
    import openvino as ov

    return ov.Tensor(array, shared_memory=True)
