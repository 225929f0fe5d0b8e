"""Writing files whole or not at all."""

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from io import FileIO
from math import isfinite
from pathlib import Path
from threading import get_ident
from time import time
from typing import Any

from movinet.errors import MovinetError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file beside `path` to write into: it takes its place if all goes well and is removed if anything does not."""
    part = path.with_name(f".{path.stem}.{os.getpid()}.{get_ident()}.part{path.suffix}")  # nobody else's
    try:
        yield part
        os.replace(part, path)
    except BaseException:
        with suppress(OSError):  # what stood in the way of writing may stand in the way of this
            part.unlink()
        raise


class Unfinished(Exception):
    """What is written (see `adding`) stays as it is, for whoever finishes `leftovers`."""


@contextmanager
def adding(path: Path) -> Iterator[tuple[Path, Path]]:
    """A new file: one to write into and the name that it gets if all goes well, which is `path`, or one with a number
    where another file has that, or is to get it. It is locked meanwhile: see `leftovers`."""
    whole, number = path, 1
    while (file := _claimed(part := whole.with_name(f".{whole.stem}.0.0.part{whole.suffix}"), whole)) is None:
        number += 1
        whole = path.with_name(f"{path.stem}_{number}{path.suffix}")
    with file:
        try:
            import fcntl

            with suppress(OSError):  # a file system without locks
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except ImportError:
            file.close()  # Windows moves no open file, which is lock enough while somebody writes it
        try:
            yield part, whole
            os.replace(part, whole)
        except Unfinished:
            raise
        except BaseException:
            with suppress(OSError):
                part.unlink()
            raise


def _claimed(part: Path, whole: Path) -> FileIO | None:
    """The file to write into, where this is the first to make it, and nothing is in the place it is to take."""
    try:
        file = FileIO(part, "x")
    except FileExistsError:
        return None
    if whole.exists():
        file.close()
        part.unlink()
        return None
    return file


def write_atomically(path: str | Path, data: bytes) -> None:
    """Replace a file's contents; whatever goes wrong, the old file or none is there, never half of one.

    Raises:
        MovinetError: it cannot be written (no such folder, no permission, disk full).
    """
    try:
        with replacing(Path(path)) as part, part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise MovinetError(f"{path}: cannot write: {error.strerror or error}") from error


@contextmanager
def locked(path: Path, busy: str) -> Iterator[None]:
    """Keeps a second process out, where the system knows locks; they go with their process, however it ends.

    Args:
        path: of a file that is the lock; made where it is not there, and left.
        busy: what to say where another process has it.

    Raises:
        MovinetError: another process has it, or the file cannot be made.
    """
    try:
        file = path.open("a")
    except OSError as error:
        raise MovinetError(f"{path.parent}: cannot be used: {error.strerror or error}") from error
    with file:
        try:
            import fcntl

            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # unlike flock's, not inherited by child processes
        except ImportError:
            _lock_on_windows(file.fileno(), busy)
        except (BlockingIOError, PermissionError) as error:
            raise MovinetError(busy) from error
        except OSError:
            pass  # a file system without locks
        yield


def _lock_on_windows(file: int, busy: str) -> None:
    import msvcrt

    try:
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined, unused-ignore]
    except OSError as error:
        raise MovinetError(busy) from error


def leftovers(folder: Path, suffixes: tuple[str, ...]) -> list[tuple[Path, Path]]:
    """What writers that were killed left behind in a folder (see `replacing`, `adding`), and whose place it was to
    take: it changed last an hour ago, and is not locked, as clocks are set and computers sleep."""
    found = []
    with suppress(OSError):
        for path in folder.iterdir():
            if path.suffix in suffixes and (name := _LEFTOVER.fullmatch(path.stem)):
                with suppress(OSError):
                    too_new = path.is_symlink() or not path.is_file() or path.stat().st_mtime >= time() - 3600
                    if not too_new and not _is_written(path):
                        found.append((path, path.with_name(f"{name[1]}{path.suffix}")))
    return found


def _is_written(path: Path) -> bool:
    """Whether somebody who lives holds the lock of a file (see `adding`)."""
    try:
        import fcntl

        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except (ImportError, OSError):
        pass
    return False


def remove_leftovers(folder: Path, suffixes: tuple[str, ...]) -> None:
    """Remove what writers that were killed left behind in a folder."""
    for part, _ in leftovers(folder, suffixes):
        with suppress(OSError):
            part.unlink()


def write_json(path: str | Path, value: Any) -> None:
    """Replace a file's contents with JSON; see `dump_json`.

    Raises:
        MovinetError: as `write_atomically`.
    """
    write_atomically(path, f"{dump_json(value, indent=2)}\n".encode())


def dump_json(value: Any, indent: int | None = None) -> str:
    """Strict JSON in UTF-8: numbers that are none (NaN, infinity) become null, and file names that are not UTF-8 are
    escaped."""
    value = _finite(value)
    text = json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False)
    text = _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, indent=indent, allow_nan=False)
    return text


# Which terminals obey, and JSON need not escape.
_CONTROL = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")

_LEFTOVER = re.compile(r"\.(.+)\.\d+\.\d+\.part", re.DOTALL)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    return value


def remove_least_used(paths: Iterable[Path], most: int, *, keep: Path | None = None, unused: float = 0.0) -> None:
    """Remove the files that were not used for longest, by their modification times, until the rest fits.

    Args:
        paths: of files that are ours.
        most: bytes that all of them may take.
        keep: one that stays.
        unused: seconds since its last use for which a file stays for certain.
    """
    files = []
    for path in paths:
        with suppress(OSError):
            found = path.stat()
            files.append((found.st_mtime, found.st_size, path))
    total = sum(size for _, size, _ in files)
    for used, size, path in sorted(files):
        if total <= most or (unused and used > time() - unused):
            return
        if path != keep:
            with suppress(OSError):
                path.unlink()
                total -= size
