"""What a graph of any kind must be able to say, and the parts of a network said in it. Images are channels first."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from movinet.arch.layer_spec import Size
from movinet.arch.spec import Activation, Gate
from movinet.deploy.network import Array, FoldedConvolution, FoldedDense, FoldedExcitation
from movinet.errors import SpecError

T = TypeVar("T")

# Hard sigmoids are clip(slope · x + offset, 0, top); slope and offset go into the dense layer before.
HARD_GATES: dict[Gate, tuple[float, float, float]] = {
    "hard_sigmoid_keras": (0.2, 0.5, 1.0),
    "hard_sigmoid_garden": (0.16667, 0.50001, 1.00002),
    "hard_sigmoid_torch": (1 / 6, 0.5, 1.0),
}


class Operators(Protocol[T]):
    """A graph being written; T stands for one of its tensors. Constants are arrays, of the shapes named below."""

    def convolution(
        self,
        x: T,
        weight: Array,
        bias: Array | None,
        strides: Sequence[int],
        before: Sequence[int],
        after: Sequence[int],
        groups: int,
    ) -> T:
        """Over two or three axes: x (N, C, ...), weight (O, C / groups, ...), bias (O,), zeros before and after."""

    def average_pool(
        self, x: T, window: Sequence[int], strides: Sequence[int], before: Sequence[int], after: Sequence[int]
    ) -> T:
        """It divides by the pixels inside the picture."""

    def dense(self, x: T, weight: Array, bias: Array) -> T:
        """x (N, I) by weight (O, I)."""

    def mean(self, x: T, axes: Sequence[int]) -> T:
        """These axes are gone from the result."""

    def pooling(self, mean: T) -> T:
        """A mean (N, C) on its way to a pool, which is float32 whatever else is computed in."""

    def add(self, x: T, y: T | Array) -> T: ...

    def subtract(self, x: T, y: T) -> T: ...

    def multiply(self, x: T, y: T | Array) -> T: ...

    def reciprocal(self, x: T) -> T: ...

    def concatenate(self, parts: Sequence[T], axis: int) -> T: ...

    def split(self, x: T, count: int, axis: int) -> list[T]: ...

    def expand_dims(self, x: T, axes: Sequence[int]) -> T:
        """With axes of one, at these places of the result."""

    def squeeze(self, x: T, axes: Sequence[int]) -> T: ...

    def minimum(self, x: T, limit: int) -> T:
        """Of int32."""

    def increment(self, x: T) -> T:
        """Of int32, by one."""

    def look_up(self, table: Array, rows: T) -> T:
        """Rows (N,) int32 of a table (R, C): (N, C)."""

    def relu(self, x: T) -> T: ...

    def clip(self, x: T, low: float, high: float) -> T: ...

    def sigmoid(self, x: T) -> T: ...

    def hard_swish(self, x: T) -> T:
        """x · relu6(x + 3) / 6."""

    def swish(self, x: T) -> T: ...


def activate(graph: Operators[T], x: T, activation: Activation | None) -> T:
    """x after an activation, or as it is.

    Raises:
        SpecError: there is no such activation.
    """
    match activation:
        case None:
            return x
        case "relu":
            return graph.relu(x)
        case "relu6":
            return graph.clip(x, 0.0, 6.0)
        case "hard_swish":
            return graph.hard_swish(x)
        case "swish":
            return graph.swish(x)
    raise SpecError(f"no graph can be made of the activation {activation!r}")


def same_padding(size: Sequence[int], kernel: Sequence[int], stride: int) -> tuple[list[int], list[int]]:
    """Zeros before and after each axis under TensorFlow's 'same' padding, for images of this size."""
    whole = [max((-(-n // stride) - 1) * stride + k - n, 0) for n, k in zip(size, kernel, strict=True)]
    before = [pad // 2 for pad in whole]
    return before, [pad - half for pad, half in zip(whole, before, strict=True)]


def convolve(graph: Operators[T], x: T, part: FoldedConvolution, size: Size, *, clip: bool = False) -> T:
    """A convolution and its activation.

    Args:
        graph: to write to.
        x: images (N, C, H, W), or a `clip` (N, C, T, H, W).
        part: of the network.
        size: (H, W).
    """
    before, after = same_padding(size, part.weight.shape[2:], part.stride)
    weight, strides = part.weight, [part.stride, part.stride]
    if clip:
        weight, strides, before, after = weight[:, :, None], [1, *strides], [0, *before], [0, *after]
    return activate(
        graph, graph.convolution(x, weight, part.bias, strides, before, after, part.groups), part.activation
    )


def halve(graph: Operators[T], x: T, size: Size, stride: int, *, clip: bool = False) -> T:
    """The way around a layer with a stride: TensorFlow's 'same' average over 3×3 pixels."""
    window = [3, 3]
    before, after = same_padding(size, window, stride)
    strides = [stride, stride]
    if clip:
        window, strides, before, after = [1, *window], [1, *strides], [0, *before], [0, *after]
    return graph.average_pool(x, window, strides, before, after)


def transform(graph: Operators[T], x: T, part: FoldedDense) -> T:
    """A dense layer and its activation."""
    return activate(graph, graph.dense(x, part.weight, part.bias), part.activation)


def gates(graph: Operators[T], means: T, part: FoldedExcitation, row: T | None = None) -> T:
    """What squeeze-excitation multiplies channels with: (N, C).

    Args:
        graph: to write to.
        means: (N, C), or (N, 2 C) where the frame's own follow the pooled ones.
        part: of the network.
        row: (N, hidden), what the position adds.

    Raises:
        SpecError: there is no such gate.
    """
    hidden = graph.dense(means, part.reduce.weight, part.reduce.bias)
    if row is not None:
        hidden = graph.add(hidden, row)
    hidden = activate(graph, hidden, part.reduce.activation)
    weight, bias = part.expand.weight, part.expand.bias
    if part.gate == "sigmoid":
        return graph.sigmoid(graph.dense(hidden, weight, bias))
    if part.gate not in HARD_GATES:
        raise SpecError(f"no graph can be made of the gate {part.gate!r}")
    slope, offset, top = (np.float32(number) for number in HARD_GATES[part.gate])
    return graph.clip(graph.dense(hidden, weight * slope, bias * slope + offset), 0.0, float(top))


def column(values: NDArray[np.float32]) -> Array:
    """A number for each channel (C,), to go with images (N, C, H, W)."""
    return values.reshape(-1, 1, 1)
