"""Search by example against a plain loop over all moments."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from movinet.archive import nearest as search
from movinet.archive.nearest import Moment, nearest
from movinet.errors import MovinetError

FEATURES = 3


def tables(folder: Path, videos: list[int], parts: int, seed: int) -> dict[str, np.ndarray]:
    """Vectors of videos of so many seconds, as a scan keeps them, in parts that may cut a video."""
    random = np.random.default_rng(seed)
    made = {f"{n}.mp4": random.normal(size=(seconds, FEATURES)).astype(np.float32) for n, seconds in enumerate(videos)}
    rows = [(name, float(t), list(vector)) for name, vectors in made.items() for t, vector in enumerate(vectors)]
    (folder / "embeddings").mkdir(parents=True)
    edges = np.linspace(0, len(rows), parts + 1).astype(int)
    for number, (begin, end) in enumerate(pairwise(edges)):
        path, times, vectors = zip(*rows[begin:end], strict=True) if end > begin else ((), (), ())
        kind = pa.list_(pa.float32(), FEATURES)
        table = pa.table({"path": pa.array(path, pa.string()), "time": times, "vector": pa.array(vectors, kind)})
        pq.write_table(table, folder / "embeddings" / f"part-{number:05}.parquet")
    return made


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(1, 12), min_size=1, max_size=5),
    st.integers(1, 5),
    st.integers(1, 3),
    st.sampled_from([2, 5, 1000]),
    st.integers(0, 2**31),
)
def test_moments_are_those_of_a_plain_loop(
    tmp_path_factory: pytest.TempPathFactory, videos: list[int], length: int, parts: int, batch: int, seed: int
) -> None:
    folder = tmp_path_factory.mktemp("found")
    made = tables(folder, videos, parts, seed)
    query = np.random.default_rng(seed + 1).normal(size=(length, FEATURES)).astype(np.float32)

    def direction(vectors: np.ndarray) -> np.ndarray:
        mean = np.mean([vector / np.linalg.norm(vector) for vector in vectors.astype(float)], axis=0)
        return mean / np.linalg.norm(mean)

    moments = [
        (float(direction(vectors[t : t + length]) @ direction(query)), name, float(t))
        for name, vectors in made.items()
        for t in range(max(1, len(vectors) - length + 1))
    ]
    wanted: list[tuple[float, str, float]] = []
    for cosine, name, start in sorted(moments, reverse=True):
        if all(name != other or abs(start - at) >= length for _, other, at in wanted):
            wanted.append((cosine, name, start))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "_BATCH", batch)
        found = nearest(folder, query, 4, float(length))
    assert [one.cosine for one in found] == pytest.approx([cosine for cosine, *_ in wanted[:4]], abs=1e-5)
    assert len({(one.path, one.start) for one in found}) == len(found)


def test_a_part_of_a_video_is_found_where_it_was_taken(tmp_path: Path) -> None:
    made = tables(tmp_path, [40, 7, 40], 2, 0)
    (best, *_) = nearest(tmp_path, made["2.mp4"][11:15], 3, 4.0)
    assert best == Moment("2.mp4", 11.0, pytest.approx(1.0, abs=1e-5))


def test_vectors_of_another_network(tmp_path: Path) -> None:
    tables(tmp_path, [3], 1, 0)
    with pytest.raises(MovinetError, match="has vectors of 3 features, not of 5"):
        nearest(tmp_path, np.ones((1, 5), np.float32), 1, 1.0)
