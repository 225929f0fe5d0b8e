"""`/api/stream`: pictures in, predictions and events out, over one WebSocket."""

import asyncio
from contextlib import suppress
from typing import NoReturn

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from movinet.errors import MovinetError
from movinet.files import dump_json
from movinet.serve.outbox import Outbox, TooSlow
from movinet.serve.picture_stream import Looked, PictureStream
from movinet.serve.protocol import (
    Change,
    Close,
    Format,
    Open,
    Reset,
    Said,
    Sent,
    error_message,
    read_picture,
    read_text,
)
from movinet.serve.services import Services

SUBPROTOCOL = "movinet"

_MOST = 64  # texts that may wait for a client that reads slowly
_STOPPED, _NONSENSE, _REFUSED, _FULL = 1001, 1003, 1008, 1013


class _Ended(Exception):
    """The stream is over: how the connection is closed, and why."""

    def __init__(self, code: int, kind: str, why: str | None = None) -> None:
        super().__init__(why)
        self.code, self.kind, self.why = code, kind, why


class StreamSocket:
    """One client's connection. All but the work on pictures happens in the server's loop."""

    def __init__(self, websocket: WebSocket, services: Services) -> None:
        self._socket, self._services = websocket, services
        self._bounds, self._tally = services.settings.bounds, services.tally
        self._loop = asyncio.get_running_loop()
        self._outbox = Outbox(websocket.send_text, _MOST, self._bounds.send_within)
        self._stream: PictureStream | None = None
        self._reader: asyncio.Task[None] | None = None
        self._next: tuple[Sent, tuple[int, int], Format] | None = None
        self._idle = asyncio.Event()  # no picture is being looked at, or waits
        self._idle.set()
        self._began = 0.0
        self._end: _Ended | None = None

    async def run(self) -> None:
        """From the handshake to the last message."""
        offered = self._socket.scope["subprotocols"]
        await self._socket.accept(SUBPROTOCOL if SUBPROTOCOL in offered else None)
        self._services.sockets.add(self)
        self._tally.sockets += 1
        end = _Ended(1000, "closed")
        try:
            await self._converse()
            end = self._end or end
        except* TooSlow:
            end = _Ended(_REFUSED, "too slow", "too slow")
        except* WebSocketDisconnect:
            end = _Ended(0, "left")
        finally:
            self._services.sockets.discard(self)
            self._tally.sockets -= 1
        self._tally.closed[end.kind] += 1
        await self._close(end)
        self._end = self._reader = None  # which hold on to this: all goes now, not when garbage is collected

    def stop(self) -> None:
        """The server stops: have the stream told as over."""
        if self._reader is not None:
            self._end = _Ended(_STOPPED, "stopped", "the server stops")
            self._reader.cancel()

    async def _converse(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            sending = tasks.create_task(self._outbox.run())
            self._reader = tasks.create_task(self._read_to_the_end())
            await asyncio.wait({self._reader})
            if self._end is not None and self._end.kind == "left":
                sending.cancel()
            self._outbox.end()

    async def _read_to_the_end(self) -> None:
        """All that is wrong with one client ends here, so that what it is to be told is sent."""
        try:
            await self._read()
        except _Ended as end:
            self._end = end
        except WebSocketDisconnect:
            self._end = _Ended(0, "left")
        except TimeoutError:
            self._end = _Ended(_REFUSED, "too slow", "nothing came")
        except asyncio.CancelledError:
            if self._end is None:  # or `stop` has said why
                raise

    async def _read(self) -> None:
        """Everything the client says."""
        try:
            async with asyncio.timeout(self._bounds.open_within):
                said = await self._say_what()
            if not isinstance(said, Open):
                raise MovinetError('the first message opens the stream: {"type": "open", "size": …, "format": …}')
            pool = self._services.pools.of(said.model)
        except MovinetError as error:
            self._fail(error)
        try:
            stream = PictureStream(pool, said, self._bounds.side)
        except (MovinetError, ValueError) as error:
            full = self._services.pools.is_full(pool)
            self._fail(error, _FULL if full else _NONSENSE, "full" if full else "nonsense")
        with stream:
            self._stream = stream
            try:
                self._put({"type": "opened", **stream.described(), "limits": self._limits()})
                await self._follow(stream)
            except asyncio.CancelledError:
                if self._end is not None:
                    self._finish(stream, self._end.why)
                raise
            finally:
                self._stream = None

    async def _follow(self, stream: PictureStream) -> None:
        while True:
            await self._outbox.room()
            try:
                async with asyncio.timeout(self._bounds.idle):
                    said = await self._say_what()
            except TimeoutError:
                self._finish(stream, f"nothing came for {self._bounds.idle:g} s")
                raise _Ended(_REFUSED, "idle") from None
            except MovinetError as error:
                self._fail(error)
            if isinstance(said, Sent):
                self._take(stream, said)
                continue
            await self._idle.wait()  # what was sent before belongs to what was before
            if isinstance(said, Open):
                self._fail(MovinetError("the stream is open already; change says how it goes on"))
            elif isinstance(said, Change):
                try:
                    stream.change(said)
                except (MovinetError, ValueError) as error:
                    self._put(error_message(error))
                else:
                    self._tell_events(stream)
                    self._put({"type": "changed", **stream.described(), "limits": self._limits()})
            elif isinstance(said, Reset):
                stream.reset()
                self._tell_events(stream)
                self._put({"type": "reset"})
            elif isinstance(said, Close):
                self._finish(stream, None)
                raise _Ended(1000, "closed")

    async def _say_what(self) -> Said | Sent:
        """The client's next message.

        Raises:
            MovinetError: it makes no sense.
            WebSocketDisconnect: there is none.
        """
        message = await self._socket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code") or 1005)
        if (text := message.get("text")) is not None:
            return read_text(text)
        return read_picture(message["bytes"])

    def _take(self, stream: PictureStream, sent: Sent) -> None:
        """A picture came: look at it now, or next."""
        self._tally.pictures += 1
        work = sent, stream.size, stream.format
        if self._idle.is_set():
            self._look(stream, work)
            return
        if self._next is not None:
            self._tally.dropped += 1
            self._put(stream.drop(self._next[0]))
        self._next = work

    def _look(self, stream: PictureStream, work: tuple[Sent, tuple[int, int], Format]) -> None:
        self._idle.clear()
        self._began = self._loop.time()
        self._services.workers.submit(stream.look, *work, self._tell)

    def _tell(self, looked: Looked) -> None:
        """Called by other threads."""
        with suppress(RuntimeError):  # the loop has closed
            self._loop.call_soon_threadsafe(self._answer, looked)

    def _answer(self, looked: Looked) -> None:
        stream = self._stream
        if stream is None:  # it is over
            return
        tally = self._tally
        for message in stream.messages(looked):
            tally.events += message["type"] == "begun"
            self._put(message)
        if looked.decoded:
            tally.decoded += 1
            tally.decode_seconds += looked.decoded
        if looked.error is not None:
            tally.refused += 1
        elif looked.prediction is None:
            tally.skipped += 1
        else:
            tally.predictions += 1
            tally.answer_seconds += self._loop.time() - self._began
        if looked.fatal and self._reader is not None:
            self._end = _Ended(_STOPPED, "broken", str(looked.error))
            self._reader.cancel()
            return
        if self._next is None:
            self._idle.set()
        else:
            work, self._next = self._next, None
            self._look(stream, work)

    def _finish(self, stream: PictureStream, error: str | None) -> None:
        """The last that is told."""
        stream.session.finish()
        self._tell_events(stream)
        self._put({"type": "over", "error": error})

    def _tell_events(self, stream: PictureStream) -> None:
        for message in stream.events():
            self._tally.events += message["type"] == "begun"
            self._put(message)

    def _put(self, message: dict[str, object]) -> None:
        self._outbox.put(dump_json(message))

    def _fail(self, why: Exception, code: int = _NONSENSE, kind: str = "nonsense") -> NoReturn:
        """The client has done something that ends its stream."""
        self._put(error_message(why))
        raise _Ended(code, kind, str(why)) from None

    def _limits(self) -> dict[str, int]:
        return {"unanswered": 2, "side": self._bounds.side, "message": self._bounds.message}

    async def _close(self, end: _Ended) -> None:
        if end.code and self._socket.application_state is WebSocketState.CONNECTED:
            with suppress(Exception):  # it has gone, or does not read
                async with asyncio.timeout(1.0):
                    await self._socket.close(end.code, (end.why or "")[:100])
