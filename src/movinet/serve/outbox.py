"""What waits to be sent to one client: bounded, in order, with a limit on how long sending may take."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable


class TooSlow(Exception):
    """The client does not read what it is sent."""


class Outbox:
    """A queue of texts to one client. All of it happens in the server's loop.

    Args:
        send: sends one text, waiting while the client's connection is full.
        most: texts that may wait; whoever puts waits for room.
        within: seconds that sending one may take.
    """

    def __init__(self, send: Callable[[str], Awaitable[None]], most: int, within: float) -> None:
        self._send, self._most, self._within = send, most, within
        self._waiting: deque[str] = deque()
        self._changed = asyncio.Event()
        self._sent = asyncio.Event()
        self._sent.set()
        self._ended = False

    def put(self, text: str) -> None:
        """Have it sent, after what waits."""
        self._waiting.append(text)
        self._sent.clear()
        self._changed.set()

    @property
    def full(self) -> bool:
        """Whether more should not be taken on that leads to further texts."""
        return len(self._waiting) >= self._most

    async def room(self) -> None:
        """Wait until it is not full."""
        while self.full:
            self._sent.clear()
            await self._sent.wait()

    def end(self) -> None:
        """There is no more to come."""
        self._ended = True
        self._changed.set()

    async def run(self) -> None:
        """Send until `end`, and what waits then.

        Raises:
            TooSlow: one text took too long.
        """
        while True:
            while self._waiting:
                try:
                    async with asyncio.timeout(self._within):
                        await self._send(self._waiting[0])
                except TimeoutError:
                    raise TooSlow from None
                self._waiting.popleft()
                self._sent.set()
            if self._ended:
                return
            self._changed.clear()
            await self._changed.wait()
