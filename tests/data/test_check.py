"""What is wrong with a data set is found, by kind and file; what is right is not complained about."""

import json
import shutil
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from movinet.data.check import DatasetReport, check_set
from movinet.data.inspection import full_digest, inspect_video, sample_digest
from movinet.labeled.readers import VideoEntry, VideoSet, read_set
from movinet.video.encode import encode_video


def noise(seed: int, frames: int = 10, height: int = 32, width: int = 48) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (frames, height, width, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sound classes of three different clips."""
    folder = tmp_path_factory.mktemp("clips")
    for seed in range(6):
        path = folder / "ab"[seed % 2] / f"{seed}.mp4"
        path.parent.mkdir(exist_ok=True)
        encode_video(path, noise(seed, frames=5 + seed), fps=5)
    return folder


def inspect(path: Path, start: float = 0.0, end: float | None = None):  # type: ignore[no-untyped-def]
    return inspect_video(VideoEntry(path, (), start, end))


def kinds(report: DatasetReport) -> dict[str, int]:
    return {problem.kind: len(problem.items) for problem in report.problems}


def write_stamped(path: Path, stamps: list[int], rate: int = 10) -> None:
    """Frames with time stamps in units of 1/rate, as told and not as they should be."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mpeg4", rate=rate)
        stream.height, stream.width, stream.pix_fmt = 32, 48, "yuv420p"
        stream.codec_context.time_base = Fraction(1, rate)
        for stamp, image in zip(stamps, noise(0, len(stamps)), strict=True):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = stamp, Fraction(1, rate)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


def test_a_sound_set(clips: Path) -> None:
    progress: list[tuple[int, int | None]] = []
    report = check_set(read_set(clips).splits, lambda done, total: progress.append((done, total)), workers=2)
    assert report.problems == ()
    assert not report.fatal
    assert report.clips == {"all": {"a": 3, "b": 3}}
    assert report.total == 6
    assert report.durations == pytest.approx((1.0, 1.5, 2.0))
    assert report.frames == (5, 7.5, 10)
    assert report.sizes == (((32, 48), 6),)
    assert report.rates == ((5.0, 6),)
    assert progress == [(done, 6) for done in range(1, 7)]
    assert json.loads(json.dumps(report.to_dict()))["fatal"] is False


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi", ".mov"])
def test_inspection_of_any_container(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"clip{suffix}"
    encode_video(path, noise(0, 30, 48, 32), fps=10)
    found = inspect(path)
    assert (found.size, found.frames, found.error, found.damage, found.oddities) == ((48, 32), 30, "", "", ())
    assert found.fps == pytest.approx(10)
    assert found.duration == pytest.approx(3, abs=0.01)
    part = inspect(path, 0.95, 2.0)
    assert part.frames == 11  # that on screen at the start, too
    assert part.duration == pytest.approx(1.05, abs=0.01)


def test_frames_stored_out_of_order(tmp_path: Path) -> None:
    still = np.broadcast_to(noise(0, 1), (30, 32, 48, 3))
    encode_video(tmp_path / "clip.mp4", still, fps=10)
    with av.open(str(tmp_path / "clip.mp4")) as container:
        stamps = [packet.pts for packet in container.demux(video=0) if packet.pts is not None]
    assert stamps != sorted(stamps)
    found = inspect(tmp_path / "clip.mp4")
    assert (found.frames, found.oddities, found.damage) == (30, (), "")


def test_inspection_of_spans(clips: Path) -> None:
    path = clips / "a/0.mp4"  # lasts one second
    assert "it lasts 1.00 s" in inspect(path, 5.0).error
    assert "listed to 9 s" in inspect(path, 0.0, 9.0).oddities[0]
    assert inspect(path, 0.3, 0.35).frames == 1


def test_inspection_of_images(tmp_path: Path) -> None:
    for name, pixels in zip(("1.png", "2.png", "10.png"), noise(0, 3), strict=True):
        with av.open(str(tmp_path / name), "w", format="image2", options={"update": "1"}) as out:
            stream = out.add_stream("png")
            stream.height, stream.width, stream.pix_fmt = 32, 48, "rgb24"
            out.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
            out.mux(stream.encode(None))
    found = inspect(tmp_path)
    assert (found.size, found.frames, found.fps, found.duration, found.error) == ((32, 48), 3, None, None, "")
    (tmp_path / "10.png").write_bytes(b"no picture")
    assert "10.png" in inspect(tmp_path).error


def test_files_that_cannot_be_used(clips: Path, tmp_path: Path) -> None:
    whole = (clips / "b/5.mp4").read_bytes()
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "text.mp4").write_text("not a video")
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "folder.mp4").mkdir()
    for path in [*tmp_path.iterdir(), tmp_path / "absent.mp4"]:
        found = inspect(path)
        assert found.error
        assert found.size is None
        assert str(tmp_path) not in found.error.removeprefix(str(path))


