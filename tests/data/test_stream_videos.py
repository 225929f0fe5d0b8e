"""Long videos as lanes: the right frames with the right targets, wherever a chunk lies."""

import os
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from movinet.data import stream_copies
from movinet.data.augment import Augmentation, RandomCrop
from movinet.data.stream_copies import copy_of, make_copies, read_copy
from movinet.data.stream_places import OneAfterTheOther, RandomStretches, StreamVideo
from movinet.data.stream_videos import VideoLanes
from movinet.data.streams import IGNORE, EventLanes, StreamLanes, TargetRule, either
from movinet.errors import MovinetError
from movinet.video.encode import encode_video
from movinet.video.transform import Transform

TRANSFORM = Transform((24, 32), 24, 5.0)
RULE = TargetRule(known=0.5, held=0.0, fading=0.0)
CLASSES = ("left", "right", "other")


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """12 seconds at 10 frames a second; frame n is a gray of 2n, but for a white left edge."""
    path = tmp_path_factory.mktemp("streams") / "long.mp4"
    pixels = np.repeat(np.arange(120, dtype=np.uint8)[:, None, None, None] * 2, 48, 1).repeat(80, 2).repeat(3, 3)
    pixels[:, :, :16] = 255
    encode_video(path, pixels, fps=10)
    return path


def lanes(video: Path, folder: Path, **options: object) -> VideoLanes:
    videos = [StreamVideo(video, 0.0, 12.0, ((0, 2.0, 4.0), (1, 8.0, 9.0)))]
    made = VideoLanes(
        videos, CLASSES, "other", TRANSFORM, 4, OneAfterTheOther(videos, 4, 5.0), folder, rule=RULE, **options
    )  # type: ignore[arg-type]
    made.make_copies()
    return made


def gray(frames: torch.Tensor) -> list[int]:
    """Which of the video's frames are shown."""
    return [round(float(level) / 2) for level in frames[:, :, 8:16, 16:24].float().mean((0, 2, 3))]


def test_chunks_are_the_videos_frames_in_order(video: Path, tmp_path: Path) -> None:
    own = lanes(video, tmp_path)
    assert isinstance(own, StreamLanes)
    assert isinstance(own, EventLanes)
    for number in (9, 0, 14, 3):  # in any order
        chunk = own.chunk(0, number)
        assert chunk.frames.shape == (3, 4, 24, 32)
        assert gray(chunk.frames) == pytest.approx([2 * (4 * number + n) for n in range(4)], abs=1)
        assert chunk.begins == (number == 0)
    assert own.segments(0, 15) == [(0, 2.0, 4.0), (1, 8.0, 9.0)]


def test_targets_are_those_of_the_moment(video: Path, tmp_path: Path) -> None:
    own = lanes(video, tmp_path)
    found = torch.cat([own.chunk(0, number).targets for number in range(15)]).tolist()
    wanted = [2] * 10 + [either(0)] * 5 + [0] * 6 + [2] * 19 + [either(1)] * 3 + [1] * 3 + [2] * 14
    assert found == wanted
    assert own.chunk(0, 15).targets.tolist() == [IGNORE] * 4  # there is no more


def test_what_does_not_count_is_not_learned(video: Path, tmp_path: Path) -> None:
    part = [StreamVideo(video, 1.0, 2.5, ((0, 2.0, 4.0),))]
    own = VideoLanes(part, CLASSES, "other", TRANSFORM, 4, OneAfterTheOther(part, 4, 5.0), tmp_path, rule=RULE)
    own.make_copies()
    found = torch.cat([own.chunk(0, number).targets for number in range(2)]).tolist()
    assert found == [2] * 5 + [either(0)] * 3
    assert own.chunk(0, 0).begins
    assert own.segments(0, 2) == [(0, 1.0, 1.5)]


def test_a_stretch_is_changed_alike_and_mirrored_with_its_labels(video: Path, tmp_path: Path) -> None:
    videos = [StreamVideo(video, 0.0, 12.0, ((0, 2.0, 4.0), (1, 8.0, 9.0)))]
    places = RandomStretches(videos, 4, 5.0, 15, 1, focus=0.0)
    swap = Augmentation(RandomCrop((0.5, 0.9)), flip=0.5, swap=(("left", "right"),))
    own = VideoLanes(videos, CLASSES, "other", TRANSFORM, 4, places, tmp_path, rule=RULE, augmentation=swap)
    own.make_copies()
    edges = set()
    for stretch in range(6):
        chunks = [own.chunk(0, 15 * stretch + n) for n in range(15)]
        frames = torch.cat([chunk.frames for chunk in chunks], dim=1).float().mean((0, 2))  # (T, W)
        left, right = (frames[:, side] > 252 for side in (0, -1))
        mirrored = bool(right.sum() > left.sum())
        edges.add(mirrored)
        targets = torch.cat([chunk.targets for chunk in chunks]).tolist()
        first = next(target for target in targets if target in (0, 1))
        assert first == (1 if mirrored else 0)
        assert own.chunk(0, 15 * stretch).frames.equal(chunks[0].frames)
    assert edges == {False, True}


def test_copies_are_made_once_and_by_what_is_in_the_video(video: Path, tmp_path: Path) -> None:
    told = []
    make_copies([video], TRANSFORM, tmp_path / "copies", lambda done, total: told.append((done, total)))
    copy = copy_of(video, TRANSFORM, tmp_path / "copies")
    assert told == [(0, 1), (1, 1)]
    before = copy.stat().st_ino
    moved = tmp_path / "moved.mp4"
    moved.write_bytes(video.read_bytes())
    make_copies([moved], TRANSFORM, tmp_path / "copies")
    assert copy_of(moved, TRANSFORM, tmp_path / "copies") == copy
    assert copy.stat().st_ino == before
    assert copy_of(video, Transform((24, 32), 24, 10.0), tmp_path / "copies") != copy
    assert read_copy(copy, 0, 1, 5.0).shape == (1, 24, 40, 3)  # the whole picture
    assert len(list((tmp_path / "copies").iterdir())) == 1


def test_copies_that_nobody_used_for_long_make_room(
    video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates = (5.0, 4.0, 2.0, 1.0)
    copies = [copy_of(video, Transform((24, 32), 24, rate), tmp_path) for rate in rates]
    for rate in rates[:3]:
        make_copies([video], Transform((24, 32), 24, rate), tmp_path)
    own = tmp_path / "own.mkv"
    own.write_bytes(bytes(5000))
    for days, path in ((9, own), (3, copies[0]), (2, copies[1])):  # the third was used today
        os.utime(path, (time.time() - days * 86400,) * 2)
    read_copy(copies[0], 0, 1, 5.0)  # and now the first, too
    monkeypatch.setattr(stream_copies, "MAX_BYTES", 1)
    make_copies([video], Transform((24, 32), 24, 1.0), tmp_path)
    assert [path.exists() for path in copies] == [True, False, True, True]
    assert own.exists()


def test_what_cannot_be_copied_is_said(tmp_path: Path) -> None:
    with pytest.raises(MovinetError, match="no such file"):
        make_copies([tmp_path / "none.mp4"], TRANSFORM, tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(MovinetError, match="no place for copies"):
        make_copies([], TRANSFORM, tmp_path / "file")
