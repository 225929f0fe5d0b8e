"""A clip that was replaced under the same name is noticed, whatever kind it is; one that was moved is the same."""

import shutil
import tarfile
from pathlib import Path

import pytest
import torch
from PIL import Image
from training_sets import SIZE, noise

from movinet.data.dataset import ClipDataset
from movinet.labeled.entries import VideoEntry, VideoSet
from movinet.labeled.sampling import dense
from movinet.train.datasets import Sets
from movinet.train.fingerprint import changed_clips, clip_digests
from movinet.video.locations import Member
from movinet.video.transform import Transform


def sets_of(*paths: Path | Member) -> Sets:
    videos = tuple(VideoEntry(path, ("a",)) for path in paths)
    clips = ClipDataset(VideoSet(videos, ("a",), False), Transform(SIZE, 24, 5.0), lambda s, _: dense(s, fps=5.0))
    return Sets(clips, clips, None)


def images(folder: Path, count: int, value: int) -> Path:
    folder.mkdir(parents=True)
    for n in range(count):
        Image.new("L", (16, 12), value).save(folder / f"{n:02}.bmp")  # all of one size
    return folder


def archive(folder: Path, content: bytes) -> Member:
    (folder / "clip.mp4").write_bytes(content)
    with tarfile.open(folder / "clips.tar", "w") as tar:
        tar.add(folder / "clip.mp4", "clip.mp4")
    with tarfile.open(folder / "clips.tar") as tar:
        return Member(folder / "clips.tar", "clip.mp4", tar.getmember("clip.mp4").offset_data, len(content))


@pytest.mark.parametrize("place", [0, 10_000, 19_999])
def test_a_file_that_was_replaced_by_one_of_its_size(tmp_path: Path, place: int) -> None:
    content = bytearray(20_000)
    (tmp_path / "a.mp4").write_bytes(content)
    (tmp_path / "b.mp4").write_bytes(content)
    sets = sets_of(tmp_path / "a.mp4", tmp_path / "b.mp4")
    then = clip_digests(sets)
    assert changed_clips(sets, clip_digests(sets), then) == []
    content[place] = 1
    (tmp_path / "b.mp4").write_bytes(content)
    assert set(changed_clips(sets, clip_digests(sets), then)) == {str(tmp_path / "b.mp4")}
    shutil.copytree(tmp_path, tmp_path / "copy")  # with a time of its own
    copied = sets_of(tmp_path / "copy/a.mp4", tmp_path / "copy/b.mp4")
    assert changed_clips(copied, clip_digests(copied), clip_digests(sets)) == []


def test_folders_of_images_members_of_archives_and_what_is_gone(tmp_path: Path) -> None:
    folder, member = images(tmp_path / "images", 20, 10), archive(tmp_path, b"one")
    sets = sets_of(folder, member, tmp_path / "gone.mp4")
    then = clip_digests(sets)
    assert then["train"].shape == (3, 8)
    assert not then["train"][2].any()
    shutil.rmtree(folder)
    images(folder, 20, 11)
    archive(tmp_path, b"two")
    (tmp_path / "gone.mp4").write_bytes(b"come back")
    assert len(set(changed_clips(sets, clip_digests(sets), then))) == 3


def test_what_is_no_file_and_what_an_earlier_version_did_not_write_is_not_compared() -> None:
    sets = noise()
    assert clip_digests(sets) == {}
    assert changed_clips(sets, {}, {"train": torch.zeros(12, 8)}) == []
