"""A scan: tasks go to workers, what comes of them into the journal, until every video has its row."""

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from movinet.archive.items import Item
from movinet.archive.looking import failed_row, provenance
from movinet.archive.pieces import Piece
from movinet.archive.results import Done, Results
from movinet.archive.spool import NoRoom
from movinet.archive.tasks import Outcome, Task
from movinet.archive.workers import Lost, Workers
from movinet.words import counted, lasting

_LOOKS_UP = 0.5  # seconds between looks at the clock where nothing comes
_MANY = (
    4  # tasks a worker that are left where workers get the next one ahead of time: at the end they share what is left
)


@dataclass
class Progress:
    """How far a scan is; times by the clock that never goes back."""

    total: int
    before: int  # videos that were done already
    failed_before: int  # and that had failed, which is all that is left to do about them
    total_bytes: int  # of those to do
    began: float = field(default_factory=time.monotonic)
    ended: float | None = None
    done: int = 0
    failed: int = 0
    bytes: int = 0
    video_seconds: float = 0.0
    core_seconds: float = 0.0
    start: float | None = None  # seconds that it took until the first worker was there; rates count from then

    @property
    def seconds(self) -> float:
        """Since the first worker was there, until the end."""
        until = time.monotonic() if self.ended is None else self.ended
        return max(until - self.began - (self.start or 0.0), 1e-9)

    @property
    def left(self) -> float | None:
        """Seconds that the rest may take, by its bytes; None where nothing is known."""
        share = self.bytes / self.total_bytes if self.total_bytes else (self.done + self.failed) / max(self.total, 1)
        return self.seconds * (1 - share) / share if share > 0 else None

    def to_dict(self) -> dict[str, Any]:
        """For programs."""
        return {
            "total": self.total,
            "before": self.before,
            "failed_before": self.failed_before,
            "done": self.done,
            "failed": self.failed,
            "start_seconds": None if self.start is None else round(self.start, 3),
            "seconds": round(self.seconds, 3),
            "files_per_second": round((self.done + self.failed) / self.seconds, 3),
            "video_hours_per_hour": round(self.video_seconds / self.seconds, 2),
            "left": None if self.left is None else round(self.left, 1),
        }


Tell = Callable[[Progress, dict[str, Any] | None], None]
"""Is called with every row, and at times without one."""


@dataclass
class _Cut:
    """A file in pieces."""

    item: Item
    pieces: tuple[Piece, ...]
    done: dict[int, dict[str, Any]]


