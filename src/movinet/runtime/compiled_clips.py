"""Base networks on whole clips in OpenVINO or ONNX Runtime, compiled anew for every shape of clip that comes."""

from collections.abc import Callable

import numpy as np

from movinet.arch.step import CLIP, LOGITS
from movinet.deploy.graph_clip import Clip
from movinet.deploy.network import folded_network
from movinet.deploy.onnx_graph import onnx_model
from movinet.deploy.openvino_core import openvino_core
from movinet.deploy.openvino_graph import openvino_clip
from movinet.deploy.run_file import run_onnx
from movinet.errors import MovinetError, needs_extra
from movinet.runtime.engine import Clips, Logits, Precision
from movinet.runtime.openvino_engine import compile_options
from movinet.weights.weights import Weights

_KEPT = 4  # shapes


class CompiledClips:
    """Turns clips into logits (B, num_classes); what it compiled for the last few shapes is kept."""

    def __init__(self, compiled: Callable[[Clip, int], Callable[[Clips], Logits]], weights: Weights) -> None:
        """
        Args:
            compiled: what runs so many clips at once.
            weights: of a base network.
        """
        self._compiled, self._weights = compiled, weights
        self._runs: dict[tuple[int, ...], Callable[[Clips], Logits]] = {}

    def __call__(self, clips: Clips) -> Logits:
        run = self._runs.pop(clips.shape, None) or self._compile(clips.shape)
        self._runs[clips.shape] = run  # the newest last
        if len(self._runs) > _KEPT:
            del self._runs[next(iter(self._runs))]
        return run(np.ascontiguousarray(clips))

    def _compile(self, shape: tuple[int, ...]) -> Callable[[Clips], Logits]:
        batch, _, frames, height, width = shape
        return self._compiled(Clip(folded_network(self._weights, (height, width)), frames), batch)


def openvino_clips(weights: Weights, precision: Precision = "float32", threads: int | None = None) -> CompiledClips:
    """A base network in OpenVINO.

    Args:
        weights: of one network.
        precision: of most arithmetic.
        threads: of the processor; all by default.

    Raises:
        MovinetError: OpenVINO is not installed.
    """
    with needs_extra("openvino"):
        import openvino as ov
    config = compile_options(precision, threads)
    core = openvino_core()

    def compiled(clip: Clip, streams: int) -> Callable[[Clips], Logits]:
        request = core.compile_model(openvino_clip(clip, streams), "CPU", config).create_infer_request()

        def run(clips: Clips) -> Logits:
            request.set_input_tensor(ov.Tensor(clips, shared_memory=True))
            request.infer()
            return request.get_output_tensor().data.copy()

        return run

    return CompiledClips(compiled, weights)


def onnx_clips(weights: Weights, precision: Precision = "float32", threads: int | None = None) -> CompiledClips:
    """A base network in ONNX Runtime.

    Args:
        weights: of one network.
        precision: "float32"; there is no other here.
        threads: of the processor; all by default.

    Raises:
        MovinetError: the packages of the extra `onnx` are not installed.
    """
    if precision != "float32":
        raise MovinetError(f"ONNX Runtime runs in float32 here, not in {precision}")
    with needs_extra("onnx"):
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401

    def compiled(clip: Clip, streams: int) -> Callable[[Clips], Logits]:
        run = run_onnx(onnx_model(clip, streams).SerializeToString(), threads)
        return lambda clips: run({CLIP: clips})[LOGITS]

    return CompiledClips(compiled, weights)
