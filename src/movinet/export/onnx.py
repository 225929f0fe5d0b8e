"""ONNX: the step as one graph of static shapes, for ONNX Runtime in every language and in browsers."""

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch

from movinet.errors import needs_extra
from movinet.nn.deploy import DeployedStep

if TYPE_CHECKING:
    import onnx

OPSET = 20


def to_onnx(step: DeployedStep, streams: int = 1) -> "onnx.ModelProto":
    """Convert a step; tensors are named as in its signature.

    Args:
        step: what to convert.
        streams: rows of a batch.

    Returns:
        A simplified graph of operator set `OPSET`.

    Raises:
        MovinetError: the packages of the extra `onnx` are not installed.
    """
    example = (torch.zeros(step.frames * streams, *step.signature.inputs[0].shape), *step.begin(streams))
    names = [[port.name for port in ports] for ports in (step.signature.inputs, step.signature.outputs)]
    return graph_of(step, example, *names)


def graph_of(
    module: torch.nn.Module, example: tuple[torch.Tensor, ...], inputs: list[str], outputs: list[str]
) -> "onnx.ModelProto":
    """The simplified graph of any module with tensors of these shapes.

    Raises:
        MovinetError: the packages of the extra `onnx` are not installed.
    """
    with needs_extra("onnx"):
        import onnxscript  # noqa: F401  (what torch exports with)
        import onnxslim
    with _silence():
        program = torch.onnx.export(
            module,
            example,
            dynamo=True,
            opset_version=OPSET,
            input_names=inputs,
            output_names=outputs,
            verbose=False,
        )
        assert program is not None
        return onnxslim.slim(program.model_proto)


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """The exporter talks, and warns of deprecations in itself."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
