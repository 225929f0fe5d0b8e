"""Being asked to stop, between two steps instead of in the middle of one."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

_ANSWER = b"\nstopping as soon as this update is done; Ctrl-C again stops at once\n"
_IMPATIENT = 1.0  # seconds; launchers repeat the one Ctrl-C of a terminal to their processes, within less


class Stop:
    """Whether a loop has been asked to stop: by SIGTERM, as cluster schedulers do, or Ctrl-C.

    Attributes:
        signal: The first that came, for the exit code; None while there was none.
    """

    def __init__(self) -> None:
        self._process = os.getpid()
        self.signal: signal.Signals | None = None
        self._interrupted: float | None = None

    @property
    def requested(self) -> bool:
        """To be asked after every step."""
        return self.signal is not None

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGTERM and os.getpid() != self._process:  # a data worker that has hardly begun
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        self.signal = self.signal or signal.Signals(number)
        if number == signal.SIGINT:
            now = time.monotonic()
            if self._interrupted is not None and now - self._interrupted > _IMPATIENT:
                raise KeyboardInterrupt
            if self._interrupted is None and os.getpid() == self._process:  # not in data workers
                with suppress(OSError):
                    os.write(2, _ANSWER)
            self._interrupted = self._interrupted or now


class Stopped(Exception):
    """Work was left off, since somebody asked to stop."""


@contextmanager
def graceful_stop() -> Iterator[Stop]:
    """SIGTERM and Ctrl-C ask the loop inside to stop, so that it can save first; another Ctrl-C, more than a second
    later, interrupts it at once. Afterwards signals do what they did before.

    Enter it before data workers are forked: they take this over and so outlive the terminal's Ctrl-C.
    Outside the main thread, where Python allows no handlers, nothing changes.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, stop._hear) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
