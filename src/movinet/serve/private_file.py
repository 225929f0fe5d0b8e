"""Files of the server that nobody else may read, written whole or not at all."""

import os
from pathlib import Path
from typing import Any

from movinet.errors import MovinetError
from movinet.files import dump_json, replacing


def write_private(path: Path, value: Any) -> None:
    """Replace a file with JSON that only this user can read, from its first byte on; its folder is made.

    Raises:
        MovinetError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with replacing(path) as part:
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(f"{dump_json(value, indent=2)}\n".encode())
                file.flush()
                os.fsync(file.fileno())
    except OSError as error:
        raise MovinetError(f"{path}: cannot write: {error.strerror or error}") from error


def state_folder(given: str | None) -> Path:
    """Where a server keeps its tokens and sources: as given, or in the user's own."""
    if given is not None:
        return Path(given)
    home = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(home) / "movinet" / "serve"
