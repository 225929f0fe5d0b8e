"""The lists that published data sets come with. Their videos are found by name anywhere below a folder."""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from movinet.errors import MovinetError, brief
from movinet.labeled.entries import ALL, DatasetIndex, Row, VideoEntry, find_videos, gather
from movinet.reading import parse_json
from movinet.rows import malformed, read_json, read_lines, read_table, read_text

_MMACTION = re.compile(r"(\S.*?)((?:\s+\d{1,9})+)")


def read_kinetics(path: Path, videos: Path, skip_missing: bool = False) -> DatasetIndex:
    """Kinetics 400, 600 or 700: columns label, youtube_id, time_start, time_end, split.

    A video is a trimmed `{youtube_id}_{start:06d}_{end:06d}.mp4` or, where there is only `{youtube_id}.mp4`, its
    stretch from start to end; with any suffix, in one folder or in folders by class.

    Raises:
        MovinetError: a row is malformed, or a video missing.
    """
    index = _index(videos)
    columns, table = read_table(path)
    if "label" not in columns:
        raise MovinetError(f"{path}: has no column `label`; lists of test sets without labels are of no use here")

    def rows() -> Iterator[Row]:
        for where, row in table:
            try:
                start, end = (float(row[column]) for column in ("time_start", "time_end"))
                name = f"{row['youtube_id']}_{int(start):06d}_{int(end):06d}"
            except (KeyError, ValueError, OverflowError):
                raise malformed(path, where, "time_start and time_end must be seconds") from None
            if not row["label"]:
                raise malformed(path, where, "no label")
            if not 0 <= start < end:
                raise malformed(path, where, f"time_end ({end:g}) must be after time_start ({start:g})")
            whole = index.get(row["youtube_id"])
            if name not in index and whole:
                video = VideoEntry(whole, (row["label"],), start, end)
            else:
                video = VideoEntry(index.get(name, _below(videos, f"{name}.mp4", path, where)), (row["label"],))
            yield Row(video, where, row.get("split") or ALL)

    return gather("a Kinetics list", path, rows(), skip_missing=skip_missing)


def read_something(path: Path, videos: Path, skip_missing: bool = False) -> DatasetIndex:
    """Something-Something v2: a JSON array of {id, template}; the class is the template without brackets. `labels.json`
    beside it, where there is one, says which classes there are.

    Raises:
        MovinetError: an entry is malformed or of no known class, or a video missing.
    """
    index = _index(videos)
    names = next((p for p in sorted(path.parent.glob("*labels.json")) if p != path), None)
    classes = set(_names(names)) if names else set()

    def rows() -> Iterator[Row]:
        for where, entry in read_json(path):
            name, template = entry.get("id"), entry.get("template")
            if not isinstance(name, str | int) or not isinstance(template, str):
                raise malformed(path, where, "want an id and a template (test sets have none, and are of no use here)")
            label = template.replace("[", "").replace("]", "")
            if classes and label not in classes:
                raise malformed(path, where, f"class {label!r} is not in {names}")
            yield Row(VideoEntry(index.get(str(name), _below(videos, f"{name}.webm", path, where)), (label,)), where)

    return gather("a Something-Something list", path, rows(), classes, skip_missing=skip_missing)


def read_charades(path: Path, videos: Path, skip_missing: bool = False) -> DatasetIndex:
    """Charades: columns id and actions, such as `c092 11.90 21.20;c147 0.00 12.60`. A video's labels are all its
    actions, also none. `Charades_v1_classes.txt` beside it, where there is one, gives the classes their names.

    Raises:
        MovinetError: a row is malformed, or a video missing.
    """
    index = _index(videos)
    names: dict[str, str] = {}
    for file in sorted(path.parent.glob("*_classes.txt")):
        names |= {code: name.strip() for code, _, name in (line.partition(" ") for _, line in read_lines(file))}

    def rows() -> Iterator[Row]:
        for where, row in read_table(path)[1]:
            labels = set()
            for action in filter(None, row["actions"].split(";")):
                if not (found := re.fullmatch(r"(c\d{3}) [\d.]+ [\d.]+", action.strip())):
                    raise malformed(path, where, f"action {action!r}: want a class and two times, c092 11.90 21.20")
                labels.add(names.get(found[1], found[1]))
            video = VideoEntry(
                index.get(row["id"], _below(videos, f"{row['id']}.mp4", path, where)), tuple(sorted(labels))
            )
            yield Row(video, where)

    return gather("a Charades list", path, rows(), names.values(), multi_label=True, skip_missing=skip_missing)


