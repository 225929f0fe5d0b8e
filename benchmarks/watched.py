"""`movinet watch … --json` in a process of its own, as a user would run it: what it says and when, and what it costs.

Part of benchmarks/cameras.py.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self


@dataclass(frozen=True)
class Line:
    """One line it wrote.

    Args:
        at: When, by `time.monotonic`.
        what: Of stdout the object; of stderr {"type": "stderr", "text": …}.
    """

    at: float
    what: dict[str, Any]

    @property
    def kind(self) -> str:
        """prediction, begun, ended, lost, found, lagging, caught_up, over, …"""
        return self.what["type"]

    @property
    def source(self) -> str:
        return self.what.get("source", "")


@dataclass(frozen=True)
class Count:
    """One picture the network saw, told apart by the counter burnt into it."""

    number: int
    came: float
    answered: float
    time: float
    spent: float  # processor seconds that reading the counter took


@dataclass(frozen=True)
class Usage:
    """What a process had used at a moment."""

    at: float
    processor: float
    mb: float
    machine: float  # processor seconds of everything on it since it started


class Watch:
    """A running `movinet watch`; a context manager that ends it.

    Args:
        arguments: What follows `movinet watch`; `--json` is added.
        counts: Where pictures are counted (see counted_watch.py); None: the plain command.
        count_every: Of how many pictures one is.
        environment: More of it.
        folder: Where it runs.
    """

    def __init__(
        self,
        *arguments: str,
        counts: Path | None = None,
        count_every: int = 1,
        environment: dict[str, str] | None = None,
        folder: Path | None = None,
    ) -> None:
        start = ["-m", "movinet"] if counts is None else [str(Path(__file__).with_name("counted_watch.py"))]
        self.lines: list[Line] = []
        self.counts_file = counts
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, *start, "watch", *arguments, "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=folder,
            env={**os.environ, "COUNTS": str(counts), "COUNT_EVERY": str(count_every), **(environment or {})},
        )
        self._changed = threading.Condition()
        self._readers = [threading.Thread(target=self._read, args=(to,), daemon=True) for to in (True, False)]
        for reader in self._readers:
            reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.end()

    def _read(self, from_stdout: bool) -> None:
        stream = self.process.stdout if from_stdout else self.process.stderr
        assert stream is not None
        for text in stream:
            at = time.monotonic()
            try:
                what = json.loads(text) if from_stdout else {"type": "stderr", "text": text.rstrip()}
            except ValueError:
                what = {"type": "stdout", "text": text.rstrip()}
            with self._changed:
                self.lines.append(Line(at, what))
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    def wait(self, wanted: Callable[[Line], bool], seconds: float, since: float = 0.0) -> Line | None:
        """The first line of a kind that came after `since`; None where none did within some seconds."""
        until, seen = time.monotonic() + seconds, 0
        with self._changed:
            while True:
                for line in self.lines[seen:]:
                    if line.at > since and wanted(line):
                        return line
                seen = len(self.lines)
                left = until - time.monotonic()
                if left <= 0 or (self.process.poll() is not None and not any(r.is_alive() for r in self._readers)):
                    return None
                self._changed.wait(min(left, 0.5))

    def of(self, kind: str, source: str | None = None, since: float = 0.0, until: float = float("inf")) -> list[Line]:
        """Lines of a kind, and of a source, that came between two moments."""
        lines = list(self.lines)
        return [x for x in lines if x.kind == kind and source in (None, x.source) and since <= x.at < until]

    def usage(self) -> Usage:
        """Of its process, at this moment (Linux)."""
        folder = Path(f"/proc/{self.process.pid}")
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
        ticks, pages = int(fields[11]) + int(fields[12]), int((folder / "statm").read_text().split()[1])
        second, mb = os.sysconf("SC_CLK_TCK"), pages * os.sysconf("SC_PAGE_SIZE") / 1e6
        everything = [int(part) for part in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
        machine = sum(everything) - everything[3] - everything[4]  # idle, and waiting for a disk
        return Usage(time.monotonic(), ticks / second, mb, machine / second)

    def counts(self) -> list[Count]:
        """The pictures so far."""
        assert self.counts_file is not None
        if not self.counts_file.exists():
            return []
        rows = [line.split() for line in self.counts_file.read_text().splitlines()]
        return [Count(int(row[0]), *map(float, row[1:])) for row in rows if len(row) == 5]

    def end(self, within: float = 20.0) -> tuple[int, float]:
        """Ctrl-C: its exit code, and the seconds it took to end; -9 where it did not."""
        asked = time.monotonic()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            code = self.process.wait(within)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        for reader in self._readers:
            reader.join(2)
        return code, time.monotonic() - asked


def quantile(values: list[float], share: float) -> float:
    """NaN of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")
