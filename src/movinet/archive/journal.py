"""The journal of a scan: append-only, a checksum a line, the truth of what is done.

A line is `crc kind key fingerprint json`, in ASCII: the CRC-32 of all that follows it, what it tells, whose it is, and
the rest. A line that was written is there after the process was killed; one that was synced is there after the power
failed. A last line that is torn is cut off when the journal is opened, and what it told is done again.
"""

import json
import os
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any, Literal, Self, get_args

from movinet.errors import MovinetError
from movinet.files import write_atomically

Kind = Literal["begin", "row", "failed", "piece", "part", "settled"]
"""begin: the settings; row, failed: a file's row; piece: a part of a long file is done; part: the rows before a place
are in tables; settled: none of the rows before a place is in a table twice."""

_KINDS = frozenset(get_args(Kind))
_NOBODY = "-"
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Line:
    """A line, and where it lies."""

    kind: Kind
    key: str
    fingerprint: str
    text: bytes  # JSON
    begin: int
    end: int

    @property
    def value(self) -> dict[str, Any]:
        """What it tells."""
        return json.loads(self.text)


OnLine = Callable[[Line], None]


class Journal:
    """An open journal; one process has it (see `movinet.files.locked`).

    Args:
        path: there.
        on_line: called with every whole line that is there, in order, while they are checked; what it raises ends that.

    Raises:
        MovinetError: it cannot be read or written, or is no journal.
    """

    def __init__(self, path: Path, on_line: OnLine = lambda line: None) -> None:
        self.path = path
        self.damaged = 0
        """Lines in the middle that are not as they were written; what they told is done again."""
        self.torn = 0
        """Bytes of a torn last line that were cut off."""
        try:
            self._file = path.open("r+b", buffering=0)
        except OSError as error:
            raise MovinetError(f"{path}: cannot be opened: {error.strerror}") from error
        try:
            self._check(on_line)
        except BaseException:
            self._file.close()
            raise
        self._dirty = False

    @classmethod
    def create(cls, path: Path, settings: dict[str, Any], on_line: OnLine = lambda line: None) -> Self:
        """A new journal of a scan with these settings.

        Raises:
            MovinetError: it cannot be written.
        """
        write_atomically(path, _packed("begin", _NOBODY, _NOBODY, settings))
        return cls(path, on_line)

    def lines(self, begin: int = 0, end: int | None = None) -> Iterator[Line]:
        """What it tells, in order, from one place to another; damaged lines are left out."""
        try:
            for line, _ in _read(self._file, begin, self.end if end is None else min(end, self.end)):
                if line is not None:
                    yield line
        except OSError as error:
            raise MovinetError(f"{self.path}: cannot be read: {error.strerror}") from error

    def append(self, kind: Kind, value: dict[str, Any], key: str = _NOBODY, fingerprint: str = _NOBODY) -> None:
        """Add a line, up to `end`, whole or not at all; it outlives this process at once, and the machine after `sync`.

        Raises:
            MovinetError: it cannot be written, as on a full disk. The journal is as it was.
        """
        data = memoryview(_packed(kind, key, fingerprint, value))
        written = 0
        try:
            self._file.seek(self.end)
            while written < len(data):
                written += self._file.write(data[written:])
        except OSError as error:
            with suppress(OSError):  # whoever opens it next cuts the torn line off
                self._file.truncate(self.end)
            raise MovinetError(f"{self.path}: cannot be written: {error.strerror}; the same command goes on") from error
        self.end += written
        self._dirty = True

    def sync(self) -> None:
        """Have all lines outlive a power failure.

        Raises:
            MovinetError: the disk says that it cannot.
        """
        if not self._dirty:
            return
        try:
            os.fsync(self._file.fileno())
        except OSError as error:
            raise MovinetError(f"{self.path}: cannot be kept: {error.strerror}; the same command goes on") from error
        self._dirty = False

    def close(self) -> None:
        """Sync, and close."""
        try:
            self.sync()
        finally:
            self._file.close()

    def _check(self, on_line: OnLine) -> None:
        """Tell all lines, find the end of the last whole one, and cut off what follows it."""
        size = os.fstat(self._file.fileno()).st_size
        self.end, bad, first = 0, 0, True
        for line, end in _read(self._file, 0, size):
            if first and (line is None or line.kind != "begin"):
                break
            first = False
            if line is None:
                bad += 1
            else:
                self.end, self.damaged = end, bad
                on_line(line)
        if not self.end:
            raise MovinetError(f"{self.path}: no journal of a scan, or its beginning is damaged; choose another --out")
        self.torn = size - self.end
        if self.torn:
            try:
                self._file.truncate(self.end)
                os.fsync(self._file.fileno())
            except OSError as error:
                raise MovinetError(f"{self.path}: cannot be written: {error.strerror}") from error


def read_lines_of(path: Path) -> Iterator[Line]:
    """The lines of a journal that another process may be writing: what is whole so far.

    Raises:
        MovinetError: it cannot be read, or is no journal.
    """
    try:
        with path.open("rb", buffering=0) as file:
            first = True
            for line, _ in _read(file, 0, os.fstat(file.fileno()).st_size):
                if first and (line is None or line.kind != "begin"):
                    break
                first = False
                if line is not None:
                    yield line
    except OSError as error:
        raise MovinetError(f"{path.parent}: holds no results of a scan ({error.strerror})") from error
    if first:
        raise MovinetError(f"{path}: no journal of a scan")


def _read(file: FileIO, begin: int, end: int) -> Iterator[tuple[Line | None, int]]:
    """(line or None where it is damaged, where it ends)."""
    rest, at = b"", begin
    while begin < end:
        file.seek(begin)
        chunk = file.read(min(_CHUNK, end - begin))
        if not chunk:
            break
        begin += len(chunk)
        *whole, rest = (rest + chunk).split(b"\n")
        for raw in whole:
            start, at = at, at + len(raw) + 1
            yield _unpacked(raw, start, at), at
    if rest:
        yield None, at + len(rest)


def _packed(kind: Kind, key: str, fingerprint: str, value: dict[str, Any]) -> bytes:
    text = f"{kind} {key} {fingerprint} {json.dumps(value, allow_nan=False, separators=(',', ':'))}".encode("ascii")
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _unpacked(raw: bytes, begin: int, end: int) -> Line | None:
    if raw[:8] != b"%08x" % zlib.crc32(memoryview(raw)[9:]):
        return None
    parts = raw.split(b" ", 4)
    if len(parts) != 5 or (kind := parts[1].decode("ascii")) not in _KINDS:
        return None
    return Line(kind, parts[2].decode("ascii"), parts[3].decode("ascii"), parts[4], begin, end)  # type: ignore[arg-type]
