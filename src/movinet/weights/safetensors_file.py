"""Our weights files: safetensors, with everything needed to use them in the header."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from movinet.errors import MovinetError, WeightsError, brief
from movinet.files import write_atomically
from movinet.reading import parse_json
from movinet.weights.info import WeightsInfo

_KEY = "movinet"


def save_weights(path: str | Path, state_dict: Mapping[str, Tensor], info: WeightsInfo, half: bool = False) -> None:
    """Write a weights file: whole or not at all.

    Args:
        path: of the file, `.safetensors` by custom; replaced if it exists.
        state_dict: of the network.
        info: what the weights are.
        half: store float16, half the size, where the values allow it; loading gives float32 again.

    Raises:
        WeightsError: the file cannot be written.
    """
    from safetensors.torch import save

    kept = {key: value.detach() for key, value in state_dict.items() if not key.endswith("num_batches_tracked")}
    tensors = {key: (_halved(value) if half else value).contiguous().cpu() for key, value in kept.items()}
    data = save(tensors, metadata={_KEY: json.dumps(info.to_dict())})
    try:
        write_atomically(path, data)
    except MovinetError as error:
        raise WeightsError(str(error)) from error


def read_weights(path: str | Path) -> tuple[dict[str, Tensor], WeightsInfo]:
    """Read a weights file: the state dict in float32, and what the weights are.

    Raises:
        WeightsError: the file is missing, damaged, or not one of ours.
    """
    with _opened(path) as file:
        # Copies, so that the tensors are not tied to the file.
        tensors = {key: _real(path, key, file.get_tensor(key)) for key in file.keys()}  # noqa: SIM118
        return tensors, _info(path, file.metadata())


def read_info(path: str | Path) -> WeightsInfo:
    """What the weights in a file are, without reading them.

    Raises:
        WeightsError: as `read_weights`.
    """
    with _opened(path) as file:
        return _info(path, file.metadata())


def _real(path: str | Path, key: str, value: Tensor) -> Tensor:
    if value.is_complex():
        raise WeightsError(f"{path}: {brief(key)} holds complex numbers, which no network here has")
    return value.to(torch.float32, copy=True)


def _halved(value: Tensor) -> Tensor:
    """In float16, unless a value is too large for it."""
    half = value.half()
    return half if bool(half.isfinite().all()) else value


@contextmanager
def _opened(path: str | Path) -> Iterator[Any]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path}: cannot read the weights: {error}") from error


def _info(path: str | Path, metadata: Mapping[str, str] | None) -> WeightsInfo:
    if _KEY not in (metadata or {}):
        raise WeightsError(f"{path}: a safetensors file, but it does not say which MoViNet it holds")
    try:
        # Figures of training may be no numbers, where it went wrong.
        return WeightsInfo.from_dict(parse_json((metadata or {})[_KEY], finite=False))
    except ValueError as error:
        raise WeightsError(f"{path}: {error}") from error
