"""Writing files whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import get_ident

from movinet.errors import MovinetError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file beside `path` to write into: it takes its place if all goes well and is removed if anything does not."""
    part = path.with_name(f".{path.stem}.{os.getpid()}.{get_ident()}.part{path.suffix}")  # nobody else's
    try:
        yield part
        os.replace(part, path)
    except BaseException:
        with suppress(OSError):  # what stood in the way of writing may stand in the way of this
            part.unlink()
        raise


def write_atomically(path: str | Path, data: bytes) -> None:
    """Replace a file's contents; whatever goes wrong, the old file or none is there, never half of one.

    Raises:
        MovinetError: it cannot be written (no such folder, no permission, disk full).
    """
    try:
        with replacing(Path(path)) as part, part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise MovinetError(f"{path}: cannot write: {error.strerror or error}") from error
