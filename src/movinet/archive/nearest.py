"""Search by example: the moments of an archive that lie nearest to a clip, by exact cosine of their mean vectors."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from movinet.archive.items import file_item
from movinet.archive.looking import Looker
from movinet.archive.results import SETTINGS
from movinet.archive.spool import Spooled, read_spooled
from movinet.archive.tables import EMBEDDINGS, parts
from movinet.archive.tally import Answers
from movinet.archive.tasks import Task, Wishes
from movinet.errors import MovinetError, needs_extra
from movinet.reading import parse_json
from movinet.recognizer import Recognizer

MANY = 20_000_000
"""Vectors from which a store with an index is worth its trouble."""
_BATCH = 16_384  # rows that are looked at together


@dataclass(frozen=True)
class Moment:
    """A moment of a video: `start`, in seconds, and the cosine of its angle to what was looked for."""

    path: str
    start: float
    cosine: float


def read_settings(folder: Path) -> dict[str, Any]:
    """What a scan wrote of itself.

    Raises:
        MovinetError: there is none, or it kept no embeddings.
    """
    try:
        settings = parse_json((folder / SETTINGS).read_bytes())
    except OSError as error:
        raise MovinetError(f"{folder}: holds no results of a scan ({error.strerror})") from None
    if not isinstance(settings, dict) or not isinstance(settings.get("hash"), str):
        raise MovinetError(f"{folder / SETTINGS}: not what a scan writes")
    if not parts(folder, EMBEDDINGS):
        raise MovinetError(f"{folder}: has no embeddings; scan into another folder with --embeddings")
    return settings


def clip_vectors(recognizer: Recognizer, clip: str, memory: float | None) -> NDArray[np.float32]:
    """A vector for every second of a clip, as a scan makes them, (seconds, features).

    Raises:
        MovinetError: it cannot be read, or the network gives no embeddings.
    """
    item = file_item(clip)
    with tempfile.TemporaryDirectory(prefix="movinet-") as folder:
        spool = Path(folder)
        wishes = Wishes(Answers(memory), vectors=True, piece=0)
        ports = recognizer.engine.signature.state
        looker = Looker(recognizer.network, recognizer.session(), ports, wishes, spool, "0" * 8)
        outcome = looker.look(Task(0, item), None, lambda: None)
        if outcome.row.get("error") or not outcome.files:
            raise MovinetError(outcome.row.get("error") or outcome.error or f"{clip}: has no frames")
        files = map(Spooled.of_dict, outcome.files["vectors"])
        return np.concatenate([rows["values"] for one in files for rows in read_spooled(spool, one)])


def nearest(folder: Path, query: NDArray[np.float32], count: int, apart: float) -> list[Moment]:
    """The moments nearest to a clip, nearest first: those as long as it whose mean vector has the largest cosine.

    A second counts the same however long its vector is. A video shorter than the clip is one moment. All are looked at;
    memory grows with the longest video alone.

    Args:
        folder: of the results.
        query: of every second of the clip, (seconds, features).
        count: how many.
        apart: seconds of a video within which only the nearest counts.

    Raises:
        MovinetError: a table cannot be read, or has vectors of another length.
    """
    wanted = _units(_units(query).mean(0, keepdims=True))[0]
    best: list[Moment] = []
    for path, times, vectors in _videos(folder):
        if vectors.shape[1] != len(wanted):
            raise MovinetError(f"{folder}: has vectors of {vectors.shape[1]} features, not of {len(wanted)}")
        cosines = _windows(vectors, min(len(query), len(vectors))) @ wanted
        best = _best([*best, *_peaks(path, times[: len(cosines)], cosines, count, apart)], count, apart)
    return best


def count_vectors(folder: Path) -> int:
    """How many there are."""
    import pyarrow.parquet as pq

    return sum(pq.read_metadata(path).num_rows for _, path in parts(folder, EMBEDDINGS))


def _peaks(
    path: str, times: NDArray[np.float64], cosines: NDArray[np.floating[Any]], count: int, apart: float
) -> list[Moment]:
    found: list[Moment] = []
    left = np.ones(len(times), bool)
    while len(found) < count and left.any():
        place = int(np.where(left, cosines, -np.inf).argmax())
        found.append(Moment(path, float(times[place]), float(cosines[place])))
        left &= np.abs(times - times[place]) >= apart
    return found


def _best(moments: list[Moment], count: int, apart: float) -> list[Moment]:
    kept: list[Moment] = []
    for moment in sorted(moments, key=lambda one: -one.cosine):
        if len(kept) == count:
            break
        if all(moment.path != other.path or abs(moment.start - other.start) >= apart for other in kept):
            kept.append(moment)
    return kept


def _units(vectors: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Vectors (n, features) of length one."""
    values = vectors.astype(np.float64)
    return values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-30)


def _windows(vectors: NDArray[np.float32], length: int) -> NDArray[np.float32]:
    """The directions (n - length + 1, features) of the means of `length` directions that follow one another."""
    count = len(vectors) - length + 1
    found = np.empty((count, vectors.shape[1]), np.float32)
    for first in range(0, count, _BATCH):
        last = min(first + _BATCH, count)
        sums = np.cumsum(_units(vectors[first : last + length - 1]), axis=0)
        sums[length:] -= sums[:-length].copy()
        found[first:last] = _units(sums[length - 1 :])
    return found


def _videos(folder: Path) -> Iterator[tuple[str, NDArray[np.float64], NDArray[np.float32]]]:
    """(path, times, vectors) of every video."""
    for path, rows in groupby(_stretches(folder), key=lambda one: one[0]):
        _, times, vectors = zip(*rows, strict=True)
        yield path, np.concatenate(times), np.concatenate(vectors)


def _stretches(folder: Path) -> Iterator[tuple[str, NDArray[np.float64], NDArray[np.float32]]]:
    """(path, times, vectors) of rows that follow one another and are of one video."""
    with needs_extra("archive"):
        import pyarrow as pa
        import pyarrow.parquet as pq
    try:
        for _, path in parts(folder, EMBEDDINGS):
            with pq.ParquetFile(path, read_dictionary=["path"]) as file:
                for batch in file.iter_batches(_BATCH):
                    names = batch.column("path")
                    codes, values = names.indices.to_numpy(), names.dictionary.to_pylist()
                    times = batch.column("time").to_numpy()
                    vectors = batch.column("vector")
                    matrix = vectors.flatten().to_numpy().reshape(len(codes), vectors.type.list_size)
                    edges = [0, *(np.flatnonzero(np.diff(codes)) + 1).tolist(), len(codes)]
                    for begin, end in pairwise(edges):
                        if end > begin:
                            yield values[codes[begin]], times[begin:end], matrix[begin:end]
    except (pa.ArrowException, OSError) as error:
        raise MovinetError(f"{folder}: its embeddings cannot be read: {error}") from error
