"""Which engine runs a network: the fastest that is installed, unless one is asked for."""

from contextlib import suppress
from typing import Any, Literal, get_args

from movinet.arch.baseline_spec import BaselineSpec
from movinet.arch.layer_spec import Size
from movinet.arch.spec import EnsembleSpec, NetworkSpec
from movinet.errors import MissingExtra, MovinetError, WeightsError
from movinet.runtime.engine import Engine, Mode, Precision
from movinet.runtime.ensemble_engine import EnsembleEngine
from movinet.runtime.exported import ExportedNetwork, exported_engine
from movinet.runtime.fast import fast_modes
from movinet.weights.weights import Weights

EngineKind = Literal["auto", "litert", "openvino", "onnx", "torch", "compile"]


def create_engine(
    weights: Weights | ExportedNetwork,
    kind: EngineKind = "auto",
    *,
    size: Size | None = None,
    streams: int = 1,
    precision: Mode = "float32",
    threads: int | None = None,
    device: str = "cpu",
    cache: bool = True,
) -> Engine[Any]:
    """An engine for a stream network, or for every member of an ensemble.

    Args:
        weights: the network; an exported one decides itself on all but threads.
        kind: "auto" takes the quickest installed for a CPU, and "torch" for other devices.
        size: (height, width) of the frames to come; the specification's own by default.
        streams: rows of a batch.
        precision: what the engine computes in; not every engine has every one. "fast" takes the quickest the processor
            has, and the engine that has it; the answers' agreement with float32 is in `info.agreement` where it was
            measured.
        threads: of the processor, for engines of their own; those of torch use `torch.set_num_threads`.
        device: for the engines of torch, such as "cuda"; the others run on the CPU.
        cache: keep lowered files for the next start.

    Raises:
        MovinetError: the engine is not installed, or cannot run this network in this way.
    """
    if kind not in get_args(EngineKind):
        raise MovinetError(f"there is no engine {kind!r}; choose one of {', '.join(get_args(EngineKind))}")
    spec = weights.spec
    if isinstance(weights, ExportedNetwork):
        refuse_other_engines(weights, kind, precision, device)
    if not spec.causal:
        raise MovinetError(f"{spec.name} is a base network and has no streams; take a stream network")
    if isinstance(weights, ExportedNetwork):
        return exported_engine(weights, threads)
    if isinstance(spec, EnsembleSpec):
        size = size or spec.size
        engines = [
            create_engine(
                part,
                kind,
                size=spec.member_size(member, size),
                streams=streams,
                precision=precision,
                threads=threads,
                device=device,
                cache=cache,
            )
            for member, part in zip(spec.members, weights.members(), strict=True)
        ]
        return EnsembleEngine(spec, engines, size)
    if isinstance(spec, BaselineSpec):
        from movinet.baselines.baseline_engine import baseline_engine

        computed: Precision = "float32" if precision == "fast" else precision
        return baseline_engine(weights, kind, size or spec.size, streams, computed, device)
    if precision == "fast":
        return _fast(weights, kind, size or spec.size, streams, threads, device, cache)
    missing: list[str] = []
    for candidate in candidates(precision, device) if kind == "auto" else (kind,):
        try:
            return _create(candidate, weights, size or spec.size, streams, precision, threads, device, cache)
        except MissingExtra as error:
            missing.append(str(error))
    raise MissingExtra("; ".join(missing))


def _fast(
    weights: Weights, kind: EngineKind, size: Size, streams: int, threads: int | None, device: str, cache: bool
) -> Engine[Any]:
    modes: list[tuple[EngineKind, Precision]] = [
        (engine, precision) for engine, precision in fast_modes(streams) if kind in ("auto", engine)
    ]
    if device.partition(":")[0] != "cpu":
        modes = [("torch", "float16")]
    for engine, precision in modes:
        # Not installed, or the processor lacks what it said it has: the next one.
        with suppress(MovinetError):
            return _create(engine, weights, size, streams, precision, threads, device, cache)
    return create_engine(weights, kind, size=size, streams=streams, threads=threads, device=device, cache=cache)


