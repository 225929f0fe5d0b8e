"""What a network sees of a decoded frame, in one pass, against pictures made in several and by others."""

import tracemalloc
from fractions import Fraction
from pathlib import Path
from zlib import crc32

import av
import numpy as np
import pytest
from av.filter import Graph
from hypothesis import given, settings
from hypothesis import strategies as st
from test_transform import reference
from video_clips import write

from movinet.errors import VideoError
from movinet.recognizer import Recognizer
from movinet.video import pixels
from movinet.video.crop import Crop
from movinet.video.decode import read_frames
from movinet.video.frame import Frame
from movinet.video.pixels import ToRGB
from movinet.video.seen import seen
from movinet.video.transform import Transform

FORMATS = ["yuv420p", "yuvj420p", "yuv422p", "yuvj444p", "yuv444p", "yuv420p10le", "p010le", "nv12", "yuyv422",
           "yuv410p", "yuv411p", "gray", "gray10le", "rgb24", "bgr0", "rgba", "yuva420p", "gbrp", "gbrp10le", "rgb48le",
           "pal8"]  # fmt: skip
MATRICES = [(1, 0, 0, 1), (-1, 0, 0, 1), (1, 0, 0, -1), (-1, 0, 0, -1), (0, 1, 1, 0), (0, 1, -1, 0), (0, -1, 1, 0),
            (0, -1, -1, 0)]  # fmt: skip


def waves(height: int, width: int, length: float = 24.0) -> np.ndarray:
    """Smooth and of no symmetry: what is out of place, turned or of swapped colors is far off."""
    y, x, c = np.indices((height, width, 3))
    return np.rint(128 + 60 * np.sin((x + 2 * c) / length) + 40 * np.cos((y - x / 3 + 5 * c) / length)).astype(np.uint8)


def frame_of(rgb: np.ndarray, layout: str) -> av.VideoFrame:
    if layout == "pal8":
        palette = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 4, 1) | np.array([255, 0, 0, 0], np.uint8)  # ARGB
        return av.VideoFrame.from_ndarray((np.ascontiguousarray(rgb[..., 0]), palette), format="pal8")
    return av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format=layout, interpolation="BICUBIC")


def apart(one: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    off = np.abs(one.astype(float) - other)
    return float(off.max()), float(off.mean())


@settings(max_examples=150)
@given(
    st.sampled_from(FORMATS),
    st.tuples(st.integers(16, 200), st.integers(16, 700)),
    st.tuples(st.integers(12, 60), st.integers(12, 60)),
    st.integers(12, 80),
    st.sampled_from([None, Fraction(4, 3), Fraction(11, 16), Fraction(40, 33)]),
    st.sampled_from(MATRICES),
)
def test_one_pass_sees_what_two_show(layout, size, crop, short, aspect, matrix) -> None:
    """Of every format, turned any way: RGB of full size, then resized."""
    transform = Transform(crop, short, 5.0)
    frame = frame_of(waves(*size), layout)
    to_rgb = ToRGB(aspect)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pixels, "_matrix", lambda _: matrix)
        levels, rgb = to_rgb.levels(frame, transform), to_rgb(frame)
    assert levels.shape == (*crop, 3)
    assert levels.flags.c_contiguous
    most, mean = apart(levels, transform.levels(rgb)[0])
    rough = layout in ("yuv410p", "yuv411p")  # one color for four by four pixels
    assert most < (24 if rough else 16), (most, mean)
    assert mean < (4 if rough else 1.5), (most, mean)


def test_black_and_white_pictures_of_a_bit_a_pixel() -> None:
    """They cannot be cut: a pixel is less than a byte."""
    bits = np.kron(np.random.default_rng(0).integers(0, 2, (20, 80), dtype=np.uint8), np.ones((16, 16), np.uint8))
    gray = av.VideoFrame.from_ndarray(255 * bits, format="gray")
    transform = Transform((40, 40), 40, 5.0)
    levels = ToRGB().levels(gray.reformat(format="monow"), transform)
    assert apart(levels, ToRGB().levels(gray, transform)) < (40, 2)


