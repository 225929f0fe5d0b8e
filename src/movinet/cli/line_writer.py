"""Lines for somebody who may not read them, such as a pager: written by a thread, so that nobody waits for it."""

import os
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol, Self, TextIO

from movinet.words import counted

_WAITING = 10_000  # lines: some megabytes
_RETRY = 0.05  # seconds, where a file that never blocks is full
_LEAVE_WITHIN = 2.0  # seconds that what waits is given at the end


class _Bytes(Protocol):
    def write(self, data: bytes, /) -> int | None: ...


class _OfText:
    """Bytes for a file of text alone, such as an `io.StringIO`."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, data: bytes, /) -> int:
        self._file.write(data.decode())
        return len(data)


def _bytes_of(file: TextIO) -> _Bytes:
    buffer = getattr(file, "buffer", None)
    return _OfText(file) if buffer is None else getattr(buffer, "raw", buffer)


class LineWriter:
    """Writes lines in a thread of its own; a context manager.

    What comes while too many wait pushes out the oldest. That is told at once, and how many there were when the reader
    has caught up.

    Args:
        file: Of text; None, as a closed stdout is, takes nothing. Where it stands over a file of bytes, its own buffer
            is not used: a thread that hangs would keep its lock.
        name: Of the file, in what is told.
        tell: Takes what is to be told; must not wait, nor call this.
        most: Lines that may wait.
    """

    def __init__(self, file: TextIO | None, name: str, tell: Callable[[str], None], most: int = _WAITING) -> None:
        self.name, self._tell, self._most = name, tell, most
        self.failed: OSError | None = None
        """Why nothing more is written, such as a reader that went away."""
        self.unread = 0
        """Lines that were left out, as is known at the end."""
        self._file = None if file is None else _bytes_of(file)
        self._encoding, self._errors = (getattr(file, key, None) for key in ("encoding", "errors"))
        if file is not None:
            file.flush()
        self._waiting: deque[bytes] = deque()
        self._left_out = 0
        self._writing = False
        self._closing = threading.Event()
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="movinet-lines", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def put(self, line: str) -> None:
        """A line, without its end; never waits."""
        data = f"{line}{os.linesep}".encode(self._encoding or "utf-8", self._errors or "strict")
        with self._changed:
            if self._file is None or self.failed is not None or self._closing.is_set():
                return
            self._waiting.append(data)
            if len(self._waiting) > self._most:
                self._waiting.popleft()
                self._left_out += 1
                if self._left_out == 1:
                    self._tell(f"{self.name} is not read: of more than {self._most} lines the oldest are left out")
            self._changed.notify_all()

    def close(self, within: float = _LEAVE_WITHIN) -> None:
        """Write what waits, for at most so many seconds, and tell what was left out."""
        until = time.monotonic() + within
        with self._changed:
            if self._closing.is_set():
                return
            while (self._waiting or self._writing) and (left := until - time.monotonic()) > 0:
                self._changed.wait(min(left, 0.5))  # in slices, so that Ctrl-C gets through on every system
            self.unread = len(self._waiting) + self._writing + self._left_out
            if self.unread:
                self._tell(f"{self.name} was not read: {counted(self.unread, 'line')} left out")
            self._waiting.clear()
            self._closing.set()
            self._changed.notify_all()

    def _run(self) -> None:
        while (data := self._next()) is not None:
            try:
                self._write(data)
            except OSError as error:
                with self._changed:
                    self.failed, self._writing, self._left_out = error, False, 0
                    self._waiting.clear()
                    self._changed.notify_all()
                return

    def _next(self) -> bytes | None:
        """The next line, waited for; None at the end."""
        with self._changed:
            self._writing = False
            if self._left_out and not self._waiting:
                self._tell(f"{self.name} is read again: {counted(self._left_out, 'line')} left out")
                self._left_out = 0
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._waiting or self._closing.is_set())
            if not self._waiting:
                return None
            self._writing = True
            return self._waiting.popleft()

    def _write(self, data: bytes) -> None:
        assert self._file is not None
        while data:
            written = self._file.write(data)
            data = data[written or 0 :]
            if not written and self._closing.wait(_RETRY):
                return
