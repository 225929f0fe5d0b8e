"""Files are written whole or not at all."""

import errno
import json
import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from movinet.errors import MovinetError
from movinet.files import dump_json, write_atomically, write_json


def test_json_is_strict_and_takes_any_file_name(tmp_path: Path) -> None:
    value = {"score": math.nan, "all": [math.inf, 1.5, {"é": None}], "file": "caf\udce9"}
    write_json(tmp_path / "a.json", value)
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert json.loads(text, parse_constant=pytest.fail) == {
        "score": None,
        "all": [None, 1.5, {"é": None}],
        "file": "caf\udce9",
    }
    assert dump_json({"é": 1}) == '{"é": 1}'


def test_contents_are_replaced(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"one")
    write_atomically(path, b"two")
    assert path.read_bytes() == b"two"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_full_disk_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"one")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(MovinetError, match="No space left"):
        write_atomically(path, b"two")
    assert path.read_bytes() == b"one"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(MovinetError, match="nowhere"):
        write_atomically(tmp_path / "nowhere" / "file", b"")


def test_many_writers_of_one_file_do_not_hinder_each_other(tmp_path: Path) -> None:
    path, contents = tmp_path / "file", [bytes([n]) * 100_000 for n in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda data: write_atomically(path, data), contents * 4))
    assert path.read_bytes() in contents
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
