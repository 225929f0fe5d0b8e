"""The cases of `scripts/make_pytorchvideo_logits.py`, and seeded values for the state dicts of that project."""

import numpy as np
from numpy.typing import NDArray

try:
    from reference.seeded import seeded_array
except ImportError:  # the script has this folder on its path
    from seeded import seeded_array  # type: ignore[import-not-found,no-redef]

CASES = {
    "x3d_xs": (4, 96),
    "slow_r50_8x8": (8, 64),
    "slowfast_r50_4x16": (16, 64),
    "slowfast_r50_8x8": (8, 64),
}
"""Frames and size of the clip, by our name of the network."""

_KINDS = {"running_mean": "moving_mean", "running_var": "moving_variance", "bias": "bias"}


def seeded_value(name: str, shape: tuple[int, ...]) -> NDArray[np.generic]:
    """Values for the parameter or statistic of this name: kernels scaled by what feeds one output, counts 0."""
    leaf = name.rpartition(".")[2]
    if leaf == "num_batches_tracked":
        return np.zeros(shape, np.int64)
    kind = _KINDS.get(leaf, "gamma" if len(shape) == 1 else "kernel")
    return np.array(seeded_array(f"{name}/{kind}", shape[::-1]).T, order="C")
