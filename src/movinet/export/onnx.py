"""ONNX: one graph of static shapes, for ONNX Runtime in every language and in browsers."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from movinet.errors import needs_extra
from movinet.export.clip import Deployed, example_inputs
from movinet.export.quiet import quiet
from movinet.export.written import Run, Written

if TYPE_CHECKING:
    import onnx

OPSET = 20


def to_onnx(deployed: Deployed, streams: int = 1) -> "onnx.ModelProto":
    """Convert a network; tensors are named as in its signature.

    Args:
        deployed: what to convert.
        streams: rows of a batch.

    Returns:
        A simplified graph of operator set `OPSET`.

    Raises:
        MovinetError: the packages of the extra `onnx` are not installed.
    """
    with needs_extra("onnx"), quiet():
        import onnxscript  # noqa: F401  (what torch exports with)
        import onnxslim
    names = [[port.name for port in ports] for ports in (deployed.signature.inputs, deployed.signature.outputs)]
    with quiet():
        program = torch.onnx.export(
            deployed,
            example_inputs(deployed, streams),
            dynamo=True,
            opset_version=OPSET,
            input_names=names[0],
            output_names=names[1],
            verbose=False,
        )
        assert program is not None
        return onnxslim.slim(program.model_proto)


def write_onnx(deployed: Deployed, streams: int, folder: Path, *, half: bool = False) -> Written:
    """Write `model.onnx`, the weights in float16 if `half`."""
    with needs_extra("onnx"):
        import onnxruntime
    model = to_onnx(deployed, streams)
    if half:
        halve_weights(model)
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    details = {"opset": next(opset.version for opset in model.opset_import if not opset.domain)}
    return Written(path.name, f"onnxruntime {onnxruntime.__version__}", run_onnx(path), details=details)


def halve_weights(model: "onnx.ModelProto") -> None:
    """Store the weights in float16. What runs the graph makes them float32 again as it loads, once."""
    from onnx import TensorProto, helper, numpy_helper

    casts = []
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        with np.errstate(over="ignore"):
            half = values.astype(np.float16)
        if tensor.data_type == TensorProto.FLOAT and values.ndim > 1 and np.isfinite(half).all():
            name = tensor.name
            tensor.CopyFrom(numpy_helper.from_array(half, f"{name}.half"))
            casts.append(helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT))
    for cast in reversed(casts):
        model.graph.node.insert(0, cast)


def run_onnx(path: Path) -> Run:
    """The file in ONNX Runtime, on the processor."""
    with needs_extra("onnx"):
        import onnxruntime
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    outputs = [port.name for port in session.get_outputs()]
    return lambda inputs: dict(zip(outputs, session.run(outputs, dict(inputs)), strict=True))
