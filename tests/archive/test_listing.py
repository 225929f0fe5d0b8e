"""What sources stand for: names of every kind, and lists of every kind."""

import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from movinet.archive.items import ABSENT, Item, check_file, file_item, key_of
from movinet.archive.listing import list_items
from movinet.errors import MovinetError, VideoError

ODD = ["a b.mp4", 'quo"te,comma.mp4', "new\nline.mp4", "[x].mp4", "ümläut.mp4", os.fsdecode(b"bad\xff.mp4"), "10.MP4"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "videos"
    (folder / "below" / "deep").mkdir(parents=True)
    for name in [*ODD, "notes.txt", ".hidden.mp4", "below/deep/a b.mp4"]:
        (folder / name).write_bytes(b"x")
    (folder / "loop").symlink_to(folder)
    return folder


def names(*sources: object) -> list[str]:
    problems: list[str] = []
    found = [item.path for item in list_items([str(source) for source in sources], problems.append)]
    assert not problems
    return found


def test_a_folder_is_its_videos_and_those_below(folder: Path) -> None:
    found = names(folder)
    assert sorted(found) == sorted(str(folder / name) for name in [*ODD, "below/deep/a b.mp4"])
    assert names(folder, folder, folder / "a b.mp4") == found  # each once


def test_a_pattern_is_what_it_matches(folder: Path) -> None:
    assert names(f"{folder}/a*.mp4") == [str(folder / "a b.mp4")]
    assert str(folder / "below/deep/a b.mp4") in names(f"{folder}/**/*.mp4")
    assert names(folder / "[x].mp4") == [str(folder / "[x].mp4")]  # a file of that name comes first
    problems: list[str] = []
    assert list_items([f"{folder}/*.xyz"], problems.append) == []
    assert "matches nothing" in problems[0]


def test_lists_name_videos_from_their_own_folder(folder: Path) -> None:
    plain = [name for name in ODD if name.isprintable()]
    wanted = [str(folder / name) for name in plain]
    quoted = "".join('"{}",1\n'.format(name.replace('"', '""')) for name in plain)
    (folder / "list.csv").write_text(f"path,label\n{quoted}")
    pq.write_table(pa.table({"n": range(len(plain)), "video": plain}), folder / "list.parquet")
    (folder / "list.jsonl").write_text("".join(json.dumps({"file": name}) + "\n" for name in plain))
    (folder / "list.txt").write_text("\n".join(plain))
    for kind in ("csv", "parquet", "jsonl", "txt"):
        assert names(folder / f"list.{kind}") == wanted, kind


def test_what_a_list_names_and_is_not_there_is_looked_at_once_it_is(folder: Path) -> None:
    (folder / "list.txt").write_text("gone.mp4\n")
    (item,) = list_items([str(folder / "list.txt")], print)
    assert (item.size, item.version) == (-1, ABSENT)
    (folder / "gone.mp4").write_bytes(b"y")
    assert file_item(item.path).fingerprint != item.fingerprint


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("list.csv", "label\nx\n", "no column file, path, video, url or uri"),
        ("list.csv", 'path\n"open\n', "line"),
        ("list.jsonl", '{"file": 3}\n', "its file is no text"),
        ("list.parquet", "PAR1", "no Parquet file"),
        ("missing.mp4", "", "no such file, folder or list"),
        ("list.txt", "rtsp://camera.local/stream\n", "cameras and streams are watched"),
        ("list.txt", "https://user:secret@example.org/a.mp4\n", "its password would stand in the results"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, name: str, text: str, said: str) -> None:
    if text:
        (tmp_path / name).write_text(text)
    with pytest.raises(MovinetError, match=said) as raised:
        list_items([str(tmp_path / name)], print)
    assert "secret" not in str(raised.value)


def test_a_video_is_known_again_until_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"1")
    before = file_item(path)
    assert file_item(path) == before
    os.utime(path, ns=(1, 1))
    assert file_item(path).fingerprint != before.fingerprint
    assert file_item(path).key == before.key == key_of(str(path))
    assert file_item(path).modified == 1e-9
    assert Item("s3://b/a.mp4", 3, "etag:x").etag == "x"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no pipes with names")
def test_what_would_be_waited_for_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    (tmp_path / "empty.mp4").write_bytes(b"")
    for name, said in (("pipe.mp4", "not a file"), ("empty.mp4", "empty"), ("gone.mp4", "No such file")):
        with pytest.raises(VideoError, match=said):
            check_file(file_item(tmp_path / name))
