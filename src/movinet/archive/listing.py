"""From what a command is given to the videos that are meant: folders, patterns, lists, object stores."""

import glob
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from movinet.archive.items import Item, file_item, listed_item
from movinet.archive.stores import is_stored, list_store
from movinet.errors import MovinetError, needs_extra
from movinet.rows import malformed, read_json, read_lines, read_table
from movinet.video.decode import VIDEOS, in_natural_order
from movinet.video.locations import is_address
from movinet.video.net.sources import without_password

_LISTS = (".csv", ".tsv", ".parquet", ".jsonl", ".json", ".txt")
_COLUMNS = ("file", "path", "video", "url", "uri")
"""Names of the column that says where a video is; the first of them that is there counts."""

OnProblem = Callable[[str], None]


def list_items(sources: Sequence[str], on_problem: OnProblem) -> list[Item]:
    """The videos that sources stand for, each once.

    A source is a file; a folder, of which all videos are meant, also those in folders below it (links to folders are
    not followed); a pattern such as `/data/**/*.mp4`; a list (.csv, .tsv, .parquet, .jsonl, .json with a column file,
    path, video, url or uri, .txt with one a line), whose names count from the list's folder; an address of a file
    (`https://…/clip.mp4`); or a prefix in an object store (`s3://bucket/2026/`, `gs://…`, `https://…/`).

    Args:
        sources: as given.
        on_problem: called with what cannot be listed, and why; the rest goes on.

    Raises:
        MovinetError: a source is not there, or a list is wrong.
    """
    found: dict[str, Item] = {}
    for source in sources:
        for item in _items(source, on_problem):
            found.setdefault(item.path, item)
    return list(found.values())


def _items(source: str, on_problem: OnProblem) -> Iterable[Item]:
    if is_stored(source):
        return list_store(source)
    if is_address(source):
        return [_addressed(source)]
    path = Path(source)
    try:
        if path.is_dir():
            return _below(source, on_problem)
        if path.exists():
            return _listed(path, on_problem) if path.suffix.lower() in _LISTS else [file_item(path)]
    except OSError as error:
        raise MovinetError(f"{source}: cannot be reached: {error.strerror or error}") from error
    if glob.has_magic(source):
        return _matching(source, on_problem)
    raise MovinetError(f"{source}: no such file, folder or list")


def _addressed(address: str) -> Item:
    """What is at an address; who serves it is not asked about it, so it is known by its address alone.

    Raises:
        MovinetError: it is of no file, or has a password in it.
    """
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https"):
        raise MovinetError(f"{without_password(address)}: no file; cameras and streams are watched (`movinet watch`)")
    if "@" in parts.netloc:
        raise MovinetError(f"{without_password(address)}: its password would stand in the results: leave it out")
    return Item(address, -1, "")


def _below(folder: str, on_problem: OnProblem) -> Iterator[Item]:
    """The videos of a folder and those in it, in the order of their names."""

    def tell(error: OSError) -> None:
        on_problem(f"{error.filename}: cannot be listed: {error.strerror}")

    for place, folders, files in os.walk(os.path.abspath(folder), onerror=tell):
        folders.sort()
        for name in sorted(files):
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in VIDEOS:
                yield listed_item(os.path.join(place, name))


def _matching(pattern: str, on_problem: OnProblem) -> Iterator[Item]:
    none = True
    for name in sorted(glob.iglob(pattern, recursive=True), key=in_natural_order):
        none = False
        if os.path.isdir(name):
            if "**" not in pattern:  # which has what is in it
                yield from _below(name, on_problem)
        elif "**" not in pattern or os.path.splitext(name)[1].lower() in VIDEOS:
            yield file_item(name)
    if none:
        on_problem(f"{pattern}: matches nothing")


def _listed(path: Path, on_problem: OnProblem) -> Iterator[Item]:
    """What a list names."""
    for where, name in _names(path):
        if not name:
            raise malformed(path, where, "no file")
        if "\0" in name:
            raise malformed(path, where, "a name with a NUL character")
        if is_stored(name):
            yield from list_store(name)
        elif is_address(name):
            yield _addressed(name)
        elif (there := os.path.join(path.parent, name)) and os.path.isdir(there):
            yield from _below(there, on_problem)
        else:
            yield file_item(there)


def _names(path: Path) -> Iterator[tuple[str, str]]:
    """(where, name) of every row."""
    kind = path.suffix.lower()
    if kind == ".txt":
        yield from read_lines(path)
    elif kind == ".parquet":
        yield from _parquet_names(path)
    elif kind in (".json", ".jsonl"):
        for where, row in read_json(path):
            name = row.get(_column(row, path))
            if not isinstance(name, str):
                raise malformed(path, where, "its file is no text")
            yield where, name
    else:
        columns, rows = read_table(path)
        column = _column(columns, path)
        for where, cells in rows:
            if any(cells.values()):
                yield where, cells[column]


def _parquet_names(path: Path) -> Iterator[tuple[str, str]]:
    with needs_extra("archive"):
        import pyarrow as pa
        import pyarrow.parquet as pq
    try:
        with pq.ParquetFile(path) as file:
            column = _column(file.schema_arrow.names, path)
            number = 0
            for batch in file.iter_batches(columns=[column]):
                for name in batch.column(0).to_pylist():
                    number += 1
                    if not isinstance(name, str):
                        raise malformed(path, f"row {number}", "its file is no text")
                    yield f"row {number}", name
    except (pa.ArrowException, OSError) as error:
        raise MovinetError(f"{path}: no Parquet file that can be read: {error}") from error


def _column(columns: Iterable[str], path: Path) -> str:
    there = set(columns)
    for name in _COLUMNS:
        if name in there:
            return name
    raise MovinetError(f"{path}: no column {', '.join(_COLUMNS[:-1])} or {_COLUMNS[-1]}")
