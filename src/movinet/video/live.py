"""Cameras, network streams and files played in real time: always the newest frame, never a queue."""

import logging
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, Self

import av.device
import av.error

from movinet.errors import VideoError
from movinet.video.changes import Change, SourceFigures
from movinet.video.container import Source, Video, is_address
from movinet.video.decode import read_frames
from movinet.video.frame import Frame
from movinet.video.pacer import LivePacer
from movinet.video.sources import DEFAULT_LIMITS, Limits, without_password

Transport = Literal["tcp", "udp", "http"]
"""How an RTSP server sends its pictures: within the connection, beside it, or through http."""

logger = logging.getLogger(__name__)

_STREAM_OPTIONS = {"rtsp_transport": "tcp", "fflags": "nobuffer", "flags": "low_delay"}
_CLOSE_WITHIN = 1.0  # seconds
_CUT_OFF = 1.0  # seconds short of its duration at which a file on a server counts as not yet ended


class LiveSource:
    """The newest frames of a source while it plays, at most `fps` a second; a context manager and an iterator.

        with LiveSource("rtsp://camera/stream", fps=5) as source:
            for frame in source:
                ...

    A thread decodes and keeps just the newest frame that was due. A consumer that is too slow misses frames (`dropped`)
    but never lags, and memory stays flat. Where a camera is slower than `fps`, frames come at its rate.

    Sources: a camera's number (`"0"`) or device file; an address; a file or image folder, played at its own pace. An
    address that tells a duration is a file on a server and played likewise. Iteration ends with the file; a camera or
    stream that is lost is opened again, with growing pauses. Times are seconds since the first frame, by a clock that
    never steps back, or the file's own.

    Args:
        source: What to play.
        pacer: Chooses the frames that are wanted, or how many a second are.
        loop: Begin again at the end of a file. Time goes on.
        timeout: Seconds an address may take to open, or stay silent, before it counts as lost.
        retries: Failed attempts in a row after which a lost source is given up; None never gives up.
        pause: First and longest pause before opening again, seconds.
        max_lag: Seconds that a camera or stream may lag before pictures are left out to catch up.
        transport: How an RTSP server is asked to send.
        limits: What the source may make this process do.
        hardware: What decodes: False for the processor; the name of a kind of hardware (`cuda`, `vaapi`, …), or "auto"
            or True for whichever there is. Where that fails, the processor does, and a warning is logged.
        on_change: Called with every change of the source's state, within `with` and `next`, by their thread.

    Raises:
        VideoError: On entering, where the source cannot be opened; while iterating, where it was lost for good.
    """

    def __init__(
        self,
        source: Source | int,
        pacer: LivePacer | float,
        *,
        loop: bool = False,
        timeout: float = 10.0,
        retries: int | None = None,
        pause: tuple[float, float] = (0.5, 10.0),
        max_lag: float = 1.0,
        transport: Transport = "tcp",
        limits: Limits = DEFAULT_LIMITS,
        hardware: bool | str = False,
        on_change: Callable[[Change], None] | None = None,
    ) -> None:
        fps = pacer if isinstance(pacer, float | int) else pacer.fps
        if not 0 < fps < float("inf"):
            raise ValueError(f"fps must be positive, not {fps}")
        if not timeout > 0:
            raise ValueError(f"timeout must be positive, not {timeout}")
        self.source = str(source) if isinstance(source, int) else source
        self.fps = fps
        self.loop = loop
        self.timeout = timeout
        self.retries = retries
        self.pause = pause
        self.max_lag = max_lag
        self.transport = transport
        self.hardware = hardware
        self.on_change = on_change
        self.limits = limits
        self.reconnects = 0
        """Times the source was lost and found again."""
        self._latest = Latest()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="movinet-live", daemon=True)
        self._seen = False  # a frame, ever
        self._failures = 0  # in a row
        self._pauses = back_off(*pause)

    @property
    def dropped(self) -> int:
        """Frames that were due and that the consumer missed."""
        return self._latest.dropped

    def figures(self) -> SourceFigures:
        """What has come of the source so far."""
        return SourceFigures(dropped=self.dropped, reconnects=self.reconnects)

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            # Opening and reading keep to `timeout` each; looking a name up knows no limit but this one.
            if not self._latest.wait(2 * self.timeout + 1 if self._is_remote else None):
                raise VideoError(f"{without_password(self.source)}: no frame within {2 * self.timeout + 1} s")
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Frame]:
        return self

    def __next__(self) -> Frame:
        if self._thread.ident is None:
            raise RuntimeError("a LiveSource plays inside `with LiveSource(...) as source:`")
        frame = None if self._closed.is_set() else self._latest.take()
        if frame is None:
            raise StopIteration
        return frame

    def close(self) -> None:
        """Stop within a second. A thread held up by a silent network ends by itself after `timeout`."""
        self._closed.set()
        self._latest.end()
        if self._thread.ident is not None:
            self._thread.join(_CLOSE_WITHIN)

    @property
    def _is_remote(self) -> bool:
        return is_address(self.source)

    def _run(self) -> None:
        try:
            if camera_number(self.source) is not None:
                self._follow(self._open())
            elif not self._is_remote:
                self._play(False, None)
            else:
                video = self._open()
                duration, finite = video.duration, video.finite
                if duration is None and not finite:
                    self._follow(video)
                else:
                    video.close()
                    self._play(True, None if finite else duration)
            self._latest.end()
        except VideoError as error:
            self._latest.end(error)
        except Exception as error:  # never leave the consumer waiting for a thread that has died
            self._latest.end(VideoError(f"{without_password(self.source)}: {type(error).__name__}: {error}"))

    def _open(self) -> Video:
        number = camera_number(self.source)
        if number is not None:
            return open_camera(number, self.timeout)
        return Video(self.source, self.timeout, live=True, options=_STREAM_OPTIONS, limits=self.limits)

    def _follow(self, video: Video | None) -> None:
        """A camera or stream, as it comes."""
        began: float | None = None
        pacer = LivePacer(self.fps)
        while not self._closed.is_set():
            why = "the stream ended"
            try:
                with video or self._open() as playing:
                    video = None
                    to_rgb = playing.to_rgb()
                    for _, _, frame in playing:
                        if self._closed.is_set():
                            return
                        self._found()
                        now = time.monotonic()
                        began = now if began is None else began
                        if pacer.is_due(now):
                            self._latest.put(Frame.of_decoded(frame, now - began, to_rgb))
            except VideoError as error:
                why = str(error)
            self._lost(why)

    def _play(self, remote: bool, duration: float | None) -> None:
        """A file at its own pace; one on a server is resumed where it was cut.

        Args:
            remote: Whether it is on a server.
            duration: In seconds, where the server does not tell whether it sent all there is; else None.
        """
        began, rounds, position = time.monotonic(), 0.0, 0.0  # rounds: seconds that earlier ones lasted
        period = 1 / self.fps
        while not self._closed.is_set():
            lost, before = None, position
            try:
                # The last frame comes once more, so that an end can be told from a loss.
                start = max(0.0, position - period)
                for frame in read_frames(self.source, self.fps, start, timeout=self.timeout, limits=self.limits):
                    if frame.time < position - period / 2:
                        continue
                    self._found()
                    if self._closed.wait(max(0.0, began + rounds + frame.time - time.monotonic())):
                        return
                    self._latest.put(frame.at(rounds + frame.time))
                    position = frame.time + period
            except VideoError as error:
                if not remote:
                    raise
                lost = str(error)
            # Containers may outlast their pictures: where nothing more has come for having asked anew, this is the end.
            if lost is None and duration is not None and before < position < duration - _CUT_OFF:
                lost = "the connection was cut"
            if lost is not None:
                self._lost(lost)
            elif self.loop:
                rounds, position = rounds + position, 0.0
            else:
                self._closed.wait(max(0.0, began + rounds + position - time.monotonic()))  # the last frame's turn
                return

    def _found(self) -> None:
        """A frame has come."""
        if self._failures:
            logger.warning("%s: found again", without_password(self.source))
            self.reconnects += 1
            self._failures, self._pauses = 0, back_off(*self.pause)
        self._seen = True

    def _lost(self, why: str) -> None:
        """Pause before the next attempt; VideoError where there should be none."""
        name = without_password(self.source)
        reason = why.removeprefix(f"{name}: ")
        if not self._seen:
            raise VideoError(f"{name}: {reason}, before any frame came")
        if self._failures == self.retries:
            raise VideoError(f"{name}: lost, and not found again in {self.retries} attempts: {reason}")
        if self._failures == 0:
            logger.warning("%s: lost (%s), trying again", name, reason)
        self._failures += 1
        self._closed.wait(next(self._pauses))