def best_batch(kind: EngineKind, precision: Mode, streams: int) -> int:
    """How many of so many live streams should share a step, on a CPU.

    Streams come at phases of their own, and a row without a frame costs as much as one with: a batch gains where there
    are enough streams to fill it while frames wait 40 ms for each other. Milliseconds of processor time a frame of A0
    through a pool of streams of 5 frames a second (`benchmarks/live_streams.py --streams`, one thread of a Zen 4):

        streams     LiteRT float32, batch of 1, 2, 4, 8     OpenVINO bfloat16
        3           3.5  3.9                                4.5  3.9
        8           3.4  3.3  3.4  8.4                      4.4  3.6  3.0  11.9
        12          3.4  3.0  4.5  7.2                      4.5  3.2  5.0  8.8
        16          3.3  2.9  2.9  5.8                      3.8  3.1  4.0  7.9
        32          3.1  2.8  2.6  3.1                      3.1  2.8  2.5  3.1

    Where every row has a frame (`benchmarks/engines.py --work batch`), they cost 2.6, 2.2, 2.0 and 1.9 ms, and 2.9,
    2.2, 1.7 and 1.4.
    """
    if kind in ("torch", "compile"):
        return min(4, streams)
    in_openvino = kind == "openvino" or precision == "bfloat16"
    if precision == "fast" and kind == "auto":
        in_openvino = fast_modes(4)[0][0] == "openvino"
    return next((batch for batch in ((8, 4, 2) if in_openvino else (4, 2)) if streams >= 6 * batch), 1)


def refuse_other_engines(network: ExportedNetwork, kind: EngineKind, precision: Mode, device: str) -> None:
    """Only one engine runs an exported network, on the CPU, in its own precision.

    Raises:
        MovinetError: it is not the one asked for, or none here does.
    """
    if kind not in ("auto", network.kind):
        raise MovinetError(f"{network.info.name} was exported for {network.kind}, and {kind} cannot run it")
    if precision not in ("float32", "fast", network.precision):
        raise MovinetError(f"{network.info.name} was exported in {network.precision}: leave the precision out")
    if device.partition(":")[0] != "cpu":
        raise MovinetError(
            f"{network.info.name} was exported for {network.kind}, which runs on the CPU, not on {device}"
        )


def candidates(precision: Precision = "float32", device: str = "cpu") -> tuple[EngineKind, ...]:
    """The engines that "auto" tries, the quickest first.

    `benchmarks/engines.py` measured the order: LiteRT and OpenVINO step faster than the others, and LiteRT is ready at
    once, where OpenVINO takes longer to compile a network.
    """
    if device.partition(":")[0] != "cpu":
        return ("torch",)
    match precision:
        case "int8":
            return ("litert",)
        case "bfloat16":
            return ("openvino", "torch")
    return ("litert", "openvino", "torch")


def _create(
    kind: EngineKind,
    weights: Weights,
    size: Size,
    streams: int,
    precision: Precision,
    threads: int | None,
    device: str,
    cache: bool,
) -> Engine[Any]:
    assert isinstance(weights.spec, NetworkSpec)
    if kind in ("torch", "compile"):
        from movinet.nn.torch_engine import TorchEngine

        return TorchEngine(
            weights, size=size, streams=streams, precision=precision, compiled=kind == "compile", device=device
        )
    if device.partition(":")[0] != "cpu":
        raise MovinetError(f"the engine {kind!r} runs on the CPU; for {device} take 'torch'")
    if kind == "litert":
        from movinet.runtime.litert_engine import LiteRTEngine, lowered

        if cache:
            with suppress(WeightsError):  # another process has removed the file meanwhile
                return LiteRTEngine(lowered(weights, size, streams, precision), precision, threads)
        return LiteRTEngine(lowered(weights, size, streams, precision, keep=False), precision, threads)
    if kind == "openvino":
        from movinet.runtime.openvino_engine import OpenVINOEngine

        return OpenVINOEngine(weights, size=size, streams=streams, precision=precision, threads=threads)
    from movinet.runtime.onnx_engine import onnx_engine

    return onnx_engine(weights, size=size, streams=streams, precision=precision, threads=threads)
