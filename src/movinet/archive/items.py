"""What a scan looks at: a video, and by what it is known again."""

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from movinet.errors import VideoError
from movinet.video.locations import is_address

ABSENT = "absent"
"""The version of what was listed and is not there, so that it is looked at again once it is."""


@dataclass(frozen=True, slots=True)
class Item:
    """One video, as it was when it was listed.

    Args:
        path: absolute, or an address; names that are not UTF-8 as Python has them (surrogate escapes).
        size: bytes; -1 where nobody tells.
        version: changes when the contents do: `mtime:` and nanoseconds, `etag:` and what an object store says, or
            nothing where nobody tells.
    """

    path: str
    size: int
    version: str

    @property
    def key(self) -> str:
        """Names the path, in 32 hexadecimal digits."""
        return key_of(self.path)

    @property
    def fingerprint(self) -> str:
        """Tells apart what stood at the path at different times, in 16 hexadecimal digits."""
        return _digest(f"{self.size} {self.version}", 8)

    @property
    def modified(self) -> float | None:
        """When a file was changed last, in seconds since 1970."""
        kind, _, value = self.version.partition(":")
        return int(value) / 1e9 if kind == "mtime" else None

    @property
    def etag(self) -> str | None:
        """What an object store calls the contents."""
        kind, _, value = self.version.partition(":")
        return value if kind == "etag" else None


def key_of(path: str) -> str:
    """See `Item.key`."""
    return _digest(path, 16)


def file_item(path: str | Path) -> Item:
    """A file as it is; one that is not there, or cannot be reached, is `ABSENT`."""
    return listed_item(os.path.abspath(path))


def listed_item(path: str) -> Item:
    """The same of an absolute path."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return Item(path, -1, ABSENT)
    return Item(path, found.st_size, f"mtime:{found.st_mtime_ns}")


def check_file(item: Item) -> None:
    """Refuse what cannot be read as a file: pipes and devices would be waited for.

    Raises:
        VideoError: it is gone, or something else than a file.
    """
    if is_address(item.path):
        return
    try:
        found = os.stat(item.path)
    except (OSError, ValueError) as error:
        raise VideoError(f"{item.path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if not stat.S_ISREG(found.st_mode):
        raise VideoError(f"{item.path}: not a file")
    if not found.st_size:
        raise VideoError(f"{item.path}: empty")


def _digest(text: str, size: int) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=size).hexdigest()
