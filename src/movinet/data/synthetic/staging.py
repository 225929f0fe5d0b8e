"""What a stage is furnished with: a person's hand, a place, its light and a camera, drawn from seeds."""

from collections.abc import Callable

import numpy as np

from movinet.data.synthetic.background import draw_scene
from movinet.data.synthetic.camera import Sensor, Tone
from movinet.data.synthetic.hand import HandSprites, Pose, draw_hand
from movinet.data.synthetic.motion import Arm, Camera
from movinet.data.synthetic.render import Stage, Tip, draw_blobs


def furnish(
    motion: Tip,
    arm: Arm,
    poses: tuple[Pose, ...],
    size: tuple[int, int],
    hand_rng: np.random.Generator,
    scene_rng: np.random.Generator,
    camera_rng: np.random.Generator,
    stage_rng: np.random.Generator,
    pose: Callable[[float], int] | None = None,
    absent: float = 0.0,
) -> tuple[Stage, Sensor]:
    """A stage on which a hand moves, and the sensor that looks at it.

    Args:
        motion: Of the fingertip.
        arm: That it hangs on.
        poses: That the hand takes.
        size: Height and width of the frames, in pixels.
        hand_rng, scene_rng, camera_rng, stage_rng: One for each subject, so that none depends on how many numbers
            another draws.
        pose: Which pose at which second; in turn by default.
        absent: How likely it is that nobody is there.
    """
    sprites = draw_hand(hand_rng, poses, pixels=max(8.0, 1.3 * arm.length * min(size)))
    tone = Tone.draw(camera_rng)
    turns = stage_rng.uniform(0.25, 1.0)
    stage = Stage(
        motion=motion,
        arm=arm,
        camera=Camera.draw(camera_rng),
        sprites=HandSprites(tone.apply_premultiplied(sprites.hands), tone.apply_premultiplied(sprites.arm)),
        # The camera sees a part of the background, so that is finer than the frame.
        scene=tone.apply(draw_scene(scene_rng, (round(size[0] * 1.25), round(size[1] * 1.25)))),
        pose=pose or (lambda moment: int(moment / turns) % len(poses)),
        exposure=stage_rng.uniform(0.005, 0.033),
        shadow=stage_rng.uniform(0.1, 0.5) * (stage_rng.random() < 0.2),
        shadow_offset=stage_rng.uniform(-0.2, 0.2, 2),
        blobs=draw_blobs(stage_rng),
        absent=bool(absent) and stage_rng.random() < absent,
    )
    return stage, Sensor.draw(camera_rng)
