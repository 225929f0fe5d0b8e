"""RGB as a player would show it, from a decoded frame."""

import threading
from fractions import Fraction
from typing import cast

import av
import numpy as np
from av.video.reformatter import Colorspace, VideoReformatter
from numpy.typing import NDArray

from movinet.errors import VideoError
from movinet.video.orientation import Matrices, oriented

_UNTAGGED, _LIMITED = 2, 1  # AVCOL_SPC_UNSPECIFIED, AVCOL_RANGE_MPEG
_VIDEO_LEVELS = np.clip((np.arange(256) - 16) * (255 / 219) + 0.5, 0, 255).astype(np.uint8)


class _Tools(threading.local):
    """What a thread keeps between frames of a video: setting up a scaler costs more than converting a small frame."""

    def __init__(self) -> None:
        self.matrices, self.reformatter = Matrices(), VideoReformatter()


class ToRGB:
    """Turns decoded frames into uint8 (H, W, 3), in any thread.

    Colour matrix and range as the frame is tagged; untagged, BT.601 below 720 lines and BT.709 from there, as players
    do. Rotation and mirroring of the display matrix (phones, EXIF) are applied, pixels that are not square made
    square, transparency laid over black. High dynamic range is not tone-mapped.

    Args:
        aspect: Width of a pixel divided by its height, or None for square.
        gray_is_limited: Whether gray frames that do not tell their range have black at 16 and white at 235, as those
            of cameras' codecs do and images do not.
        name: What errors call the video.

    Raises:
        VideoError: Calling it with a frame whose pixels are in a format that cannot be converted.
    """

    def __init__(self, aspect: Fraction | None = None, gray_is_limited: bool = False, name: str = "the video") -> None:
        # Beyond 4:1 it is a damaged header, not a lens.
        self.aspect = aspect if aspect and Fraction(1, 4) <= aspect <= 4 else Fraction(1)
        self._gray_is_limited = gray_is_limited
        self._name = name
        self._tools = _Tools()

    def __call__(self, frame: av.VideoFrame) -> NDArray[np.uint8]:
        try:
            rgb, has_alpha, is_gray = self._converted(frame)
        except MemoryError:
            raise
        except Exception as error:  # PyAV's tables do not know all of FFmpeg's formats, and it fails in many ways
            size = f"{frame.width}×{frame.height}"
            raise VideoError(f"{self._name}: a frame of {size} cannot be converted to RGB: {error}") from error
        if is_gray and (frame.color_range == _LIMITED or (not frame.color_range and self._gray_is_limited)):
            rgb[..., :3] = _VIDEO_LEVELS[rgb[..., :3]]  # FFmpeg takes all that is gray for full range
        return np.ascontiguousarray(oriented(_over_black(rgb) if has_alpha else rgb, self._tools.matrices.of(frame)))

    def _converted(self, frame: av.VideoFrame) -> tuple[NDArray[np.uint8], bool, bool]:
        """RGB or, where there is transparency, RGBA; whether there is; whether there are no colors."""
        parts = frame.format.components
        has_alpha = frame.format.has_palette or any(part.is_alpha for part in parts)
        is_gray = sum(not part.is_alpha for part in parts) == 1 and not frame.format.has_palette
        untagged_hd = frame.colorspace == _UNTAGGED and not frame.format.is_rgb and frame.height >= 720
        converted = self._tools.reformatter.reformat(
            frame,
            width=max(1, round(frame.width * self.aspect)),
            format="rgba" if has_alpha else "rgb24",
            src_colorspace=Colorspace.ITU709 if untagged_hd else None,
            threads=1,
        )
        return cast(NDArray[np.uint8], converted.to_ndarray()), has_alpha, is_gray


def _over_black(rgba: NDArray[np.uint8]) -> NDArray[np.uint8]:
    alpha = rgba[..., 3:]
    if alpha.min(initial=255) == 255:
        return rgba[..., :3]
    return ((rgba[..., :3] * alpha.astype(np.uint16) + 127) // 255).astype(np.uint8)
