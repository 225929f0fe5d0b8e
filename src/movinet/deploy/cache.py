"""Lowered files, kept from one start to the next: making one takes longer than loading it."""

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from movinet.errors import MovinetError
from movinet.files import remove_least_used, remove_leftovers, write_atomically
from movinet.reading import encodable
from movinet.weights.cache_folder import default_cache_dir
from movinet.weights.weights import Weights

# Part of every key: raise it whenever the lowerings write something else for the same network.
WRITER_VERSION = 1
MAX_BYTES = 2**30
FOLDER = "lowered"
_DIGEST = 32  # bytes


def cached_file(weights: Weights, suffix: str, make: Callable[[], bytes], how: Mapping[str, Any]) -> Path | bytes:
    """A lowered network's file, made unless it is there whole.

    The SHA-256 of its contents follows them in the file: runtimes map files into memory and crash on damaged ones. They
    pass over what follows a model.

    Args:
        weights: what is lowered.
        suffix: of the file, such as ".tflite".
        make: lowers it.
        how: everything else the file depends on, such as size, precision and rows of a batch, as JSON knows it.

    Returns:
        The file's path; where the cache cannot be written, the bytes themselves.
    """
    try:
        folder = default_cache_dir() / FOLDER
    except MovinetError:
        return make()
    if not encodable(str(folder)):  # runtimes do not open such names
        return make()
    key = {"weights": weights.hash, "spec": weights.spec.to_dict(), "version": WRITER_VERSION, "how": dict(how)}
    name = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
    path = folder / f"{name}{suffix}"
    if _is_whole(path):
        with suppress(OSError):
            os.utime(path)  # the newest used stay longest
        return path
    data = make()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(path, data + hashlib.sha256(data).digest())
        _bound(folder, keep=path)
    except (OSError, MovinetError):
        return data
    return path


def _is_whole(path: Path) -> bool:
    """Whether a file is there as it was written."""
    try:
        with path.open("rb") as file:
            left, digest = path.stat().st_size - _DIGEST, hashlib.sha256()
            while left > 0 and (chunk := file.read(min(left, 2**20))):
                digest.update(chunk)
                left -= len(chunk)
            return left == 0 and file.read() == digest.digest()
    except OSError:
        return False


def _bound(folder: Path, keep: Path) -> None:
    """Remove the files that were not used for longest, until the rest fits; those of this module's naming alone."""
    remove_leftovers(folder, (".tflite",))
    ours = (
        path
        for path in folder.iterdir()
        if len(path.stem) == 64 and path.suffix in (".tflite", ".xml", ".bin", ".onnx")
    )
    remove_least_used(ours, MAX_BYTES, keep=keep)
