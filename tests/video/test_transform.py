"""Resize, crop and scale against plain float references; helpful refusals."""

import json
import re
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from zlib import crc32

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from movinet.video.transform import Transform


def triangle(size: int, new: int, crop: int) -> np.ndarray:
    """(crop, size) weights of the middle of a bilinear interpolation to `new` pixels.

    Its filter widens as it shrinks; beyond the edge the picture repeats.
    """
    scale = size / new
    centers = ((new - crop) // 2 + np.arange(crop)[:, None] + 0.5) * scale
    margin = int(np.ceil(scale)) + 1
    places = np.arange(-margin, size + margin)
    weights = np.maximum(0, 1 - np.abs(places + 0.5 - centers) / max(scale, 1))
    inside = np.zeros((crop, size))
    np.add.at(inside, (slice(None), np.clip(places, 0, size - 1)), weights / weights.sum(axis=1, keepdims=True))
    return inside


def reference(rgb: np.ndarray, transform: Transform) -> np.ndarray:
    """In double precision, by matrices, without a thought for speed: channels last, 0 to 255."""
    rows, columns = (
        triangle(*axis) for axis in zip(rgb.shape[1:3], transform.resized(*rgb.shape[1:3]), transform.size, strict=True)
    )
    return np.einsum("yh,thwc,xw->tyxc", rows, rgb, columns, optimize=True)


@settings(max_examples=100, deadline=None)
@given(
    st.tuples(st.integers(1, 3), st.integers(8, 90), st.integers(8, 90)),
    st.tuples(st.integers(4, 50), st.integers(4, 50)),
    st.integers(1, 60),
    st.sampled_from([(0.0, 1.0), (-1.0, 1.0), (0.0, 255.0)]),
    st.integers(0, 2**32 - 1),
)
def test_is_the_float_computation_within_a_level(shape, size, resize_short, scale, seed) -> None:
    transform = Transform(size, resize_short, 5.0, scale)
    rgb = np.random.default_rng(seed).integers(0, 256, (*shape, 3), dtype=np.uint8)
    levels = transform.levels(rgb)
    assert levels.shape == (shape[0], *size, 3)
    assert levels.dtype == np.uint8
    clip = transform(rgb)
    assert clip.flags.c_contiguous
    assert clip.dtype == np.float32
    expected = scale[0] + levels.astype(np.float64) / 255 * (scale[1] - scale[0])
    np.testing.assert_allclose(clip, expected.transpose(3, 0, 1, 2), atol=2e-7 * max(map(abs, scale)))
    resized = transform.resized(*shape[1:])
    if all(new <= 4 * crop for new, crop in zip(resized, size, strict=True)):
        # swscale weighs what lies beyond the first row and column otherwise.
        starts = [((new - crop) // 2, new, crop) for new, crop in zip(resized, size, strict=True)]
        inner = [slice(int(start == 0), crop - int(start + crop == new)) for start, new, crop in starts]
        off = np.abs(levels - reference(rgb, transform))
        assert off[:, inner[0], inner[1]].max(initial=0) < 1.3
        assert off.max() < 20


@settings(max_examples=50, deadline=None)
@given(st.integers(8, 60), st.integers(200, 1500), st.integers(8, 40), st.integers(30, 90), st.booleans())
def test_of_long_pictures_and_small_crops_it_is_the_same_middle(short, long, crop, resize_short, turned) -> None:
    transform = Transform((crop, crop), resize_short, 5.0)
    size = (long, short) if turned else (short, long)
    y, x = np.indices(size)
    # Waves of thirty pixels of the result: one out of place changes by 27 levels at most.
    pixels = 30 * max(1, short / resize_short)
    rgb = np.stack([128 + 127 * np.sin(2 * np.pi * place / pixels) for place in (y, x, x + y)], axis=-1)
    off = np.abs(transform.levels(rgb.astype(np.uint8))[0] - reference(rgb[None], transform)[0])
    assert off[1:-1, 1:-1].max() < 8


def test_extreme_pictures_cost_little() -> None:
    transform = Transform((224, 224), 256, 5.0)
    tracemalloc.start()
    try:
        for size in ((2, 6000), (6000, 2), (1, 1), (3, 20_000), (1, 100_000)):
            rgb = np.full((*size, 3), (10, 20, 30), np.uint8)
            assert (transform.levels(rgb) == (10, 20, 30)).all()
        assert tracemalloc.get_traced_memory()[1] < 2**24
    finally:
        tracemalloc.stop()


def test_a_picture_that_fits_keeps_its_pixels() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (2, 24, 40, 3), dtype=np.uint8)
    np.testing.assert_array_equal(Transform((24, 32), 24, 5.0).levels(rgb), rgb[:, :, 4:36])


def test_pixels_are_the_same_on_every_processor() -> None:
    """As FFmpeg 8.1 computes them, with vector instructions and without."""
    y, x, c = np.indices((120, 213, 3))
    rgb = ((y * x * (c + 5) // 97 + x * x // 19) % 256).astype(np.uint8)
    found = [crc32(Transform(size, short, 5.0).levels(rgb)) for size, short in (((64, 80), 72), ((172, 172), 192))]
    assert found == [2929826897, 3945151158]


def test_threads_do_not_share_a_scaler() -> None:
    transform = Transform((40, 40), 44, 5.0)
    pictures = [np.random.default_rng(n).integers(0, 256, (90, 70 + n, 3), dtype=np.uint8) for n in range(8)]
    expected = [transform.levels(rgb) for rgb in pictures]
    with ThreadPoolExecutor(4) as threads:
        for _ in range(20):
            for levels, wanted in zip(threads.map(transform.levels, pictures), expected, strict=True):
                np.testing.assert_array_equal(levels, wanted)


@settings(deadline=None)
@given(st.integers(1, 2000), st.integers(1, 2000), st.integers(1, 400))
def test_short_side_is_exact_and_aspect_is_kept(height: int, width: int, short: int) -> None:
    new_h, new_w = Transform((1, 1), short, 5.0).resized(height, width)
    assert min(new_h, new_w) == short
    assert max(new_h, new_w) == max(height, width) * short // min(height, width)  # as tf.models' resize_smallest


@settings(deadline=None)
@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 200), st.integers(1, 200), st.integers(1, 200))
def test_resized_always_holds_the_crop(height: int, width: int, crop_h: int, crop_w: int, short: int) -> None:
    new_h, new_w = Transform((crop_h, crop_w), short, 5.0).resized(height, width)
    assert new_h >= crop_h
    assert new_w >= crop_w
    assert min(new_h, new_w) >= short


@pytest.mark.parametrize(("width", "left"), [(10, 3), (11, 3), (9, 2), (4, 0), (5, 0)])
def test_crop_offset_rounds_down(width: int, left: int) -> None:
    rgb = np.broadcast_to(np.arange(width, dtype=np.uint8)[None, :, None], (4, width, 3))
    out = Transform((4, 4), 4, 5.0, (0.0, 255.0))(rgb)
    assert out[0, 0, 0].tolist() == [left, left + 1, left + 2, left + 3]


def test_one_frame_array_tensor_view_and_readonly_agree() -> None:
    transform = Transform((17, 21), 24, 5.0)
    rgb = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    expected = transform(rgb)
    assert expected.shape == (3, 1, 17, 21)
    readonly = rgb.copy()
    readonly.flags.writeable = False
    for same in (
        torch.from_numpy(rgb),
        rgb[None],
        readonly,
        rgb[:, :, ::-1].copy()[:, :, ::-1],
        np.asfortranarray(rgb),
    ):
        np.testing.assert_array_equal(transform(same), expected)


def test_no_frames_give_an_empty_clip() -> None:
    assert Transform((8, 9), 8, 5.0)(np.empty((0, 20, 20, 3), np.uint8)).shape == (3, 0, 8, 9)


@pytest.mark.parametrize(
    ("rgb", "words"),
    [
        (np.zeros((8, 8, 3), np.float32), "uint8 in 0..255, not float32 (multiply values in [0, 1] by 255"),
        (torch.zeros(8, 8, 3), "not torch.float32 (multiply"),
        (np.zeros((8, 8, 4), np.uint8), "RGBA"),
        (np.zeros((8, 8), np.uint8), "gray"),
        (np.zeros((8, 8, 1), np.uint8), "gray"),
        (np.zeros((3, 8, 8), np.uint8), "channels first"),
        (np.zeros((2, 3, 8, 8), np.uint8), "channels first"),
        (np.zeros((1, 2, 8, 8, 3), np.uint8), "(H, W, 3) or (T, H, W, 3), not (1, 2, 8, 8, 3)"),
        (np.zeros((0, 8, 3), np.uint8), "no pixels"),
        ([[1, 2]], "not list"),
    ],
)
def test_refuses_with_a_hint(rgb, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        Transform((8, 8), 8, 5.0)(rgb)


def test_pictures_too_large_for_the_scaler_are_refused() -> None:
    rgb = np.broadcast_to(np.zeros((1, 1, 3), np.uint8), (20_000, 20_000, 3))  # of three bytes
    with pytest.raises(ValueError, match="20000×20000 pixels cannot be resized to 8×8"):
        Transform((8, 8), 8, 5.0)(rgb)


def test_tensors_elsewhere_are_refused() -> None:
    with pytest.raises(ValueError, match="this computer's memory"):
        Transform((8, 8), 8, 5.0)(torch.zeros(8, 8, 3, dtype=torch.uint8, device="meta"))


def test_images_are_the_same_with_channels_last_and_never_the_callers_memory() -> None:
    transform = Transform((8, 8), 8, 5.0, (-1.0, 1.0))
    for shape in ((8, 8, 3), (2, 11, 17, 3)):
        rgb = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
        images = transform.images(rgb)
        np.testing.assert_array_equal(images, transform(rgb).transpose(1, 2, 3, 0))
        assert images.flags.c_contiguous
        levels = transform.levels(rgb)
        before = levels.copy()
        rgb[...] = 0
        np.testing.assert_array_equal(levels, before)


def test_dictionary_round_trip_through_json() -> None:
    transform = Transform((172, 180), 200, 12.5, (-1.0, 1.0))
    assert Transform.from_dict(json.loads(json.dumps(transform.to_dict()))) == transform
    assert Transform.from_dict({"size": [1, 2], "resize_short": 3, "fps": 4}) == Transform((1, 2), 3, 4.0)


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"size": [1, 2], "resize_short": 3},
        {"size": 5, "resize_short": 3, "fps": 5},
        {"size": [1, 2], "resize_short": 3, "fps": 0},
        {"size": [0, 2], "resize_short": 3, "fps": 5},
        {"size": [1, 2], "resize_short": 3, "fps": 5, "mean": 0.5},
        {"size": [1, 2], "resize_short": 3, "fps": 5, "scale": [1, 1]},
    ],
)
def test_unfit_dictionaries_are_refused(data) -> None:
    with pytest.raises(ValueError, match=r"transform|fps|size|scale"):
        Transform.from_dict(data)
