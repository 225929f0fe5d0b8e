"""The part of a picture that is looked at: in pixels, in fractions, of pictures of any size."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from movinet.video.crop import Crop

PICTURE = np.arange(48 * 64 * 3, dtype=np.uint32).astype(np.uint8).reshape(48, 64, 3)


def test_pixels_are_counted_from_the_upper_left_corner() -> None:
    np.testing.assert_array_equal(Crop(10, 5, 20, 30)(PICTURE), PICTURE[5:35, 10:30])


def test_fractions_are_of_the_picture_whatever_its_size() -> None:
    half = Crop(0.5, 0, 0.5, 1)
    np.testing.assert_array_equal(half(PICTURE), PICTURE[:, 32:])
    np.testing.assert_array_equal(half(PICTURE[:24, :32]), PICTURE[:24, 16:32])
    np.testing.assert_array_equal(Crop(0, 0, 1, 1)(PICTURE), PICTURE)


def test_of_a_crop_that_reaches_beyond_a_picture_what_lies_in_it_is_left() -> None:
    np.testing.assert_array_equal(Crop(40, 40, 640, 480)(PICTURE), PICTURE[40:, 40:])
    with pytest.raises(ValueError, match="outside the picture, which is 64x48"):
        Crop(64, 0, 10, 10)(PICTURE)


@given(*[st.floats(0, 1)] * 4, st.integers(1, 50), st.integers(1, 50))
def test_a_fraction_always_leaves_something(
    x: float, y: float, width: float, height: float, rows: int, columns: int
) -> None:
    x, y = min(x, 0.99), min(y, 0.99)
    width, height = max(1e-6, min(width, 1 - x)), max(1e-6, min(height, 1 - y))
    part = Crop(x, y, width, height)(PICTURE[:rows, :columns])
    assert part.size
    assert part.shape[0] <= rows
    assert part.shape[1] <= columns


@pytest.mark.parametrize(
    ("sides", "words"),
    [
        ((0, 0, 0, 1), "is none"),
        ((-0.1, 0, 0.5, 0.5), "is none"),
        ((0, 0, float("nan"), 1), "is none"),
        ((0.6, 0, 0.5, 1), "beyond the picture"),
        ((0.5, 0, 320, 240), "pixels are whole numbers"),
    ],
)
def test_what_is_no_part_of_a_picture_is_refused(sides: tuple[float, float, float, float], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Crop(*sides)
