"""A server from its settings to its end."""

import asyncio
import gc
import os
import socket as sockets
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import uvicorn

from movinet.cores import usable_cores
from movinet.errors import MovinetError
from movinet.serve.asgi import application
from movinet.serve.bounded import BoundedConfig, BoundedHTTP, BoundedSocket
from movinet.serve.listeners import Hub
from movinet.serve.pools import Pools, open_pools
from movinet.serve.private_file import state_folder
from movinet.serve.services import Services
from movinet.serve.settings import Settings
from movinet.serve.source_rules import list_files
from movinet.serve.source_wall import Wall
from movinet.serve.telling import open_telling
from movinet.serve.tokens import Role, Tokens, make_tokens, read_tokens

_BACKLOG = 128


@dataclass(frozen=True)
class Started:
    """What whoever starts a server is told once it listens.

    Args:
        address: of its page.
        tokens: that were made, which are shown this once.
        needs_token: whether tokens are asked for.
    """

    address: str
    tokens: dict[Role, str]
    needs_token: bool


class Server(uvicorn.Server):
    """uvicorn's, which has streams told as over before it hangs up."""

    def __init__(self, config: uvicorn.Config, services: Services, on_started: "Callable[[Server], None]") -> None:
        super().__init__(config)
        self._services, self._on_started = services, on_started

    async def startup(self, sockets: list[sockets.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_started(self)

    async def shutdown(self, sockets: list[sockets.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        await self._services.drain()
        await super().shutdown(sockets)


def prepare_tokens(settings: Settings, new: bool) -> tuple[Tokens, dict[Role, str]]:
    """The tokens that are kept; made where it shall listen beyond this machine, or they are asked for.

    Args:
        settings: of the server.
        new: make others, whether or not there are some.

    Returns:
        What checks them, and those that were made, which are to be shown.

    Raises:
        MovinetError: they cannot be read or written.
    """
    path = state_folder(settings.state) / "tokens.json"
    hashed = {} if new else read_tokens(path)
    made = make_tokens(path) if new or (not hashed and not settings.is_local) else {}
    return Tokens(read_tokens(path) if made else hashed), made


def run(settings: Settings, *, version: str, new_tokens: bool = False, on_started: Callable[[Started], None]) -> None:
    """Serve until a signal comes.

    Raises:
        MovinetError: what was set up makes no sense, or cannot be had.
    """
    list_files(settings)  # a folder that is not there is told of now, not when somebody asks
    tokens, made = prepare_tokens(settings, new_tokens)
    with ExitStack() as kept:
        listening = kept.enter_context(listen(settings))
        pools = kept.enter_context(open_pools(settings))

        def started(server: Server) -> None:
            host, port = listening.getsockname()[:2]
            shown = "localhost" if settings.is_everywhere else f"[{host}]" if ":" in host else host
            scheme = "https" if settings.secure else "http"
            # What is there now stays. Garbage is collected without walking through it while pictures wait, and is not
            # left to grow to a share of it.
            gc.freeze()
            gc.collect()  # which counts anew
            on_started(Started(f"{scheme}://{shown}:{port}/", made, tokens.needed))

        asyncio.run(serve(settings, tokens, pools, listening, started, version))


@contextmanager
def listen(settings: Settings) -> Iterator[sockets.socket]:
    """The socket that a server listens on.

    Raises:
        MovinetError: it cannot be had.
    """
    try:
        found = sockets.getaddrinfo(settings.host, settings.port, type=sockets.SOCK_STREAM, flags=sockets.AI_PASSIVE)
        family, kind, protocol, _, where = found[0]
        listening = sockets.socket(family, kind, protocol)
        try:
            if os.name == "posix":
                listening.setsockopt(sockets.SOL_SOCKET, sockets.SO_REUSEADDR, 1)
            listening.bind(where)
            listening.listen(_BACKLOG)
        except BaseException:
            listening.close()
            raise
    except OSError as error:
        said = error.strerror or str(error)
        raise MovinetError(f"cannot listen at {settings.host}, port {settings.port}: {said}") from None
    with listening:
        yield listening


async def serve(
    settings: Settings,
    tokens: Tokens,
    pools: Pools,
    listening: sockets.socket,
    on_started: Callable[[Server], None],
    version: str = "",
) -> None:
    """Serve on a socket until a signal comes; what runs then is told as ended."""
    loop = asyncio.get_running_loop()
    hub = Hub(loop)
    with ExitStack() as kept:
        workers = kept.enter_context(ThreadPoolExecutor(max(1, min(4, usable_cores())), "movinet-decode"))
        checking = kept.enter_context(ThreadPoolExecutor(1, "movinet-token"))
        told = kept.enter_context(open_telling(settings, version))
        path = state_folder(settings.state) / "sources.yaml"
        wall = Wall(settings, pools, path, (hub.publish, told.report), told.changed)
        services = Services(settings, tokens, pools, wall, hub, workers, checking, told, version=version)
        server = Server(_config(settings, services), services, on_started)
        kept.callback(wall.close)
        await asyncio.to_thread(wall.open)
        await server.serve([listening])


def _config(settings: Settings, services: Services) -> BoundedConfig:
    config = BoundedConfig(
        application(services),
        http=BoundedHTTP,
        ws=BoundedSocket,
        ws_max_size=settings.bounds.message,
        ws_max_queue=2,
        ws_per_message_deflate=False,
        h11_max_incomplete_event_size=settings.bounds.headers,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=2,
        backlog=_BACKLOG,
        lifespan="off",
        log_config=None,
        log_level="critical",  # strangers could fill a log; faults of ours are told by the guard
        access_log=False,
        proxy_headers=False,  # anybody could say to be anybody
        server_header=False,
        ssl_certfile=settings.tls_certificate,
        ssl_keyfile=settings.tls_key,
    )
    config.bounds = settings.bounds
    return config
