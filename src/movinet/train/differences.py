"""In what a run that is to go on differs from the one that began."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

# Files that may lie elsewhere by now.
_ELSEWHERE = ("data.paths", "data.videos", "data.mined", "data.copies", "network", "init_from")


def recipe_entries(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """The entries of a recipe in plain types, such as `optimizer.lr`, in JSON's; without places of files. Of a
    search, those of its training have `training.` before them."""
    plain = json.loads(json.dumps(recipe))
    return {name: value for name, value in _flat(plain) if name.removeprefix("training.") not in _ELSEWHERE}


def other_entry(now: Mapping[str, Any], then: Mapping[str, Any]) -> str | None:
    """The first entry that is another, in words; None where all are alike."""
    for name in [*then, *(name for name in now if name not in then)]:
        if now.get(name) != then.get(name):
            was, is_now = (_said(entries, name) for entries in (then, now))
            return f"{name} was {was} and is {is_now}"
    return None


def other_tensor(now: Mapping[str, Tensor], then: Mapping[str, Tensor]) -> str | None:
    """The first tensor of another name or shape, in words; None where all are alike."""
    for name in [*now, *then]:
        shapes = [tuple(tensors[name].shape) if name in tensors else None for tensors in (then, now)]
        if shapes[0] != shapes[1]:
            was, is_now = ("absent" if shape is None else f"of shape {shape}" for shape in shapes)
            return f"{name} was {was} and is {is_now}"
    return None


def _said(entries: Mapping[str, Any], name: str) -> str:
    return json.dumps(entries[name], ensure_ascii=False) if name in entries else "as by default"


def _flat(value: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, entry in value.items():
        if isinstance(entry, Mapping) and entry:
            yield from _flat(entry, f"{before}{name}.")
        else:
            yield before + name, entry
