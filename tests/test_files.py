"""Files are written whole or not at all."""

import errno
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from movinet.errors import MovinetError
from movinet.files import write_atomically


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
