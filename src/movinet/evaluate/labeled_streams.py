"""Long videos and what happens in them when: in CSV, or in JSON as ActivityNet, THUMOS and SoccerNet write it."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from movinet.errors import MovinetError, brief
from movinet.evaluate.matching import Segment
from movinet.labeled.entries import spelt
from movinet.reading import parse_json
from movinet.rows import malformed, read_table, read_text
from movinet.video.decode import VIDEOS
from movinet.words import counted

_LARGEST = 1 << 28  # bytes of a list
_COLUMNS = ("file", "label", "start", "end")
_PERIOD = re.compile(r"(\d+)\s*-.*")  # of a match, in `1 - 00:31`


@dataclass(frozen=True)
class LabeledStream:
    """A video and what happens in it; nothing, where it has no segments.

    Attributes:
        segments: By start; those of moments end where they start.
        split: What the list says it is for, such as `train`; empty where it does not.
    """

    video: Path
    segments: tuple[Segment, ...]
    split: str = ""


def read_streams(path: Path, videos: Path | None = None) -> list[LabeledStream]:
    """What a list says of long videos.

    A CSV file names its columns: file, label, start, end, the times in seconds, and perhaps split; a row without label
    and times is of a video in which nothing happens, one without end of a moment. A JSON file has `{"database": {video:
    {"annotations": [{"label", "segment": [start, end]}], "subset"}}}`, or it is a match's, as SoccerNet's:
    `{"annotations": [{"gameTime": "1 - 00:31", "label", "position": milliseconds}]}`, which are moments of the videos
    beside it, one for each half (`1_224p.mkv`, `2_224p.mkv`), or of the only one.

    Args:
        path: of the list.
        videos: the folder that names of videos count from; that of the list by default. The ending of a name may be
            missing.

    Raises:
        MovinetError: it cannot be read, or is wrong: with the line or name, and what is wrong there.
    """
    if path.is_dir():
        raise MovinetError(f"{path}: a folder; of long videos a list is wanted: CSV (file,label,start,end) or JSON")
    _refuse_large(path)
    rows = _json_rows(path, videos) if path.suffix.lower() == ".json" else _csv_rows(path)
    found: dict[str, list[Segment]] = {}
    splits: dict[str, str] = {}
    for where, name, segment, split in rows:
        segments = found.setdefault(name, [])
        if splits.setdefault(name, split) != split:
            raise MovinetError(f"{path}: {where}: {name} is in two splits, {splits[name]} and {split}")
        if segment is not None:
            if clash := next((s for s in segments if s.label == segment.label and _overlap(s, segment)), None):
                raise MovinetError(
                    f"{path}: {where}: {segment.label} from {segment.start:g} to {segment.end:g} s overlaps the one "
                    f"from {clash.start:g} to {clash.end:g} s: give them as one"
                )
            segments.append(segment)
    if not found:
        raise MovinetError(f"{path}: lists no videos")
    folder = videos or path.parent
    return [
        LabeledStream(_located(folder, name, path), tuple(sorted(segments, key=lambda s: s.start)), splits[name])
        for name, segments in found.items()
    ]


def lists_streams(path: Path) -> bool:
    """Whether a list is one of long videos, and not of clips. CSV files of both may have the columns file, label, start
    and end: of long videos, where a file comes more than once, or with nothing or a moment in it."""
    try:
        _refuse_large(path)
        if path.suffix.lower() == ".json":
            value = parse_json(read_text(path))
            return isinstance(value, Mapping) and ("database" in value or isinstance(value.get("annotations"), list))
        columns, entries = read_table(path)
        if path.suffix.lower() != ".csv" or not set(_COLUMNS) <= set(columns):
            return False
        rows = [row for _, row in entries if any(row.values())]
    except MovinetError:  # whoever reads it as clips says so
        return False
    files = [row["file"] for row in rows]
    return len(set(files)) < len(files) or any(not row["end"] for row in rows)


def refuse_unknown_labels(
    streams: Iterable[LabeledStream], labels: Sequence[str] | None, background: Set[str], model: str
) -> None:
    """Raises MovinetError where something happens that is not background and that the network has no label for."""
    happens = {segment.label for stream in streams for segment in stream.segments}
    if unknown := sorted(happens - set(labels or ()) - background):
        known = f"it knows {brief(list(labels or ()))}" if labels else "its weights bring no labels"
        raise MovinetError(f"{model} has no label {brief(unknown[0])} ({len(unknown)} of {len(happens)}); {known}")


def refuse_beyond_end(stream: LabeledStream, seconds: float) -> None:
    """Raises MovinetError where something happens after the video has ended."""
    if late := next((s for s in stream.segments if s.start >= seconds), None):
        raise MovinetError(
            f"{stream.video}: {late.label} is said to begin at {late.start:g} s, but the video lasts {seconds:.2f} s"
        )


def _refuse_large(path: Path) -> None:
    with suppress(OSError):  # what cannot be reached is told by whoever reads it
        if path.stat().st_size > _LARGEST:
            raise MovinetError(f"{path}: a list of more than {_LARGEST >> 20} MB")


_Row = tuple[str, str, Segment | None, str]
"""Where it stands, the video's name, what happens, and the split."""