class Latest:
    """A place for one frame: whoever comes next takes the newest, and what nobody took in time is counted."""

    def __init__(self) -> None:
        self.dropped = 0
        self._frame: Frame | None = None
        self._ended = False
        self._error: VideoError | None = None
        self._changed = threading.Condition()

    def put(self, frame: Frame) -> None:
        """Replace what is there."""
        with self._changed:
            self.dropped += self._frame is not None
            self._frame = frame
            self._changed.notify_all()

    def end(self, error: VideoError | None = None) -> None:
        """No more frames, because of an error or not. The first call counts."""
        with self._changed:
            if not self._ended:
                self._ended, self._error = True, error
            self._changed.notify_all()

    def take(self) -> Frame | None:
        """Wait for a frame; None once there are no more. Raises the error that ended them, after the last frame."""
        with self._changed:
            self.wait()
            frame, self._frame = self._frame, None
            return frame

    def wait(self, limit: float | None = None) -> bool:
        """Wait for a frame or the end and leave it there; False where neither came within `limit` seconds."""
        until = float("inf") if limit is None else time.monotonic() + limit
        with self._changed:
            while self._frame is None and not self._ended:
                if time.monotonic() >= until:
                    return False
                self._changed.wait(0.5)  # in slices, so that Ctrl-C gets through on every system
            if self._frame is None and self._error is not None:
                raise self._error
            return True


