"""The official TensorFlow checkpoints' names for our parameters, and the way there and back.

Source: variables of tf-models-official 2.19.1 as `tf.train.Checkpoint(model=...)` writes them. Kernels come in three
forms: `3d` and `3d_2plus1d` (all kernels 5-D) and `2plus1d` (all 4-D, one `_conv` deeper).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from movinet.arch.parameters import parameter_shapes
from movinet.arch.spec import NetworkSpec
from movinet.arch.zoo import network_names, network_spec
from movinet.errors import WeightsError
from movinet.weights.tf_objects import BACKBONE, CLASSIFIER, VALUE, Arrays, TensorFlowNetwork

Form = Literal["3d", "3d_2plus1d", "2plus1d"]

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


def tensorflow_variables(spec: NetworkSpec, form: Form) -> dict[str, Variable]:
    """For every parameter and statistic of the network, the variable it corresponds to."""
    numbers = {place.name: number for number, place in enumerate(spec.layers(), start=1)}
    variables = {}
    for name, shape in parameter_shapes(spec).items():
        if name.startswith("blocks."):
            block, n, part = name.split(".", 3)[1:]
            path = f"{BACKBONE}layer_with_weights-{numbers[f'blocks.{block}.{n}']}/{_in_layer(part, form)}"
        elif name.startswith("stem."):
            path = f"{BACKBONE}layer_with_weights-0/{_in_convolution('_stem', name.removeprefix('stem.'), form)}"
        elif name.startswith("head.project."):
            inside = _in_convolution("_project", name.removeprefix("head.project."), form)
            path = f"{BACKBONE}layer_with_weights-{len(numbers) + 1}/{inside}"
        else:
            part, leaf = name.removeprefix("head.").split(".")
            theirs = {"hidden": "_head", "classifier": "_classifier"}[part]
            path = f"{CLASSIFIER}{_in_convolution(theirs, leaf, form)}"
        depthwise = name.split(".")[-2] in _DEPTHWISE and name.endswith("weight")
        variables[name] = Variable(path + VALUE, _their_shape(shape, depthwise, path, form))
    return variables


def find_form(variables: Arrays) -> Form:
    """How the checkpoint's kernels are stored."""
    if any(key.endswith("depthwise_kernel" + VALUE) for key in variables):
        return "2plus1d"
    return "3d_2plus1d" if any("/_conv_temporal/" in key for key in variables) else "3d"


def find_network(network: TensorFlowNetwork) -> NetworkSpec:
    """Which published network a checkpoint holds, told from its objects and their shapes.

    A checkpoint does not say which activations it was trained with: those of the published networks of its kind are
    assumed. Causal `3d` networks are the stream networks of May 2021 (the `_legacy` files), with swish and sigmoid.

    Raises:
        WeightsError: none of the published networks has these variables.
    """
    form = find_form(network.variables)
    causal = form != "3d" if network.causal is None else network.causal
    classifier = f"{CLASSIFIER}_classifier/_conv/{'_conv/' if form == '2plus1d' else ''}bias{VALUE}"
    if not network.has_head or classifier not in network.variables:
        raise WeightsError(
            "the checkpoint holds a backbone without its classifier: give the specification of the network, with the "
            "classes you want, and train its new head"
        )
    num_classes = network.variables[classifier].size
    for spec in _candidates(form, causal, num_classes, network.variables):
        if _misfit(network.variables, tensorflow_variables(spec, form)) is None:
            return spec
    raise WeightsError(
        f"the checkpoint ({form} convolutions) fits none of the published networks; give its specification"
    )


def _candidates(form: Form, causal: bool, num_classes: int, variables: Arrays) -> Iterator[NetworkSpec]:
    with_se = any("/_attention/" in key for key in variables)
    positions = any("/_pos_encoding/" in key for key in variables)
    for name in network_names():
        spec = network_spec(name)
        if not isinstance(spec, NetworkSpec) or spec.causal != causal:
            continue
        spec = spec.with_options(num_classes=num_classes, positional_encoding=False)
        if causal and form == "3d":
            spec = spec.with_options(
                convolution="3d",
                squeeze_excitation="cumulative",
                activation="swish",
                gate="sigmoid",
                head_activation="swish",
            )
        elif not causal:
            spec = spec.with_options(convolution="3d" if form == "3d" else "2plus1d")
        if not with_se:
            spec = spec.with_options(squeeze_excitation="none")
        yield spec.with_options(positional_encoding=positions and with_se and causal)


