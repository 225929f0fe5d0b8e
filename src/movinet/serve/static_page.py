"""The page's files, known by name from the start: what is asked for is looked up, never joined to a folder."""

import hashlib
import mimetypes
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from movinet.video.sample import sample_clip

FOLDER = Path(__file__).with_name("page")

_TYPES = {
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".wasm": "application/wasm",
    ".gz": "application/gzip",  # unpacked by the page: no encoding of the connection's
    ".tflite": "application/octet-stream",
}
_MOST, _LARGEST = 500, 64 << 20  # files, and bytes of one
_LASTING = "public, max-age=31536000, immutable"


@dataclass(frozen=True)
class _File:
    data: bytes
    type: str
    etag: str
    lasting: bool  # its name changes with what is in it


class StaticPage:
    """Serves the files of a folder as they were when it was made."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._files: dict[str, _File] = {}
        for path in sorted(folder.rglob("*")):
            if path.is_file() and not path.is_symlink() and len(self._files) < _MOST:
                self._files[f"/{path.relative_to(folder).as_posix()}"] = _read(path)
        if "/index.html" in self._files:
            self._files["/"] = self._files["/index.html"]
            self._files["/sample.mp4"] = _read(sample_clip())  # for whoever has no camera
            self._files["/page.json"] = _file(
                b'{"mode": "server", "sample": "sample.mp4"}\n', "application/json", False
            )

    async def __call__(self, request: Request) -> Response:
        """The file of that name, or 404."""
        found = self._files.get(request.url.path)
        if found is None:
            return Response("there is no such page\n", 404, media_type="text/plain")
        headers = {"ETag": found.etag, "Cache-Control": _LASTING if found.lasting else "no-cache"}
        if request.headers.get("if-none-match") == found.etag:
            return Response(status_code=304, headers=headers)
        return Response(found.data, headers=headers, media_type=found.type)


def _read(path: Path) -> _File:
    if path.stat().st_size > _LARGEST:
        raise ValueError(f"{path} is too large to be served")
    data = path.read_bytes()
    kind = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return _file(data, kind, path.parent.name == "assets")


def _file(data: bytes, kind: str, lasting: bool) -> _File:
    return _File(data, kind, f'"{hashlib.sha256(data).hexdigest()[:32]}"', lasting)
