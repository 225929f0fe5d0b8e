"""Resize, crop and scale against plain float references; helpful refusals."""

import json
import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from movinet.video.transform import Transform


def triangle(size: int, new: int) -> np.ndarray:
    """(new, size) weights of bilinear interpolation whose filter widens as it shrinks."""
    scale = size / new
    centres = (np.arange(new)[:, None] + 0.5) * scale
    weights = np.maximum(0, 1 - np.abs(np.arange(size) + 0.5 - centres) / max(scale, 1))
    return weights / weights.sum(axis=1, keepdims=True)


def reference(rgb: np.ndarray, transform: Transform) -> np.ndarray:
    """In double precision, by matrices, without a thought for speed."""
    height, width = transform.resized(*rgb.shape[1:3])
    rows, columns = triangle(rgb.shape[1], height), triangle(rgb.shape[2], width)
    images = np.einsum("yh,thwc,xw->ctyx", rows, rgb, columns, optimize=True)
    top, left = (height - transform.size[0]) // 2, (width - transform.size[1]) // 2
    images = images[:, :, top : top + transform.size[0], left : left + transform.size[1]] / 255
    return transform.scale[0] + images * (transform.scale[1] - transform.scale[0])


@settings(max_examples=50, deadline=None)
@given(
    st.tuples(st.integers(1, 3), st.integers(1, 90), st.integers(1, 90)),
    st.tuples(st.integers(1, 50), st.integers(1, 50)),
    st.integers(1, 60),
    st.sampled_from([(0.0, 1.0), (-1.0, 1.0), (0.0, 255.0)]),
)
def test_is_the_float_computation_within_a_level(shape, size, resize_short, scale) -> None:
    transform = Transform(size, resize_short, 5.0, scale)
    rgb = torch.randint(0, 256, (*shape, 3), dtype=torch.uint8)
    out = transform(rgb)
    assert out.shape == (3, shape[0], *size)
    assert out.dtype == torch.float32
    assert out.is_contiguous()
    assert torch.equal(out, transform.scaled(transform.levels(rgb)[None])[0])
    # The 8-bit resize rounds after each of its two passes.
    levels = np.abs(out.numpy() - reference(rgb.numpy(), transform)) * 255 / abs(scale[1] - scale[0])
    assert levels.max() < 1.3


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
        assert torch.equal(transform(same), expected)


def test_no_frames_give_an_empty_clip() -> None:
    assert Transform((8, 9), 8, 5.0)(np.empty((0, 20, 20, 3), np.uint8)).shape == (3, 0, 8, 9)


@pytest.mark.parametrize(
    ("rgb", "words"),
    [
        (np.zeros((8, 8, 3), np.float32), "uint8 in 0..255, not float32 (multiply values in [0, 1] by 255"),
        (torch.zeros(8, 8, 3), "not torch.float32 (multiply"),
        (np.zeros((8, 8, 4), np.uint8), "RGBA"),
        (np.zeros((8, 8), np.uint8), "grey"),
        (np.zeros((8, 8, 1), np.uint8), "grey"),
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


def test_images_are_the_same_with_channels_last_and_never_the_callers_memory() -> None:
    transform = Transform((8, 8), 8, 5.0, (-1.0, 1.0))
    for shape in ((8, 8, 3), (2, 11, 17, 3)):
        rgb = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
        images = transform.images(rgb)
        assert torch.equal(images, transform(rgb).permute(1, 2, 3, 0))
        assert images.is_contiguous()
        levels = transform.image_levels(rgb)
        before = levels.clone()
        rgb[...] = 0
        assert torch.equal(levels, before)


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
