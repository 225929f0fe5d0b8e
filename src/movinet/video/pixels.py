"""RGB as a player would show it, from a decoded frame: the whole picture, or what a network sees of it."""

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

import av
import av.error
import numpy as np
from av.video.reformatter import Colorspace
from numpy.typing import NDArray

from movinet.errors import VideoError
from movinet.video.crop import Crop
from movinet.video.orientation import Matrices, Turn, oriented, turn
from movinet.video.scale import Kept, convert, see_frame, see_rgb
from movinet.video.seen import Seen, seen, whole
from movinet.video.transform import Transform

_UNTAGGED, _RESERVED, _BT2020_CL = 2, 3, 10  # AVCOL_SPC_UNSPECIFIED, …
_LIMITED = 1  # AVCOL_RANGE_MPEG
_VIDEO_LEVELS = np.clip((np.arange(256) - 16) * (255 / 219) + 0.5, 0, 255).astype(np.uint8)

_matrices: Kept[Matrices] = Kept()


@dataclass(frozen=True)
class ToRGB:
    """Turns the decoded frames of a video into uint8 RGB, in any thread.

    Color matrix and range as the frame is tagged; untagged, BT.601 below 720 lines and BT.709 from there, as players
    do. Rotation and mirroring of the display matrix (phones, EXIF) are applied, pixels that are not square made
    square, transparency laid over black. High dynamic range is not tone-mapped.

    Args:
        aspect: Width of a pixel divided by its height, or None for square. Beyond 4:1 it is a damaged header, not
            a lens, and not believed.
        gray_is_limited: Whether gray frames that do not tell their range have black at 16 and white at 235, as those
            of cameras' codecs do and images do not.
        name: What errors call the video.
    """

    aspect: Fraction | None = None
    gray_is_limited: bool = False
    name: str = "the video"

    def __call__(self, frame: av.VideoFrame) -> NDArray[np.uint8]:
        """The whole picture, (H, W, 3).

        Raises:
            VideoError: The frame's pixels are in a format that cannot be converted.
        """
        return self._picture(frame, None)

    def levels(self, frame: av.VideoFrame, transform: Transform, crop: Crop | None = None) -> NDArray[np.uint8]:
        """What a network sees: (h, w, 3) of the transform's size. Only what is seen is scaled, straight from the
        decoded picture, and turned when it is small.

        Args:
            frame: As decoded.
            transform: The network's.
            crop: The part of the picture, as shown, that it looks at: to half a pixel of the result.

        Raises:
            VideoError: As above; the picture has no such part.
        """
        return self._picture(frame, transform, crop)

    def size(self, frame: av.VideoFrame) -> tuple[int, int]:
        """(height, width) of the whole picture as shown, without making it."""
        square = frame.height, self._square_width(frame)
        return square[::-1] if turn(_matrix(frame)).transposed else square

    def _picture(
        self, frame: av.VideoFrame, transform: Transform | None, crop: Crop | None = None
    ) -> NDArray[np.uint8]:
        try:
            turned = turn(_matrix(frame))
            if transform is None:
                rows, columns = whole(frame.height, frame.height), whole(frame.width, self._square_width(frame))
            else:
                square = frame.height, self._square_width(frame)
                rows, columns = _seen(frame.height, frame.width, square, frame.format.name, transform, turned, crop)
            rgb = self._scaled(frame, rows, columns)
        except (MemoryError, VideoError):
            raise
        except Exception as error:  # PyAV's tables do not know all of FFmpeg's formats, and it fails in many ways
            size = f"{frame.width}×{frame.height}"
            raise VideoError(f"{self.name}: a frame of {size} cannot be converted to RGB: {error}") from error
        return np.ascontiguousarray(oriented(rgb, turned))

    def _square_width(self, frame: av.VideoFrame) -> int:
        aspect = self.aspect if self.aspect and Fraction(1, 4) <= self.aspect <= 4 else 1
        return max(1, round(frame.width * aspect))

    def _scaled(self, frame: av.VideoFrame, rows: Seen, columns: Seen) -> NDArray[np.uint8]:
        layout = _layout(frame.format.name)
        colorspace = None if layout.is_rgb else _colorspace(frame)
        # FFmpeg takes all that is gray for full range.
        stretched = layout.is_gray and (
            frame.color_range == _LIMITED or (not frame.color_range and self.gray_is_limited)
        )
        if not layout.is_plain:  # first laid over black: colors that cannot be seen must not bleed into their neighbors
            rgba = convert(frame, "rgba", colorspace)
            if stretched:
                rgba[..., :3] = _VIDEO_LEVELS[rgba[..., :3]]
            return see_rgb(_over_black(rgba), rows, columns)
        rgb = see_frame(frame, rows, columns, colorspace)
        return _VIDEO_LEVELS[rgb] if stretched else rgb


