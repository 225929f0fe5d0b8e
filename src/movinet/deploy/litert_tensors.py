"""How a step's ports lie in a TFLite file, for whoever runs one: the lowering itself is imported where one is made."""

from typing import Literal

from movinet.arch import step as names
from movinet.arch.step import TensorSpec

STEP, HEAD = "step", "head"  # names of the signatures

WeightType = Literal["float32", "float16", "int8"]
Arithmetic = Literal["float32", "float16"]
Shape = tuple[int, ...]


def file_shape(port: TensorSpec, streams: int, frames: int = 1) -> Shape:
    """The shape in the file of a signature's port."""
    if port.name == names.FRAMES:
        streams *= frames
    if port.name in (names.LOGITS, names.FEATURES):
        return (streams, *port.shape)
    if len(port.shape) == 1:
        return (streams, 1, 1, *port.shape)
    return (streams, *port.shape[1:], port.shape[0])


def file_dtype(port: TensorSpec, arithmetic: Arithmetic = "float32") -> str:
    """The type in the file of a signature's port: that of past frames is what the arithmetic is in."""
    past = len(port.shape) == 3 and port.name != names.FRAMES
    return arithmetic if past else port.dtype
