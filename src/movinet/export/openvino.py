"""OpenVINO: a model of static shapes for Intel processors and graphics."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from movinet.arch.step import FRAMES
from movinet.errors import needs_extra
from movinet.export.clip import Deployed, example_inputs
from movinet.export.quiet import quiet
from movinet.export.written import Arrays, Run, Written
from movinet.nn.deploy import DeployedStep

if TYPE_CHECKING:
    import openvino as ov


def to_openvino(
    deployed: Deployed, streams: int = 1, *, channels_last: bool = False, stateful: bool = False
) -> "ov.Model":
    """Convert a network; tensors are named as in its signature.

    Args:
        deployed: what to convert; `past="sums"` is the fastest here.
        streams: rows of a batch.
        channels_last: `frames` is (n·streams, H, W, 3), as images lie in memory.
        stateful: the model keeps the past of its convolutions in variables of its own, which begin at zero and which
            `InferRequest.reset_state` sets back. Pools and counts stay inputs and outputs: as variables they would take
            on the precision of inference, in bfloat16 one that cannot even count to 300 frames.

    Raises:
        MovinetError: OpenVINO is not installed.
    """
    with needs_extra("openvino"):
        import openvino as ov
    signature, example = deployed.signature, example_inputs(deployed, streams)
    with quiet():  # the tracer warns of sizes taken as constants: that they are is the point
        model = ov.convert_model(deployed, example_input=example)
    for port, given in zip(signature.inputs, model.inputs, strict=True):
        given.get_tensor().set_names({port.name})
        given.get_node().set_friendly_name(port.name)
    for port, made in zip(signature.outputs, model.outputs, strict=True):
        made.get_tensor().set_names({port.name})
    model.reshape({port: list(tensor.shape) for port, tensor in zip(model.inputs, example, strict=True)})
    if channels_last:
        images = ov.preprocess.PrePostProcessor(model)
        images.input(FRAMES).tensor().set_layout(ov.Layout("NHWC"))
        images.input(FRAMES).model().set_layout(ov.Layout("NCHW"))
        model = images.build()
    if stateful:
        from openvino.passes import MakeStateful, Manager

        passes = Manager()
        passes.register_pass(MakeStateful({state: new for state, new in signature.carry.items() if is_variable(state)}))
        passes.run_passes(model)
        _draw_line_before_pools(model)
    return model


def _draw_line_before_pools(model: "ov.Model") -> None:
    """Put a convolution that changes nothing between every layer's mean and the pool it goes to.

    OpenVINO takes what leads from the last convolution to an output for a tail, which it computes in float32 whatever
    the precision asked for. The pools need that; the layers before them would take half as long again.
    """
    from openvino import opset13 as ops

    between = {"Add", "Subtract", "Multiply", "Divide", "Convert"}
    for output in model.outputs:
        if not output.get_any_name().endswith(".pool"):
            continue
        ahead = [output.get_node().input(0)]
        while ahead:
            given = ahead.pop()
            source = given.get_source_output()
            if source.get_node().get_type_name() == "ReduceMean":
                channels, space = source.get_shape()[1], ops.constant(np.array([2, 3]))
                ones = ops.constant(np.ones((channels, 1, 1, 1, 1), np.float32))
                image = ops.unsqueeze(source, space)
                same = ops.group_convolution(image, ones, [1, 1], [0, 0], [0, 0], [1, 1])
                given.replace_source_output(ops.squeeze(same, space).output(0))
                break
            if source.get_node().get_type_name() in between:
                ahead += source.get_node().inputs()
    model.validate_nodes_and_infer_types()


def is_variable(name: str) -> bool:
    """Whether a stateful model keeps this part of the state to itself."""
    return ".sum." in name or name.endswith(".buffer")


def write_openvino(deployed: Deployed, streams: int, folder: Path, *, half: bool = False) -> Written:
    """Write `model.xml` and `model.bin`, the weights in float16 if `half`."""
    with needs_extra("openvino"):
        import openvino as ov
    path, shapes = folder / "model.xml", {}
    channels_last = isinstance(deployed, DeployedStep)
    ov.save_model(to_openvino(deployed, streams, channels_last=channels_last), path, compress_to_fp16=half)
    if channels_last:
        shapes[FRAMES] = (streams * deployed.frames, *deployed.size, 3)
    runtime = f"openvino {ov.get_version().partition('-')[0]}"
    return Written(path.name, runtime, run_openvino(path), channels_last, shapes)


def run_openvino(path: Path) -> Run:
    """The file in OpenVINO, on the processor, in float32."""
    import openvino as ov

    compiled = ov.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    def run(inputs: Mapping[str, NDArray[Any]]) -> Arrays:
        results = compiled(dict(inputs))
        return {port.get_any_name(): results[port] for port in compiled.outputs}

    return run
