"""What a network is, as frozen data: every MoViNet, and every network the search can find, is one `NetworkSpec`."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from fractions import Fraction
from math import floor, inf
from typing import Any, Literal, Self, cast, get_args

from movinet.arch.baseline_spec import BaselineSpec
from movinet.arch.layer_spec import BlockSpec, LayerPlace, LayerSpec, Size, downsample
from movinet.arch.limits import (
    FASTEST,
    LARGEST_KERNEL,
    LARGEST_SIDE,
    MOST_ACTIVATIONS,
    MOST_CLASSES,
    MOST_FRAMES,
    MOST_LAYERS,
    MOST_MEMBERS,
    MOST_PARAMETERS,
    SLOWEST,
    WIDEST,
    check_name,
)
from movinet.arch.spec_fields import changed, from_fields
from movinet.dataclass_io import to_plain
from movinet.errors import SpecError, brief

Convolution = Literal["3d", "2plus1d"]
SqueezeExcitation = Literal["none", "global", "cumulative", "cumulative_frame"]
Activation = Literal["relu", "relu6", "swish", "hard_swish"]
# Hard sigmoids differ, and weights fit only the one they were trained with:
#   keras   clamp(0.2 x + 0.5, 0, 1)   the published stream checkpoints (2021), Atze00's port
#   garden  relu6(x + 3) * 0.16667     tf-models-official today
#   torch   relu6(x + 3) / 6           torch.nn.Hardsigmoid
Gate = Literal["sigmoid", "hard_sigmoid_keras", "hard_sigmoid_garden", "hard_sigmoid_torch"]
Norm = Literal["batch", "folded"]


@dataclass(frozen=True)
class NetworkSpec:
    """A whole network. Everything else (parameters, states, cost, exports) follows from it.

    The source of the structure is the official code: tensorflow/models, official/projects/movinet/modeling.

    Args:
        name: of the network.
        stem: channels of the 1×3×3 stem, stride 2.
        blocks: from the stem to the head.
        project: channels of the 1×1×1 convolution before the pool.
        hidden: width of the dense layer before the classifier.
        size: (height, width) it is meant for; any other works.
        fps: frames a second it is meant for.
        frames: of an evaluation clip.
        num_classes: 0: no classifier, the network ends with the `hidden` numbers before it.
        causal: a stream network, which sees the past alone; else a base network, which sees clips whole.
        convolution: depthwise kernels whole (3d), or over space and then over time (2plus1d).
        squeeze_excitation: over the whole clip (global, of base networks), or of stream networks over all frames so far
            (cumulative), and this frame beside them (cumulative_frame).
        activation: of the convolutions.
        gate: of squeeze-excitation; hard sigmoids differ, and weights fit the one they were trained with alone.
        head_activation: after `hidden`.
        positional_encoding: of time, in cumulative squeeze-excitation.
        position_limit: position = min(frames seen, limit); None: unlimited, as in the paper.
        rezero: every layer's own part is scaled by a learned number, 0 at first.
        norm: batch; or folded: no batch norm, the convolutions have biases instead.
        dropout: before the classifier, in training.
        stochastic_depth: how likely the last layer is left out in training; earlier ones less.
        decay: γ of cumulative pooling, in (0, 1]; 1 is the paper's, which never forgets.
    """

    name: str
    stem: int
    blocks: tuple[BlockSpec, ...]
    project: int
    hidden: int
    size: tuple[int, int]
    fps: float
    frames: int
    num_classes: int = 600
    causal: bool = True
    convolution: Convolution = "2plus1d"
    squeeze_excitation: SqueezeExcitation = "cumulative_frame"
    activation: Activation = "hard_swish"
    gate: Gate = "hard_sigmoid_keras"
    head_activation: Activation = "swish"
    positional_encoding: bool = False
    position_limit: int | None = None
    rezero: bool = True
    norm: Norm = "batch"
    dropout: float = 0.2
    stochastic_depth: float = 0.2
    decay: float = 1.0

    def __post_init__(self) -> None:
        _check_types(self)
        for name, kinds in _CHOICES.items():
            if getattr(self, name) not in kinds:
                raise SpecError(
                    f"{self.name}: {name} is {brief(getattr(self, name))}; choose one of {', '.join(kinds)}"
                )
        if self.causal and self.squeeze_excitation == "global":
            raise SpecError(
                f"{self.name}: global squeeze-excitation looks at the whole clip, which a causal network cannot; "
                "use 'cumulative' or 'cumulative_frame'"
            )
        if not self.causal and self.squeeze_excitation.startswith("cumulative"):
            raise SpecError(f"{self.name}: cumulative squeeze-excitation needs a causal network; use 'global'")
        if self.positional_encoding and not self.squeeze_excitation.startswith("cumulative"):
            raise SpecError(
                f"{self.name}: the positional encoding lives in cumulative squeeze-excitation, and there is none"
            )
        if not 0.0 < self.decay <= 1.0:
            raise SpecError(f"{self.name}: decay is {self.decay}; it must lie in (0, 1]")
        if not self.causal and self.decay != 1.0:
            raise SpecError(f"{self.name}: decay is for causal networks; a base network averages the whole clip")
        if not self.blocks or not all(block.layers for block in self.blocks):
            raise SpecError(f"{self.name}: a network needs blocks, and every block a layer")
        for b, block in enumerate(self.blocks):
            for n, layer in enumerate(block.layers):
                if any(k < 1 or k % 2 == 0 for k in layer.kernel) or len(layer.kernel) != 3:
                    raise SpecError(
                        f"{self.name}: blocks[{b}].layers[{n}].kernel is {brief(layer.kernel)}; want three odd sizes"
                    )
                if layer.expansion < 1:
                    raise SpecError(f"{self.name}: blocks[{b}].layers[{n}].expansion is {layer.expansion}; want >= 1")
                if self.positional_encoding and layer.expansion % 2:
                    raise SpecError(
                        f"{self.name}: blocks[{b}].layers[{n}].expansion is {layer.expansion}; "
                        "a positional encoding pairs sines with cosines and needs it even"
                    )
            if block.channels < 1:
                raise SpecError(f"{self.name}: blocks[{b}].channels is {block.channels}; it must be at least 1")
            if block.stride not in (1, 2):
                raise SpecError(f"{self.name}: blocks[{b}].stride is {block.stride}; it must be 1 or 2")
        for field in ("stem", "project", "hidden", "num_classes", "frames"):
            if getattr(self, field) < (least := int(field != "num_classes")):
                raise SpecError(f"{self.name}: {field} is {getattr(self, field)}; it must be at least {least}")
        if len(self.size) != 2 or min(self.size) < 1:
            raise SpecError(f"{self.name}: size is {brief(self.size)}; want a height and a width")
        if not 0 < self.fps < inf:
            raise SpecError(f"{self.name}: fps is {self.fps}; it must be positive")
        for field in ("dropout", "stochastic_depth"):
            if not 0.0 <= getattr(self, field) < 1.0:
                raise SpecError(f"{self.name}: {field} is {getattr(self, field)}; it must lie in [0, 1)")
        if self.position_limit is not None and self.position_limit < 0:
            raise SpecError(f"{self.name}: position_limit is {self.position_limit}; it cannot be negative")
        _check_network(self)

    def layers(self, size: Size | None = None) -> tuple[LayerPlace, ...]:
        """Every layer in network order.

        Args:
            size: (height, width) of the frames; the specification's own by default.
        """
        places: list[LayerPlace] = []
        at, channels = downsample(size or self.size, 2), self.stem
        for b, block in enumerate(self.blocks):
            for n, layer in enumerate(block.layers):
                stride = block.stride if n == 0 else 1
                name, depth = f"blocks.{b}.{n}", len(places)
                places.append(LayerPlace(name, b, layer, stride, channels, block.channels, at, depth))
                at, channels = downsample(at, stride), block.channels
        return tuple(places)

    @property
    def num_outputs(self) -> int:
        """How many numbers the network answers with: its logits, or without a classifier what that would see."""
        return self.num_classes or self.hidden

    def has_se(self, layer: LayerSpec) -> bool:
        """Whether a layer of this network has squeeze-excitation."""
        return self.squeeze_excitation != "none" and layer.squeeze_excitation

    def with_options(self, **options: Any) -> Self:
        """A copy with some fields changed, checked like any other specification.

        Raises:
            SpecError: there is no such field, or the network contradicts itself.
        """
        return changed(self, options)

    def to_dict(self) -> dict[str, Any]:
        """Plain types only, ready for YAML or JSON."""
        return cast("dict[str, Any]", to_plain(self, whole=True))

    @classmethod
    def from_dict(cls, data: Any) -> "NetworkSpec":
        """The inverse of `to_dict`.

        Raises:
            SpecError: a field is missing, unknown or contradicts another.
        """
        return from_fields(cls, data, "network")


@dataclass(frozen=True)
class MemberSpec:
    """One network of an ensemble: it takes `rate` of the ensemble's frames, beginning with frame `offset`."""

    network: NetworkSpec
    rate: Fraction = Fraction(1)
    offset: int = 0

    def __post_init__(self) -> None:
        if type(self.offset) is not int:
            raise SpecError(f"{self.network.name}: offset is {brief(self.offset)}; want a whole number")
        if not 0 < self.rate <= 1 or not 0 <= self.offset <= MOST_FRAMES:
            raise SpecError(
                f"{self.network.name}: rate {self.rate} must lie in (0, 1] and offset {self.offset} be >= 0"
            )

    def takes(self, frame: int) -> bool:
        """Whether frame number `frame` (from 0) is one of this member's.

        Member frame k is the first ensemble frame at or after k / rate, counted from the offset.
        """
        n = frame - self.offset
        return n >= 0 and floor(n * self.rate) > floor((n - 1) * self.rate)


