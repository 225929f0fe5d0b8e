"""Base networks on whole clips: PyTorch, or OpenVINO, several times as fast once it has compiled a clip's shape."""

from collections.abc import Callable

import torch
from torch import Tensor

from movinet.errors import MovinetError
from movinet.nn.ensemble import Ensemble
from movinet.nn.fold import fold
from movinet.nn.movinet import MoViNet
from movinet.runtime.choose import EngineKind
from movinet.runtime.compiled_clips import onnx_clips, openvino_clips
from movinet.runtime.engine import Logits, Precision
from movinet.runtime.torch_engine import dtype_of
from movinet.weights.weights import Weights

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
        kind: "torch", which "auto" takes, or "openvino" or "onnx", which compile every new shape of clip.
        precision: what is computed in.
        threads: of the processor, for the compiled ones; torch has `torch.set_num_threads`.
        device: for torch.

    Raises:
        MovinetError: the engine is not installed, or not one that runs clips.
    """
    if kind in ("openvino", "onnx") and isinstance(model, MoViNet):
        compiled = (openvino_clips if kind == "openvino" else onnx_clips)(Weights.of(model), precision, threads)
        return lambda clips: compiled(clips.numpy())
    if kind not in ("auto", "torch", "plain"):
        raise MovinetError(
            f"{model.spec.name} sees whole clips, which 'torch', 'openvino' and 'onnx' run, not {kind!r}"
        )
    dtype = dtype_of(precision)
    folded = fold(model).to(device=device, dtype=dtype)

    def run(clips: Tensor) -> Logits:
        with torch.inference_mode():
            return folded(clips.to(device, dtype)).float().cpu().numpy()

    return run
