"""Which engine runs a network: the fastest that is installed, unless one is asked for."""

from importlib.util import find_spec
from typing import Any, Literal, get_args

import torch

from movinet.arch.spec import Size
from movinet.errors import MovinetError
from movinet.nn.ensemble import Ensemble
from movinet.nn.movinet import MoViNet
from movinet.runtime.engine import Engine, Precision
from movinet.weights.weights import Weights

EngineKind = Literal["auto", "litert", "openvino", "onnx", "torch", "compile", "plain"]

# What "auto" looks for on a CPU. `benchmarks/engines.py` measured the order: both step faster than the others, and
# LiteRT is ready at once, OpenVINO in half a second.
_BY_SPEED: tuple[tuple[EngineKind, str], ...] = (("litert", "ai_edge_litert"), ("openvino", "openvino"))


def create_engine(
    model: MoViNet | Ensemble,
    kind: EngineKind = "auto",
    *,
    size: Size | None = None,
    streams: int = 1,
    precision: Precision = "float32",
    threads: int | None = None,
    device: str | torch.device = "cpu",
) -> Engine[Any]:
    """An engine for a trained stream network.

    Args:
        model: it is left as it is. Ensembles run on "plain" only.
        kind: "auto" takes the quickest installed for a CPU, and "torch" for other devices.
        size: (height, width) of the frames to come; the specification's own by default.
        streams: rows of a batch.
        precision: what the engine computes in; not every engine has every one.
        threads: of the processor, for engines of their own; those of torch use `torch.set_num_threads`.
        device: for the engines of torch; the others run on the CPU.

    Raises:
        MovinetError: the engine is not installed, or cannot run this network in this way.
    """
    on_cpu = torch.device(device).type == "cpu"
    if kind == "auto":
        kind = _automatic(model, precision, on_cpu)
    if kind not in get_args(EngineKind):
        raise MovinetError(f"there is no engine {kind!r}; choose one of {', '.join(get_args(EngineKind))}")
    try:
        if kind == "plain":
            from movinet.runtime.plain_engine import PlainEngine

            return PlainEngine(model, size=size, streams=streams, precision=precision, device=device)
        if isinstance(model, Ensemble):
            raise MovinetError(f"{model.spec.name} is an ensemble, which runs on the engine 'plain' only")
        if kind in ("torch", "compile"):
            from movinet.runtime.torch_engine import TorchEngine

            return TorchEngine(
                model, size=size, streams=streams, precision=precision, compiled=kind == "compile", device=device
            )
        if not on_cpu:
            raise MovinetError(f"the engine {kind!r} runs on the CPU; for {device} take 'torch'")
        if kind == "litert":
            from movinet.runtime.litert_engine import LiteRTEngine

            return LiteRTEngine(model, size=size, streams=streams, precision=precision, threads=threads)
        if kind == "openvino":
            from movinet.runtime.openvino_engine import OpenVINOEngine

            return OpenVINOEngine(Weights.of(model), size=size, streams=streams, precision=precision, threads=threads)
        from movinet.runtime.onnx_engine import OnnxEngine

        return OnnxEngine(Weights.of(model), size=size, streams=streams, precision=precision, threads=threads)
    except MovinetError:
        raise
    except ValueError as error:  # a precision it does not have
        raise MovinetError(str(error)) from error


def _automatic(model: MoViNet | Ensemble, precision: Precision, on_cpu: bool) -> EngineKind:
    if isinstance(model, Ensemble):
        return "plain"
    if not on_cpu:
        return "torch"
    for kind, package in _BY_SPEED:
        # In bfloat16, OpenVINO is the quickest and LiteRT is not to be had.
        fits = kind == {"bfloat16": "openvino", "int8": "litert"}.get(precision, kind)
        if fits and find_spec(package) is not None:
            return kind
    if precision == "int8":
        raise MovinetError("int8 is LiteRT's alone: pip install 'movinet[litert]' brings it")
    return "torch"