def test_damage_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "clip.avi"
    encode_video(path, noise(0, 60), fps=10)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    found = inspect(path)
    assert not found.error
    assert "cut short" in found.damage
    path = tmp_path / "clip.mp4"
    encode_video(path, noise(0, 60), fps=10)
    spoilt = bytearray(path.read_bytes())
    for place in range(len(spoilt) // 2, len(spoilt) * 3 // 4, 2000):
        spoilt[place : place + 100] = bytes(100)
    path.write_bytes(spoilt)
    found = inspect(path)
    assert (found.error, found.frames) == ("", 60)
    assert "damaged at" in found.damage


def test_odd_time_stamps_are_seen(tmp_path: Path) -> None:
    write_stamped(tmp_path / "even.mkv", list(range(20)))
    assert inspect(tmp_path / "even.mkv").oddities == ()
    write_stamped(tmp_path / "gap.mkv", [*range(10), *range(60, 70)])
    assert inspect(tmp_path / "gap.mkv").oddities == ("no frame for 5.10 s after 0.90 s",)


def test_recordings_that_were_joined_may_have_the_same_time_stamps(tmp_path: Path) -> None:
    write_stamped(tmp_path / "one.ts", list(range(20)))
    (tmp_path / "two.ts").write_bytes(2 * (tmp_path / "one.ts").read_bytes())
    found = inspect(tmp_path / "two.ts")
    assert (found.frames, found.oddities) == (40, ())


def test_the_real_gestures_stand_still(shared: Path) -> None:
    path = shared / "data/egogestar/caret/carret_1.mp4"
    found = inspect(path)
    assert found.oddities == ("80 of 81 frames without time stamps; their durations are gone by",)
    assert found.duration == pytest.approx(2.70, abs=0.01)  # as long as it is watched


def test_what_is_wrong_is_told_by_kind(clips: Path, tmp_path: Path) -> None:
    shutil.copytree(clips, tmp_path, dirs_exist_ok=True)
    (tmp_path / "a/text.mp4").write_text("not a video")
    encode_video(tmp_path / "a/one.mp4", noise(9, 1), fps=5)
    shutil.copy(tmp_path / "a/0.mp4", tmp_path / "b/copy.mp4")
    (tmp_path / "nothing").mkdir()
    report = check_set(read_set(tmp_path).splits)
    assert kinds(report) == {"unreadable": 1, "one_frame": 1, "empty_class": 1, "duplicate": 1}
    assert not report.fatal
    problems = {problem.kind: problem.items[0] for problem in report.problems}
    assert "text.mp4: not a video" in problems["unreadable"]
    assert problems["empty_class"] == "nothing"
    assert problems["duplicate"] == f"{tmp_path}/a/0.mp4 = {tmp_path}/b/copy.mp4"
    assert report.clips["all"] == {"a": 4, "b": 4, "nothing": 0}
    assert report.total == 9


def test_leaks_by_name_and_by_content(clips: Path, tmp_path: Path) -> None:
    shutil.copy(clips / "a/2.mp4", tmp_path / "other_name.mp4")
    everything = read_set(clips).select()
    first, second, third, *rest = everything.videos
    train = replace(everything, videos=(first, second, *rest))
    renamed = replace(second, path=tmp_path / "other_name.mp4")
    part = replace(first, start=0.4)  # of a video that is in the other split
    assert kinds(check_set({"train": train, "test": replace(everything, videos=(third,))})) == {"empty_class": 1}
    report = check_set({"train": train, "test": replace(everything, videos=(part, renamed, third))})
    leak = next(problem for problem in report.problems if problem.kind == "leak")
    assert set(leak.items) == {
        f"train {first.path} = test {first.path}",
        f"train {second.path} = test {renamed.path}",
    }
    assert not report.fatal


def test_a_set_that_cannot_be_trained_on_is_fatal(clips: Path, tmp_path: Path) -> None:
    whole = read_set(clips).select()
    only_a = replace(whole, videos=tuple(video for video in whole.videos if video.labels == ("a",)))
    assert check_set(only_a).fatal
    assert check_set({"train": only_a, "test": whole}).fatal
    assert not check_set({"train": whole, "test": only_a}).fatal
    assert not check_set(replace(only_a, multi_label=True)).fatal
    (tmp_path / "bad.mp4").write_bytes(b"")
    bad = VideoSet((VideoEntry(tmp_path / "bad.mp4", ("a",)),), ("a", "b"), False)
    assert check_set({"train": whole, "test": bad}).fatal
    assert check_set({"0": only_a, "1": bad}).fatal


def test_unbalanced_classes(clips: Path) -> None:
    first = read_set(clips).select().videos[0]
    many = tuple(replace(first, start=k / 100) for k in range(12))
    few = replace(first, start=0.5, end=0.7, labels=("rare",))
    report = check_set(VideoSet((*many, few), ("a", "rare"), False))
    assert kinds(report) == {"unbalanced": 0}
    assert "12 clips of a, 1 of rare" in report.problems[0].message


def test_digests_see_any_byte_or_most(tmp_path: Path) -> None:
    data = bytearray(np.random.default_rng(0).bytes(1_000_000))
    for name, place in (("one", None), ("two", None), ("begin", 10), ("end", 999_990), ("between", 250_000)):
        changed = data.copy()
        if place is not None:
            changed[place] ^= 1
        (tmp_path / name).write_bytes(changed)
    paths = [tmp_path / name for name in ("one", "two", "begin", "end", "between")]
    assert len({sample_digest(path) for path in paths}) == 3  # not that between the samples
    assert len({full_digest(path) for path in paths}) == 4


def test_classes_that_differ_only_in_case(clips: Path, tmp_path: Path) -> None:
    rows = [f"a/{n}.mp4,{label}" for n, label in ((0, "Jump"), (2, "jump"), (4, "wave  at"))]
    rows += [f"b/{n}.mp4,{label}" for n, label in ((1, "wave at"), (3, "rest"), (5, "straße"))]
    (tmp_path / "clips.csv").write_text("\n".join(["file,label", *rows]), encoding="utf-8")
    report = check_set(read_set(tmp_path / "clips.csv", videos=clips).splits)
    (problem,) = report.problems
    assert (problem.kind, problem.fatal) == ("similar_names", False)
    assert problem.items == ("'Jump' = 'jump'", "'wave  at' = 'wave at'")
