"""Labeled videos, by split."""

import errno
import os
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain, compress
from pathlib import Path
from typing import TypeVar

from movinet.errors import MovinetError, VideoError, printable
from movinet.video.decode import IMAGES, VIDEOS
from movinet.video.locations import Member

T = TypeVar("T")

ALL = "all"
"""The split of videos of which no split is told."""


@dataclass(frozen=True)
class VideoEntry:
    """A stretch of a video and what it shows.

    Args:
        path: a video file, a folder of images, or a video inside an archive.
        labels: exactly one, unless the set is multi-label.
        start, end: seconds from the first frame; end None is the end of the video.
    """

    path: Path | Member
    labels: tuple[str, ...]
    start: float = 0.0
    end: float | None = None

    @cached_property  # a disk on the network takes its time
    def source(self) -> str:
        """The file it is a stretch of: stretches that share it should be trained on together, or not at all."""
        return self.path.name if isinstance(self.path, Member) else os.path.realpath(self.path)

    def stretch(self, lasts: float) -> tuple[float, float]:
        """(start, end) in seconds, within the seconds that the video lasts.

        Raises:
            VideoError: the video ends before the stretch begins.
        """
        end = lasts if self.end is None else min(self.end, lasts)
        if not self.start < end:
            raise VideoError(f"{self.path}: lasts {lasts:.2f} s, so nothing is left from {self.start} s on")
        return self.start, end


@dataclass(frozen=True)
class VideoSet:
    """Videos to train on or to test with.

    Args:
        videos: in the order of the list, or sorted by path where a folder was read.
        labels: the classes, sorted; a network's output i stands for labels[i].
        multi_label: a video may show any number of classes.
    """

    videos: tuple[VideoEntry, ...]
    labels: tuple[str, ...]
    multi_label: bool


@dataclass(frozen=True)
class DatasetIndex:
    """What a data set was taken for, and its videos.

    Args:
        kind: in words, such as `a folder per class`.
        splits: by name (`train`, a fold's number; `all` where none is told). All have the same classes.
        missing: listed videos that are not there and were left out.
    """

    kind: str
    splits: dict[str, VideoSet]
    missing: tuple[Path | Member, ...] = ()

    def select(self, *names: str) -> VideoSet:
        """The videos of some splits together; of all splits where none is named.

        Raises:
            MovinetError: there is no such split.
        """
        if unknown := set(names) - set(self.splits):
            raise MovinetError(f"no split {', '.join(sorted(unknown))}; there are {', '.join(self.splits)}")
        chosen = [self.splits[name] for name in names or self.splits]
        return replace(chosen[0], videos=tuple(chain.from_iterable(part.videos for part in chosen)))


@dataclass(frozen=True)
class Row:
    """A line of a list: the video, where the list says so (for messages), and its split."""

    video: VideoEntry
    where: str
    split: str = ALL


def gather(
    kind: str,
    source: Path,
    rows: Iterable[Row],
    labels: Iterable[str] = (),
    multi_label: bool = False,
    skip_missing: bool = False,
) -> DatasetIndex:
    """Sorts the rows of a list into splits.

    Args:
        kind: what the list is, in words.
        source: the list, for messages.
        labels: classes that are there even where no row has them.
        multi_label: also where every row has exactly one label.
        skip_missing: leave out videos that are not there, instead of raising.

    Raises:
        MovinetError: no rows, videos that are not there, or the same stretch of a video twice in a split.
    """
    rows = [replace(row, video=replace(row.video, labels=tuple(map(spelt, row.video.labels)))) for row in rows]
    if not rows:
        raise MovinetError(f"{source}: lists no videos")
    exists = [_exists(row.video.path) for row in rows]  # asked once: a disk on the network takes its time
    there = list(compress(rows, exists))
    missing = tuple(row.video.path for row, found in zip(rows, exists, strict=True) if not found)
    if missing and (not skip_missing or not there):
        raise MovinetError(
            f"{source}: {len(missing)} of {len(rows)} listed videos missing ({_some(map(str, missing))}); "
            "correct the list, say where the videos are (--videos), or leave out what is missing "
            "(--skip-missing; in a recipe data.skip_missing: true)"
        )
    _refuse_duplicates(source, there)
    classes = tuple(sorted({*map(spelt, labels), *chain.from_iterable(row.video.labels for row in rows)}))
    multi_label = multi_label or any(len(row.video.labels) != 1 for row in rows)
    splits: dict[str, list[VideoEntry]] = {}
    for row in there:
        splits.setdefault(row.split, []).append(row.video)
    sets = {name: VideoSet(tuple(videos), classes, multi_label) for name, videos in _in_order(splits)}
    return DatasetIndex(kind, sets, missing)


