"""Reading labeled data sets as people keep them: a folder per class, lists, and what published sets come with."""

import logging
import re
from collections.abc import Iterator
from math import isfinite
from pathlib import Path
from typing import Any

from movinet.errors import MovinetError, brief
from movinet.labeled.entries import ALL, DatasetIndex, Row, VideoEntry, VideoSet, find_videos, gather, join
from movinet.labeled.formats import (
    read_charades,
    read_epic,
    read_hmdb51,
    read_kinetics,
    read_mmaction,
    read_something,
    read_ucf101,
)
from movinet.labeled.shards import RECORD, read_shards
from movinet.rows import malformed, read_json, read_table
from movinet.video.decode import VIDEOS

__all__ = ["DatasetIndex", "VideoEntry", "VideoSet", "read_csv", "read_folder", "read_json_list", "read_set"]

logger = logging.getLogger(__name__)

_SPLITS = {"train", "training", "val", "valid", "validate", "validation", "test", "testing"}
_UCF101 = re.compile(r"(train|test)list(\d\d)\.txt")
_HMDB51 = re.compile(r".+_test_split(\d)\.txt")
_FILE = ("file", "path", "video", "filename")
_LABELS = ("labels", "label")
_SPLIT = ("split", "fold")
_LABELED = {*_LABELS, "template"}


def read_set(
    *paths: str | Path, videos: str | Path | None = None, skip_missing: bool = False, fewest_classes: int = 2
) -> DatasetIndex:
    """A data set, whatever it is:

    - a folder with a folder per class, or with such folders in `train`, `val` and `test`;
    - a list: CSV, JSON or JSONL, see `read_csv` and `read_json_list`; or a folder with `clips.csv`, or with a list for
      every split (`train.csv`, `val.json`, …);
    - a list of Kinetics, Something-Something v2, Charades, UCF101 or HMDB51, or a folder of them;
    - lists as mmaction2 writes them, `path 3` a line, in files ending in .txt;
    - a folder of shards, see `movinet.labeled.shards`.

    Args:
        paths: several are the splits of one set, named as the files are.
        videos: where the listed videos are; by default where the list is.
        skip_missing: leave out listed videos that are not there.
        fewest_classes: that it may have: nothing is learned from one, and much measured.

    Raises:
        MovinetError: it is nothing of this, is empty, has too few classes, is malformed, or names videos twice or that
            are not there.
    """
    if not paths:
        raise MovinetError("give a folder or a list of videos")
    where = Path(videos) if videos is not None else None
    found = {}
    for path in map(Path, paths):
        name = _split_name(path)
        if (split := _HMDB51.fullmatch(path.name)) and (name := f"split {split[1]}") in found:
            continue  # one file stands for those of all classes
        found[name if name not in found else str(path)] = _read_any(path, where, skip_missing)
    listing = next(iter(found.values())) if len(found) == 1 else join(found)
    source = ", ".join(map(str, paths))
    labels = next(iter(listing.splits.values())).labels
    if not labels:
        raise MovinetError(f"{source}: no video has a label")
    if len(labels) < fewest_classes and not any(part.multi_label for part in listing.splits.values()):
        raise MovinetError(f"{source}: all videos are of one class, {labels[0]}; there is nothing to tell it from")
    return listing


def read_folder(folder: Path) -> DatasetIndex:
    """A folder per class, with video files, or folders of images, anywhere below it. Folders that are all called
    `train`, `val`, `test` or alike hold a folder per class each, and are splits.

    Raises:
        MovinetError: there are no videos, or not in folders.
    """
    inside = _inside(folder)
    folders = [path for path in inside if path.is_dir()]
    if folders and all(path.name.lower() in _SPLITS for path in folders):
        return join({path.name: read_folder(path) for path in folders})
    _refuse_half_split(folder, folders)
    found = [(path, video) for path in folders for video in find_videos(path)]
    loose = [path for path in inside if path.suffix.lower() in VIDEOS and path.is_file()]
    if not found:
        why = "videos, but no folder per class" if loose else "no videos"
        raise MovinetError(f"{folder}: {why}; want {folder.name}/CLASS/VIDEO, or give a list (CSV or JSON)")
    if loose:
        logger.warning(
            "%s: left out because outside the folders of classes: %s", folder, ", ".join(path.name for path in loose)
        )
    for path, video in found:
        if path == video:
            raise MovinetError(
                f"{path}: images lie in the folder of a class; put those of each video in one of its own"
            )
    rows = (Row(VideoEntry(video, (path.name,)), str(video)) for path, video in found)
    return gather("a folder per class", folder, rows, [path.name for path in folders])


