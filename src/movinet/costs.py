"""What any network costs. MoViNets are counted from their specification; those they are compared with are modules and
no walk over layers, so that they are built, without contents, and counted: by PyTorch."""

from typing import TYPE_CHECKING

from movinet.arch import count
from movinet.arch.baseline_spec import BaselineSpec
from movinet.arch.layer_spec import Size
from movinet.arch.parameters import Shape
from movinet.arch.parameters import parameter_shapes as shapes_of_movinet
from movinet.arch.spec import Spec

if TYPE_CHECKING:
    from movinet.baselines.baseline_cost import BaselineCost


def parameters(spec: Spec) -> int:
    """Trainable parameters."""
    return _baseline(spec).parameters if isinstance(spec, BaselineSpec) else count.parameters(spec)


def parameter_shapes(spec: Spec) -> dict[str, Shape]:
    """Every array of a network, named as in its state dict, without batch norm's count of batches."""
    return _baseline(spec).shapes if isinstance(spec, BaselineSpec) else shapes_of_movinet(spec)


def macs_per_frame(spec: Spec, size: Size | None = None) -> float:
    """Multiply-adds a frame: of one step of a stream network, or of a base network's clip spread over its frames."""
    if isinstance(spec, BaselineSpec):
        return macs_per_clip(spec, size) / spec.frames
    return count.macs_per_frame(spec, size)


def macs_per_clip(spec: Spec, size: Size | None = None, frames: int | None = None) -> int:
    """Multiply-adds of a clip of `frames` frames (the specification's own number by default)."""
    if not isinstance(spec, BaselineSpec):
        return count.macs_per_clip(spec, size, frames)
    frames = spec.frames if frames is None else frames
    return _baseline(spec).macs(frames, size or spec.size) if frames else 0


def state_bytes(spec: Spec, size: Size | None = None, bytes_per_number: int = 4) -> int:
    """Bytes of one stream's buffers and pools; `bytes_per_number` is 4 for float32."""
    if isinstance(spec, BaselineSpec):
        return bytes_per_number * _baseline(spec).state_numbers(size or spec.size)
    return count.state_bytes(spec, size, bytes_per_number)


def receptive_field(spec: Spec) -> int:
    """Frames the convolutions see; the pools of a network see all of them."""
    return _baseline(spec).receptive_field if isinstance(spec, BaselineSpec) else count.receptive_field(spec)


def delay(spec: Spec) -> int:
    """Frames a feature waits for its future: none in a stream network, half the receptive field in a base network."""
    return 0 if spec.causal else (receptive_field(spec) - 1) // 2


def _baseline(spec: BaselineSpec) -> "BaselineCost":
    from movinet.baselines.baseline_cost import baseline_cost

    return baseline_cost(spec)
