"""What a fingertip draws in the air: one path per gesture, as a person draws it.

Coordinates are fractions of the frame: x to the right, y downwards, (0, 0) the top left corner. A path may leave the
frame, as hands do. Stroke order and direction follow how people draw these signs before a head-mounted camera (the
wearer's view): tick and cross start at the top left, the cross travels along the bottom between its strokes, caret and
star start at the bottom left, the circle starts at its right side and goes over the top, the square starts at the top
left and goes either way round. Some people rest at corners for a moment, the longer the more slowly they draw: until
they go on, a square is a swipe to anybody, and a star a caret.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

GESTURES: tuple[str, ...] = (
    "caret",
    "circle_ccw",
    "cross",
    "other",
    "square",
    "star",
    "swipe_down",
    "swipe_left",
    "swipe_right",
    "swipe_up",
    "tick",
)
"""The labels, in the order of their class indices."""

# Corners in a box of ±1 around the sign's center.
_CORNERS: dict[str, tuple[tuple[float, float], ...]] = {
    "caret": ((-1, 1), (0, -1), (1, 1)),
    "cross": ((-1, -1), (1, 1), (-1, 1), (1, -1)),
    "square": ((-1, -1), (-1, 1), (1, 1), (1, -1), (-1, -1)),
    "star": ((-0.7, 1), (0, -1), (0.7, 1), (-1, -0.25), (1, -0.25), (-0.7, 1)),
    "swipe_down": ((0, -1), (0, 1)),
    "swipe_left": ((1, 0), (-1, 0)),
    "swipe_right": ((-1, 0), (1, 0)),
    "swipe_up": ((0, 1), (0, -1)),
    "tick": ((-1, -0.45), (-0.2, 1), (1, -1)),
}

# Signs that are nobody's gesture, for `other`: their reading in time is what sets them apart from the gestures.
_DECOYS: tuple[tuple[tuple[float, float], ...], ...] = (
    ((1, -1), (-1, -1), (1, 1), (-1, 1)),  # mirrored Z
    ((-1, -1), (1, -1), (-1, 1), (1, 1)),  # Z
    ((0, 1), (0, -1), (0, 1), (0, -1), (0, 1)),  # nodding up and down
    ((-1, 0), (1, 0), (-1, 0), (1, 0), (-1, 0)),  # wiping to and fro
    ((-1, -1), (-0.5, 1), (0, -0.5), (0.5, 1), (1, -1)),  # W
    ((1, 1), (0, -1), (-1, 1), (1, 1)),  # triangle
    ((1, -0.45), (0.2, 1), (-1, -1), (0.2, 1), (1, -0.45)),  # tick drawn backwards, and back
)

_SAMPLES = 256  # of a path in time; between them it is linear
_RESTING = 0.5  # share of people who rest at corners
_RESTS = 0.09  # share of the time of drawing that a rest takes at most, by and large


@dataclass(frozen=True)
class GesturePath:
    """A fingertip's way from the start of a gesture to its end, sampled evenly in time.

    Attributes:
        points: (N, 2) float64, x and y in fractions of the frame.
    """

    points: FloatArray

    def at(self, phase: FloatArray) -> FloatArray:
        """The fingertip at each phase, (T,) in [0, 1], clipped to it: (T, 2)."""
        knots = np.linspace(0.0, 1.0, len(self.points))
        return np.stack([np.interp(phase, knots, self.points[:, axis]) for axis in (0, 1)], axis=-1)


def gesture_path(label: str, rng: np.random.Generator) -> GesturePath:
    """One person's drawing of `label`, one of `GESTURES`: place, size, slant, bow and pacing drawn from `rng`."""
    if label == "other":
        return _other(rng)
    center, extent = _place(label, rng)
    if label == "circle_ccw":
        return GesturePath(center + extent * _circle(rng, turn=-1.0))
    corners = np.array(_CORNERS[label], dtype=np.float64)
    if label == "square" and rng.random() < 0.5:
        corners = corners[::-1]
    return GesturePath(center + extent * _strokes(corners, rng, jitter=0.12))


