"""Commands that run until somebody stops them, by Ctrl-C or a signal."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from movinet.cli.console import print_nowhere


class Stopping:
    """Whether somebody has asked to stop, and by which signal."""

    def __init__(self) -> None:
        self.event = threading.Event()
        self._number: int | None = None

    def ask(self, number: int, frame: FrameType | None) -> None:
        """Called by the signal. A second one does not wait for anything."""
        if self._number is not None:
            self._number = number
            self.leave()
        self._number = number
        self.event.set()

    def leave(self) -> None:
        """Raise what the signal would have raised, if there was one."""
        if self._number == signal.SIGINT:
            raise KeyboardInterrupt
        if self._number is not None:
            raise SystemExit(128 + self._number)


@contextmanager
def until_stopped() -> Iterator[Stopping]:
    """Ctrl-C, SIGTERM and a terminal that is closed ask to stop, so that what runs can be told as ended, and clips
    finished, instead of breaking off."""
    stopping, before = Stopping(), {}
    with suppress(ValueError):  # not in the main thread, as in a test
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)  # Windows has no SIGHUP
            if number is None or (name == "SIGHUP" and signal.getsignal(number) is signal.SIG_IGN):  # nohup
                continue
            before[number] = signal.signal(number, stopping.ask)
    try:
        yield stopping
    except OSError:  # of a terminal that is gone
        if stopping.event.is_set():
            print_nowhere()
            stopping.leave()
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
