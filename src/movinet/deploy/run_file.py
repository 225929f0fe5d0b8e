"""Lowered and exported files in the runtimes they are for: inputs by name to outputs by name."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from movinet.cores import usable_cores
from movinet.deploy.litert_quiet import litert_quiet
from movinet.deploy.litert_tensors import STEP
from movinet.deploy.openvino_core import openvino_core
from movinet.errors import WeightsError, brief, needs_extra, needs_litert

Arrays = dict[str, NDArray[Any]]
Run = Callable[[Mapping[str, NDArray[Any]]], Arrays]
_ONNX_TYPES = {"tensor(float)": "float32", "tensor(int32)": "int32"}
Tensors = Mapping[str, tuple[tuple[int, ...], str]]  # shape and type by name


def refuse_other_tensors(path: Path, found: Tensors, declared: Tensors) -> None:
    """A file must take and give what it is said to: runtimes read past the ends of smaller tensors, or make up inputs.

    Raises:
        WeightsError: it does not.
    """
    for name in sorted(found.keys() | declared.keys()):
        if name not in found or name not in declared:
            raise WeightsError(
                f"{path}: not the file it should be: it has {'no' if name in declared else 'a'} tensor {brief(name)}"
            )
        if found[name] != declared[name]:
            (shape, dtype), (wanted, kind) = found[name], declared[name]
            raise WeightsError(
                f"{path}: not the file it should be: {brief(name)} is {dtype} {shape}, not {kind} {wanted}"
            )


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


def run_onnx(model: Path | bytes, threads: int | None = None, declared: Tensors | None = None) -> Run:
    """A graph in ONNX Runtime, on so many threads of the processor; all by default.

    Raises:
        MovinetError: ONNX Runtime is not installed.
        WeightsError: it cannot load the graph, or a file has other tensors than declared.
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
    if isinstance(model, Path) and declared is not None:
        ports = (*session.get_inputs(), *session.get_outputs())
        found = {port.name: (tuple(port.shape), _ONNX_TYPES.get(port.type, port.type)) for port in ports}
        refuse_other_tensors(model, found, declared)
    outputs = [port.name for port in session.get_outputs()]
    return lambda inputs: dict(zip(outputs, session.run(outputs, dict(inputs)), strict=True))


def run_openvino(path: Path, threads: int | None = None, declared: Tensors | None = None) -> Run:
    """A graph in OpenVINO, on so many threads of the processor, in float32; all by default.

    Raises:
        MovinetError: OpenVINO is not installed.
        WeightsError: it cannot load the graph, or the graph has other tensors than declared.
    """
    core = openvino_core()
    config = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads or usable_cores()}
    try:
        compiled = core.compile_model(path, "CPU", config)
        ports = (*compiled.inputs, *compiled.outputs)
        found = {port.get_any_name(): (tuple(port.shape), str(port.element_type.to_dtype())) for port in ports}
    except RuntimeError as error:
        raise WeightsError(f"{path}: OpenVINO cannot load it: {error}") from error
    if declared is not None:
        refuse_other_tensors(path, found, declared)

    def run(inputs: Mapping[str, NDArray[Any]]) -> Arrays:
        results = compiled(dict(inputs))
        return {port.get_any_name(): results[port].copy() for port in compiled.outputs}

    return run
