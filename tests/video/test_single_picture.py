"""The size that a picture says it has, held against what FFmpeg finds when it decodes it."""

import struct
from fractions import Fraction
from typing import cast

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from movinet.errors import VideoError
from movinet.video.net.sources import Limits
from movinet.video.single_picture import decode_picture, picture_kind, stated_size

CODECS = {
    "jpeg": ("mjpeg", "yuvj420p"),
    "png": ("png", "rgb24"),
    "bmp": ("bmp", "bgr24"),
    "webp": ("libwebp", "yuv420p"),
}


def encoded(kind: str, width: int, height: int, **options: str) -> bytes:
    codec, pixels = CODECS[kind]
    pixels = options.pop("pixels", pixels)
    encoder = cast(av.VideoCodecContext, av.CodecContext.create(codec, "w"))
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = width, height, pixels, Fraction(1, 1)
    encoder.options = options
    if kind == "jpeg":
        encoder.color_range = 2
    y, x = np.mgrid[:height, :width]
    rgb = np.stack([x, y, x + y], -1).astype(np.uint8)
    frame = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(
        format=pixels, dst_color_range=2 if kind == "jpeg" else 1
    )
    frame.pts = 0
    return b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])


@pytest.mark.parametrize("size", [(64, 48), (17, 33), (640, 2)])
@pytest.mark.parametrize(
    ("kind", "options"),
    [("jpeg", {}), ("png", {}), ("bmp", {}), ("webp", {}), ("webp", {"lossless": "1", "pixels": "bgra"})],
    ids=["jpeg", "png", "bmp", "webp", "webp-lossless"],
)
def test_sizes_are_those_that_decoders_find(kind: str, options: dict[str, str], size: tuple[int, int]) -> None:
    data = encoded(kind, *size, **options)
    assert picture_kind(data) == kind
    assert stated_size(data) == size
    frame = decode_picture(data, "x", Limits(max_pixels=size[0] * size[1]))
    assert (frame.width, frame.height) == size
    with pytest.raises(VideoError, match="refused"):
        decode_picture(data, "x", Limits(max_pixels=size[0] * size[1] - 1))


def test_a_jpeg_inside_another_is_not_taken_for_it() -> None:
    """Thumbnails of cameras stand in a segment of their own."""
    small, large = encoded("jpeg", 16, 8), encoded("jpeg", 64, 48)
    segment = b"\xff\xe1" + struct.pack(">H", len(small) + 2) + small
    assert stated_size(large[:2] + segment + large[2:]) == (64, 48)


def test_progressive_pictures_are_read_and_endless_ones_refused() -> None:
    data = encoded("jpeg", 64, 48)
    scan = data.index(b"\xff\xda")
    header = data[scan : scan + 2 + int.from_bytes(data[scan + 2 : scan + 4], "big")]
    assert stated_size(data[:-2] + header * 9 + b"\xff\xd9") == (64, 48)
    with pytest.raises(ValueError, match="scans"):
        stated_size(data[:-2] + header * 40 + b"\xff\xd9")


def test_pictures_that_say_two_sizes_or_move_are_refused() -> None:
    small, large = encoded("jpeg", 16, 8), encoded("jpeg", 64, 48)
    with pytest.raises(ValueError, match="twice"):
        stated_size(small[:-2] + large[2:])
    assert stated_size(small + large) == (16, 8), "what follows the end is no part of it"
    with pytest.raises(ValueError, match="moves"):
        stated_size(b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\x02\0\0\0" + b"\0" * 6)


def test_a_bmp_from_right_to_left_is_refused() -> None:
    data = bytearray(PICTURES["bmp"])
    data[18:22] = struct.pack("<i", -40)
    with pytest.raises(ValueError, match="a BMP that is -40 wide"):
        stated_size(bytes(data))


@given(st.data())
def test_bytes_of_any_kind_are_a_picture_or_an_error(data: st.DataObject) -> None:
    """Cut, changed and made up."""
    kind = data.draw(st.sampled_from(sorted(CODECS)))
    whole = bytearray(PICTURES[kind])
    for _ in range(data.draw(st.integers(0, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    tried = bytes(whole[: data.draw(st.integers(0, len(whole)))])
    try:
        width, height = stated_size(tried)
    except ValueError:
        return
    assert 0 <= width < 1 << 32
    assert 0 <= height < 1 << 32
    try:
        frame = decode_picture(tried, "x", Limits(max_pixels=10_000))
    except VideoError:
        return
    assert (frame.width, frame.height) == (width, height)


PICTURES = {kind: encoded(kind, 40, 30) for kind in CODECS}
