"""The part of a picture that is looked at: in pixels, in fractions, of pictures of any size."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from movinet.errors import VideoError
from movinet.video.crop import Crop
from movinet.video.frame import Frame
from movinet.video.transform import Transform

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


def test_a_frame_is_cut_before_it_is_prepared() -> None:
    frame, transform = Frame.of_rgb(PICTURE, 2.0), Transform((8, 8), 8, 5.0)
    part = frame.cropped(Crop(0.5, 0, 0.5, 1))
    np.testing.assert_array_equal(part.rgb, PICTURE[:, 32:])
    np.testing.assert_array_equal(part.levels(transform), transform.levels(PICTURE[:, 32:])[0])
    assert part.time == 2.0
    assert part.at(3.0).rgb is part.rgb, "frames that repeat share their pixels"
    np.testing.assert_array_equal(part.cropped(Crop(0, 0, 8, 8)).rgb, PICTURE[:8, 32:40])
    np.testing.assert_array_equal(frame.rgb, PICTURE)
    with pytest.raises(VideoError, match="outside the picture"):
        _ = frame.cropped(Crop(100, 0, 8, 8)).rgb


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
