"""What happens in a synthetic stream, and when: scenes after one another, and what the hand does in each."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from movinet.data.synthetic.motion import HandMotion
from movinet.data.synthetic.paths import GESTURES, FloatArray, gesture_path
from movinet.data.synthetic.render import Tip
from movinet.data.synthetic.stream_motion import POINTING, Hand, Poses

BACKGROUND = "other"
SIGNS = tuple(label for label in GESTURES if label != BACKGROUND)

# Seconds that drawing takes, from the quickest to the slowest person.
_PACE = {
    "swipe_down": (0.7, 3.0),
    "swipe_left": (0.7, 3.0),
    "swipe_right": (0.7, 3.0),
    "swipe_up": (0.7, 3.0),
    "tick": (1.0, 4.0),
    "caret": (1.0, 3.6),
    "circle_ccw": (1.6, 5.6),
    "cross": (1.8, 5.2),
    "square": (2.2, 7.0),
    "star": (2.6, 9.0),
    BACKGROUND: (1.0, 6.0),
}

# What a hand does when it draws nothing, and how often.
_IDLE = {"rest": 0.26, "open and close": 0.16, "scratch": 0.12, "point": 0.14, "other": 0.2, "away": 0.12}
_LEAST = 12.0  # seconds; what is left of a stream is too short to begin something in
_QUIET = ("rest", "away")  # they may follow a gesture without being something else that begins


@dataclass(frozen=True)
class Act:
    """What a hand does from `start` to `end`, seconds: a gesture of `SIGNS`, or something that is none."""

    kind: str
    start: float
    end: float

    @property
    def quiet(self) -> bool:
        """Whether nothing begins with it."""
        return self.kind in _QUIET


@dataclass(frozen=True)
class Scene:
    """One person in one place, between two cuts.

    Attributes:
        seed: of how everything looks.
        start: in seconds of the stream.
        moves: seconds for which it moves.
        still: seconds for which its last picture stays.
        acts: what happens, in seconds of the stream.
        motion: of the fingertip, in seconds of the scene.
        poses: of the hand; None: in turn.
        left: whether the hand is a left one.
        idle: whether the hand has poses that do not draw.
        absent: whether nobody is there.
        switches: (moment, light) in seconds of the scene: light is switched, to that share of what it was.
    """

    seed: int
    start: float
    moves: float
    still: float
    acts: tuple[Act, ...]
    motion: Tip
    poses: Poses | None
    left: bool
    idle: bool
    absent: bool
    switches: tuple[tuple[float, float], ...]

    @property
    def end(self) -> float:
        return self.start + self.moves + self.still


def plan_stream(seed: tuple[int, ...], seconds: float, gestures: float) -> tuple[Scene, ...]:
    """A stream of `seconds`: people in their places, drawing and idling; nobody there; single clips and stills.

    Args:
        seed: decides all.
        seconds: that it lasts.
        gestures: the share of what hands do that are gestures, in [0, 1]; with 0 there are none.
    """
    return tuple(_scenes(np.random.default_rng(seed), seconds, gestures))


def plan_clips(seed: tuple[int, ...], each: float, count: int) -> tuple[Scene, ...]:
    """Single gestures, or `other`, each as trimmed to it and followed by its last picture: `each` seconds together."""
    rng = np.random.default_rng(seed)
    return tuple(_clip(rng, n * each, rng.choice(GESTURES), each, each) for n in range(count))


def _scenes(rng: np.random.Generator, seconds: float, gestures: float) -> Iterator[Scene]:
    time = 0.0
    while time < seconds:
        left = seconds - time
        kind = rng.random()
        if left < _LEAST:
            scene = _nobody(rng, time, left)
        elif kind < 0.6:
            label = str(rng.choice(SIGNS)) if rng.random() < 1.6 * gestures else BACKGROUND
            still = rng.uniform(0.4, 4.0) if rng.random() < 0.65 else 0.0
            scene = _clip(rng, time, label, left, None, still)
        elif kind < 0.7:
            scene = _nobody(rng, time, min(left, rng.uniform(2, 20)))
        else:
            scene = _life(rng, time, min(left, rng.uniform(8, 45)), gestures)
        yield scene
        time = scene.end


def _clip(
    rng: np.random.Generator, start: float, label: str, most: float, whole: float | None, still: float = 0.0
) -> Scene:
    """A gesture trimmed to it, of at most `most` seconds; with `whole`, all of it lasts so long."""
    left = bool(rng.random() < 0.08)
    moves = min(most, max(0.9, _pace(label, rng) * rng.uniform(1.05, 1.4)))
    motion = HandMotion.draw(label, rng, moves, left)
    act = Act(label, start + motion.start, start + motion.end)
    still = max(0.0, whole - moves) if whole is not None else min(still, most - moves)
    idle = label == BACKGROUND and bool(rng.random() < 0.45)
    absent = label == BACKGROUND and bool(rng.random() < 0.06)
    poses = None if idle else Poses((0.0,), (POINTING,))
    return Scene(_seed(rng), start, moves, still, (act,), motion, poses, left, idle, absent, ())


def _nobody(rng: np.random.Generator, start: float, seconds: float) -> Scene:
    motion, poses = Hand(rng, 0, left=False).track()
    acts = (Act("nobody", start, start + seconds),)
    return Scene(_seed(rng), start, seconds, 0.0, acts, motion, poses, False, False, True, _switches(rng, seconds, 0.3))


def _life(rng: np.random.Generator, start: float, seconds: float, gestures: float) -> Scene:
    """Somebody goes on for a while."""
    left = bool(rng.random() < 0.08)
    hand = Hand(rng, idle=3, left=left)
    if rng.random() < 0.5:  # it is there when the scene begins
        hand.go(_somewhere(rng), 1e-3)
    acts: list[Act] = []
    while hand.time < seconds:
        begun = hand.time
        if rng.random() < gestures:
            kind = str(rng.choice(SIGNS))
            begun = _draw(rng, hand, kind)
        else:
            kind = str(rng.choice(list(_IDLE), p=list(_IDLE.values())))
            begun = _idle(rng, hand, kind)
        acts.append(Act(kind, start + begun, start + hand.time))
        if kind in SIGNS:
            hand.hold(rng.uniform(0.3, 0.9) if rng.random() < 0.3 else rng.uniform(0.7, 2.5))
            if rng.random() < 0.2:
                hand.leave()
                hand.hold(rng.uniform(0.3, 3.0))
    motion, poses = hand.track()
    # A gesture that the cut would leave undone is left out: nobody can say what it was to be.
    done = max((act.start - start for act in acts if act.end > start + seconds), default=seconds)
    seconds = max(1.0, min(seconds, done))
    acts = [act for act in acts if act.end <= start + seconds]
    switches = _switches(rng, seconds, 0.15)
    return Scene(_seed(rng), start, seconds, 0.0, tuple(acts), motion, poses, left, True, False, switches)


def _draw(rng: np.random.Generator, hand: Hand, label: str) -> float:
    """Draw a gesture; when it began."""
    path = gesture_path(label, rng)
    _prepare(rng, hand, path.points[0])
    begun = hand.time
    hand.follow(path, _pace(label, rng))
    return begun


def _prepare(rng: np.random.Generator, hand: Hand, place: FloatArray) -> None:
    """Go where something begins, mostly with the hand already as it will draw, and be still for a moment."""
    if rng.random() < 0.3:
        hand.any_pose()
    else:
        hand.pose(POINTING)
    hand.go(place)
    hand.pose(POINTING)
    hand.hold(rng.uniform(0.15, 0.5) if rng.random() < 0.7 else rng.uniform(0.5, 1.5))


def _idle(rng: np.random.Generator, hand: Hand, kind: str) -> float:
    """Do something that is no gesture; when it began."""
    if kind == "away":
        if not hand.away:
            hand.leave()
        begun = hand.time
        hand.hold(rng.uniform(0.5, 10.0))
        return begun
    if kind == "other":
        path = gesture_path(BACKGROUND, rng)
        _prepare(rng, hand, path.points[0])
        begun = hand.time
        hand.follow(path, _pace(kind, rng))
        return begun
    if hand.away or rng.random() < 0.3:
        if rng.random() < 0.5:
            hand.any_pose()
        hand.go(_somewhere(rng))
    begun = hand.time
    if kind == "rest":
        if rng.random() < 0.5:
            hand.any_pose()
        hand.sway(rng.uniform(0.6, 6.0), rng.uniform(0.003, 0.03), 0.1, 0.6)
    elif kind == "open and close":
        for _ in range(int(rng.integers(1, 6))):
            hand.any_pose()
            hand.sway(rng.uniform(0.25, 1.2), rng.uniform(0.003, 0.03), 0.2, 1.0)
    elif kind == "scratch":
        hand.any_pose()
        hand.sway(rng.uniform(0.6, 3.0), rng.uniform(0.01, 0.07), 1.5, 4.0)
    else:  # point
        hand.pose(POINTING)
        for _ in range(int(rng.integers(1, 5))):
            turn = rng.uniform(0, 2 * np.pi)
            step = rng.uniform(0.08, 0.32) * np.array([np.cos(turn), np.sin(turn)])
            hand.go(np.clip(hand.place + step, 0.05, 0.95))
            hand.hold(rng.uniform(0.3, 1.5))
    return begun


def _somewhere(rng: np.random.Generator) -> FloatArray:
    return np.array([rng.normal(0.5, 0.15), rng.normal(0.6, 0.18)])


def _pace(label: str, rng: np.random.Generator) -> float:
    quickest, slowest = _PACE[label]
    return float(quickest + (slowest - quickest) * rng.beta(1.5, 2.5))


def _switches(rng: np.random.Generator, seconds: float, share: float) -> tuple[tuple[float, float], ...]:
    """Light goes off, and on again."""
    if rng.random() >= share:
        return ()
    off = rng.uniform(0, seconds)
    dark = rng.uniform(0.1, 0.6)
    return ((off, dark), (off + rng.uniform(0.5, 8.0), 1.0)) if rng.random() < 0.8 else ((off, dark),)


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**62))
