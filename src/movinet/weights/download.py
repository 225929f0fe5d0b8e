"""Fetch a file once: cached, checked, resumed where a connection was cut, never half there.

Environment: `MOVINET_CACHE` is the cache folder (else `$XDG_CACHE_HOME/movinet`, else `~/.cache/movinet`).
`MOVINET_MIRROR` replaces the scheme and host of every address and may be a folder: with
`MOVINET_MIRROR=https://mirror.example/weights`, `https://host/a/b.tar.gz` is fetched from
`https://mirror.example/weights/a/b.tar.gz`. Proxies are taken from `https_proxy` and its kin.
"""

import errno
import hashlib
import http.client
import os
import re
import socket
import ssl
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import Message
from pathlib import Path
from typing import IO
from urllib.error import HTTPError
from urllib.parse import SplitResult, unquote, urljoin, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener, url2pathname

from movinet.errors import WeightsError
from movinet.files import write_atomically
from movinet.video.net.sources import without_password
from movinet.weights.cache_folder import default_cache_dir

Progress = Callable[[int, int | None], None]
"""Called with the bytes present so far and the bytes expected, None where the server does not say."""

_CHUNK = 1 << 18
_PASSING = {408, 425, 429, 500, 502, 503, 504}


def fetch(
    url: str,
    *,
    sha256: str | None,
    cache_dir: Path | None = None,
    offline: bool = False,
    progress: Progress | None = None,
    timeout: float = 30.0,
    attempts: int = 5,
    backoff: float = 1.0,
) -> Path:
    """The local path of the file at `url`, downloaded if it is not in the cache.

    A `file://` address or a plain path is checked and returned as it is. Where no `sha256` is known, the hash seen
    first is recorded next to the file (`NAME.sha256`, as sha256sum writes it) and holds from then on.

    A download is given up after `attempts` tries in a row that got no further, with `backoff`, 2·`backoff`, … seconds
    between them; `timeout` is the longest silence in seconds. What has arrived is kept and resumed by the next call.
    Several processes may ask for the same file: one downloads, the others wait.

    Raises `WeightsError` where the file cannot be had, is not what its hash says, or is not in the cache while
    `offline`.
    """
    if sha256 is not None and not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
        raise WeightsError(f"{sha256!r} is not a SHA-256: it has 64 hexadecimal digits")
    local = _local_path(url)
    if local is not None:
        return _checked(local, sha256)
    target = cache_path(url, cache_dir)
    if target.is_file():
        return _checked(target, sha256, record=True)
    source = _mirrored(url)
    local = _local_path(source)
    if local is not None:
        return _checked(local, sha256)
    if offline:
        known = f" (SHA-256 {sha256})" if sha256 else ""
        raise WeightsError(
            f"offline, and not in the cache: download {without_password(url)}{known} elsewhere and put it at {target}"
        )
    download = _Download(source, target, sha256, progress, timeout)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _lock(target.with_name(f".{target.name}.lock")):
            if not target.is_file():  # another process may have been faster
                download.run(attempts, backoff)
        return _checked(target, sha256, record=True)
    except OSError as error:
        raise _unwritable(target, error) from error


def cache_path(url: str, cache_dir: Path | None = None) -> Path:
    """Where `fetch` keeps the file at `url`: host and path become folders of the cache."""
    parts = urlsplit(url)
    if not parts.hostname:
        raise WeightsError(f"{without_password(url)!r} is neither an http(s) or file address nor an existing file")
    names = [re.sub(r"[^\w.-]", "_", name) for name in unquote(parts.path).split("/")]
    names = [name for name in names if name.strip(".")]
    if not names:
        raise WeightsError(f"{without_password(url)!r} names no file")
    if parts.query:
        names[-1] = f"{hashlib.sha256(parts.query.encode()).hexdigest()[:8]}-{names[-1]}"
    host = parts.hostname.replace(":", "_") + (f"_{_port(parts, url)}" if _port(parts, url) else "")
    return (cache_dir or default_cache_dir()).joinpath(host, *names)


def _port(parts: SplitResult, url: str) -> int | None:
    try:
        return parts.port
    except ValueError:
        raise WeightsError(f"{without_password(url)!r} is not an address: its port is no number") from None


