"""Lists of long videos become what is trained on and what is held out; what is wrong with them is said."""

from pathlib import Path

import numpy as np
import pytest

from movinet.errors import MovinetError
from movinet.train.recipe_data import Streams
from movinet.train.stream_splits import read_stream_splits
from movinet.video.encode import encode_video

HEAD = "file,label,start,end"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five videos of 20 seconds."""
    path = tmp_path_factory.mktemp("videos")
    for n in range(5):
        encode_video(path / f"{n}.mp4", np.full((20, 16, 16, 3), 40 * n, np.uint8), fps=1)
    return path


def listed(folder: Path, *rows: str, head: str = HEAD, name: str = "list.csv") -> str:
    (folder / name).write_text("\n".join([head, *rows]) + "\n")
    return str(folder / name)


def test_splits_go_by_their_names(folder: Path) -> None:
    rows = ["0.mp4,run,1,2,training", "1.mp4,run,3,4,validation", "2.mp4,jump,1,2,training", "3.mp4,,,,testing"]
    found = read_stream_splits(Streams((listed(folder, *rows, head=f"{HEAD},split"),)))
    assert [video.path.name for video in found.train] == ["0.mp4", "2.mp4"]
    assert [video.path.name for video in found.validation] == ["1.mp4"]
    assert [video.path.name for video in found.test] == ["3.mp4"]
    assert found.labels == ("background", "jump", "run")
    assert found.background == "background"
    assert found.train[0].segments == ((2, 1.0, 2.0),)
    assert found.train[0].seconds == 20.0
    assert found.warnings == ("nothing held out for validation: jump",)


def test_the_background_is_what_the_lists_or_the_user_call_it(folder: Path) -> None:
    rows = ["0.mp4,run,1,2", "0.mp4,other,5,9", "1.mp4,,,"]
    assert read_stream_splits(Streams((listed(folder, *rows),))).background == "other"
    named = read_stream_splits(Streams((listed(folder, *rows),), background="nothing"))
    assert named.labels == ("nothing", "other", "run")


def test_whole_videos_are_held_out_where_there_are_some(folder: Path) -> None:
    path = listed(folder, *(f"{n}.mp4,run,1,2" for n in range(5)))
    found = read_stream_splits(Streams((path,), held_out=0.15))
    assert len(found.train) == 4
    assert len(found.validation) == 1
    assert {v.path for v in found.train} | {v.path for v in found.validation} == {folder / f"{n}.mp4" for n in range(5)}
    assert read_stream_splits(Streams((path,), held_out=0.15)) == found
    assert read_stream_splits(Streams((path,), held_out=0.0)).validation == ()


def test_of_few_videos_the_end_is_held_out_and_nothing_is_cut_in_two(folder: Path) -> None:
    path = listed(folder, "0.mp4,run,1,2", "0.mp4,run,14,17", "1.mp4,run,3,4")
    found = read_stream_splits(Streams((path,), held_out=0.25))
    assert [(v.start, v.end) for v in found.train] == [(0.0, 14.0), (0.0, 15.0)]
    assert [(v.start, v.end) for v in found.validation] == [(14.0, 20.0), (15.0, 20.0)]


def test_moments_to_be_seen_more_often(folder: Path) -> None:
    path = listed(folder, "0.mp4,run,1,2", "1.mp4,,,")
    mined = listed(folder, "0.mp4,7.5", "1.mp4,3", "9.mp4,1", "0.mp4,19.5", head="file,start", name="mined.csv")
    found = read_stream_splits(Streams((path,), held_out=0.1, mined=mined))
    assert found.moments == ((0, 7.5), (1, 3.0))  # what is held out stays so


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        (["0.mp4,run,1,3", "0.mp4,jump,2,4"], "jump from 2 to 4 s overlaps run from 1 to 3 s: every moment has one"),
        (["0.mp4,run,30,31"], r"begin at 30 s, but the video lasts 20\.00 s"),
        (["0.mp4,run,1,25"], r"end at 25 s, but the video lasts 20\.00 s"),
        (["0.mp4,,,", "1.mp4,other,1,2"], "nothing happens in the videos to train on, but for other"),
    ],
)
def test_what_cannot_be_is_refused(folder: Path, rows: list[str], complaint: str) -> None:
    with pytest.raises(MovinetError, match=complaint):
        read_stream_splits(Streams((listed(folder, *rows),)))


def test_labels_that_nobody_teaches_are_refused(folder: Path) -> None:
    train = listed(folder, "0.mp4,run,1,2", "1.mp4,,,", name="train.csv")
    val = listed(folder, "2.mp4,fly,1,2", "3.mp4,,,", name="val.csv")
    with pytest.raises(MovinetError, match="fly happens in the videos for validation and in none to train on"):
        read_stream_splits(Streams((train, val)))
    again = listed(folder, "0.mp4,run,5,6", "3.mp4,,,", name="val.csv")
    with pytest.raises(MovinetError, match="is in two lists"):
        read_stream_splits(Streams((train, again)))


def test_no_time_in_which_nothing_happens_is_warned_of(folder: Path) -> None:
    rows = ["0.mp4,run,0,10", "0.mp4,jump,10,20"]
    found = read_stream_splits(Streams((listed(folder, *rows),), held_out=0.0))
    assert "no false-alarm rate can be promised" in found.warnings[0]


def test_a_broken_video_is_left_out(folder: Path, tmp_path: Path) -> None:
    (folder / "broken.mp4").write_bytes(b"no video")
    found = read_stream_splits(Streams((listed(folder, "0.mp4,run,1,2", "broken.mp4,run,1,2", "1.mp4,,,"),)))
    assert [video.path.name for video in found.train] == ["0.mp4", "1.mp4"]
    assert any("left out" in warning and "broken.mp4" in warning for warning in found.warnings)
    with pytest.raises(MovinetError, match="no video to train on can be read"):
        read_stream_splits(Streams((listed(folder, "broken.mp4,run,1,2", "broken.mp4,run,3,4"),)))
