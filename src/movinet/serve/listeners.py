"""News of server-side sources on their way to whoever listens; a listener that reads slowly loses the oldest."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator

from movinet.files import dump_json
from movinet.live.json_lines import as_json, type_of
from movinet.live.report import Report

_WAITING = 256  # texts of a listener
_BEAT = 15.0  # seconds after which something is sent, so that proxies and clients know that it lives


class Listener:
    """Somebody who reads.

    Args:
        types: of reports; None for all but predictions.
        source: whose; None for all.
    """

    def __init__(self, types: frozenset[str] | None, source: str | None) -> None:
        self._types, self._source = types, source
        self._waiting: deque[str] = deque(maxlen=_WAITING)
        self._changed = asyncio.Event()
        self.dropped = 0
        """Texts that newer ones pushed out."""
        self._told = 0
        self.closed = False

    def wants(self, kind: str, source: str) -> bool:
        """Whether it listens for that."""
        if self._source is not None and source != self._source:
            return False
        return kind != "prediction" if self._types is None else kind in self._types

    def take(self, text: str) -> None:
        """Never waits."""
        self.dropped += len(self._waiting) == _WAITING
        self._waiting.append(text)
        self._changed.set()

    def close(self) -> None:
        """There is no more."""
        self.closed = True
        self._changed.set()

    async def events(self) -> AsyncIterator[bytes]:
        """As the bytes of server-sent events, until it is closed."""
        yield b"retry: 2000\n\n"
        while True:
            while self._waiting:
                if self.dropped != self._told:
                    self._told = self.dropped
                    yield _event(dump_json({"type": "dropped", "dropped": self.dropped}))
                yield _event(self._waiting.popleft())
            if self.closed:
                return
            self._changed.clear()
            try:
                async with asyncio.timeout(_BEAT):
                    await self._changed.wait()
            except TimeoutError:
                yield b":\n\n"


def _event(text: str) -> bytes:
    return f"data: {text}\n\n".encode()


class Hub:
    """Passes reports to listeners; `publish` may be called by any thread, the rest by the server's loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._closed = False
        self.listeners: set[Listener] = set()

    def publish(self, report: Report) -> None:
        """News of a source."""
        if self.listeners and not self._closed:
            try:
                self._loop.call_soon_threadsafe(self._pass_on, report)
            except RuntimeError:  # the loop has closed
                self._closed = True

    def _pass_on(self, report: Report) -> None:
        kind, text = type_of(report), None
        for listener in self.listeners:
            if listener.wants(kind, report.source):
                text = dump_json(as_json(report)) if text is None else text
                listener.take(text)

    def close(self) -> None:
        """Everyone hears the end."""
        self._closed = True
        for listener in self.listeners:
            listener.close()
