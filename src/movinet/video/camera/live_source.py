"""Cameras, network streams and files played in real time: always the newest frame, never a queue."""

import logging
import time
from collections.abc import Callable, Iterator
from threading import Condition
from typing import Self

from movinet.errors import BadSource, LoginRefused, VideoError
from movinet.video.camera.apart import ProcessReader
from movinet.video.camera.changes import Change, Kind, SourceFigures
from movinet.video.camera.following import Known, Transport, Wanted
from movinet.video.camera.kept_packets import KeptPackets
from movinet.video.camera.latest import Latest
from movinet.video.camera.line import LocalLine
from movinet.video.camera.reader import ThreadReader
from movinet.video.camera.reconnect import Attempts
from movinet.video.frame import Frame
from movinet.video.locations import Source
from movinet.video.net.sources import DEFAULT_LIMITS, Limits, without_password
from movinet.video.pacer import LivePacer
from movinet.words import counted

logger = logging.getLogger(__name__)

_CLOSE_WITHIN = 1.0  # seconds
_GRACE = 0.3  # seconds beyond the time-out in which a reader may say by itself what is wrong
_ABANDONED = 2  # threads of a source that hang; from then on it has a process of its own
_SLICE = 0.5  # seconds of waiting at a time, so that Ctrl-C gets through on every system


