"""Seeded weights for PyTorch state dicts and a digest of their names: `seeded.py` for those who are not TensorFlow."""

import hashlib
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

try:
    from reference.seeded import seeded_array
except ImportError:  # scripts/make_atze00_logits.py has this folder on its path
    from seeded import seeded_array  # type: ignore[import-not-found,no-redef]

_KINDS = {
    "norm.weight": "gamma",
    "norm.bias": "beta",
    "norm.running_mean": "moving_mean",
    "norm.running_var": "moving_variance",
    "alpha": "scale",
    "weight": "kernel",
    "bias": "bias",
}


def seeded_parameter(name: str, shape: tuple[int, ...]) -> NDArray[np.generic]:
    """Values for the parameter or statistic of this name: kernels scaled by what feeds one output, counts 0."""
    if name.endswith("num_batches_tracked"):
        return np.zeros(shape, np.int64)
    kind = next(kind for ending, kind in _KINDS.items() if name.endswith(ending))
    if kind == "kernel" and name.startswith("classifier.3."):
        kind = "_classifier/kernel"
    return np.array(seeded_array(f"{name}/{kind}", shape[::-1]).T, order="C")


def names_digest(shapes: Mapping[str, tuple[int, ...]]) -> str:
    """One short text that differs if any name or shape does."""
    lines = sorted(f"{name} {tuple(shape)}" for name, shape in shapes.items())
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]
