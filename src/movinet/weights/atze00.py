"""State dicts of github.com/Atze00/MoViNet-pytorch: base A0–A5 and stream A0–A2, and what users trained from them.

That code hard-wires swish and sigmoid for `3d` networks, hard-swish and the gate 0.2 x + 0.5 for `2plus1d` ones, and
swish in the head. Networks trained there without `tf_like=True` pad even sizes differently; a state dict does not tell,
and their logits come out slightly different here.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from movinet.arch.spec import NetworkSpec
from movinet.arch.zoo import network_names, network_spec
from movinet.errors import WeightsError
from movinet.nn.movinet import MoViNet

_PARTS = {
    "expand": "expand.conv_1",
    "spatial": "deep.conv_1",
    "temporal": "deep.conv_2",
    "volume": "deep.conv_1",
    "project": "project.conv_1",
    "skip.project": "res.{pooled}.conv_1",
    "se.reduce": "se.fc1.conv_1",
    "se.expand": "se.fc2.conv_1",
}


def is_atze00(state_dict: Mapping[str, Tensor]) -> bool:
    """Whether the names are that project's."""
    return "blocks.b0_l0.alpha" in state_dict


def atze00_names(model: MoViNet) -> dict[str, str]:
    """For every parameter and statistic of the network, its name there."""
    conv = "conv2d" if model.spec.convolution == "2plus1d" else "conv3d"
    names = {}
    for name in model.state_dict():
        if name.startswith("blocks."):
            block, n, part = name.split(".", 3)[1:]
            prefix = f"blocks.b{block}_l{n}."
            if part == "scale":
                names[name] = prefix + "alpha"
                continue
            ours = next(ours for ours in _PARTS if part.startswith(ours + "."))
            strided = n == "0" and model.spec.blocks[int(block)].stride > 1
            theirs, leaf = _PARTS[ours].format(pooled=int(strided)), part.removeprefix(ours + ".")
        else:
            prefix, part = "", name
            ours, theirs = {
                "stem": ("stem", "conv1.conv_1"),
                "head.project": ("head.project", "conv7.conv_1"),
                "head.hidden": ("head.hidden", "classifier.0.conv_1"),
                "head.classifier": ("head.classifier", "classifier.3.conv_1"),
            }[next(p for p in ("stem", "head.project", "head.hidden", "head.classifier") if name.startswith(p + "."))]
            leaf = part.removeprefix(ours + ".")
        names[name] = f"{prefix}{theirs}.{leaf if leaf.startswith('norm.') else f'{conv}.{leaf}'}"
    return names


def find_network(state_dict: Mapping[str, Tensor]) -> NetworkSpec:
    """Which network a state dict holds, told from its names and shapes.

    Raises:
        WeightsError: none of A0–A5 has these parameters.
    """
    stream = "conv1.conv_1.conv2d.weight" in state_dict
    classifier = f"classifier.3.conv_1.{'conv2d' if stream else 'conv3d'}.bias"
    for name in network_names():
        spec = network_spec(name)
        if not isinstance(spec, NetworkSpec) or spec.causal != stream or classifier not in state_dict:
            continue
        # That code has no positional encoding.
        spec = spec.with_options(
            classes=state_dict[classifier].shape[0], positional_encoding=False, head_activation="swish"
        )
        with torch.device("meta"):
            model = MoViNet(spec)
        names, ours = atze00_names(model), model.state_dict()
        if all(
            their in state_dict and state_dict[their].numel() == ours[our].numel() for our, their in names.items()
        ) and len(names) == len(state_dict):
            return spec
    raise WeightsError("the state dict looks like MoViNet-pytorch's but fits none of A0–A5; give its specification")


def from_atze00(state_dict: Mapping[str, Tensor], spec: NetworkSpec) -> dict[str, Tensor]:
    """That project's parameters as a state dict of `MoViNet(spec)`.

    Raises:
        WeightsError: a parameter is missing or has another size.
    """
    with torch.device("meta"):
        model = MoViNet(spec)
    ours = model.state_dict()
    state = {}
    for our, their in atze00_names(model).items():
        value = state_dict.get(their)
        if value is None or value.numel() != ours[our].numel():
            found = "missing" if value is None else f"of shape {tuple(value.shape)}"
            raise WeightsError(f"the state dict does not fit {spec.name}: {their} is {found}")
        state[our] = value.reshape(ours[our].shape)  # 1×1×1 kernels and dense layers have fewer dimensions here
    return state


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