@dataclass(frozen=True)
class EnsembleSpec:
    """Networks whose logits are averaged before the softmax.

    A temporal ensemble has two members at half the frame rate, one frame apart; A6 is A4 and A5 at their own rates.
    """

    name: str
    members: tuple[MemberSpec, ...]
    size: tuple[int, int]  # the largest member's
    fps: float  # the full rate the clip comes at
    frames: int

    def __post_init__(self) -> None:
        check_name(self.name)
        if not self.members:
            raise SpecError(f"{self.name}: an ensemble needs members")
        if not all(type(number) is int for number in (*self.size, self.frames)):
            raise SpecError(
                f"{self.name}: size {brief(self.size)} and frames {brief(self.frames)} must be whole numbers"
            )
        if type(self.fps) not in (int, float):
            raise SpecError(f"{self.name}: fps is {brief(self.fps)}; want a number")
        if len({m.network.num_classes for m in self.members}) > 1:
            raise SpecError(f"{self.name}: the members differ in their number of classes")
        if not self.num_classes:
            raise SpecError(f"{self.name}: an ensemble averages logits, so its members need their classifiers")
        if len({m.network.causal for m in self.members}) > 1:
            raise SpecError(f"{self.name}: the members must all be base or all be stream networks")
        if len(self.size) != 2 or min(self.size) < 1 or self.frames < 1 or not self.fps > 0:
            raise SpecError(f"{self.name}: size {self.size}, frames {self.frames} and fps {self.fps} must be positive")
        _check_ensemble(self)

    def member_size(self, member: MemberSpec, size: tuple[int, int]) -> tuple[int, int]:
        """The size a member takes frames of `size` at: scaled as its own size is to the ensemble's."""
        (height, width), whole = member.network.size, self.size
        return max(1, round(size[0] * height / whole[0])), max(1, round(size[1] * width / whole[1]))

    @property
    def num_classes(self) -> int:
        return self.members[0].network.num_classes

    num_outputs = num_classes

    @property
    def causal(self) -> bool:
        return self.members[0].network.causal

    def with_options(self, **options: Any) -> "EnsembleSpec":
        """A copy whose members have some fields changed."""
        return replace(self, members=tuple(replace(m, network=m.network.with_options(**options)) for m in self.members))

    def to_dict(self) -> dict[str, Any]:
        """Plain types only, ready for YAML or JSON."""
        return cast("dict[str, Any]", to_plain(self, whole=True))

    @classmethod
    def from_dict(cls, data: Any) -> "EnsembleSpec":
        """The inverse of `to_dict`.

        Raises:
            SpecError: a field is missing, unknown or contradicts another.
        """
        return from_fields(cls, data, "ensemble")


