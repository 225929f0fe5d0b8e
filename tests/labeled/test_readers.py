"""Folders and lists are read as they are meant; what is wrong with one is said, with the line."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from movinet.arch.zoo import network_spec
from movinet.errors import MovinetError
from movinet.labeled.readers import DatasetIndex, VideoEntry, read_set
from movinet.weights.info import WeightsInfo, fresh_info


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def shown(listing: DatasetIndex, root: Path) -> dict[str, list[tuple[str, str]]]:
    """split -> (file, labels)"""
    return {
        name: [(video.path.relative_to(root).as_posix(), "|".join(video.labels)) for video in part.videos]
        for name, part in listing.splits.items()
    }


def test_a_folder_per_class(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "run/b.mp4",
        "run/a.MOV",
        "run/.hidden.mp4",
        "run/notes.txt",
        ".git/x.mp4",
        "__MACOSX/run/c.mp4",
        "jump/deep/er/c.webm",
    )
    touch(
        tmp_path, "jump/images/1.jpg", "jump/images/2.jpg", "jump/clip/d.avi", "jump/clip/thumbnail.jpg", "wait/x.txt"
    )
    listing = read_set(tmp_path)
    assert listing.kind == "a folder per class"
    assert shown(listing, tmp_path) == {
        "all": [
            ("jump/clip/d.avi", "jump"),
            ("jump/deep/er/c.webm", "jump"),
            ("jump/images", "jump"),
            ("run/a.MOV", "run"),
            ("run/b.mp4", "run"),
        ]
    }
    part = listing.splits["all"]
    assert part.labels == ("jump", "run", "wait")
    assert not part.multi_label


def test_a_misspelt_split_is_no_class(tmp_path: Path) -> None:
    touch(tmp_path, "train/a/1.mp4", "train/b/2.mp4", "vaild/a/3.mp4")
    with pytest.raises(MovinetError, match=r"train is a split with a folder per class, vaild is not: is it misspelt"):
        read_set(tmp_path)


def test_a_class_may_be_called_like_a_split(tmp_path: Path) -> None:
    touch(tmp_path, "test/1.mp4", "other/2.mp4")
    assert read_set(tmp_path).splits["all"].labels == ("other", "test")


def test_labels_are_spelt_in_one_way(tmp_path: Path) -> None:
    """macOS stores é as two characters; marks of direction are escapes in all weights."""
    touch(tmp_path, "1.mp4", "2.mp4", "3.mp4", "4.mp4")
    rows = "file,label\n1.mp4,caf\u00e9\n2.mp4,cafe\u0301\n3.mp4,b\n4.mp4,\u05d0\u200f\n"
    (tmp_path / "list.csv").write_text(rows, encoding="utf-8")
    labels = read_set(tmp_path / "list.csv").splits["all"].labels
    assert labels == ("b", "caf\u00e9", "\u05d0\\u200f")
    info = replace(fresh_info(network_spec("movinet_a0_stream").with_options(num_classes=3)), labels=labels)
    assert WeightsInfo.from_dict(info.to_dict()).labels == labels


def test_a_class_whose_name_is_not_text_is_refused(tmp_path: Path) -> None:
    for name in (b"caf\xe9", b"b"):
        folder = os.path.join(os.fsencode(tmp_path), name)
        os.mkdir(folder)
        with open(os.path.join(folder, b"1.mp4"), "wb"):
            pass
    with pytest.raises(MovinetError, match="not UTF-8; rename it"):
        read_set(tmp_path)


def test_folders_named_as_splits_are_splits(tmp_path: Path) -> None:
    touch(tmp_path, "test/a/1.mp4", "train/a/2.mp4", "train/b/3.mp4", "val/b/4.mp4")
    listing = read_set(tmp_path)
    assert list(listing.splits) == ["train", "val", "test"]
    assert {part.labels for part in listing.splits.values()} == {("a", "b")}
    assert [video.path.name for video in listing.select("train", "test").videos] == ["2.mp4", "3.mp4", "1.mp4"]
    with pytest.raises(MovinetError, match=r"no split dev; there are train, val, test"):
        listing.select("dev")


def test_videos_outside_of_classes_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    touch(tmp_path, "a/1.mp4", "b/2.mp4", "loose.mp4")
    assert len(read_set(tmp_path).select().videos) == 2
    assert "outside the folders of classes: loose.mp4" in caplog.text


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ((), "no videos"),
        (("a/readme.txt", "b/notes.md"), "no videos"),
        (("1.mp4", "2.mp4"), "videos, but no folder per class"),
        (("a/1.mp4", "a/2.mp4"), "one class, a"),
        (("a/1.jpg", "b/2.mp4"), "images lie in the folder of a class"),
    ],
)
def test_folders_that_are_no_data_sets(tmp_path: Path, files: tuple[str, ...], message: str) -> None:
    touch(tmp_path, *files)
    with pytest.raises(MovinetError, match=message):
        read_set(tmp_path)


def test_csv(tmp_path: Path) -> None:
    touch(tmp_path, "x/1.mp4", "x/2.mp4")
    (tmp_path / "clips.csv").write_text(
        '\ufeffFile,label,start,end,fold,remark\nx/1.mp4,"run, fast",,,0,\n\n'
        "x/1.mp4,jump,1.5,3,1,\nx/2.mp4,jump,2,,1,!\n",
        encoding="utf-8",
    )
    for path in (tmp_path, tmp_path / "clips.csv"):
        listing = read_set(path)
        assert listing.splits["0"].videos == (VideoEntry(tmp_path / "x/1.mp4", ("run, fast",)),)
        assert listing.splits["1"].videos == (
            VideoEntry(tmp_path / "x/1.mp4", ("jump",), 1.5, 3.0),
            VideoEntry(tmp_path / "x/2.mp4", ("jump",), 2.0),
        )
        assert listing.splits["0"].labels == listing.splits["1"].labels == ("jump", "run, fast")


def test_semicolons_and_tabs_will_do(tmp_path: Path) -> None:
    touch(tmp_path, "1.mp4", "2.mp4")
    for mark in ";\t":
        (tmp_path / "list.csv").write_text(f"path{mark}label\n1.mp4{mark}a\n2.mp4{mark}b\n")
        assert read_set(tmp_path / "list.csv").select().labels == ("a", "b")


def test_several_labels_make_a_set_multi_label(tmp_path: Path) -> None:
    touch(tmp_path, "1.mp4", "2.mp4", "3.mp4")
    (tmp_path / "list.csv").write_text("file,labels\n1.mp4,b|a\n2.mp4,\n3.mp4,a\n")
    entries = [
        {"file": "1.mp4", "labels": ["b", "a"]},
        {"file": "2.mp4", "labels": []},
        {"file": "3.mp4", "label": "a"},
    ]
    (tmp_path / "list.json").write_text(json.dumps(entries))
    (tmp_path / "list.jsonl").write_text("\n".join(map(json.dumps, entries)))
    for name in ("list.csv", "list.json", "list.jsonl"):
        part = read_set(tmp_path / name).select()
        assert part.multi_label
        assert [video.labels for video in part.videos] == [("b", "a"), (), ("a",)]


def test_lists_by_split_are_one_set(tmp_path: Path) -> None:
    touch(tmp_path, "videos/1.mp4", "videos/2.mp4", "videos/3.mp4")
    (tmp_path / "my_val.csv").write_text("file,label\n1.mp4,a\n")
    (tmp_path / "my_train.csv").write_text("file,label\n2.mp4,a\n3.mp4,b\n")
    lists = (tmp_path / "my_val.csv", tmp_path / "my_train.csv")
    for paths in (lists, (tmp_path,)):
        listing = read_set(*paths, videos=tmp_path / "videos")
        assert shown(listing, tmp_path / "videos") == {
            "train": [("2.mp4", "a"), ("3.mp4", "b")],
            "val": [("1.mp4", "a")],
        }
        assert listing.splits["val"].labels == ("a", "b")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("file,label\n", "lists no videos"),
        ("1.mp4,a\n", "name the columns, `file` or .*`filename` among them; it names 1.mp4, a"),
        ("file,what\n1.mp4,a\n", "`labels` or `label` among them"),
        ("file,label\n1.mp4,a\n1.mp4\n", "line 3: 1 cell for 2 columns"),
        ('file,label\n1.mp4,"a\n', "line 2"),
        ("file,label\n1.mp4,a\n,b\n", "line 3: no file"),
        ("file,label\n1.mp4,\n", "line 2: no label"),
        ("file,label\n1.mp4,a|\n", "line 2: no label"),
        ("file,label,start\n1.mp4,a,soon\n", "line 2: start must be seconds, not 'soon'"),
        ("file,label,start,end\n1.mp4,a,3,2\n", "line 2: want 0 <= start < end, not 3 and 2"),
        ("file,label,start\n1.mp4,a,-1\n", "line 2"),
        ("file,label,end\n1.mp4,a,nan\n", "line 2"),
        ("file,label,fold\n1.mp4,a,\n", "line 2: no fold"),
        ("file,label\n1.mp4,a\n2.mp4,a\n", "one class, a"),
        ("file,labels\n1.mp4,\n2.mp4,\n", "no video has a label"),
        ("file,label\n1.mp4,a\n2.mp4,b\n1.mp4,a\n", "listed twice: .*1.mp4, line 2 and line 4"),
        ("file,label\n1.mp4,a\n1.mp4,b\n", "1.mp4 as a and b, line 2 and line 3"),
        (
            "file,label\n1.mp4,a\n2.mp4,b\n3.mp4,b\n4.mp4,b\n5.mp4,b\n6.mp4,b\n",
            "4 of 6 listed videos missing .*3.mp4",
        ),
    ],
)
def test_malformed_csv(tmp_path: Path, text: str, message: str) -> None:
    touch(tmp_path, "1.mp4", "2.mp4")
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(MovinetError, match=message) as caught:
        read_set(tmp_path / "list.csv")
    assert "list.csv" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[", "not JSON"),
        ("nonsense", "line 1: not JSON"),
        ('{"file": "1.mp4", "label": "a"}\n{"file"', "line 2: not JSON"),
        ("[1]", "entry 1: want an object"),
        ('[{"file": "1.mp4", "label": "a"}, {"label": "b"}]', "entry 2: no file"),
        ('[{"file": "1.mp4", "label": {"a": 1}}]', "entry 1: label must be"),
        ('[{"file": "1.mp4"}]', "entry 1: label must be"),
        ('[{"file": "1.mp4", "label": "a", "start": []}]', "entry 1: start must be seconds"),
        ('[{"file": "1.mp4", "label": "a", "split": null}]', "entry 1: no split"),
        ("[]", "lists no videos"),
    ],
)
def test_malformed_json(tmp_path: Path, text: str, message: str) -> None:
    touch(tmp_path, "1.mp4")
    (tmp_path / "list.json").write_text(text)
    with pytest.raises(MovinetError, match=message):
        read_set(tmp_path / "list.json")


@given(
    text=st.text(st.sampled_from('fil,e"labstrndx.mp40123|;\n\t{}[]:'), max_size=60),
    suffix=st.sampled_from(["csv", "json"]),
)
def test_no_list_ends_in_another_error(tmp_path_factory: pytest.TempPathFactory, text: str, suffix: str) -> None:
    path = tmp_path_factory.getbasetemp() / f"any.{suffix}"
    for head in ("", "file,label,start\n"):
        path.write_text(head + text)
        with pytest.raises(MovinetError):
            read_set(path)


def test_a_video_may_be_in_two_splits(tmp_path: Path) -> None:
    """Wrong as a rule, but that is for `movinet data check` to say."""
    touch(tmp_path, "1.mp4", "2.mp4")
    (tmp_path / "list.csv").write_text("file,label,split\n1.mp4,a,train\n2.mp4,b,train\n1.mp4,a,test\n")
    assert [len(part.videos) for part in read_set(tmp_path / "list.csv").splits.values()] == [2, 1]


def test_missing_videos_can_be_left_out(tmp_path: Path) -> None:
    touch(tmp_path, "1.mp4")
    (tmp_path / "list.csv").write_text("file,label\n1.mp4,a\n2.mp4,b\n")
    listing = read_set(tmp_path / "list.csv", skip_missing=True)
    assert listing.missing == (tmp_path / "2.mp4",)
    assert len(listing.select().videos) == 1
    assert listing.select().labels == ("a", "b")
    (tmp_path / "1.mp4").unlink()
    with pytest.raises(MovinetError, match="2 of 2"):
        read_set(tmp_path / "list.csv", skip_missing=True)


def test_what_is_no_list(tmp_path: Path) -> None:
    touch(tmp_path, "clip.mp4", "list.xlsx", "bytes.csv")
    (tmp_path / "bytes.csv").write_bytes(b"file,label\n\xff\xfe.mp4,a\n")
    for name, message in (
        ("clip.mp4", "one video"),
        ("list.xlsx", "not a list that is known"),
        ("bytes.csv", "UTF-8"),
        ("absent", "no such"),
    ):
        with pytest.raises(MovinetError, match=message):
            read_set(tmp_path / name)
    with pytest.raises(MovinetError, match="give a folder"):
        read_set()


def test_the_real_gestures(shared: Path) -> None:
    listing = read_set(shared / "data/egogestar")
    assert list(listing.splits) == ["0", "1", "2", "3"]
    assert len(listing.select().videos) == 279
    assert len(listing.select().labels) == 11
