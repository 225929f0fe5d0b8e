"""The one loop behind everything that watches: a thread a source, engines that step their frames together."""

import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from movinet.errors import MovinetError
from movinet.events import EventDetector
from movinet.live.report import Begun, Changed, Ended, Figures, Over, Report, Seen, What
from movinet.runtime.motion_gate import MotionRule
from movinet.runtime.pool import StreamPool
from movinet.runtime.session import OnGap, Session
from movinet.video.camera.changes import Change, SourceFigures
from movinet.video.frame import Frame
from movinet.video.pacer import LivePacer

logger = logging.getLogger(__name__)

_WAITING = 4  # reports of a source that may wait to be looked at
_FAILURES = 3  # of the engine in a row, after which a source is given up
_RECENTLY = 4.0  # seconds over which the rate of predictions is told
_MOST = 1000  # predictions of that time that are counted
_GRACE = 0.5  # seconds that a source may take to show the last frame that was asked for
_LEAVE_WITHIN = 2.0  # seconds


class Source(AbstractContextManager["Source"], Protocol):
    """Frames as they come and are due, such as `movinet.video.camera.live_source.LiveSource`."""

    def figures(self) -> SourceFigures: ...

    def close(self) -> None: ...

    def __iter__(self) -> Iterator[Frame]: ...


class Reports(Protocol):
    """Where a follower tells what it has to tell, such as a queue; `queue.Full` where there is no room in time."""

    def put(self, item: Report, block: bool = True, timeout: float | None = None) -> None: ...


OpenSource = Callable[[LivePacer, Callable[[Change], None]], Source]
"""Makes a source, not entered yet, of what chooses its frames and what is told of its state."""


@dataclass(frozen=True)
class Feed:
    """What is watched, and how its stream is recognized.

    Args:
        name: by which reports call it; no two feeds have the same.
        open: makes the source.
        pool: with a place for it.
        detector: turns its answers into events; this feed's alone.
        memory, on_gap, max_gap, motion: see `Session`.
        hands_on: reports hold the frames, for whoever draws.
    """

    name: str
    open: OpenSource
    pool: StreamPool
    detector: EventDetector
    memory: float | None = None
    on_gap: OnGap = "reset"
    max_gap: float = 2.0
    motion: MotionRule | None = None
    hands_on: bool = False


def watch(
    feeds: Sequence[Feed], seconds: float | None = None, stop: threading.Event | None = None
) -> Generator[Report, None, None]:
    """Recognize what live sources show, each at its own pace, until all are over.

    A source that is slow, silent or lost holds up none of the others. Whatever ends a source, its running events are
    told as ended before it is told as over. Closing the iterator closes the sources.

    Args:
        feeds: at least one.
        seconds: of every source to watch: by its own time, and by the clock where it shows nothing; None for all.
        stop: once it is set, all sources are ended; what runs is still told as ended.

    Yields:
        Reports, those of one source in order.

    Raises:
        ValueError: no feeds, or two of one name.
    """
    names = [feed.name for feed in feeds]
    if not names or len(set(names)) < len(names):
        raise ValueError(f"want feeds, each with a name of its own; got {names}")
    reports: queue.Queue[Report] = queue.Queue(_WAITING * len(feeds))
    followers = [Follower(feed, seconds, reports) for feed in feeds]
    left, until = len(followers), None
    try:
        for follower in followers:
            follower.start()
        while left and (until is None or time.monotonic() < until):
            if until is None and stop is not None and stop.is_set():
                until = time.monotonic() + _LEAVE_WITHIN
                for follower in followers:
                    follower.end()
            try:
                report = reports.get(timeout=_next_deadline(followers))
            except queue.Empty:
                for follower in followers:
                    follower.close_if_late()
                continue
            left -= isinstance(report.what, Over)
            yield report
    finally:
        for follower in followers:
            follower.stop()
        leave = time.monotonic() + _LEAVE_WITHIN
        for follower in followers:
            follower.join(max(0.0, leave - time.monotonic()))


def _next_deadline(followers: Sequence["Follower"]) -> float:
    """Seconds to wait for news before looking at the clock; in slices, so that Ctrl-C gets through on every system."""
    return min([0.5, *(max(0.01, f.deadline - time.monotonic()) for f in followers if not f.closing)])


