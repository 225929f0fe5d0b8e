"""What a format's writer gives back."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from numpy.typing import NDArray

Format = Literal["onnx", "openvino", "litert", "executorch", "coreml", "browser"]

Arrays = dict[str, NDArray[Any]]
Run = Callable[[Mapping[str, NDArray[Any]]], Arrays]  # inputs by name to outputs by name


@dataclass(frozen=True)
class Written:
    """A network in a file, and the file loaded again in the format's own runtime."""

    model: str  # name of the file
    runtime: str  # what runs it, with its version
    run: Run | None  # None: that does not exist on this machine
    channels_last: Collection[str] = ()  # inputs and outputs that are (B, H, W, C)
    details: dict[str, Any] = field(default_factory=dict)  # what else the manifest should say, as JSON
