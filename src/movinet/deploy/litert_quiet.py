"""LiteRT tells of everything it does on the error stream, beneath Python, and cannot be asked not to.

Version 2.3 reads no variable of the environment, and the functions that set its level are not in its libraries' tables.
"""

import ctypes
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from tempfile import TemporaryFile
from threading import Lock
from typing import BinaryIO

# Anywhere in a line, for another thread may be in the middle of one: `print` writes the end of a line by itself.
_ITS_LINES = re.compile(
    rb"(?:(?:VERBOSE|DEBUG|INFO|WARNING|ERROR): (?:\[\w+\.cc:\d+\]|Created TensorFlow Lite )|^\xe2\x94\x94 ).*\n?",
    re.MULTILINE,
)


@contextmanager
def litert_quiet() -> Iterator[None]:
    """Keep what LiteRT says from the error stream; what others say meanwhile comes out at the end.

    Any number of threads may be in here at once: the last to leave restores the stream.
    """
    _stream.enter()
    try:
        yield
    finally:
        _stream.leave()


@contextmanager
def quiet_at_exit() -> Iterator[None]:
    """Around LiteRT's first use of a buffer, for which it makes what it takes down, talking, as the process exits.

    The C library calls what was registered last first: before LiteRT's turn the error stream is closed, and after it,
    for everybody else's last words, it is opened again.
    """
    first = _stream.reopen_at_exit()
    yield
    if first:
        _at_exit("close", 2)


class _ErrorStream:
    """That of the process, which some threads listen to in another's place."""

    def __init__(self) -> None:
        self.lock, self.threads, self.used = Lock(), 0, False
        self.real: int | None = None  # another number of the stream while 2 is `heard`
        self.heard: BinaryIO | None = None

    def enter(self) -> None:
        with self.lock:
            if not self.threads:
                self._listen()
            self.threads += 1

    def leave(self) -> None:
        with self.lock:
            self.threads -= 1
            if not self.threads:
                self._restore()

    def reopen_at_exit(self) -> bool:
        """Whether that is arranged by this call. Other threads wait until it is."""
        with self.lock:
            first, self.used = not self.used, True
            if first:
                with suppress(TypeError, AttributeError, OSError):  # another system, or no error stream
                    _at_exit("dup", os.dup(2 if self.real is None else self.real))  # to the lowest number free: 2
                    return True
            return False

    def forget(self) -> None:
        """In a forked process, where nobody is loading, and what was heard is the parent's to repeat."""
        self.lock, self.threads = Lock(), 0
        self._restore(repeat=False)

    def _listen(self) -> None:
        _flush()
        try:
            self.real = os.dup(2)
        except OSError:  # there is no error stream
            return
        self.heard = TemporaryFile()  # noqa: SIM115  (open until the last thread leaves)
        os.dup2(self.heard.fileno(), 2)

    def _restore(self, repeat: bool = True) -> None:
        real, heard = self.real, self.heard
        if real is None or heard is None:
            return
        _flush()
        with suppress(OSError):  # if somebody has closed it
            if os.path.sameopenfile(2, heard.fileno()):  # else somebody has put another there
                os.dup2(real, 2)
        if repeat:
            heard.seek(0)
            words = memoryview(_ITS_LINES.sub(b"", heard.read()))
            with suppress(OSError):  # if nobody listens
                while words:
                    words = words[os.write(real, words) :]
        os.close(real)
        heard.close()
        self.real = self.heard = None


def _at_exit(function: str, descriptor: int) -> None:
    """Let the C library call a function of its own as the process ends."""
    libc = ctypes.CDLL(None)
    register = libc.__cxa_atexit
    register.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
    register(ctypes.cast(getattr(libc, function), ctypes.c_void_p), descriptor, None)


def _flush() -> None:
    if sys.stderr is not None:
        sys.stderr.flush()


_stream = _ErrorStream()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_stream.forget)