def _refuse_half_split(folder: Path, folders: list[Path]) -> None:
    """Where only some folders are splits, those and the others would be taken for classes."""
    splits = [path for path in folders if path.name.lower() in _SPLITS and _holds_classes(path)]
    if others := [path.name for path in folders if path not in splits and splits]:
        raise MovinetError(
            f"{folder}: {splits[0].name} is a split with a folder per class, {others[0]} is not: is it misspelt? "
            "Call it train, val or test, or put it elsewhere"
        )


def _holds_classes(folder: Path) -> bool:
    inside = _inside(folder)
    return any(path.is_dir() for path in inside) and not any(path.suffix.lower() in VIDEOS for path in inside)


def read_csv(path: Path, videos: Path | None = None, skip_missing: bool = False) -> DatasetIndex:
    """Columns: file (relative to `videos`, by default the list's folder), label or labels (several as a|b; `labels`
    may be empty), and optionally start and end in seconds, and split or fold.

    Raises:
        MovinetError: a column is lacking, a row is malformed, a video missing or listed twice.
    """
    columns, rows = read_table(path)
    for names in (_FILE, _LABELS):
        if not set(names) & set(columns):
            others = " or ".join(f"`{name}`" for name in names)
            raise MovinetError(
                f"{path}: the first line must name the columns, {others} among them; it names {', '.join(columns)}"
            )
    return gather("a CSV list", path, _rows(path, rows, videos or path.parent), skip_missing=skip_missing)


def read_json_list(path: Path, videos: Path | None = None, skip_missing: bool = False) -> DatasetIndex:
    """An array of objects, or an object a line, with the keys that are columns in `read_csv`; `labels` may be an array.

    Raises:
        MovinetError: as `read_csv`.
    """
    return gather(
        "a JSON list", path, _rows(path, iter(read_json(path)), videos or path.parent), skip_missing=skip_missing
    )


def _rows(path: Path, entries: Iterator[tuple[str, dict[str, Any]]], folder: Path) -> Iterator[Row]:
    for where, entry in entries:
        try:
            yield Row(_video(entry, folder), where, _split(entry))
        except ValueError as error:
            raise malformed(path, where, str(error)) from None


def _video(entry: dict[str, Any], folder: Path) -> VideoEntry:
    _, file = _first(entry, _FILE)
    if not isinstance(file, str) or not file:
        raise ValueError("no file")
    key, value = _first(entry, _LABELS)
    if isinstance(value, str | int):
        value = str(value).split("|") if value != "" else []
    if not isinstance(value, list) or not all(isinstance(label, str | int) for label in value):
        raise ValueError(f"{key or 'label'} must be a label or several, not {brief(value)}")
    labels = tuple(dict.fromkeys(str(label).strip() for label in value))
    if "" in labels or (not labels and key == "label"):
        raise ValueError("no label; clips that show none of the classes want the column called `labels`")
    start, end = _seconds(entry, "start") or 0.0, _seconds(entry, "end")
    if start < 0 or (end is not None and end <= start):
        raise ValueError(f"want 0 <= start < end, not {start:g} and {end:g}" if end else f"start is {start:g}")
    return VideoEntry(folder / file, labels, start, end)


def _seconds(entry: dict[str, Any], key: str) -> float | None:
    value = entry.get(key)
    if value is None or value == "":
        return None
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        seconds = float("nan")
    if not isfinite(seconds):
        raise ValueError(f"{key} must be seconds, not {brief(value)}")
    return seconds


