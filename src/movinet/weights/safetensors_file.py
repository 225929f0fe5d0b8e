"""Our weights files: safetensors, with everything needed to use them in the header."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from movinet.errors import MovinetError, WeightsError, brief
from movinet.files import remove_leftovers, write_atomically
from movinet.reading import parse_json
from movinet.weights.info import WeightsInfo

_KEY = "movinet"
_LENGTH = 8  # bytes that say how long the header is; it ends at a multiple of them


def save_weights(path: str | Path, arrays: Mapping[str, NDArray[Any]], info: WeightsInfo, half: bool = False) -> None:
    """Write a weights file: whole or not at all.

    Args:
        path: of the file, `.safetensors` by custom; replaced if it exists.
        arrays: of the network, float32 or float16.
        info: what the weights are.
        half: store float16, half the size, where the values allow it; loading gives float32 again.

    Raises:
        WeightsError: the file cannot be written.
    """
    from safetensors.numpy import save

    kept = {key: np.asarray(_halved(value) if half else value, order="C") for key, value in arrays.items()}
    data = save(kept, metadata={_KEY: json.dumps(info.to_dict())})
    remove_leftovers(Path(path).parent, (".safetensors",))
    try:
        write_atomically(path, data)
    except MovinetError as error:
        raise WeightsError(str(error)) from error


def replace_info(path: str | Path, info: WeightsInfo) -> None:
    """Say something else of the weights in a file: the numbers stay as they are, byte for byte. Whole or not at all.

    Raises:
        WeightsError: it is none of our files, is of another network, or cannot be written.
    """
    if read_info(path).spec != info.spec:
        raise WeightsError(f"{path}: holds another network than {info.name}")
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise WeightsError(f"{path}: cannot read the weights: {error.strerror or error}") from error
    length = int.from_bytes(data[:_LENGTH], "little")
    header = json.loads(data[_LENGTH : _LENGTH + length])
    header["__metadata__"][_KEY] = json.dumps(info.to_dict())
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _LENGTH)  # so that numbers begin where processors like it
    try:
        write_atomically(path, len(text).to_bytes(_LENGTH, "little") + text + data[_LENGTH + length :])
    except MovinetError as error:
        raise WeightsError(str(error)) from error


def read_weights(path: str | Path) -> tuple[dict[str, NDArray[np.float32]], WeightsInfo]:
    """Read a weights file: the arrays in float32, and what the weights are.

    Raises:
        WeightsError: the file is missing, damaged, or not one of ours.
    """
    with _opened(path) as file:
        arrays = {key: _real(path, key, file.get_tensor(key)) for key in file.keys()}  # noqa: SIM118
        return arrays, _info(path, file.metadata())


def read_info(path: str | Path) -> WeightsInfo:
    """What the weights in a file are, without reading them.

    Raises:
        WeightsError: as `read_weights`.
    """
    with _opened(path) as file:
        return _info(path, file.metadata())


def _real(path: str | Path, key: str, value: NDArray[Any]) -> NDArray[np.float32]:
    """A copy, so that it is not tied to the file."""
    if np.iscomplexobj(value):
        raise WeightsError(f"{path}: {brief(key)} holds complex numbers, which no network here has")
    return value.astype(np.float32)


def _halved(value: NDArray[Any]) -> NDArray[Any]:
    """In float16, unless a value is too large for it."""
    return value if np.abs(value).max(initial=0) > np.finfo(np.float16).max else value.astype(np.float16)


@contextmanager
def _opened(path: str | Path) -> Iterator[Any]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            yield file
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path}: cannot read the weights: {error}") from error
    except (TypeError, AttributeError) as error:
        raise WeightsError(
            f"{path}: holds numbers of a type that NumPy lacks ({error}); save them as float32 or float16"
        ) from error


def _info(path: str | Path, metadata: Mapping[str, str] | None) -> WeightsInfo:
    if _KEY not in (metadata or {}):
        raise WeightsError(f"{path}: a safetensors file, but it does not say which MoViNet it holds")
    try:
        # Figures of training may be no numbers, where it went wrong.
        return WeightsInfo.from_dict(parse_json((metadata or {})[_KEY], finite=False))
    except ValueError as error:
        raise WeightsError(f"{path}: {error}") from error
