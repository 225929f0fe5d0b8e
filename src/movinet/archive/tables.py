"""The results as tables: what the journal tells, in numbered parts of Parquet and JSON lines.

    rows/part-00000.parquet             a row a video, failed ones among them
    jsonl/part-00000.jsonl              the same
    frames/part-00000.parquet           a row a frame: path, time, probabilities
    embeddings/part-00000.parquet       a row a second: path, time, vector

Parts are made of the journal and written whole or not at all; one that was written again is the same.
"""

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from movinet.archive.items import key_of
from movinet.archive.spool import NoRoom, Spooled, read_spooled
from movinet.errors import MovinetError, needs_extra
from movinet.files import replacing, write_atomically

if TYPE_CHECKING:
    import pyarrow as pa

ROWS, LINES, FRAMES, EMBEDDINGS = "rows", "jsonl", "frames", "embeddings"
_ODD = "backslashreplace"  # names that are not UTF-8 as Parquet has them; JSON lines have them exactly


def part_path(folder: Path, table: str, number: int) -> Path:
    """Where a part is."""
    return folder / table / f"part-{number:05}{_suffix(table)}"


def parts(folder: Path, table: str) -> list[tuple[int, Path]]:
    """The parts of a table, by number."""
    found, suffix = [], _suffix(table)
    with suppress(FileNotFoundError):
        for path in (folder / table).iterdir():
            number = path.name.removeprefix("part-").removesuffix(suffix)
            if path.suffix == suffix and path.name.startswith("part-") and number.isdigit():
                found.append((int(number), path))
    return sorted(found)


def _suffix(table: str) -> str:
    return ".jsonl" if table == LINES else ".parquet"


def shown(path: str) -> str:
    """A name as Parquet has it."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", _ODD)


def write_rows(folder: Path, number: int, rows: Sequence[dict[str, Any]]) -> None:
    """Write a part of the table of videos.

    Raises:
        MovinetError: it cannot be written.
    """
    with needs_extra("archive"):
        import pyarrow as pa
    for table in (ROWS, LINES):
        (folder / table).mkdir(exist_ok=True)
    lines = "".join(f"{json.dumps(row, allow_nan=False)}\n" for row in rows)  # in ASCII, odd names escaped
    write_atomically(part_path(folder, LINES, number), lines.encode("ascii"))
    plain = [{**row, "path": shown(row["path"]), "error": row["error"] and shown(row["error"])} for row in rows]
    with _parquet(part_path(folder, ROWS, number), row_schema()) as write:
        write(pa.Table.from_pylist(plain, schema=row_schema()))


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a part of JSON lines."""
    with path.open("rb") as file:
        for line in file:
            yield json.loads(line)


def write_vectors(
    folder: Path, table: str, number: int, spool: Path, videos: Iterable[tuple[str, Sequence[Spooled]]]
) -> None:
    """Write a part of a table of vectors, from what was spooled; nothing, where there is none.

    Args:
        folder: of the results.
        table: `FRAMES` or `EMBEDDINGS`.
        number: of the part.
        spool: where the vectors are.
        videos: paths, and the files with their vectors; all of one length.

    Raises:
        MovinetError: something cannot be read or written.
    """
    with needs_extra("archive"):
        import pyarrow as pa
    listed = [(path, files) for path, files in videos if files]
    if not listed:
        return
    (folder / table).mkdir(exist_ok=True)
    schema = vector_schema(table, listed[0][1][0].length)
    kind = schema.field(2).type.value_type.to_pandas_dtype()
    with _parquet(part_path(folder, table, number), schema) as write:
        for path, files in listed:
            for spooled in files:
                for rows in read_spooled(spool, spooled):
                    values = pa.array(np.ascontiguousarray(rows["values"], kind).reshape(-1))
                    vectors = pa.FixedSizeListArray.from_arrays(values, spooled.length)
                    columns = [pa.array([shown(path)] * len(rows)), pa.array(rows["time"].copy()), vectors]
                    write(pa.Table.from_arrays(columns, schema=schema))


def row_schema() -> "pa.Schema":
    """Of the table of videos."""
    import pyarrow as pa

    top = pa.list_(pa.struct([("label", pa.string()), ("probability", pa.float64())]))
    event = [("label", pa.string()), ("start", pa.float64()), ("end", pa.float64()), ("confidence", pa.float64())]
    return pa.schema(
        [
            ("path", pa.string()),
            ("size", pa.int64()),
            ("modified", pa.float64()),
            ("etag", pa.string()),
            ("duration", pa.float64()),
            ("damaged", pa.float64()),
            ("frames", pa.int64()),
            ("last", top),
            ("mean", top),
            ("events", pa.list_(pa.struct(event))),
            ("maxima", pa.list_(pa.float32())),
            ("warnings", pa.list_(pa.string())),
            ("error", pa.string()),
            ("model", pa.string()),
            ("model_hash", pa.string()),
            ("version", pa.string()),
            ("seconds", pa.float64()),
            ("scanned", pa.string()),
        ]
    )


def vector_schema(table: str, length: int) -> "pa.Schema":
    """Of a table of vectors: probabilities in half precision, features in single."""
    import pyarrow as pa

    name, kind = ("probabilities", pa.float16()) if table == FRAMES else ("vector", pa.float32())
    return pa.schema([("path", pa.string()), ("time", pa.float64()), (name, pa.list_(kind, length))])


def settle(folder: Path, again: set[str]) -> None:
    """Remove from older parts what newer ones have, of videos that were looked at more than once.

    Args:
        folder: of the results.
        again: their keys.

    Raises:
        MovinetError: a part cannot be read or written.
    """
    newest: dict[str, int] = {}  # by name: the last part that has it
    for number, path in reversed(parts(folder, LINES)):
        rows = list(read_rows(path))
        kept = [row for row in rows if row["path"] not in newest]
        newest |= {row["path"]: number for row in kept if key_of(row["path"]) in again}
        if len(kept) < len(rows):
            write_rows(folder, number, kept)
    for table in (FRAMES, EMBEDDINGS):
        for number, path in parts(folder, table):
            _drop(path, {shown(name) for name, kept in newest.items() if kept > number})


def _drop(path: Path, videos: set[str]) -> None:
    """Remove the rows of some videos from a part."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    if not videos:
        return
    try:
        with pq.ParquetFile(path) as file:
            names = (batch.column(0).unique().to_pylist() for batch in file.iter_batches(columns=["path"]))
            if not (gone := sorted(videos.intersection(chain.from_iterable(names)))):
                return
            with _parquet(path, file.schema_arrow) as write:
                for group in range(file.num_row_groups):
                    rows = file.read_row_group(group)
                    rows = rows.filter(pc.invert(pc.is_in(rows.column("path"), pa.array(gone))))
                    if len(rows):
                        write(rows)
    except pa.ArrowException as error:
        raise MovinetError(f"{path}: cannot be read: {error}") from error


@contextmanager
def _parquet(path: Path, schema: "pa.Schema") -> Iterator[Any]:
    """What writes tables to a file that is there whole or not at all."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with replacing(path) as part:
            with pq.ParquetWriter(part, schema, compression="zstd") as writer:
                yield writer.write_table
            file = os.open(part, os.O_RDONLY)
            try:
                os.fsync(file)
            finally:
                os.close(file)
    except (OSError, pa.ArrowException) as error:
        raise NoRoom(f"{path}: cannot be written: {getattr(error, 'strerror', None) or error}") from error
