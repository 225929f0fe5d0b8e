"""What a network does to a frame before looking at it; carried by its weights."""

from dataclasses import dataclass
from fractions import Fraction
from math import isfinite
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from movinet.arch.limits import LARGEST_SIDE
from movinet.dataclass_io import from_plain, to_plain
from movinet.video.seen import seen


@dataclass(frozen=True)
class Transform:
    """Resize the short side, crop the center, scale the values.

    As in the official evaluation (`official/vision/ops/preprocess_ops_3d.py`): 8-bit resize that keeps the aspect
    ratio, crop offset (dim − size) // 2, and then float. Ours is antialiased.

    Args:
        size: Height and width fed to the network.
        resize_short: The short side is resized to this before the crop; more where the crop would not fit otherwise
            (a 100×300 crop of a 4:3 frame needs a width of 300 whatever the short side).
        fps: Frames a second the network expects. Not used on pixels; decoding goes by it.
        scale: What 0 and 255 become.

    Raises:
        ValueError: A size, rate or range that no frame could be given.
    """

    size: tuple[int, int]
    resize_short: int
    fps: float
    scale: tuple[float, float] = (0.0, 1.0)

    def __post_init__(self) -> None:
        if len(self.size) != 2 or not 1 <= min(self.size) <= max(self.size) <= LARGEST_SIDE:
            raise ValueError(f"size must be (height, width), both from 1 to {LARGEST_SIDE}; got {self.size}")
        if not 1 <= self.resize_short <= LARGEST_SIDE:
            raise ValueError(f"resize_short must lie in 1 to {LARGEST_SIDE}; got {self.resize_short}")
        if not 0 < self.fps < float("inf"):
            raise ValueError(f"fps must be positive; got {self.fps}")
        if len(self.scale) != 2 or self.scale[0] == self.scale[1] or not all(map(isfinite, self.scale)):
            raise ValueError(f"scale must be what 0 and 255 become, two different numbers; got {self.scale}")

    def __call__(self, rgb: "NDArray[np.uint8] | HasArray") -> NDArray[np.float32]:
        """Prepare one frame or a clip.

        Args:
            rgb: uint8 RGB, (H, W, 3) or (T, H, W, 3): an array, or a tensor on the CPU.

        Returns:
            float32 (3, T, h, w), T = 1 for one frame.

        Raises:
            ValueError: Another dtype, shape or channel order; the message says what to do.
        """
        return scale_levels(self.levels(rgb).transpose(3, 0, 1, 2), self.scale)

    def images(self, rgb: "NDArray[np.uint8] | HasArray") -> NDArray[np.float32]:
        """The same with channels last, as engines take them: float32 (T, h, w, 3)."""
        return scale_levels(self.levels(rgb), self.scale)

    def levels(self, rgb: "NDArray[np.uint8] | HasArray") -> NDArray[np.uint8]:
        """The same before it is scaled: uint8 (T, h, w, 3), a copy. Frames that need no resize keep their pixels."""
        # FFmpeg is loaded for pixels, not to read what weights say of themselves.
        from movinet.video.scale import see_rgb

        frames = as_frames(rgb)
        out = np.empty((len(frames), *self.size, 3), np.uint8)
        size = frames.shape[1:3]
        rows, columns = (seen(*axis) for axis in zip(size, *self.placed(*size), self.size, strict=True))
        for frame, image in zip(frames, out, strict=True):
            image[...] = see_rgb(frame, rows, columns)
        return out

    def resized(self, height: int, width: int) -> tuple[int, int]:
        """The size a frame of this size has between resize and crop."""
        crop_h, crop_w = self.size
        factor = max(Fraction(self.resize_short, min(height, width)), Fraction(crop_h, height), Fraction(crop_w, width))
        return max(1, int(height * factor)), max(1, int(width * factor))

    def placed(self, height: int, width: int) -> tuple[tuple[int, int], tuple[int, int]]:
        """The size a frame of this size has between resize and crop, and the first row and column of the crop."""
        height, width = self.resized(height, width)
        return (height, width), ((height - self.size[0]) // 2, (width - self.size[1]) // 2)

    def to_dict(self) -> dict[str, Any]:
        """As plain lists and numbers, for YAML and JSON."""
        return cast("dict[str, Any]", to_plain(self, whole=True))

    @classmethod
    def from_dict(cls, data: Any) -> "Transform":
        """The inverse of `to_dict`.

        Raises:
            MovinetError: An entry is unknown, missing or unfit.
        """
        return from_plain(cls, data, "transform")


class HasArray(Protocol):
    """What numpy can look into, such as a tensor on the CPU."""

    def __array__(self) -> NDArray[Any]: ...


def scale_levels(
    levels: NDArray[np.uint8], scale: tuple[float, float], out: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    """Levels of any shape as float32 values, 0 and 255 becoming the ends of `scale`; written to `out` if given."""
    low, high = scale
    if out is None:
        out = np.empty(levels.shape, np.float32)
    np.multiply(levels, np.float32((high - low) / 255), out=out)
    if low:
        out += np.float32(low)
    return out


def levels_of_floats(rgb: Any) -> Any:
    """Frames as floats in [0, 1], as networks in PyTorch take them, in the form that `as_frames` takes; else as it is.

    Args:
        rgb: (T, H, W, 3) or (H, W, 3); or with channels first: (3, H, W), (T, 3, H, W), or as a network's clip,
            (3, T, H, W) or one in a batch, (1, 3, T, H, W).

    Raises:
        ValueError: Values that lie outside [0, 1], or a shape that may be read in two ways.
    """
    if not hasattr(rgb, "__array__") or "float" not in str(getattr(rgb, "dtype", "")):
        return rgb
    rgb = rgb.detach() if hasattr(rgb, "detach") else rgb  # a network that is trained made them
    try:
        values = np.asarray(rgb if "bfloat16" not in str(rgb.dtype) else rgb.float())
    except TypeError as error:  # a tensor on another device
        raise ValueError(f"frames must be in this computer's memory: {error}") from None
    if values.ndim == 5 and values.shape[0] == 1:
        values = values[0]
    shape = values.shape
    if len(shape) in (3, 4) and shape[-1] != 3:
        if len(shape) == 4 and shape[0] == shape[1] == 3:
            raise ValueError(f"frames of shape {shape} may be read in two ways: move the channels to the end")
        if 3 in shape[:-2]:
            values = np.moveaxis(values, shape[:-2].index(3), -1)
    if values.size and not (values.min() >= 0 and values.max() <= 1):
        raise ValueError(
            f"frames of {rgb.dtype} must lie in [0, 1], not in {values.min():g} to {values.max():g}: give them as uint8"
        )
    return np.round(values * 255).astype(np.uint8)


def as_frames(rgb: "NDArray[np.uint8] | HasArray") -> NDArray[np.uint8]:
    """One RGB frame (H, W, 3) or several (T, H, W, 3), arrays or tensors on the CPU, as a uint8 array (T, H, W, 3).

    Raises:
        ValueError: Another dtype, shape or channel order; the message says what to do.
    """
    if not hasattr(rgb, "__array__") or not hasattr(rgb, "dtype"):
        raise ValueError(f"frames must be a numpy array or a torch tensor, not {type(rgb).__name__}")
    if str(rgb.dtype) not in ("uint8", "torch.uint8"):
        hint = " (multiply values in [0, 1] by 255 first)" if "float" in str(rgb.dtype) else ""
        raise ValueError(f"frames must be uint8 in 0..255, not {rgb.dtype}{hint}")
    try:
        frames = np.asarray(rgb)
    except TypeError as error:  # a tensor on another device
        raise ValueError(f"frames must be in this computer's memory: {error}") from None
    shape = frames.shape
    if len(shape) not in (3, 4) or shape[-1] != 3:
        hint = ""
        if len(shape) == 2 or shape[-1:] == (1,):
            hint = "; this looks gray: repeat it over three channels"
        elif shape[-1:] == (4,):
            hint = "; this looks like RGBA: drop the last channel"
        elif 3 in shape[:-2] and len(shape) in (3, 4):
            hint = "; this looks channels first: move the channels to the end"
        raise ValueError(f"frames must be RGB of shape (H, W, 3) or (T, H, W, 3), not {shape}{hint}")
    if 0 in shape[-3:-1]:
        raise ValueError(f"frames have no pixels: shape {shape}")
    return frames if len(shape) == 4 else frames[None]
