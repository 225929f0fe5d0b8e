"""What is done with events: commands that are run and addresses that are posted to. Nothing here holds up watching."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

from movinet.live.json_lines import as_json
from movinet.live.report import Report, Seen
from movinet.words import counted

logger = logging.getLogger(__name__)

_QUEUED = 100  # reports an action may have waiting
_WELL_AFTER = 60.0  # seconds without a fault after which an action works again


class Failed(Exception):
    """An action came to nothing; its text says why. `again` tells whether to try once more later."""

    def __init__(self, why: str, again: bool = False) -> None:
        super().__init__(why)
        self.again = again


class Action(Protocol):
    """One thing to do with reports."""

    @property
    def name(self) -> str:
        """As it may be shown."""

    @property
    def at_once(self) -> int:
        """How many may be under way; of one, reports come in their order."""

    def wants(self, report: Report) -> bool:
        """Whether anything is done with this one."""

    def do(self, about: dict[str, Any], closing: threading.Event) -> None:
        """Do it, with a report as JSON; once `closing` is set, quickly. Raises `Failed`."""


@dataclass(frozen=True)
class Done:
    """What an action has come to."""

    done: int
    failed: int
    dropped: int  # pushed out of the queue by newer ones, or left in it at the end


class Worker:
    """Does one action with what it is told, in threads of its own; a context manager.

    What comes while too much waits pushes out the oldest. The first fault is told, then that it works again and how
    many reports were lost meanwhile: faults that come and go are one.

    Args:
        action: what to do.
        queued: reports that may wait.
        attempts: with each report, where trying again may help.
        pause: before the second attempt and the longest, seconds; doubling.
        well_after: seconds without a fault after which it works again.
    """

    def __init__(
        self,
        action: Action,
        queued: int = _QUEUED,
        attempts: int = 8,
        pause: tuple[float, float] = (0.5, 30.0),
        well_after: float = _WELL_AFTER,
    ) -> None:
        self.action = action
        self._waiting: deque[dict[str, Any]] = deque()
        self._queued, self._attempts, self._pause, self._well_after = queued, attempts, pause, well_after
        self._changed = threading.Condition()
        self._closing, self._given_up = threading.Event(), threading.Event()
        self._done = self._failed = self._dropped = self._busy = 0
        self._faulty: float | None = None  # when the last fault was, since one was told
        self._lost = 0  # reports since then
        self._threads = [
            threading.Thread(target=self._work, name="movinet-action", daemon=True) for _ in range(action.at_once)
        ]

    @property
    def done(self) -> Done:
        """So far."""
        with self._changed:
            return Done(self._done, self._failed, self._dropped)

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def tell(self, report: Report) -> None:
        """A report; never waits."""
        if self._closing.is_set() or not self.action.wants(report):
            return
        about = as_json(report)
        with self._changed:
            self._waiting.append(about)
            if len(self._waiting) > self._queued:
                self._waiting.popleft()
                self._dropped += 1
                self._fails("more events than it keeps up with, the oldest are left out", lost=True)
            self._changed.notify()

    def hurry(self) -> None:
        """Take nothing more, and be quick about what waits."""
        self._closing.set()
        with self._changed:
            self._changed.notify_all()

    def close(self, within: float = 5.0) -> None:
        """Do what waits, for at most so many seconds, and say what was left undone."""
        if self._given_up.is_set():
            return
        self.hurry()
        until = time.monotonic() + within
        with self._changed:
            while (self._waiting or self._busy) and (left := until - time.monotonic()) > 0:
                self._changed.wait(min(left, 0.5))  # in slices, so that Ctrl-C gets through on every system
            left_over = len(self._waiting) + self._busy
            self._waiting.clear()
            self._dropped += left_over
            self._given_up.set()
            lost, self._lost = self._lost, 0
        if left_over:
            logger.warning("%s: %d of the last events were not told in time", self.action.name, left_over)
        if lost:
            logger.warning("%s: %s lost", self.action.name, counted(lost, "event was", "events were"))

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._waiting:
                    if self._closing.is_set():
                        return
                    self._changed.wait()
                about = self._waiting.popleft()
                self._busy += 1
            try:
                self._try(about)
            finally:
                with self._changed:
                    self._busy -= 1
                    self._changed.notify_all()

    def _try(self, about: dict[str, Any]) -> None:
        pause = self._pause[0]
        for attempt in range(self._attempts):
            try:
                self.action.do(about, self._closing)
            except Failed as failed:
                last = not failed.again or attempt + 1 == self._attempts
                with self._changed:
                    self._failed += last
                    self._fails(f"{failed}{', given up' if last else '; trying again'}", lost=last)
                if last:
                    return
            except Exception as error:  # a fault of ours: the next report may fare better
                with self._changed:
                    self._failed += 1
                    self._fails(f"{type(error).__name__}: {error}", lost=True)
                return
            else:
                with self._changed:
                    self._done += 1
                    self._works()
                return
            if self._closing.wait(pause) and self._given_up.wait(
                min(pause, 0.5)
            ):  # once all is ending, pauses are short
                return
            pause = min(2 * pause, self._pause[1])

    def _fails(self, words: str, *, lost: bool) -> None:
        """A fault, which is told where it is the first. The lock is held."""
        if self._faulty is None:
            logger.warning("%s: %s", self.action.name, words)
        self._faulty = time.monotonic()
        self._lost += lost

    def _works(self) -> None:
        """It went well, which is told where it has not for a while. The lock is held."""
        if self._faulty is not None and time.monotonic() - self._faulty >= self._well_after:
            missing = counted(self._lost, "event was", "events were") if self._lost else "no event was"
            logger.warning("%s: works again; %s lost", self.action.name, missing)
            self._faulty, self._lost = None, 0


class Actions:
    """Everything to be done with reports, by source; a context manager.

    Args:
        by_source: the actions of each source by its name; one that several share is done by the same threads.
    """

    def __init__(
        self, by_source: Mapping[str, Sequence[Action]], new_worker: Callable[[Action], Worker] = Worker
    ) -> None:
        workers: dict[Action, Worker] = {}
        for actions in by_source.values():
            for action in actions:
                if action not in workers:
                    workers[action] = new_worker(action)
        self._workers = list(workers.values())
        self._by_source = {name: [workers[action] for action in actions] for name, actions in by_source.items()}

    def __enter__(self) -> Self:
        for worker in self._workers:
            worker.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def tell(self, report: Report) -> None:
        """A report; never waits."""
        if not isinstance(report.what, Seen):
            for worker in self._by_source.get(report.source, ()):
                worker.tell(report)

    def close(self, within: float = 5.0) -> None:
        """Do what waits, for at most so many seconds altogether."""
        until = time.monotonic() + within
        for worker in self._workers:
            worker.hurry()
        for worker in self._workers:
            worker.close(max(0.0, until - time.monotonic()))
