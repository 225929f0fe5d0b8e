"""Writing large sets as shards: see `movinet.labeled.shards` for what is in them."""

import json
import logging
import os
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO

import numpy as np
from av.error import FFmpegError

from movinet.data.shrink import is_small, shrink_video
from movinet.errors import MovinetError, VideoError, brief
from movinet.files import dump_json, replacing, write_atomically, write_json
from movinet.labeled.entries import ALL, VideoEntry, VideoSet
from movinet.labeled.shards import FORMAT, RECORD, index_of, read_record, shard_name
from movinet.reading import parse_json
from movinet.video.decode import probe
from movinet.video.locations import Member

logger = logging.getLogger(__name__)

_HIGHEST_NUMBER = 10**8 - 1
_LARGEST_DETAILS = 1 << 20  # bytes of what is told beside a clip


@dataclass(frozen=True)
class _Clip:
    number: int
    source: str  # the path of its file within the set
    video: VideoEntry


@dataclass(frozen=True)
class _Piece:
    """What becomes a clip in a shard: a part of a file, and what is told beside it."""

    number: int
    file: Path
    offset: int
    size: int
    suffix: str
    details: dict[str, Any]


def write_shards(
    sets: VideoSet | Mapping[str, VideoSet],
    folder: str | Path,
    shard_size: int = 1000,
    short_side: int | None = None,
    folder_fps: float | None = None,
    workers: int = 1,
    progress: Callable[[int, int | None], None] | None = None,
) -> int:
    """Writes a set as shards.

    Videos are copied whole and as they are, with start and end of the stretch that counts beside them; several
    stretches of one video are so many copies. With `short_side`, larger videos are encoded again, and of all only the
    stretch is kept: fewer pixels, read faster. Image folders become videos.

    A shard appears whole or not at all, and those that are there are kept: an interrupted call is repeated to go on.
    Further splits may be added to a folder.

    Args:
        sets: by split; a single set is one split.
        folder: new, empty, or begun with the same set and settings.
        shard_size: clips in a shard.
        short_side: height or width, whichever is less, in pixels, to which larger videos are shrunk.
        folder_fps: at which rate image folders were taken; needed where there are any.
        workers: threads that encode.
        progress: called with the number of clips that are done and of all clips.

    Returns:
        How many clips are in the shards: all but those that cannot be read, which are logged.

    Raises:
        MovinetError: an argument is out of its range, the folder has other things in it, or it cannot be written.
    """
    splits = {ALL: sets} if isinstance(sets, VideoSet) else dict(sets)
    total = sum(len(part.videos) for part in splits.values())
    if not 1 <= total <= _HIGHEST_NUMBER or min(shard_size, workers) < 1 or (short_side or 16) < 16:
        raise MovinetError("shards want at least one clip, one worker, and a short side of 16 pixels")
    folder = Path(folder)
    named = {split: _named(part.videos) for split, part in splits.items()}
    some = next(iter(splits.values()))
    settings = {"shard_size": shard_size, "short_side": short_side, "folder_fps": folder_fps}
    _claim(folder, {"classes": list(some.labels), "multi_label": some.multi_label, **settings}, named)
    prepare = partial(_prepare, short_side=short_side, folder_fps=folder_fps)
    done = written = 0
    with ThreadPoolExecutor(workers) as pool:
        try:
            for split, clips in named.items():
                entries = list[dict[str, Any]]()
                for shard, chosen in _shards(folder, split, clips, shard_size):
                    if not shard.exists():
                        with TemporaryDirectory(prefix=".encoding-", dir=folder) as scratch:
                            prepared = pool.map(partial(prepare, scratch=Path(scratch)), chosen)
                            _write_shard(shard, _counted(prepared, done, total, progress))
                    entries += _entries(shard)
                    done += len(chosen)
                    if progress:
                        progress(done, total)
                entries.sort(key=lambda entry: int(entry["number"]))
                lines = (f"{dump_json(entry)}\n" for entry in entries)
                write_atomically(index_of(folder, split), "".join(lines).encode())
                written += len(entries)
        except BaseException as error:
            pool.shutdown(cancel_futures=True)
            if isinstance(error, OSError):
                why = error.strerror or error
                raise MovinetError(
                    f"{folder}: cannot be written: {why}; finished shards are kept, repeat to go on"
                ) from error
            raise
    return written


def _named(videos: Iterable[VideoEntry]) -> list[_Clip]:
    """Clips with paths that do not depend on where the set is."""
    videos = list(videos)
    files = [os.path.abspath(video.path) for video in videos if isinstance(video.path, Path)]
    root = os.path.commonpath([os.path.dirname(file) for file in files]) if files else ""
    clips = []
    for number, video in enumerate(videos):
        inside = isinstance(video.path, Member)
        source = video.source if inside else Path(os.path.relpath(video.source, root)).as_posix()
        clips.append(_Clip(number, source, video))
    return clips


