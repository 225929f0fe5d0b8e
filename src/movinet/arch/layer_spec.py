"""What the layers of a network are, as frozen data, and where they stand in it."""

from dataclasses import dataclass

Size = tuple[int, int]  # height, width


@dataclass(frozen=True)
class LayerSpec:
    """One bottleneck: 1×1×1 expansion, depthwise convolution, squeeze-excitation, 1×1×1 projection.

    Args:
        expansion: channels of the depthwise convolution.
        kernel: frames, height, width, each odd.
        squeeze_excitation: False leaves it out of this layer, whatever the network has.
    """

    expansion: int
    kernel: tuple[int, int, int]
    squeeze_excitation: bool = True


@dataclass(frozen=True)
class BlockSpec:
    """Layers of equal width; the first one carries the spatial stride.

    Args:
        channels: that every layer gives.
        layers: one at least.
        stride: 1 or 2.
    """

    channels: int
    layers: tuple[LayerSpec, ...]
    stride: int = 2


@dataclass(frozen=True)
class LayerPlace:
    """One layer where it stands in its network."""

    name: str  # of its parameters and states, e.g. "blocks.1.0"
    block: int
    layer: LayerSpec
    stride: int
    inputs: int  # channels
    outputs: int
    size: Size  # of the images that come in
    depth: int  # layers before it

    @property
    def size_after(self) -> Size:
        return downsample(self.size, self.stride)

    @property
    def projects_skip(self) -> bool:
        """Whether the way around the layer changes size or width."""
        return self.stride > 1 or self.inputs != self.outputs


def downsample(size: Size, stride: int) -> Size:
    """The size after a 'same' convolution: rounded up."""
    return -(-size[0] // stride), -(-size[1] // stride)
