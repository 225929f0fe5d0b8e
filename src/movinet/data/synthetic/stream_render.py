"""Puts planned streams into frames, from any frame on."""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from movinet.data.synthetic.camera import Sensor
from movinet.data.synthetic.hand import idle_poses, pointing_pose
from movinet.data.synthetic.motion import Arm, Sway
from movinet.data.synthetic.paths import FloatArray
from movinet.data.synthetic.render import Stage
from movinet.data.synthetic.staging import furnish
from movinet.data.synthetic.stream_plan import Scene

_ADAPTS = 0.8  # seconds in which a camera gets used to another light
_ADAPTED = 0.55  # share of the change that it then makes up for
_PIECE = 16  # frames rendered at once


class StreamRenderer:
    """Frames of planned streams.

    Args:
        size: Height and width in pixels.
        fps: Frames a second.
        kept: How many scenes it keeps furnished, for those who read many streams in turn.
    """

    def __init__(self, size: tuple[int, int], fps: float, kept: int = 64) -> None:
        self.size, self.fps, self.kept = size, fps, kept
        self._stages: OrderedDict[int, tuple[Stage, Sensor]] = OrderedDict()

    def frames(self, plan: Sequence[Scene], first: int, count: int) -> NDArray[np.uint8]:
        """`count` frames of a stream from number `first` on: (count, H, W, 3) uint8 RGB.

        Frame n is that at n / fps seconds. After the end of the plan the last picture stays.
        """
        moments = (first + np.arange(count)) / self.fps
        starts = np.array([scene.start for scene in plan])
        numbers = np.searchsorted(starts, moments + 1e-9, side="right") - 1
        pictures = np.empty((count, *self.size, 3), np.uint8)
        for number in np.unique(numbers):
            rows = np.flatnonzero(numbers == number)
            pictures[rows] = self._scene(plan[int(number)], moments[rows])
        return pictures

    def stream(self, plan: Sequence[Scene], seconds: float) -> Iterator[NDArray[np.uint8]]:
        """All frames of so many seconds, one (H, W, 3) after another."""
        count = round(seconds * self.fps)
        for first in range(0, count, _PIECE):
            yield from self.frames(plan, first, min(_PIECE, count - first))

    def _scene(self, scene: Scene, moments: FloatArray) -> NDArray[np.uint8]:
        """Frames at moments of the stream, all of one scene."""
        earliest = np.ceil(scene.start * self.fps - 1e-6)  # number of its first frame
        number = np.round(moments * self.fps) - earliest
        last = max(0.0, np.ceil((scene.start + scene.moves) * self.fps - 1e-6) - 1 - earliest)
        shown, back = np.unique(np.minimum(number, last).astype(int), return_inverse=True)  # stills are rendered once
        time = (earliest + shown) / self.fps - scene.start
        stage, sensor = self._furnished(scene)
        light = torch.from_numpy(_light(scene.switches, time).astype(np.float32))
        pictures = stage.render(time, self.size) * light[:, None, None, None]
        return np.asarray(sensor.expose(pictures, time, int(shown[0]))[back])

    def _furnished(self, scene: Scene) -> tuple[Stage, Sensor]:
        if scene.seed in self._stages:
            self._stages.move_to_end(scene.seed)
        else:
            self._stages[scene.seed] = _furnish(scene, self.size)
            if len(self._stages) > self.kept:
                self._stages.popitem(last=False)
        return self._stages[scene.seed]


def _furnish(scene: Scene, size: tuple[int, int]) -> tuple[Stage, Sensor]:
    arm_rng, hand_rng, scene_rng, camera_rng, stage_rng, sway_rng = (
        np.random.default_rng(seed) for seed in np.random.SeedSequence(scene.seed).spawn(6)
    )
    arm = Arm.draw(arm_rng, side=-1 if scene.left else 1)
    pointing = (pointing_pose(hand_rng),)
    poses = (*pointing, *(idle_poses(hand_rng) * 3)[:3]) if scene.poses else idle_poses(hand_rng)
    if not scene.idle:
        poses = pointing
    stage, sensor = furnish(
        scene.motion,
        arm,
        poses,
        size,
        hand_rng,
        scene_rng,
        camera_rng,
        stage_rng,
        pose=scene.poses,
    )
    # A pan would leave the room in a long scene: the view wanders to and fro instead.
    wander = Sway.draw(sway_rng, 0.02, 0.3, sway_rng.uniform(0.0, 0.12), axes=2)
    still = np.zeros((len(wander.frequency), 2))
    shake = stage.camera.shake
    camera = replace(
        stage.camera,
        pan=np.zeros(2),
        shake=Sway(
            np.concatenate([shake.frequency, wander.frequency]),
            np.concatenate([shake.amplitude, np.concatenate([wander.amplitude, still], axis=1)]),
            np.concatenate([shake.phase, np.concatenate([wander.phase, still], axis=1)]),
        ),
    )
    return replace(stage, camera=camera, absent=scene.absent), sensor


def _light(switches: tuple[tuple[float, float], ...], time: FloatArray) -> FloatArray:
    """The light of a picture at (T,) seconds, 1 before any switch: it jumps with the light, then the camera makes up
    for a part of that."""
    light, before = np.ones(len(time)), 1.0
    for moment, level in switches:
        since = np.clip(time - moment, 0, None)
        jump = (level / before) ** (_ADAPTED * np.exp(-since / _ADAPTS))
        light = np.where(time >= moment, level ** (1 - _ADAPTED) * jump, light)
        before = level
    return light
