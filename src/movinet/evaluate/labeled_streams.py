"""Long videos and what happens in them when: segments in CSV, or JSON as ActivityNet and THUMOS write it."""

import math
from collections.abc import Iterable, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from movinet.errors import MovinetError, brief
from movinet.evaluate.matching import Segment
from movinet.reading import parse_json
from movinet.rows import malformed, read_table, read_text
from movinet.words import counted

_LARGEST = 1 << 28  # bytes of a list
_COLUMNS = ("file", "label", "start", "end")


@dataclass(frozen=True)
class LabeledStream:
    """A video and what happens in it; nothing, where it has no segments."""

    video: Path
    segments: tuple[Segment, ...]  # by start


def read_streams(path: Path, videos: Path | None = None) -> list[LabeledStream]:
    """What a list says of long videos.

    A CSV file names its columns: file, label, start, end, the times in seconds; a row without label and times is of a
    video in which nothing happens. A JSON file has `{"database": {video: {"annotations": [{"label", "segment": [start,
    end]}]}}}`.

    Args:
        path: of the list.
        videos: the folder that names of videos count from; that of the list by default. The ending of a name may be
            missing.

    Raises:
        MovinetError: it cannot be read, or is wrong: with the line or name, and what is wrong there.
    """
    _refuse_large(path)
    rows = _json_rows(path) if path.suffix.lower() == ".json" else _csv_rows(path)
    found: dict[str, list[Segment]] = {}
    for where, name, segment in rows:
        segments = found.setdefault(name, [])
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
        LabeledStream(_located(folder, name, path), tuple(sorted(segments, key=lambda segment: segment.start)))
        for name, segments in found.items()
    ]


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


def _csv_rows(path: Path) -> Iterable[tuple[str, str, Segment | None]]:
    columns, rows = read_table(path)
    if missing := [name for name in _COLUMNS if name not in columns]:
        raise malformed(path, "line 1", f"no column {missing[0]}; want {', '.join(_COLUMNS)}")
    for where, row in rows:
        if not any(row.values()):
            continue
        if not row["file"]:
            raise malformed(path, where, "no file")
        if not (row["label"] or row["start"] or row["end"]):
            yield where, row["file"], None
        else:
            yield where, row["file"], _segment(path, where, row["file"], row["label"], row["start"], row["end"])


def _json_rows(path: Path) -> Iterable[tuple[str, str, Segment | None]]:
    text = read_text(path)
    try:
        value = parse_json(text)
    except MovinetError as error:
        raise MovinetError(f"{path}: {error}") from error
    database = value.get("database") if isinstance(value, Mapping) else None
    if not isinstance(database, Mapping):
        raise MovinetError(f'{path}: want {{"database": {{video: {{"annotations": […]}}}}}}, as ActivityNet writes it')
    for name, entry in database.items():
        annotations = entry.get("annotations", []) if isinstance(entry, Mapping) else None
        if not isinstance(annotations, list):
            raise MovinetError(f"{path}: {brief(name)}: its annotations are no list")
        if not annotations:
            yield name, name, None
        for annotation in annotations:
            span = annotation.get("segment") if isinstance(annotation, Mapping) else None
            if not isinstance(span, list) or len(span) != 2:
                raise MovinetError(f'{path}: {brief(name)}: want "segment": [start, end], got {brief(annotation)}')
            yield name, name, _segment(path, name, name, annotation.get("label"), *span)


def _segment(path: Path, where: str, stream: str, label: Any, start: Any, end: Any) -> Segment:
    try:
        begins, ends = float(start), float(end)
    except (TypeError, ValueError):
        begins = ends = math.nan
    if not isinstance(label, str) or not label or not 0 <= begins < ends < math.inf:
        given = brief([label, start, end])
        raise MovinetError(f"{path}: {where}: want a label and seconds from 0, the end after the start; got {given}")
    return Segment(stream, label, begins, ends)


def _overlap(one: Segment, other: Segment) -> bool:
    return one.start < other.end and other.start < one.end


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
