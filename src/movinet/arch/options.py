"""The fields of a network's specification as keyword arguments that editors complete and type checkers check."""

from typing import TypedDict

from movinet.arch.layer_spec import BlockSpec, Size
from movinet.arch.spec import Activation, Convolution, Gate, Norm, SqueezeExcitation


class SpecOptions(TypedDict, total=False):
    """Every field of `NetworkSpec`, which says what each means, but for its name and its number of classes."""

    stem: int
    blocks: tuple[BlockSpec, ...]
    project: int
    hidden: int
    size: Size
    fps: float
    frames: int
    causal: bool
    convolution: Convolution
    squeeze_excitation: SqueezeExcitation
    activation: Activation
    gate: Gate
    head_activation: Activation
    positional_encoding: bool
    position_limit: int | None
    rezero: bool
    norm: Norm
    dropout: float
    stochastic_depth: float
    decay: float
