"""Everything a training run needs to go on, in one safetensors file: nothing in it can run code."""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from movinet.errors import WeightsError, brief
from movinet.reading import parse_json

_KEY = "movinet_training"


@dataclass(frozen=True)
class Checkpoint:
    """A run at some step.

    Attributes:
        tensors: By part (`model`, `average`, `optimizer` …) and name, on the CPU, each of the dtype it was saved with.
        progress: Where the run stands, in JSON's types.
    """

    tensors: dict[str, dict[str, Tensor]]
    progress: dict[str, Any]


def save_checkpoint(path: str | Path, tensors: Mapping[str, Mapping[str, Tensor]], progress: Mapping[str, Any]) -> None:
    """Write a checkpoint: whole and on the disk when this returns, or not at all. One process at a time.

    Args:
        path: Replaced if it exists.
        tensors: By part and name, of any dtype and device; no two share memory. No part's name has a slash.
        progress: What JSON can hold.

    Raises:
        WeightsError: It cannot be written (disk full, no such folder, no permission); what was there is untouched.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    flat = {f"{part}/{name}": value for part, named in tensors.items() for name, value in named.items()}
    ready = {key: value.detach().cpu().contiguous() for key, value in flat.items()}
    metadata = {_KEY: json.dumps({"parts": list(tensors), "progress": dict(progress)})}
    try:
        with _folder_beside(Path(path)) as folder:
            part = folder / "part"
            part.touch()
            mode = part.stat().st_mode
            save_file(ready, part, metadata)
            part.chmod(mode)  # safetensors' own would keep colleagues from reading it
            with part.open("rb+") as file:
                os.fsync(file.fileno())
            part.replace(path)
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path}: cannot write the checkpoint: {_reason(error)}") from error


@contextmanager
def _folder_beside(path: Path) -> Iterator[Path]:
    """An empty folder for unfinished files, safetensors' own among them; what a killed process left in it goes."""
    folder = path.with_name(f".{path.name}.part")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def load_checkpoint(path: str | Path) -> Checkpoint:
    """Read a checkpoint.

    Raises:
        WeightsError: The file is missing, cut short, damaged or no checkpoint.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with open(path, "rb") as file:
            head = file.read(9)
        with safe_open(path, framework="pt") as opened:
            parts, progress = _description(path, opened.metadata() or {})
            tensors: dict[str, dict[str, Tensor]] = {part: {} for part in parts}
            for key in opened.keys():  # noqa: SIM118
                part, _, name = key.partition("/")
                if part not in tensors:
                    raise WeightsError(f"{path}: the checkpoint is damaged: {brief(key)} is of no part")
                tensors[part][name] = opened.get_tensor(key).clone()  # not tied to the file
    except SafetensorError as error:
        if head[:2] in (b"PK", b"\x80\x02") and head[8:] != b"{":
            raise WeightsError(
                f"{path}: a pickle, which could run any code; only checkpoints of ours are read"
            ) from None
        raise WeightsError(f"{path}: no checkpoint, or cut short or damaged: {error}") from error
    except OSError as error:
        raise WeightsError(f"{path}: cannot read the checkpoint: {_reason(error)}") from error
    return Checkpoint(tensors, progress)


def optimizer_tensors(optimizer: Optimizer, parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What an optimizer remembers of each parameter (momentum, mean of squares, steps), in whatever order it has them.

    What its groups say, such as rates, is the recipe's and not part of it.

    Args:
        optimizer: Any that remembers tensors; not LBFGS.
        parameters: By name, all that it trains.

    Returns:
        Tensors by `parameter/what`; not copies.
    """
    names = {parameter: name for name, parameter in parameters.items()}
    found = {}
    for parameter, state in optimizer.state.items():
        for what, value in state.items():
            if value is None:
                continue
            if not isinstance(value, Tensor):
                raise TypeError(f"{type(optimizer).__name__} remembers {what}, a {type(value).__name__}; want tensors")
            found[f"{names[parameter]}/{what}"] = value
    return found


def restore_optimizer(optimizer: Optimizer, parameters: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> None:
    """Let an optimizer remember what another of its kind did.

    Args:
        optimizer: What it remembers so far is forgotten.
        parameters: By name, all that it trains.
        tensors: From `optimizer_tensors`. They are copied to where the parameters are and laid out in memory as those.

    Raises:
        WeightsError: A tensor is of a parameter that the optimizer does not have, or of another shape.
    """
    group_of = {parameter: group for group in optimizer.param_groups for parameter in group["params"]}
    state: dict[Tensor, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        name, _, what = key.rpartition("/")
        parameter = parameters.get(name)
        if parameter is None or parameter not in group_of:
            raise WeightsError(f"the checkpoint comes from training {name}, which this run does not train")
        state.setdefault(parameter, {})[what] = _placed(value, parameter, group_of[parameter], key)
    optimizer.state.clear()
    optimizer.state.update(state)


def _placed(value: Tensor, parameter: Tensor, group: Mapping[str, Any], key: str) -> Tensor:
    if key.endswith("/step"):  # counted where the optimizer looks for it
        on_device = group.get("capturable") or group.get("fused")
        return value.to(parameter.device if on_device else "cpu", copy=True)
    if value.shape == parameter.shape:
        return torch.empty_like(parameter, dtype=value.dtype, requires_grad=False).copy_(value)
    if value.ndim and not _factor(value, parameter):
        raise WeightsError(f"{key} has shape {tuple(value.shape)} in the checkpoint, {tuple(parameter.shape)} here")
    return value.to(parameter.device, copy=True)


def _factor(value: Tensor, parameter: Tensor) -> bool:
    """Whether it has one number for several of the parameter's, as in factored optimizers."""
    shapes = zip(value.shape, parameter.shape, strict=False)
    return value.ndim == parameter.ndim and all(a in (1, b) for a, b in shapes)


def _description(path: str | Path, metadata: Mapping[str, str]) -> tuple[list[str], dict[str, Any]]:
    """Names of the parts, which may be empty, and the progress."""
    if "movinet" in metadata:
        raise WeightsError(f"{path}: finished weights, which a run can start from, but no checkpoint to go on from")
    if _KEY not in metadata:
        raise WeightsError(f"{path}: a safetensors file, but no checkpoint of a training run")
    try:
        description = parse_json(metadata[_KEY], finite=False)
        parts, progress = description["parts"], description["progress"]
        if not isinstance(progress, dict) or not isinstance(parts, list) or not all(isinstance(p, str) for p in parts):
            raise ValueError("its parts or progress are not what was written")
        return parts, progress
    except (ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"{path}: the checkpoint is damaged: {error}") from error


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
