"""Videos come back as they went in: size, rate, colors."""

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from movinet.errors import MovinetError
from movinet.video.encode import encode_video

COLORS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0), (200, 120, 60)]


def bands(frames: int, height: int, width: int) -> NDArray[np.uint8]:
    clip = np.empty((frames, height, width, 3), dtype=np.uint8)
    for index in range(frames):
        clip[index] = COLORS[index % len(COLORS)]
    return clip


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi", ".mov"])
@pytest.mark.parametrize("size", [(32, 48), (33, 47)])
def test_round_trip(tmp_path: Path, suffix: str, size: tuple[int, int]) -> None:
    clip = bands(6, *size)
    path = tmp_path / f"clip{suffix}"
    encode_video(path, clip, 12.5)
    with av.open(path) as container:
        assert container.streams.video[0].average_rate == 12.5
        frames = list(container.decode(video=0))
    pixels = np.stack([frame.to_ndarray(format="rgb24") for frame in frames])
    assert pixels.shape == clip.shape
    assert np.abs(pixels.astype(int) - clip).max() <= 8
    times = [frame.time for frame in frames]
    assert np.allclose(np.diff([time for time in times if time is not None]), 0.08, atol=1e-3)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_frames_may_come_one_by_one(tmp_path: Path) -> None:
    encode_video(tmp_path / "clip.mp4", iter(bands(3, 16, 16)), 5)
    with av.open(tmp_path / "clip.mp4") as container:
        assert len(list(container.decode(video=0))) == 3


def mixed() -> Iterator[NDArray[np.uint8]]:
    yield np.zeros((16, 16, 3), np.uint8)
    yield np.zeros((16, 18, 3), np.uint8)


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        ([], "no frames"),
        (np.zeros((2, 16, 16, 3), np.float32), "uint8"),
        (np.zeros((2, 16, 16), np.uint8), "uint8"),
        (mixed(), "one size"),
    ],
)
def test_bad_frames_leave_what_was_there(tmp_path: Path, frames: NDArray[np.uint8], message: str) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"before")
    with pytest.raises(MovinetError, match=message):
        encode_video(path, frames, 5)
    assert path.read_bytes() == b"before"
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("fps", [0, -1, float("inf"), float("nan")])
def test_bad_rate(tmp_path: Path, fps: float) -> None:
    with pytest.raises(MovinetError, match="rate"):
        encode_video(tmp_path / "clip.mp4", bands(1, 16, 16), fps)


@pytest.mark.parametrize("name", ["missing/clip.mp4", "clip.nonsense"])
def test_places_that_cannot_be_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(MovinetError, match="clip"):
        encode_video(tmp_path / name, bands(1, 16, 16), 5)
