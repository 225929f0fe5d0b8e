"""The official TensorFlow checkpoints' names for our parameters, and the way there and back.

Source: variables of tf-models-official 2.19.1 as `tf.train.Checkpoint(model=...)` writes them. Kernels come in three
forms: `3d` and `3d_2plus1d` (all kernels 5-D) and `2plus1d` (all 4-D, one `_conv` deeper).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from movinet.arch.spec import NetworkSpec
from movinet.arch.zoo import network_names, network_spec
from movinet.errors import WeightsError
from movinet.nn.movinet import MoViNet

Arrays = Mapping[str, NDArray[np.generic]]
Form = Literal["3d", "3d_2plus1d", "2plus1d"]

_VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"
_BACKBONE = "model/layer_with_weights-0/"
_CLASSIFIER = "model/layer_with_weights-1/"
_NORM = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}
# Our part of a layer: theirs, without the convolution inside.
_PARTS = {
    "expand": "_expansion",
    "spatial": "_feature",
    "temporal": "_feature",
    "volume": "_feature",
    "project": "_projection",
    "skip.project": "_skip/_projection",
    "se.reduce": "_attention/_se_reduce",
    "se.expand": "_attention/_se_expand",
}
_DEPTHWISE = ("spatial", "temporal", "volume")


@dataclass(frozen=True)
class Variable:
    """One TensorFlow variable: its checkpoint key and its shape there."""

    key: str
    shape: tuple[int, ...]


def tensorflow_variables(model: MoViNet, form: Form) -> dict[str, Variable]:
    """For every parameter and statistic of the network, the variable it corresponds to."""
    layers = [f"blocks.{b}.{n}" for b, block in enumerate(model.spec.blocks) for n in range(len(block.layers))]
    variables = {}
    for name, tensor in model.state_dict().items():
        if name.endswith("num_batches_tracked"):
            continue
        if name.startswith("blocks."):
            block, n, part = name.split(".", 3)[1:]
            number = 1 + layers.index(f"blocks.{block}.{n}")
            path = f"{_BACKBONE}layer_with_weights-{number}/{_in_layer(part, form)}"
        elif name.startswith("stem."):
            path = f"{_BACKBONE}layer_with_weights-0/{_in_convolution('_stem', name.removeprefix('stem.'), form)}"
        elif name.startswith("head.project."):
            inside = _in_convolution("_project", name.removeprefix("head.project."), form)
            path = f"{_BACKBONE}layer_with_weights-{len(layers) + 1}/{inside}"
        else:
            part, leaf = name.removeprefix("head.").split(".")
            theirs = {"hidden": "_head", "classifier": "_classifier"}[part]
            path = f"{_CLASSIFIER}{_in_convolution(theirs, leaf, form)}"
        depthwise = name.split(".")[-2] in _DEPTHWISE and name.endswith("weight")
        variables[name] = Variable(path + _VALUE, _their_shape(tensor, depthwise, path, form))
    return variables


def find_form(checkpoint: Arrays) -> Form:
    """How the checkpoint's kernels are stored."""
    if any(key.endswith("depthwise_kernel" + _VALUE) for key in checkpoint):
        return "2plus1d"
    return "3d_2plus1d" if any("/_conv_temporal/" in key for key in checkpoint) else "3d"


def find_network(checkpoint: Arrays) -> tuple[NetworkSpec, Form]:
    """Which published network a checkpoint holds, told from its names and shapes.

    A checkpoint does not say which hard-sigmoid it was trained with, nor whether a `3d` network is causal: base is
    assumed for `3d`, and the gate of the published stream checkpoints for the others.

    Raises:
        WeightsError: none of the published networks has these variables.
    """
    form = find_form(checkpoint)
    classifier = f"{_CLASSIFIER}_classifier/_conv/{'_conv/' if form == '2plus1d' else ''}bias{_VALUE}"
    if classifier not in checkpoint:
        raise WeightsError(
            f"the checkpoint has no {classifier!r}: it is not a MoViNet classifier saved with "
            "tf.train.Checkpoint(model=...)"
        )
    for name in network_names():
        spec = network_spec(name)
        if not isinstance(spec, NetworkSpec) or spec.causal != (form != "3d"):
            continue
        spec = spec.with_options(
            classes=checkpoint[classifier].size,
            positional_encoding=spec.causal and any("/_pos_encoding/" in key for key in checkpoint),
        )
        with torch.device("meta"):
            variables = tensorflow_variables(MoViNet(spec), form)
        if _misfit(checkpoint, variables) is None:
            return spec, form
    raise WeightsError(
        f"the checkpoint ({form} convolutions) fits none of the published networks; give its specification"
    )


