"""What a format's writer gives back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from movinet.deploy.run_file import Run

Format = Literal["onnx", "openvino", "litert", "executorch", "coreml", "browser"]
# How weights are stored: in float16 they take half the space, in int8, with a scale for each output, a quarter. What
# calculates is float32 all the same, but float16 in Core ML's such files, and int8 in part of LiteRT's. Activations in
# int8 throughout are not to be had: benchmarks/quantization.py shows that they lose answers and gain no time.
Precision = Literal["float32", "float16", "int8"]
PRECISIONS: dict[Format, tuple[Precision, ...]] = {
    "onnx": ("float32", "float16", "int8"),
    "openvino": ("float32", "float16"),
    "litert": ("float32", "float16", "int8"),
    "executorch": ("float32",),
    "coreml": ("float32", "float16", "int8"),
    "browser": ("float32", "int8"),  # LiteRT.js takes 2 to 3.5 times as long with weights in float16
}


@dataclass(frozen=True)
class Written:
    """A network in a file, and the file loaded again in the format's own runtime where that exists."""

    model: str  # name of the file
    runtime: str  # what runs it, with its version
    run: Run | None  # None: nothing that is here can run it
    channels_last: bool = False  # the frames are (B, H, W, 3)
    shapes: Mapping[str, Sequence[int]] = field(default_factory=dict)  # of tensors that are not as in the signature
    dots: str = "."  # what stands in the file's names where ours have dots
    details: dict[str, Any] = field(default_factory=dict)  # what else the manifest should say, as JSON
