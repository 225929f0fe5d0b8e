"""A run's folder: one of its own, with one process at a time that trains in it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from movinet.errors import MovinetError
from movinet.files import locked

RECIPE = "recipe.yaml"  # makes a folder a run's
CHECKPOINT = "checkpoint.safetensors"
_LOCK = ".lock"


@contextmanager
def alone(folder: Path, new: bool) -> Iterator[None]:
    """Keeps a second run out of a folder, where the system knows locks; they go with their process, however it ends.

    Args:
        folder: A run's.
        new: Make it.

    Raises:
        MovinetError: Another process has it; or it should be new, and holds a run already or other things, or cannot be
            made.
    """
    if new:
        _make_folder(folder)
    with locked(folder / _LOCK, f"{folder}: another process is training in this folder"):
        if new:
            _make_folder(folder)  # another may have begun and ended there since
        yield


def _make_folder(folder: Path) -> None:
    """Make a run's folder.

    Raises:
        MovinetError: It holds a run already, or other things, or cannot be made.
    """
    if (folder / RECIPE).exists():
        raise MovinetError(
            f"{folder}: holds a run already; go on with it (--resume {folder}) or choose another folder (--out)"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        others = [path.name for path in folder.iterdir() if not path.name.startswith(".")]
    except OSError as error:
        raise MovinetError(f"{folder}: cannot be used: {error.strerror or error}") from error
    if others:
        raise MovinetError(f"{folder}: has other things in it ({min(others)}); a run wants a folder of its own (--out)")
