"""What a network does to a frame before looking at it; carried by its weights."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from fractions import Fraction
from math import isfinite
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

from movinet.arch.limits import LARGEST_SIDE
from movinet.errors import brief


@dataclass(frozen=True)
class Transform:
    """Resize the short side, crop the centre, scale the values.

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

    def __call__(self, rgb: NDArray[np.uint8] | Tensor) -> Tensor:
        """Prepare one frame or a clip.

        Args:
            rgb: uint8 RGB, (H, W, 3) or (T, H, W, 3), array or tensor.

        Returns:
            float32 (3, T, h, w), T = 1 for one frame, on the device the frames were on.

        Raises:
            ValueError: Another dtype, shape or channel order; the message says what to do.
        """
        return self.scaled(self.levels(rgb))

    def levels(self, rgb: NDArray[np.uint8] | Tensor) -> Tensor:
        """The same, before it is scaled: uint8 (3, T, h, w)."""
        return self._cropped(_checked(rgb)).permute(1, 0, 2, 3).contiguous()

    def images(self, rgb: NDArray[np.uint8] | Tensor) -> Tensor:
        """The same with channels last, as engines take them: float32 (T, h, w, 3)."""
        return self.scaled(self.image_levels(rgb))

    def image_levels(self, rgb: NDArray[np.uint8] | Tensor) -> Tensor:
        """The same with channels last, before it is scaled: uint8 (T, h, w, 3), a copy."""
        return self._cropped(_checked(rgb)).permute(0, 2, 3, 1).clone(memory_format=torch.contiguous_format)

    def _cropped(self, frames: Tensor) -> Tensor:
        """(T, H, W, 3) to (T, 3, h, w), any strides."""
        crop_h, crop_w = self.size
        if not len(frames):
            return torch.empty((0, 3, crop_h, crop_w), dtype=torch.uint8, device=frames.device)
        height, width = self.resized(frames.shape[1], frames.shape[2])
        frames = frames.permute(0, 3, 1, 2)
        if frames.shape[2:] != (height, width):
            frames = _resize(frames, height, width)
        top, left = (height - crop_h) // 2, (width - crop_w) // 2
        return frames[:, :, top : top + crop_h, left : left + crop_w]

    def scaled(self, levels: Tensor) -> Tensor:
        """uint8 levels of any shape and device, such as a batch of what `levels` gives, in `scale`'s range: float32.

        Raises:
            ValueError: They are not uint8, so scaled already.
        """
        if levels.dtype != torch.uint8:
            raise ValueError(f"levels must be uint8, not {levels.dtype}")
        out = levels.to(torch.float32).div_(255)
        low, high = self.scale
        return out if (low, high) == (0.0, 1.0) else out.mul_(high - low).add_(low)

    def resized(self, height: int, width: int) -> tuple[int, int]:
        """The size a frame of this size has between resize and crop."""
        crop_h, crop_w = self.size
        factor = max(Fraction(self.resize_short, min(height, width)), Fraction(crop_h, height), Fraction(crop_w, width))
        return max(1, int(height * factor)), max(1, int(width * factor))

    def to_dict(self) -> dict[str, Any]:
        """As plain lists and numbers, for YAML and JSON."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Transform":
        """The inverse of `to_dict`. Raises ValueError on unknown, missing or unfit entries."""
        try:
            if not isinstance(data, Mapping):
                raise ValueError("want a mapping of entries")
            height, width = data["size"]
            low, high = data.get("scale", (0.0, 1.0))
            unknown = set(data) - {"size", "resize_short", "fps", "scale"}
            if unknown:
                raise ValueError(f"unknown entries {brief(sorted(map(str, unknown)))}")
            resize_short, fps = int(data["resize_short"]), float(data["fps"])
            return cls((int(height), int(width)), resize_short, fps, (float(low), float(high)))
        except KeyError as error:
            raise ValueError(f"a transform needs {error.args[0]!r}; got {brief(dict(data))}") from None
        except (TypeError, ValueError, OverflowError) as error:
            raise ValueError(f"not a transform: {error}; got {brief(data)}") from None


def _resize(frames: Tensor, height: int, width: int) -> Tensor:
    """Antialiased bilinear, (T, 3, H, W) uint8 to (T, 3, height, width) uint8."""
    # On CPU, 8-bit channels-last is ten times faster than float, off by one level at most; elsewhere missing.
    if frames.device.type == "cpu":
        return interpolate(frames, (height, width), mode="bilinear", antialias=True)
    out = interpolate(frames.float(), (height, width), mode="bilinear", antialias=True)
    return out.round_().clamp_(0, 255).to(torch.uint8)


def _checked(rgb: NDArray[np.uint8] | Tensor) -> Tensor:
    """The frames as a uint8 tensor (T, H, W, 3), or ValueError."""
    if not isinstance(rgb, np.ndarray | Tensor):
        raise ValueError(f"frames must be a numpy array or a torch tensor, not {type(rgb).__name__}")
    shape = tuple(rgb.shape)
    if rgb.dtype not in (np.uint8, torch.uint8):
        hint = " (multiply values in [0, 1] by 255 first)" if "float" in str(rgb.dtype) else ""
        raise ValueError(f"frames must be uint8 in 0..255, not {rgb.dtype}{hint}")
    if len(shape) not in (3, 4) or shape[-1] != 3:
        hint = ""
        if len(shape) == 2 or shape[-1:] == (1,):
            hint = "; this looks grey: repeat it over three channels"
        elif shape[-1:] == (4,):
            hint = "; this looks like RGBA: drop the last channel"
        elif 3 in shape[:-2] and len(shape) in (3, 4):
            hint = "; this looks channels first: move the channels to the end"
        raise ValueError(f"frames must be RGB of shape (H, W, 3) or (T, H, W, 3), not {shape}{hint}")
    if 0 in shape[-3:-1]:
        raise ValueError(f"frames have no pixels: shape {shape}")
    if isinstance(rgb, np.ndarray):
        # torch takes neither negative strides (a flipped or BGR view) nor, without a warning, read-only memory.
        usable = rgb.flags.writeable and all(stride >= 0 for stride in rgb.strides)
        rgb = torch.from_numpy(rgb if usable else rgb.copy("C"))
    return rgb if len(shape) == 4 else rgb[None]
