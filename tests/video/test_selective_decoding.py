"""What is wanted of a file comes out as if everything had been decoded, whatever the file; and less is decoded."""

import hashlib
from dataclasses import dataclass, field, replace
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
from movinet.video.decode import read_frames
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


def shown(
    path: Path, pacer: FilePacer, threads: int, selects: bool, keeps: list[av.VideoFrame] | None = None
) -> tuple[Shown, Video | None]:
    """(time, stamp, pixels) of what is shown, and how it ended; and the video. Frames that are kept leave the decoder
    other memory for the next."""
    found: list[tuple[float, int | None, str]] = []
    start = pacer.times[0] if pacer.times else pacer.start
    try:
        with open_at(path, start, None, threads, pacer=pacer if selects else None) as video:
            timed = video if keeps is None else (keeps.append(each[2]) or each for each in video)
            for time, frame in pacer.shown(timed):
                found.append((time, frame.pts, hashlib.md5(frame.to_ndarray().tobytes()).hexdigest()))
            return (found, ""), video
    except VideoError as error:
        return (found, str(error)), None


def assert_same(path: Path, pacer: FilePacer, threads: int) -> Video | None:
    reference, _ = shown(path, pacer, threads, selects=False)
    found, video = shown(path, pacer, threads, selects=True)
    assert found == reference
    return video


def assert_no_worse(path: Path, whole: Path, pacer: FilePacer) -> Video | None:
    """A file with damage is shown as decoding all of it would, or as if it were whole: damage of what nothing refers to
    is not met where that is left out, while decoders let it show in what comes after."""
    (reference, _), _ = shown(path, pacer, 1, selects=False)
    (again, _), _ = shown(path, pacer, 1, selects=False, keeps=[])
    (intact, _), _ = shown(whole, pacer, 1, selects=False)
    (found, _), video = shown(path, pacer, 1, selects=True)
    assert [time for time, _, _ in found] == [time for time, _, _ in reference]
    right = {*reference, *intact}
    # What could not be mended is whatever was in memory.
    garbage = {instant[:2] for instant in {*reference} ^ {*again}}
    assert [instant for instant in found if instant not in right and instant[:2] not in garbage] == []
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
flips = st.lists(st.floats(0.1, 1), max_size=4).map(tuple)


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
        flipped=draw(flips) if draw(st.booleans()) else (),
        cut=draw(st.sampled_from([1.0, 1.0, 1.0, 0.9, 0.5])),
    )


pacers = st.builds(
    lambda fps, start, span: FilePacer(fps, start, None if span is None else start + span),
    st.sampled_from([5.0, 5.0, 0.7, 3.0, 12.0, 12.5, 24.0, 25.0, 60.0]),
    st.sampled_from([0.0, 0.0, 0.02, 1.0, 2.5, 3.0]),
    st.sampled_from([None, None, 0.1, 1.0, 1.7]),
) | st.lists(st.floats(0, 4), min_size=1, max_size=6).map(lambda times: FilePacer(times=sorted(times)))


def hold(folder: Path, recipe: Recipe, pacer: FilePacer, threads: int) -> Video | None:
    try:
        path = make(recipe, folder / f"clip.{recipe.container}")
    except (av.error.FFmpegError, ValueError):  # what no encoder makes, or no container holds
        return None
    if not recipe.flipped:
        return assert_same(path, pacer, threads)
    whole = make(replace(recipe, flipped=()), folder / f"whole.{recipe.container}")
    return assert_no_worse(path, whole, pacer)  # by one thread: several mend each from what they happen to have


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(recipes(("libx264", "mpeg2video", "mpeg4", "mjpeg", "libx264")), pacers, st.sampled_from([1, 2, 4]))
def test_selecting_is_exact(tmp_path: Path, recipe: Recipe, pacer: FilePacer, threads: int) -> None:
    hold(tmp_path, replace(recipe, flipped=()), pacer, threads)