def _local_path(url: str) -> Path | None:
    parts = urlsplit(url)
    if parts.scheme in {"http", "https"}:
        return None
    if parts.scheme == "file":
        return Path(url2pathname(parts.path))
    if len(parts.scheme) > 1:  # one letter is a Windows drive
        raise WeightsError(f"cannot fetch {without_password(url)}: only http, https and file addresses are supported")
    return Path(url).expanduser()


def _mirrored(url: str) -> str:
    mirror = os.environ.get("MOVINET_MIRROR")
    if not mirror:
        return url
    parts = urlsplit(url)
    return mirror.rstrip("/") + parts._replace(scheme="", netloc="", fragment="").geturl()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _checked(path: Path, sha256: str | None, record: bool = False) -> Path:
    """`path`, if its content is what `sha256` says, or what was recorded (now, if `record` and it never was)."""
    note = path.with_name(path.name + ".sha256")
    try:
        found = _sha256(path)
        recorded = note.read_text(errors="replace").split() if record and note.is_file() else []
        expected = sha256 or (recorded[0] if recorded else None)
        if expected is None:
            if record and os.access(path.parent, os.W_OK):  # a read-only cache serves too
                write_atomically(note, f"{found}  {path.name}\n".encode())
            return path
    except OSError as error:
        raise WeightsError(f"cannot read {path}: {error.strerror or error}") from error
    if found != expected.lower():
        kept = f"; delete it{'' if sha256 else f' and {note.name}'} to download it again" if record else ""
        raise WeightsError(f"{path} has SHA-256 {found}, expected {expected}{kept}")
    return path


def _unwritable(target: Path, error: OSError) -> WeightsError:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return WeightsError(f"no space left for {target}; free some, or name another cache folder in MOVINET_CACHE")
    return WeightsError(f"cannot write {target}: {error.strerror or error}; name another cache folder in MOVINET_CACHE")


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Hold `path` as a lock between processes; the system frees it when a process dies."""
    with path.open("a+b") as file:
        if sys.platform == "win32":
            import msvcrt

            while True:
                try:
                    msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)  # tries for ten seconds
                    break
                except OSError:
                    continue
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield


class _Cut(Exception):
    """An attempt ended early, for a reason that may pass."""


class _Redirects(HTTPRedirectHandler):
    """Follows up to ten redirects, never from https to anything else."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: http.client.HTTPMessage, newurl: str
    ) -> Request | None:
        new = urlsplit(urljoin(req.full_url, newurl))
        if new.scheme != "https" and (req.type == "https" or new.scheme != "http"):
            fp.close()
            one, other = without_password(req.full_url), without_password(new.geturl())
            raise WeightsError(f"{one} redirects to {other}, which is not secure: refused")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


