"""What `classify` is given: folders of videos, standard input, times as people write them, the shape of pictures."""

import io
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli.test_cli import run
from tiny import tiny_weights

from movinet import recognizer
from movinet.cli.inputs import read_aspect, read_time, stretch, videos_below
from movinet.errors import MovinetError
from movinet.runtime import pool
from movinet.runtime.session import Session
from movinet.video.decode import read_frames
from movinet.video.encode import encode_video
from movinet.video.locations import Track
from movinet.video.net.sources import DEFAULT_LIMITS

MODEL = "--model @/tiny_stream.safetensors"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inputs")
    tiny_weights(folder)
    noise = np.random.default_rng(0).integers(0, 256, (50, 32, 48, 3), dtype=np.uint8)
    encode_video(folder / "long.mp4", noise, fps=5)
    for name in ("clips/b10.mp4", "clips/b9.mkv", "clips/deep/a.mp4"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        encode_video(folder / name, noise[:4], fps=5)
    (folder / "clips" / "notes.txt").write_text("none")
    (folder / "empty").mkdir()
    return folder


def rows(folder: Path, line: str, capfd: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    code, out, err = run(folder, f"{line} {MODEL} --json", capfd)
    assert (code, err) == (0, "")
    return [json.loads(row) for row in out.splitlines()]


def test_a_folder_of_videos_is_all_of_them(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    found = rows(folder, "classify @/clips @/long.mp4", capfd)
    names = ["clips/b9.mkv", "clips/b10.mp4", "clips/deep/a.mp4", "long.mp4"]
    assert [row["video"] for row in found] == [str(folder / name) for name in names]
    assert [row["frames"] for row in found] == [4, 4, 4, 50]
    code, _, err = run(folder, f"classify @/empty {MODEL}", capfd)
    assert code == 2
    assert "a folder without videos" in err


def test_a_folder_of_images_is_one_video(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    for name in ("1.png", "deep/clip.mp4"):
        (tmp_path / name).touch()
    assert videos_below(str(tmp_path)) == [str(tmp_path)]
    assert videos_below("missing.mp4") == ["missing.mp4"]


def test_standard_input_is_a_video(
    folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def give(data: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))

    expected = rows(folder, "classify @/long.mp4", capfd)
    give((folder / "long.mp4").read_bytes())
    (row,) = rows(folder, "classify -", capfd)
    assert row == {**expected[0], "video": "-"}
    for data, why in [(b"", "standard input is empty"), (b"no video", "not a video")]:
        give(data)
        code, _, err = run(folder, f"classify - {MODEL}", capfd)
        assert code == 2
        assert why in err


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("90", 90.0), ("90.5", 90.5), ("1:30", 90.0), ("0:01:30", 90.0), ("0:01:30.25", 90.25), ("90:00", 5400.0),
        ("2:00:00", 7200.0), ("450f", 450), ("0f", 0),
    ],
)  # fmt: skip
def test_times_as_people_write_them(text: str, time: float) -> None:
    found = read_time("--start", text)
    assert (type(found), found) == (type(time), time)


@pytest.mark.parametrize("text", ["", "-1", "nan", "inf", "1:60", "1:60:00", "1:2:3:4", "5ff", "-3f", "x", "1e999"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(MovinetError, match=r"--end is .*want seconds \(90.5\), a time \(0:01:30\) or"):
        read_time("--end", text)


def test_stretches_of_a_video(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    by_seconds = rows(folder, "classify @/long.mp4 --start 4 --end 6", capfd)
    assert by_seconds[0]["frames"] == 10
    for span in ("--start 0:00:04 --end 0:06", "--start 20f --end 30f", "--start 20f --end 6"):
        assert rows(folder, f"classify @/long.mp4 {span}", capfd) == by_seconds
    for span in ("--start 0:05 --end 0:04", "--start 30f --end 20f", "--start 30f --end 2"):
        code, _, err = run(folder, f"classify @/long.mp4 {MODEL} {span}", capfd)
        assert code == 2, span
        assert "end" in err


def test_an_image_folder_has_no_frames_to_count_by(tmp_path: Path) -> None:
    encode_video(tmp_path / "one.mp4", np.zeros((5, 32, 48, 3), np.uint8), fps=5)
    assert stretch((2, 0.9), str(tmp_path / "one.mp4"), DEFAULT_LIMITS) == (pytest.approx(0.4), 0.9)
    images = tmp_path / "images"
    images.mkdir()
    shutil.copyfile(tmp_path / "one.mp4", images / "1.png")
    with pytest.raises(MovinetError, match="give a time instead of 2f"):
        stretch((0.0, 2), str(images), DEFAULT_LIMITS)


def test_the_shape_of_a_picture_may_be_told(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    video = str(folder / "long.mp4")  # 48×32, with square pixels
    assert next(iter(read_frames(video))).rgb.shape == (32, 48, 3)
    assert next(iter(read_frames(Track(video, None, read_aspect("16:9"))))).rgb.shape == (32, 57, 3)
    assert next(iter(read_frames(Track(video, 0, read_aspect("3/4"))))).rgb.shape == (32, 24, 3)
    assert rows(folder, "classify @/long.mp4 --aspect 2.35", capfd) != rows(folder, "classify @/long.mp4", capfd)
    for text in ("", "16", "16:0", "0:9", "16x9", "-1"):
        with pytest.raises(MovinetError, match=r"--aspect is .*; want width to height, such as 16:9"):
            read_aspect(text)


def test_a_clip_never_forgets_and_a_camera_does(
    folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[float | None] = []

    class Watched(Session):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            told.append(self.memory)

        @property
        def memory(self) -> float | None:
            return super().memory

        @memory.setter
        def memory(self, seconds: float | None) -> None:
            told.append(seconds)
            Session.memory.fset(self, seconds)  # type: ignore[attr-defined]

    for module in (recognizer, pool):
        monkeypatch.setattr(module, "Session", Watched)
    rows(folder, "classify @/long.mp4", capfd)
    assert told
    assert set(told) == {None}
    told.clear()
    code, _, _ = run(folder, f"watch @/long.mp4 --seconds 1 {MODEL} --json", capfd)
    assert code == 0
    assert told[-1] == 20 / 5  # the length of the clips that the network was made for
