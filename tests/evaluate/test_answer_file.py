"""A file of answers: what is in it, whatever became of it."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from movinet.errors import MovinetError
from movinet.evaluate.answer_file import AnswerFile, Record


def record(n: int) -> Record:
    rng = np.random.default_rng(n)
    hits = rng.random((2, 20)).astype(np.float32) if n % 2 else None
    by_share = None if n % 2 else rng.random((20, 4)).astype(np.float32)
    return Record(rng.random(4).astype(np.float32), n + 1, n / 3, n % 3 == 0, 0.1 * n, 0.2, hits, 0.5, by_share)


def same(one: Record, other: Record) -> bool:
    pairs = [(getattr(one, name), getattr(other, name)) for name in Record.__dataclass_fields__]
    return all(np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b for a, b in pairs)


def written(path: Path, count: int) -> bytes:
    file = AnswerFile(path, "key", {"model": "m"}, 4)
    for n in range(count):
        file.add(n, record(n))
    file.close()
    return path.read_bytes()


def test_what_is_written_is_read(tmp_path: Path) -> None:
    whole = written(tmp_path / "a.jsonl", 5)
    again = AnswerFile(tmp_path / "a.jsonl", "key", {}, 4)
    assert sorted(again.records) == list(range(5))
    assert all(same(again.records[n], record(n)) for n in range(5))
    again.add(2, record(9))  # is there already
    again.close()
    assert (tmp_path / "a.jsonl").read_bytes() == whole


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.floats(0.0, 1.0), flipped=st.none() | st.floats(0.0, 1.0))
def test_a_file_that_was_cut_or_damaged_is_gone_on_with(tmp_path: Path, cut: float, flipped: float | None) -> None:
    path = tmp_path / "a.jsonl"
    path.unlink(missing_ok=True)
    whole = written(path, 4)
    head = whole.index(b"\n") + 1
    data = bytearray(whole[: head + round(cut * (len(whole) - head))])
    if flipped is not None and len(data) > head:
        data[head + round(flipped * (len(data) - head - 1))] ^= 0xFF
    path.write_bytes(data)
    file = AnswerFile(path, "key", {}, 4)
    assert all(same(file.records[n], record(n)) for n in file.records if flipped is None)
    for n in range(4):
        file.add(n, record(n))
    file.close()
    assert path.read_bytes().startswith(bytes(data)), "only ever added to"
    last = AnswerFile(path, "key", {}, 4)
    last.close()
    assert sorted(last.records) == list(range(4))


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    for text in ("my thesis\n", "[]\n", '{"format": 1}\n', "\n", "{"):
        path.write_text(text)
        with pytest.raises(MovinetError, match="no file of answers of ours"):
            AnswerFile(path, "key", {}, 4)
        assert path.read_text() == text
    path.unlink()
    written(path, 1)
    with pytest.raises(MovinetError, match=r"another run \(model m\)"):
        AnswerFile(path, "other", {}, 4)
    with pytest.raises(MovinetError, match="cannot be written"):
        AnswerFile(tmp_path / "nowhere" / "a.jsonl", "key", {}, 4)
