"""Processes of this machine that look at videos, each on a core of its own; those that die or hang are replaced."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any, Protocol

from movinet.archive.lanes import STOPPED, Lanes, Machinery
from movinet.archive.tasks import Outcome, Task
from movinet.errors import MovinetError

_BEATS = 1.0  # seconds between signs of life
_START_WITHIN = 300.0  # seconds
_TRIES = 2  # before a video is marked that a worker died of; a machine short of memory kills innocents


@dataclass(frozen=True)
class Lost:
    """A task that no worker finished, and why."""

    task: Task
    why: str


class Workers(Protocol):
    """What does tasks, wherever: processes of this machine, or of many."""

    def room(self, ahead: bool) -> int:
        """How many more tasks would be begun at once, or, `ahead`, were better there already when others end."""

    @property
    def busy(self) -> int:
        """Tasks that were given and not taken."""

    @property
    def ready(self) -> bool:
        """Whether any has begun."""

    def give(self, task: Task) -> None:
        """Hand over a task."""

    def take(self, seconds: float) -> list[Outcome | Lost]:
        """What has come, waiting at most so long for it.

        Raises:
            MovinetError: no worker can be had.
        """

    def close(self) -> None:
        """End all; what they work at is given up."""


@dataclass(eq=False)
class _Worker:
    process: Any  # of a context of multiprocessing
    pipe: Connection
    since: float
    lanes: int
    ready: bool = False
    silent: tuple[int, float] | None = None  # as it last said: the task that hangs, if any, and since when
    tasks: list[Task] = field(default_factory=list)  # in the order in which they are begun


class Processes:
    """See `Workers`.

    Args:
        machinery: what every process runs; of several devices one each.
        timeout: seconds without a frame after which a worker is taken to hang.
    """

    def __init__(self, machinery: Sequence[Machinery], timeout: float) -> None:
        self._context = multiprocessing.get_context("spawn")
        self._timeout, self._machinery = timeout, list(machinery)
        self._tries: dict[int, int] = {}
        self._again: list[Task] = []  # of workers that died
        self._deaths = 0  # of workers that never were ready, in a row
        self._looked = time.monotonic()
        self._workers = [self._begin(one) for one in self._machinery]

    def room(self, ahead: bool) -> int:
        return sum(worker.lanes + ahead - len(worker.tasks) for worker in self._workers) - len(self._again)

    @property
    def busy(self) -> int:
        return sum(len(worker.tasks) for worker in self._workers) + len(self._again)

    @property
    def ready(self) -> bool:
        return any(worker.ready for worker in self._workers)

    def give(self, task: Task) -> None:
        """To who has least to do."""
        worker = min(self._workers, key=lambda one: (len(one.tasks) - one.lanes, not one.ready))
        try:
            worker.pipe.send(task)
        except OSError:
            self._again.append(task)  # it has died, which `take` finds
            return
        if not worker.tasks:
            worker.silent = task.number, time.monotonic()
        worker.tasks.append(task)

    def take(self, seconds: float) -> list[Outcome | Lost]:
        found: list[Outcome | Lost] = []
        pipes = {worker.pipe: worker for worker in self._workers}
        for pipe in wait(list(pipes), seconds):
            assert isinstance(pipe, Connection)
            worker = pipes[pipe]
            try:
                while pipe.poll():
                    found += self._heard(worker, pipe.recv())
            except (EOFError, OSError):
                found += self._replace(worker, self._how_it_ended(worker), worker.tasks[: worker.lanes])
            except Exception as error:  # what came was cut off
                found += self._replace(worker, f"the worker broke down ({error})", worker.tasks[: worker.lanes])
        now = time.monotonic()
        if (paused := now - self._looked - seconds) > STOPPED:
            self._forgive(paused)
        self._looked = now
        for worker in list(self._workers):
            if worker.ready and worker.silent is not None and now - worker.silent[1] > self._timeout:
                hung = [task for task in worker.tasks if task.number == worker.silent[0]]
                found += self._replace(worker, f"no frame for {self._timeout:g} s", hung, hangs=True)
            elif not worker.ready and now - worker.since > _START_WITHIN:
                raise MovinetError(f"a worker did not begin within {_START_WITHIN:g} s")
        again, self._again = self._again, []
        for task in again:
            self.give(task)
        return found

    def close(self) -> None:
        for worker in self._workers:
            with suppress(OSError):
                worker.pipe.close()
        until = time.monotonic() + 1.0
        for worker in self._workers:
            worker.process.join(max(0.0, until - time.monotonic()))
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join(10.0)

    def _forgive(self, seconds: float) -> None:
        """Nobody looked for so long, and perhaps nobody ran."""
        for worker in self._workers:
            worker.since += seconds
            if worker.silent is not None:
                worker.silent = worker.silent[0], worker.silent[1] + seconds

    def _begin(self, machinery: Machinery) -> _Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=run_worker, args=(theirs, machinery), daemon=True)
        process.start()
        theirs.close()
        return _Worker(process, ours, time.monotonic(), machinery.lanes)

    def _heard(self, worker: _Worker, message: Any) -> list[Outcome | Lost]:
        if isinstance(message, Outcome):
            worker.tasks = [task for task in worker.tasks if task.number != message.number]
            worker.silent = (worker.tasks[0].number, time.monotonic()) if worker.tasks else None
            self._tries.pop(message.number, None)
            return [message]
        if isinstance(message, MovinetError):
            raise message
        if message == "ready":
            worker.ready, self._deaths = True, 0
            if worker.silent is not None:
                worker.silent = worker.silent[0], time.monotonic()
        else:
            number, seconds = message
            worker.silent = number, time.monotonic() - seconds
        return []

    def _how_it_ended(self, worker: _Worker) -> str:
        worker.process.join(10.0)
        code = worker.process.exitcode
        if code is None:
            return "the worker closed its pipe"
        if code < 0:
            with suppress(ValueError):
                return f"the worker was killed ({signal.Signals(-code).name})"
        return f"the worker ended ({code})"

    def _replace(self, worker: _Worker, why: str, suspects: list[Task], hangs: bool = False) -> list[Outcome | Lost]:
        """Another worker takes its place; what it had begun is tried once more, unless it hangs."""
        if worker not in self._workers:
            return []
        worker.process.kill()
        worker.process.join(10.0)
        worker.pipe.close()
        if not worker.ready:
            self._deaths += 1
            if self._deaths >= 2 * len(self._machinery):
                raise MovinetError(f"workers end before they begin: {why}")
        place = self._workers.index(worker)
        lost: list[Outcome | Lost] = []
        for task in worker.tasks:
            if task in suspects:
                self._tries[task.number] = self._tries.get(task.number, 0) + 1
            if (hangs and task in suspects) or self._tries.get(task.number, 0) >= _TRIES:
                lost.append(Lost(task, why))
                self._tries.pop(task.number, None)
            else:
                self._again.append(task)
        self._workers[place] = self._begin(self._machinery[place])
        return lost


def run_worker(pipe: Connection, machinery: Machinery) -> None:
    """The process: tasks come in, outcomes and signs of life go out; it ends with the pipe, or with its parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent's business
    _end_with_parent()
    lock = threading.Lock()

    def tell(message: Any) -> None:
        with lock, suppress(OSError):
            pipe.send(message)

    try:
        lanes = Lanes(machinery, tell)
    except MovinetError as error:
        tell(error)
        return
    with lanes:
        tell("ready")

        def beat() -> None:
            while True:
                time.sleep(_BEATS)
                if (slowest := lanes.slowest()) is not None:
                    tell(slowest)

        threading.Thread(target=beat, daemon=True).start()
        while True:
            try:
                task = pipe.recv()
            except (EOFError, OSError):
                lanes.clear()
                os._exit(0)  # whatever its threads are at
            lanes.give(task)


def _end_with_parent() -> None:
    """A process whose parent was killed works for nobody."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
