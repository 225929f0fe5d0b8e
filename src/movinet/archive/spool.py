"""Vectors that one process leaves for another: files beside the results, until they are in a table.

A file is rows of `movinet.archive.tally.row_dtype`, one behind the other. Its name says whose it is and which run wrote
it, so that what a killed process left is known and removed.
"""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from movinet.archive.tally import row_dtype
from movinet.errors import MovinetError

_NAME = re.compile(r"[0-9a-f]{32}-[0-9a-f]{8}-\d+\.(?:answers|frames|vectors)")
_ROWS = 4096  # that are read or written at once


class NoRoom(MovinetError):
    """Nothing can be written: the fault of no video."""


@dataclass(frozen=True)
class Spooled:
    """A file of vectors: its name in the folder, how many there are, their length and type."""

    name: str
    count: int
    length: int
    kind: str

    @property
    def size(self) -> int:
        """Bytes of a row."""
        return row_dtype(self.length, self.kind).itemsize

    def to_dict(self) -> dict[str, Any]:
        return {"name": self.name, "count": self.count, "length": self.length, "kind": self.kind}

    @classmethod
    def of_dict(cls, value: dict[str, Any]) -> "Spooled":
        return cls(str(value["name"]), int(value["count"]), int(value["length"]), str(value["kind"]))


class Writer:
    """Writes vectors with their times to a new file; `close` has them on the disk.

    Raises:
        NoRoom: from any method: the file cannot be written.
    """

    def __init__(self, folder: Path, name: str, length: int, kind: str) -> None:
        self._path, self._length, self._kind, self._count = folder / name, length, kind, 0
        self._rows = np.empty(_ROWS, row_dtype(length, kind))
        self._waiting = 0
        try:
            self._file = self._path.open("wb")
        except OSError as error:
            raise self._error(error) from error

    def add(self, time: float, values: NDArray[Any]) -> None:
        self._rows[self._waiting] = (time, values)
        self._waiting += 1
        if self._waiting == _ROWS:
            self._flush()

    def close(self) -> Spooled:
        """Sync and close."""
        self._flush()
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
        except OSError as error:
            raise self._error(error) from error
        return Spooled(self._path.name, self._count, self._length, self._kind)

    def discard(self) -> None:
        """Close and remove."""
        with suppress(OSError):
            self._file.close()
        with suppress(OSError):
            self._path.unlink()

    def _flush(self) -> None:
        try:
            self._file.write(self._rows[: self._waiting].tobytes())
        except OSError as error:
            raise self._error(error) from error
        self._count += self._waiting
        self._waiting = 0

    def _error(self, error: OSError) -> NoRoom:
        return NoRoom(f"{self._path.parent}: cannot be written: {error.strerror or error}")


def read_spooled(folder: Path, spooled: Spooled) -> Iterator[NDArray[np.void]]:
    """The rows of a file, some thousand at a time.

    Raises:
        MovinetError: it is not there, or not whole.
    """
    dtype, left = row_dtype(spooled.length, spooled.kind), spooled.count
    try:
        with (folder / spooled.name).open("rb") as file:
            while left:
                data = file.read(min(left, _ROWS) * dtype.itemsize)
                rows = np.frombuffer(data[: len(data) // dtype.itemsize * dtype.itemsize], dtype)
                if not len(rows):
                    break
                left -= len(rows)
                yield rows
    except OSError as error:
        raise MovinetError(f"{folder / spooled.name}: cannot be read: {error.strerror or error}") from error
    if left:
        raise MovinetError(f"{folder / spooled.name}: is cut short")


def spool_name(key: str, run: str, task: int, what: str) -> str:
    """The name of a file: whose it is, of which run and task of it, and what is in it."""
    return f"{key}-{run}-{task}.{what}"


def remove_spooled(folder: Path, keep: set[str]) -> None:
    """Remove what nobody waits for, of this module's naming alone."""
    with suppress(OSError):
        for path in folder.iterdir():
            if _NAME.fullmatch(path.name) and path.name not in keep:
                with suppress(OSError):
                    path.unlink()