SingleSpec = NetworkSpec | BaselineSpec
Spec = SingleSpec | EnsembleSpec


def spec_from_dict(data: Any) -> Spec:
    """The specification in plain types, as read from YAML or a weights file.

    Raises:
        SpecError: it is none of them.
    """
    if not isinstance(data, dict):
        raise SpecError(f"a specification is a mapping of fields, not {type(data).__name__}")
    if "family" in data:
        return BaselineSpec.from_dict(data)
    return EnsembleSpec.from_dict(data) if "members" in data else NetworkSpec.from_dict(data)


def _check_types(spec: NetworkSpec) -> None:
    """A specification may come from anywhere: `num_classes: "600"` is caught here and not in the depths of torch."""

    def want(kind: str, what: str, value: object) -> None:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        fits = {
            "a whole number": number and isinstance(value, int),
            "a number": number,
            "true or false": isinstance(value, bool),
            "a pair of whole numbers": isinstance(value, tuple) and all(type(n) is int for n in value),
        }[kind]
        if not fits:
            raise SpecError(f"{spec.name}: {what} is {brief(value)}; want {kind}")

    check_name(spec.name)
    for field in ("stem", "project", "hidden", "num_classes", "frames"):
        want("a whole number", field, getattr(spec, field))
    for field in ("fps", "dropout", "stochastic_depth", "decay"):
        want("a number", field, getattr(spec, field))
    for field in ("causal", "positional_encoding", "rezero"):
        want("true or false", field, getattr(spec, field))
    want("a pair of whole numbers", "size", spec.size)
    if spec.position_limit is not None:
        want("a whole number", "position_limit", spec.position_limit)
    if not (isinstance(spec.blocks, tuple) and all(isinstance(block, BlockSpec) for block in spec.blocks)):
        raise SpecError(f"{spec.name}: blocks is {brief(spec.blocks)}; want blocks, as a YAML specification lists them")
    for b, block in enumerate(spec.blocks):
        want("a whole number", f"blocks[{b}].channels", block.channels)
        for n, layer in enumerate(block.layers):
            want("a whole number", f"blocks[{b}].layers[{n}].expansion", layer.expansion)
            want("true or false", f"blocks[{b}].layers[{n}].squeeze_excitation", layer.squeeze_excitation)
            for k in layer.kernel:
                want("a whole number", f"a size of blocks[{b}].layers[{n}].kernel", k)


