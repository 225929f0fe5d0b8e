"""The part of a picture that is looked at."""

from dataclasses import dataclass
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from movinet.errors import VideoError


@dataclass(frozen=True)
class Crop:
    """A part of every picture: in pixels, or, where no number is above 1, in fractions of its width and height.

    Args:
        x: Of the left edge.
        y: Of the upper edge.
        width, height: Of the part.

    Raises:
        ValueError: It is no part of a picture.
    """

    x: float
    y: float
    width: float
    height: float

    def __post_init__(self) -> None:
        sides = (self.x, self.y, self.width, self.height)
        if not all(isfinite(side) and side >= 0 for side in sides) or min(self.width, self.height) <= 0:
            raise ValueError(f"a crop of {self} is none: want x and y from 0, width and height above 0")
        if self.in_fractions:
            if self.x + self.width > 1 + 1e-9 or self.y + self.height > 1 + 1e-9:
                raise ValueError(f"a crop of {self} reaches beyond the picture, which ends at 1")
        elif any(side != int(side) for side in sides):
            raise ValueError(f"a crop of {self}: pixels are whole numbers, and fractions are up to 1, all four of them")

    def __str__(self) -> str:
        return f"x {self.x:g}, y {self.y:g}, width {self.width:g}, height {self.height:g}"

    @property
    def in_fractions(self) -> bool:
        """Whether the numbers are parts of the picture rather than pixels."""
        return max(self.x, self.y, self.width, self.height) <= 1

    def box(self, height: int, width: int) -> tuple[slice, slice]:
        """Rows and columns of a picture. Of a crop in pixels, what lies in it: sizes may change.

        Raises:
            VideoError: Nothing of it lies in the picture.
        """
        across, down = (width, height) if self.in_fractions else (1, 1)
        left, top = round(self.x * across), round(self.y * down)
        if self.in_fractions:  # something is left of the smallest picture
            left, top = min(left, width - 1), min(top, height - 1)
        right = min(width, max(left + 1, round((self.x + self.width) * across)))
        bottom = min(height, max(top + 1, round((self.y + self.height) * down)))
        if left >= right or top >= bottom:
            raise VideoError(f"the crop of {self} lies outside the picture, which is {width}x{height}")
        return slice(top, bottom), slice(left, right)

    def __call__(self, rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The part of (H, W, 3), a view of it: VideoError as `box`."""
        return rgb[self.box(*rgb.shape[:2])]
