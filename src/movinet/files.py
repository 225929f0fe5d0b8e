"""Writing files whole or not at all."""

import os
from contextlib import suppress
from pathlib import Path
from threading import get_ident

from movinet.errors import MovinetError


def write_atomically(path: str | Path, data: bytes) -> None:
    """Replace a file's contents; whatever goes wrong, the old file or none is there, never half of one.

    Raises:
        MovinetError: it cannot be written (no such folder, no permission, disk full).
    """
    path = Path(path)
    part = path.with_name(f".{path.name}.{os.getpid()}.{get_ident()}.part")  # nobody else's
    try:
        with open(part, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException as error:
        with suppress(OSError):  # what stood in the way of writing may stand in the way of this
            part.unlink()
        if not isinstance(error, OSError):
            raise
        raise MovinetError(f"{path}: cannot write: {error.strerror or error}") from error
