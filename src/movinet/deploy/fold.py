"""Batch norm and the ReZero scalars folded into the convolutions before them, on arrays."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from movinet.arch.baseline_spec import BaselineSpec
from movinet.arch.parameters import parameter_shapes
from movinet.arch.spec import EnsembleSpec, NetworkSpec, Spec
from movinet.errors import MovinetError
from movinet.weights.weights import Weights

BATCH_NORM_EPS = 1e-3  # Keras' default, which the official networks have
Arrays = Mapping[str, NDArray[np.float32]]


def fold(weights: Weights) -> Weights:
    """Weights of a network that answers alike, up to rounding, and steps faster.

    Its specification says `norm="folded"` and `rezero=False`; states go from one to the other as they are.

    Raises:
        MovinetError: it is not of ours.
    """
    if isinstance(weights.spec, BaselineSpec):
        raise MovinetError(
            f"{weights.spec.name} is a network to compare with: PyTorch alone runs it, and it cannot be exported"
        )
    if isinstance(weights.spec, EnsembleSpec):
        parts = {f"members.{i}.": _folded(member.arrays, member.spec) for i, member in enumerate(weights.members())}
        arrays = {f"{prefix}{name}": array for prefix, part in parts.items() for name, array in part.items()}
    else:
        arrays = _folded(weights.arrays, weights.spec)
    return Weights(replace(weights.info, spec=folded_spec(weights.spec)), arrays)


def folded_spec(spec: Spec) -> Spec:
    """The specification of the folded network or ensemble."""
    return spec.with_options(norm="folded", rezero=False)


def _folded(arrays: Arrays, spec: Spec) -> dict[str, NDArray[np.float32]]:
    wanted = folded_spec(spec)
    assert isinstance(wanted, NetworkSpec)
    folded: dict[str, NDArray[np.float32]] = {}
    for name, shape in parameter_shapes(wanted).items():
        if len(shape) < 4:  # no kernel: a dense layer, or a bias, which may have come with its kernel
            if name in arrays:
                folded.setdefault(name, arrays[name])
            continue
        owner = name.removesuffix(".weight")
        weight, bias = _without_norm(arrays, owner)
        scale = arrays.get(f"{owner.removesuffix('.project')}.scale")  # ReZero's, of a layer's projection
        if scale is not None:
            weight, bias = weight * np.float64(scale), bias * np.float64(scale)
        folded[name], folded[f"{owner}.bias"] = weight.astype(np.float32), bias.astype(np.float32)
    return folded


def _without_norm(arrays: Arrays, owner: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Kernel and bias of a convolution that does what this one does with its norm.

    In float64, so that a statistic far from one costs no digits.
    """
    weight = arrays[f"{owner}.weight"].astype(np.float64)
    if f"{owner}.norm.weight" not in arrays:
        return weight, arrays[f"{owner}.bias"].astype(np.float64)
    parts = ("weight", "bias", "running_mean", "running_var")
    gamma, beta, mean, variance = (arrays[f"{owner}.norm.{part}"].astype(np.float64) for part in parts)
    factor = gamma / np.sqrt(variance + BATCH_NORM_EPS)
    return weight * factor.reshape(-1, *[1] * (weight.ndim - 1)), beta - mean * factor
