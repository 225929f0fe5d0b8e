"""Core ML: a package for Apple's devices. It converts anywhere and runs on theirs only."""

import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from movinet.deploy.graph_step import Step
from movinet.deploy.quiet import quiet
from movinet.deploy.run_file import Run
from movinet.errors import needs_extra
from movinet.export.written import Precision, Written
from movinet.nn.deploy import deployed_step

if TYPE_CHECKING:
    import coremltools as ct

TARGET = "iOS 16, macOS 13 or later"


def to_coreml(step: Step, streams: int = 1, *, half: bool = False) -> "ct.models.MLModel":
    """Convert a network to an ML program; tensors are named as in its signature, `_` in place of `.`.

    Args:
        step: what to convert.
        streams: rows of a batch.
        half: weights and arithmetic in float16, as the Neural Engine wants them; inputs and outputs stay float32.

    Raises:
        MovinetError: coremltools is not installed.
    """
    with needs_extra("coreml"), quiet():
        import coremltools as ct
        from coremltools.converters.mil import Builder, register_torch_op
        from coremltools.converters.mil.frontend.torch.ops import _get_inputs

    def addcmul(context: Any, node: Any) -> None:  # coremltools has none
        onto, x, tap = _get_inputs(context, node)[:3]
        context.add(Builder.add(x=onto, y=Builder.mul(x=x, y=tap), name=node.name))

    def reciprocal(context: Any, node: Any) -> None:  # coremltools' own adds 1e-4 to what it inverts
        context.add(Builder.real_div(x=1.0, y=_get_inputs(context, node)[0], name=node.name))

    register_torch_op(addcmul, override=True)
    register_torch_op(reciprocal, override=True)
    deployed, signature = deployed_step(step), step.signature
    example = deployed.example_inputs(streams)
    with quiet():
        return ct.convert(
            torch.jit.trace(deployed, example),
            inputs=[
                ct.TensorType(port.name.replace(".", "_"), shape=tuple(value.shape), dtype=value.numpy().dtype)
                for port, value in zip(signature.inputs, example, strict=True)
            ],
            outputs=[ct.TensorType(port.name.replace(".", "_")) for port in signature.outputs],
            minimum_deployment_target=ct.target.iOS16,
            compute_precision=ct.precision.FLOAT16 if half else ct.precision.FLOAT32,
            skip_model_load=True,
        )


def write_coreml(step: Step, streams: int, folder: Path, precision: Precision) -> Written:
    """Write `model.mlpackage`."""
    model = to_coreml(step, streams, half=precision == "float16")
    if precision == "int8":
        model = _shrunk(model)
    path = folder / "model.mlpackage"
    model.save(str(path))
    run = _predicting(path) if sys.platform == "darwin" else None
    runtime = f"Core ML by coremltools {version('coremltools')}"
    return Written(path.name, runtime, run, dots="_", details={"needs": TARGET})


def _predicting(path: Path) -> Run:
    with quiet():
        import coremltools as ct

        return ct.models.MLModel(str(path)).predict


def _shrunk(model: "ct.models.MLModel") -> "ct.models.MLModel":
    """The weights in int8, with a scale for each output."""
    from coremltools.optimize import coreml as optimize

    how = optimize.OpLinearQuantizerConfig(mode="linear_symmetric", weight_threshold=256)
    with quiet():
        return optimize.linear_quantize_weights(model, optimize.OptimizationConfig(global_config=how))