def back_off(first: float = 0.5, most: float = 10.0) -> Iterator[float]:
    """Seconds to wait before each attempt: doubling up to `most`, each shortened at random by up to half so that many
    clients do not return at once."""
    delay = first
    while True:
        yield delay * random.uniform(0.5, 1.0)
        delay = min(most, 2 * delay)


def camera_number(source: Source) -> int | None:
    """0 for `0` and for `/dev/video0`; None for what is not a camera."""
    number = str(source).removeprefix("/dev/video")
    return int(number) if number.isascii() and number.isdigit() else None


def open_camera(number: int, timeout: float | None = None) -> Video:
    """Open a camera by its number, through the system's own capture interface."""
    if sys.platform == "darwin":
        return Video(str(number), timeout, live=True, device="avfoundation", options={"framerate": "30"})
    if sys.platform == "win32":
        cameras = [d.name for d in av.device.enumerate_input_devices("dshow") if "video" in d.media_types]
        if number >= len(cameras):
            raise VideoError(f"camera {number}: there are {len(cameras)} cameras")
        return Video(f"video={cameras[number]}", timeout, live=True, device="dshow")
    device = Path(f"/dev/video{number}")
    if not device.exists():
        found = ", ".join(sorted(str(path) for path in Path("/dev").glob("video*"))) or "none"
        raise VideoError(f"camera {number}: no {device}; cameras found: {found}")
    return Video(device, timeout, live=True, device="v4l2")
