"""OpenVINO: the step as a model of static shapes, for Intel processors and graphics."""

import warnings
from typing import TYPE_CHECKING

import torch

from movinet.arch.step import FRAMES
from movinet.errors import needs_extra
from movinet.nn.deploy import DeployedStep

if TYPE_CHECKING:
    import openvino as ov


def to_openvino(
    step: DeployedStep, streams: int = 1, *, channels_last: bool = False, stateful: bool = False
) -> "ov.Model":
    """Convert a step; tensors are named as in its signature.

    Args:
        step: what to convert; `past="sums"` is the fastest here.
        streams: rows of a batch.
        channels_last: `frames` is (n·streams, H, W, 3), as images lie in memory.
        stateful: the model keeps what it produces of the state in variables of its own, with no ports; `decay` stays
            an input. Variables begin at zero, and `InferRequest.reset_state` makes them so again.

    Raises:
        MovinetError: OpenVINO is not installed.
    """
    with needs_extra("openvino"):
        import openvino as ov
    signature = step.signature
    example = (torch.zeros(step.frames * streams, *signature.inputs[0].shape), *step.begin(streams))
    with warnings.catch_warnings():
        # The tracer warns of sizes taken as constants: that they are is the point.
        warnings.simplefilter("ignore")
        model = ov.convert_model(step, example_input=example)
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
