"""The state of one stream in a safetensors file."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from movinet.arch.step import TensorSpec
from movinet.errors import WeightsError
from movinet.files import write_atomically

_KEY, _FRAMES_SEEN = "movinet_state", "frames_seen"
_MOST_FRAMES = 1 << 62


def write_state(path: str | Path, arrays: Mapping[str, NDArray[Any]], frames: int, weights: str) -> None:
    """Write a stream's state, whole or not at all.

    Args:
        path: of the file.
        arrays: by the names of the engine's ports.
        frames: the stream has seen.
        weights: hash of those it belongs to.

    Raises:
        MovinetError: it cannot be written.
    """
    from safetensors.numpy import save

    held = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    held[_FRAMES_SEEN] = np.array([frames])
    write_atomically(path, save(held, metadata={_KEY: weights}))


def read_state(
    path: str | Path, ports: Sequence[TensorSpec], weights: str, engine: str
) -> tuple[list[NDArray[Any]], int]:
    """What `write_state` wrote: an array a port, and how many frames were seen.

    Args:
        path: of the file.
        ports: the engine's.
        weights: hash of those it must belong to.
        engine: for messages.

    Raises:
        WeightsError: it cannot be read, belongs to other weights, was saved by an engine that holds its past in another
            form, or holds what no stream can.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            if (file.metadata() or {}).get(_KEY) != weights:
                raise WeightsError(f"{path}: the state was saved with other weights than these")
            arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path}: cannot read the state: {error}") from error
    except (TypeError, AttributeError) as error:  # of types that NumPy lacks, such as bfloat16
        raise WeightsError(f"{path}: holds numbers of a type that no state has; the file is damaged") from error
    counted = arrays.pop(_FRAMES_SEEN, np.zeros(0, np.int64))
    if {port.name: port.shape for port in ports} != {name: array.shape for name, array in arrays.items()}:
        raise WeightsError(
            f"{path}: the state was saved by an engine that holds the past in another form than {engine}"
        )
    if counted.shape != (1,) or counted.dtype.kind not in "iu" or not 1 <= int(counted[0]) <= _MOST_FRAMES:
        raise WeightsError(f"{path}: the state does not say how many frames the stream has seen")
    for port in ports:
        array = arrays[port.name]
        if array.dtype != port.dtype or not np.isfinite(array).all():
            raise WeightsError(f"{path}: {port.name} is not {port.dtype} numbers; the file is damaged")
    return [arrays[port.name] for port in ports], int(counted[0])
