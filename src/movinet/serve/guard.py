"""The door that every request goes through: host, origin, token, sizes and times, whatever is behind it."""

import asyncio
import functools
import ipaddress
import logging
import socket
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from movinet.serve.services import Services
from movinet.serve.settings import Settings
from movinet.serve.tokens import Role, TooOften

logger = logging.getLogger(__name__)

COOKIE = "movinet"
BEARER = "bearer."  # before the token among a WebSocket's subprotocols

_SAFE = ("GET", "HEAD", "OPTIONS")
_FOR_ANYONE = ("/api/me", "/api/login", "/api/logout")
_FOR_TOKENS = ("/api/", "/metrics")  # everything below needs a token but those
_SECURITY: Mapping[str, str] = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; "
    "img-src 'self' blob:; media-src 'self' blob:; connect-src 'self'; worker-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
}


class Refused(Exception):
    """A request that goes no further."""

    def __init__(self, status: int, why: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(why)
        self.status, self.why, self.headers = status, why, headers


class Guard:
    """An ASGI application around another, which sees only requests that may be answered.

    `scope["role"]` is who asks: `administrator`, `viewer`, or None; everyone is an administrator where no tokens are
    set, which `movinet.serve.run_server` allows on this machine alone.
    """

    def __init__(self, app: ASGIApp, services: Services) -> None:
        self._app, self._services = app, services
        self._bounds = services.settings.bounds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        try:
            scope["role"] = await self._admit(scope)
        except Refused as refused:
            self._services.tally.denied[refused.status] += 1
            answer = JSONResponse({"error": refused.why}, refused.status, {**_SECURITY, **(refused.headers or {})})
            if scope["type"] == "websocket":
                await receive()  # what connects
                await _deny(answer, scope, send)
            else:
                await answer(scope, receive, send)
            return
        try:
            if scope["type"] == "websocket":
                await self._app(scope, receive, send)
            else:
                await self._answer(scope, receive, send)
        except Exception:  # a fault of ours; uvicorn would tell it again, and what strangers do
            logger.exception("%s: a fault of the server's", scope["path"][:100])

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False
        within, left = self._bounds.open_within, self._bounds.body
        until = asyncio.get_running_loop().time() + within
        whole = False  # the body is there

        async def received() -> Message:
            nonlocal left, whole
            if whole:  # what comes next is that the client leaves
                return await receive()
            try:
                async with asyncio.timeout_at(until):
                    message = await receive()
            except TimeoutError:
                raise Refused(408, "too slow") from None
            left -= len(message.get("body", b""))
            whole = not message.get("more_body", False)
            if left < 0:
                raise Refused(413, f"more than {self._bounds.body} bytes")
            return message

        async def sent(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                own = {name.lower() for name, _ in message.get("headers", ())}
                extra = [(k.lower().encode(), v.encode()) for k, v in _SECURITY.items()]
                message = {
                    **message,
                    "headers": [*message.get("headers", ()), *(pair for pair in extra if pair[0] not in own)],
                }
            async with asyncio.timeout(self._bounds.send_within):
                await send(message)

        try:
            await self._app(scope, received, sent)
        except Refused as refused:
            if not started:
                await JSONResponse({"error": refused.why}, refused.status)(scope, receive, sent)
        except TimeoutError:
            logger.debug("a client read too slowly, and is not waited for")

    async def _admit(self, scope: Scope) -> Role | None:
        """Who asks.

        Raises:
            Refused: whoever it is, not this.
        """
        headers, settings, path = Headers(scope=scope), self._services.settings, scope["path"]
        host = _host(headers, settings)
        safe = scope["type"] == "http" and scope["method"] in _SAFE
        own_origin = _check_origin(headers, host, settings, required=False)
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > self._bounds.body:
            raise Refused(413, f"more than {self._bounds.body} bytes")
        role, by_cookie = await self._role(scope, headers)
        guarded = path.startswith(_FOR_TOKENS) or not safe
        if by_cookie and not safe and not own_origin:
            raise Refused(403, "where a cookie says who asks, the origin must be there, too")
        if path in _FOR_ANYONE or not guarded:
            return role
        if headers.get("sec-fetch-site") in ("cross-site", "same-site") and not own_origin:
            raise Refused(403, "not for another site's pages")
        if role is None:
            raise Refused(401, "a token is needed", {"WWW-Authenticate": "Bearer"})
        if not safe and scope["type"] == "http" and role != "administrator":
            raise Refused(403, "an administrator's token is needed")
        return role

    async def _role(self, scope: Scope, headers: Headers) -> tuple[Role | None, bool]:
        """Who asks, and whether it is a cookie that says so."""
        tokens = self._services.tokens
        if not tokens.needed:
            return "administrator", False
        token = _token(scope, headers)
        if token is not None:
            role = await self.check(token, scope)
            if role is None:
                raise Refused(401, "that token is not right", {"WWW-Authenticate": 'Bearer error="invalid_token"'})
            return role, False
        if (value := _cookie(headers)) is not None and (known := tokens.role_of_cookie(value)) is not None:
            return known, True
        return None, False

    async def check(self, token: str, scope: Scope) -> Role | None:
        """The role of a token.

        Raises:
            Refused: too many wrong ones came.
        """
        return await check_token(self._services, token, scope)


async def check_token(services: Services, token: str, scope: Scope) -> Role | None:
    """The role of a token; hashing happens in a thread of its own.

    Raises:
        Refused: too many wrong ones came.
    """
    if (role := services.tokens.known(token)) is not None:
        return role
    address = (scope.get("client") or ("", 0))[0]
    loop = asyncio.get_running_loop()
    try:
        return await loop.run_in_executor(services.checking, services.tokens.check, token, address)
    except TooOften as error:
        raise Refused(429, str(error), {"Retry-After": str(int(error.seconds) + 1)}) from None


def _host(headers: Headers, settings: Settings) -> str:
    """The host that was asked for, with its port.

    Raises:
        Refused: it is none of this server's names, so that a page elsewhere cannot take this server for its own.
    """
    given = headers.getlist("host")
    if len(given) != 1:
        raise Refused(400, "want one Host")
    try:
        parts = urlsplit(f"//{given[0]}")
        name, _ = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        raise Refused(400, "that Host is none") from None
    if parts.netloc != given[0] or parts.username is not None:
        raise Refused(400, "that Host is none")
    if not (_is_number(name) or name in _own_names() or name in {known.lower() for known in settings.names}):
        raise Refused(403, "this server is not known by that name; `names` in its settings has those it is known by")
    return given[0].lower()


def _check_origin(headers: Headers, host: str, settings: Settings, required: bool) -> bool:
    """Whether a page of this server's own, or one that is allowed, asks; False where nothing says that a page does.

    Raises:
        Refused: a page elsewhere asks.
    """
    given = headers.getlist("origin")
    if not given and not required:
        return False
    if len(given) == 1:
        if given[0] in settings.origins:
            return True
        scheme, _, netloc = given[0].lower().partition("://")
        if scheme in ("http", "https") and _with_port(netloc, scheme) in (
            _with_port(host, "http"),
            _with_port(host, "https"),
        ):
            return True
    raise Refused(403, "not for pages of that origin")


def _with_port(netloc: str, scheme: str) -> str:
    host, colon, port = netloc.rpartition(":")
    if colon and port.isdigit():
        return f"{host}:{port}"
    return f"{netloc}:{443 if scheme == 'https' else 80}"


def _token(scope: Scope, headers: Headers) -> str | None:
    given = headers.get("authorization")
    if given is not None:
        kind, _, token = given.partition(" ")
        if kind.lower() != "bearer":
            raise Refused(401, "want Authorization: Bearer TOKEN", {"WWW-Authenticate": "Bearer"})
        return token.strip()
    for offered in scope.get("subprotocols", ()) if scope["type"] == "websocket" else ():
        if offered.startswith(BEARER):
            return str(offered[len(BEARER) :])
    return None


def _cookie(headers: Headers) -> str | None:
    jar = SimpleCookie()
    try:
        jar.load(headers.get("cookie", ""))
    except CookieError:
        return None
    return jar[COOKIE].value if COOKIE in jar else None


def _is_number(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


@functools.cache
def _own_names() -> frozenset[str]:
    name = socket.gethostname().lower()
    return frozenset({"localhost", name, f"{name.partition('.')[0]}.local"})


async def _deny(answer: JSONResponse, scope: Scope, send: Send) -> None:
    """Answer a WebSocket's handshake as any request."""
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": 1008})
        return
    await send({"type": "websocket.http.response.start", "status": answer.status_code, "headers": answer.raw_headers})
    await send({"type": "websocket.http.response.body", "body": bytes(answer.body)})