@pytest.mark.slow
@settings(max_examples=2000, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(recipes(tuple(CONTAINERS)), pacers, st.sampled_from([1, 2, 4]))
def test_selecting_is_exact_whatever_the_file(tmp_path: Path, recipe: Recipe, pacer: FilePacer, threads: int) -> None:
    hold(tmp_path, recipe, pacer, threads)


def test_nothing_is_decoded_beside_what_is_wanted_and_what_that_refers_to(tmp_path: Path) -> None:
    """A pyramid: of two neighbors that nothing refers to, the frame between them is decoded before either, so what
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


def x264_of(more: str = "b-pyramid=none") -> dict[str, str]:
    """Three B-frames after each other frame."""
    return {"g": "25", "preset": "veryfast", "x264-params": f"bframes=3:b-adapt=0:scenecut=0:{more}"}


@pytest.mark.parametrize("threads", [1, 2, 4])
@pytest.mark.parametrize(
    ("codec", "container", "options", "share"),
    [
        ("libx264", "mp4", x264_of(), 0.55),  # three of four are B-frames, four of five of these fall between instants
        ("libx264", "mkv", x264_of("b-pyramid=normal"), 0.35),
        ("libx264", "ts", x264_of("b-pyramid=none:open-gop=1"), 0.55),
        ("libx264", "mp4", {"tune": "zerolatency"}, 0.0),
        ("mpeg2video", "ts", {"g": "12", "bf": "2"}, 0.45),
        ("mpeg4", "mp4", {"g": "12", "bf": "2"}, 0.45),
        ("mjpeg", "mkv", {}, 0.75),
        ("prores", "mov", {}, 0.75),
    ],
)
def test_what_nobody_wants_is_left_out(
    tmp_path: Path, codec: str, container: str, options: dict[str, str], share: float, threads: int
) -> None:
    path = make(Recipe(codec, container, 100, options), tmp_path / f"clip.{container}")
    video = assert_same(path, FilePacer(5.0), threads)
    assert video is not None
    assert video.packets == 100
    assert share * 100 <= video.skipped <= (share + 0.15) * 100


def test_nothing_is_decoded_after_the_last_instant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make(Recipe("libx264", "mp4", 500, x264_of()), tmp_path / "clip.mp4")
    for pacer in (FilePacer(5.0, 1.0, 2.0), FilePacer(times=[1.0, 1.9])):
        video = assert_same(path, pacer, 1)
        assert video is not None
        assert video.packets < 100  # the rest is not even read


def test_a_hole_at_the_end_is_filled(tmp_path: Path) -> None:
    """What is on screen at the last instant has gone by its own duration, and stays since another comes later."""
    path = make(Recipe("libx264", "mkv", 50, x264_of(), gaps=(*(40,) * 24, 3000)), tmp_path / "clip.mkv")
    assert_same(path, FilePacer(5.0, 0.0, 3.0), 1)
    frames = list(read_frames(path, 5.0, 0.0, 3.0))
    assert len(frames) == 15


def test_an_end_that_only_rounding_tells_from_a_frame(tmp_path: Path) -> None:
    path = make(Recipe("libx264", "mp4", 77, {"g": "1", "bf": "0"}, gaps=(1,), begin=1000), tmp_path / "clip.mp4")
    assert_same(path, FilePacer(5.0, 3.0, 3.1), 1)


def test_a_wanted_frame_that_is_damaged_is_read_anew_with_those_before(tmp_path: Path) -> None:
    """The frame before it, which was left out, is on screen in its place."""
    whole = make(Recipe("libx264", "mkv", 100, x264_of()), tmp_path / "whole.mkv")
    data = bytearray(whole.read_bytes())
    with av.open(str(whole)) as container:
        stream = container.streams.video[0]
        packets = [packet for packet in container.demux(stream) if packet.size]
        wanted = next(packet for packet in packets if packet.pts == 2000)  # of a key frame
        at = data.index(bytes(wanted))
        data[at + 5 : at + wanted.size] = bytes(wanted.size - 5)
    path = tmp_path / "damaged.mkv"
    path.write_bytes(data)
    video = assert_same(path, FilePacer(5.0), 1)
    assert video is not None
    assert video.skipped > 10  # before it, and after it from a key frame on


def test_recordings_that_were_joined_are_decoded_whole_from_the_seam_on(tmp_path: Path) -> None:
    path = make(Recipe("libx264", "ts", 100, x264_of(), joined=1), tmp_path / "clip.ts")
    video = assert_same(path, FilePacer(5.0), 1)
    assert video is not None
    assert 10 < video.skipped < 60


def test_pictures_are_not_trusted_to_stamps_that_avi_does_not_have(tmp_path: Path) -> None:
    path = make(Recipe("libx264", "avi", 50, x264_of()), tmp_path / "clip.avi")
    video = assert_same(path, FilePacer(5.0), 1)
    assert video is not None
    assert video.skipped == 0


def test_interlaced_pictures_of_two_packets_are_not_cut_in_half(tmp_path: Path) -> None:
    path = make(Recipe("libx264", "ts", 50, x264_of("interlaced=1")), tmp_path / "clip.ts")
    video = assert_same(path, FilePacer(5.0), 1)
    assert video is not None
    assert video.skipped == 0
