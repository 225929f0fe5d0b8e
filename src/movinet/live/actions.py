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

logger = logging.getLogger(__name__)

_QUEUED = 100  # reports an action may have waiting
_TELL_AGAIN = 60.0  # seconds after which a fault that goes on is told again
_KINDS = 100  # of faults that are remembered as told


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

    What comes while too much waits pushes out the oldest, which is counted and told.

    Args:
        action: what to do.
        queued: reports that may wait.
        attempts: with each report, where trying again may help.
        pause: before the second attempt and the longest, seconds; doubling.
    """

    def __init__(
        self,
        action: Action,
        queued: int = _QUEUED,
        attempts: int = 8,
        pause: tuple[float, float] = (0.5, 30.0),
    ) -> None:
        self.action = action
        self._waiting: deque[dict[str, Any]] = deque()
        self._queued, self._attempts, self._pause = queued, attempts, pause
        self._changed = threading.Condition()
        self._closing, self._given_up = threading.Event(), threading.Event()
        self._done = self._failed = self._dropped = self._busy = 0
        self._told: dict[str, float] = {}  # when a kind of fault was told last
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
                self._warn("dropped", f"more events than it keeps up with; {self._dropped} left out so far")
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
        if left_over:
            logger.warning("%s: %d of the last events were not told in time", self.action.name, left_over)

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
                    self._warn(f"{failed} {last}", f"{failed}{', given up' if last else '; trying again'}")
                if last:
                    return
            except Exception as error:  # a fault of ours: the next report may fare better
                with self._changed:
                    self._failed += 1
                    self._warn(repr(type(error)), f"{type(error).__name__}: {error}")
                return
            else:
                with self._changed:
                    self._done += 1
                    self._told.clear()
                return
            if self._closing.wait(pause) and self._given_up.wait(
                min(pause, 0.5)
            ):  # once all is ending, pauses are short
                return
            pause = min(2 * pause, self._pause[1])

    def _warn(self, kind: str, words: str) -> None:
        """Tell of a fault, but not every second. The lock is held."""
        now = time.monotonic()
        if now - self._told.get(kind, -_TELL_AGAIN) >= _TELL_AGAIN:
            if len(self._told) >= _KINDS:  # every fault with a number of its own
                self._told.clear()
            self._told[kind] = now
            logger.warning("%s: %s", self.action.name, words)


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
