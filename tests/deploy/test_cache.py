"""Lowered files are kept: the same one is loaded again, a damaged one is made anew, and nobody else's goes."""

import hashlib
import os
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
from tiny import tiny_spec

from movinet.deploy import cache
from movinet.deploy.cache import cached_file
from movinet.runtime.factory import create_engine
from movinet.runtime.litert_engine import lowered
from movinet.weights.weights import Weights

WEIGHTS = Weights.untrained(tiny_spec())


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MOVINET_CACHE", str(tmp_path))
    return tmp_path / cache.FOLDER


def test_a_file_is_made_once_for_each_way(folder: Path) -> None:
    made: list[bytes] = []

    def make() -> bytes:
        made.append(b"file")
        return b"file"

    one = cached_file(WEIGHTS, ".tflite", make, {"streams": 1})
    assert one == cached_file(WEIGHTS, ".tflite", make, {"streams": 1})
    assert isinstance(one, Path)
    assert one.read_bytes() == b"file" + hashlib.sha256(b"file").digest()
    assert len(made) == 1
    cached_file(WEIGHTS, ".tflite", make, {"streams": 2})
    cached_file(WEIGHTS.with_options(decay=0.5), ".tflite", make, {"streams": 1})
    cached_file(Weights.untrained(tiny_spec(), seed=1), ".tflite", make, {"streams": 1})
    assert len(made) == len(list(folder.iterdir())) == 4


def test_without_a_place_to_write_the_bytes_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("MOVINET_CACHE", str(tmp_path / "file"))
    assert cached_file(WEIGHTS, ".tflite", lambda: b"file", {}) == b"file"


def test_those_unused_for_longest_go_first_and_strangers_stay(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "MAX_BYTES", 90)
    folder.mkdir(parents=True)
    (folder / "mine.tflite").write_bytes(bytes(100))
    paths = []
    for n in range(4):
        path = cached_file(WEIGHTS, ".tflite", lambda: bytes(10), {"streams": n})
        assert isinstance(path, Path)
        os.utime(path, (n, n))
        paths.append(path)
    assert [path.exists() for path in paths] == [False, False, True, True]
    assert (folder / "mine.tflite").exists()


def test_a_damaged_file_is_made_anew(folder: Path) -> None:
    pytest.importorskip("ai_edge_litert")
    path = lowered(WEIGHTS).model
    assert isinstance(path, Path)
    whole = path.read_bytes()
    images = np.ones((1, 24, 32, 3), np.float32)
    expected = None
    for damage in (whole, whole[: len(whole) // 2], b"", b"nothing of the kind" * 100):
        path.write_bytes(damage)
        engine = create_engine(WEIGHTS, "litert", threads=1)
        logits = engine.step(images, engine.init_state())
        assert logits is not None
        expected = logits if expected is None else expected
        np.testing.assert_array_equal(logits, expected)
        assert path.read_bytes() == whole


def test_what_a_killed_process_left_goes_and_what_one_writes_stays(folder: Path) -> None:
    folder.mkdir(parents=True)
    left, new = (folder / f".{'0' * 64}.{pid}.1.part.tflite" for pid in (1, 2))
    left.touch()
    new.touch()
    os.utime(left, (1, 1))
    cached_file(WEIGHTS, ".tflite", lambda: b"file", {})
    assert not left.exists()
    assert new.exists()


@pytest.mark.parametrize("name", ["a\udcff", "~nobody at all"])
def test_a_folder_that_no_runtime_opens_keeps_nothing(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOVINET_CACHE", name if name[0] == "~" else str(tmp_path / name))
    assert cached_file(WEIGHTS, ".tflite", lambda: b"file", {}) == b"file"


def test_a_file_that_somebody_else_removes_is_made_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ai_edge_litert")
    from movinet.runtime import litert_engine

    def cached_and_gone(*about: Any) -> Path | bytes:
        path = cached_file(*about)
        assert isinstance(path, Path)
        path.unlink()
        return path

    monkeypatch.setattr(litert_engine, "cached_file", cached_and_gone)
    assert create_engine(WEIGHTS, "litert", threads=1).kind == "litert"


def test_threads_that_begin_at_once_share_what_is_made(folder: Path) -> None:
    pytest.importorskip("ai_edge_litert")
    engines: list[object] = []
    threads = [Thread(target=lambda: engines.append(create_engine(WEIGHTS, "litert", threads=1))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(engines) == 4
    assert len(list(folder.iterdir())) == 1