class _Layout(NamedTuple):
    """What a format's name tells."""

    is_plain: bool  # without transparency, and cut at any pixel that begins a group which shares its color
    is_gray: bool
    is_rgb: bool
    rows: int  # of such a group
    columns: int


@lru_cache(maxsize=256)  # FFmpeg has about that many
def _layout(name: str) -> _Layout:
    layout = av.VideoFormat(name)
    has_alpha = layout.has_palette or any(part.is_alpha for part in layout.components)
    is_gray = sum(not part.is_alpha for part in layout.components) == 1 and not layout.has_palette
    rows, columns = 16 // layout.chroma_height(16), 16 // layout.chroma_width(16)
    return _Layout(not has_alpha and not layout.is_bit_stream, is_gray, layout.is_rgb, rows, columns)


@lru_cache(maxsize=256)  # a frame's are its predecessor's
def _seen(
    height: int,
    width: int,
    square: tuple[int, int],
    layout: str,
    transform: Transform,
    turned: Turn,
    crop: Crop | None,
) -> tuple[Seen, Seen]:
    """What is seen of the rows and columns that are stored: `square` is their size with square pixels."""
    shown = square[::-1] if turned.transposed else square
    boxes = crop.box(*shown) if crop else tuple(slice(0, side) for side in shown)
    sizes, firsts = transform.placed(*(box.stop - box.start for box in boxes))
    axes = []
    for side, box, size, first, kept, flipped in zip(
        shown, boxes, sizes, firsts, transform.size, turned.flipped, strict=True
    ):
        # The whole picture, at the scale of the part.
        larger = Fraction(size, box.stop - box.start)
        whole_size = max(size, round(side * larger))
        place = min(first + round(box.start * larger), whole_size - kept)
        axes.append((whole_size, whole_size - place - kept if flipped else place, kept))
    down, across = axes[::-1] if turned.transposed else axes
    group = _layout(layout)
    return seen(height, *down, group.rows), seen(width, *across, group.columns)


def _colorspace(frame: av.VideoFrame) -> Colorspace | None:
    """The color matrix, where it is not what the frame's tag says or the scaler does not know the tag."""
    if frame.colorspace in (_UNTAGGED, _RESERVED) and frame.height >= 720:
        return Colorspace.ITU709
    if frame.colorspace == _RESERVED:
        return Colorspace.ITU601
    # Constant luminance differs from the other kind at the edges of colors only.
    return Colorspace.BT2020 if frame.colorspace == _BT2020_CL else None


def _matrix(frame: av.VideoFrame) -> tuple[int, int, int, int]:
    return _matrices.get((frame.width, frame.height, frame.format.name), Matrices).of(frame)


def _over_black(rgba: NDArray[np.uint8]) -> NDArray[np.uint8]:
    alpha = rgba[..., 3:]
    if alpha.min(initial=255) == 255:
        return rgba[..., :3]
    return ((rgba[..., :3] * alpha.astype(np.uint16) + 127) // 255).astype(np.uint8)
