"""Read files out of a tar archive in place: nothing is unpacked to disk, no link followed, and no size believed."""

import gzip
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

from movinet.errors import WeightsError

Files = Mapping[str, Callable[[], bytes]]
"""File name → a function that reads it whole."""

_GZIP = b"\x1f\x8b"
_MOST_MEMBERS = 4096
_LARGEST_HEADER = 1 << 20  # bytes; names and attributes come in headers of their own


def is_archive(path: Path) -> bool:
    """Whether a file is a tar archive, packed by gzip or not, whatever its name."""
    with path.open("rb") as file:
        head = file.read(265)
    return head[:2] == _GZIP or head[257:262] == b"ustar"


@contextmanager
def open_archive(path: Path, most: int) -> Iterator[Files]:
    """The regular files of an archive, to be read before the context ends.

    Args:
        path: of the archive.
        most: bytes that its members may have together.

    Raises:
        WeightsError: it is damaged, or larger than that; also from within the context.
    """
    try:
        with path.open("rb") as file:
            packed = file.read(2) == _GZIP
            file.seek(0)
            plain: IO[bytes] = gzip.GzipFile(fileobj=file) if packed else file  # type: ignore[assignment]
            stream = _Limited(plain)
            with tarfile.open(fileobj=stream, mode="r:") as archive:  # type: ignore[call-overload]
                yield _members(archive, stream, path, most)
    except (
        tarfile.TarError,
        zlib.error,
        EOFError,
        gzip.BadGzipFile,
        ValueError,
        OverflowError,
        RecursionError,
    ) as error:
        if isinstance(error, WeightsError):
            raise
        raise WeightsError(f"{path} is not a whole tar archive ({error}); get it again") from error


class _Limited:
    """A file that gives no more at once than is due: headers say themselves how long they are."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file, self.most = file, _LARGEST_HEADER

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= self.most:
            raise tarfile.ReadError(f"{size} bytes of a header")
        return self.file.read(size)

    def seek(self, position: int) -> int:
        return self.file.seek(position)

    def tell(self) -> int:
        return self.file.tell()


def _members(archive: tarfile.TarFile, stream: _Limited, path: Path, most: int) -> Files:
    files: dict[str, Callable[[], bytes]] = {}
    total = count = 0
    for member in archive:
        total, count = total + member.size, count + 1
        if total > most or count > _MOST_MEMBERS:
            raise WeightsError(f"{path} unpacks to more than {most >> 20} MiB or {_MOST_MEMBERS} files")
        if member.isreg() and not PurePosixPath(member.name).name.startswith("._"):  # macOS adds ._ files
            files[member.name] = partial(_member, archive, member, stream)
    return files


def _member(archive: tarfile.TarFile, member: tarfile.TarInfo, stream: _Limited) -> bytes:
    content = archive.extractfile(member)
    assert content is not None, "a regular file"
    stream.most = max(member.size, _LARGEST_HEADER)
    try:
        return content.read()
    finally:
        stream.most = _LARGEST_HEADER
