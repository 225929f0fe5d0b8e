"""What becomes of each number between the convolutions of a TFLite graph.

Converters spell one activation in many ways: fused into the convolution, as an operator of its own, as products, sums
and minima. Here each tensor is a function of one number of an earlier tensor, tabulated on a grid, and an activation is
known by its table. All of it is one pass over the operators, which are in order: neither depth nor forks cost more.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from movinet.arch.spec import Activation, Gate
from movinet.errors import WeightsError, brief
from movinet.weights.tflite import TFLiteGraph, TFLiteOperator

Curve = NDArray[np.float64]

GRID: Curve = np.linspace(-10, 10, 161)
_GRID_ONE = 88
_MOST_NUMBERS = 1 << 27  # read of constants, which may share bytes of the file; the largest published network has 2^25
_SAME = {"RESHAPE", "SQUEEZE", "EXPAND_DIMS", "QUANTIZE", "DEQUANTIZE"}  # the same numbers in another shape or format
_TWO: dict[str, Callable[[Curve, Curve], Curve]] = {
    "ADD": np.add,
    "SUB": np.subtract,
    "MUL": np.multiply,
    "DIV": np.divide,
    "MAXIMUM": np.maximum,
    "MINIMUM": np.minimum,
}


def _sigmoid(x: Curve) -> Curve:
    return 1 / (1 + np.exp(-x))


_ONE: dict[str, Callable[[Curve], Curve]] = {
    "LOGISTIC": _sigmoid,
    "HARD_SWISH": lambda x: x * np.clip(x + 3, 0, 6) / 6,
    "RELU": lambda x: np.maximum(x, 0),
    "RELU6": lambda x: np.clip(x, 0, 6),
    "RELU_N1_TO_1": lambda x: np.clip(x, -1, 1),
    "RELU_0_TO_1": lambda x: np.clip(x, 0, 1),
}
_FUSED: dict[str, Callable[[Curve], Curve]] = {
    "none": lambda x: x,
    "relu": _ONE["RELU"],
    "relu6": _ONE["RELU6"],
    "relu_n1_to_1": _ONE["RELU_N1_TO_1"],
}
_ACTIVATIONS: dict[Activation, Curve] = {
    "relu": _ONE["RELU"](GRID),
    "relu6": _ONE["RELU6"](GRID),
    "swish": GRID * _sigmoid(GRID),
    "hard_swish": _ONE["HARD_SWISH"](GRID),
}
# Slope and largest value of the hard sigmoids: clip(slope · x + half, 0, largest).
_HARD_SIGMOIDS: dict[Gate, tuple[float, float]] = {
    "hard_sigmoid_keras": (0.2, 1.0),
    "hard_sigmoid_garden": (0.16667, 6 * 0.16667),
    "hard_sigmoid_torch": (1 / 6, 1.0),
}


@dataclass(frozen=True)
class Value:
    """A tensor as a function of another: each of its numbers is `curve` (over `GRID`) of one of tensor `base`'s."""

    base: int
    curve: Curve

    @property
    def is_base(self) -> bool:
        return bool(np.allclose(self.curve, GRID, atol=1e-6))


class Curves:
    """The tensors of a graph as functions of those that more than a function of one number computed."""

    def __init__(self, graph: TFLiteGraph) -> None:
        self.graph = graph
        self.maker: dict[int, TFLiteOperator] = {}
        """The operator that computed a base."""
        self._values: dict[int, Value] = {}
        self._constants: dict[int, int] = {}  # a tensor that is a constant in another shape or format → the constant
        self._left = _MOST_NUMBERS
        for operator in graph.operators:
            self._add(operator)

    def value(self, tensor: int) -> Value:
        """What a tensor is a function of; an input of the graph, of itself."""
        return self._values.get(tensor) or Value(tensor, GRID)

    def constant(self, tensor: int) -> NDArray[np.float32]:
        """The values of a constant, stored as such or in another format. Raises `WeightsError` where it is none."""
        constant = self._constants.get(tensor, tensor)
        self._left -= prod(self.graph.tensors[constant].shape)
        if self._left < 0:
            raise WeightsError(f"the graph has more than {_MOST_NUMBERS:,} constant numbers: not a MoViNet")
        return self.graph.constant(constant)

    def is_constant(self, tensor: int) -> bool:
        return tensor in self._constants or (
            tensor >= 0 and tensor not in self._values and bool(self.graph.tensors[tensor].data)
        )

    def _add(self, operator: TFLiteOperator) -> None:
        inputs, outputs = operator.inputs, operator.outputs
        if operator.kind in _SAME and inputs and outputs:
            if self.is_constant(inputs[0]):
                self._constants[outputs[0]] = self._constants.get(inputs[0], inputs[0])
                return
            value = self.value(inputs[0])
        else:
            found = self._function(operator)
            if found is None:
                for output in outputs:
                    self.maker[output] = operator
                    self._values[output] = Value(output, _fused(operator, GRID))
                return
            value = found
        self._values[outputs[0]] = value

    def _function(self, operator: TFLiteOperator) -> Value | None:
        """The value of an operator that works number by number on one base and single constants."""
        kind, inputs = operator.kind, operator.inputs
        if len(operator.outputs) != 1 or -1 in inputs:
            return None
        if kind in _ONE and len(inputs) == 1:
            value = self.value(inputs[0])
            return Value(value.base, _ONE[kind](value.curve))
        if kind not in _TWO or len(inputs) != 2:
            return None
        bases = {self.value(i).base for i in inputs if not self.is_constant(i)}
        if len(bases) != 1:
            return None
        curves = []
        for i in inputs:
            curve = self._single(i) if self.is_constant(i) else self.value(i).curve
            if curve is None:
                return None
            curves.append(curve)
        with np.errstate(all="ignore"):
            return Value(bases.pop(), _fused(operator, _TWO[kind](curves[0], curves[1])))

    def _single(self, tensor: int) -> Curve | None:
        """A constant that is one number throughout; int8 files store it as often as it is used."""
        values = self.constant(tensor)
        if values.size == 0 or values.min() != values.max():
            return None
        return np.full_like(GRID, values.flat[0])


