"""Base networks on whole clips: PyTorch, or OpenVINO, several times as fast once it has converted a clip's shape."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from movinet.cores import usable_cores
from movinet.errors import MovinetError, needs_extra
from movinet.export.clip import DeployedClip
from movinet.export.openvino import to_openvino
from movinet.nn.ensemble import Ensemble
from movinet.nn.fold import fold
from movinet.nn.movinet import MoViNet
from movinet.runtime.choose import EngineKind
from movinet.runtime.engine import Logits, Precision
from movinet.runtime.openvino_engine import hint_of
from movinet.runtime.torch_engine import dtype_of

if TYPE_CHECKING:
    import openvino as ov

ClipEngine = Callable[[Tensor], Logits]  # clips (B, 3, T, H, W) float32 in [0, 1] to logits (B, classes)


def create_clip_engine(
    model: MoViNet | Ensemble,
    kind: EngineKind = "auto",
    *,
    precision: Precision = "float32",
    threads: int | None = None,
    device: str | torch.device = "cpu",
) -> ClipEngine:
    """What runs a trained network on clips of any length.

    Args:
        model: it is left as it is.
        kind: "torch", which "auto" takes, or "openvino", which wants seconds for every new shape of clip.
        precision: what is computed in.
        threads: of the processor, for OpenVINO; torch has `torch.set_num_threads`.
        device: for torch.

    Raises:
        MovinetError: the engine is not installed, or not one that runs clips.
    """
    if kind == "openvino" and isinstance(model, MoViNet):
        return OpenVINOClips(model, precision, threads)
    if kind not in ("auto", "torch", "plain"):
        raise MovinetError(f"{model.spec.name} sees whole clips, which 'torch' and 'openvino' run, not {kind!r}")
    dtype = dtype_of(precision)
    folded = fold(model).to(device=device, dtype=dtype)

    def run(clips: Tensor) -> Logits:
        with torch.inference_mode():
            return folded(clips.to(device, dtype)).float().cpu().numpy()

    return run


class OpenVINOClips:
    """A base network in OpenVINO, converted anew for every shape of clip that comes; the last few are kept."""

    def __init__(self, model: MoViNet, precision: Precision = "float32", threads: int | None = None) -> None:
        with needs_extra("openvino"):
            import openvino as ov
        self._model, self._core = model, ov.Core()
        self._config: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": hint_of(precision),
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            "INFERENCE_NUM_THREADS": threads or usable_cores(),
            "ENABLE_CPU_PINNING": False,
        }
        self._requests: dict[torch.Size, ov.InferRequest] = {}

    def __call__(self, clips: Tensor) -> Logits:
        import openvino as ov

        request = self._requests.pop(clips.shape, None) or self._compile(clips.shape)
        self._requests[clips.shape] = request  # the newest last
        if len(self._requests) > 4:
            del self._requests[next(iter(self._requests))]
        request.set_input_tensor(ov.Tensor(clips.contiguous().numpy(), shared_memory=True))
        request.infer()
        return request.get_output_tensor().data.copy()

    def _compile(self, shape: torch.Size) -> "ov.InferRequest":
        batch, _, frames, height, width = shape
        graph = to_openvino(DeployedClip(self._model, (height, width), frames), batch)
        return self._core.compile_model(graph, "CPU", self._config).create_infer_request()
