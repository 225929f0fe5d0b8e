"""RGB as a player would show it, from a decoded frame."""

import struct
from fractions import Fraction
from typing import cast

import av
import numpy as np
from av.sidedata.sidedata import SideData
from av.video.reformatter import Colorspace, VideoReformatter
from numpy.typing import NDArray

_UNTAGGED = 2  # AVCOL_SPC_UNSPECIFIED


class ToRGB:
    """Turns decoded frames into uint8 (H, W, 3).

    Colour matrix and range as the frame is tagged; untagged, BT.601 below 720 lines and BT.709 from there, as players
    do. Rotation and mirroring of the display matrix (phones, EXIF) are applied, pixels that are not square made
    square, transparency laid over black. High dynamic range is not tone-mapped.

    Args:
        aspect: Width of a pixel divided by its height, or None for square.
    """

    def __init__(self, aspect: Fraction | None = None) -> None:
        # Beyond 4:1 it is a damaged header, not a lens.
        self.aspect = aspect if aspect and Fraction(1, 4) <= aspect <= 4 else Fraction(1)
        self._reformatter = VideoReformatter()  # one for all: setting one up costs more than a small frame

    def __call__(self, frame: av.VideoFrame) -> NDArray[np.uint8]:
        has_alpha = frame.format.has_palette or any(c.is_alpha for c in frame.format.components)
        untagged_hd = frame.colorspace == _UNTAGGED and not frame.format.is_rgb and frame.height >= 720
        converted = self._reformatter.reformat(
            frame,
            width=round(frame.width * self.aspect),
            format="rgba" if has_alpha else "rgb24",
            src_colorspace=Colorspace.ITU709 if untagged_hd else None,
            threads=1,
        )
        rgb = cast(NDArray[np.uint8], converted.to_ndarray())
        return np.ascontiguousarray(_oriented(_over_black(rgb) if has_alpha else rgb, _display_matrix(frame)))


def _display_matrix(frame: av.VideoFrame) -> tuple[int, int, int, int]:
    """(a, b, c, d) of the map from stored to shown coordinates, x' = a·x + c·y and y' = b·x + d·y, up to scale."""
    data = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return 1, 0, 0, 1
    a, b, _, c, d = struct.unpack_from("=5i", bytes(cast(SideData, data)))
    return a, b, c, d


def _oriented(image: NDArray[np.uint8], matrix: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    """Turned to the nearest right angle, mirrored where the matrix mirrors."""
    a, b, c, d = matrix
    if abs(b) + abs(c) > abs(a) + abs(d):
        image = image.transpose(1, 0, 2)
        flip_x, flip_y = c < 0, b < 0
    else:
        flip_x, flip_y = a < 0, d < 0
    return image[:: -1 if flip_y else 1, :: -1 if flip_x else 1]


def _over_black(rgba: NDArray[np.uint8]) -> NDArray[np.uint8]:
    alpha = rgba[..., 3:]
    if alpha.min(initial=255) == 255:
        return rgba[..., :3]
    return ((rgba[..., :3] * alpha.astype(np.uint16) + 127) // 255).astype(np.uint8)
