"""The TFLite file of a step, written and run by LiteRT's interpreter."""

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from movinet.deploy.graph_step import Step
from movinet.deploy.litert import STEP, file_shape, to_litert
from movinet.deploy.litert_quiet import litert_quiet
from movinet.errors import needs_extra
from movinet.export.written import Arrays, Precision, Run, Written


def write_litert(step: Step, streams: int, folder: Path, precision: Precision) -> Written:
    """Write `model.tflite`.

    Raises:
        MovinetError: LiteRT is not installed.
    """
    path = folder / "model.tflite"
    path.write_bytes(to_litert(step, streams, weights=precision))
    ports = (*step.signature.inputs, *step.signature.outputs)
    return Written(
        path.name,
        f"ai-edge-litert {version('ai-edge-litert')}",
        run_litert(path),
        channels_last=True,
        shapes={port.name: file_shape(port, streams, step.frames) for port in ports},
        details={"signature": STEP},
    )


def run_litert(path: Path) -> Run:
    """The file in LiteRT's interpreter, on the processor."""
    with needs_extra("litert"):
        from ai_edge_litert.interpreter import Interpreter

    with litert_quiet():
        interpreter = Interpreter(model_path=str(path))
        interpreter.allocate_tensors()
    step = interpreter.get_signature_runner(STEP)

    def run(inputs: Mapping[str, NDArray[Any]]) -> Arrays:
        # The interpreter's own memory is written over by the next call.
        return {name: value.copy() for name, value in step(**inputs).items()}

    return run
