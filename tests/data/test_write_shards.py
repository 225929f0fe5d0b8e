"""Shards hold what the folder holds, for us in any order and for other readers from front to back."""

import errno
import gc
import json
import logging
import tarfile
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from movinet.data.augment import Augmentation, RandomCrop
from movinet.data.batches import EpochOrder, load_batches
from movinet.data.check import check_set
from movinet.data.dataset import ClipDataset
from movinet.data.inspection import full_digest, sample_digest
from movinet.data.write_shards import write_shards
from movinet.errors import MovinetError
from movinet.labeled.entries import VideoEntry, VideoSet
from movinet.labeled.readers import read_set
from movinet.labeled.sampling import dense, random_clip
from movinet.labeled.shards import read_shards
from movinet.video.decode import duration, probe
from movinet.video.encode import encode_video
from movinet.video.locations import Member
from movinet.video.transform import Transform

TRANSFORM = Transform((16, 16), 20, fps=5.0)
SAMPLE = partial(random_clip, fps=5.0, frames=3, jitter=(0.8, 1.25))


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> VideoSet:
    """Seven videos of 1.4 s of three classes, in two containers, and two stretches of one of them."""
    folder = tmp_path_factory.mktemp("videos")
    listed = []
    for number in range(7):
        path = folder / f"{'abc'[number % 3]}" / f"{number}.{('mp4', 'mkv')[number % 2]}"
        path.parent.mkdir(exist_ok=True)
        encode_video(path, np.random.default_rng(number).integers(0, 256, (14, 32, 48, 3), dtype=np.uint8), 10.0)
        listed.append(VideoEntry(path, (path.parent.name,)))
    listed += [replace(listed[0], start=0.3, end=0.8), replace(listed[0], start=0.9)]
    return VideoSet(tuple(listed), ("a", "b", "c", "empty"), False)


@pytest.fixture
def shards(videos: VideoSet, tmp_path: Path) -> Path:
    assert write_shards(videos, tmp_path / "shards", shard_size=4) == 9
    return tmp_path / "shards"


def only(folder: Path) -> VideoSet:
    return read_set(folder).select()


@pytest.mark.parametrize("workers", [0, 2])
def test_examples_are_those_of_the_folder(videos: VideoSet, shards: Path, workers: int) -> None:
    found = only(shards)
    assert (found.labels, found.multi_label) == (videos.labels, False)
    assert [(v.labels, v.start, v.end) for v in found.videos] == [(v.labels, v.start, v.end) for v in videos.videos]
    augmentation = Augmentation(RandomCrop(), flip=0.5)
    folder, inside = (ClipDataset(part, TRANSFORM, SAMPLE, augmentation, seed=2) for part in (videos, found))
    order = EpochOrder(9, seed=3, batch_size=2)
    for epoch, position in ((0, 0), (1, 4)):
        order.set_epoch(epoch, position)
        batches = zip(load_batches(folder, order, 2), load_batches(inside, order, 2, workers), strict=True)
        for expected, got in batches:
            assert torch.equal(expected.clip, got.clip)
            assert torch.equal(expected.target, got.target)
            assert torch.equal(expected.video, got.video)
    assert not inside.broken.any()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # it leaves files open
def test_webdataset_reads_them(videos: VideoSet, shards: Path) -> None:
    webdataset = pytest.importorskip("webdataset")
    tars = sorted(map(str, shards.glob("all-*.tar")))
    assert [Path(tar).name for tar in tars] == ["all-000000.tar", "all-000001.tar", "all-000002.tar"]
    samples = list(webdataset.WebDataset(tars, shardshuffle=False))
    gc.collect()
    numbers = [int(sample["__key__"]) for sample in samples]
    assert sorted(numbers) == list(range(9)) != numbers
    for number, sample in zip(numbers, samples, strict=True):
        video = videos.videos[number]
        assert isinstance(video.path, Path)
        assert sample[video.path.suffix[1:]] == video.path.read_bytes()
        details = json.loads(sample["json"])
        assert details == {
            "labels": list(video.labels),
            "start": video.start,
            "end": video.end,
            "source": f"{video.path.parent.name}/{video.path.name}",
        }


