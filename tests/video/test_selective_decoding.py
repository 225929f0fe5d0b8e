"""What is wanted of a file comes out as if everything had been decoded, whatever the file; and less is decoded."""

import hashlib
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import accumulate
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from movinet.errors import VideoError
from movinet.video.container import Video, open_at
from movinet.video.pacer import FilePacer

CONTAINERS = {
    "libx264": ("mp4", "mkv", "ts", "mov", "flv", "avi"),
    "libx265": ("mp4", "mkv", "ts"),
    "mpeg2video": ("ts", "mkv", "mpg"),
    "mpeg4": ("mp4", "mkv", "avi"),
    "mjpeg": ("mkv", "mov"),
    "libvpx-vp9": ("webm",),
    "libvpx": ("webm",),
    "prores": ("mov",),
}


@dataclass(frozen=True)
class Recipe:
    """A video to be made: all that its decoder may stumble over."""

    codec: str
    container: str
    frames: int
    options: dict[str, str] = field(default_factory=dict)
    gaps: tuple[int, ...] = ()
    """Milliseconds between frames, from the first on; those after 40."""
    begin: int = 0
    """Milliseconds of the first frame's stamp."""
    joined: int = 0
    """How many times it is put behind itself."""
    flipped: tuple[float, ...] = ()
    """Where in the file, from 0 to 1, a byte is changed."""
    cut: float = 1.0
    """Where the file ends."""


def make(recipe: Recipe, path: Path) -> Path:
    """A picture that moves and flickers, so that no two frames are the same."""
    size = (96, 128) if recipe.codec == "libx265" else (32, 48)  # smaller, its encoder overruns its memory
    random = np.random.default_rng(0)
    background = random.integers(0, 256, (size[0] + 64, size[1] + 64, 3), np.uint8)
    gaps = (*recipe.gaps, *(40,) * recipe.frames)[: recipe.frames - 1]
    ticks = list(accumulate(gaps, initial=recipe.begin))
    with av.open(str(path), "w") as out:
        stream = out.add_stream(recipe.codec, rate=25, options=recipe.options)
        stream.height, stream.width = size
        stream.pix_fmt = {"mjpeg": "yuvj420p", "prores": "yuv422p10le"}.get(recipe.codec, "yuv420p")
        # MPEG knows no other rates.
        stream.codec_context.time_base = Fraction(1, 25 if recipe.codec in ("mpeg2video", "mpeg4") else 1000)
        stream.codec_context.thread_count = 1
        for number, tick in enumerate(ticks):
            y, x = abs(number % 128 - 64), abs((number * 3) % 128 - 64)
            image = background[y : y + size[0], x : x + size[1]] // 2 + number % 100
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = tick, Fraction(1, 1000)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    data = bytearray(path.read_bytes() * (1 + recipe.joined))
    for place in recipe.flipped:
        data[int(place * (len(data) - 1))] ^= 0x55
    path.write_bytes(data[: max(1, int(recipe.cut * len(data)))])
    return path


Shown = tuple[list[tuple[float, int | None, str]], str]


def shown(path: Path, pacer: FilePacer, threads: int, selects: bool) -> tuple[Shown, Video | None]:
    """(time, stamp, pixels) of what is shown, and how it ended; and the video."""
    found: list[tuple[float, int | None, str]] = []
    start = pacer.times[0] if pacer.times else pacer.start
    try:
        with open_at(path, start, None, threads, pacer=pacer if selects else None) as video:
            for time, frame in pacer.shown(video):
                found.append((time, frame.pts, hashlib.md5(frame.to_ndarray().tobytes()).hexdigest()))
            return (found, ""), video
    except VideoError as error:
        return (found, str(error)), None


def assert_same(path: Path, pacer: FilePacer, threads: int) -> Video | None:
    reference, _ = shown(path, pacer, threads, selects=False)
    found, video = shown(path, pacer, threads, selects=True)
    assert found == reference
    return video


