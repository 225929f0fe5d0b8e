"""Lists of long videos: what is read, and what is refused with its place."""

import json
from pathlib import Path

import pytest

from movinet.errors import MovinetError
from movinet.evaluate.labeled_streams import LabeledStream, read_streams, refuse_beyond_end, refuse_unknown_labels
from movinet.evaluate.matching import Segment


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.mp4", "b.mkv"):
        (tmp_path / name).touch()
    return tmp_path


def written(folder: Path, text: str, name: str = "streams.csv") -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def test_segments_come_by_video_and_start(folder: Path) -> None:
    path = written(folder, "File;label;start;end;split\na.mp4;jump;5;7.5;val\na.mp4;run;1;6;val\n\nb;;;;\n")
    first, second = read_streams(path)
    assert first == LabeledStream(
        folder / "a.mp4", (Segment("a.mp4", "run", 1.0, 6.0), Segment("a.mp4", "jump", 5.0, 7.5)), "val"
    )
    assert second == LabeledStream(folder / "b.mkv", ())


def test_activitynets_json_is_read(folder: Path) -> None:
    database = {
        "a": {"annotations": [{"label": "run", "segment": [1, 6.5]}], "subset": "val"},
        "b": {"annotations": []},
    }
    path = written(folder.parent, json.dumps({"version": "1.3", "database": database}), f"{folder.name}.json")
    first, second = read_streams(path, folder)
    assert first == LabeledStream(folder / "a.mp4", (Segment("a", "run", 1.0, 6.5),), "val")
    assert second.segments == ()


def test_a_row_without_end_is_a_moment(folder: Path) -> None:
    (stream,) = read_streams(written(folder, "file,label,start,end\na.mp4,goal,12.5,\n"))
    assert stream.segments == (Segment("a.mp4", "goal", 12.5, 12.5),)


def test_labels_are_spelt_as_in_other_sets(folder: Path) -> None:
    (stream,) = read_streams(written(folder, "file,label,start,end\na.mp4,cafe\u0301\u200e,1,2\n"))
    assert stream.segments[0].label == "caf\u00e9\\u200e"


def test_a_matchs_moments_are_those_of_its_halves(tmp_path: Path) -> None:
    for name in ("1_720p.mkv", "1_224p.mkv", "2_224p.mkv", "notes.txt"):
        (tmp_path / name).touch()
    annotations = [
        {"gameTime": "2 - 00:31", "label": "Foul", "position": "31500", "team": "home"},
        {"gameTime": "1 - 44:58", "label": "Goal", "position": 2698123},
    ]
    path = written(tmp_path, json.dumps({"UrlLocal": "x", "annotations": annotations}), "Labels-v2.json")
    second, first = read_streams(path)
    assert second == LabeledStream(tmp_path / "2_224p.mkv", (Segment("2_224p.mkv", "Foul", 31.5, 31.5),))
    assert first.video == tmp_path / "1_224p.mkv"
    assert first.segments[0].start == 2698.123


@pytest.mark.parametrize(
    ("annotation", "complaint"),
    [
        ({"label": "Foul", "position": "1"}, 'annotation 1: want "gameTime"'),
        ({"gameTime": "1 - 0:01", "label": "Foul"}, "annotation 1: want a label and seconds"),
        ({"gameTime": "1 - 0:01", "position": 5}, "annotation 1: want a label and seconds"),
        ({"gameTime": "3 - 0:01", "label": "Foul", "position": "1"}, "no video of half 3"),
        ("goal", 'annotation 1: want "gameTime"'),
    ],
)
def test_what_is_no_moment_of_a_match_is_refused(folder: Path, annotation: object, complaint: str) -> None:
    (folder / "1_224p.mkv").touch()
    path = written(folder, json.dumps({"annotations": [annotation]}), "match.json")
    with pytest.raises(MovinetError, match=complaint):
        read_streams(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,label,start\n", "line 1: no column end"),
        ("file,label,start,end\n", "lists no videos"),
        ("file,label,start,end\na.mp4,run,1\n", "line 2: 3 cells"),
        ("file,label,start,end\na.mp4,run,3,2\n", "line 2: want a label and seconds"),
        ("file,label,start,end\na.mp4,run,nan,2\n", "line 2: want a label"),
        ("file,label,start,end\na.mp4,,1,2\n", "line 2: want a label"),
        ("file,label,start,end\n,run,1,2\n", "line 2: no file"),
        ("file,label,start,end\nc.mp4,run,1,2\n", "c.mp4: no such video"),
        (
            "file,label,start,end\na.mp4,run,1,3\na.mp4,run,2,4\n",
            "line 3: run from 2 to 4 s overlaps the one from 1 to 3",
        ),
        ('file,label,start,end\n"a.mp4,run,1,2\n', "line 2: "),
    ],
)
def test_what_is_wrong_is_told_with_its_line(folder: Path, text: str, message: str) -> None:
    with pytest.raises(MovinetError, match=message):
        read_streams(written(folder, text))


@pytest.mark.parametrize(
    "value",
    [
        "[]",
        '{"database": 3}',
        '{"database": {"a": {"annotations": 3}}}',
        '{"database": {"a": {"annotations": [{"label": "run"}]}}}',
        '{"database": {"a": {"annotations": [{"label": 3, "segment": [1, 2]}]}}}',
        '{"database": {"a"',
    ],
)
def test_json_of_another_form_is_refused(folder: Path, value: str) -> None:
    with pytest.raises(MovinetError, match=r"s\.json: "):
        read_streams(written(folder, value, "s.json"))


def test_several_videos_of_a_name_are_refused(folder: Path) -> None:
    (folder / "a.avi").touch()
    with pytest.raises(MovinetError, match="2 videos"):
        read_streams(written(folder, "file,label,start,end\na,run,1,2\n"))


def test_labels_and_times_must_be_those_of_network_and_video(folder: Path) -> None:
    (stream,) = read_streams(written(folder, "file,label,start,end\na.mp4,run,1,2\n"))
    refuse_unknown_labels([stream], ["jump"], {"run"}, "model")
    with pytest.raises(MovinetError, match="model has no label 'run'"):
        refuse_unknown_labels([stream], ["walk"], {"other"}, "model")
    with pytest.raises(MovinetError, match="bring no labels"):
        refuse_unknown_labels([stream], None, set(), "model")
    refuse_beyond_end(stream, 1.5)
    with pytest.raises(MovinetError, match=r"begin at 1 s, but the video lasts 0\.50 s"):
        refuse_beyond_end(stream, 0.5)


def test_a_folder_is_no_list_of_long_videos(tmp_path: Path) -> None:
    with pytest.raises(MovinetError, match="a folder; of long videos a list is wanted"):
        read_streams(tmp_path)