def test_they_are_checked_like_a_folder(videos: VideoSet, shards: Path) -> None:
    found = only(shards)
    ours, theirs = check_set(found), check_set(videos)
    assert (ours.clips, ours.sizes, ours.frames) == (theirs.clips, theirs.sizes, theirs.frames)
    for part, whole in zip(found.videos, videos.videos, strict=True):
        assert full_digest(part.path) == full_digest(whole.path)
        assert sample_digest(part.path) == sample_digest(whole.path)
    (leak,) = (p for p in check_set({"train": videos, "test": found}).problems if p.kind == "leak")
    assert len(leak.items) == 7
    assert len({video.source for video in found.videos}) == len({video.source for video in videos.videos}) == 7


def test_a_shard_cut_short_is_as_broken_videos_are(shards: Path, caplog: pytest.LogCaptureFixture) -> None:
    found = only(shards)
    members = [video.path for video in found.videos if isinstance(video.path, Member)]
    last = max(members, key=lambda member: (member.archive, member.offset))
    with last.archive.open("r+b") as file:
        file.truncate(last.offset + 10)
    dataset = ClipDataset(found, TRANSFORM, SAMPLE)
    with caplog.at_level(logging.WARNING):
        replaced = [index for index in range(9) if dataset[index].video != index]
    assert replaced == dataset.broken.nonzero().flatten().tolist() == [members.index(last)]
    assert "cut short" in caplog.text
    (problem,) = (p for p in check_set(found).problems if p.kind == "unreadable")
    assert last.archive.name in problem.items[0]


def test_an_interrupted_call_is_repeated_to_go_on(videos: VideoSet, tmp_path: Path) -> None:
    calls = []

    def interrupt(done: int, total: int | None) -> None:
        calls.append((done, total))
        if done == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_shards(videos, tmp_path / "s", shard_size=4, progress=interrupt)
    assert calls == [(0, 9), (1, 9), (2, 9), (3, 9), (4, 9), (4, 9), (5, 9), (6, 9)]
    assert sorted(path.name for path in (tmp_path / "s").iterdir()) == ["all-000000.tar", "shards.json"]
    with pytest.raises(MovinetError, match="not finished"):
        read_set(tmp_path / "s")
    before = (tmp_path / "s/all-000000.tar").stat().st_mtime_ns
    assert write_shards(videos, tmp_path / "s", shard_size=4) == 9
    assert (tmp_path / "s/all-000000.tar").stat().st_mtime_ns == before
    assert write_shards(videos, tmp_path / "whole", shard_size=4) == 9
    for path in (tmp_path / "s").iterdir():
        assert path.read_bytes() == (tmp_path / "whole" / path.name).read_bytes()


def test_splits_may_be_added_but_nothing_else(videos: VideoSet, shards: Path, tmp_path: Path) -> None:
    half = replace(videos, videos=videos.videos[:4])
    for part, settings, name in (
        (half, {"shard_size": 4}, "the clips of all"),
        (videos, {"shard_size": 5}, "shard_size"),
        (videos, {"shard_size": 4, "short_side": 16}, "short_side"),
        (replace(videos, labels=("a", "b", "c")), {"shard_size": 4}, "classes"),
    ):
        with pytest.raises(MovinetError, match=f"{name}.*choose another folder"):
            write_shards(part, shards, **settings)  # type: ignore[arg-type]
    assert write_shards({"test/1": half}, shards, shard_size=4) == 4
    listing = read_set(shards)
    assert {name: len(part.videos) for name, part in listing.splits.items()} == {"all": 9, "test/1": 4}
    with pytest.raises(MovinetError, match="told apart"):
        write_shards({"test_1": half}, shards, shard_size=4)
    (tmp_path / "other").mkdir()
    (tmp_path / "other/thesis.txt").touch()
    with pytest.raises(MovinetError, match=r"other things, such as thesis.txt"):
        write_shards(videos, tmp_path / "other")
    with pytest.raises(MovinetError, match="cannot be used"):
        write_shards(videos, tmp_path / "other/thesis.txt")


def test_smaller_videos_show_the_same(videos: VideoSet, tmp_path: Path) -> None:
    write_shards(videos, tmp_path / "s", short_side=20, workers=2)
    found = only(tmp_path / "s")
    assert {probe(video.path).size for video in found.videos} == {(20, 30)}
    assert all((video.start, video.end) == (0.0, None) for video in found.videos)
    assert [round(duration(video.path), 2) for video in found.videos] == [1.4] * 7 + [0.5, 0.5]
    settings = (replace(TRANSFORM, size=(12, 12), resize_short=12), partial(dense, fps=5.0))
    for small, large in zip(*(ClipDataset(part, *settings) for part in (found, videos)), strict=True):
        assert small.clip.shape == large.clip.shape
        assert (small.clip.float() - large.clip.float()).abs().mean() < 9  # of noise
    assert not list((tmp_path / "s").glob(".*"))
    write_shards(found, tmp_path / "again", short_side=32)  # nothing is larger
    assert [full_digest(v.path) for v in only(tmp_path / "again").videos] == [full_digest(v.path) for v in found.videos]


