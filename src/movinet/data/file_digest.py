"""What a file is known by again: neither its name nor its age, and without reading all of it."""

import os
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path

from movinet.video.locations import Member

DIGEST = 8
"""Bytes."""

_SAMPLE = 4096  # bytes, at the beginning, in the middle and at the end of a file
_IMAGES = 8  # of a folder, whose contents are looked at


def file_digest(path: Path | Member) -> bytes:
    """Of a file's size and three samples of its bytes; of a folder of images the names and sizes of all and such
    samples of some. Zeros for what cannot be read: whoever reads it will say so."""
    digest = blake2b(digest_size=DIGEST)
    try:
        for part in _parts(path):
            digest.update(part)
    except OSError:
        return bytes(DIGEST)
    return digest.digest()


def _parts(path: Path | Member) -> Iterator[bytes]:
    if isinstance(path, Member):
        yield from _samples(path.archive, path.offset, path.size)
    elif path.is_dir():
        images = sorted((entry for entry in os.scandir(path) if entry.is_file()), key=lambda entry: entry.name)
        for entry in images:
            yield f"{entry.name} {entry.stat().st_size}\n".encode(errors="surrogateescape")
        for entry in images[:: max(1, len(images) // _IMAGES)]:
            yield from _samples(Path(entry.path), 0, entry.stat().st_size)
    else:
        yield from _samples(path, 0, path.stat().st_size)


def _samples(path: Path, offset: int, size: int) -> Iterator[bytes]:
    yield size.to_bytes(8, "little")
    with path.open("rb") as file:
        for place in sorted({0, max(0, size - _SAMPLE) // 2, max(0, size - _SAMPLE)}):
            file.seek(offset + place)
            yield file.read(min(_SAMPLE, size))