def activation(value: Value, where: str) -> Activation:
    """The activation that a curve is. Raises `WeightsError` where it is none we know; `where` says whose it is."""
    for name, curve in _ACTIVATIONS.items():
        if np.abs(value.curve - curve).max() < 1e-3:
            return name
    raise WeightsError(f"{where} is followed by none of the activations {', '.join(_ACTIVATIONS)}")


def slope(value: Value, where: str) -> float:
    """The factor of a curve that is nothing but one. Raises `WeightsError` where it is more."""
    factor = float(value.curve[_GRID_ONE])
    if not np.allclose(value.curve, factor * GRID, rtol=1e-6, atol=1e-6):
        raise WeightsError(f"{where} is followed by more than a factor")
    return factor


def gate(value: Value, where: str, quantized: bool) -> tuple[Gate, float, float]:
    """The gate that a curve is, and (scale, offset) of what it takes: its argument is scale · number + offset.

    Converters move the slope and the half of a hard sigmoid into the convolution before it; so they are taken out.

    Args:
        value: the gate as it was found.
        where: whose it is, for messages.
        quantized: whether its numbers are bytes: a gate that calibration never saw full then ends where it ended.

    Raises:
        WeightsError: it is no gate we know.
    """
    curve = value.curve
    if np.abs(curve - _sigmoid(GRID)).max() < 1e-3:
        return "sigmoid", 1.0, 0.0
    largest = float(curve[-1])
    between = np.flatnonzero((curve > 0) & (curve < largest))
    full = 0 < largest < 1.02 if quantized else abs(largest - 1) < 2e-3
    if abs(curve[0]) < 1e-6 and full and len(between) > 1:
        first, last = between[0], between[-1]
        steepness = float((curve[last] - curve[first]) / (GRID[last] - GRID[first]))
        half = float(curve[first] - steepness * GRID[first])
        if np.allclose(curve, np.clip(steepness * GRID + half, 0, largest), rtol=1e-4, atol=1e-4):
            name = _nearest_hard_sigmoid(steepness, largest)
            own, _ = _HARD_SIGMOIDS[name]
            own_half = 3 * own if name == "hard_sigmoid_garden" else 0.5
            scale, offset = steepness / own, (half - own_half) / own
            return name, _exactly(scale, 1.0), _exactly(offset, 0.0)
    raise WeightsError(f"{where} is followed by no gate we know")


def _nearest_hard_sigmoid(steepness: float, largest: float) -> Gate:
    if abs(steepness - 1 / 6) < 1e-3:  # float16 cannot tell 0.16667 from a sixth; the official tools write 0.16667
        return "hard_sigmoid_torch" if abs(largest - 1) < 2e-6 else "hard_sigmoid_garden"
    return "hard_sigmoid_keras"


def _exactly(number: float, wanted: float) -> float:
    """Rounding is not taken for a factor: weights that need none stay as they are."""
    return wanted if abs(number - wanted) < 1e-5 else number


def _fused(operator: TFLiteOperator, curve: Curve) -> Curve:
    if operator.activation not in _FUSED:
        raise WeightsError(f"operator {brief(operator.kind)} with activation {operator.activation} is not understood")
    return _FUSED[operator.activation](curve)
