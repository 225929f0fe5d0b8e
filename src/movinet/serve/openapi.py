"""The REST part described for programs (OpenAPI 3.1) and for reading, without a request to anywhere else."""

from html import escape
from typing import Any

_NUMBER, _TEXT, _FLAG, _WHOLE = {"type": "number"}, {"type": "string"}, {"type": "boolean"}, {"type": "integer"}
_ERROR = {"type": "object", "properties": {"error": _TEXT}, "required": ["error"]}


def _seconds(most: float, above: bool = False) -> dict[str, Any]:
    least = {"exclusiveMinimum": 0} if above else {"minimum": 0}
    return {"type": "number", **least, "maximum": most}


_PROBABILITY = {"type": "number", "exclusiveMinimum": 0, "maximum": 1}
_THRESHOLDS = {"on": _PROBABILITY, "off": _PROBABILITY, "shortest": _seconds(3600)}
_SIDE = {"type": "number", "exclusiveMinimum": 0}
_SOURCE_IN = {
    "type": "object",
    "additionalProperties": False,
    "required": ["name", "address"],
    "properties": {
        "name": {
            "type": "string",
            "minLength": 1,
            "maxLength": 64,
            "pattern": "^[^/]+$",
            "description": "letters that can be printed, without /",
        },
        "address": {
            "type": "string",
            "minLength": 1,
            "maxLength": 2048,
            "description": "rtsp://, rtsps://, http://, https:// at an allowed host, or a file or camera of /api/files",
        },
        "substream": {"type": "string", "maxLength": 2048},
        "transport": {"enum": ["tcp", "http", "udp"]},
        "user": {"type": "string", "maxLength": 256},
        "password": {"type": "string", "maxLength": 256, "writeOnly": True},
        "stream": {"type": "integer", "minimum": 0, "maximum": 1000},
        "loop": _FLAG,
        "record": _FLAG,
        "motion_gate": _FLAG,
        "timeout": _seconds(120, above=True),
        "retries": {"type": "integer", "minimum": 0, "maximum": 1000000},
        "max_lag": _seconds(60, above=True),
        "crop": {
            "type": "object",
            "additionalProperties": False,
            "required": ["x", "y", "width", "height"],
            "properties": {
                **{key: {"type": "number", "minimum": 0} for key in ("x", "y")},
                **dict.fromkeys(("width", "height"), _SIDE),
            },
            "description": "in pixels, or in fractions of the picture where none is above 1",
        },
        "model": {"type": "string", "description": "a name of /api/models"},
        "memory": _seconds(1e6),
        **_THRESHOLDS,
        "ignore": {"type": "array", "items": _TEXT, "maxItems": 1000},
        "by_label": {
            "type": "object",
            "maxProperties": 1000,
            "additionalProperties": {"type": "object", "additionalProperties": False, "properties": _THRESHOLDS},
        },
    },
}
_SOURCE = {
    "type": "object",
    "required": ["name", "address", "model", "memory", "state", "why", "since", "time", "top", "running", "figures"],
    "properties": {
        "name": _TEXT,
        "address": {"type": "string", "description": "without login"},
        "model": _TEXT,
        "memory": {"type": "number", "description": "seconds; 0 never forgets"},
        "state": {"enum": ["opening", "running", "lost", "lagging", "ended", "given up"]},
        "why": {"type": ["string", "null"]},
        "since": {"type": "string", "format": "date-time"},
        "time": {"type": ["number", "null"]},
        "top": {"type": "array", "items": {"type": "object", "properties": {"label": _TEXT, "probability": _NUMBER}}},
        "running": {"type": "array", "items": {"type": "object"}},
        "figures": {"type": ["object", "null"]},
    },
}
_ROLE = {"type": ["string", "null"], "enum": ["viewer", "administrator", None]}

