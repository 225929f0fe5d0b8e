"""A thread that reads a live source, and can be left behind where it hangs."""

import os
import sys
import threading
import traceback
from contextlib import suppress
from pathlib import Path

from movinet.errors import VideoError
from movinet.video.camera.following import Known, Wanted, follow
from movinet.video.camera.line import LocalLine
from movinet.video.net.sources import without_password
from movinet.video.pacer import LivePacer

_LOWER = 3  # steps of priority: about half the share of a thread that wants as much


class ThreadReader:
    """Follows a source in a thread of this process.

    Args:
        wanted: The source.
        line: What comes goes here.
        pacer: Chooses frames.
        known: Of the source.
    """

    def __init__(self, wanted: Wanted, line: LocalLine, pacer: LivePacer, known: Known) -> None:
        self.line = line
        self._work = (wanted, line, pacer, known)
        self._thread = threading.Thread(target=self._run, name="movinet-live", daemon=True)
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether it still holds anything."""
        return self._thread.is_alive()

    def leave(self) -> None:
        """Nothing it says counts any more; it ends by itself as soon as it can. Does not wait."""
        self.line.cut()

    def join(self, seconds: float) -> None:
        """Wait for its end, at most so long."""
        self._thread.join(seconds)

    def _run(self) -> None:
        wanted, line, pacer, known = self._work
        _give_way()
        try:
            follow(wanted, line, pacer, known)
            line.end(None)
        except VideoError as error:
            line.end(error)
        except Exception as error:  # never leave the consumer waiting for a thread that has died
            line.end(VideoError(f"{without_password(wanted.source)}: {_fault(error)}"))


def _fault(error: Exception) -> str:
    """What to report of an error that nobody expected, without its text, which may hold the password."""
    at = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {Path(at.filename).name}, line {at.lineno}: a fault of movinet, please report it"


def _give_way() -> None:
    """What was decoded is recognized before more is: beside many cameras' threads the engine's would wait for its turn
    longer than it computes. Only Linux has priorities of threads."""
    if sys.platform == "linux":
        with suppress(OSError):
            me = threading.get_native_id()
            os.setpriority(os.PRIO_PROCESS, me, os.getpriority(os.PRIO_PROCESS, me) + _LOWER)
