"""Real files of many kinds, made here, against what was put into them."""

import itertools
import logging
import re
import tracemalloc
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from video_clips import number_of, numbered, write, write_planes, write_sound

from movinet.errors import VideoError
from movinet.video.container import Video, open_at
from movinet.video.decode import duration, probe, read_at, read_clip, read_frames
from movinet.video.timing import LATE
from movinet.video.transform import Transform, scale_levels

MS = Fraction(1, 1000)
KINDS = {
    "mp4": ("libx264", "yuv420p", {}),
    "mkv": ("libx265", "yuv420p", {"x265-params": "log-level=none:pools=1"}),
    "webm": ("libvpx-vp9", "yuv420p", {"deadline": "realtime", "cpu-used": "8"}),
    "avi": ("mpeg4", "yuv420p", {}),
    "ts": ("libx264", "yuv420p", {}),
    "mov": ("mjpeg", "yuvj420p", {}),
    "gif": ("gif", "rgb8", {}),
}


def numbers(path: Path, *args, **kwargs) -> list[int]:
    return [number_of(frame.rgb) for frame in read_frames(path, *args, **kwargs)]


@pytest.fixture(scope="module")
def long_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """200 frames at 25 a second with B-frames, a key frame every 30."""
    path = tmp_path_factory.mktemp("long") / "long.mp4"
    return write(path, [numbered(i) for i in range(200)], options={"g": "30", "bf": "3"})


@pytest.mark.parametrize("kind", KINDS)
def test_every_container_at_its_own_and_at_another_rate(tmp_path: Path, kind: str) -> None:
    codec, pixels, options = KINDS[kind]
    path = write(tmp_path / f"clip.{kind}", [numbered(i) for i in range(30)], None, Fraction(1, 20), codec, pixels,
                 options=options)  # fmt: skip
    assert numbers(path) == list(range(30))
    assert numbers(path, 5) == list(range(0, 30, 4))
    assert numbers(path, 40) == [i // 2 for i in range(60)]
    assert [frame.time for frame in read_frames(path, 5)] == [k / 5 for k in range(8)]
    info = probe(path)
    assert info.size == (32, 64)
    assert info.fps == pytest.approx(20, rel=0.01)
    assert info.frames is None or abs(info.frames - 30) <= 2


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(5, 300), min_size=0, max_size=25), st.floats(1, 40), st.sampled_from(["mkv", "mp4"]))
def test_variable_frame_rates_by_presentation_time(tmp_path_factory, gaps: list[int], fps: float, kind: str) -> None:
    ticks = list(itertools.accumulate(gaps, initial=0))
    path = tmp_path_factory.mktemp("vfr") / f"clip.{kind}"
    write(path, [numbered(i) for i in range(len(ticks))], ticks, MS, options={"bf": "2", "preset": "ultrafast"})
    got = list(read_frames(path, fps))
    for k, frame in enumerate(got):
        assert frame.time == k / fps
        # A frame that begins at the very instant may count as shown or not: rounding decides.
        now = 1000 * (k / fps + LATE)
        shown = {max(i for i, tick in enumerate(ticks) if tick <= now + slack) for slack in (-1e-6, 1e-6)}
        assert number_of(frame.rgb) in shown
    assert len(got) / fps + LATE >= ticks[-1] / 1000 - 1e-9  # no frame is left out at the end


@pytest.mark.parametrize("kind", ["mp4", "mkv", "ts", "avi"])
@pytest.mark.parametrize("start", [0.48, 2.52, 5.0, 7.96])
def test_start_and_end_are_a_slice_of_the_whole(tmp_path: Path, kind: str, start: float) -> None:
    codec, _, _ = KINDS[kind]
    bf = {} if kind == "avi" else {"bf": "3"}
    path = write(tmp_path / f"c.{kind}", [numbered(i) for i in range(200)], codec=codec, options={"g": "30", **bf})
    first = round(start * 25)
    assert numbers(path, 25, start, start + 0.4) == list(range(first, min(first + 10, 200)))
    assert numbers(path, None, start) == list(range(first, 200))


@settings(max_examples=20)
@given(st.lists(st.floats(0, 9), min_size=1, max_size=6), st.integers(0, 1))
def test_single_instants_are_what_is_shown_then(long_clip: Path, times: list[float], threads: int) -> None:
    times.sort()
    frames = list(read_at(long_clip, times, threads=threads))
    assert [frame.time for frame in frames] == times
    assert [number_of(frame.rgb) for frame in frames] == [min(199, int((t + LATE) * 25)) for t in times]


