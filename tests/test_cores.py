"""Cores are counted as they may be used: by affinity, and by the limits of control groups of both versions."""

import os
from pathlib import Path

import pytest

from movinet.cores import usable_cores


@pytest.fixture
def eight(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({}, 8),
        ({"sys/fs/cgroup/cpu.max": "max 100000\n"}, 8),
        ({"sys/fs/cgroup/cpu.max": "250000 100000\n"}, 3),  # of three, one is ours half of the time
        ({"sys/fs/cgroup/cpu.max": "1000 100000\n"}, 1),
        ({"sys/fs/cgroup/cpu.max": "1600000 100000\n"}, 8),
        ({"sys/fs/cgroup/cpu.max": "rubbish"}, 8),
        ({"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/cpu.max": "200000 100000\n"}, 2),  # of a group around
        ({"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/cpu.max": "400000 100000\n"}, 4),
        ({"proc/self/cgroup": "0::/../x\n", "sys/fs/x/cpu.max": "100000 100000\n"}, 8),
        ({"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n"}, 8),
        ({"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "200000\n", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n"}, 2),
    ],
)
@pytest.mark.usefixtures("eight")
def test_no_more_than_may_be_used(tmp_path: Path, files: dict[str, str], cores: int) -> None:
    assert usable_cores(write(tmp_path, files)) == cores


def test_where_there_is_no_affinity_all_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    for there, cores in ((64, 64), (None, 1)):
        monkeypatch.setattr(os, "cpu_count", lambda there=there: there)
        assert usable_cores(tmp_path) == cores


def test_nothing_counts_cores_by_itself() -> None:
    house = Path(__file__).parents[1]
    files = [path for room in ("src", "benchmarks", "scripts") for path in (house / room).rglob("*.py")]
    by_themselves = [path for path in files if "cpu_count" in path.read_text(encoding="utf-8")]
    assert by_themselves == [house / "src/movinet/cores.py"]
