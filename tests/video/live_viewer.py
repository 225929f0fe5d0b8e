"""Somebody who watches a live source and writes down what happens when."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

from camera_rig.filming import counter

from movinet.errors import VideoError
from movinet.video.camera.changes import Change
from movinet.video.camera.live_source import LiveSource

FPS = 25  # of what cameras show
TIMEOUT = 1.5
TOLD = TIMEOUT + 0.5  # seconds from the last picture
PAUSE = (0.05, 0.2)
BUSY = 0.6  # seconds a busy machine may take over what takes none
QUICK = {"timeout": 0.5, "retries": 3, "pause": (0.01, 0.05)}


class Viewer:
    """Iterates over a source in a thread and writes down what happens when."""

    def __init__(self, source: Any, fps: Any = 10, **options: Any) -> None:
        self.seen: list[tuple[float, float, int | None]] = []  # when, its time, its number
        self.changes: list[tuple[float, Change]] = []
        self.error: VideoError | None = None
        self.reconnects = 0  # before it counted
        settings = {"timeout": TIMEOUT, "pause": PAUSE, **options}
        self.source = LiveSource(source, fps, on_change=self._changed, **settings)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _changed(self, change: Change) -> None:
        self.changes.append((time.monotonic(), change))

    def _run(self) -> None:
        try:
            with self.source:
                for frame in self.source:
                    self.seen.append((time.monotonic(), frame.time, counter(frame.rgb)))
        except VideoError as error:
            self.error = error

    def wait(self, condition: Callable[[], object], within: float = 10.0) -> float:
        """When a condition holds; fails where it does not."""
        until = time.monotonic() + within
        while not condition():
            assert time.monotonic() < until, (self.changes, self.seen[-3:], self.error)
            time.sleep(0.005)
        return time.monotonic()

    def sees(self, more: int = 5, within: float = 10.0) -> float:
        """When so many more frames have come."""
        count = len(self.seen) + more
        return self.wait(lambda: len(self.seen) >= count, within)

    def settle(self) -> None:
        """Frames come; what became of the source until then, on a busy machine, does not count."""
        self.sees()
        self.changes.clear()
        self.reconnects = self.source.reconnects

    def told(self, kind: str, count: int = 1, within: float = 10.0) -> tuple[float, Change]:
        """The change of a kind, the first or a later one."""
        self.wait(lambda: sum(change.kind == kind for _, change in self.changes) >= count, within)
        return [(at, change) for at, change in self.changes if change.kind == kind][count - 1]

    def kinds(self) -> list[str]:
        return [change.kind for _, change in self.changes]

    def close(self) -> None:
        self.source.close()
        self._thread.join(3)
        assert not self._thread.is_alive()


@contextmanager
def viewing(source: Any, **options: Any) -> Iterator[Viewer]:
    viewer = Viewer(source, **options)
    try:
        yield viewer
    finally:
        viewer.close()


def go_on(viewer: Viewer) -> None:
    """Times go up, and never by less than the frames' own."""
    times = [moment for _, moment, _ in viewer.seen]
    assert all(before < after for before, after in pairwise(times))


def at_once(check: Callable[..., None], *cases: Any) -> None:
    """The same for several cases, which mostly wait."""
    with ThreadPoolExecutor(len(cases)) as pool:
        for done in [pool.submit(check, case) for case in cases]:
            done.result()
