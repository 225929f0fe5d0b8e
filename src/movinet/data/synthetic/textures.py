"""Ingredients of procedural pictures: value noise, colors, soft edges; none depends on the pixels it is drawn on."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]
Numbers = NDArray[np.floating[Any]]


def noise(rng: np.random.Generator, shape: tuple[int, int], cells: tuple[float, float]) -> Image:
    """Smooth value noise in [−1, 1]: (height, width) float32, with `cells` bumps down and across at any `shape`."""
    lattice = rng.uniform(-1, 1, (int(np.ceil(cells[0])) + 1, int(np.ceil(cells[1])) + 1)).astype(np.float32)
    return _stretched(_stretched(lattice, shape[0], cells[0]).T, shape[1], cells[1]).T


def fractal_noise(
    rng: np.random.Generator, shape: tuple[int, int], cells: float, octaves: int, gain: float = 0.55
) -> Image:
    """Octaves of `noise`, each twice as fine and `gain` as strong; about [−1, 1], (height, width) float32."""
    total = np.zeros(shape, dtype=np.float32)
    for octave in range(octaves):
        total += np.float32(gain**octave) * noise(rng, shape, (cells * 2**octave,) * 2)
    return total / np.float32(sum(gain**octave for octave in range(octaves)))


def _stretched(lattice: Image, size: int, cells: float) -> Image:
    """(size, …): smooth interpolation of the lattice's first axis at the centers of `size` pixels."""
    position = (np.arange(size) + 0.5) / size * cells
    index = position.astype(np.int64)
    part = (position - index)[:, None]
    t = (part * part * (3 - 2 * part)).astype(np.float32)
    below = lattice[index]
    stretched: Image = below + t * (lattice[index + 1] - below)
    return stretched


def color(rng: np.random.Generator, vivid: float = 0.35, low: float = 0.05, high: float = 0.95) -> Image:
    """A random color, (3,) float32 in [0, 1]: saturation up to `vivid` mostly, brightness between `low` and `high`."""
    hue = (
        rng.normal(0.7, 0.5) % 6 if rng.random() < 0.45 else rng.random() * 6
    )  # wood, skin, cream and lamplight are common
    saturation = rng.beta(1.2, 2.0) * min(1.0, 2 * vivid)
    value = rng.uniform(low, high)
    channels = np.abs((hue + np.array([0.0, 4.0, 2.0])) % 6 - 3) - 1
    rgb: Image = (value * (1 - saturation + saturation * np.clip(channels, 0, 1))).astype(np.float32)
    return rgb


def cover(signed_distance: Numbers, softness: float) -> Image:
    """Coverage in [0, 1] of what lies at negative `signed_distance`, its edge `softness` wide."""
    return np.clip(0.5 - signed_distance / softness, 0, 1).astype(np.float32, copy=False)


def paint(picture: Image, mask: Image, paint_color: Image) -> None:
    """Lays `paint_color`, (3,) or (height, width, 3), over (height, width, 3) `picture` in place where `mask` is 1."""
    picture += mask[..., None] * (paint_color - picture)
