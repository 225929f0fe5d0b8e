"""Synthetic air-gesture clips: a hand seen from a head-mounted camera draws a sign in the air with its index finger.

A clip is a function of its label and seed: path, person, room, light and camera are drawn from them, then rendered at
any size, rate and length. They stand in for real first-person clips, which are trimmed to the gesture with short rests
at both ends, show mostly right hands with the forearm coming from the lower right, let hands leave the picture in mid-
gesture, and start over-exposed at times.
"""

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from movinet.data.gesture_paths import GESTURES
from movinet.data.grade import Sensor, Tone
from movinet.data.hand import HandSprites, draw_hand, idle_poses, pointing_pose
from movinet.data.motion import Arm, Camera, HandMotion
from movinet.data.scenes import draw_scene
from movinet.data.stage import Stage, draw_blobs
from movinet.errors import MovinetError

__all__ = ["GESTURES", "GestureClip", "render_gesture"]

_CHUNK = 16  # frames rendered at once, which bounds memory


@dataclass(frozen=True)
class GestureClip:
    """A rendered clip and what is true of it.

    Attributes:
        frames: (T, H, W, 3) uint8 RGB.
        label: one of `GESTURES`.
        fingertip: (T, 2) float32, x and y in fractions of width and height; outside [0, 1] where it is out of view.
        start, end: of the gesture, in seconds from the first frame.
    """

    frames: NDArray[np.uint8]
    label: str
    fingertip: NDArray[np.float32]
    start: float
    end: float


def render_gesture(
    label: str, seed: int, size: tuple[int, int] = (172, 172), frames: int = 16, fps: float = 5.0
) -> GestureClip:
    """Renders one clip. Equal arguments give equal clips in every process and on every machine, up to rounding.

    Args:
        label: one of `GESTURES`.
        seed: 0 or more; each is another person, place and manner of drawing.
        size: height and width in pixels, at least 8 each.
        frames: length, at least 1. The gesture fills `frames / fps` seconds but for a rest at either end, so a short
            clip shows a fast gesture; nobody draws for longer than some seconds, so a long clip shows waiting as well.
        fps: frames per second. The same seconds at another rate or size show the same scene.

    Raises:
        MovinetError: for an argument out of its range.
    """
    _check(label, seed, size, frames, fps)
    stage, sensor = _set_up(label, seed, size, frames / fps)
    time = np.arange(frames) / fps
    pixels = np.empty((frames, *size, 3), dtype=np.uint8)
    for first in range(0, frames, _CHUNK):
        part = slice(first, first + _CHUNK)
        pixels[part] = sensor.expose(stage.render(time[part], size), time[part], first)
    motion = stage.motion
    return GestureClip(pixels, label, motion.fingertip(time).astype(np.float32), motion.start, motion.end)


def _set_up(label: str, seed: int, size: tuple[int, int], duration: float) -> tuple[Stage, Sensor]:
    # A generator for each subject, so that none of them depends on how many numbers another draws.
    seeds = np.random.SeedSequence([zlib.crc32(label.encode()), seed]).spawn(5)
    motion_rng, hand_rng, scene_rng, camera_rng, stage_rng = (np.random.default_rng(s) for s in seeds)

    left_handed = motion_rng.random() < 0.08
    motion = HandMotion.draw(label, motion_rng, duration, left_handed)
    arm = Arm.draw(motion_rng, side=-1 if left_handed else 1)
    idle = label == "other" and hand_rng.random() < 0.45
    poses = idle_poses(hand_rng) if idle else (pointing_pose(hand_rng),)
    sprites = draw_hand(hand_rng, poses, pixels=max(8.0, 1.3 * arm.length * min(size)))
    tone = Tone.draw(camera_rng)
    stage = Stage(
        motion=motion,
        arm=arm,
        camera=Camera.draw(camera_rng),
        sprites=HandSprites(tone.apply_premultiplied(sprites.hands), tone.apply_premultiplied(sprites.arm)),
        # The camera sees a part of the background, so that is finer than the frame.
        scene=tone.apply(draw_scene(scene_rng, (round(size[0] * 1.25), round(size[1] * 1.25)))),
        pose_length=stage_rng.uniform(0.25, 1.0),
        exposure=stage_rng.uniform(0.005, 0.033),
        shadow=stage_rng.uniform(0.1, 0.5) * (stage_rng.random() < 0.2),
        shadow_offset=stage_rng.uniform(-0.2, 0.2, 2),
        blobs=draw_blobs(stage_rng),
        absent=label == "other" and stage_rng.random() < 0.06,
    )
    return stage, Sensor.draw(camera_rng)


def _check(label: str, seed: int, size: tuple[int, int], frames: int, fps: float) -> None:
    if label not in GESTURES:
        raise MovinetError(f"no gesture is called {label!r}; choose from {', '.join(GESTURES)}")
    if seed < 0:
        raise MovinetError(f"the seed must be 0 or more, not {seed}")
    if min(size) < 8:
        raise MovinetError(f"a synthetic clip needs at least 8 × 8 pixels, not {size[0]} × {size[1]}")
    if frames < 1:
        raise MovinetError(f"a synthetic clip needs at least one frame, not {frames}")
    if not 0 < fps < float("inf"):
        raise MovinetError(f"the frame rate must be above 0 frames per second, not {fps}")
