"""What layers and ends take, found from what whole networks take.

A part by itself cannot be timed well: it is over in microseconds, and its data are in the caches. The time of a network
is a sum over its parts, and that of a part a sum of few unknowns times what is known of it, such as channels; so many
whole networks, each with other parts, are as many linear equations.
"""

from collections.abc import Hashable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from movinet.arch.spec import NetworkSpec
from movinet.search.cost import Ends, LayerKind

FloatArray = NDArray[np.float64]
Factors = Mapping[Hashable, float]
"""Unknowns of a part, and how often each counts."""

_FOLDS = 5
_RIDGE = 0.1  # toward 0: what a row weighs is 1
_ROUNDS, _SWEEPS = 6, 60


def parts_of(spec: NetworkSpec) -> list[LayerKind | Ends]:
    """All of a network."""
    places = spec.layers()
    kinds = [LayerKind(place.inputs, place.outputs, place.layer, place.stride, place.size) for place in places]
    last = places[-1]
    return [*kinds, Ends(spec.stem, last.outputs, spec.project, spec.hidden, spec.size, last.size_after)]


def factors(part: LayerKind | Ends) -> dict[Hashable, float]:
    """What its time is a sum of: each operator has a fixed time and one for each weight or channel; layers of one size
    and stride share them."""
    if isinstance(part, Ends):
        return {
            "ends": 1.0,
            "stem": part.stem,
            "project": part.project,
            "project weights": part.inputs * part.project,
            "hidden": part.hidden,
            "hidden weights": part.project * part.hidden,
        }
    layer, here = part.layer, (*part.size, part.stride)
    inner, frames = layer.expansion, layer.kernel[0]
    found: dict[Hashable, float] = {
        (*here, "layer"): 1.0,
        (*here, "expand weights"): part.inputs * inner,
        (*here, "project weights"): inner * part.outputs,
        (*here, "frames", frames): 1.0,
        (*here, "kernel", *layer.kernel): inner,
    }
    if part.stride > 1 or part.inputs != part.outputs:
        found[*here, "skip"] = 1.0
        found[*here, "skip weights"] = part.inputs * part.outputs
    if layer.squeeze_excitation:
        found[*here, "gate"] = 1.0
        found[*here, "gate channels"] = inner
        found[*here, "gate weights"] = inner * inner
    return found


def unknowns_of(parts: Sequence[LayerKind | Ends]) -> list[Hashable]:
    """All that occur."""
    return list(dict.fromkeys(name for part in parts for name in factors(part)))


def fit(specs: Sequence[NetworkSpec], milliseconds: Sequence[float]) -> tuple[dict[Hashable, float], float]:
    """The unknowns, none of which is negative, that explain what networks take.

    Args:
        specs: Networks.
        milliseconds: Of each.

    Returns:
        The unknowns in ms, and the mean error, as a share, for networks that were left out while the rest was fitted.
    """
    rows = [[factors(part) for part in parts_of(spec)] for spec in specs]
    names = {name: n for n, name in enumerate(dict.fromkeys(name for row in rows for part in row for name in part))}
    matrix, times = np.zeros((len(specs), len(names))), np.array(milliseconds)
    for n, row in enumerate(rows):
        for part in row:
            for name, factor in part.items():
                matrix[n, names[name]] += factor
    shares = matrix / times[:, None]  # sums of unknowns are to be 1 for each network
    errors = np.zeros(len(specs))
    for fold in range(_FOLDS):
        out = np.arange(len(specs)) % _FOLDS == fold
        errors[out] = shares[out] @ _solve(shares[~out]) - 1
    found = _solve(shares)
    return dict(zip(names, found.tolist(), strict=True)), float(np.abs(errors).mean())


def _solve(shares: FloatArray) -> FloatArray:
    """Unknowns that bring each row to 1 by least squares; rows far off count less, since they were disturbed."""
    scale = np.maximum(np.sqrt(np.square(shares).mean(0)), 1e-12)
    shares = shares / scale
    found, weight = np.zeros(shares.shape[1]), np.ones(len(shares))
    for _ in range(_ROUNDS):
        weighted = shares * weight[:, None]
        square = weighted.T @ weighted + _RIDGE * np.eye(len(found))
        slope = square @ found - weighted.T @ weight
        for _ in range(_SWEEPS):  # each unknown in turn at its best beside the others
            for n in range(len(found)):
                change = max(0.0, found[n] - slope[n] / square[n, n]) - found[n]
                if change:
                    found[n] += change
                    slope += change * square[n]
        off = np.abs(shares @ found - 1)
        usual = 2 * float(np.median(off)) + 1e-9
        weight = np.sqrt(usual / np.maximum(off, usual))
    return found / scale
