"""Lowered and exported files in the runtimes they are for: inputs by name to outputs by name."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from movinet.cores import usable_cores
from movinet.deploy.litert import STEP
from movinet.deploy.litert_quiet import litert_quiet
from movinet.errors import WeightsError, needs_extra, needs_litert

Arrays = dict[str, NDArray[Any]]
Run = Callable[[Mapping[str, NDArray[Any]]], Arrays]


def run_litert(path: Path, signature: str = STEP, threads: int | None = None) -> Run:
    """A TFLite file in LiteRT's interpreter.

    Args:
        path: of the file.
        signature: that is run.
        threads: of the processor; one by default.

    Raises:
        MovinetError: LiteRT is not installed.
        WeightsError: it cannot load the file.
    """
    with needs_litert():
        from ai_edge_litert.interpreter import Interpreter
    try:
        with litert_quiet():
            interpreter = Interpreter(model_path=str(path), num_threads=threads)
            interpreter.allocate_tensors()
        step = interpreter.get_signature_runner(signature)
    except (ValueError, RuntimeError) as error:
        raise WeightsError(f"{path}: LiteRT cannot load it: {error}") from error

    def run(inputs: Mapping[str, NDArray[Any]]) -> Arrays:
        # The interpreter's own memory is written over by the next call.
        return {name: value.copy() for name, value in step(**inputs).items()}

    return run


def run_onnx(model: Path | bytes, threads: int | None = None) -> Run:
    """A graph in ONNX Runtime, on so many threads of the processor; all by default.

    Raises:
        MovinetError: ONNX Runtime is not installed.
        WeightsError: it cannot load the graph.
    """
    with needs_extra("onnx"):
        import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or usable_cores()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # leave idle cores to others
    try:
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its own classes of errors, which it does not export
        name = model if isinstance(model, Path) else "the graph"
        raise WeightsError(f"{name}: ONNX Runtime cannot load it: {error}") from error
    outputs = [port.name for port in session.get_outputs()]
    return lambda inputs: dict(zip(outputs, session.run(outputs, dict(inputs)), strict=True))


def run_openvino(path: Path, threads: int | None = None) -> Run:
    """A graph in OpenVINO, on so many threads of the processor, in float32; all by default.

    Raises:
        MovinetError: OpenVINO is not installed.
        WeightsError: it cannot load the graph.
    """
    with needs_extra("openvino"):
        import openvino as ov
    config = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads or usable_cores()}
    try:
        compiled = ov.Core().compile_model(path, "CPU", config)
    except RuntimeError as error:
        raise WeightsError(f"{path}: OpenVINO cannot load it: {error}") from error

    def run(inputs: Mapping[str, NDArray[Any]]) -> Arrays:
        results = compiled(dict(inputs))
        return {port.get_any_name(): results[port].copy() for port in compiled.outputs}

    return run
