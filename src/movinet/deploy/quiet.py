"""Converters talk a lot, about themselves; what other threads have to say meanwhile is heard."""

import logging
import os
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from threading import Lock, get_ident
from typing import Any


@contextmanager
def quiet() -> Iterator[None]:
    """Of this thread no warnings, no log below errors, nothing printed: what matters is whether the result is right.

    Any number of threads may be quiet at once. The last to end puts back what the first changed for the process: its
    two streams, a filter of warnings, a filter at each handler of logs.
    """
    _silence.enter()
    try:
        yield
    finally:
        _silence.leave()


class _Silence:
    """Of some threads."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.threads: Counter[int] = Counter()  # and how deep each is in it
        self.undo: list[Callable[[], None]] = []  # what puts everything back

    def here(self) -> bool:
        return get_ident() in self.threads

    def enter(self) -> None:
        with self.lock:
            if not self.threads:
                self._install()
            self.threads[get_ident()] += 1

    def leave(self) -> None:
        me = get_ident()
        with self.lock:
            self.threads[me] -= 1
            if not self.threads[me]:
                del self.threads[me]
            if not self.threads:
                self._uninstall()

    def only_here(self) -> None:
        """In a forked process, whose only thread may be silent: the others are not there."""
        self.lock, me = Lock(), get_ident()
        self.threads = Counter({me: self.threads[me]} if me in self.threads else {})
        if not self.threads:
            self._uninstall()

    def _install(self) -> None:
        self.undo += [_replace_stream(name) for name in ("stdout", "stderr")]
        ours: Any = ("ignore", _Anything(), Warning, None, 0)
        filters: Any = warnings.filters
        filters.insert(0, ours)
        self.undo.append(lambda: _take_out(filters, ours))
        loggers = [logging.root, *logging.root.manager.loggerDict.values()]
        handlers = {handler for logger in loggers if isinstance(logger, logging.Logger) for handler in logger.handlers}
        for handler in handlers | ({logging.lastResort} if logging.lastResort else set()):
            handler.addFilter(_may_be_logged)
            self.undo.append(partial(handler.removeFilter, _may_be_logged))

    def _uninstall(self) -> None:
        while self.undo:
            self.undo.pop()()


_silence = _Silence()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_silence.only_here)


def _replace_stream(name: str) -> Callable[[], None]:
    """Let one of the two streams not hear silent threads; what comes back takes that back."""
    before = getattr(sys, name)
    mine = None if before is None else _Stream(name, before)
    setattr(sys, name, mine)

    def back() -> None:
        if getattr(sys, name) is mine:  # else somebody else has replaced it since
            setattr(sys, name, before)

    return back


class _Stream:
    """A stream that does not hear silent threads. It goes on to work for whoever has kept it."""

    def __init__(self, name: str, before: Any) -> None:
        self._name, self._before = name, before

    def _heard(self) -> Any:
        current = getattr(sys, self._name)
        return self._before if current is None or isinstance(current, _Stream) else current

    def write(self, text: str) -> int:
        return len(text) if _silence.here() else self._heard().write(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._heard(), name)


class _Anything:
    """In a filter of warnings, the message of any that a silent thread gives."""

    def match(self, message: str) -> bool:
        return _silence.here()


def _take_out(filters: Any, ours: Any) -> None:
    current: Any = warnings.filters
    for place in (filters, current):  # which `catch_warnings` may have replaced
        with suppress(ValueError):
            place.remove(ours)


def _may_be_logged(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.ERROR or not _silence.here()
