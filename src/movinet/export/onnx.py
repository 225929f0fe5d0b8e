"""ONNX: one graph of static shapes, for ONNX Runtime in every language and in browsers."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from movinet.deploy.graph_clip import Lowered
from movinet.deploy.onnx_graph import OPSET, onnx_model
from movinet.deploy.run_file import run_onnx
from movinet.errors import needs_extra
from movinet.export.written import Precision, Written

if TYPE_CHECKING:
    import onnx

_OUTPUTS = {"Conv": 0, "Gemm": 0, "Gather": 1}  # the axis of weights that a scale is for
_WORTH_IT = 256  # values; smaller tensors stay as they are


def write_onnx(lowered: Lowered, streams: int, folder: Path, precision: Precision) -> Written:
    """Write `model.onnx`.

    Raises:
        MovinetError: the packages of the extra `onnx` are not installed.
    """
    with needs_extra("onnx"):
        import onnxruntime
    model = onnx_model(lowered, streams)
    if precision != "float32":
        shrink_weights(model, precision)
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return Written(path.name, f"onnxruntime {onnxruntime.__version__}", run_onnx(path), details={"opset": OPSET})


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
        if (outputs := _OUTPUTS.get(users[name].op_type)) is None:  # numbers for each channel: there are few
            continue
        scale = np.abs(values).max(axis=tuple({*range(values.ndim)} - {outputs}), keepdims=True) / 127
        scale[scale == 0] = 1
        tensor.CopyFrom(numpy_helper.from_array(np.round(values / scale).astype(np.int8), f"{name}.stored"))
        model.graph.initializer.append(numpy_helper.from_array(scale, f"{name}.scale"))
        nodes.append(helper.make_node("Cast", [f"{name}.stored"], [f"{name}.levels"], to=TensorProto.FLOAT))
        nodes.append(helper.make_node("Mul", [f"{name}.levels", f"{name}.scale"], [name]))
    for node in reversed(nodes):
        model.graph.node.insert(0, node)