class _Download:
    """One file on its way to `target`: `NAME.part` and the server's tag for that very content, `NAME.part.tag`."""

    def __init__(
        self, source: str, target: Path, sha256: str | None, progress: Progress | None, timeout: float
    ) -> None:
        self.source, self.target, self.sha256, self.progress, self.timeout = source, target, sha256, progress, timeout
        self.shown = without_password(source)
        self.part = target.with_name(target.name + ".part")
        self.tag = target.with_name(target.name + ".part.tag")

    def run(self, attempts: int, backoff: float) -> None:
        furthest, failures = self.present(), 0
        while True:
            resumed = self.present() > 0
            try:
                self.attempt()
                self.finish(resumed)
                return
            except _Cut as error:
                present = self.present()
                failures = 1 if present > furthest else failures + 1
                furthest = max(furthest, present)
                if failures >= attempts:
                    kept = f"; the {present} bytes that arrived are kept, try again to resume" if present else ""
                    raise WeightsError(f"cannot download {self.shown}: {error}{kept}") from error
            time.sleep(min(backoff * 2 ** (failures - 1), 60.0))

    def present(self) -> int:
        """How many bytes can be resumed: none if it is not known which content they belong to."""
        return self.part.stat().st_size if self.part.is_file() and self.tag.is_file() else 0

    def discard(self) -> None:
        self.part.unlink(missing_ok=True)
        self.tag.unlink(missing_ok=True)

    def attempt(self) -> None:
        """Bring the part file to its full length, or raise `_Cut`."""
        offset = self.present()
        headers = {"User-Agent": "movinet", "Accept-Encoding": "identity"}
        if offset:
            # Where the content is no longer the tagged one, the server sends it whole.
            headers |= {"Range": f"bytes={offset}-", "If-Range": self.tag.read_text()}
        try:
            response = build_opener(_Redirects).open(Request(self.source, headers=headers), timeout=self.timeout)
        except HTTPError as error:
            with error:
                self.refused(error, offset)
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            if isinstance(reason, ssl.SSLCertVerificationError):
                raise WeightsError(f"cannot download {self.shown}: its certificate is refused ({reason})") from error
            if isinstance(error, http.client.InvalidURL):
                raise WeightsError(
                    f"cannot download {self.shown}: no address, or one with a user and password, which are not sent"
                ) from None
            if isinstance(reason, socket.gaierror):  # waiting does not help against having no network
                raise WeightsError(
                    f"cannot download {self.shown}: its host is not known here ({reason.strerror}); without a "
                    f"network, fetch the file elsewhere and put it at {self.target}, or name a mirror in MOVINET_MIRROR"
                ) from error
            raise _cut(error) from error
        else:
            with response:
                self.receive(response, offset)

    def refused(self, error: HTTPError, offset: int) -> None:
        """Return where the refusal means that all is here."""
        if error.code == 416:  # nothing after offset
            if _span(error.headers)[1] == offset:
                return
            self.discard()
            raise _Cut("the file changed on the server") from error
        if error.code in _PASSING:
            raise _Cut(f"the server answers {error.code} {error.reason}") from error
        answer = f"{error.code} {str(error.reason).splitlines()[0]}"
        raise WeightsError(f"cannot download {self.shown}: the server answers {answer}") from error

    def receive(self, response: http.client.HTTPResponse, offset: int) -> None:
        if response.status == 206:
            start, total = _span(response.headers)
            if start != offset:
                self.discard()
                raise _Cut(f"the server sent bytes from {start} when asked for those from {offset}")
        else:
            offset = 0
            self.discard()
            length = response.headers.get("Content-Length", "")
            total = int(length) if length.isdecimal() else None
            etag = response.headers.get("ETag", "")
            tag = etag if etag.startswith('"') else response.headers.get("Last-Modified")  # a weak tag will not do
            if tag:
                self.tag.write_text(tag)
        with self.part.open("ab") as file:
            while True:
                if self.progress:
                    self.progress(offset, total)
                try:
                    chunk = response.read1(_CHUNK)
                except (OSError, http.client.HTTPException) as error:
                    raise _cut(error) from error
                if not chunk:
                    break
                self.write(file, chunk)
                offset += len(chunk)
        if total is not None and offset != total:
            raise _Cut(f"the connection was cut after {offset} of {total} bytes")

    def write(self, file: IO[bytes], chunk: bytes) -> None:
        try:
            file.write(chunk)
            file.flush()
        except OSError as error:
            self.discard()  # what keeps the disk full helps nobody
            raise _unwritable(self.target, error) from error

    def finish(self, resumed: bool) -> None:
        """Give the whole part its name, if it is what it should be."""
        found = _sha256(self.part)
        if self.sha256 and found != self.sha256.lower():
            self.discard()
            if resumed:
                raise _Cut("the pieces did not fit together")
            raise WeightsError(f"{self.shown} has SHA-256 {found}, expected {self.sha256}: changed, or a wrong mirror")
        with self.part.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(self.part, self.target)
        self.tag.unlink(missing_ok=True)


def _cut(error: Exception) -> _Cut:
    reason = getattr(error, "reason", error)
    return _Cut("the server is silent" if isinstance(reason, TimeoutError) else str(reason) or repr(reason))


def _span(headers: Message) -> tuple[int | None, int | None]:
    """First byte and total of a Content-Range: `bytes 5-9/10` or `bytes */10`."""
    found = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", headers.get("Content-Range", ""))
    if found is None:
        return None, None
    return int(found[1]) if found[1] else None, int(found[2]) if found[2] != "*" else None
