"""ONNX: one graph of static shapes, for ONNX Runtime in every language and in browsers."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from movinet.errors import needs_extra
from movinet.export.clip import Deployed, example_inputs
from movinet.export.quiet import quiet
from movinet.export.written import Precision, Run, Written

if TYPE_CHECKING:
    import onnx

OPSET = 20
_WORTH_IT = 256  # values; smaller tensors stay as they are


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


def write_onnx(deployed: Deployed, streams: int, folder: Path, precision: Precision) -> Written:
    """Write `model.onnx`."""
    with needs_extra("onnx"):
        import onnxruntime
    model = to_onnx(deployed, streams)
    if precision != "float32":
        shrink_weights(model, precision)
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    details = {"opset": next(opset.version for opset in model.opset_import if not opset.domain)}
    return Written(path.name, f"onnxruntime {onnxruntime.__version__}", run_onnx(path), details=details)


def shrink_weights(model: "onnx.ModelProto", precision: Precision) -> None:
    """Store weights in fewer bits. What runs the graph makes them float32 again as it loads, once."""
    from onnx import TensorProto, helper, numpy_helper

    users = {name: node for node in model.graph.node for name in node.input}
    nodes = []
    for tensor in list(model.graph.initializer):
        values, name = numpy_helper.to_array(tensor), tensor.name
        if tensor.data_type != TensorProto.FLOAT or values.ndim < 2 or values.size < _WORTH_IT:
            continue
        if precision == "float16":
            if np.abs(values).max() <= np.finfo(np.float16).max:
                tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}.stored"))
                nodes.append(helper.make_node("Cast", [f"{name}.stored"], [name], to=TensorProto.FLOAT))
            continue
        outputs = 0 if users[name].op_type == "Conv" or _transposed(users[name]) else values.ndim - 1
        scale = np.abs(values).max(axis=tuple({*range(values.ndim)} - {outputs}), keepdims=True) / 127
        scale[scale == 0] = 1
        tensor.CopyFrom(numpy_helper.from_array(np.round(values / scale).astype(np.int8), f"{name}.stored"))
        model.graph.initializer.append(numpy_helper.from_array(scale, f"{name}.scale"))
        nodes.append(helper.make_node("Cast", [f"{name}.stored"], [f"{name}.levels"], to=TensorProto.FLOAT))
        nodes.append(helper.make_node("Mul", [f"{name}.levels", f"{name}.scale"], [name]))
    for node in reversed(nodes):
        model.graph.node.insert(0, node)


def _transposed(node: "onnx.NodeProto") -> bool:
    return any(attribute.name == "transB" and attribute.i for attribute in node.attribute)


def run_onnx(path: Path) -> Run:
    """The file in ONNX Runtime, on the processor."""
    with needs_extra("onnx"):
        import onnxruntime
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    outputs = [port.name for port in session.get_outputs()]
    return lambda inputs: dict(zip(outputs, session.run(outputs, dict(inputs)), strict=True))
