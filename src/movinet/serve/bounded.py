"""uvicorn's connections, with an end to everything that one client could make grow: time, messages, fragments, pings.

What uvicorn bounds by itself are the size of messages and of headers; see `movinet.serve.run_server`.
"""

import asyncio
from typing import Any, cast

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame

from movinet.serve.settings import Bounds

_READ = 1 << 15  # bytes that are read of a connection at a time
_PIECE = 1 << 13  # bytes that are parsed at a time
_MESSAGES = 256  # of a client, that may wait to be looked at
_FRAGMENTS = 64  # of a message
_UNREAD = 1 << 16  # bytes of pongs and answers that a client has not read
_FLUSHED = 5.0  # seconds in which a client may read the last it was sent


class BoundedConfig(uvicorn.Config):
    """uvicorn's, which knows our bounds."""

    bounds: Bounds = Bounds()


class Closing:
    """A transport that is gone some seconds after it was closed, whether or not its client has read everything."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def close(self) -> None:
        self._transport.close()
        self._loop.call_later(_FLUSHED, self._transport.abort)


class BoundedHTTP(H11Protocol):
    """A request's head must come in time, from the connection's beginning or its own; connections are counted."""

    _deadline: asyncio.TimerHandle | None = None

    @property
    def _bounds(self) -> Bounds:
        return cast(BoundedConfig, self.config).bounds

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        _read_little(transport)
        super().connection_made(cast(asyncio.Transport, Closing(transport, self.loop)))
        if len(self.connections) > self._bounds.connections:
            transport.abort()
            return
        self._arm()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        busy = self.cycle is not None and not self.cycle.response_complete
        upgraded = self not in self.connections
        if busy or upgraded:
            self._disarm()
        elif self._deadline is None:
            self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        super().connection_lost(exc)

    def _arm(self) -> None:
        self._deadline = self.loop.call_later(self._bounds.open_within, self.transport.abort)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._disarm()  # until more comes


class BoundedSocket(WebSocketsSansIOProtocol):
    """A WebSocket whose client cannot fill memory with small messages, endless fragments or unread pongs."""

    def data_received(self, data: bytes) -> None:
        for begin in range(0, len(data), _PIECE):
            super().data_received(data[begin : begin + _PIECE])
            if self.queue.qsize() > _MESSAGES and not self.close_sent:
                self._refuse("more messages than are looked at")
            if self.close_sent or self.transport.is_closing():
                return

    def handle_cont(self, event: Frame) -> None:
        if len(self.frames) >= _FRAGMENTS:
            self._refuse("a message in too many fragments")
            return
        super().handle_cont(event)

    def handle_ping(self) -> None:
        if self.transport.get_write_buffer_size() > _UNREAD:
            self.transport.abort()
            return
        super().handle_ping()

    def _refuse(self, why: str) -> None:
        """End it, as where a client breaks the protocol."""
        self.conn.fail(1008, why)
        self.frames = []
        self.handle_parser_exception()


def _read_little(transport: asyncio.Transport) -> None:
    """Have less read at a time than asyncio does: it takes a quarter of a megabyte for whatever comes and gives back
    what is left over, and in such holes, where something small stays, the next quarter has no room. So memory would
    grow with every picture that is read, though hardly any of it is in use."""
    if hasattr(transport, "max_size"):
        transport.max_size = _READ
