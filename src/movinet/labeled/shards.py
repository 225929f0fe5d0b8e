"""Large sets as shards: tar files of about a thousand clips each, as WebDataset and its relatives read them.

A folder of shards holds, for every split, `train-000000.tar`, `train-000001.tar`, …; in these, clip number 12 of the
split is `00000012.json` (labels, start, end, source) and `00000012.mp4`, or whatever the video's suffix is. Clips are
shuffled, so that readers that go from front to back see all classes. `shards.json` says what the set is, and
`train.index.jsonl` where in which shard each clip lies, so that ours are read in any order, as a folder's are.
"""

import re
from math import inf
from pathlib import Path
from typing import Any

from movinet.errors import MovinetError, brief
from movinet.labeled.entries import DatasetIndex, VideoEntry, VideoSet, join
from movinet.reading import parse_json
from movinet.rows import malformed, read_json, read_text
from movinet.video.locations import Member

RECORD = "shards.json"
"""The file that makes a folder one of shards."""

FORMAT = "movinet shards 1"


def read_shards(folder: Path, skip_missing: bool = False) -> DatasetIndex:
    """What `movinet.data.write_shards` wrote, as the set it was written from: the same videos in the same order.

    Raises:
        MovinetError: it is no such folder, writing it was not finished, or a shard is missing.
    """
    record = read_record(folder / RECORD)
    listings = {}
    for split in record["splits"]:
        index = index_of(folder, split)
        if not index.exists():
            raise MovinetError(f"{folder}: the shards of {split} are not finished; repeat what wrote them to go on")
        videos = [_indexed(index, where, entry) for where, entry in read_json(index)]
        shards = {member.archive for member, _ in videos}
        gone = {shard for shard in shards if not shard.exists()}
        if gone and (gone == shards or not skip_missing):
            raise MovinetError(
                f"{folder}: {len(gone)} of {len(shards)} shards of {split} are missing, such as {min(gone).name}; "
                "write them again, or leave out their clips (--skip-missing)"
            )
        part = VideoSet(
            tuple(video for member, video in videos if member.archive not in gone),
            tuple(record["classes"]),
            bool(record["multi_label"]),
        )
        missing = tuple(member for member, _ in videos if member.archive in gone)
        listings[split] = DatasetIndex("shards", {split: part}, missing)
    return join(listings)


def read_record(path: Path) -> dict[str, Any]:
    """What `shards.json` says.

    Raises:
        MovinetError: it is no such record.
    """
    try:
        record = parse_json(read_text(path))
        if record["format"] != FORMAT:
            why = f"its format is {brief(record['format'])}, not {FORMAT!r}"
        elif not _is_texts(record["classes"]) or not isinstance(record["multi_label"], bool):
            why = "its classes are not a list of names"
        elif not isinstance(record["splits"], dict) or not record["splits"]:
            why = "it names no splits"
        else:
            return dict(record)
    except (ValueError, KeyError, TypeError) as error:
        why = str(error)
    raise MovinetError(f"{path}: not a record of shards: {why}")


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def shard_name(split: str) -> str:
    """A split as a part of the names of its files."""
    return re.sub(r"[^\w-]+", "_", split)


def index_of(folder: Path, split: str) -> Path:
    """Where it stands in which shard each clip of a split lies."""
    return folder / f"{shard_name(split)}.index.jsonl"


def _indexed(index: Path, where: str, entry: dict[str, Any]) -> tuple[Member, VideoEntry]:
    try:
        shard, source, labels = entry["shard"], entry["source"], entry["labels"]
        if not isinstance(shard, str) or not isinstance(source, str) or not _is_texts(labels):
            raise ValueError("want the names of a shard and a source, and labels")
        if Path(shard).name != shard or "\0" in shard or not shard:
            raise ValueError(f"a shard lies beside its index, not at {brief(shard)}")
        offset, size, start, end = (entry[key] for key in ("offset", "size", "start", "end"))
        if type(offset) is not int or type(size) is not int or not offset >= 0 or not size >= 0:
            raise ValueError(f"offset {brief(offset)} and size {brief(size)} must be numbers of bytes")
        until = inf if end is None else end
        if not all(type(time) in (int, float) for time in (start, until)) or not 0 <= start < until:
            raise ValueError(f"want 0 <= start < end, not {brief(start)} and {brief(end)}")
        member = Member(index.parent / shard, source, offset, size)
        return member, VideoEntry(member, tuple(labels), start, end)
    except KeyError as error:
        raise malformed(index, where, f"not a place in a shard: {error} is missing") from None
    except ValueError as error:
        raise malformed(index, where, f"not a place in a shard: {error}") from None