def test_image_folders_become_videos(tmp_path: Path) -> None:
    listed = []
    for label in "ab":
        folder = tmp_path / "frames" / label / "0"
        folder.mkdir(parents=True)
        for number in range(6):
            (folder / f"{number}.ppm").write_bytes(b"P6 32 32 255\n" + bytes([40 * number] * 32 * 32 * 3))
        listed.append(VideoEntry(folder, (label,)))
    frames = VideoSet(tuple(listed), ("a", "b"), False)
    with pytest.raises(MovinetError, match="folder-fps"):
        write_shards(frames, tmp_path / "s")
    assert write_shards(frames, tmp_path / "t", folder_fps=10.0) == 2
    clip = ClipDataset(only(tmp_path / "t"), TRANSFORM, partial(dense, fps=5.0))[0].clip
    assert torch.allclose(clip[0, :, 0, 0].int(), torch.tensor([0, 80, 160], dtype=torch.int32), atol=2)


@pytest.mark.parametrize("short_side", [None, 16])
def test_what_cannot_be_read_is_left_out(
    videos: VideoSet, tmp_path: Path, short_side: int | None, caplog: pytest.LogCaptureFixture
) -> None:
    gone, broken = (replace(videos.videos[0], path=tmp_path / name) for name in ("gone.mp4", "broken.mp4"))
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    part = replace(videos, videos=(gone, broken, *videos.videos[:3]))
    with caplog.at_level(logging.WARNING):
        assert write_shards(part, tmp_path / "s", short_side=short_side) == 3
    assert "gone.mp4" in caplog.text
    assert "broken.mp4" in caplog.text
    assert [v.labels for v in only(tmp_path / "s").videos][-3:] == [v.labels for v in videos.videos[:3]]


def test_a_full_disk(videos: VideoSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add = tarfile.TarFile.addfile

    def full(tar: tarfile.TarFile, info: tarfile.TarInfo, data: object = None) -> None:
        if int(info.name.split(".")[0]) == 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        add(tar, info, data)  # type: ignore[arg-type]

    monkeypatch.setattr(tarfile.TarFile, "addfile", full)
    with pytest.raises(MovinetError, match=r"No space left.*repeat to go on"):
        write_shards(videos, tmp_path, shard_size=1)
    monkeypatch.undo()
    assert not list(tmp_path.glob(".*"))
    assert write_shards(videos, tmp_path, shard_size=1) == 9


def test_missing_shards(shards: Path) -> None:
    (shards / "all-000001.tar").unlink()
    with pytest.raises(MovinetError, match=r"1 of 3 shards of all are missing, such as all-000001.tar"):
        read_set(shards)
    listing = read_set(shards, skip_missing=True)
    assert len(listing.select().videos) == 5
    assert len(listing.missing) == 4


def rewrite(path: Path, lines: Iterable[str]) -> None:
    path.write_text("\n".join(lines))


def test_what_is_malformed_is_told(videos: VideoSet, shards: Path, tmp_path: Path) -> None:
    index, record = shards / "all.index.jsonl", shards / "shards.json"
    first, *rest = index.read_text().splitlines()
    rewrite(index, [first.replace("offset", "place"), *rest])
    with pytest.raises(MovinetError, match=r"all.index.jsonl, line 1: not a place"):
        read_set(record)
    rewrite(record, [record.read_text().replace("shards 1", "shards 7")])
    with pytest.raises(MovinetError, match="movinet shards 7"):
        read_shards(shards)
    record.write_text("[]")
    with pytest.raises(MovinetError, match="not a record"):
        read_shards(shards)
    write_shards(videos, tmp_path / "s")
    (tmp_path / "s/all-000000.tar").write_bytes(b"damaged" * 200)
    with pytest.raises(MovinetError, match=r"all-000000.tar: damaged .*delete it"):
        write_shards(videos, tmp_path / "s")


@pytest.mark.parametrize("settings", [{"shard_size": 0}, {"workers": 0}, {"short_side": 8}])
def test_arguments_are_checked(videos: VideoSet, tmp_path: Path, settings: dict[str, int]) -> None:
    with pytest.raises(MovinetError, match="at least one clip"):
        write_shards(videos, tmp_path, **settings)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())
