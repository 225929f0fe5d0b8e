"""What the parts of a server share."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol

from movinet.serve.listeners import Hub
from movinet.serve.pools import Pools
from movinet.serve.server_tally import Tally
from movinet.serve.settings import Settings
from movinet.serve.source_wall import Wall
from movinet.serve.telling import Told
from movinet.serve.tokens import Tokens


class Stream(Protocol):
    """A client's, such as `movinet.serve.stream_socket.StreamSocket`."""

    def stop(self) -> None:
        """Have what runs told as ended, and the connection closed. Does not wait."""


@dataclass
class Services:
    """A running server's parts.

    Args:
        settings: as it was set up.
        tokens: who may do what.
        pools: what recognizes.
        wall: the server-side sources.
        hub: where news of them go.
        workers: threads that decode what clients send.
        checking: one thread, in which tokens are hashed.
        told: who else is told of sources.
        tally: what is counted.
        version: of movinet.
        sockets: streams that are open.
    """

    settings: Settings
    tokens: Tokens
    pools: Pools
    wall: Wall
    hub: Hub
    workers: ThreadPoolExecutor
    checking: ThreadPoolExecutor
    told: Told
    tally: Tally = field(default_factory=Tally)
    version: str = ""
    sockets: set[Stream] = field(default_factory=set)
    draining: bool = False

    async def drain(self) -> None:
        """Take nothing more, and have what runs told as ended: within the time that is allowed for it."""
        self.draining = True
        self.hub.close()
        for socket in list(self.sockets):
            socket.stop()
        until = asyncio.get_running_loop().time() + self.settings.bounds.drain
        while self.sockets and asyncio.get_running_loop().time() < until:
            await asyncio.sleep(0.02)