def _check_network(spec: NetworkSpec) -> None:
    """Raises `SpecError` where a network whose fields have the right types is too large."""
    numbers: list[tuple[str, float, float]] = [
        ("stem", spec.stem, WIDEST),
        ("project", spec.project, WIDEST),
        ("hidden", spec.hidden, WIDEST),
        ("num_classes", spec.num_classes, MOST_CLASSES),
        ("frames", spec.frames, MOST_FRAMES),
        ("fps", spec.fps, FASTEST),
        ("position_limit", spec.position_limit or 0, MOST_FRAMES),
        *(("a side of size", side, LARGEST_SIDE) for side in spec.size),
    ]
    for b, block in enumerate(spec.blocks):
        numbers.append((f"blocks[{b}].channels", block.channels, WIDEST))
        for n, layer in enumerate(block.layers):
            numbers.append((f"blocks[{b}].layers[{n}].expansion", layer.expansion, WIDEST))
            numbers += [(f"a size of blocks[{b}].layers[{n}].kernel", k, LARGEST_KERNEL) for k in layer.kernel]
    for what, number, most in numbers:
        if number > most:
            raise SpecError(f"{spec.name}: {what} is {number}; it can be at most {most:g}")
    if spec.fps < SLOWEST:
        raise SpecError(f"{spec.name}: fps is {spec.fps}; it must be at least {SLOWEST:g}")
    if (layers := sum(len(block.layers) for block in spec.blocks)) > MOST_LAYERS:
        raise SpecError(f"{spec.name}: {layers} layers; there can be at most {MOST_LAYERS}")
    _check_parameters(spec.name, [spec])
    states = 0
    for place in spec.layers():
        pixels = place.size[0] * place.size[1]
        states += place.layer.expansion * (place.layer.kernel[0] - 1) * pixels
        if max(place.inputs, place.layer.expansion) * pixels > MOST_ACTIVATIONS or states > MOST_ACTIVATIONS:
            raise SpecError(
                f"{spec.name}: with size {spec.size}, {place.name} and what is before it need more than "
                f"{MOST_ACTIVATIONS >> 18} MiB for a frame; want fewer channels, shorter kernels or a smaller size"
            )


def _check_ensemble(spec: EnsembleSpec) -> None:
    """Raises `SpecError` where members, each of which may be, are too many or too large together."""
    networks = [member.network for member in spec.members]
    layers = sum(len(block.layers) for network in networks for block in network.blocks)
    if len(networks) > MOST_MEMBERS or layers > 2 * MOST_LAYERS:
        raise SpecError(
            f"{spec.name}: {len(networks)} members of {layers} layers; there can be at most {MOST_MEMBERS} members and "
            f"{2 * MOST_LAYERS} layers"
        )
    if max(spec.size) > LARGEST_SIDE or spec.frames > MOST_FRAMES or not SLOWEST <= spec.fps <= FASTEST:
        raise SpecError(f"{spec.name}: size {spec.size}, frames {spec.frames} or fps {spec.fps} is beyond all use")
    _check_parameters(spec.name, networks)


def _check_parameters(name: str, networks: Iterable[NetworkSpec]) -> None:
    """By the kernels alone, which are nearly all of it."""
    total = 0
    for spec in networks:
        places = spec.layers()
        for place in places:
            channels, (frames, rows, columns) = place.layer.expansion, place.layer.kernel
            total += channels * (place.inputs + place.outputs + frames * rows * columns)
            if spec.has_se(place.layer):
                total += channels**2 * 3 // 2  # to a half, of two pools, and back
        total += spec.project * (places[-1].outputs + spec.hidden) + spec.hidden * spec.num_classes
    if total > MOST_PARAMETERS:
        raise SpecError(
            f"{name}: {total:,} parameters and more; a network can have {MOST_PARAMETERS:,}. Choose fewer channels, "
            "layers or classes, or smaller kernels"
        )


_CHOICES: dict[str, tuple[str, ...]] = {
    "convolution": get_args(Convolution),
    "squeeze_excitation": get_args(SqueezeExcitation),
    "activation": get_args(Activation),
    "head_activation": get_args(Activation),
    "gate": get_args(Gate),
    "norm": get_args(Norm),
}
