"""The contact sheet shows what is in a set, where one looks for it."""

import zlib
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from movinet.data.contact_sheet import contact_sheet, is_sheet
from movinet.errors import MovinetError
from movinet.labeled.readers import VideoEntry, VideoSet
from movinet.video.encode import encode_video


def read_png(path: Path) -> NDArray[np.uint8]:
    with av.open(str(path)) as picture:
        return next(picture.decode(video=0)).to_ndarray(format="rgb24")


@pytest.fixture
def videos(tmp_path: Path) -> VideoSet:
    """Red clips and blue ones that grow brighter; the last is no video."""
    found = []
    for label, channel in (("blue", 2), ("red", 0)):
        for clip in range(2):
            frames = np.zeros((6, 36, 48, 3), np.uint8)
            frames[..., channel] = (80 + 30 * np.arange(6))[:, None, None]
            path = tmp_path / f"{label}{clip}.mp4"
            encode_video(path, frames, fps=3)
            found.append(VideoEntry(path, (label,)))
    (tmp_path / "bad.mp4").write_text("not a video")
    found.append(VideoEntry(tmp_path / "bad.mp4", ("Ärger, ganz ohne jeden Anlass und Grund",)))
    return VideoSet(tuple(found), tuple(sorted({video.labels[0] for video in found})), False)


def test_rows_are_classes_and_columns_are_time(videos: VideoSet, tmp_path: Path) -> None:
    contact_sheet(videos, tmp_path / "sheet.png", per_class=2, frames=3, height=36)
    sheet = read_png(tmp_path / "sheet.png").astype(int)
    assert sheet.shape[0] == 12 + 3 * (36 + 12)
    row = {label: 12 + 18 + k * 48 for k, label in enumerate(videos.labels)}
    columns = [12 + 216 + clip * (3 * 50 - 2 + 12) + 50 * k + 24 for clip in range(2) for k in range(3)]
    for label, channel in (("blue", 2), ("red", 0)):
        pixels = sheet[row[label], columns]
        assert (pixels.argmax(1) == channel).all()
        levels = pixels[:, channel]
        # Two seconds of six frames: shown are those at 1/3, 1 and 5/3 seconds.
        assert np.abs(levels - [110, 170, 230] * 2).max() <= 12
    labels = sheet[:, 12 : 12 + 200]
    assert all((labels[y - 18 : y + 18] > 200).any() for y in row.values())  # each row has its name


def test_a_long_set_is_cut(tmp_path: Path) -> None:
    many = tuple(f"class {k:03d}" for k in range(130))
    absent = tuple(VideoEntry(tmp_path / "absent.mp4", (label,)) for label in many)
    contact_sheet(VideoSet(absent, many, False), tmp_path / "sheet.png", per_class=1, frames=1, height=24)
    assert read_png(tmp_path / "sheet.png").shape[0] < 100 * 36 + 60


def test_a_set_without_clips_in_some_class(videos: VideoSet, tmp_path: Path) -> None:
    contact_sheet(VideoSet(videos.videos[:1], ("blue", "red"), False), tmp_path / "sheet.png")
    contact_sheet(VideoSet((), (), False), tmp_path / "empty.png")
    assert read_png(tmp_path / "sheet.png").shape[0] > read_png(tmp_path / "empty.png").shape[0]


def test_what_cannot_be_drawn(videos: VideoSet, tmp_path: Path) -> None:
    with pytest.raises(MovinetError, match="frames"):
        contact_sheet(videos, tmp_path / "sheet.png", frames=0)
    with pytest.raises(MovinetError, match="cannot write"):
        contact_sheet(videos, tmp_path / "absent/sheet.png")


def test_a_sheet_is_known_from_other_pictures(videos: VideoSet, tmp_path: Path) -> None:
    contact_sheet(videos, tmp_path / "sheet.png")
    assert is_sheet(tmp_path / "sheet.png")
    whole = (tmp_path / "sheet.png").read_bytes()
    mark = whole.index(b"tEXt")
    length = int.from_bytes(whole[mark - 4 : mark]) + 12
    (tmp_path / "photo.png").write_bytes(whole[: mark - 4] + whole[mark - 4 + length :])
    assert read_png(tmp_path / "photo.png").shape == read_png(tmp_path / "sheet.png").shape
    assert not is_sheet(tmp_path / "photo.png")
    assert zlib.crc32(whole[mark : mark + length - 8]) == int.from_bytes(whole[mark + length - 8 : mark + length - 4])
