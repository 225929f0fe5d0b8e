"""Synthetic clips: the same everywhere, at any size, rate and length; sets of them on disk."""

import csv
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from movinet.data.synthetic import set_folder
from movinet.data.synthetic.gesture_clips import GESTURES, render_gesture, write_dataset
from movinet.errors import MovinetError


def test_labels_are_sorted_and_unique() -> None:
    assert len(GESTURES) == 11
    assert list(GESTURES) == sorted(set(GESTURES))


@settings(max_examples=25, deadline=None)
@given(
    label=st.sampled_from(GESTURES),
    seed=st.integers(0, 2**64),
    size=st.tuples(st.integers(8, 70), st.integers(8, 70)),
    frames=st.integers(1, 20),
    fps=st.floats(0.01, 1000),
)
def test_any_size_length_and_rate(label: str, seed: int, size: tuple[int, int], frames: int, fps: float) -> None:
    clip = render_gesture(label, seed, size, frames, fps)
    assert clip.frames.shape == (frames, *size, 3)
    assert clip.frames.dtype == np.uint8
    assert clip.fingertip.shape == (frames, 2)
    assert np.isfinite(clip.fingertip).all()
    assert clip.label == label
    assert 0 <= clip.start < clip.end <= frames / fps


def test_seeds_and_labels_make_different_clips() -> None:
    clips = [render_gesture(label, seed, (16, 16), 2) for label in ("tick", "caret") for seed in range(3)]
    assert len({clip.frames.tobytes() for clip in clips}) == 6


@pytest.mark.parametrize("seed", [2, 3, 4])
def test_faster_clips_hold_the_frames_of_slower_ones(seed: int) -> None:
    slow = render_gesture("cross", seed, (48, 48), 10, 5.0)
    fast = render_gesture("cross", seed, (48, 48), 20, 10.0)
    assert np.allclose(fast.fingertip[::2], slow.fingertip)
    # Noise is the frame's own, so only nearly the same.
    assert np.abs(fast.frames[::2].astype(float) - slow.frames).mean() < 12


def test_same_scene_at_another_size() -> None:
    correlations = []
    for seed in range(8):
        small = render_gesture("square", seed, (64, 64), 4)
        large = render_gesture("square", seed, (128, 128), 4)
        assert np.array_equal(small.fingertip, large.fingertip)
        shrunk = large.frames.reshape(4, 64, 2, 64, 2, 3).mean((2, 4))
        correlations.append(np.corrcoef(shrunk.ravel(), small.frames.ravel())[0, 1])
    assert np.median(correlations) > 0.9


def test_long_clips_are_rendered_in_parts_and_wait() -> None:
    clip = render_gesture("swipe_up", 5, (16, 16), 300, 10.0)
    assert clip.end - clip.start <= 3.0
    before = clip.fingertip[: int(clip.start * 10) - 15]
    assert np.ptp(before, axis=0).max(initial=0) < 0.1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"label": "wave"}, "wave"),
        ({"seed": -1}, "seed"),
        ({"size": (4, 100)}, "4 × 100"),
        ({"frames": 0}, "frame"),
        ({"fps": 0.0}, "frame rate"),
        ({"fps": float("nan")}, "frame rate"),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(MovinetError, match=message):
        render_gesture(**({"label": "tick", "seed": 0} | arguments))


SMALL: dict[str, object] = {"seed": 3, "size": (24, 32), "fps": 5.0, "frames": 3, "labels": ("tick", "swipe_up")}


def decode(path: Path) -> NDArray[np.uint8]:
    with av.open(path) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def test_dataset_is_listed_and_reproducible(tmp_path: Path) -> None:
    progress: list[tuple[int, int | None]] = []
    write_dataset(tmp_path, 2, progress=lambda done, total: progress.append((done, total)), **SMALL)
    assert progress == [(1, 4), (2, 4), (3, 4), (4, 4)]
    with open(tmp_path / "clips.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["label"] for row in rows] == ["swipe_up", "swipe_up", "tick", "tick"]
    for row in rows:
        frames = decode(tmp_path / row["file"])
        again = render_gesture(row["label"], int(row["seed"]), (24, 32), 3, 5.0).frames
        assert np.abs(frames.astype(int) - again).mean() < 12


def test_dataset_goes_on_where_it_stopped(tmp_path: Path) -> None:
    write_dataset(tmp_path, 2, **SMALL)
    files = sorted(tmp_path.glob("*/*.mp4"))
    untouched, lost = files[0], files[-1]
    before, content = untouched.stat().st_mtime_ns, decode(lost)
    lost.unlink()
    write_dataset(tmp_path, 3, **SMALL)
    assert untouched.stat().st_mtime_ns == before
    assert np.abs(decode(lost).astype(int) - content).mean() < 0.5
    assert len(list(tmp_path.glob("*/*"))) == 6
    assert (tmp_path / "clips.csv").read_text().count("\n") == 7


def test_dataset_refuses_a_folder_of_other_settings(tmp_path: Path) -> None:
    write_dataset(tmp_path, 1, **SMALL)
    with pytest.raises(MovinetError, match="begun with"):
        write_dataset(tmp_path, 1, **(SMALL | {"fps": 8.0}))


def test_dataset_needs_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MovinetError, match="file"):
        write_dataset(tmp_path / "file", 1, **SMALL)


def test_other_processes_write_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(set_folder, "_START_SECONDS", 0.0)
    for workers in (1, 2):
        write_dataset(tmp_path / str(workers), 2, workers=workers, **SMALL)
    one, two = (sorted((tmp_path / str(workers)).glob("**/*.*")) for workers in (1, 2))
    for here, there in zip(one, two, strict=True):
        assert here.relative_to(tmp_path / "1") == there.relative_to(tmp_path / "2")
        assert here.read_bytes() == there.read_bytes()


def test_what_is_soon_written_needs_no_other_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(set_folder, "ProcessPoolExecutor")
    written = []
    files = {f"{n}.txt": (n,) for n in range(4)}
    set_folder.write_missing(tmp_path, files, lambda path, n: written.append((path.name, n)), workers=2)
    assert written == [("0.txt", 0), ("1.txt", 1), ("2.txt", 2), ("3.txt", 3)]


def test_rendering_is_bit_identical_in_another_process() -> None:
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        there = pool.submit(render_gesture, "star", 7, (40, 56), 5).result()
    assert np.array_equal(there.frames, render_gesture("star", 7, (40, 56), 5).frames)


def test_folders_of_others_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "clips.csv").write_text("file,label\nmine.mp4,mine\n")
    with pytest.raises(MovinetError, match=r"has other things in it \(clips\.csv\)"):
        write_dataset(tmp_path, 1, size=(8, 8), frames=2, labels=("tick",))
    assert [path.name for path in tmp_path.iterdir()] == ["clips.csv"]


def test_a_list_that_was_changed_is_kept(tmp_path: Path) -> None:
    write_dataset(tmp_path / "set", 1, size=(8, 8), frames=2, labels=("tick",))
    mine = "file,label,seed,split\ntick/tick_000000.mp4,tick,0,test\n"
    (tmp_path / "set" / "clips.csv").write_text(mine)
    with pytest.raises(MovinetError, match="give your own another name"):
        write_dataset(tmp_path / "set", 2, size=(8, 8), frames=2, labels=("tick",))
    assert (tmp_path / "set" / "clips.csv").read_text() == mine
    assert len(list((tmp_path / "set" / "tick").iterdir())) == 1