class Follower:
    """One source on its way through the loop, in a thread of its own."""

    def __init__(self, feed: Feed, seconds: float | None, reports: Reports) -> None:
        self.feed, self.seconds = feed, seconds
        self.closing = False
        self._reports = reports
        self._stopped = threading.Event()
        self._began = time.monotonic()
        self._source: Source | None = None
        self._times: deque[float] = deque(maxlen=_MOST)
        self._step_ms, self._still = 0.0, 0
        self._offset: float | None = None  # from a time of the stream to the clock's, at the last frame
        self._walls: dict[str, float | None] = {}  # when the running events began, by the clock
        self._failures = 0
        self._late = False  # it had its seconds, and did not end by itself
        self._thread = threading.Thread(target=self._run, name="movinet-watch", daemon=True)

    @property
    def deadline(self) -> float:
        """When it has had its seconds, by `time.monotonic`."""
        return float("inf") if self.seconds is None else self._began + self.seconds + _GRACE

    def start(self) -> None:
        self._began = time.monotonic()
        self._thread.start()

    def close_if_late(self) -> None:
        """End a source that has had its seconds and does not say so."""
        if time.monotonic() >= self.deadline and not self.closing:
            self._late = True
            self.end()

    def end(self) -> None:
        """End the source, and tell what ends with it."""
        self.closing = True
        if self._source is not None:
            self._source.close()

    def stop(self) -> None:
        """End it; nothing more is told."""
        self._stopped.set()
        self.end()

    def join(self, seconds: float) -> None:
        if self._thread.ident is not None:
            self._thread.join(seconds)

    def _run(self) -> None:
        feed, error = self.feed, None
        try:
            with feed.pool.join(
                memory=feed.memory,
                on_gap=feed.on_gap,
                max_gap=feed.max_gap,
                detector=feed.detector,
                motion=feed.motion,
            ) as session:
                try:
                    self._follow(session)
                except MovinetError as lost:
                    error = lost
                finally:
                    session.finish()
                    self._tell_events(session)
        except MovinetError as refused:
            error = error or refused
        except Exception as fault:  # of one source: the others go on
            error = MovinetError(f"{feed.name}: {type(fault).__name__}: {fault}")
        if error is None and self._late and not self._times:
            error = MovinetError(f"{feed.name}: showed no picture in {self.seconds:g} s")
        self._tell(Over(error))

    def _follow(self, session: Session) -> None:
        def changed(change: Change) -> None:
            if change.kind == "lost":
                session.finish()
                self._tell_events(session)
            self._tell(Changed(change))

        self._source = self.feed.open(session.pacer, changed)
        if self.closing:
            return
        with self._source:
            first = True
            for frame in self._source:
                if first:
                    first, self._began = False, time.monotonic() - frame.time
                if self._stopped.is_set():
                    return
                self._see(session, frame)
                if self.seconds is not None and frame.time >= self.seconds:
                    return

    def _see(self, session: Session, frame: Frame) -> None:
        began = time.perf_counter()
        try:
            prediction = session.see(frame)
        except MovinetError as error:
            self._failures += 1
            if self._failures >= _FAILURES:
                raise
            logger.warning("%s: a frame was not recognized: %s", self.feed.name, error)
            self._tell_events(session)
            return
        assert prediction is not None
        now = time.perf_counter()
        self._failures, self._step_ms, self._still = 0, 1e3 * (now - began), session.still
        self._times.append(now)
        self._offset = time.time() - frame.time
        self._tell_events(session)
        self._tell(Seen(prediction, tuple(session.running), frame if self.feed.hands_on else None))

    def _tell_events(self, session: Session) -> None:
        for event in session.events():
            if event.end is None:
                self._walls[event.id] = None if self._offset is None else self._offset + event.start
                self._tell(Begun(event, self._walls[event.id]))
            else:
                self._tell(Ended(event, self._walls.pop(event.id, None)))

    def _tell(self, what: What) -> None:
        now = time.perf_counter()
        recent = [then for then in self._times if now - then <= _RECENTLY]
        fps = (len(recent) - 1) / (now - recent[0]) if len(recent) > 1 else 0.0
        source = self._source.figures() if self._source is not None else SourceFigures()
        report = Report(self.feed.name, time.time(), what, Figures(source, fps, self._step_ms, self._still))
        while not self._stopped.is_set():
            try:
                return self._reports.put(report, timeout=0.1)
            except queue.Full:
                continue
