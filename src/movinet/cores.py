"""How many cores of the processor this process may use, and PyTorch in it."""

import math
import os
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath


def usable_cores(root: Path = Path("/")) -> int:
    """At least 1: those the process may run on, and no more than its container or service is given time on.

    A machine has often more of them (`os.cpu_count`): batch schedulers and containers hand out a part of it, and
    threads that share a core wait for one another.

    Args:
        root: Of the file system, where Linux tells of the limits of control groups, of both versions.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([cores, *(math.ceil(limit) for limit in _limits(root))]))


def limit_torch(threads: int) -> None:
    """Let PyTorch compute with so many threads, where it has been loaded to compute with."""
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(threads)


def _limits(root: Path) -> Iterator[float]:
    """Cores' worth of time that the process's control group and those around it are given."""
    mounted = root / "sys/fs/cgroup"
    for group in _groups(root):
        try:
            quota, period = (mounted / group / "cpu.max").read_text(encoding="ascii").split()
            yield int(quota) / int(period)  # `max`, for no limit, is no number
        except (OSError, ValueError, ZeroDivisionError):
            pass
    try:
        quota, period = (
            (mounted / f"cpu/cpu.cfs_{what}_us").read_text(encoding="ascii") for what in ("quota", "period")
        )
        if int(quota) > 0:
            yield int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        pass


def _groups(root: Path) -> Iterator[PurePosixPath]:
    """Version 2: the process's own group, as a relative path, and all around it; a container sees its own as the
    root."""
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        lines = []
    own = [line.removeprefix("0::/") for line in lines if line.startswith("0::/") and ".." not in line]
    group = PurePosixPath(own[0] if own else "")
    yield group
    yield from group.parents