def _split(entry: dict[str, Any]) -> str:
    key, value = _first(entry, _SPLIT)
    if key and (value is None or value == ""):
        raise ValueError(f"no {key}")
    if key and not isinstance(value, str | int):
        raise ValueError(f"{key} must be a name or a number, not {brief(value)}")
    return str(value) if key else ALL


def _first(entry: dict[str, Any], names: tuple[str, ...]) -> tuple[str, Any]:
    return next(((name, entry[name]) for name in names if name in entry), ("", None))


def _read_any(path: Path, videos: Path | None, skip_missing: bool) -> DatasetIndex:
    if not path.exists():
        raise MovinetError(f"{path}: no such file or folder")
    if path.is_dir():
        return _read_any_folder(path, videos, skip_missing)
    if path.name == RECORD:
        return read_shards(path.parent, skip_missing)
    folder = videos or path.parent
    if _UCF101.fullmatch(path.name):
        return read_ucf101(path, folder, skip_missing)
    if split := _HMDB51.fullmatch(path.name):
        return read_hmdb51(path.parent, folder, int(split[1]), skip_missing)
    suffix = path.suffix.lower()
    if suffix in {".csv", ".tsv"}:
        columns = set(read_table(path)[0])
        if "youtube_id" in columns:
            return read_kinetics(path, folder, skip_missing)
        if {"video_id", "verb_class", "noun_class"} <= columns:
            return read_epic(path, folder, skip_missing)
        if {"id", "actions"} <= columns:
            return read_charades(path, folder, skip_missing)
        return read_csv(path, folder, skip_missing)
    if suffix in {".json", ".jsonl"}:
        if "id" in (keys := _first_keys(path)) and not keys & set(_FILE):
            return read_something(path, folder, skip_missing)
        return read_json_list(path, folder, skip_missing)
    if suffix == ".txt":
        return read_mmaction(path, folder, skip_missing)
    if suffix in VIDEOS:
        raise MovinetError(f"{path}: one video; give a folder with a folder per class, or a list of videos")
    raise MovinetError(
        f"{path}: not a list that is known; want .csv, .json, .jsonl, .txt, or a folder with a folder per class"
    )


def _read_any_folder(folder: Path, videos: Path | None, skip_missing: bool) -> DatasetIndex:
    files = [path for path in _inside(folder) if path.is_file()]
    names = {path.name for path in files}
    where = videos or folder
    if RECORD in names:
        return read_shards(folder, skip_missing)
    if "clips.csv" in names:
        return read_csv(folder / "clips.csv", where, skip_missing)
    if "trainlist01.txt" in names:
        lists = [folder / name for name in ("trainlist01.txt", "testlist01.txt") if name in names]
    elif any(name.endswith("_test_split1.txt") for name in names):
        return read_hmdb51(folder, where, 1, skip_missing)
    else:
        kinds = {".csv", ".json", ".jsonl", ".txt"}
        lists = [path for path in files if path.suffix in kinds and _split_name(path) in _SPLITS]
    if not lists:
        return read_folder(folder)
    found = {}
    for path in lists:
        if path.suffix == ".json" and not _LABELED & _first_keys(path):
            logger.warning("%s: has no labels and is left out", path)
            continue
        found[_split_name(path)] = _read_any(path, where, skip_missing)
    return join(found)


def _first_keys(path: Path) -> set[str]:
    return next((set(entry) for _, entry in read_json(path)), set())


def _inside(folder: Path) -> list[Path]:
    """What is in a folder, sorted, but for what is hidden, or left there by unpacking a Mac's archive."""
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith((".", "__MACOSX")))
    except OSError as error:
        raise MovinetError(f"{folder}: cannot be read: {error.strerror}") from None


def _split_name(path: Path) -> str:
    """`train` for train.csv, Charades_v1_train.csv, trainlist01.txt, ucf101_train_split_1_videos.txt, …; otherwise the
    file's name."""
    if ucf101 := _UCF101.fullmatch(path.name):
        return ucf101[1]
    parts = re.split(r"[-_.]", path.stem.lower())
    if path.suffix == ".txt":  # mmaction2's, with more behind
        parts = [part for part in parts if part in _SPLITS] or parts
    return parts[-1] if parts[-1] in _SPLITS else path.stem
