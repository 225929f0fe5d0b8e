"""ONNX Runtime as an engine: past frames are arrays of their own, moved up by reference."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from movinet.arch.spec import Size
from movinet.arch.step import DECAY, FRAMES, LOGITS
from movinet.cores import usable_cores
from movinet.deploy.graph_step import Step
from movinet.deploy.network import folded_network
from movinet.deploy.onnx_graph import onnx_model
from movinet.errors import MovinetError, needs_extra
from movinet.runtime.engine import Frames, Logits, Precision, StreamState
from movinet.weights.weights import Weights

if TYPE_CHECKING:
    import onnx


@dataclass
class OnnxState:
    """The arrays of a batch, by the names of the signature."""

    arrays: dict[str, NDArray[Any]]


class OnnxEngine:
    """See `movinet.runtime.engine.Engine`. The head is in the graph: `predict=False` saves nothing here."""

    kind = "onnx"

    def __init__(
        self,
        weights: Weights,
        *,
        size: Size | None = None,
        streams: int = 1,
        precision: Precision = "float32",
        threads: int | None = None,
    ) -> None:
        """Take a stream network into use.

        Args:
            weights: of one network.
            size: (height, width) of the frames to come; the specification's own by default.
            streams: rows of a batch.
            precision: "float32"; there is no other here.
            threads: of the processor; all by default.

        Raises:
            MovinetError: the packages of the extra `onnx` are not installed, or the network cannot stream or is an
                ensemble.
        """
        if precision != "float32":
            raise MovinetError(f"ONNX Runtime runs in float32 here, not in {precision}")
        self.precision: Precision = precision
        self.streams = streams
        step = Step(folded_network(weights, size), "frames")
        self.signature, self._decay = step.signature, step.spec.decay
        self._session = session_of(onnx_model(step, streams), threads)

    def begin(self) -> OnnxState:
        arrays = {port.name: np.zeros((self.streams, *port.shape), port.dtype) for port in self.signature.state}
        arrays[DECAY][:] = self._decay
        return OnnxState(arrays)

    def step(self, frames: Frames, state: OnnxState, predict: bool = True) -> Logits | None:
        images = np.ascontiguousarray(frames.transpose(0, 3, 1, 2))
        names = [port.name for port in self.signature.outputs]
        outputs = dict(zip(names, self._session.run(names, {FRAMES: images, **state.arrays}), strict=True))
        known = state.arrays | outputs
        state.arrays = {name: known[source] for name, source in self.signature.carry.items()}
        return outputs[LOGITS] if predict else None

    def take(self, state: OnnxState, row: int) -> StreamState:
        return [state.arrays[port.name][row].copy() for port in self.signature.state]

    def put(self, state: OnnxState, row: int, stream: StreamState) -> None:
        for port, array in zip(self.signature.state, stream, strict=True):
            state.arrays[port.name][row] = array


def session_of(model: "onnx.ModelProto", threads: int | None) -> Any:
    """A graph ready to run on so many threads, all by default.

    Raises:
        MovinetError: ONNX Runtime is not installed.
    """
    with needs_extra("onnx"):
        import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or usable_cores()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # leave idle cores to others
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
