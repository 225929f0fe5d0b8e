"""Videos inside archives are the videos they were outside."""

import gc
import tarfile
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from video_clips import number_of, numbered, write

from movinet.errors import VideoError
from movinet.video.container import Video
from movinet.video.decode import duration, probe, read_at, read_frames
from movinet.video.locations import Member


def packed(folder: Path, *paths: Path) -> dict[str, Member]:
    archive = folder / "odd name, with: colons,,and commas.tar"
    with tarfile.open(archive, "w") as tar:
        for path in paths:
            tar.add(path, path.name)
    with tarfile.open(archive) as tar:
        return {info.name: Member(archive, info.name, info.offset_data, info.size) for info in tar}


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi", "mov", "webm", "ts", "mpg"])
def test_reads_what_the_file_alone_reads(tmp_path: Path, suffix: str) -> None:
    codec = {"webm": "libvpx", "mpg": "mpeg2video"}.get(suffix, "libx264")
    paths = [
        write(tmp_path / f"{first}.{suffix}", [numbered(first + n) for n in range(100)], codec=codec)
        for first in (0, 100)
    ]
    members = packed(tmp_path, *paths)
    for path in paths:
        member = members[path.name]
        assert probe(member) == probe(path)
        assert duration(member) == duration(path)
        for start in (0.0, 3.0):
            alone, inside = list(read_frames(path, 5.0, start)), list(read_frames(member, 5.0, start))
            assert [frame.time for frame in inside] == [frame.time for frame in alone]
            assert all(np.array_equal(a.rgb, b.rgb) for a, b in zip(alone, inside, strict=True))
    assert [number_of(frame.rgb) for frame in read_at(members[f"100.{suffix}"], [0.4, 3.2])] == [110, 180]


def test_what_is_wrong_is_told(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", [numbered(n) for n in range(5)], time_base=Fraction(1, 5))
    (member,) = packed(tmp_path, path).values()
    with member.archive.open("r+b") as file:
        file.truncate(member.offset + member.size - 1)
    with pytest.raises(VideoError, match=r"commas.tar: a.mp4: should end at byte \d+ .* cut short at byte"):
        next(read_frames(member))
    with pytest.raises(VideoError, match=r"a.mp4: not a video"):
        duration(Member(path, "a.mp4", 1, 100))
    member.archive.unlink()
    with pytest.raises(VideoError, match="no such file"):
        next(read_frames(member))


def test_nothing_stays_open_until_garbage_is_collected(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", [numbered(n) for n in range(100)])
    gc.collect()
    before = {id(thing) for thing in gc.get_objects() if type(thing) is Video}  # a failed test's frames hold theirs
    gc.disable()
    try:
        probe(path)
        duration(path)
        next(read_frames(path))
        list(read_frames(path, 5.0))
        list(read_at(path, [3.0, 3.5]))
        assert {id(thing) for thing in gc.get_objects() if type(thing) is Video} <= before
    finally:
        gc.enable()