def test_single_instants_of_an_image_folder(tmp_path: Path) -> None:
    for number in range(4):
        save(tmp_path / f"{number}.png", numbered(number), "rgb24", "rgb24")
    frames = list(read_at(tmp_path, [0.0, 0.3, 0.3, 0.9], folder_fps=5))
    assert [number_of(frame.rgb) for frame in frames] == [0, 1, 1, 3]
    assert frames[1].rgb is frames[2].rgb
    assert duration(tmp_path, folder_fps=5) == 0.8


def test_duration_is_told_or_found(long_clip: Path, tmp_path: Path) -> None:
    assert duration(long_clip) == pytest.approx(8.0)
    raw = write(tmp_path / "raw.h264", [numbered(i) for i in range(50)], container="h264")  # tells none
    assert duration(raw) == pytest.approx(2.0, abs=0.1)


def test_seeking_skips_what_comes_before(long_clip: Path) -> None:
    with open_at(long_clip, 7.0) as video:
        assert 5.9 < next(video)[0] <= 7.0


def test_time_counts_from_the_first_frame_wherever_its_clock_begins(tmp_path: Path) -> None:
    ticks = range(1000, 1020)
    path = write(tmp_path / "late.mkv", [numbered(i) for i in range(20)], ticks)
    assert [frame.time for frame in read_frames(path)][:2] == [0, pytest.approx(0.04)]
    assert numbers(path, 5) == [0, 5, 10, 15]


def test_raw_stream_without_time_stamps_and_a_change_of_size(tmp_path: Path) -> None:
    small = write(tmp_path / "a.h264", [numbered(i) for i in range(5)], container="h264", options={"bf": "0"})
    large = write(tmp_path / "b.h264", [numbered(i, 48, 96) for i in range(5)], container="h264", options={"bf": "0"})
    both = tmp_path / "both.h264"
    both.write_bytes(small.read_bytes() + large.read_bytes())
    frames = list(read_frames(both))
    assert [frame.rgb.shape for frame in frames] == [(32, 64, 3)] * 5 + [(48, 96, 3)] * 5
    assert [number_of(frame.rgb) for frame in frames] == [0, 1, 2, 3, 4] * 2
    assert [frame.time for frame in frames] == pytest.approx([i / 25 for i in range(10)])
    assert read_clip(both, Transform((16, 16), 16, 5.0)).shape == (3, 2, 16, 16)


