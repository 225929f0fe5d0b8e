"""How a hand goes on for minutes: it comes, draws, rests, fidgets, points, scratches and leaves in one movement."""

from dataclasses import dataclass

import numpy as np

from movinet.data.synthetic.motion import Sway
from movinet.data.synthetic.paths import FloatArray, GesturePath
from movinet.data.synthetic.render import Tip

POINTING = 0
"""The number of the pose in which gestures are drawn."""


@dataclass(frozen=True)
class Track:
    """A fingertip's way through places at times, unsteadily; what a `Stage` asks of a motion.

    Attributes:
        times: (N,) seconds, ascending.
        places: (N, 2) x and y in fractions of the frame.
        tremor: unsteadiness.
    """

    times: FloatArray
    places: FloatArray
    tremor: Sway

    def fingertip(self, time: FloatArray) -> FloatArray:
        """(T,) seconds to (T, 2): x and y in fractions of the frame."""
        way = np.stack([np.interp(time, self.times, self.places[:, axis]) for axis in (0, 1)], axis=-1)
        return np.asarray(way + self.tremor.at(time))


@dataclass(frozen=True)
class Poses:
    """Which pose a hand has: that of the last of `times` that has come."""

    times: tuple[float, ...]
    numbers: tuple[int, ...]

    def __call__(self, moment: float) -> int:
        return self.numbers[max(0, int(np.searchsorted(self.times, moment, side="right")) - 1)]


class Hand:
    """Moves a hand on, a piece at a time, and remembers its way.

    Args:
        rng: Of all that is left open.
        idle: How many poses it has beside the pointing one.
        left: Whether it is a left hand, which comes from the other side.
    """

    def __init__(self, rng: np.random.Generator, idle: int, left: bool) -> None:
        self.rng, self.idle, self.left = rng, idle, left
        self.time, self.away = 0.0, True
        self._times: list[FloatArray] = [np.zeros(1)]
        self._places: list[FloatArray] = [self._outside()[None]]
        self._poses: list[tuple[float, int]] = [(0.0, POINTING)]

    @property
    def place(self) -> FloatArray:
        return self._places[-1][-1]

    def track(self) -> tuple[Tip, Poses]:
        """All of its way so far."""
        tremor = Sway.draw(self.rng, 0.4, 6.0, self.rng.uniform(0.002, 0.008), axes=2)
        times, numbers = zip(*self._poses, strict=True)
        return Track(np.concatenate(self._times), np.concatenate(self._places), tremor), Poses(times, numbers)

    def pose(self, number: int) -> None:
        self._poses.append((self.time, number))

    def any_pose(self) -> None:
        """One of those that are not for drawing, where it has some."""
        self.pose(1 + int(self.rng.integers(self.idle)) if self.idle else POINTING)

    def hold(self, seconds: float) -> None:
        self._add(np.array([seconds]), self.place[None])

    def follow(self, path: GesturePath, seconds: float) -> None:
        """Draw a path, from where it begins."""
        self._add(np.linspace(0, seconds, len(path.points))[1:], path.points[1:])

    def go(self, place: FloatArray, seconds: float | None = None) -> None:
        """Reach for a place, in a bow as an arm does.

        Long ways straight along an axis would be swipes to anybody; those are gone in a wide bow.
        """
        rng, way = self.rng, place - self.place
        length = float(np.hypot(*way))
        seconds = max(0.2, length / rng.uniform(0.6, 1.8)) if seconds is None else seconds
        like_a_swipe = length > 0.35 and min(abs(way)) < 0.45 * max(abs(way)) and not self.away
        bow = rng.choice([-1, 1]) * rng.uniform(0.3, 0.5) if like_a_swipe else rng.normal(0, 0.1)
        t = np.linspace(0, 1, 16)[1:]
        eased = (t * t * (3 - 2 * t))[:, None]
        normal = np.array([-way[1], way[0]])
        self._add(t * seconds, self.place + eased * way + 4 * bow * eased * (1 - eased) * normal)
        self.away = False

    def leave(self) -> None:
        self.go(self._outside(), self.rng.uniform(0.4, 1.2))
        self.away = True

    def sway(self, seconds: float, size: float, low: float, high: float) -> None:
        """Move about where it is, between `low` and `high` Hz."""
        count = max(2, int(seconds * max(8.0, 6 * high)))
        t = np.linspace(0, seconds, count)
        ways = Sway.draw(self.rng, low, high, size, axes=2, waves=3).at(t)
        ramp = np.minimum(1, np.minimum(t, seconds - t) / min(0.3, seconds / 4))[:, None]
        self._add(t[1:], self.place + (ways * ramp)[1:])

    def _outside(self) -> FloatArray:
        rng = self.rng
        if rng.random() < 0.15:  # at its own side
            return np.array([rng.uniform(-0.5, -0.3) if self.left else rng.uniform(1.3, 1.5), rng.uniform(0.5, 1.2)])
        return np.array([rng.uniform(0.0, 0.6) if self.left else rng.uniform(0.4, 1.0), rng.uniform(1.25, 1.45)])

    def _add(self, after: FloatArray, places: FloatArray) -> None:
        self._times.append(self.time + after)
        self._places.append(np.array(places))
        self.time += float(after[-1])