def _exists(path: Path | Member) -> bool:
    """Whether a listed video is there; a name that no file can have is a name of none.

    Raises:
        MovinetError: nobody may look.
    """
    try:
        return path.exists()
    except ValueError:
        return False
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            return False
        raise MovinetError(f"{path}: cannot be looked for: {error.strerror or error}") from error


def spelt(label: str) -> str:
    """A label as everybody writes it: systems store é in two ways, and what turns the order of letters around, as comes
    with words copied from Arabic or Hebrew pages, is an escape in all weights.

    Raises:
        MovinetError: it cannot be written.
    """
    try:
        label.encode()
    except UnicodeEncodeError:
        raise MovinetError(f"the class {label!r} has a name that is not UTF-8; rename it") from None
    return printable(unicodedata.normalize("NFC", label))


def join(listings: Mapping[str, DatasetIndex]) -> DatasetIndex:
    """Listings as the splits of one data set, named by their keys."""
    splits = {
        name if len(listing.splits) == 1 else f"{name} {split}": part
        for name, listing in listings.items()
        for split, part in listing.splits.items()
    }
    labels = tuple(sorted(set(chain.from_iterable(part.labels for part in splits.values()))))
    multi_label = any(part.multi_label for part in splits.values())
    return DatasetIndex(
        ", ".join(dict.fromkeys(listing.kind for listing in listings.values())),
        {name: VideoSet(part.videos, labels, multi_label) for name, part in _in_order(splits)},
        tuple(chain.from_iterable(listing.missing for listing in listings.values())),
    )


def find_videos(folder: Path) -> Iterator[Path]:
    """Video files and image folders anywhere below a folder (and the folder itself where it holds images), in order.
    Hidden ones are passed over; a folder that holds a video is no image folder.

    Raises:
        MovinetError: not a folder, or one that may not be read.
    """

    def give_up(error: OSError) -> None:
        raise MovinetError(f"{error.filename}: {error.strerror}")

    for where, folders, files in os.walk(folder, onerror=give_up, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        suffixes = {name: os.path.splitext(name)[1].lower() for name in sorted(files) if not name.startswith(".")}
        videos = [Path(where, name) for name, suffix in suffixes.items() if suffix in VIDEOS]
        yield from videos
        if not videos and any(suffix in IMAGES for suffix in suffixes.values()):
            yield Path(where)


def _in_order(splits: Mapping[str, T]) -> list[tuple[str, T]]:
    """Training first, testing last, the rest (folds, validation) by name."""
    return sorted(
        splits.items(), key=lambda item: (not item[0].startswith("train"), item[0].startswith("test"), item[0])
    )


def _refuse_duplicates(source: Path, rows: list[Row]) -> None:
    seen: dict[tuple[str, VideoEntry], Row] = {}
    twice = []
    for row in rows:
        earlier = seen.setdefault((row.split, replace(row.video, labels=())), row)
        if earlier is not row:
            same = earlier.video.labels == row.video.labels
            as_what = "" if same else f" as {'|'.join(earlier.video.labels)} and {'|'.join(row.video.labels)}"
            twice.append(f"{row.video.path}{as_what}, {earlier.where} and {row.where}")
    if twice:
        raise MovinetError(
            f"{source}: listed twice: {_some(twice, '; ')}; keep one of each. Several "
            "labels of one video are written a|b"
        )


def _some(names: Iterable[str], separator: str = ", ", most: int = 3) -> str:
    first, *rest = list(names)
    return separator.join([first, *rest[: most - 1]]) + (f"{separator}…" if len(rest) >= most else "")
