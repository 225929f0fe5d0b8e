"""The folder of an export: made whole or not at all; of one that is there, only what an earlier export wrote goes."""

import hashlib
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from time import time
from typing import Any, get_args

from movinet.deploy.read_manifest import MANIFEST
from movinet.errors import MovinetError
from movinet.export.written import Format
from movinet.reading import parse_json


@contextmanager
def new_folder(folder: Path, force: bool) -> Iterator[Path]:
    """A folder beside `folder` to write into: it takes its place if all goes well and is removed if anything does not.

    What of an earlier export its manifest lists is replaced; everything else that is in the folder stays there.

    Args:
        folder: to make.
        force: there may be an earlier export.

    Raises:
        MovinetError: `folder` exists and is no export of ours, or is one and `force` was not given; a file in it was
            changed since, or stands where a new one belongs; or it cannot be written.
    """
    folder = Path(os.path.abspath(folder.resolve() if folder.is_symlink() else folder))
    listed = frozenset[str]()
    if os.path.lexists(folder):
        hashes = _hashes_of_export(folder)
        if hashes is None:
            raise MovinetError(f"{folder}: exists and is no exported network; choose another name")
        if not force:
            raise MovinetError(f"{folder}: exists already; --force replaces it")
        listed = _unchanged(folder, hashes)
    part, old = (folder.with_name(f".{folder.name}.{os.getpid()}.{kind}") for kind in ("part", "old"))
    try:
        part.mkdir(parents=True)
    except OSError as error:
        raise _unwritable(folder, error) from error
    _remove_leftovers(folder)
    try:
        yield part
        _refuse_collisions(folder, part, listed)
        _exchange(folder, part, old, listed)
    except OSError as error:
        raise _unwritable(folder, error) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    for name in listed:
        with suppress(OSError):  # then it lies hidden beside the new one
            (old / name).unlink(missing_ok=True)
    _remove_empty(old)


def file_hashes(folder: Path) -> dict[str, dict[str, Any]]:
    """Size and SHA-256 of every file below a folder, by its path in it."""
    return {
        path.relative_to(folder).as_posix(): {"bytes": path.stat().st_size, "sha256": _sha256(path)}
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _hashes_of_export(folder: Path) -> dict[str, str] | None:
    """The files in a folder that an export wrote, with their hashes; None if no export is in it."""
    try:
        manifest = parse_json((folder / MANIFEST).read_bytes())
        hashes = {name: str(entry["sha256"]) for name, entry in manifest["files"].items()}
        ours = isinstance(manifest["movinet"], str) and manifest["format"] in get_args(Format)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return hashes if ours and all(map(_lies_inside, hashes)) else None


def _unchanged(folder: Path, hashes: Mapping[str, str]) -> frozenset[str]:
    """Which of an export's files are there, its manifest among them.

    Raises:
        MovinetError: one was changed since, or is reached through a link.
    """
    found = {MANIFEST}
    for name, expected in hashes.items():
        path = folder / name
        linked = any(step.is_symlink() for step in (path, *path.parents[: name.count("/")]))
        if not linked and not path.exists():
            continue
        if linked or not path.is_file() or _sha256(path) != expected:
            raise MovinetError(f"{path}: was changed since it was exported; move it away, or export to another folder")
        found.add(name)
    return frozenset(found)


def _lies_inside(name: str) -> bool:
    """Whether a path written as ours are stays in the folder it is joined to, on any system."""
    path = PurePosixPath(name)
    return (
        name == str(path) and not path.is_absolute() and not {"..", "."} & {*path.parts} and not set(name) & {*"\\:\0"}
    )


def _refuse_collisions(folder: Path, part: Path, listed: frozenset[str]) -> None:
    for path in part.rglob("*"):
        name = path.relative_to(part).as_posix()
        there = folder / name
        if os.path.lexists(there) and name not in listed and not (path.is_dir() and there.is_dir()):
            raise MovinetError(f"{there}: is not the earlier export's; move it away, or export to another folder")


def _remove_leftovers(folder: Path) -> None:
    """What exports to this folder were writing that were killed, an hour after it changed last."""
    ours = re.compile(rf"\.{re.escape(folder.name)}\.\d+\.part")
    with suppress(OSError):
        for path in folder.parent.iterdir():
            if ours.fullmatch(path.name) and not path.is_symlink() and path.stat().st_mtime < time() - 3600:
                shutil.rmtree(path, ignore_errors=True)


def _exchange(folder: Path, part: Path, old: Path, listed: frozenset[str]) -> None:
    """Let `part` take the folder's place, with what is not listed; if that fails, nothing has happened."""
    moved: list[tuple[Path, Path]] = []

    def move(source: Path, target: Path) -> None:
        source.rename(target)
        moved.append((source, target))

    try:
        if folder.exists():
            move(folder, old)
        move(part, folder)
        if old.exists():
            for name in list(_others(old, "", listed)):
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                move(old / name, folder / name)
    except BaseException:
        for source, target in reversed(moved):
            target.rename(source)
        raise


def _others(root: Path, under: str, listed: frozenset[str]) -> Iterator[str]:
    """What lies below a folder and is not listed: whole folders where nothing in them is."""
    for entry in (root / under).iterdir():
        name = entry.relative_to(root).as_posix()
        if name in listed:
            continue
        if any(one.startswith(f"{name}/") for one in listed):
            yield from _others(root, name, listed)
        else:
            yield name


def _remove_empty(folder: Path) -> None:
    for path, _, _ in os.walk(folder, topdown=False):
        with suppress(OSError):  # what is not empty stays
            os.rmdir(path)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _unwritable(folder: Path, error: OSError) -> MovinetError:
    return MovinetError(f"{folder}: cannot write: {error.strerror or error}")