def from_tensorflow(checkpoint: Arrays, spec: NetworkSpec, form: Form) -> dict[str, Tensor]:
    """The checkpoint's variables as a state dict of `MoViNet(spec)`.

    Raises:
        WeightsError: a variable is missing, has another shape, or is not the network's.
    """
    with torch.device("meta"):
        model = MoViNet(spec)
    variables = tensorflow_variables(model, form)
    misfit = _misfit(checkpoint, variables)
    if misfit:
        raise WeightsError(f"the checkpoint does not fit {spec.name}: {misfit}")
    ours, state = model.state_dict(), {}
    for name, variable in variables.items():
        values = torch.from_numpy(np.array(checkpoint[variable.key], dtype=np.float32))
        if name.endswith("weight") and values.ndim >= 4:  # a kernel (…, in, out), or (…, channels, 1) if depthwise
            values = values.movedim((-2, -1), (0, 1) if "depthwise_kernel" in variable.key else (1, 0))
        state[name] = values.reshape(ours[name].shape).contiguous()
    return state


def to_tensorflow(model: MoViNet, form: Form) -> dict[str, NDArray[np.float32]]:
    """The network's parameters as a checkpoint's variables: the inverse of `from_tensorflow`."""
    state = model.state_dict()
    arrays = {}
    for name, variable in tensorflow_variables(model, form).items():
        values = state[name].detach().float()
        if name.endswith("weight") and len(variable.shape) >= 4:
            last = variable.shape[-2:] if "depthwise_kernel" in variable.key else variable.shape[:-3:-1]
            values = values.reshape(*last, *variable.shape[:-2])
            values = values.movedim((0, 1), (-2, -1) if "depthwise_kernel" in variable.key else (-1, -2))
        values = values.reshape(variable.shape).clone(memory_format=torch.contiguous_format)
        arrays[variable.key] = values.cpu().numpy()
    return arrays


def _misfit(checkpoint: Arrays, variables: Mapping[str, Variable]) -> str | None:
    """What is wrong with the first variable that does not fit, if any."""
    wanted = {variable.key: variable.shape for variable in variables.values()}
    for key, shape in wanted.items():
        if key not in checkpoint:
            return f"{key} is missing"
        if checkpoint[key].shape != shape:
            return f"{key} has shape {checkpoint[key].shape}, wanted {shape}"
    # Beside the network there may be counters, and slots of the optimizer.
    layers = {key for key in checkpoint if key.startswith("model/layer_with_weights-") and ".OPTIMIZER_SLOT" not in key}
    left_over = layers - wanted.keys()
    return f"{min(left_over)} is not part of it" if left_over else None


def _in_layer(part: str, form: Form) -> str:
    if part == "scale":
        return "_mobile_bottleneck/_rezero/scale"
    if part == "se.position_scale":
        return "_attention/_pos_encoding/_rezero/scale"
    ours = next(ours for ours in _PARTS if part.startswith(ours + "."))
    suffix = "_temporal" if ours == "temporal" else ""
    return _in_convolution(_PARTS[ours], part.removeprefix(ours + "."), form, suffix, depthwise=ours in _DEPTHWISE)


def _in_convolution(theirs: str, leaf: str, form: Form, suffix: str = "", *, depthwise: bool = False) -> str:
    if leaf.startswith("norm."):
        return f"{theirs}/_batch_norm{suffix}/{_NORM[leaf.removeprefix('norm.')]}"
    inner = "_conv/" if form == "2plus1d" else ""
    kernel = "depthwise_kernel" if depthwise and form == "2plus1d" else "kernel"
    return f"{theirs}/_conv{suffix}/{inner}{kernel if leaf == 'weight' else leaf}"


def _their_shape(tensor: Tensor, depthwise: bool, path: str, form: Form) -> tuple[int, ...]:
    if not path.endswith("kernel"):
        return tuple(tensor.shape)
    out, inputs, *rest = tensor.shape
    space = rest or [1, 1]  # a dense layer is a 1×1 convolution there
    if form == "2plus1d":
        return (*space, out, inputs) if depthwise else (*space, inputs, out)
    if len(space) == 3:
        return (*space, inputs, out)
    if "_conv_temporal" in path:
        return (*space, 1, inputs, out)  # (kt, 1, 1, …)
    return (1, *space, inputs, out)
