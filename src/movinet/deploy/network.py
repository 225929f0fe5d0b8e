"""The folded network as a structure of arrays: what every lowering, and the reference, walks over."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from movinet.arch.layer_spec import LayerPlace, Size
from movinet.arch.spec import Activation, Gate, NetworkSpec
from movinet.deploy.fold import fold
from movinet.errors import MovinetError
from movinet.weights.weights import Weights

Array = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class FoldedConvolution:
    """A 2-D convolution with TensorFlow's 'same' padding, its bias, and the activation after it."""

    weight: Array  # (outputs, inputs / groups, height, width)
    bias: Array  # (outputs,)
    stride: int = 1
    groups: int = 1
    activation: Activation | None = None


@dataclass(frozen=True, eq=False)
class FoldedTemporal:
    """A depthwise convolution over time; of the 3-D form, over space too. An activation follows."""

    weight: Array  # (channels, frames, height, width), the oldest frame's tap first; 1×1 of the (2+1)D form
    bias: Array  # (channels,)
    activation: Activation
    stride: int = 1  # in space

    @property
    def frames(self) -> int:
        return self.weight.shape[1]

    @property
    def in_space(self) -> bool:
        """Whether a tap is a convolution of its frame, not a factor for each channel."""
        return self.weight.shape[2:] != (1, 1) or self.stride > 1


@dataclass(frozen=True, eq=False)
class FoldedDense:
    """A dense layer."""

    weight: Array  # (outputs, inputs)
    bias: Array  # (outputs,)
    activation: Activation | None = None


@dataclass(frozen=True, eq=False)
class FoldedExcitation:
    """Squeeze-excitation: pooled means through two dense layers to a gate for every channel."""

    reduce: FoldedDense
    expand: FoldedDense
    gate: Gate
    beside_frame: bool  # the frame's own mean follows the pooled one
    position_scale: float | None  # of the positional encoding added to the means

    def position_rows(self, positions: NDArray[np.integer]) -> Array:
        """What frame numbers (n,) add to the result of `reduce`, before its activation: (n, hidden).

        Sines beside cosines, as official nn_layers.PositionalEncoding computes them; linear, so it can be a table.
        """
        assert self.position_scale is not None
        channels = self.reduce.weight.shape[1]
        rates = np.float32(1.0) / np.power(np.float32(10_000), np.arange(0, channels, 2, dtype=np.float32) / channels)
        radians = positions[:, None].astype(np.float32) * rates
        encoding = np.concatenate([np.sin(radians), np.cos(radians)], axis=1)
        return encoding @ self.reduce.weight.T * np.float32(self.position_scale)


@dataclass(frozen=True, eq=False)
class FoldedBottleneck:
    """One layer: expand, convolve in space and time, scale channels, project, add the way around."""

    place: LayerPlace
    expand: FoldedConvolution
    spatial: FoldedConvolution | None  # None in the 3-D form where there is a temporal convolution, which does both
    temporal: FoldedTemporal | None
    excitation: FoldedExcitation | None
    project: FoldedConvolution
    skip: FoldedConvolution | None  # after an average over 3×3 pixels where the layer has a stride

    @property
    def name(self) -> str:
        return self.place.name


@dataclass(frozen=True, eq=False)
class FoldedNetwork:
    """A folded network for frames of one size."""

    spec: NetworkSpec
    size: Size
    stem: FoldedConvolution
    layers: tuple[FoldedBottleneck, ...]
    project: FoldedConvolution
    hidden: FoldedDense
    classifier: FoldedDense | None  # None: the network ends with what `hidden` gives


def folded_network(weights: Weights, size: Size | None = None) -> FoldedNetwork:
    """Fold a network and give its arrays their places.

    Args:
        weights: of one network; an ensemble's members one by one.
        size: (height, width) of the frames; the specification's own by default.

    Raises:
        MovinetError: the weights are an ensemble's.
    """
    folded = fold(weights)
    spec, arrays = folded.spec, folded.arrays
    if not isinstance(spec, NetworkSpec):
        raise MovinetError(f"{spec.name} is an ensemble; take its members one by one")

    def convolution(
        name: str, activation: Activation | None = None, stride: int = 1, depthwise: bool = False
    ) -> FoldedConvolution:
        weight, bias = arrays[f"{name}.weight"], arrays[f"{name}.bias"]
        return FoldedConvolution(weight, bias, stride, len(weight) if depthwise else 1, activation)

    def dense(name: str, activation: Activation | None = None) -> FoldedDense:
        return FoldedDense(arrays[f"{name}.weight"], arrays[f"{name}.bias"], activation)

    def bottleneck(place: LayerPlace) -> FoldedBottleneck:
        name, act = place.name, spec.activation
        spatial, temporal, excitation = None, None, None
        if f"{name}.spatial.weight" in arrays:
            spatial = convolution(f"{name}.spatial", act, place.stride, depthwise=True)
        if f"{name}.temporal.weight" in arrays:
            taps = arrays[f"{name}.temporal.weight"][:, 0, :, :, None]  # (C, 1, kt, 1) to (C, kt, 1, 1)
            temporal = FoldedTemporal(taps, arrays[f"{name}.temporal.bias"], act)
        if f"{name}.volume.weight" in arrays:
            taps = arrays[f"{name}.volume.weight"][:, 0]
            temporal = FoldedTemporal(taps, arrays[f"{name}.volume.bias"], act, place.stride)
        if f"{name}.se.reduce.weight" in arrays:
            scale = arrays.get(f"{name}.se.position_scale")
            excitation = FoldedExcitation(
                dense(f"{name}.se.reduce", act),
                dense(f"{name}.se.expand"),
                spec.gate,
                spec.squeeze_excitation == "cumulative_frame",
                None if scale is None else float(scale),
            )
        skip = convolution(f"{name}.skip.project") if place.projects_skip else None
        return FoldedBottleneck(
            place,
            convolution(f"{name}.expand", act),
            spatial,
            temporal,
            excitation,
            convolution(f"{name}.project"),
            skip,
        )

    size = size or spec.size
    return FoldedNetwork(
        spec,
        size,
        convolution("stem", spec.activation, stride=2),
        tuple(bottleneck(place) for place in spec.layers(size)),
        convolution("head.project", spec.activation),
        dense("head.hidden", spec.head_activation),
        dense("head.classifier") if spec.num_classes else None,
    )
