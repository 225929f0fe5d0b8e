"""How finger, arm and camera move through a synthetic clip: everything here is a function of time in seconds."""

from dataclasses import dataclass

import numpy as np

from movinet.data.synthetic.hand import WRIST
from movinet.data.synthetic.paths import FloatArray, GesturePath, gesture_path

# Nobody draws slower than this, in seconds; what is left of a longer clip is spent waiting.
_SLOWEST = {
    "swipe_down": 3.0,
    "swipe_left": 3.0,
    "swipe_right": 3.0,
    "swipe_up": 3.0,
    "tick": 4.5,
    "caret": 4.5,
    "circle_ccw": 6.0,
    "cross": 7.0,
    "square": 8.0,
    "star": 10.0,
    "other": np.inf,
}


@dataclass(frozen=True)
class Sway:
    """A smooth random movement about zero: a few sine waves of unrelated frequency.

    Attributes:
        frequency: (waves,) in Hz.
        amplitude: (waves, axes).
        phase: (waves, axes) in radians.
    """

    frequency: FloatArray
    amplitude: FloatArray
    phase: FloatArray

    @staticmethod
    def draw(rng: np.random.Generator, low: float, high: float, size: float, axes: int, waves: int = 4) -> "Sway":
        """`waves` frequencies between `low` and `high` Hz, the slower the stronger; standard deviation about `size`."""
        frequency = np.exp(rng.uniform(np.log(low), np.log(high), waves))
        amplitude = rng.normal(0, 1, (waves, axes)) * (low / frequency[:, None]) ** 0.5
        scale = size * np.sqrt(2) / np.maximum(np.sqrt((amplitude**2).sum(0)), 1e-6)
        return Sway(frequency, amplitude * scale, rng.uniform(0, 2 * np.pi, (waves, axes)))

    def at(self, time: FloatArray) -> FloatArray:
        """(T,) seconds to (T, axes)."""
        angle = 2 * np.pi * time[:, None, None] * self.frequency[:, None] + self.phase
        return np.asarray((self.amplitude * np.sin(angle)).sum(1))


@dataclass(frozen=True)
class HandMotion:
    """Where the fingertip is: it waits (or comes into view), draws, and waits (or leaves) in one continuous movement.

    Attributes:
        path: what it draws.
        start, end: when the drawing starts and ends, in seconds.
        away: (2,) a place outside the frame to come from and go to.
        arrival, departure: seconds that coming and going take; 0 where the hand is in view all along.
        tremor: unsteadiness in fractions of the frame.
    """

    path: GesturePath
    start: float
    end: float
    away: FloatArray
    arrival: float
    departure: float
    tremor: Sway

    @staticmethod
    def draw(label: str, rng: np.random.Generator, duration: float, left_hand: bool) -> "HandMotion":
        """Fits one drawing of `label` with its margins into `duration` seconds."""
        path = gesture_path(label, rng)
        relaxed = rng.random() < 0.25
        lead, tail = rng.uniform(0.01, 0.32 if relaxed else 0.17, 2)
        length = (1 - lead - tail) * duration
        slowest = _SLOWEST[label] * rng.uniform(0.6, 1.0)
        start = lead * duration + rng.random() * max(0.0, length - slowest)
        end = start + min(length, slowest)
        away = np.array([rng.uniform(0.0, 0.6) if left_hand else rng.uniform(0.4, 1.0), rng.uniform(1.25, 1.45)])
        # Coming and going take most of the margin, at the pace of the gesture itself.
        arrival = start * rng.uniform(0.6, 0.95) * (rng.random() < 0.2)
        departure = (duration - end) * rng.uniform(0.6, 0.95) * (rng.random() < 0.25)
        tremor = Sway.draw(rng, 0.4, 6.0, rng.uniform(0.002, 0.008), axes=2)
        return HandMotion(path, start, end, away, min(arrival, 1.2), min(departure, 1.2), tremor)

    def fingertip(self, time: FloatArray) -> FloatArray:
        """(T,) seconds to (T, 2): x and y in fractions of the frame."""
        tip = self.path.at((time - self.start) / max(self.end - self.start, 1e-9))
        for ahead, span in ((self.start - time, self.arrival), (time - self.end, self.departure)):
            if span > 0:
                t = np.clip(ahead / span, 0, 1)[:, None]
                tip = tip + t * t * (3 - 2 * t) * (self.away - tip)
        return np.asarray(tip + self.tremor.at(time))


