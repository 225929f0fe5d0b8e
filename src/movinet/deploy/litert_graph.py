"""The operators of a network in TFLite, channels last, in the numbers that were asked for."""

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from movinet.arch.spec import Activation, Gate
from movinet.deploy.litert_tensors import Arithmetic, Shape, WeightType
from movinet.deploy.network import Array, FoldedConvolution, FoldedDense
from movinet.deploy.tflite_writer import Graph, Quantization
from movinet.errors import SpecError

NONE, RELU, RELU6 = 0, 1, 3  # what every operator can do on its way out
_SAME, _VALID = 0, 1


class NetworkGraph(Graph):
    """Operators by what a network calls them; tensors are (N, H, W, C).

    Where weights are int8, those layers compute in int8 for which that is quicker, each row of their input quantized as
    it comes; the others' weights are float16 in the file. `arithmetic` may change on the way.
    """

    def __init__(self, streams: int, weights: WeightType = "float32", arithmetic: Arithmetic = "float32") -> None:
        super().__init__()
        self.streams, self.weights, self.arithmetic = streams, weights, arithmetic

    def number(self, value: float) -> int:
        return self.constant(np.full((1, 1, 1, 1), value, np.float32))

    def kernel(self, array: Array) -> int:
        if self.weights == "float32" or self.arithmetic == "float16":
            return self.constant(array.astype(self.arithmetic))
        return self.apply("DEQUANTIZE", [self.constant(array.astype(np.float16))], array.shape, "float32")

    def small(self, array: Array) -> int:
        """Biases and depthwise kernels: not worth compressing, and older LiteRTs do not take compressed ones."""
        return self.constant(array.astype(self.arithmetic))

    def cast(self, x: int, dtype: str) -> int:
        return x if self.tensors[x].dtype == dtype else self.apply("QUANTIZE", [x], self.shape(x), dtype)

    def binary(self, kind: str, x: int, y: int, fused: int = NONE) -> int:
        shape = tuple(np.broadcast_shapes(self.shape(x), self.shape(y)))
        return self.apply(kind, [x, y], shape, fusedActivationFunction=fused)

    def activate(self, x: int, activation: Activation | None) -> int:
        """An activation as an operator of its own; those that can be fused already were.

        Raises:
            SpecError: it is none that we write.
        """
        match activation:
            case None | "relu" | "relu6":
                return x
            case "hard_swish":
                return self.apply("HARD_SWISH", [x], self.shape(x))
            case "swish":
                return self.binary("MUL", x, self.apply("LOGISTIC", [x], self.shape(x)))
            case _:
                raise _unknown("activation", activation)

    def convolution(self, x: int, part: FoldedConvolution, scale: float = 1.0) -> int:
        """With activation; the weights, not the bias, times `scale`."""
        fused = fused_activation(part.activation)
        if part.groups > 1 or part.weight.shape[:2] == (1, 1):
            y = self.depthwise(x, part.weight[:, 0], part.bias, part.stride, fused)
        else:
            weight = part.weight if scale == 1.0 else part.weight * np.float32(scale)
            shape = self._strided(x, part.stride, weight.shape[0])
            if self.weights == "int8" and weight.shape[2:] == (1, 1) and self._is_heavy(x, weight, shape):
                y = self.dense(x, FoldedDense(weight[:, :, 0, 0], part.bias), fused)
            else:  # (O, kh, kw, I)
                inputs = [x, self.kernel(weight.transpose(0, 2, 3, 1)), self.small(part.bias)]
                y = self._windowed("CONV_2D", inputs, shape, part.stride, fused)
        return self.activate(y, part.activation)

    def depthwise(self, x: int, weight: Array, bias: Array | None, stride: int = 1, fused: int = NONE) -> int:
        """Every channel with its own kernel (C, kh, kw)."""
        channels = len(weight)
        bias = np.zeros(channels, np.float32) if bias is None else bias
        inputs = [x, self.small(weight.transpose(1, 2, 0)[None]), self.small(bias)]
        shape = self._strided(x, stride, channels)
        return self._windowed("DEPTHWISE_CONV_2D", inputs, shape, stride, fused, depthMultiplier=1)

    def convolution_of_frames(self, frames: Sequence[int], weight: Array, bias: Array, fused: int = NONE) -> int:
        """A depthwise convolution over as many frames as it has taps (C, kt).

        The frames are joined along their height and the kernel's taps lie a frame's height apart: to join and convolve
        takes a third less time than to scale and add frame by frame, and no tensor has to change its shape.
        """
        kernel = self.small(weight.T[None, :, None])  # (1, kt, 1, C)
        inputs = [self.concatenate(frames, 1), kernel, self.small(bias)]
        return self.apply(
            "DEPTHWISE_CONV_2D",
            inputs,
            self.shape(frames[0]),
            padding=_VALID,
            strideW=1,
            strideH=1,
            fusedActivationFunction=fused,
            depthMultiplier=1,
            dilationHFactor=self.shape(frames[0])[1],
        )

    def average_pool(self, x: int, stride: int) -> int:
        """3×3; like TensorFlow's, it divides by the pixels inside the picture."""
        shape = self._strided(x, stride, self.shape(x)[3])
        return self._windowed("AVERAGE_POOL_2D", [x], shape, stride, NONE, filterWidth=3, filterHeight=3)

    def dense(self, x: int, part: FoldedDense, fused: int = NONE, keep: bool = True) -> int:
        """A dense layer on the last axis, without its activation; without `keep`, the result is (streams, outputs)."""
        weight = part.weight
        kernel = self._quantized(weight) if self.weights == "int8" else self.kernel(weight)
        shape = (*self.shape(x)[:-1], weight.shape[0]) if keep else (self.streams, weight.shape[0])
        return self.apply(
            "FULLY_CONNECTED",
            [x, kernel, self.small(part.bias)],
            shape,
            fusedActivationFunction=fused,
            keepNumDims=keep,
            asymmetricQuantizeInputs=self.weights == "int8",
        )

    def mean(self, x: int) -> int:
        n, _, _, c = self.shape(x)
        return self.apply("MEAN", [x, self.constant(np.array([1, 2], np.int32))], (n, 1, 1, c), keepDims=True)

    def reshape(self, x: int, shape: Shape) -> int:
        target = self.constant(np.array(shape, np.int32))
        return self.apply("RESHAPE", [x, target], shape, newShape=list(shape))

    def concatenate(self, parts: Sequence[int], axis: int) -> int:
        if len(parts) == 1:
            return parts[0]
        shape = list(self.shape(parts[0]))
        shape[axis] = sum(self.shape(part)[axis] for part in parts)
        return self.apply("CONCATENATION", parts, tuple(shape), axis=axis)

    def chunks(self, x: int, count: int, axis: int = 0) -> list[int]:
        if count == 1:
            return [x]
        size = list(self.shape(x))
        size[axis] //= count
        pieces = []
        for i in range(count):
            begin = [0] * len(size)
            begin[axis] = i * size[axis]
            bounds = [self.constant(np.array(bound, np.int32)) for bound in (begin, size)]
            pieces.append(self.apply("SLICE", [x, *bounds], tuple(size)))
        return pieces

    def _quantized(self, values: Array) -> int:
        """Symmetric int8, a scale for each output."""
        scale = np.abs(values).max(1) / np.float32(127)
        scale[scale == 0] = 1
        made = self.constant(_rounded(values / scale[:, None]).astype(np.int8))
        self.tensors[made].quantization = Quantization(scale, np.zeros(len(scale), np.int64))
        return made

    def _is_heavy(self, x: int, weight: Array, shape: Shape) -> bool:
        """Whether a 1×1 convolution has so many weights that int8 saves more time than quantizing its input takes."""
        return 5 * weight.size >= prod(self.shape(x)[1:]) + prod(shape[1:])

    def _strided(self, x: int, stride: int, channels: int) -> Shape:
        n, h, w, _ = self.shape(x)
        return n, -(-h // stride), -(-w // stride), channels

    def _windowed(self, kind: str, inputs: list[int], shape: Shape, stride: int, fused: int, **options: Any) -> int:
        return self.apply(
            kind,
            inputs,
            shape,
            padding=_SAME,
            strideW=stride,
            strideH=stride,
            fusedActivationFunction=fused,
            **options,
        )


def fused_activation(activation: Activation | None) -> int:
    """What the operator before an activation does of it; `activate` does the rest.

    Raises:
        SpecError: it is none that we write.
    """
    match activation:
        case "relu":
            return RELU
        case "relu6":
            return RELU6
        case "swish" | "hard_swish" | None:
            return NONE
        case _:
            raise _unknown("activation", activation)


def gate_of(gate: Gate) -> tuple[float, float] | None:
    """Slope and scale of a gate relu6(slope · x + 3) · scale, for the weights before and after; None: LOGISTIC does it.

    Raises:
        SpecError: it is none that we write.
    """
    match gate:
        case "sigmoid":
            return None
        case "hard_sigmoid_keras":
            return 1.2, 1 / 6
        case "hard_sigmoid_garden":
            return 1.0, 0.16667
        case "hard_sigmoid_torch":
            return 1.0, 1 / 6
        case _:
            raise _unknown("gate", gate)


def _unknown(what: str, name: str) -> SpecError:
    return SpecError(f"LiteRT files have no {what} {name!r} yet: take the engine 'torch', or export to onnx")


def _rounded(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows of numbers up to 127 rounded so that their sums stay what they were, within a half.

    Activations are mostly positive: errors that cancel in the sum all but cancel in the answer. This halves the error
    of the logits.
    """
    rounded = np.round(rows)
    error = rows - rounded
    lacking = np.round(error.sum(1, keepdims=True))
    order = (-error * np.sign(lacking)).argsort(1).argsort(1)  # of those that were nearest to being rounded that way
    rounded += np.sign(lacking) * (order < np.abs(lacking))
    return np.clip(rounded, -127, 127)
