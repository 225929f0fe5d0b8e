"""Base networks on whole clips: PyTorch, or OpenVINO, quicker once it has compiled a clip's shape."""

from collections.abc import Callable

from movinet.arch.spec import NetworkSpec
from movinet.errors import MissingExtra, MovinetError
from movinet.runtime.engine import Clips, Logits, Mode
from movinet.runtime.exported import ExportedClips, ExportedNetwork
from movinet.runtime.factory import EngineKind, refuse_other_engines
from movinet.runtime.fast import fast_modes
from movinet.weights.weights import Weights

ClipEngine = Callable[[Clips], Logits]  # clips (B, 3, T, H, W) float32 in [0, 1] to logits (B, num_classes)


def create_clip_engine(
    weights: Weights | ExportedNetwork,
    kind: EngineKind = "auto",
    *,
    precision: Mode = "float32",
    threads: int | None = None,
    device: str = "cpu",
) -> ClipEngine:
    """What runs a network on clips of any length.

    Args:
        weights: of any network or ensemble; an exported base network takes the clips it was exported for.
        kind: "torch", which "auto" takes, or, for one base network, "openvino" or "onnx", which compile every new
            shape of clip.
        precision: what is computed in; "fast" is bfloat16 on "openvino" where the processor has it.
        threads: of the processor, for the compiled ones; torch has `torch.set_num_threads`.
        device: for torch.

    Raises:
        MovinetError: the engine is not installed, or not one that runs clips.
    """
    spec = weights.spec
    if isinstance(weights, ExportedNetwork):
        refuse_other_engines(weights, kind, precision, device)
        return ExportedClips(weights, threads)
    if precision == "fast":
        has_it = kind == "openvino" and ("openvino", "bfloat16") in fast_modes(4)
        precision = "bfloat16" if has_it else "float32"
    if kind in ("openvino", "onnx") and isinstance(spec, NetworkSpec) and not spec.causal:
        from movinet.runtime.compiled_clips import onnx_clips, openvino_clips

        return (openvino_clips if kind == "openvino" else onnx_clips)(weights, precision, threads)
    if kind not in ("auto", "torch"):
        raise MovinetError(f"{spec.name} sees whole clips, which 'torch', 'openvino' and 'onnx' run, not {kind!r}")
    try:
        from movinet.nn.torch_engine import torch_clips
    except MissingExtra as error:
        raise MissingExtra(
            f"{spec.name} sees whole clips, for which take PyTorch, or the engine 'openvino' or 'onnx': {error}"
        ) from error
    return torch_clips(weights, precision, device)
