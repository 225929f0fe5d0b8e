"""State dicts of github.com/Atze00/MoViNet-pytorch: its base A0–A5 and stream A0–A2, and what users trained from them.

That code hard-wires the activations: swish and sigmoid with `3d` convolutions, hard-swish and the gate 0.2 x + 0.5 with
`2plus1d` ones, swish in the head. Networks trained there without `tf_like=True` pad even sizes differently; a state
dict does not tell, and their logits come out slightly different here.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from movinet.arch.spec import NetworkSpec
from movinet.arch.zoo import network_names, network_spec
from movinet.errors import WeightsError
from movinet.nn.movinet import MoViNet

_MARK = "blocks.b0_l0.alpha"
# Short names whose shapes tell the first layer's width, what its squeeze-excitation sees, and the number of classes.
_TELLING = ("blocks.b0_l0.deep.weight", "blocks.b0_l0.se.fc1.weight", "classifier.3.bias")
_OURS = "head.hidden.weight"  # ends a name in state dicts of ours, also under a wrapper's prefix
# The parts of a layer and of the network: ours, and theirs.
_PARTS = {
    "expand": "expand.conv_1",
    "spatial": "deep.conv_1",
    "temporal": "deep.conv_2",
    "volume": "deep.conv_1",
    "project": "project.conv_1",
    "se.reduce": "se.fc1.conv_1",
    "se.expand": "se.fc2.conv_1",
    "stem": "conv1.conv_1",
    "head.project": "conv7.conv_1",
    "head.hidden": "classifier.0.conv_1",
    "head.classifier": "classifier.3.conv_1",
}


def read_state_dict(path: Path, spec: NetworkSpec | None = None) -> tuple[dict[str, NDArray[np.float32]], NetworkSpec]:
    """Arrays under our names, and the network they are of, from a file of PyTorch's.

    Raises:
        WeightsError: the file is damaged, more than a state dict, or of no network we know.
    """
    loaded = load_tensors(path)
    state_dict = find_state_dict(loaded)
    if state_dict is None and isinstance(loaded, Mapping) and any(str(key).endswith(_OURS) for key in loaded):
        raise WeightsError(
            f"{path}: a state dict of a network of movinet's, which does not say of which: build that with "
            "`model = movinet.create_model(...)`, load it with `model.load_state_dict(torch.load(...))`, and write it "
            "with `movinet.save_model(...)`"
        )
    if state_dict is None:
        raise WeightsError(f"{path}: a PyTorch file, but not a state dict of MoViNet-pytorch")
    try:
        spec = spec or find_network(state_dict)
        tensors = from_atze00(state_dict, spec)
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from error
    return {name: np.array(tensor.numpy()) for name, tensor in tensors.items()}, spec


def load_tensors(path: Path) -> Any:
    """What is in a file of PyTorch's, where that is tensors and plain containers alone.

    Raises:
        WeightsError: the file is damaged, or holds more.
    """
    try:
        # weights_only refuses anything but tensors and plain containers: no code of the file's runs.
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise WeightsError(
            f"{path}: damaged, or more than a state dict, which cannot be read safely; save `model.state_dict()` alone"
        ) from error


def find_state_dict(loaded: Any) -> dict[str, Tensor] | None:
    """The network's parameters in whatever a user saved, or None: wrapped in a checkpoint, a `DataParallel` or both."""
    if not isinstance(loaded, Mapping):
        return None
    for candidate in (loaded, *loaded.values()):
        if isinstance(candidate, Mapping):
            for name in candidate:
                if isinstance(name, str) and name.endswith(_MARK):
                    prefix = name.removesuffix(_MARK)
                    inside = {k.removeprefix(prefix): v for k, v in candidate.items() if k.startswith(prefix)}
                    return {k: v for k, v in inside.items() if isinstance(v, Tensor)}
    return None


