"""What is asked for and changed over HTTP; docs/serve.md has it as a table, `movinet.serve.openapi` for programs."""

import asyncio
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from movinet.errors import MovinetError
from movinet.files import dump_json
from movinet.reading import parse_json
from movinet.serve.clip_store import find_clip, list_clips
from movinet.serve.guard import COOKIE, Refused, check_token
from movinet.serve.listeners import Hub, Listener
from movinet.serve.prometheus import exposition
from movinet.serve.services import Services
from movinet.serve.source_rules import list_files, with_password_kept
from movinet.serve.source_wall import Full, Missing, Taken
from movinet.serve.tokens import LONGEST_TOKEN

TYPES = frozenset({"prediction", "begun", "ended", "lost", "found", "lagging", "caught_up", "over"})

_NO_STORE = {"Cache-Control": "no-store"}


class Plain(JSONResponse):
    """JSON that is not kept by anybody in between."""

    def __init__(self, value: Any, status: int = 200) -> None:
        super().__init__(value, status, _NO_STORE)

    def render(self, content: Any) -> bytes:
        return dump_json(content).encode()


class EventStream(StreamingResponse):
    """News for one listener, who is forgotten however it ends."""

    def __init__(self, listener: Listener, hub: Hub) -> None:
        headers = {"X-Accel-Buffering": "no", **_NO_STORE}
        super().__init__(listener.events(), headers=headers, media_type="text/event-stream")
        self._listener, self._hub = listener, hub

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._hub.listeners.add(self._listener)
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._hub.listeners.discard(self._listener)


class Rest:
    """The requests of one server; each method answers one kind."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def health(self, request: Request) -> Response:
        """Whether it works at all."""
        fine = self._services.pools.alive
        return PlainTextResponse("fine\n" if fine else "a pool has broken down\n", 200 if fine else 503, _NO_STORE)

    async def ready(self, request: Request) -> Response:
        """Whether it takes more."""
        pools = self._services.pools
        if self._services.draining or not pools.alive:
            return PlainTextResponse("stopping\n" if self._services.draining else "broken\n", 503, _NO_STORE)
        if all(pools.is_full(pool) for pool in pools.by_name.values()):
            return PlainTextResponse("full\n", 503, _NO_STORE)
        return PlainTextResponse("ready\n", 200, _NO_STORE)

    async def metrics(self, request: Request) -> Response:
        """For Prometheus."""
        text = exposition(self._services)
        return Response(text, headers=_NO_STORE, media_type="text/plain; version=0.0.4; charset=utf-8")

    async def me(self, request: Request) -> Response:
        """Who asks."""
        needed = self._services.tokens.needed
        return Plain({"role": request.scope["role"], "needs_token": needed, "version": self._services.version})

    async def login(self, request: Request) -> Response:
        """A cookie for a token."""
        data = await _body(request)
        token = data.get("token") if isinstance(data, dict) else None
        if not isinstance(token, str) or len(token) > LONGEST_TOKEN:
            return _error(f'want {{"token": "…"}}, of at most {LONGEST_TOKEN} letters')
        tokens = self._services.tokens
        if not tokens.needed:
            return Plain({"role": "administrator"})
        role = await check_token(self._services, token, request.scope)
        if role is None:
            return _error("that token is not right", 401)
        value, seconds = tokens.cookie(role)
        answer = Plain({"role": role})
        secure = self._services.settings.secure
        answer.set_cookie(COOKIE, value, int(seconds), httponly=True, samesite="strict", secure=secure)
        return answer

    async def logout(self, request: Request) -> Response:
        """The cookie is void."""
        if value := request.cookies.get(COOKIE):
            self._services.tokens.forget_cookie(value)
        answer = Plain({"role": None})
        answer.delete_cookie(COOKIE)
        return answer

    async def models(self, request: Request) -> Response:
        """What recognizes."""
        pools = self._services.pools
        return Plain({"default": pools.default, "models": pools.described()})

    async def files(self, request: Request) -> Response:
        """What may be a source."""
        settings = self._services.settings
        cameras = [str(number) for number in settings.cameras]
        return Plain({"files": await asyncio.to_thread(list_files, settings), "cameras": cameras})

    async def sources(self, request: Request) -> Response:
        """All of them."""
        return Plain({"sources": self._services.wall.described()})

    async def add(self, request: Request) -> Response:
        """A new one."""
        entry = await _body(request)
        return Plain(await asyncio.to_thread(self._services.wall.add, entry), 201)

    async def source(self, request: Request) -> Response:
        """One of them."""
        return Plain(self._services.wall.one(request.path_params["name"]))

    async def change(self, request: Request) -> Response:
        """Another in its place."""
        entry, name = await _body(request), request.path_params["name"]
        if not isinstance(entry, dict):
            return _error("want an object")

        def replace() -> dict[str, Any]:
            return self._services.wall.replace(name, lambda before: with_password_kept({"name": name, **entry}, before))

        return Plain(await asyncio.to_thread(replace))

    async def remove(self, request: Request) -> Response:
        """It is watched no more."""
        await asyncio.to_thread(self._services.wall.remove, request.path_params["name"])
        return Response(status_code=204)

    async def picture(self, request: Request) -> Response:
        """The newest."""
        tile = self._services.wall.tile(request.path_params["name"])
        data = await asyncio.to_thread(tile.jpeg)
        if data is None:
            return _error("there is no picture", 404)
        return Response(data, headers=_NO_STORE, media_type="image/jpeg")

    async def clips(self, request: Request) -> Response:
        """What was recorded."""
        return Plain({"clips": await asyncio.to_thread(list_clips, self._services.settings.clips)})

    async def clip(self, request: Request) -> Response:
        """One of them, as the camera sent it."""
        asked = request.path_params["source"], request.path_params["clip"]
        found = await asyncio.to_thread(find_clip, self._services.settings.clips, *asked)
        if found is None:
            return _error("there is no such clip", 404)
        return FileResponse(found, headers={"Cache-Control": "private, max-age=3600"})

    async def events(self, request: Request) -> Response:
        """As they come."""
        hub, query = self._services.hub, request.query_params
        if self._services.draining or len(hub.listeners) >= self._services.settings.bounds.listeners:
            return _error("no more listeners can be told", 503)
        types = frozenset(query["types"].split(",")) if query.get("types") else None
        if types is not None and not types <= TYPES:
            return _error(f"types: choose among {', '.join(sorted(TYPES))}")
        return EventStream(Listener(types, query.get("source")), hub)


def _error(why: str, status: int = 400) -> Response:
    return Plain({"error": why}, status)


async def _body(request: Request) -> Any:
    """What was sent, as JSON; its size is bounded by the guard."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Refused(415, "want Content-Type: application/json")
    return parse_json(await request.body())


async def on_error(request: Request, error: Exception) -> Response:
    """What was asked for makes no sense, or is not there."""
    match error:
        case Missing():
            return _error(str(error), 404)
        case Taken():
            return _error(str(error), 409)
        case Full():
            return _error(str(error), 503)
        case Refused():
            answer = _error(error.why, error.status)
            answer.headers.update(error.headers or {})
            return answer
        case ClientDisconnect():
            return Response(status_code=400)
        case MovinetError():
            return _error(str(error))
        case _:
            raise error