def asymmetric(height: int = 32, width: int = 48) -> np.ndarray:
    """Red top left, green top right, blue bottom left, white bottom right."""
    image = np.zeros((height, width, 3), np.uint8)
    image[: height // 2, : width // 2, 0] = 255
    image[: height // 2, width // 2 :, 1] = 255
    image[height // 2 :, : width // 2, 2] = 255
    image[height // 2 :, width // 2 :] = 255
    return image


def same_picture(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape == b.shape and np.abs(a.astype(int) - b.astype(int)).mean() < 20


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
@pytest.mark.parametrize("mirrored", [False, True])
def test_rotation_and_mirroring(tmp_path: Path, degrees: int, mirrored: bool) -> None:
    stored = asymmetric()
    path = write(tmp_path / "r.mp4", [stored] * 3, rotation=(degrees, mirrored, False))
    shown = np.rot90(stored, degrees // 90)  # counter-clockwise
    shown = shown[:, ::-1] if mirrored else shown
    assert same_picture(next(read_frames(path)).rgb, shown)
    assert probe(path).size == shown.shape[:2]
    if not mirrored:
        assert probe(path).rotation % 360 == degrees


BT601, BT709 = (0.299, 0.114), (0.2126, 0.0722)


def stored(rgb: tuple[int, int, int], weights: tuple[float, float], full: bool) -> tuple[int, int, int]:
    """Y, U, V by the book."""
    kr, kb = weights
    r, g, b = (value / 255 for value in rgb)
    y = kr * r + (1 - kr - kb) * g + kb * b
    u, v = (b - y) / (2 - 2 * kb), (r - y) / (2 - 2 * kr)
    if full:
        return round(255 * y), round(128 + 255 * u), round(128 + 255 * v)
    return round(16 + 219 * y), round(128 + 224 * u), round(128 + 224 * v)


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize(
    ("tag", "weights", "size"),
    [(1, BT709, (32, 32)), (5, BT601, (32, 32)), (6, BT601, (720, 64)), (2, BT601, (32, 32)), (2, BT709, (720, 64))],
)
def test_colors_by_their_tags(tmp_path: Path, tag: int, weights, size, full: bool) -> None:
    for rgb in [(200, 60, 30), (30, 200, 90), (255, 255, 255), (0, 0, 0)]:
        path = write_planes(tmp_path / "c.mkv", stored(rgb, weights, full), tag, 2 if full else 1, size)
        seen = next(read_frames(path)).rgb
        assert np.abs(seen.astype(int) - rgb).max() <= 3, (rgb, seen[0, 0])


def save(path: Path, image: np.ndarray, source: str, pixels: str, codec: str = "png") -> Path:
    return write(path, [image], codec=codec, pixels=pixels, container="image2", source=source)


def test_gray_alpha_and_palette_images(tmp_path: Path) -> None:
    gray = np.arange(0, 252, dtype=np.uint8).reshape(12, 21)
    assert (next(read_frames(save(tmp_path / "g.png", gray, "gray", "gray"))).rgb == gray[..., None]).all()
    rgba = np.full((6, 8, 4), 200, np.uint8)
    rgba[:, :4, 3], rgba[:, 4:, 3] = 0, 255
    shown = next(read_frames(save(tmp_path / "a.png", rgba, "rgba", "rgba"))).rgb
    assert (shown[:, :4] == 0).all()
    assert (shown[:, 4:] == 200).all()


@pytest.mark.parametrize("size", [(33, 47), (1, 1), (17, 64)])
def test_odd_sizes(tmp_path: Path, size: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    path = write(tmp_path / "o.mkv", [image] * 2, codec="ffv1", pixels="bgr0")
    assert all((frame.rgb == image).all() for frame in read_frames(path))
    odd = write(tmp_path / "y.avi", [numbered(3, 33, 71)] * 2, codec="mjpeg", pixels="yuvj420p")
    assert [frame.rgb.shape for frame in read_frames(odd)] == [(33, 71, 3)] * 2


def test_pixels_that_are_not_square(tmp_path: Path) -> None:
    path = write(tmp_path / "s.mp4", [asymmetric(32, 48)] * 2, options={"aspect": "3:2"})
    assert same_picture(next(read_frames(path)).rgb, asymmetric(32, 72))
    assert probe(path).size == (32, 72)


def test_one_frame_lasts_its_duration_and_one_image_is_a_video(tmp_path: Path) -> None:
    path = write(tmp_path / "one.mp4", [numbered(7)], time_base=Fraction(1, 2))
    assert numbers(path, 10) == [7] * 5
    assert numbers(path) == [7]
    image = save(tmp_path / "a.png", numbered(9), "rgb24", "rgb24").rename(tmp_path / "50%d: a.png")
    assert numbers(image, 5) == [9]
    assert probe(image).size == (32, 64)


def test_image_folder_in_natural_order(tmp_path: Path) -> None:
    for number in (10, 2, 1, 9):
        save(tmp_path / f"frame{number}.PNG", numbered(number), "rgb24", "rgb24")
    (tmp_path / "notes.txt").write_text("not an image")
    assert numbers(tmp_path, 5) == [1, 2, 9, 10]
    assert [frame.time for frame in read_frames(tmp_path, 5)] == [0, 0.2, 0.4, 0.6]
    assert [frame.time for frame in read_frames(tmp_path)] == [0, 1, 2, 3]
    assert numbers(tmp_path, 5, folder_fps=10) == [1, 9]
    assert numbers(tmp_path, 5, 0.2, 0.6) == [2, 9]
    assert probe(tmp_path).frames == 4
    with pytest.raises(VideoError, match="its 4 images last"):
        list(read_frames(tmp_path, 5, start=3))


def test_missing_and_unfit_files_say_so(tmp_path: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("hello " * 100)
    empty = tmp_path / "empty.mp4"
    empty.touch()
    for path, words in [
        (tmp_path / "gone.mp4", "no such file"),
        (tmp_path, "without images"),
        (text, "not a video"),
        (empty, "not a video"),
        (write_sound(tmp_path / "sound.m4a"), "no video, only audio"),
        (np.zeros((2, 8, 8, 3), np.uint8), "by its path or address, not a value of the type ndarray$"),
        ([text, text], "one video is wanted"),
    ]:
        with pytest.raises(VideoError, match=words):
            list(read_frames(path, 5))
        with pytest.raises(VideoError, match=words):
            probe(path)


def test_permission_denied_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args, **kwargs):
        raise av.error.PermissionError(13, "Permission denied")

    path = tmp_path / "locked.mp4"
    path.touch()
    monkeypatch.setattr(av, "open", refuse)
    with pytest.raises(VideoError, match="permission denied"):
        next(read_frames(path))


def test_unfit_arguments_are_refused_at_once(long_clip: Path) -> None:
    for arguments in [{"fps": 0}, {"fps": -1}, {"start": -1}, {"start": 2, "end": 2}, {"folder_fps": 0}]:
        with pytest.raises(ValueError, match="must be"):
            read_frames(long_clip, **arguments)
    with pytest.raises(ValueError, match="max_frames"):
        read_clip(long_clip, Transform((8, 8), 8, 5.0), max_frames=0)
    with pytest.raises(VideoError, match=r"no frame from 99 s; it lasts about 8\.00 s"):
        list(read_frames(long_clip, 5, start=99))


@pytest.mark.parametrize("times", [[], [-0.1], [1.0, 0.5]])
def test_unfit_instants_are_refused(long_clip: Path, times: list[float]) -> None:
    with pytest.raises(ValueError, match="ascending"):
        next(read_at(long_clip, times))


def test_truncated_file_gives_what_it_has(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (60, 64, 64, 3), dtype=np.uint8)
    whole = write(tmp_path / "w.mkv", list(noise)).read_bytes()
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole[: len(whole) // 2])
    assert 15 < len(list(read_frames(cut))) < 45
    without_index = tmp_path / "cut.mp4"
    without_index.write_bytes(write(tmp_path / "w.mp4", list(noise)).read_bytes()[:2000])
    with pytest.raises(VideoError, match="cut short"):
        list(read_frames(without_index))


def test_damage_is_survived_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 64, 64, 3), dtype=np.uint8)
    path = write(tmp_path / "d.avi", list(noise), codec="png", pixels="rgb24")
    data = bytearray(path.read_bytes())
    starts = [match.start() for match in re.finditer(b"IHDR", data)]
    for start in starts[10:15]:
        data[start + 2000 : start + 2060] = bytes(60)
    path.write_bytes(data)
    with caplog.at_level(logging.WARNING):
        frames = {round(frame.time * 25): frame.rgb for frame in read_frames(path)}
    assert [i for i in range(40) if i not in frames or (frames[i] != noise[i]).any()] == [10, 11, 12, 13, 14]
    assert "5 damaged packets" in caplog.text


def test_memory_stays_flat(tmp_path: Path) -> None:
    path = write(tmp_path / "m.mkv", [numbered(i % 256, 120, 160) for i in range(300)], options={"preset": "ultrafast"})
    frames = read_frames(path, 100)  # 1200 frames of 57.6 kB
    for _ in itertools.islice(frames, 50):
        pass
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in frames:
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak - before < 2_000_000


def test_clip_is_frames_transformed(long_clip: Path) -> None:
    transform = Transform((24, 28), 26, 5.0)
    clip = read_clip(long_clip, transform, start=1.0, end=3.0, max_frames=7)
    assert clip.shape == (3, 7, 24, 28)
    expected = [frame.levels(transform) for frame in itertools.islice(read_frames(long_clip, 5, 1.0, 3.0), 7)]
    np.testing.assert_array_equal(clip, scale_levels(np.stack(expected), transform.scale).transpose(3, 0, 1, 2))


def test_closing_early_closes_the_file(long_clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[Video] = []

    def close(video: Video) -> None:
        closed.append(video)

    monkeypatch.setattr(Video, "close", close)
    frames = read_frames(long_clip, 5)
    next(frames)
    frames.close()
    assert len(closed) == 1


def test_clips_whose_frames_are_all_stamped_zero(shared: Path) -> None:
    path = shared / "data" / "egogestar" / "caret" / "carret_1.mp4"
    info = probe(path)
    assert (info.size, info.frames, info.fps) == ((192, 256), 81, pytest.approx(29.97, abs=0.01))
    assert info.duration == pytest.approx(81 / 29.97, abs=0.01)
    whole = list(read_frames(path))
    assert [frame.time for frame in whole] == pytest.approx([i / info.fps for i in range(81)])
    assert len(list(read_frames(path, 5))) == 14
    assert (next(read_frames(path, 5, start=2.4)).rgb == whole[71].rgb).all()


@pytest.mark.parametrize(
    ("name", "frames"),
    [("archery.avi", 27), ("arm_wrestling.mp4", 50), ("flipping_pancake.mkv", 52), ("putting_on_eyeliner.avi", 33)],
)
def test_real_clips(shared: Path, name: str, frames: int) -> None:
    path = shared / "clips" / name
    whole = list(read_frames(path, 5))
    assert len(whole) == frames
    part = list(read_frames(path, 5, start=4.0, end=5.0))
    assert all((a.rgb == b.rgb).all() for a, b in zip(whole[20:25], part, strict=True))


def test_a_folder_that_may_not_be_entered_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(path: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "exists", refused)
    with pytest.raises(VideoError, match=r"closed/clip.mp4: cannot be reached: Permission denied"):
        read_frames("closed/clip.mp4")