_NAME = {"name": "name", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
_FAULTS = {
    400: "makes no sense",
    401: "no token, or a wrong one",
    403: "not with this token, from this origin, or by this host",
    404: "there is none",
    408: "too slow",
    409: "the name is taken",
    413: "too large",
    415: "not JSON",
    429: "too often",
    503: "full, or stopping",
}


def _operation(
    summary: str,
    answer: dict[str, Any] | None,
    *,
    status: int = 200,
    kind: str = "application/json",
    body: dict[str, Any] | None = None,
    parameters: list[dict[str, Any]] | None = None,
    faults: tuple[int, ...] = (),
    open_to_all: bool = False,
) -> dict[str, Any]:
    answers: dict[str, Any] = {str(status): {"description": "as asked"}}
    if answer is not None:
        answers[str(status)]["content"] = {kind: {"schema": answer}}
    faults = (*faults, 400, 403, 413, *(() if open_to_all else (401, 429)), *((408, 415) if body else ()))
    for fault in sorted(set(faults)):
        answers[str(fault)] = {"description": _FAULTS[fault], "content": {"application/json": {"schema": _ERROR}}}
    operation: dict[str, Any] = {"summary": summary, "responses": answers}
    if body is not None:
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    if parameters:
        operation["parameters"] = parameters
    if open_to_all:
        operation["security"] = []
    return operation


def _state(summary: str) -> dict[str, Any]:
    """A word for who keeps the server running: 200, or 503 where the answer is no."""
    operation = _operation(summary, _TEXT, kind="text/plain", open_to_all=True)
    operation["responses"]["503"] = {"description": "no", "content": {"text/plain": {"schema": _TEXT}}}
    return operation


def describe(version: str, needs_token: bool = True) -> dict[str, Any]:
    """The whole description, in plain types, of a server of this version."""
    source = {"$ref": "#/components/schemas/Source"}
    source_in = {"$ref": "#/components/schemas/SourceEntry"}
    plain = "text/plain"
    events = [
        {
            "name": "types",
            "in": "query",
            "schema": _TEXT,
            "description": "prediction, begun, ended, lost, …; with commas",
        },
        {"name": "source", "in": "query", "schema": _TEXT},
    ]
    paths = {
        "/healthz": {"get": _state("Whether it works")},
        "/readyz": {"get": _state("Whether it takes more")},
        "/metrics": {"get": _operation("For Prometheus", _TEXT, kind=plain)},
        "/api/me": {
            "get": _operation(
                "Who asks",
                {"type": "object", "properties": {"role": _ROLE, "needs_token": _FLAG, "version": _TEXT}},
                open_to_all=True,
            )
        },
        "/api/login": {
            "post": _operation(
                "A cookie for a token",
                {"type": "object", "properties": {"role": _ROLE}},
                body={
                    "type": "object",
                    "required": ["token"],
                    "properties": {"token": {"type": "string", "maxLength": 128}},
                },
                faults=(401, 429),
                open_to_all=True,
            )
        },
        "/api/logout": {
            "post": _operation(
                "The cookie is void", {"type": "object", "properties": {"role": _ROLE}}, open_to_all=True
            )
        },
        "/api/models": {
            "get": _operation(
                "What recognizes",
                {"type": "object", "properties": {"default": _TEXT, "models": {"type": "array"}}},
            )
        },
        "/api/files": {
            "get": _operation(
                "Files, and cameras of the server's machine, that may be sources",
                {
                    "type": "object",
                    "properties": {key: {"type": "array", "items": _TEXT} for key in ("files", "cameras")},
                },
            )
        },
        "/api/sources": {
            "get": _operation(
                "All sources", {"type": "object", "properties": {"sources": {"type": "array", "items": source}}}
            ),
            "post": _operation("Add a source", source, status=201, body=source_in, faults=(409, 503)),
        },
        "/api/sources/{name}": {
            "get": _operation("A source", source, parameters=[_NAME], faults=(404,)),
            "put": _operation(
                "Another source in its place", source, body=source_in, parameters=[_NAME], faults=(404, 503)
            ),
            "delete": _operation("Remove it", None, status=204, parameters=[_NAME], faults=(404,)),
        },
        "/api/sources/{name}/picture.jpg": {
            "get": _operation("Its newest picture", {}, kind="image/jpeg", parameters=[_NAME], faults=(404,))
        },
        "/api/clips": {
            "get": _operation("Clips around events", {"type": "object", "properties": {"clips": {"type": "array"}}})
        },
        "/api/clips/{source}/{clip}": {
            "get": _operation(
                "A clip, as the camera sent it",
                {},
                kind="video/mp4",
                parameters=[{**_NAME, "name": "source"}, {**_NAME, "name": "clip"}],
                faults=(404,),
            )
        },
        "/api/events": {
            "get": _operation(
                "News of sources as server-sent events",
                _TEXT,
                kind="text/event-stream",
                parameters=events,
                faults=(503,),
            )
        },
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "movinet serve", "version": version, "license": {"name": "Apache-2.0"}},
        "security": [{"token": []}, {"cookie": []}] if needs_token else [],
        "paths": paths,
        "components": {
            "schemas": {"Source": _SOURCE, "SourceEntry": _SOURCE_IN},
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "cookie": {"type": "apiKey", "in": "cookie", "name": "movinet"},
            },
        },
    }


def describe_in_html(version: str) -> str:
    """The same for reading: one page that needs nothing else."""
    rows = []
    for path, operations in describe(version)["paths"].items():
        for method, operation in operations.items():
            answers = ", ".join(operation["responses"])
            who = "anyone" if operation.get("security") == [] else "viewer" if method == "get" else "administrator"
            cells = (method.upper(), path, operation["summary"], who, answers)
            rows.append("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>movinet serve: requests</title></head>'
        '<body><h1>Requests</h1><p>For programs: <a href="/api/openapi.json">openapi.json</a>. Pictures go over '
        "the WebSocket <code>/api/stream</code>.</p><table><thead><tr><th>method</th><th>path</th><th>what</th>"
        f"<th>who</th><th>answers</th></tr></thead><tbody>{''.join(rows)}</tbody></table></body></html>"
    )