class Scan:
    """A run over some videos.

    Args:
        results: where it all goes.
        items: the videos.
        done: what `results` says is done.
        retry_failed: look again at those that failed.
        model, hash: for the rows of videos that no worker lived to tell of.
    """

    def __init__(
        self, results: Results, items: Iterable[Item], done: Done, retry_failed: bool, model: str, hash: str
    ) -> None:
        self._results, self._model, self._hash = results, model, hash
        items = list(items)
        todo, before, failed = list[Item](), 0, 0
        for item in items:
            match done.failed(item):
                case False:
                    before += 1
                case True if not retry_failed:
                    failed += 1
                case _:
                    todo.append(item)
        for item in todo:
            if item.key in done.fingerprints:
                results.expect_again(item.key)
        self._known = {key: known for key, known in done.pieces.items() if known[1]}
        # The longest first, so that at the end all workers end together. A file's bytes are known without opening it.
        todo.sort(key=lambda item: item.size)
        self._pending, self._tasks, self._number = todo, deque[Task](), 0
        self._cuts: dict[str, _Cut] = {}
        self._given: dict[int, Task] = {}
        self.progress = Progress(len(items), before, failed, sum(max(item.size, 0) for item in todo))

    @property
    def left(self) -> int:
        """Videos that are still to do."""
        return len(self._pending) + len(self._tasks) + len(self._given)

    def run(self, workers: Workers, tell: Tell, stop: threading.Event) -> bool:
        """Look at all that is left. The workers are the caller's to close.

        Args:
            workers: what looks at videos.
            tell: see `Tell`.
            stop: when it is set, the scan ends at once; videos that are being looked at are begun anew next time.

        Returns:
            Whether everything was looked at.

        Raises:
            MovinetError: it cannot go on: the disk is full, or no worker can be had. What is done is done.
        """
        self.progress.began = time.monotonic()
        while self.left and not stop.is_set():
            while self._pending or self._tasks:
                ahead = len(self._pending) + len(self._tasks) > _MANY * max(workers.busy, 1)
                if workers.room(ahead) <= 0:
                    break
                task = self._next()
                self._given[task.number] = task
                workers.give(task)
            self._results.keep_up()  # which waits for the disk, so only once the workers have their next tasks
            came = workers.take(_LOOKS_UP)
            if self.progress.start is None and workers.ready:
                self.progress.start = time.monotonic() - self.progress.began
            for outcome in came:
                self._settle(outcome, tell)
            tell(self.progress, None)
        is_complete = not self.left
        if is_complete:
            self._results.finish()
        else:
            self._results.flush()
        self.progress.ended = time.monotonic()
        return is_complete

    def _next(self) -> Task:
        if self._tasks:
            return self._tasks.popleft()
        return self._task(self._pending.pop())

    def _task(self, item: Item, piece: Piece | None = None, done: tuple[dict[str, Any], ...] | None = None) -> Task:
        self._number += 1
        return Task(self._number, item, piece, done)

    def _settle(self, outcome: Outcome | Lost, tell: Tell) -> None:
        if isinstance(outcome, Lost):
            task = self._given.pop(outcome.task.number, None)
            if task is not None:
                self._lost(task, outcome.why, tell)
            return
        task = self._given.pop(outcome.number, None)
        if task is None:
            return  # of a worker that was given up, and told after all
        match outcome.kind:
            case "row":
                self._row(task.item, outcome.row, outcome.files, tell)
            case "cut":
                fingerprint, done = self._known.pop(task.item.key, ("", {}))
                known = done if fingerprint == task.item.fingerprint else {}
                known = {number: value for number, value in known.items() if value["of"] == len(outcome.pieces)}
                self._cuts[task.item.key] = _Cut(task.item, outcome.pieces, known)
                new = [self._task(task.item, piece) for piece in outcome.pieces if piece.number not in known]
                self._tasks.extend(new)
                self._join(task.item)
            case "piece":
                self._piece(task, outcome.row, outcome.files)
            case "stop":
                raise NoRoom(f"{outcome.error}; the same command goes on")

    def _lost(self, task: Task, why: str, tell: Tell) -> None:
        error = f"{task.item.path}: {why}"
        if task.piece is not None:
            row = {"duration": 0.0, "damaged": 0.0, "frames": 0, "warnings": [], "error": error, "seconds": 0.0}
            self._piece(task, row, {})
        else:
            row = {**failed_row(task.item), **provenance(self._model, self._hash, error, [], 0.0)}
            self._row(task.item, row, {}, tell)

    def _piece(self, task: Task, row: dict[str, Any], files: dict[str, list[dict[str, Any]]]) -> None:
        assert task.piece is not None
        cut = self._cuts[task.item.key]
        told = {"number": task.piece.number, "of": len(cut.pieces), "row": row, "files": files}
        self._results.add_piece(task.item, told)
        cut.done[task.piece.number] = told
        self._join(task.item)

    def _join(self, item: Item) -> None:
        cut = self._cuts[item.key]
        if len(cut.done) == len(cut.pieces):
            parts = tuple(cut.done[piece.number] for piece in cut.pieces)
            self._tasks.appendleft(self._task(item, done=parts))

    def _row(self, item: Item, row: dict[str, Any], files: dict[str, list[dict[str, Any]]], tell: Tell) -> None:
        self._results.add_row(item, row, files)
        progress = self.progress
        if row["error"]:
            progress.failed += 1
        else:
            progress.done += 1
        progress.bytes += max(item.size, 0)
        progress.video_seconds += row["duration"] or 0.0
        progress.core_seconds += row["seconds"]
        if (cut := self._cuts.pop(item.key, None)) is not None:
            kept = {one["name"] for some in files.values() for one in some}
            names = [one["name"] for part in cut.done.values() for some in part["files"].values() for one in some]
            for name in names:
                if name not in kept:
                    with suppress(OSError):
                        os.unlink(self._results.spool / name)
        tell(progress, row)


def summary(progress: Progress, problems: int) -> str:
    """A line for a person."""
    words = [f"{counted(progress.done, 'video')} done"]
    if progress.before:
        words.append(f"{progress.before} done before")
    if progress.failed_before:
        words.append(f"{progress.failed_before} failed before (--retry-failed tries them again)")
    if progress.failed:
        words.append(f"{progress.failed} failed")
    if problems:
        words.append(f"{counted(problems, 'place')} not listed")
    if not progress.video_seconds:
        return ", ".join(words)
    times = progress.video_seconds / progress.seconds
    return (
        f"{', '.join(words)}; {lasting(progress.video_seconds)} of video in {lasting(progress.seconds)} "
        f"({times:.0f} times as fast as it plays)"
    )