def _csv_rows(path: Path) -> Iterable[_Row]:
    columns, rows = read_table(path)
    if missing := [name for name in _COLUMNS if name not in columns]:
        raise malformed(path, "line 1", f"no column {missing[0]}; want {', '.join(_COLUMNS)}")
    for where, row in rows:
        if not any(row.values()):
            continue
        if not row["file"]:
            raise malformed(path, where, "no file")
        if not (row["label"] or row["start"] or row["end"]):
            yield where, row["file"], None, row.get("split", "")
        else:
            end = row["end"] or row["start"]
            yield (
                where,
                row["file"],
                _segment(path, where, row["file"], row["label"], row["start"], end),
                row.get("split", ""),
            )


def _json_rows(path: Path, videos: Path | None) -> Iterable[_Row]:
    text = read_text(path)
    try:
        value = parse_json(text)
    except MovinetError as error:
        raise MovinetError(f"{path}: {error}") from error
    if isinstance(value, Mapping) and isinstance(value.get("annotations"), list):
        yield from _match_rows(path, videos or path.parent, value["annotations"])
        return
    database = value.get("database") if isinstance(value, Mapping) else None
    if not isinstance(database, Mapping):
        raise MovinetError(f'{path}: want {{"database": {{video: {{"annotations": […]}}}}}}, as ActivityNet writes it')
    for name, entry in database.items():
        annotations = entry.get("annotations", []) if isinstance(entry, Mapping) else None
        if not isinstance(annotations, list):
            raise MovinetError(f"{path}: {brief(name)}: its annotations are no list")
        subset = entry.get("subset", "")
        split = subset if isinstance(subset, str) else ""
        if not annotations:
            yield name, name, None, split
        for annotation in annotations:
            span = annotation.get("segment") if isinstance(annotation, Mapping) else None
            if not isinstance(span, list) or len(span) != 2:
                raise MovinetError(f'{path}: {brief(name)}: want "segment": [start, end], got {brief(annotation)}')
            yield name, name, _segment(path, name, name, annotation.get("label"), *span), split


def _match_rows(path: Path, folder: Path, annotations: Sequence[Any]) -> Iterable[_Row]:
    """Moments of a match, and its halves in which nothing happens."""
    names = {entry.name for entry in folder.iterdir() if entry.suffix.lower() in VIDEOS} if folder.is_dir() else set()
    halves: dict[str, str] = {}
    for number, annotation in enumerate(annotations, 1):
        where, entry = f"annotation {number}", annotation if isinstance(annotation, Mapping) else {}
        period = _PERIOD.match(str(entry.get("gameTime", "")))
        try:
            seconds = float(entry.get("position", math.nan)) / 1000
        except (TypeError, ValueError):
            seconds = math.nan
        if period is None:
            raise MovinetError(f'{path}: {where}: want "gameTime": "1 - 00:31", got {brief(annotation)}')
        video = halves.setdefault(period[1], _half(names, period[1], path, folder))
        yield where, video, _segment(path, where, video, entry.get("label"), seconds, seconds), ""
    if not annotations and len(names) == 1:
        yield "", min(names), None, ""


def _half(names: Set[str], period: str, path: Path, folder: Path) -> str:
    """The video of a half; of several, the first by name."""
    own = sorted(name for name in names if re.match(rf"{period}[_.]", name))
    if not own and len(names) != 1:
        raise MovinetError(
            f"{path}: no video of half {period} in {folder}: want one called {period}_….mkv or {period}.mp4"
        )
    return own[0] if own else min(names)


def _segment(path: Path, where: str, stream: str, label: Any, start: Any, end: Any) -> Segment:
    try:
        begins, ends = float(start), float(end)
    except (TypeError, ValueError):
        begins = ends = math.nan
    if not isinstance(label, str) or not label or not 0 <= begins <= ends < math.inf:
        given = brief([label, start, end])
        raise MovinetError(
            f"{path}: {where}: want a label and seconds from 0, the end not before the start; got {given}"
        )
    return Segment(stream, spelt(label), begins, ends)


def _overlap(one: Segment, other: Segment) -> bool:
    return (one.start < other.end and other.start < one.end) or one[2:4] == other[2:4]


def _located(folder: Path, name: str, path: Path) -> Path:
    video = folder / name
    if video.exists():
        return video
    near = sorted(video.parent.glob(f"{_escaped(video.name)}.*")) if video.parent.is_dir() else []
    if len(near) == 1:
        return near[0]
    what = f"{counted(len(near), 'video')} of this name" if near else "no such video"
    raise MovinetError(f"{path}: {name}: {what} in {folder}")


def _escaped(name: str) -> str:
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)