def read_epic(path: Path, videos: Path, skip_missing: bool = False) -> DatasetIndex:
    """EPIC-KITCHENS-100: columns video_id, start_timestamp, stop_timestamp, verb_class, noun_class and more. The label
    of a stretch is its action, `open drawer`: verb and noun by the names of `EPIC_100_verb_classes.csv` and
    `EPIC_100_noun_classes.csv` beside it, or by their numbers where these are missing.

    Raises:
        MovinetError: a row is malformed, or a video missing.
    """
    index = _index(videos)
    names: dict[str, dict[str, str]] = {"verb": {}, "noun": {}}
    for kind, known in names.items():
        for file in sorted(path.parent.glob(f"*_{kind}_classes.csv")):
            known |= {row.get("id", ""): row.get("key", "") for _, row in read_table(file)[1]}

    def rows() -> Iterator[Row]:
        for where, row in read_table(path)[1]:
            try:
                start, end = (_clock(row[f"{name}_timestamp"]) for name in ("start", "stop"))
                verb, noun = (names[kind].get(row[f"{kind}_class"]) or row[f"{kind}_class"] for kind in names)
                video = row["video_id"]
            except (KeyError, ValueError):
                raise malformed(path, where, "want a video_id, two timestamps, 00:01:02.50, and two classes") from None
            if not verb or not noun:
                raise malformed(path, where, "no verb_class or no noun_class")
            if not 0 <= start < end:
                raise malformed(path, where, f"it stops ({end:g} s) before it starts ({start:g} s)")
            found = index.get(video, _below(videos, f"{video}.MP4", path, where))
            yield Row(VideoEntry(found, (f"{verb} {noun}",), start, end), where)

    return gather("an EPIC-KITCHENS list", path, rows(), skip_missing=skip_missing)


def _clock(text: str) -> float:
    """Seconds of `hours:minutes:seconds`."""
    hours, minutes, seconds = (float(part) for part in text.split(":"))
    return 3600 * hours + 60 * minutes + seconds


def read_ucf101(path: Path, videos: Path, skip_missing: bool = False) -> DatasetIndex:
    """UCF101: `trainlist01.txt` or `testlist01.txt`, lines such as `Archery/v_Archery_g08_c01.avi 3`, with
    `classInd.txt` beside it.

    Raises:
        MovinetError: there is no classInd.txt, a line is malformed or of no known class, or a video missing.
    """
    index = _index(videos)
    file = path.with_name("classInd.txt")
    if not file.exists():
        raise MovinetError(f"{path}: a UCF101 list needs classInd.txt beside it")
    classes = {}
    for where, line in read_lines(file):
        number, _, name = line.partition(" ")
        if not number.isdecimal() or not name:
            raise malformed(file, where, f"{line!r}: want a number and a class")
        classes[number] = name.strip()

    def rows() -> Iterator[Row]:
        for where, line in read_lines(path):
            video, _, number = line.partition(" ")
            label = Path(video).parent.name
            if label not in classes.values():
                raise malformed(path, where, f"{line!r}: want a class of classInd.txt, a slash and a video")
            if number and classes.get(number.strip()) != label:
                raise malformed(path, where, f"class {number.strip()} of classInd.txt is not {label}")
            yield Row(VideoEntry(_of_class(index, label, video) or _below(videos, video, path, where), (label,)), where)

    return gather("a UCF101 list", path, rows(), classes.values(), skip_missing=skip_missing)