@settings(max_examples=60)
@given(
    st.sampled_from([(0.299, 0.114, 5, 1), (0.2126, 0.0722, 1, 1), (0.299, 0.114, 5, 2)]),
    st.tuples(st.integers(20, 120), st.integers(20, 300)),
    st.tuples(st.integers(12, 40), st.integers(12, 40)),
    st.integers(12, 60),
)
def test_is_the_books_matrix_and_a_plain_resize(kind, size, crop, short) -> None:
    """By the formulas of BT.601 and BT.709 and in double precision: no line of FFmpeg's takes part."""
    kr, kb, colorspace, color_range = kind
    transform = Transform(crop, short, 5.0)
    # Within what every matrix maps into RGB's cube, so that nothing is cut off.
    y, u, v = (plane.astype(float) for plane in np.moveaxis(waves(*size) // 4 + np.array([100, 96, 96]), -1, 0))
    frame = av.VideoFrame(size[1], size[0], "yuv444p")
    for plane, stored in zip(frame.planes, (y, u, v), strict=True):
        room = np.ndarray(size, np.uint8, memoryview(plane), strides=(plane.line_size, 1))
        room[...] = stored
    frame.colorspace, frame.color_range = colorspace, color_range
    low, luma, chroma = (16, 219, 224) if color_range == 1 else (0, 255, 255)
    light, blue, red = (y - low) / luma, (u - 128) / chroma * (2 - 2 * kb), (v - 128) / chroma * (2 - 2 * kr)
    green = -(kr * red + kb * blue) / (1 - kr - kb)
    rgb = 255 * np.stack([light + red, light + green, light + blue], axis=-1)
    most, mean = apart(ToRGB().levels(frame, transform)[1:-1, 1:-1], reference(rgb[None], transform)[0, 1:-1, 1:-1])
    assert mean < 0.8
    assert most < 4


FLAGS = "flags=bilinear+bitexact+accurate_rnd+full_chroma_int+full_chroma_inp"


@pytest.mark.parametrize("layout", ["yuv420p", "yuv422p", "yuv420p10le", "nv12", "gray", "gbrp"])
@pytest.mark.parametrize(("width", "left"), [(180, 8), (640, 110)])
def test_is_ffmpegs_own_filters_to_the_bit(layout: str, width: int, left: int) -> None:
    """Of the wide picture, its crop goes first."""
    transform = Transform((64, 64), 64, 5.0)
    frame = frame_of(waves(144, width), layout)
    step = 2 if layout in ("yuv420p", "yuv422p", "yuv420p10le", "nv12") else 1
    part, resized, kept = seen(width, width * 64 // 144, left, 64, step)
    assert (part == slice(0, width)) == (width == 180)
    graph = Graph()
    graph.link_nodes(
        graph.add("buffer", f"video_size={width}x144:pix_fmt={layout}:time_base=1/1"),
        graph.add("crop", f"{part.stop - part.start}:144:{part.start}:0"), graph.add("scale", f"{resized}:64:{FLAGS}"),
        graph.add("format", "gbrp"), graph.add("buffersink"),
    ).configure()  # fmt: skip
    graph.push(frame)
    np.testing.assert_array_equal(ToRGB().levels(frame, transform), graph.pull().to_ndarray()[:, kept])


def test_pixels_are_the_same_on_every_processor() -> None:
    """As FFmpeg 8.1 computes them, with vector instructions and without: of all formats, and of full size."""
    y, x, c = np.indices((90, 162, 3))
    rgb = ((y * x * (c + 5) // 97 + x * x // 19) % 256).astype(np.uint8)
    small, full = 0, 0
    for layout in ("yuv420p", "yuvj422p", "yuv444p10le", "nv12", "gray", "bgr0", "gbrp"):
        frame = av.VideoFrame(162, 90, layout)
        for n, plane in enumerate(frame.planes):
            stored = np.resize(np.roll(rgb[..., n % 3], 7 * n), (plane.height, plane.line_size))
            plane.update((stored & (3 if layout == "yuv444p10le" else 255)).tobytes())
        for transform in (Transform((64, 64), 72, 5.0), Transform((172, 172), 192, 5.0)):
            small = crc32(ToRGB(Fraction(8, 7)).levels(frame, transform), small)
        full = crc32(ToRGB()(frame), full)
    assert (small, full) == (3355355821, 3141248841)


def test_interlaced_pictures_are_scaled_whole(tmp_path: Path) -> None:
    """Scaled by fields, what is fine would be torn in two."""
    y, x, c = np.indices((96, 128, 3))
    comb = np.rint(128 + 100 * np.sin((x + 8 * (y % 2)) / 9 + c)).astype(np.uint8)
    path = write(tmp_path / "i.mkv", [comb] * 2, options={"qp": "0", "x264-params": "tff=1"})
    transform = Transform((40, 50), 40, 5.0)
    for frame in read_frames(path):
        assert apart(frame.levels(transform), transform.levels(frame.rgb)[0]) < (9, 0.8)


@pytest.mark.parametrize("size", [(2, 6000), (6000, 4), (2, 2), (4, 20_000)])
@pytest.mark.parametrize("layout", ["yuv420p", "rgba"])
def test_extreme_pictures_cost_little(size: tuple[int, int], layout: str) -> None:
    frame = frame_of(np.full((*size, 3), (200, 100, 50), np.uint8), layout)
    frame.colorspace = 5  # BT.601, which 720 lines would not be taken for
    tracemalloc.start()
    try:
        levels = ToRGB().levels(frame, Transform((224, 224), 256, 5.0))
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()
    assert apart(levels, np.array([200, 100, 50])) < (4, 4)


@settings(max_examples=60)
@given(
    st.tuples(st.integers(60, 200), st.integers(60, 700)),
    st.sampled_from([Crop(0, 0, 1, 1), Crop(0.25, 0.5, 0.5, 0.5), Crop(0.6, 0, 0.4, 1), Crop(10, 20, 40, 30)]),
    st.sampled_from([None, Fraction(4, 3), Fraction(11, 16)]),
    st.sampled_from(MATRICES),
)
def test_a_part_is_what_the_part_of_the_picture_shows(size, crop, aspect, matrix) -> None:
    transform = Transform((24, 30), 30, 5.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pixels, "_matrix", lambda _: matrix)
        whole = Frame.of_decoded(frame_of(waves(*size, length=40.0), "yuv420p"), 0.0, ToRGB(aspect))
        part = whole.cropped(crop)
        levels, rgb = part.levels(transform), part.rgb
    np.testing.assert_array_equal(rgb, crop(whole.rgb))
    off = np.abs(levels[1:-1, 1:-1].astype(int) - transform.levels(rgb)[0][1:-1, 1:-1])
    assert off.mean() < 1 + 60 / 40 * max(1, *(np.array(rgb.shape[:2]) / transform.resized(*rgb.shape[:2])))  # a pixel


def test_a_part_that_is_not_there_is_said_to_be_outside() -> None:
    frame = Frame.of_decoded(frame_of(waves(48, 64), "yuv420p"), 0.0, ToRGB()).cropped(Crop(64, 0, 10, 10))
    for look in (lambda: frame.rgb, lambda: frame.levels(Transform((8, 8), 8, 5.0))):
        with pytest.raises(VideoError, match=r"^the crop of x 64, y 0, width 10, height 10 lies outside the picture"):
            look()


def test_what_is_invisible_does_not_shine_through() -> None:
    """Transparency first, then the scaler: hidden white beside red must not turn it pink."""
    rgba = np.full((64, 64, 4), 255, np.uint8)
    rgba[:, :32, 3] = 0
    rgba[:, 32:, 1:3] = 0
    frame = av.VideoFrame.from_ndarray(rgba, format="rgba")
    levels = ToRGB().levels(frame, Transform((15, 15), 15, 5.0))
    assert levels[..., 1:].max() <= 2
    assert (levels[:, -5:, 0] > 250).all()
    assert (levels[:, :5] < 3).all()


def test_a_part_of_a_large_picture_has_the_colors_of_the_large_one() -> None:
    """Untagged pictures of 720 lines are BT.709, also where a network sees fewer of them."""
    frame = av.VideoFrame(720, 1280, "yuv444p")
    for plane, value in zip(frame.planes, (120, 90, 180), strict=True):
        plane.update(bytes([value]) * plane.buffer_size)
    transform = Transform((60, 60), 64, 5.0)
    assert apart(ToRGB().levels(frame, transform), ToRGB()(frame)[0, 0]) <= (1, 1)


@pytest.mark.parametrize(("tag", "like"), [(3, 2), (10, 9)])
@pytest.mark.parametrize("height", [64, 720])
def test_tags_that_the_scaler_does_not_know_stand_for_others(tag: int, like: int, height: int) -> None:
    """Reserved is untagged; BT.2020 of constant luminance is BT.2020."""
    frame, transform = frame_of(waves(height, 64), "yuv420p"), Transform((32, 32), 32, 5.0)
    looks = []
    for frame.colorspace in (tag, like):
        looks.append((ToRGB()(frame), ToRGB().levels(frame, transform)))
    for found, expected in zip(*looks, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_pixels_that_would_end_the_process_are_refused() -> None:
    with pytest.raises(VideoError, match="ends the whole process over pixels in yaf32"):
        ToRGB()(av.VideoFrame(16, 16, "yaf32le"))


def test_gray_of_limited_range_is_stretched() -> None:
    frame = frame_of(np.repeat(np.array([16, 235], np.uint8), 32)[None, :, None].repeat(64, 0).repeat(3, 2), "gray")
    levels = ToRGB(gray_is_limited=True).levels(frame, Transform((32, 32), 32, 5.0))
    assert (levels[:, :14] == 0).all()
    assert (levels[:, -14:] == 255).all()
    assert set(np.unique(ToRGB().levels(frame, Transform((64, 64), 64, 5.0)))) == {16, 235}


def test_pixels_that_cannot_be_converted_are_an_error_of_the_video(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise av.error.InvalidDataError(1, "no")

    monkeypatch.setattr(pixels, "see_frame", fails)
    with pytest.raises(VideoError, match=r"^x.mp4: a frame of 8×8 cannot be converted to RGB"):
        ToRGB(name="x.mp4").levels(frame_of(waves(8, 8), "yuv420p"), Transform((4, 4), 4, 5.0))


@settings(max_examples=300)
@given(st.integers(1, 3000), st.integers(1, 3000), st.data())
def test_what_is_seen_is_where_it_is_seen(source: int, resized: int, data: st.DataObject) -> None:
    crop = data.draw(st.integers(1, resized))
    first, step = data.draw(st.integers(0, resized - crop)), data.draw(st.sampled_from([1, 2, 4]))
    part, size, kept = seen(source, resized, first, crop, step)
    assert 0 <= part.start < part.stop <= source
    assert part.start % step == 0
    assert part.stop % step == 0 or part.stop == source
    assert kept.stop - kept.start == crop
    assert 0 <= kept.start < kept.stop <= size
    # Where the kept pixels' middles lie in the source, with and without cutting.
    for place, wanted in ((kept.start, first), (kept.stop - 1, first + crop - 1)):
        found = part.start + (place + 0.5) * (part.stop - part.start) / size
        expected = (wanted + 0.5) * source / resized
        assert abs(found - expected) <= (1 / 4 if resized > source else source / resized / 16) + 1e-9
    # All that a filter reaches is there.
    reach = max(1, source / resized)
    assert part.start <= max(0, first * source / resized - reach)
    assert part.stop >= min(source, (first + crop) * source / resized + reach)


def test_of_wide_pictures_only_what_is_seen_is_scaled() -> None:
    part, size, _ = seen(1280, 341, 84, 172, 2)
    assert part.stop - part.start < 780
    assert size < 208
    assert seen(1280, 1280, 500, 100, 2).source.stop < 640


def test_classifying_makes_no_picture_of_full_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise AssertionError("a picture of full size was made")

    path = write(tmp_path / "hd.mp4", [waves(720, 1280, 200.0)] * 30, options={"preset": "ultrafast"})
    recognizer = Recognizer.load("movinet_t0_stream.gestures", threads=1)
    monkeypatch.setattr(ToRGB, "__call__", fails)
    recognizer.classify(path)  # whatever is loaded when it is first needed
    tracemalloc.start()
    try:
        assert recognizer.classify(path).frames == 6
        assert tracemalloc.get_traced_memory()[1] < 720 * 1280
    finally:
        tracemalloc.stop()