def from_tensorflow(variables: Arrays, spec: NetworkSpec, form: Form) -> dict[str, NDArray[np.float32]]:
    """The checkpoint's variables as the arrays of the network, named and formed as in its state dict.

    Raises:
        WeightsError: a variable is missing, has another shape, or is not the network's.
    """
    wanted = tensorflow_variables(spec, form)
    misfit = _misfit(variables, wanted)
    if misfit:
        raise WeightsError(f"the checkpoint does not fit {spec.name}: {misfit}")
    shapes, arrays = parameter_shapes(spec), {}
    for name, variable in wanted.items():
        with np.errstate(over="ignore"):
            values = np.array(variables[variable.key], dtype=np.float32)
        if not np.isfinite(values).all():
            raise WeightsError(f"{variable.key} holds values that are not finite")
        if name.endswith("weight") and values.ndim >= 4:  # a kernel (…, in, out), or (…, channels, 1) if depthwise
            values = np.moveaxis(values, (-2, -1), (0, 1) if "depthwise_kernel" in variable.key else (1, 0))
        arrays[name] = np.ascontiguousarray(values).reshape(shapes[name])
    return arrays


def with_new_head(variables: Arrays, spec: NetworkSpec, form: Form) -> dict[str, NDArray[np.generic]]:
    """The variables of a backbone with a head that knows nothing, begun as the official initializers do."""
    rng = np.random.default_rng(0)
    whole = dict(variables)
    for name, variable in tensorflow_variables(spec, form).items():
        if not variable.key.startswith(CLASSIFIER):
            continue
        std = 0.01 if "classifier" in name else (2 / spec.project) ** 0.5
        normal = np.clip(rng.standard_normal(variable.shape), -2, 2) * std
        whole[variable.key] = (normal if name.endswith("weight") else np.zeros(variable.shape)).astype(np.float32)
    return whole


def to_tensorflow(
    arrays: Mapping[str, NDArray[np.float32]], spec: NetworkSpec, form: Form
) -> dict[str, NDArray[np.float32]]:
    """The network's arrays as a checkpoint's variables: the inverse of `from_tensorflow`."""
    theirs = {}
    for name, variable in tensorflow_variables(spec, form).items():
        values = arrays[name]
        if name.endswith("weight") and len(variable.shape) >= 4:
            last = variable.shape[-2:] if "depthwise_kernel" in variable.key else variable.shape[:-3:-1]
            values = values.reshape(*last, *variable.shape[:-2])
            values = np.moveaxis(values, (0, 1), (-2, -1) if "depthwise_kernel" in variable.key else (-1, -2))
        theirs[variable.key] = np.ascontiguousarray(values).reshape(variable.shape)
    return theirs


def _misfit(checkpoint: Arrays, variables: Mapping[str, Variable]) -> str | None:
    """What is wrong with the first variable that does not fit, if any."""
    wanted = {variable.key: variable.shape for variable in variables.values()}
    for key, shape in wanted.items():
        if key not in checkpoint:
            return f"{key} is missing"
        if checkpoint[key].shape != shape:
            return f"{key} has shape {checkpoint[key].shape}, wanted {shape}"
    left_over = checkpoint.keys() - wanted.keys()
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


def _their_shape(shape: tuple[int, ...], depthwise: bool, path: str, form: Form) -> tuple[int, ...]:
    if not path.endswith("kernel"):
        return shape
    out, inputs, *rest = shape
    space = rest or [1, 1]  # a dense layer is a 1×1 convolution there
    if form == "2plus1d":
        return (*space, out, inputs) if depthwise else (*space, inputs, out)
    if len(space) == 3:
        return (*space, inputs, out)
    if "_conv_temporal" in path:
        return (*space, 1, inputs, out)  # (kt, 1, 1, …)
    return (1, *space, inputs, out)
