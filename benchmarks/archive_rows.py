"""A hundred thousand rows: what the parent of a scan needs, and how soon the same command sees that nothing is left. A
part of `archive.py`."""

import argparse
import json
import os
import resource
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
from archive_commands import A0, load, scan
from file_to_labels import make_weights

from movinet.archive.journal import read_lines_of
from movinet.archive.listing import list_items
from movinet.archive.looking import failed_row, provenance
from movinet.archive.results import open_results
from movinet.archive.scan_run import Scan
from movinet.archive.tasks import Outcome, Task
from movinet.archive.workers import Lost

ROWS, RESUMED = 100_000, 5.0


class Instantly:
    """Workers that have looked at everything already."""

    def __init__(self, classes: int) -> None:
        self._came: list[Outcome | Lost] = []
        self._maxima = [round(value, 4) for value in np.linspace(0, 1, classes).tolist()]

    def room(self, ahead: bool) -> int:
        return 2 + ahead - len(self._came)

    @property
    def busy(self) -> int:
        return len(self._came)

    ready = True

    def give(self, task: Task) -> None:
        row = {**failed_row(task.item), **provenance("fake", "0", None, [], 0.01), "maxima": self._maxima}
        self._came.append(Outcome(task.number, "row", row))

    def take(self, seconds: float) -> list[Outcome | Lost]:
        came, self._came = self._came, []
        return came

    def close(self) -> None:
        pass


def memory(args: argparse.Namespace, folder: Path) -> list[tuple[str, bool]]:
    """The parent's over 100,000 rows of files that are there, and the command that is given again."""
    make_weights(folder / A0, os.environ)
    videos, out = folder / "videos", folder / "results"
    for number in range(100):
        (videos / f"{number:02}").mkdir(parents=True)
    paths = [videos / f"{number % 100:02}" / f"{number:06}.mp4" for number in range(ROWS)]
    command = scan(videos, "--out", out, "--model", folder / A0, "--json")
    subprocess.run(command, check=True, capture_output=True)
    for path in paths:
        path.write_bytes(b"x")
    settings = next(read_lines_of(out / "journal")).value
    items = list_items([str(videos)], print)
    resident: list[tuple[int, float]] = []

    def tell(progress: Any, row: Any) -> None:
        if row is not None and progress.done % 10_000 == 0:
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            resident.append((progress.done, pages * os.sysconf("SC_PAGE_SIZE") / 2**20))

    begin = time.perf_counter()
    with open_results(out, settings) as results:
        Scan(results, items, results.read(), False, "fake", "0").run(Instantly(args.classes), tell, threading.Event())
    took = time.perf_counter() - begin
    size = (out / "journal").stat().st_size / 2**20
    print(
        f"{ROWS:,} rows of {args.classes} classes in {took:.0f} s, a journal of {size:.0f} MiB; MiB resident: "
        + ", ".join(f"{n:,}: {mib:.0f}" for n, mib in resident)
    )
    resumed = []
    for _ in range(args.rounds):
        begin, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        clock, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
        assert json.loads(said.splitlines()[-1])["before"] == ROWS, said[-1000:]
        spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        resumed.append(clock)
        print(
            f"the same command over {ROWS:,} rows that are done: {clock:.2f} s by the clock, {spent:.2f} s of the "
            f"processor, at most {after.ru_maxrss / 2**10:.0f} MiB; {load()}"
        )
    early, late = resident[1][1], resident[-1][1]
    return [
        (f"memory from row 20,000 to {ROWS:,}: {late - early:+.0f} MiB", late <= early * 1.05 + 5),
        (f"resumed within {min(resumed):.2f} s", min(resumed) < RESUMED),
    ]
