"""OpenVINO: a model of static shapes for Intel processors and graphics."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from numpy.typing import NDArray

from movinet.arch.step import FRAMES
from movinet.errors import needs_extra
from movinet.export.clip import Deployed, DeployedClip, example_inputs
from movinet.export.written import Arrays, Run, Written

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
        stateful: the model keeps what it produces of the state in variables of its own, with no ports; `decay` stays
            an input. Variables begin at zero, and `InferRequest.reset_state` makes them so again.

    Raises:
        MovinetError: OpenVINO is not installed.
    """
    with needs_extra("openvino"):
        import openvino as ov
    signature, example = deployed.signature, example_inputs(deployed, streams)
    with warnings.catch_warnings():
        # The tracer warns of sizes taken as constants: that they are is the point.
        warnings.simplefilter("ignore")
        if isinstance(deployed, DeployedClip):  # its sizes are only settled for torch.export
            model = ov.convert_model(torch.export.export(deployed, example))
        else:
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
        passes.register_pass(MakeStateful({state: new for state, new in signature.carry.items() if state != new}))
        passes.run_passes(model)
    return model


def write_openvino(deployed: Deployed, streams: int, folder: Path) -> Written:
    """Write `model.xml` and `model.bin`."""
    with needs_extra("openvino"):
        import openvino as ov
    path = folder / "model.xml"
    channels_last = not isinstance(deployed, DeployedClip)
    ov.save_model(to_openvino(deployed, streams, channels_last=channels_last), path, compress_to_fp16=False)
    return Written(
        path.name,
        f"openvino {ov.get_version().partition('-')[0]}",
        run_openvino(path),
        channels_last=(FRAMES,) if channels_last else (),
    )


def run_openvino(path: Path) -> Run:
    """The file in OpenVINO, on the processor, in float32."""
    import openvino as ov

    compiled = ov.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    def run(inputs: Mapping[str, NDArray[Any]]) -> Arrays:
        results = compiled(dict(inputs))
        return {port.get_any_name(): results[port] for port in compiled.outputs}

    return run
