"""Networks for use alone: batch norm and the ReZero scalars folded into the convolutions before them."""

from dataclasses import replace

import torch
from torch import Tensor, nn

from movinet.nn.blocks import (
    Convolution,
    Layer,
    TemporalConvolution,
    VolumeConvolution,
    refuse_unknown_parts,
    without_norm,
)
from movinet.nn.ensemble import Ensemble
from movinet.nn.movinet import MoViNet


def fold(model: MoViNet | Ensemble) -> MoViNet | Ensemble:
    """A copy of a trained network that answers alike, up to rounding, and steps faster; for evaluation only.

    Its specification says `norm="folded"` and `rezero=False`; states go from one to the other as they are.
    """
    if isinstance(model, Ensemble):
        members = [_folded(member) for member in model.members if isinstance(member, MoViNet)]
        pairs = zip(model.spec.members, members, strict=True)
        spec = replace(model.spec, members=tuple(replace(m, network=network.spec) for m, network in pairs))
        with torch.device("meta"):
            ensemble = Ensemble(spec)
        ensemble.members = nn.ModuleList(members)
        return ensemble.eval()
    return _folded(model)


def _folded(model: MoViNet) -> MoViNet:
    with torch.device("meta"):
        folded = MoViNet(model.spec.with_options(norm="folded", rezero=False))
    state = {key: value.detach() for key, value in model.state_dict().items()}
    parts = dict(model.named_modules())
    for name, part in parts.items():
        if isinstance(part, Layer):
            refuse_unknown_parts(part)
        if not isinstance(part, Convolution | TemporalConvolution | VolumeConvolution):
            continue
        weight, bias = _without_norm(part)
        owner = parts[name.rpartition(".")[0]]
        if isinstance(owner, Layer) and owner.project is part and owner.scale is not None:
            weight, bias = weight * owner.scale.detach(), bias * owner.scale.detach()
        state[f"{name}.weight"], state[f"{name}.bias"] = weight, bias
    wanted = folded.state_dict().keys()
    folded.load_state_dict({key: value for key, value in state.items() if key in wanted}, assign=True)
    return folded.eval().requires_grad_(False)


def _without_norm(part: Convolution | TemporalConvolution | VolumeConvolution) -> tuple[Tensor, Tensor]:
    weight = part.weight.detach()
    if part.bias is not None:
        return weight, part.bias.detach()
    assert isinstance(part.norm, nn.BatchNorm2d)
    # In float64, so that a statistic far from one costs no digits.
    weight, bias = without_norm(weight, part.norm, torch.float64)
    return weight.detach().to(part.weight.dtype), bias.detach().to(part.weight.dtype)