def _claim(folder: Path, settings: dict[str, Any], named: Mapping[str, list[_Clip]]) -> None:
    """Makes the folder, and makes sure that what is in it belongs to the same set."""
    path, splits = folder / RECORD, dict[str, Any]()
    for split, clips in named.items():
        what = [(clip.source, clip.video.labels, clip.video.start, clip.video.end) for clip in clips]
        splits[split] = {"clips": len(clips), "digest": blake2b(json.dumps(what).encode(), digest_size=16).hexdigest()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        others = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    except OSError as error:
        raise MovinetError(f"{folder}: cannot be used for shards: {error.strerror or error}") from error
    before = dict[str, Any]()
    if path in others:
        before = read_record(path)
        differing = [name for name, value in settings.items() if before.get(name) != value]
        differing += [
            f"the clips of {name}" for name in splits if splits[name] != before["splits"].get(name, splits[name])
        ]
        if differing:
            raise MovinetError(
                f"{folder} was begun with other settings or clips ({', '.join(differing)}); "
                "repeat with the same, or choose another folder"
            )
    elif others:
        raise MovinetError(
            f"{folder}: holds other things, such as {min(others).name}; shards want a folder of their own"
        )
    splits = before.get("splits", {}) | splits
    if len({shard_name(split) for split in splits}) < len(splits):
        raise MovinetError(f"the splits {', '.join(splits)} cannot be told apart by file names; rename them")
    record = {"format": FORMAT, **settings, "splits": splits}
    write_json(path, record)


def _shards(folder: Path, split: str, clips: list[_Clip], size: int) -> Iterator[tuple[Path, list[_Clip]]]:
    order = np.random.default_rng(0).permutation(len(clips)).tolist()
    for count, start in enumerate(range(0, len(clips), size)):
        yield folder / f"{shard_name(split)}-{count:06d}.tar", [clips[place] for place in order[start : start + size]]


def _prepare(clip: _Clip, short_side: int | None, folder_fps: float | None, scratch: Path) -> _Piece | None:
    """What goes into the shard of a clip; None if it cannot be read."""
    video, path, start, end = clip.video, clip.video.path, clip.video.start, clip.video.end
    try:
        if path.is_dir() or (short_side is not None and not is_small(video, short_side)):
            path = scratch / f"{clip.number}.mp4"
            shrink_video(video, path, short_side, folder_fps)
            start, end = 0.0, None
        elif short_side is None:
            probe(path)
        file, offset, size = _bytes_of(path)
    except (VideoError, FFmpegError, OSError) as error:
        logger.warning("left out: %s", error)
        return None
    suffix = os.path.splitext(path.name)[1].lower() or ".mp4"
    details = {"labels": list(video.labels), "start": start, "end": end, "source": clip.source}
    return _Piece(clip.number, file, offset, size, suffix, details)


def _bytes_of(path: Path | Member) -> tuple[Path, int, int]:
    if isinstance(path, Member):
        return path.archive, path.offset, path.size
    with path.open("rb") as file:
        return path, 0, file.seek(0, os.SEEK_END)


def _write_shard(path: Path, pieces: Iterable[_Piece | None]) -> None:
    with replacing(path) as part, part.open("wb") as file:
        with tarfile.open(fileobj=file, mode="w") as tar:
            for piece in pieces:
                if piece is None:
                    continue
                details = dump_json(piece.details).encode()
                _add(tar, f"{piece.number:08d}.json", len(details), BytesIO(details))
                with piece.file.open("rb") as data:
                    data.seek(piece.offset)
                    _add(tar, f"{piece.number:08d}{piece.suffix}", piece.size, data)
        file.flush()
        os.fsync(file.fileno())


def _add(tar: tarfile.TarFile, name: str, size: int, data: BinaryIO) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o644
    tar.addfile(info, data)


def _counted(
    pieces: Iterable[_Piece | None], done: int, total: int, progress: Callable[[int, int | None], None] | None
) -> Iterator[_Piece | None]:
    for count, piece in enumerate(pieces, done):
        if progress:
            progress(count, total)
        yield piece


def _entries(shard: Path) -> list[dict[str, Any]]:
    """What is in a shard, and where."""
    found, details, before = [], dict[str, Any](), -1
    try:
        with tarfile.open(shard, "r:") as tar:
            for info in tar:
                # Python before 3.11.14 goes round for ever where a size is negative.
                if not info.isreg() or info.offset <= before or info.size < 0:
                    raise ValueError(f"at byte {info.offset} is something else than a file")
                before = info.offset
                number, _, suffix = info.name.partition(".")
                if suffix == "json":
                    if info.size > _LARGEST_DETAILS:
                        raise ValueError(f"{info.name} has {info.size} bytes")
                    details = parse_json((tar.extractfile(info) or BytesIO()).read())
                    if not isinstance(details, dict):
                        raise ValueError(f"{info.name} is {brief(details)}")
                else:
                    place = {"shard": shard.name, "offset": info.offset_data, "size": info.size}
                    found.append({"number": int(number), **details, **place})
    except (tarfile.TarError, OSError, ValueError) as error:
        raise MovinetError(f"{shard}: damaged ({error}); delete it and repeat") from None
    return found