def _place(label: str, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Center and half extent of the sign."""
    if label in ("swipe_left", "swipe_right"):
        return np.array([rng.normal(0.5, 0.06), rng.uniform(0.15, 0.75)]), np.array([rng.uniform(0.24, 0.46), 0.3])
    if label in ("swipe_up", "swipe_down"):
        return np.array([rng.normal(0.48, 0.1), rng.normal(0.5, 0.08)]), np.array([0.3, rng.uniform(0.24, 0.46)])
    center = np.array([rng.normal(0.5, 0.05), rng.normal(0.47, 0.08)])
    return center, rng.uniform((0.25, 0.22), (0.44, 0.42)) * rng.uniform(0.75, 1.0)


def _circle(rng: np.random.Generator, turn: float) -> FloatArray:
    """A round of the unit circle, `turn` −1 counter-clockwise as seen (y points down), +1 clockwise."""
    start = -np.radians(rng.uniform(-10, 75))  # right side to upper right
    sweep = np.radians(rng.uniform(335, 410))
    progress = _ease(np.linspace(0, 1, _SAMPLES), rest=rng.uniform(0.3, 1.0))
    wobble = 1 + 0.06 * np.sin(2 * np.pi * (progress * rng.integers(1, 4) + rng.random()))
    drift = np.outer(progress, rng.normal(0, 0.08, 2))
    angle = start + turn * sweep * progress
    return np.stack([np.cos(angle), np.sin(angle)], axis=-1) * wobble[:, None] + drift


def _other(rng: np.random.Generator) -> GesturePath:
    """Pointing at nothing, fidgeting, wandering about or a sign that is none of the gestures."""
    center = np.array([rng.normal(0.5, 0.08), rng.normal(0.5, 0.1)])
    kind = rng.random()
    if kind < 0.45:  # almost still: a slow sway
        phase = np.linspace(0, 2 * np.pi, _SAMPLES)[:, None] * rng.uniform(0.5, 3.0, 2) + rng.uniform(0, 2 * np.pi, 2)
        return GesturePath(center + rng.uniform(0.005, 0.08) * np.sin(phase))
    extent = rng.uniform(0.15, 0.4, 2)
    if kind < 0.57:
        return GesturePath(center + extent * _circle(rng, turn=1.0))
    if kind < 0.78:
        decoy = np.array(_DECOYS[rng.integers(len(_DECOYS))], dtype=np.float64)
        return GesturePath(center + extent * _strokes(decoy, rng, jitter=0.15))
    # To and fro along both axes, which no gesture does.
    wander = rng.uniform(-1, 1, (int(rng.integers(5, 9)), 2))
    wander[:, 0] = np.abs(wander[:, 0]) * np.resize([1, -1], len(wander)) * rng.choice([-1, 1])
    return GesturePath(center + extent * _strokes(wander, rng, jitter=0.0))


def _strokes(corners: FloatArray, rng: np.random.Generator, jitter: float) -> FloatArray:
    """Straight-ish strokes through jittered, slanted `corners`: (_SAMPLES, 2)."""
    slant = np.radians(np.clip(rng.normal(0, 7), -15, 15))
    rotation = np.array([[np.cos(slant), np.sin(slant)], [-np.sin(slant), np.cos(slant)]])
    corners = (corners + rng.uniform(-jitter, jitter, corners.shape)) @ rotation

    # Long strokes are drawn faster than short ones, so time grows slower than length.
    vectors = np.diff(corners, axis=0)
    lengths = np.hypot(vectors[:, 0], vectors[:, 1])
    times = np.maximum(lengths, 0.2) ** 0.6 * rng.uniform(0.75, 1.3, len(lengths))
    ends = np.concatenate([[0.0], np.cumsum(times) / times.sum()])

    phase = _rested(ends[1:-1], rng.spawn(1)[0])
    stroke = np.clip(np.searchsorted(ends, phase, side="right") - 1, 0, len(lengths) - 1)
    within = (phase - ends[stroke]) / (ends[stroke + 1] - ends[stroke])
    progress = _ease(within, rest=rng.uniform(0.55, 1.0))[:, None]
    normal = np.stack([-vectors[:, 1], vectors[:, 0]], axis=-1)
    bow = (rng.normal(0, 0.05, len(lengths))[:, None] * normal)[stroke]  # the arm turns about its elbow
    points = corners[stroke] + progress * vectors[stroke] + np.sin(np.pi * progress) * bow
    return _smooth(points, width=rng.uniform(2.0, 6.0))


def _rested(corners: FloatArray, rng: np.random.Generator) -> FloatArray:
    """How far a drawing is at evenly spaced times: (_SAMPLES,) in [0, 1], standing still at phases `corners` (N,) for
    those who rest there."""
    phase = np.linspace(0, 1, _SAMPLES)
    if rng.random() >= _RESTING:
        return phase
    rests = rng.uniform(0, _RESTS) * rng.uniform(0.4, 1.6, len(corners))
    moving = 1 - rests.sum()
    begins = corners * moving + np.cumsum(rests) - rests
    times = np.stack([begins, begins + rests], axis=-1).ravel()
    reached = np.repeat(corners, 2)
    return np.interp(phase, np.concatenate([[0.0], times, [1.0]]), np.concatenate([[0.0], reached, [1.0]]))


def _ease(t: FloatArray, rest: float) -> FloatArray:
    """Progress of a reach: minimum jerk (Flash & Hogan 1985) for rest 1, uniform speed for rest 0, blended between."""
    return rest * t**3 * (10 - 15 * t + 6 * t**2) + (1 - rest) * t


def _smooth(points: FloatArray, width: float) -> FloatArray:
    """Rounds corners by a Gaussian in time, `width` samples wide; the ends stay where they are."""
    reach = int(3 * width)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / width) ** 2)
    padded = np.pad(points, ((reach, reach), (0, 0)), mode="edge")
    return np.stack([np.convolve(padded[:, axis], kernel / kernel.sum(), mode="valid") for axis in (0, 1)], axis=-1)