class LiveSource:
    """The newest frames of a source while it plays, those that a pacer wants; a context manager and an iterator.

        with LiveSource("rtsp://camera/stream", 5) as source:
            for frame in source:
                ...

    Whoever iterates supervises a thread that reads, and leaves it behind where it hangs. A consumer that is too slow
    misses frames (`dropped`) but never lags, and memory stays flat. Where a camera is slower than the pacer, frames
    come at its rate.

    Sources: a camera's number (`"0"`) or device file; an address; a file or image folder, played at its own pace. An
    address that tells a duration is a file on a server and played likewise; one that gives a single picture is asked
    for it again and again. Iteration ends with the file; a camera or stream that is lost, or is not there at the start,
    is tried again, with growing pauses. Times are seconds since the first frame, by the stream's stamps where it has
    such, else by a clock that never steps back.

    Args:
        source: What to play.
        pacer: Chooses the frames that are wanted, or how many a second are.
        loop: Begin again at the end of a file. Time goes on.
        timeout: Seconds an address may take to open, or without a picture, before it counts as lost. Sound does not
            count.
        retries: Failed attempts in a row after which a source is given up, those at the start among them; None never
            gives up.
        pause: First and longest pause before trying again, seconds. Where a user and password were refused, half a
            minute: cameras lock out who tries too often.
        max_lag: Seconds that a camera or stream may lag before pictures are left out to catch up.
        transport: How an RTSP server is asked to send.
        limits: What the source may make this process do.
        hardware: What decodes: False for the processor; the name of a kind of hardware (`cuda`, `vaapi`, …), or "auto"
            or True for whichever there is. Where that fails, the processor does, and a warning is logged.
        packets: What the source sends is kept here, to be recorded; not what is read by a process of its own, and not
            single pictures.
        on_change: Called with every change of the source's state, within `with` and `next`, by their thread; where it
            is None, changes are logged as warnings.

    Raises:
        VideoError: On entering, where the source cannot be opened and shall not be tried again; while iterating, where
            it was given up.
    """

    def __init__(
        self,
        source: Source | int,
        pacer: LivePacer | float,
        *,
        loop: bool = False,
        timeout: float = 10.0,
        retries: int | None = None,
        pause: tuple[float, float] = (0.5, 2.0),
        max_lag: float = 1.0,
        transport: Transport = "tcp",
        limits: Limits = DEFAULT_LIMITS,
        hardware: bool | str = False,
        packets: KeptPackets | None = None,
        on_change: Callable[[Change], None] | None = None,
    ) -> None:
        fps = pacer if isinstance(pacer, float | int) else pacer.fps
        if not 0 < fps < float("inf"):
            raise ValueError(f"fps must be positive, not {fps}")
        for name, seconds in (("timeout", timeout), ("max_lag", max_lag)):
            if not seconds > 0:
                raise ValueError(f"{name} must be positive, not {seconds}")
        if transport not in ("tcp", "udp", "http"):
            raise ValueError(f"transport must be tcp, udp or http, not {transport!r}")
        self.source = str(source) if isinstance(source, int) else source
        self.name = without_password(self.source)
        self.pacer = LivePacer(pacer) if isinstance(pacer, float | int) else pacer
        self._usual_gap = self.pacer.max_gap
        self.on_change = on_change
        self.reconnects = 0
        """Times the source was lost and found again."""
        self._wanted = Wanted(self.source, loop, timeout, max_lag, transport, limits, hardware)
        self._attempts = Attempts(retries, pause)
        self._changed = Condition()
        self._latest = Latest(self._changed)
        self._packets = packets
        self._known = Known()
        self._reader: ThreadReader | ProcessReader | None = None
        self._hanging: list[ThreadReader | ProcessReader] = []
        self._apart = False  # whether it has a process of its own
        self._closed = False
        self._error: VideoError | None = None  # why it was given up
        self._frames = self._late = self._damaged = 0  # of earlier connections, but for frames
        self._began = self._again = time.monotonic()  # when it was first tried; when it is tried again
        self._picture: float | None = None  # when the last frame was handed out
        self._lost: float | None = None  # since when there is nothing to be recognized, where that was told
        self._why = ""  # it was lost
        self._unfit = False  # whether its pictures are too damaged
        self._counts = False  # whether it was a loss, rather than damage
        self._entered = False
        self._time: float | None = None  # of the last frame

    @property
    def dropped(self) -> int:
        """Frames that were due and that the consumer missed."""
        return self._latest.dropped

    def figures(self) -> SourceFigures:
        """What has come of the source so far."""
        line = None if self._reader is None else self._reader.line
        late, damaged = (0, 0) if line is None else (line.late, line.damaged)
        lag = 0.0 if line is None or line.over else line.lag
        return SourceFigures(
            self._frames, self._late + late, self._damaged + damaged, self.dropped, self.reconnects, lag
        )

    def __enter__(self) -> Self:
        self._entered = True
        self._began = self._again = time.monotonic()
        self._start()
        try:
            # A camera that is off is tried again while somebody iterates.
            while not self._latest.waits and self._reader is not None and not self._closed:
                self._supervise()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
        if self._reader is not None:
            self._reader.join(_CLOSE_WITHIN)

    def __iter__(self) -> Iterator[Frame]:
        return self

    def __next__(self) -> Frame:
        if not self._entered:
            raise RuntimeError("a LiveSource plays inside `with LiveSource(...) as source:`")
        while not self._closed:
            if self._reader is not None:
                self._pass_on(self._reader.line, time.monotonic())
            frame = self._latest.take()
            if frame is not None:
                self._found(frame)
                return frame
            self._supervise()
        if self._error is not None:
            raise self._error
        raise StopIteration

    def close(self) -> None:
        """Stop at once, from any thread. What reads is left to end by itself; leaving `with` waits a second for that
        at most."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._latest.clear()
        if self._reader is not None:
            self._reader.leave()

    def _start(self) -> None:
        """Have somebody read."""
        self._hanging = [reader for reader in self._hanging if reader.is_alive]
        self._apart = self._apart or len(self._hanging) >= _ABANDONED
        make = ProcessReader if self._apart else ThreadReader
        self._reader = make(self._wanted, LocalLine(self._latest, self.pacer, self._packets), self.pacer, self._known)

    def _supervise(self) -> None:
        """Wait until something happens, but not for long, and see to the reader.

        Raises:
            VideoError: The source is given up.
        """
        reader, now = self._reader, time.monotonic()
        if reader is None:
            if now >= self._again:
                self._start()
            else:
                self._wait(self._again - now, lambda: False)
            return
        line = reader.line
        self._pass_on(line, now)
        limit = float("inf") if self._wanted.is_local else line.heard + self._wanted.timeout + _GRACE
        if line.over and not self._latest.waits:
            if line.error is None:
                self._closed = True
            else:
                self._drop(line.error)
        elif now >= limit and not line.over:
            reader.leave()
            self._hanging.append(reader)
            self._drop(VideoError(f"{self.name}: no picture within {self._wanted.timeout:g} s"))
        else:
            self._wait(limit - now, lambda: bool(self._latest.waits or line.over or line.news))

    def _wait(self, seconds: float, until: Callable[[], bool]) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or until(), min(seconds, _SLICE))

    def _pass_on(self, line: LocalLine, now: float) -> None:
        """Tell what the reader has to tell."""
        while line.news:
            state, why, seconds = line.news.popleft()
            if state == "unfit":
                self._unfit = True
                if self._lost is None:
                    self._tell_lost(why, now)
            elif state == "fit":
                self._unfit = False  # the next frame says that it is found
            else:
                self._tell(state, why, seconds)

    def _drop(self, error: VideoError) -> None:
        """The connection is lost, or none came about.

        Raises:
            VideoError: It is given up.
        """
        assert self._reader is not None
        line, self._reader = self._reader.line, None
        self._unfit = False
        self.pacer.max_gap = self._usual_gap
        self._late, self._damaged = self._late + line.late, self._damaged + line.damaged
        local = self._wanted.is_local
        refused = isinstance(error, LoginRefused)
        first = self._attempts.failed == 0
        pause = None if local or isinstance(error, BadSource) else self._attempts.lost(refused)
        now = time.monotonic()
        why = str(error).removeprefix(f"{self.name}: ")
        if not local:
            if self._lost is None or (refused and why != self._why):
                self._tell_lost(why, now)
            self._counts = True
        if pause is None:
            self._give_up(error, why, first)
        else:
            self._again = now + pause

    def _give_up(self, error: VideoError, why: str, first: bool) -> None:
        self._closed = True
        if not first and not isinstance(error, BadSource):
            again = "lost, and not found again" if self._picture is not None else "not found"
            error = type(error)(f"{self.name}: {again} in {counted(self._attempts.retries or 0, 'attempt')}: {why}")
        self._error = error
        raise error

    def _found(self, frame: Frame) -> None:
        """A frame is handed out."""
        now = time.monotonic()
        self._frames += 1
        if not self._wanted.is_local:
            if self._counts and self._picture is not None:
                self.reconnects += 1
            if self._lost is not None and not self._unfit:
                since, self._lost = self._lost, None
                self._tell("found", "pictures come", now - since, frame.time)
            self._counts = False
            self._attempts.found(now)
        self._picture, self._time = now, frame.time

    def _tell_lost(self, why: str, now: float) -> None:
        since = self._began if self._picture is None else self._picture
        if self._lost is None:
            self._lost = since
        self._why = why
        self._tell("lost", why, now - since)

    def _tell(self, kind: Kind, why: str, seconds: float, moment: float | None = None) -> None:
        if self.on_change is None:
            logger.warning("%s: %s (%s)", self.name, kind.replace("_", " "), why)
        else:
            moment = self._time if moment is None else moment
            self.on_change(Change(kind, time.time(), moment, why, seconds))
