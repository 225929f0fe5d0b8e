"""Object stores through fsspec: listing prefixes, and bringing a video here."""

import os
import random
import shutil
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from movinet.archive.items import Item
from movinet.errors import MovinetError, VideoError, needs_extra
from movinet.video.decode import VIDEOS
from movinet.video.net.sources import without_password

_STORES = {"s3": "s3fs", "gs": "gcsfs", "gcs": "gcsfs"}
"""Schemes, and the package that speaks to them."""
_TAGS = ("ETag", "etag", "md5Hash", "generation", "LastModified", "last_modified", "updated")
"""What stores call what changes with the contents; the first that is there counts."""
_TRIES = 5
_LONGEST_PAUSE = 20.0  # seconds
_CHUNK = 4 << 20
_SPARE = 256 << 20  # bytes that stay free on the disk


def is_stored(source: str) -> bool:
    """Whether this is a place in an object store, or a folder on a web server: what fsspec lists."""
    scheme, found, _ = source.partition("://")
    return bool(found) and (scheme in _STORES or (scheme in ("http", "https") and source.endswith("/")))


def is_fetched(path: str) -> bool:
    """Whether a video has to be brought here before it can be decoded."""
    return path.partition("://")[0] in _STORES


def list_store(prefix: str) -> Iterator[Item]:
    """The videos below a prefix, however many pages the store tells them in; a single object is itself.

    Raises:
        MissingExtra: the package for this store is not installed.
        MovinetError: it cannot be listed.
    """
    scheme, files = prefix.partition("://")[0], _file_system(prefix)
    try:
        found = patient(lambda: _found(files, prefix))
    except Exception as error:
        raise MovinetError(f"{without_password(prefix)}: cannot be listed: {_reason(error)}") from error
    for name in sorted(found):
        about = found[name]
        path = name if "://" in name else f"{scheme}://{name}"
        if len(found) == 1 or os.path.splitext(name.partition("?")[0])[1].lower() in VIDEOS:
            yield _item(path, about)


def stored_item(path: str) -> Item:
    """An object as it is.

    Raises:
        VideoError: it is not there, or cannot be asked about.
    """
    files = _file_system(path)
    try:
        files.invalidate_cache()
        return _item(path, patient(lambda: files.info(path)))
    except Exception as error:
        raise VideoError(f"{without_password(path)}: cannot be read: {_reason(error)}") from None


def fetch(item: Item, into: Path, alive: Callable[[], None]) -> None:
    """Bring an object's contents into a file. A connection that breaks is made anew, and goes on where it was.

    Args:
        item: an object.
        into: to be written.
        alive: called as data arrives.

    Raises:
        VideoError: it is gone or has changed, cannot be read for all patience, or the disk has no room for it.
    """
    files, name = _file_system(item.path), without_password(item.path)
    free = shutil.disk_usage(into.parent).free
    if item.size > free - _SPARE:
        raise VideoError(f"{name}: has {item.size >> 20} MiB, and {into.parent} has {free >> 20} MiB free")
    at = 0
    try:
        with into.open("wb") as file:
            while item.size < 0 or at < item.size:
                end = at + _CHUNK if item.size < 0 else min(at + _CHUNK, item.size)
                data = patient(partial(files.cat_file, item.path, start=at, end=end), alive)
                if not data:
                    break
                file.write(data)
                at += len(data)
                alive()
    except Exception as error:
        raise VideoError(f"{name}: cannot be read: {_reason(error)}") from None
    if item.size >= 0 and at != item.size:
        raise VideoError(f"{name}: has {at} bytes, not the {item.size} that were listed")
    there = stored_item(item.path)
    if there.fingerprint != item.fingerprint:
        raise VideoError(f"{name}: changed while it was read; the same command does it again")


def patient(ask: Callable[[], Any], alive: Callable[[], None] = lambda: None) -> Any:
    """What a store answers, asked again with growing pauses where it is busy or the connection breaks.

    Raises:
        Exception: what it says in the end; at once where asking again cannot help.
    """
    for attempt in range(_TRIES):
        try:
            return ask()
        except (FileNotFoundError, PermissionError, IsADirectoryError, NotImplementedError):
            raise
        except Exception:
            if attempt == _TRIES - 1:
                raise
        pause = min(_LONGEST_PAUSE, 0.1 * 2**attempt) * random.uniform(0.5, 1.5)
        until = time.monotonic() + pause
        while (left := until - time.monotonic()) > 0:
            alive()
            time.sleep(min(left, 1.0))
    raise AssertionError


def _file_system(path: str) -> Any:
    scheme = path.partition("://")[0]
    with needs_extra("cloud"):
        import fsspec
    try:
        return fsspec.filesystem(scheme)
    except ImportError as error:
        package = _STORES.get(scheme, "aiohttp")
        raise MovinetError(f"{scheme}:// needs a package that is not installed: pip install {package}") from error


def _found(files: Any, prefix: str) -> dict[str, Any]:
    files.invalidate_cache()  # a try that broke off, or an earlier scan, may have left a part
    return files.find(prefix, detail=True)


def _item(path: str, about: dict[str, Any]) -> Item:
    size = about.get("size")
    tag = next((str(about[name]) for name in _TAGS if about.get(name)), "")
    return Item(path, -1 if size is None else int(size), f"etag:{tag.strip(chr(34))}" if tag else "")


def _reason(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:200]