@dataclass(frozen=True)
class Arm:
    """How hand and forearm hang together, in units of the frame's height.

    Attributes:
        side: 1 for a right arm, −1 for a left one.
        elbow: (2,) where the elbow is while the finger points at the center: below the frame, on its own side.
        follow: share of the fingertip's movement that the elbow joins in.
        bend: share of the forearm's tilt that the hand takes over; the wrist bends by the rest.
        tilt: the hand's own tilt in radians, to the inside.
        length: of the hand, fingertip to wrist.
        reach: how much larger the hand is at the top of the frame than at its bottom.
        squash: width of everything relative to its height, as when wide video is squeezed into a square.
        foreshortening: length of the hand relative to its width, as the finger points more or less away.
        unrest: changes of size and tilt over time.
    """

    side: int
    elbow: FloatArray
    follow: float
    bend: float
    tilt: float
    length: float
    reach: float
    squash: float
    foreshortening: float
    unrest: Sway

    @staticmethod
    def draw(rng: np.random.Generator, side: int) -> "Arm":
        return Arm(
            side=side,
            elbow=np.array([side * rng.uniform(0.3, 0.95), rng.uniform(0.75, 1.15)]),
            follow=rng.uniform(0.15, 0.6),
            bend=rng.uniform(0.1, 0.7),
            tilt=rng.normal(0.05, 0.15),
            length=float(np.clip(rng.lognormal(np.log(0.47), 0.22), 0.27, 0.85)),
            reach=rng.uniform(-0.1, 0.6),
            squash=rng.uniform(0.75, 1.1),
            foreshortening=rng.uniform(0.75, 1.1),
            unrest=Sway.draw(rng, 0.2, 2.0, rng.uniform(0.01, 0.05), axes=2),
        )

    def joints(self, tip: FloatArray, time: FloatArray, aspect: float) -> tuple[FloatArray, FloatArray]:
        """Placements of hand and forearm sprites for (T, 2) fingertips, see `placement`: two of (T, 2, 3).

        They map hand lengths to frame heights, x counted from the frame's left edge to `aspect` (width over height).
        """
        tip = tip * np.array([aspect, 1.0])
        center = np.array([0.5 * aspect, 0.5])
        unit = min(1.0, aspect)  # narrow frames see a smaller hand, not half of one
        unrest = self.unrest.at(time)
        size = unit * self.length * (1 + self.reach * (0.5 - tip[:, 1].clip(0, 1)) + unrest[:, 0])
        elbow = center + self.elbow * unit + self.follow * (tip - center)
        elbow[:, 1] = np.maximum(elbow[:, 1], tip[:, 1] + 1.2 * size)
        tilt = self.bend * _tilt(elbow - tip) + self.side * self.tilt + unrest[:, 1]
        scale = np.array([self.squash * self.side, self.foreshortening])
        hand = placement(tip, tilt, size, scale, self.squash)
        wrist = hand[:, :, :2] @ np.array(WRIST) + tip
        arm = placement(wrist, _tilt(elbow - wrist), size, np.array([self.squash * self.side, 1.0]), self.squash)
        return hand, arm


def placement(origin: FloatArray, tilt: FloatArray, size: FloatArray, scale: FloatArray, squash: float) -> FloatArray:
    """Affine maps (T, 2, 3) that scale a sprite's axes, turn them by `tilt` and put their zero at `origin` (T, 2).

    A tilt of 0 has the sprite's y pointing down, a positive one turns it to the right; the squash comes after.
    """
    cos, sin = np.cos(tilt), np.sin(tilt)
    x_axis = np.stack([squash * cos, -sin], axis=-1) * (size * scale[0] / squash)[:, None]
    y_axis = np.stack([squash * sin, cos], axis=-1) * (size * scale[1])[:, None]
    return np.stack([x_axis, y_axis, origin], axis=-1)


def _tilt(toward: FloatArray) -> FloatArray:
    """Angle of (T, 2) vectors from straight down, positive to the right."""
    return np.asarray(np.arctan2(toward[:, 0], toward[:, 1]))


@dataclass(frozen=True)
class Camera:
    """A head-mounted camera: it shakes, pans, nods and rolls, and looks after the hand a little.

    Attributes:
        shake: x, y in frame heights, roll in radians and zoom, about zero.
        pan: (2,) in frame heights a second.
        attention: how far the view follows the fingertip's movement.
        roll, zoom: of the view at rest.
    """

    shake: Sway
    pan: FloatArray
    attention: float
    roll: float
    zoom: float

    @staticmethod
    def draw(rng: np.random.Generator) -> "Camera":
        steadiness = rng.lognormal(np.log(0.006), 0.8)
        moving = rng.random() < 0.35
        return Camera(
            shake=Sway.draw(rng, 0.25, 4.0, steadiness, axes=4),
            pan=rng.normal(0, 0.06, 2) * moving,
            attention=rng.normal(0, 0.08) * (rng.random() < 0.4),
            roll=rng.normal(0, 0.08),
            zoom=rng.uniform(0.6, 1.0),
        )

    def views(self, tip: FloatArray, time: FloatArray, aspect: float) -> FloatArray:
        """(T, 2, 3) maps of frame to background coordinates, both ±1, for (T, 2) fingertips at (T,) seconds."""
        shake = self.shake.at(time)
        roll = self.roll + shake[:, 2]
        zoom = self.zoom * (1 + shake[:, 3])
        middle = time.mean() if len(time) else 0.0
        shift = shake[:, :2] + self.pan * (time - middle)[:, None] + self.attention * (tip - 0.5)
        cos, sin = zoom * np.cos(roll), zoom * np.sin(roll)
        rows = [[cos, -sin / aspect, 2 * shift[:, 0] / aspect], [sin * aspect, cos, 2 * shift[:, 1]]]
        return np.asarray(rows).transpose(2, 0, 1)
