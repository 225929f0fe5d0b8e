"""Frames are converted when looked at, once, by any thread."""

import itertools
import threading
from pathlib import Path

import av
import numpy as np
import pytest
from video_clips import number_of, numbered, write

from movinet.video import pixels
from movinet.video.decode import read_at, read_frames
from movinet.video.frame import Frame
from movinet.video.transform import Transform

SMALL = Transform((16, 24), 16, 5.0)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """100 frames at 25 a second."""
    return write(tmp_path_factory.mktemp("frames") / "clip.mp4", [numbered(i) for i in range(100)])


def test_only_what_is_looked_at_is_converted_and_that_once(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    convert = pixels.ToRGB.__call__
    monkeypatch.setattr(pixels.ToRGB, "__call__", lambda self, frame: calls.append(1) or convert(self, frame))
    frames = list(read_frames(clip, 100, end=1.0))
    assert len(frames) == 100
    assert not calls
    assert [number_of(frame.rgb) for frame in frames] == [k // 4 for k in range(100)]
    assert len(calls) == 25


def test_frames_that_repeat_share_their_pixels(clip: Path) -> None:
    one, two, other = read_at(clip, [0.2, 0.21, 0.24])
    assert (one.time, two.time) == (0.2, 0.21)
    assert one.rgb is two.rgb is not other.rgb
    assert one.levels(SMALL) is two.levels(SMALL) is not other.levels(SMALL)
    later = one.at(7.0)
    assert later.rgb is one.rgb
    assert (later.time, one.time) == (7.0, 0.2)


def test_levels_are_of_the_transform_asked_for(clip: Path) -> None:
    frame = next(read_frames(clip))
    first = frame.levels(SMALL)
    assert first.shape == (16, 24, 3)
    assert frame.levels(Transform((8, 8), 8, 5.0)).shape == (8, 8, 3)
    np.testing.assert_array_equal(frame.levels(SMALL), first)


def test_the_order_of_asking_makes_no_difference(clip: Path) -> None:
    for one, other in itertools.islice(zip(read_frames(clip), read_frames(clip), strict=True), 3):
        rgb, levels = one.rgb, one.levels(SMALL)
        np.testing.assert_array_equal(other.levels(SMALL), levels)
        np.testing.assert_array_equal(other.rgb, rgb)


def test_threads_convert_the_same_frames_at_once(clip: Path) -> None:
    expected = [(frame.rgb, frame.levels(SMALL)) for frame in read_frames(clip)]
    frames = list(read_frames(clip))
    found: list[list[bool]] = [[] for _ in range(4)]
    start = threading.Barrier(4)

    def convert(place: int) -> None:
        start.wait()
        for frame, (rgb, levels) in zip(frames, expected, strict=True):
            found[place].append((frame.levels(SMALL) == levels).all() and (frame.rgb == rgb).all())

    threads = [threading.Thread(target=convert, args=(place,)) for place in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [[True] * 100] * 4


def test_frames_of_arrays() -> None:
    rgb = numbered(5)
    frame = Frame.of_rgb(rgb, 1.5)
    assert frame.rgb is rgb
    assert frame.time == 1.5
    np.testing.assert_array_equal(frame.levels(SMALL), SMALL.levels(rgb)[0])
    with pytest.raises(ValueError, match="must be uint8"):
        Frame.of_rgb(rgb.astype(float), 0.0).levels(SMALL)
    with pytest.raises(ValueError, match="one picture, not 2"):
        Frame.of_rgb(np.stack([rgb, rgb]), 0.0).levels(SMALL)


def test_a_frame_that_is_kept_has_what_the_network_sees_and_holds_no_picture(clip: Path) -> None:
    frame = next(iter(read_frames(clip)))
    kept = frame.kept(SMALL)
    assert kept.time == frame.time
    assert kept.levels(SMALL) is frame.levels(SMALL)
    assert not any(isinstance(held, av.VideoFrame) for held in vars(kept._picture).values())
    for ask in (lambda: kept.rgb, lambda: kept.levels(Transform((8, 8), 8, 5.0))):
        with pytest.raises(ValueError, match="only what another network sees"):
            ask()
