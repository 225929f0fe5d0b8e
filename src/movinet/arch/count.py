"""What a network costs, counted from its specification alone: parameters, multiply-adds, state, receptive field.

Multiply-adds are those of convolutions and dense layers, as the field counts them; normalization, activations,
pools and gates are left out.
"""

from dataclasses import dataclass
from math import ceil, prod

from movinet.arch.layer_spec import LayerPlace, Size
from movinet.arch.spec import EnsembleSpec, MemberSpec, NetworkSpec

Counted = NetworkSpec | EnsembleSpec
"""What is counted here: MoViNets, and ensembles of them. `movinet.costs` counts every network."""


@dataclass(frozen=True)
class PartCost:
    """The cost of one named part of a network: the stem, one layer, or the head."""

    name: str
    parameters: int  # trainable
    frame_macs: int  # multiply-adds for every frame
    clip_macs: int  # multiply-adds once a clip (a base network's head and global squeeze-excitation)


def make_divisible(value: float, divisor: int = 8) -> int:
    """Round to a multiple of `divisor`, never down by more than 10 % (official nn_layers.make_divisible)."""
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


def se_hidden(expansion: int, spec: NetworkSpec) -> int:
    """Width of squeeze-excitation's hidden layer; twice as wide where it sees two pools."""
    return make_divisible(0.25 * expansion * (2 if spec.squeeze_excitation == "cumulative_frame" else 1))


def parts(spec: NetworkSpec, size: Size | None = None) -> list[PartCost]:
    """The cost of every part in network order; `size` is (height, width), the specification's own by default."""
    places = spec.layers(size)
    costs = [PartCost("stem", _conv(27, spec.stem, spec), 27 * spec.stem * prod(places[0].size), 0)]
    costs += [_layer(place, spec) for place in places]
    channels, size = places[-1].outputs, places[-1].size_after
    head_macs = spec.project * spec.hidden + spec.hidden * spec.num_classes
    costs.append(
        PartCost(
            "head",
            parameters=_conv(channels, spec.project, spec) + head_macs + spec.hidden + spec.num_classes,
            frame_macs=channels * spec.project * prod(size) + (head_macs if spec.causal else 0),
            clip_macs=0 if spec.causal else head_macs,
        )
    )
    return costs


def parameters(spec: Counted) -> int:
    """Trainable parameters."""
    if isinstance(spec, EnsembleSpec):
        return sum(parameters(m.network) for m in spec.members)
    return sum(part.parameters for part in parts(spec))


def macs_per_frame(spec: Counted, size: Size | None = None) -> float:
    """Multiply-adds a frame: of one step of a stream network, or of a base network's clip spread over its frames."""
    if isinstance(spec, EnsembleSpec):
        return sum(float(m.rate) * macs_per_frame(m.network, _member_size(spec, m, size)) for m in spec.members)
    return macs_per_clip(spec, size) / spec.frames


def macs_per_clip(spec: Counted, size: Size | None = None, frames: int | None = None) -> int:
    """Multiply-adds of a clip of `frames` frames (the specification's own number by default)."""
    frames = spec.frames if frames is None else frames
    if isinstance(spec, EnsembleSpec):
        return sum(
            macs_per_clip(m.network, _member_size(spec, m, size), sum(map(m.takes, range(frames))))
            for m in spec.members
        )
    costs = parts(spec, size)
    return frames * sum(p.frame_macs for p in costs) + (sum(p.clip_macs for p in costs) if frames else 0)


def state_bytes(spec: Counted, size: Size | None = None, bytes_per_number: int = 4) -> int:
    """Bytes of one stream's buffers and pools; `bytes_per_number` is 4 for float32."""
    if isinstance(spec, EnsembleSpec):
        return sum(state_bytes(m.network, _member_size(spec, m, size), bytes_per_number) for m in spec.members)
    return bytes_per_number * sum(map(prod, state_shapes(spec, size).values()))


def state_shapes(spec: NetworkSpec, size: Size | None = None) -> dict[str, tuple[int, ...]]:
    """The shape of every stream buffer (C, kt-1, H, W) and pooled mean (C,) of one stream, in network order.

    Keys are the names of the layers that own them, e.g. `blocks.1.0.buffer`; a base network has none.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    if not spec.causal:
        return shapes
    for place in spec.layers(size):
        layer = place.layer
        if layer.kernel[0] > 1:
            # The (2+1)D form remembers after the spatial stride, the 3D form before it.
            at = place.size_after if spec.convolution == "2plus1d" else place.size
            shapes[f"{place.name}.buffer"] = (layer.expansion, layer.kernel[0] - 1, *at)
        if spec.has_se(layer):
            shapes[f"{place.name}.pool"] = (layer.expansion,)
    shapes["head.pool"] = (spec.project,)
    return shapes


def receptive_field(spec: Counted) -> int:
    """Frames the convolutions see; the pools of a network see all of them."""
    if isinstance(spec, EnsembleSpec):
        return max(ceil(receptive_field(m.network) / m.rate) for m in spec.members)
    return 1 + sum(place.layer.kernel[0] - 1 for place in spec.layers())


def _member_size(spec: EnsembleSpec, member: MemberSpec, size: Size | None) -> Size:
    return spec.member_size(member, size or spec.size)


def _conv(fan_in: int, out: int, spec: NetworkSpec) -> int:
    """Parameters of a convolution with its batch norm (scale and shift), or its bias once that is folded in."""
    return fan_in * out + (2 if spec.norm == "batch" else 1) * out


def _layer(place: LayerPlace, spec: NetworkSpec) -> PartCost:
    expansion, (kt, kh, kw) = place.layer.expansion, place.layer.kernel
    channels, out = place.inputs, place.outputs
    inside, outside = prod(place.size), prod(place.size_after)
    split = spec.convolution == "2plus1d" and kt > 1
    parameters = _conv(channels, expansion, spec) + _conv(expansion, out, spec)
    frame_macs = channels * expansion * inside + expansion * out * outside
    if split:
        parameters += _conv(kh * kw, expansion, spec) + _conv(kt, expansion, spec)
        frame_macs += (kh * kw + kt) * expansion * outside
    else:
        parameters += _conv(kt * kh * kw, expansion, spec)
        frame_macs += kt * kh * kw * expansion * outside
    if place.projects_skip:
        parameters += _conv(channels, out, spec)
        frame_macs += channels * out * outside
    clip_macs = 0
    if spec.has_se(place.layer):
        hidden = se_hidden(expansion, spec)
        seen = expansion * (2 if spec.squeeze_excitation == "cumulative_frame" else 1)
        parameters += seen * hidden + hidden + hidden * expansion + expansion + (1 if spec.positional_encoding else 0)
        se_macs = (seen + expansion) * hidden
        frame_macs += se_macs if spec.causal else 0
        clip_macs = 0 if spec.causal else se_macs
    return PartCost(place.name, parameters + (1 if spec.rezero else 0), frame_macs, clip_macs)
