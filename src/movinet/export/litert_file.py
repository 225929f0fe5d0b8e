"""The TFLite file of a step, written and run by LiteRT's interpreter."""

from importlib.metadata import version
from pathlib import Path

from movinet.deploy.graph_step import Step
from movinet.deploy.litert import to_litert
from movinet.deploy.litert_tensors import STEP, file_shape
from movinet.deploy.run_file import run_litert
from movinet.export.written import Precision, Written


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
