"""The journal: whatever happens to its end, what it told before is there."""

import errno
import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from movinet.archive.journal import Journal, read_lines_of
from movinet.errors import MovinetError
from movinet.files import locked

KEY, FINGERPRINT = "a" * 32, "b" * 16


def journal(path: Path, count: int) -> Path:
    with_rows = Journal.create(path, {"model": "x"})
    for number in range(count):
        with_rows.append("row", {"number": number, "odd": "\udcff\n "}, KEY, FINGERPRINT)
    with_rows.close()
    return path


def numbers(path: Path) -> list[int]:
    return [line.value["number"] for line in read_lines_of(path) if line.kind == "row"]


def test_it_tells_what_it_was_told(tmp_path: Path) -> None:
    path = journal(tmp_path / "journal", 3)
    with closing(Journal(path)) as again:
        lines, later = list(again.lines()), [line.value for line in again.lines(list(again.lines())[1].end)]
    assert [line.kind for line in lines] == ["begin", "row", "row", "row"]
    assert lines[1].value == {"number": 0, "odd": "\udcff\n "}
    assert (lines[1].key, lines[1].fingerprint) == (KEY, FINGERPRINT)
    assert lines[-1].end == path.stat().st_size
    assert later == [line.value for line in lines[2:]]


@given(st.integers(0, 400), st.binary(max_size=40))
@settings(max_examples=60)
def test_a_torn_end_costs_what_was_torn(tmp_path_factory: pytest.TempPathFactory, cut: int, rubbish: bytes) -> None:
    path = journal(tmp_path_factory.mktemp("torn") / "journal", 4)
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    torn = whole[: max(first, len(whole) - cut)]
    path.write_bytes(torn + rubbish.replace(b"\n", b""))
    left = torn.count(b"\n") - 1
    again = Journal(path)
    assert again.torn == len(torn) + len(rubbish.replace(b"\n", b"")) - torn.rindex(b"\n") - 1
    assert numbers(path) == list(range(left))
    again.append("row", {"number": 99})
    again.close()
    assert numbers(path) == [*range(left), 99]


def test_a_damaged_line_is_left_out_and_counted(tmp_path: Path) -> None:
    path = journal(tmp_path / "journal", 4)
    data = bytearray(path.read_bytes())
    data[data.index(b'"number":1') + 9] ^= 1
    path.write_bytes(data)
    with closing(Journal(path)) as again:
        assert (again.damaged, again.torn) == (1, 0)
    assert numbers(path) == [0, 2, 3]


@pytest.mark.parametrize("data", [b"", b"hello\n", b"00000000 begin - - {}\n", b"\0" * 100])
def test_what_is_no_journal_is_left_alone(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "journal"
    path.write_bytes(data)
    with pytest.raises(MovinetError, match="no journal"):
        Journal(path)
    with pytest.raises(MovinetError, match="no journal"):
        list(read_lines_of(path))
    assert path.read_bytes() == data


def test_a_full_disk_leaves_whole_lines(tmp_path: Path) -> None:
    path = journal(tmp_path / "journal", 2)
    full = Journal(path)
    real = full._file

    class Full:
        """Has room for ten bytes more."""

        def __getattr__(self, name: str) -> object:
            return getattr(real, name)

        def write(self, data: bytes) -> int:
            if len(data) > 10 and full.end == real.tell():
                return real.write(data[:10])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    full._file = Full()  # type: ignore[assignment]
    with pytest.raises(MovinetError, match="No space left on device; the same command goes on"):
        full.append("row", {"number": 2})
    assert path.read_bytes().endswith(b"\n")
    full._file = real
    full.append("row", {"number": 3})
    full.close()
    assert numbers(path) == [0, 1, 3]


def test_a_lock_keeps_a_second_process_out(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from movinet.files import locked\n"
        "with locked(Path(sys.argv[1]), 'somebody is there'): print('in')"
    )
    command = [sys.executable, "-c", code, str(tmp_path / ".lock")]
    with locked(tmp_path / ".lock", "busy"):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert "somebody is there" in done.stderr
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "in\n"