def atze00_names(model: MoViNet) -> dict[str, str]:
    """For every parameter and statistic of the network, its name there.

    Raises:
        WeightsError: that project has no such network.
    """
    if model.spec.positional_encoding or model.spec.norm != "batch" or not model.spec.rezero:
        raise WeightsError(f"{model.spec.name}: MoViNet-pytorch has batch norm and ReZero, and no positional encoding")
    conv = "conv2d" if model.spec.convolution == "2plus1d" else "conv3d"
    names = {}
    for name in model.state_dict():
        prefix, part = "", name
        if name.startswith("blocks."):
            block, n, part = name.split(".", 3)[1:]
            prefix = f"blocks.b{block}_l{n}."
        if part == "scale":
            names[name] = prefix + "alpha"
            continue
        if part.startswith("skip."):
            pooled = n == "0" and model.spec.blocks[int(block)].stride > 1
            ours, theirs = "skip.project", f"res.{int(pooled)}.conv_1"
        else:
            ours, theirs = next((ours, theirs) for ours, theirs in _PARTS.items() if part.startswith(ours + "."))
        leaf = part.removeprefix(ours + ".")
        names[name] = f"{prefix}{theirs}.{leaf if leaf.startswith('norm.') else f'{conv}.{leaf}'}"
    return names


def find_network(state_dict: Mapping[str, Tensor]) -> NetworkSpec:
    """Which network a state dict holds, told from its names and shapes.

    Raises:
        WeightsError: none of A0–A5 has these parameters.
    """
    given = _shortened(state_dict)
    shapes = [tuple(given[name].shape) for name in _TELLING if name in given]
    if len(shapes) == len(_TELLING):
        (squeezed, *_), (_, reduce_inputs, *_), (num_classes,) = shapes
        causal = reduce_inputs == 2 * squeezed  # they see the mean so far beside the frame's
        flat = any(".conv2d." in name for name in state_dict)
        for name in network_names():
            spec = network_spec(name)
            if not isinstance(spec, NetworkSpec) or spec.causal != causal:
                continue
            spec = spec.with_options(
                num_classes=num_classes,
                convolution="2plus1d" if flat else "3d",
                squeeze_excitation="cumulative_frame" if causal else "global",
                activation="hard_swish" if flat else "swish",
                gate="hard_sigmoid_keras" if flat else "sigmoid",
                head_activation="swish",
                positional_encoding=False,
            )
            if _misfit(given, spec) is None:
                return spec
    raise WeightsError("the state dict looks like MoViNet-pytorch's but fits none of A0–A5; give its specification")


def from_atze00(state_dict: Mapping[str, Tensor], spec: NetworkSpec) -> dict[str, Tensor]:
    """That project's parameters as a state dict of `MoViNet(spec)`, without `num_batches_tracked`.

    Raises:
        WeightsError: a parameter is missing or has another shape, or one is left over.
    """
    given = _shortened(state_dict)
    misfit = _misfit(given, spec)
    if misfit:
        raise WeightsError(f"the state dict does not fit {spec.name}: {misfit}")
    # 1×1×1 kernels and dense layers have fewer dimensions here.
    return {our: given[their].detach().float().reshape(shape) for our, (their, shape) in _wanted(spec).items()}


def to_atze00(model: MoViNet) -> dict[str, Tensor]:
    """Our parameters under that project's names and in its shapes: the inverse of `from_atze00`."""
    state = model.state_dict()
    out = {}
    for our, their in atze00_names(model).items():
        value = state[our].detach()
        if their.endswith("conv2d.weight") and value.ndim == 2:
            value = value[:, :, None, None]
        elif their.endswith("conv3d.weight") and value.ndim < 5:
            value = value[:, :, None, None, None] if value.ndim == 2 else value.unsqueeze(2)
        out[their] = value
    return out


def _short(name: str) -> str:
    """What a name has in common with its form of before July 2021, in which the first two published versions are."""
    return re.sub(r"conv_1\.|conv[23]d\.", "", name)


def _shortened(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {_short(k): v for k, v in state_dict.items() if not k.endswith("num_batches_tracked")}


def _wanted(spec: NetworkSpec) -> dict[str, tuple[str, torch.Size]]:
    """Our name → their short name, our shape."""
    with torch.device("meta"):
        model = MoViNet(spec)
    ours = model.state_dict()
    names = atze00_names(model).items()
    return {our: (_short(their), ours[our].shape) for our, their in names if not our.endswith("num_batches_tracked")}


def _misfit(given: Mapping[str, Tensor], spec: NetworkSpec) -> str | None:
    """What is wrong with the first parameter that does not fit, if any."""
    wanted = dict(_wanted(spec).values())
    for name, shape in wanted.items():
        if name not in given:
            return f"{name} is missing"
        if [n for n in given[name].shape if n > 1] != [n for n in shape if n > 1]:
            return f"{name} has shape {tuple(given[name].shape)}, wanted {tuple(shape)}"
    left_over = given.keys() - wanted.keys()
    return f"{min(left_over)} is not part of it" if left_over else None