x264 = st.fixed_dictionaries(
    {
        "g": st.integers(1, 60).map(str),
        "bf": st.integers(0, 5).map(str),
        "b-pyramid": st.sampled_from(["none", "normal", "strict"]),
        "refs": st.integers(1, 4).map(str),
        "preset": st.sampled_from(["ultrafast", "veryfast"]),
    },
    optional={
        "x264-params": st.sampled_from(
            ["open-gop=1", "interlaced=1", "bframes=8:b-adapt=0", "intra-refresh=1", "slices=3", "fake-interlaced=1"]
        )
    },
)
x265 = st.builds(
    lambda gop, b, pyramid, more: {
        "preset": "ultrafast",
        "x265-params": f"log-level=none:keyint={gop}:bframes={b}:b-pyramid={pyramid}:pools=none:frame-threads=1{more}",
    },
    st.integers(1, 40),
    st.integers(0, 4),
    st.integers(0, 1),
    st.sampled_from(["", ":open-gop=1", ":temporal-layers=3", ":b-adapt=0"]),
)
plain = st.builds(lambda gop, b: {"g": str(gop), "bf": str(b)}, st.integers(1, 30), st.integers(0, 3))
vpx = st.builds(lambda gop: {"g": str(gop), "deadline": "realtime", "cpu-used": "8"}, st.integers(1, 40))
OPTIONS = {"libx264": x264, "libx265": x265, "mpeg2video": plain, "mpeg4": plain, "libvpx-vp9": vpx, "libvpx": vpx}

gaps = st.lists(st.sampled_from([1, 5, 20, 33, 40, 41, 80, 100, 400, 2500]), max_size=40).map(tuple)


@st.composite
def recipes(draw: st.DrawFn, codecs: tuple[str, ...]) -> Recipe:
    codec = draw(st.sampled_from(codecs))
    container = draw(st.sampled_from(CONTAINERS[codec]))
    return Recipe(
        codec,
        container,
        frames=draw(st.integers(1, 90)),
        options=draw(OPTIONS.get(codec, st.just({}))),
        gaps=draw(gaps) if codec not in ("mpeg2video", "mpeg4") and draw(st.booleans()) else (),
        begin=draw(st.sampled_from([0, 0, 40, 1000, 60000])),
        joined=draw(st.sampled_from([0, 0, 0, 1])) if container == "ts" else 0,
        cut=draw(st.sampled_from([1.0, 1.0, 1.0, 0.9, 0.5])),
    )


pacers = st.builds(
    lambda fps, start, span: FilePacer(fps, start, None if span is None else start + span),
    st.sampled_from([5.0, 5.0, 0.7, 3.0, 12.0, 12.5, 24.0, 25.0, 60.0]),
    st.sampled_from([0.0, 0.0, 0.02, 1.0, 2.5, 3.0]),
    st.sampled_from([None, None, 0.1, 1.0, 1.7]),
) | st.lists(st.floats(0, 4), min_size=1, max_size=6).map(lambda times: FilePacer(times=sorted(times)))


def hold(folder: Path, recipe: Recipe, pacer: FilePacer, threads: int) -> None:
    try:
        path = make(recipe, folder / f"clip.{recipe.container}")
    except (av.error.FFmpegError, ValueError):  # what no encoder makes, or no container holds
        return
    assert_same(path, pacer, threads)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(recipes(("libx264", "mpeg2video", "mpeg4", "mjpeg", "libx264")), pacers, st.sampled_from([1, 2, 4]))
def test_selecting_is_exact(tmp_path: Path, recipe: Recipe, pacer: FilePacer, threads: int) -> None:
    hold(tmp_path, recipe, pacer, threads)


@pytest.mark.slow
@settings(max_examples=3000, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(recipes(tuple(CONTAINERS)), pacers, st.sampled_from([1, 2, 4]))
def test_selecting_is_exact_at_length(tmp_path: Path, recipe: Recipe, pacer: FilePacer, threads: int) -> None:
    hold(tmp_path, recipe, pacer, threads)


def test_nothing_is_decoded_beside_what_is_wanted_and_what_that_refers_to(tmp_path: Path) -> None:
    """A pyramid: of two neighbours that nothing refers to, the frame between them is decoded before either, so what
    comes after the first of them is not ahead of it."""
    options = {"g": "60", "bf": "3", "b-pyramid": "normal", "preset": "veryfast", "b-adapt": "0"}
    path = make(Recipe("libx264", "mp4", 121, options), tmp_path / "pyramid.mp4")
    with av.open(str(path)) as container:
        container.streams.video[0].codec_context.skip_frame = "NONREF"
        referred_to = {round(25 * frame.time) for frame in container.decode(video=0) if frame.time is not None}
    wanted = set(range(0, 121, 5))
    video = assert_same(path, FilePacer(5.0), threads=1)
    assert video is not None
    assert video.skipped >= 121 - len(referred_to | wanted) - 3  # all is decoded until the first frame has come
