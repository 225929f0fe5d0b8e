"""The server as an ASGI application: routes, behind the one door."""

from collections.abc import Awaitable, Callable, Mapping

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp
from starlette.websockets import WebSocket

from movinet.errors import MovinetError
from movinet.serve.guard import Guard, Refused
from movinet.serve.openapi import describe, describe_in_html
from movinet.serve.rest import Plain, Rest, on_error
from movinet.serve.services import Services
from movinet.serve.static_page import StaticPage
from movinet.serve.stream_socket import StreamSocket

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")


def application(services: Services) -> ASGIApp:
    """Everything that is answered."""
    rest, page = Rest(services), StaticPage()

    async def stream(websocket: WebSocket) -> None:
        await StreamSocket(websocket, services).run()

    async def openapi(request: Request) -> Response:
        return Plain(describe(services.version, services.tokens.needed))

    async def reading(request: Request) -> Response:
        return HTMLResponse(describe_in_html(services.version))

    routes = [
        WebSocketRoute("/api/stream", stream),
        Route("/healthz", rest.health),
        Route("/readyz", rest.ready),
        Route("/metrics", rest.metrics),
        Route("/api/me", rest.me),
        _one("/api/login", {"POST": rest.login}),
        _one("/api/logout", {"POST": rest.logout}),
        Route("/api/models", rest.models),
        Route("/api/files", rest.files),
        _one("/api/sources", {"GET": rest.sources, "POST": rest.add}),
        _one("/api/sources/{name}", {"GET": rest.source, "PUT": rest.change, "DELETE": rest.remove}),
        Route("/api/sources/{name}/picture.jpg", rest.picture),
        Route("/api/clips", rest.clips),
        Route("/api/clips/{source}/{clip}", rest.clip),
        Route("/api/events", rest.events),
        Route("/api/openapi.json", openapi),
        Route("/api/docs", reading),
        Route("/{path:path}", page.__call__),
    ]
    handlers = {MovinetError: on_error, Refused: on_error}
    app = Starlette(routes=routes, exception_handlers=handlers)
    app.router.redirect_slashes = False
    return Guard(app, services)


def _one(path: str, answers: Mapping[str, Callable[[Request], Awaitable[Response]]]) -> Route:
    """One route for all methods of an address, so that others are told which there are."""

    async def answer(request: Request) -> Response:
        found = answers.get("GET" if request.method == "HEAD" else request.method)
        if found is None:
            allowed = ", ".join([*answers, *(["HEAD"] if "GET" in answers else [])])
            return PlainTextResponse("Method Not Allowed", 405, {"Allow": allowed})
        return await found(request)

    return Route(path, answer, methods=_METHODS)
