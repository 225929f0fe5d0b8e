"""A worker: a network in use, and threads that look at videos with it, each at one at a time.

On a processor's core one thread and an engine of its own; on a GPU as many as fill its batches, in one pool. While a
thread works on a video, the next one is brought near: from an object store to this disk, or from the disk to memory.
"""

import os
import queue
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from movinet.archive.items import Item
from movinet.archive.looking import Looker
from movinet.archive.stores import fetch, is_fetched
from movinet.archive.tasks import Outcome, Task, Wishes
from movinet.cores import limit_torch
from movinet.errors import MovinetError
from movinet.recognizer import Recognizer
from movinet.runtime.engine import Mode, live_memory
from movinet.runtime.factory import EngineKind
from movinet.runtime.pool import StreamPool

_READ_AHEAD = 8 << 20  # bytes of a file on a disk
STOPPED = 5.0
"""Seconds beyond those it wanted after which who watches the others was stopped itself, as by Ctrl-Z."""


@dataclass(frozen=True)
class Machinery:
    """What a worker runs, and how.

    Args:
        model: a name, file or folder, as `movinet.runtime.open_network` takes them; found anew by every worker.
        hash: of its weights, as the scan began with them.
        labels: a file with one label a line.
        engine, precision, device: as of `Recognizer`.
        lanes: videos that are looked at at once: more than one share the batches of a pool.
        wishes: what is wanted of every video.
        spool: the folder for what is not part of a row.
        run: names this run in it.
        scratch: a folder in which videos of object stores lie while they are looked at; the system's by default.
    """

    model: str
    hash: str
    labels: str | None
    engine: EngineKind
    precision: Mode
    device: str
    lanes: int
    wishes: Wishes
    spool: str
    run: str
    offline: bool = False
    scratch: str | None = None


Told = Callable[[Outcome], None]


class Lanes:
    """The threads of one worker; a context manager.

    Args:
        machinery: what runs.
        told: is called with every outcome, by any of the threads.

    Raises:
        MovinetError: the network cannot be run, or is another than the scan began with.
    """

    def __init__(self, machinery: Machinery, told: Told) -> None:
        answers = machinery.wishes.answers
        self._told, self._tasks = told, queue.SimpleQueue[Task | None]()
        self._moments: dict[int, float] = {}  # when each running task last showed that it lives, by its thread
        self._running: dict[int, int] = {}
        self._asked = time.monotonic()
        self._scratch, self._scratch_in = "", machinery.scratch
        self._fetcher = ThreadPoolExecutor(max_workers=machinery.lanes)
        self._near: dict[int, Future[Path]] = {}
        self._pool: StreamPool | None = None
        lookers = []
        if machinery.lanes == 1:
            recognizer = Recognizer.load(
                machinery.model,
                labels=machinery.labels,
                offline=machinery.offline,
                engine=machinery.engine,
                precision=machinery.precision,
                threads=1,
                device=machinery.device,
                max_gap=answers.max_gap,
            )
            recognizer.memory = live_memory(recognizer.engine, recognizer.info, answers.memory or 0.0)
            network, ports = recognizer.network, recognizer.engine.signature.state
            sessions = [recognizer.session()]
        else:
            pool = self._pool = StreamPool.load(
                machinery.model,
                max_streams=machinery.lanes,
                batch=machinery.lanes,
                queue=2,
                labels=machinery.labels,
                offline=machinery.offline,
                engine=machinery.engine,
                precision=machinery.precision,
                threads=1,
                device=machinery.device,
            )
            network, ports = pool.network, pool.engine.signature.state
            memory = live_memory(pool.engine, pool.info, answers.memory or 0.0)
            sessions = [pool.join(memory=memory, max_gap=answers.max_gap) for _ in range(machinery.lanes)]
        if network.hash != machinery.hash:
            if self._pool is not None:
                self._pool.close()
            raise MovinetError(f"{machinery.model}: has other weights here than where the scan was begun")
        limit_torch(1)
        lookers = [
            Looker(network, session, ports, machinery.wishes, Path(machinery.spool), machinery.run)
            for session in sessions
        ]
        self._threads = [threading.Thread(target=self._work, args=(looker,), daemon=True) for looker in lookers]
        for thread in self._threads:
            thread.start()

    def give(self, task: Task) -> None:
        """Hand over a task; it is brought near while it waits."""
        if task.done is None:
            if is_fetched(task.item.path):
                self._scratch = self._scratch or tempfile.mkdtemp(prefix="movinet-scan-", dir=self._scratch_in)
                self._near[task.number] = self._fetcher.submit(self._fetched, task)
            else:
                _read_ahead(task.item)
        self._tasks.put(task)

    def slowest(self) -> tuple[int, float] | None:
        """The task that has shown no sign of life for longest, and for how many seconds; to be asked once a second:
        where that was not done the process did not run, and neither did the tasks."""
        now = time.monotonic()
        if now - self._asked > 1.0 + STOPPED:
            self._moments.update(dict.fromkeys(list(self._moments), now))
        self._asked = now
        moments = dict(self._moments)
        if not moments:
            return None
        thread = min(moments, key=lambda one: moments[one])
        return self._running.get(thread, -1), now - moments[thread]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for _ in self._threads:
            self._tasks.put(None)
        for thread in self._threads:
            thread.join(1.0)
        self._fetcher.shutdown(wait=False, cancel_futures=True)
        if self._pool is not None:
            self._pool.close()
        self.clear()

    def clear(self) -> None:
        """Remove what was brought here."""
        if self._scratch:
            shutil.rmtree(self._scratch, ignore_errors=True)

    def _work(self, looker: Looker) -> None:
        me = threading.get_ident()

        def alive() -> None:
            self._moments[me] = time.monotonic()

        while (task := self._tasks.get()) is not None:
            self._running[me] = task.number
            alive()
            local: Path | None = None
            try:
                if (coming := self._near.pop(task.number, None)) is not None:
                    while not coming.done():  # which shows by itself that it lives, or ends
                        alive()
                        with suppress(TimeoutError):
                            coming.exception(1.0)
                    local = coming.result()
                outcome = looker.look(task, local, alive)
            except Exception as error:  # of fetching
                outcome = looker.failed(task, str(error))
            finally:
                if local is not None:
                    with suppress(OSError):
                        local.unlink()
            del self._moments[me]
            self._told(outcome)

    def _fetched(self, task: Task) -> Path:
        suffix = os.path.splitext(task.item.path)[1][:12]
        path = Path(self._scratch, f"{task.number}{suffix if suffix.isascii() else ''}")
        try:
            fetch(task.item, path, lambda: None)
        except BaseException:
            with suppress(OSError):
                path.unlink()
            raise
        return path


def _read_ahead(item: Item) -> None:
    """Have the system read the beginning of a file while others are decoded."""
    if not hasattr(os, "posix_fadvise") or "://" in item.path:
        return
    with suppress(OSError, ValueError):
        file = os.open(item.path, os.O_RDONLY | os.O_NONBLOCK)  # of a pipe nobody is waited for
        try:
            os.posix_fadvise(file, 0, _READ_AHEAD, os.POSIX_FADV_WILLNEED)
        finally:
            os.close(file)
