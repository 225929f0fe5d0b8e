"""Labeled videos as the protocols look at them: from front to back, or at the instants of a clip."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Protocol

import numpy as np

from movinet.labeled.entries import DatasetIndex, VideoEntry
from movinet.labeled.sampling import Sampling, within
from movinet.video.decode import read_at, read_frames
from movinet.video.frame import Frame
from movinet.video.locations import Member

_TESTED = (("test",), ("val", "dev"))  # what names of splits begin with that networks are judged on, the first there is


class Footage(Protocol):
    """A video, or a stretch of one, and what it shows."""

    @property
    def name(self) -> str:
        """For people, and for knowing it again."""

    @property
    def labels(self) -> tuple[str, ...]: ...

    @property
    def source(self) -> str:
        """What it is a part of: parts of one video resemble each other, so intervals draw them together."""

    @property
    def fingerprint(self) -> list[object]:
        """What tells it from another of the same name, ready for JSON."""

    def stream(self, fps: float) -> Iterator[Frame]:
        """Its frames from front to back, so many a second: at least one.

        Raises:
            VideoError: it cannot be read.
        """

    def at(self, sampling: Sampling, fps: float) -> tuple[float, Iterator[Frame]]:
        """Seconds that it lasts, and its frames at the instants of a sampling, which ascend.

        Args:
            sampling: from the duration to instants, as in `movinet.labeled.sampling`; nothing in it is random.
            fps: of images in folders, which tell no times.

        Raises:
            VideoError: it cannot be read.
        """


@dataclass(frozen=True)
class FileFootage:
    """An entry of a data set.

    Args:
        entry: where it is and what it shows.
        name: such as its path within the set.
        folder_fps: at which rate image folders were taken; by default at that which the network wants.
    """

    entry: VideoEntry
    name: str
    folder_fps: float | None = None

    @property
    def labels(self) -> tuple[str, ...]:
        return self.entry.labels

    @property
    def source(self) -> str:
        return self.entry.source

    @property
    def fingerprint(self) -> list[object]:
        path = self.entry.path
        try:
            size = path.size if isinstance(path, Member) else os.stat(path).st_size if path.is_file() else 0
        except OSError:  # told when it is read
            size = -1
        own_fps = [] if self.folder_fps is None else [self.folder_fps]
        return [self.name, list(self.labels), self.entry.start, self.entry.end, size, *own_fps]

    def stream(self, fps: float) -> Iterator[Frame]:
        start, end = self.entry.start, self.entry.end
        return read_frames(self.entry.path, fps, start, end, folder_fps=self.folder_fps)

    def at(self, sampling: Sampling, fps: float) -> tuple[float, Iterator[Frame]]:
        lasted: list[float] = []

        def instants(lasts: float) -> list[float]:
            start, end = self.entry.stretch(lasts)
            lasted.append(end - start)
            found: list[float] = within(start, end, sampling, np.random.default_rng(0)).tolist()
            return found

        frames = read_at(self.entry.path, instants, folder_fps=self.folder_fps or fps)
        frames = chain([next(frames)], frames)  # by which it is known how long the video is
        return lasted[0], frames


def footage_of(
    listing: DatasetIndex, splits: Sequence[str] = (), folder_fps: float | None = None
) -> tuple[list[FileFootage], tuple[str, ...]]:
    """The videos of a data set that a network is judged on, in the set's order, and the splits they are of.

    Args:
        listing: see `movinet.labeled.readers.read_set`.
        splits: by name; by default those for testing, or for validation, or else all there are.
        folder_fps: as of `FileFootage`.

    Raises:
        MovinetError: there is no such split.
    """
    chosen = tuple(splits) or next(
        (found for begins in _TESTED if (found := tuple(n for n in listing.splits if n.lower().startswith(begins)))),
        tuple(listing.splits),
    )
    entries = listing.select(*chosen).videos
    names = _names([entry.path for entry in entries])
    return [FileFootage(entry, name, folder_fps) for entry, name in zip(entries, names, strict=True)], chosen


def _names(paths: Sequence[Path | Member]) -> list[str]:
    """Paths from the folder that holds them all: where that lies does not matter."""
    files = [os.path.abspath(path) for path in paths if isinstance(path, Path)]
    root = os.path.commonpath([os.path.dirname(file) for file in files]) if files else ""
    return [
        path.name if isinstance(path, Member) else Path(os.path.relpath(os.path.abspath(path), root)).as_posix()
        for path in paths
    ]