def read_hmdb51(folder: Path, videos: Path, number: int = 1, skip_missing: bool = False) -> DatasetIndex:
    """HMDB51: a `{class}_test_split{number}.txt` for every class, lines such as `clip.avi 1`: 1 is for training, 2 for
    testing, 0 for neither.

    Raises:
        MovinetError: there are no such files, a line is malformed, or a video is missing.
    """
    index = _index(videos)
    ending = f"_test_split{number}.txt"
    files = sorted(folder.glob(f"*{ending}"))

    def rows() -> Iterator[Row]:
        for file in files:
            label = file.name.removesuffix(ending)
            for where, line in read_lines(file):
                name, _, use = line.rpartition(" ")
                if not name or use not in {"0", "1", "2"}:
                    raise malformed(file, where, f"{line!r}: want a video and 0, 1 or 2")
                if use != "0":
                    video = VideoEntry(
                        _of_class(index, label, name) or _below(videos, f"{label}/{name}", file, where), (label,)
                    )
                    yield Row(video, f"{file.name} {where}", "train" if use == "1" else "test")

    return gather(f"split {number} of HMDB51", folder, rows(), skip_missing=skip_missing)


def read_mmaction(path: Path, videos: Path, skip_missing: bool = False) -> DatasetIndex:
    """A list as mmaction2 writes them: lines such as `jump/clip.mp4 3`, of a set where a clip may show several classes
    `clip.mp4 1 3`, and of folders of images `jump/clip 120 3`, with their number before the class. Names of classes are
    the lines of a `label_map*.txt` or `classes.txt` beside it, the first for class 0; without, numbers are the names.

    Raises:
        MovinetError: a line is malformed, has a class that there is no name of, or a video is missing.
    """
    file = next((p for pattern in ("label_map*.txt", "classes.txt") for p in sorted(path.parent.glob(pattern))), None)
    names = [line for _, line in read_lines(file)] if file else []

    def rows() -> Iterator[Row]:
        for where, line in read_lines(path):
            found = _MMACTION.fullmatch(line)
            if found is None:
                raise malformed(path, where, f"{brief(line)}: want a video and the number of its class, `clip.mp4 3`")
            numbers = [int(number) for number in found[2].split()]
            video = _below(videos, found[1], path, where)
            if len(numbers) > 1 and not video.suffix:
                numbers = numbers[1:]
            if file and (unknown := [number for number in numbers if number >= len(names)]):
                raise malformed(path, where, f"class {unknown[0]}, but {file.name} names {len(names)}, from 0 on")
            labels = tuple(dict.fromkeys(names[number] if names else str(number) for number in numbers))
            yield Row(VideoEntry(video, labels), where)

    return gather("an mmaction2 list", path, rows(), names, skip_missing=skip_missing)


def _index(folder: Path) -> dict[str, Path]:
    """Videos by name without suffix, and by the same with the name of their folder before it."""
    if not folder.is_dir():
        raise MovinetError(f"{folder}: no such folder of videos")
    index: dict[str, Path] = {}
    # The first of a name wins, so that the order of folders decides, not that of the disk.
    for path in reversed(list(find_videos(folder))):
        name = path.stem if path.is_file() else path.name
        index |= {name: path, f"{path.parent.name}/{name}": path}
    return index


def _below(folder: Path, name: str, path: Path, where: str) -> Path:
    """Where a video should be that was not found."""
    if Path(name).is_absolute() or ".." in Path(name).parts or "\0" in name:
        raise malformed(path, where, f"{brief(name)} leads out of the folder of videos")
    return folder / name


def _of_class(index: Mapping[str, Path], label: str, name: str) -> Path | None:
    """A video in the folder of its class, or else anywhere: classes may share the names of files."""
    stem = Path(name).stem
    return index.get(f"{label}/{stem}", index.get(stem))


def _names(path: Path) -> Iterable[str]:
    """The keys of a JSON object."""
    try:
        names = parse_json(read_text(path))
    except MovinetError as error:
        raise MovinetError(f"{path}: {error}") from None
    if not isinstance(names, dict | list) or not all(isinstance(name, str) for name in names):
        raise MovinetError(f"{path}: want an object with the classes as keys, not {brief(names)}")
    return list(names)
