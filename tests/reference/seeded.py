"""Weights and clips made from names alone, so that the reference logits beside this file need no weight files.

Everything comes from PCG64's raw bits, whose stream NumPy guarantees (the stream of `Generator.normal` it does not);
kernels are therefore uniform, with the stated standard deviation.
"""

import hashlib
import math

import numpy as np
from numpy.typing import NDArray

SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"


def seeded_array(key: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Values for the variable that a TensorFlow checkpoint stores under `key`, with or without its `SUFFIX`.

    No value is trivially zero or one, and activations stay O(1) through all 59 layers of A5.
    """
    key = key.removesuffix(SUFFIX)
    parts = key.split("/")
    match parts[-1]:
        case "gamma":
            low, high = 0.6, 1.4
        case "moving_variance":
            low, high = 0.5, 1.5
        case "scale":  # ReZero, of a branch or of the positional encoding
            low, high = 0.3, 0.8
        case "beta" | "moving_mean" | "bias":
            low, high = _symmetric(std=0.2)
        case "kernel" if "_classifier" in parts:
            low, high = _symmetric(std=0.05)
        case "kernel":
            low, high = _symmetric(std=math.sqrt(1.25 / math.prod(shape[:-1])))
        case "depthwise_kernel":  # (height, width, channels, 1)
            low, high = _symmetric(std=math.sqrt(1.25 / math.prod(shape[:2])))
        case _:
            raise ValueError(f"not a variable of a MoViNet: {key}")
    return _uniform(key, shape, low, high)


def seeded_clip(tag: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """A clip of noise in [0, 1)."""
    return _uniform(tag, shape, 0.0, 1.0)


def fingerprint(name: str, array: NDArray[np.float32]) -> float:
    """One number, about as large as `array`'s root mean square, that a change of any element changes.

    `array` is in TensorFlow's layout, channels last.
    """
    weights = _uniform(name, array.shape, -1.0, 1.0).astype(np.float64)
    return float(np.vdot(weights, array)) / math.sqrt(array.size)


def _symmetric(std: float) -> tuple[float, float]:
    return -math.sqrt(3) * std, math.sqrt(3) * std


def _uniform(name: str, shape: tuple[int, ...], low: float, high: float) -> NDArray[np.float32]:
    size = math.prod(shape)
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest(), "big")
    bits = np.random.PCG64(seed).random_raw((size + 1) // 2).astype("<u8").view("<u4")[:size] >> 8
    unit = bits.astype(np.float32) * np.float32(2**-24)
    return (np.float32(low) + np.float32(high - low) * unit).reshape(shape)
