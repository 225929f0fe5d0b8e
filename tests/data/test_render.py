"""The hand is drawn where the motion says it is."""

from dataclasses import replace

import numpy as np
import pytest

from movinet.data.synthetic.hand import draw_hand, pointing_pose
from movinet.data.synthetic.motion import Arm, Camera, HandMotion
from movinet.data.synthetic.render import Stage

SIZE = (96, 128)


def white_hand(seed: int, label: str = "star", side: int = 1) -> Stage:
    """A white hand before a black background."""
    rng = np.random.default_rng(seed)
    sprites = draw_hand(rng, (pointing_pose(rng),), pixels=60)
    alphas = (np.repeat(planes[..., 3:, :, :], 4, axis=-3) for planes in (sprites.hands, sprites.arm))
    return Stage(
        motion=HandMotion.draw(label, rng, 3.0, side < 0),
        arm=Arm.draw(rng, side),
        camera=Camera.draw(rng),
        sprites=type(sprites)(*alphas),
        scene=np.zeros((20, 20, 3), np.float32),
        pose=lambda moment: 0,
        exposure=0.0,
        shadow=0.0,
        shadow_offset=np.zeros(2),
        blobs=(),
        absent=False,
    )


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize("seed", range(8))
def test_finger_ends_at_the_fingertip(seed: int, side: int) -> None:
    stage = white_hand(seed, side=side)
    time = np.linspace(0, 3, 9)
    tips = stage.motion.fingertip(time)
    hand, _ = stage.arm.joints(tips, time, SIZE[1] / SIZE[0])
    pictures = stage.render(time, SIZE).numpy()
    checked = 0
    for tip, down, picture in zip(hand[:, :, 2], hand[:, :, 1], pictures, strict=True):
        for step, lit in ((0.1, True), (-0.08, False)):
            x, y = ((tip + step * down) * SIZE[0]).astype(int)
            if 0 <= x < SIZE[1] and 0 <= y < SIZE[0]:
                assert (picture[0, y, x] > 0.5) == lit
                checked += 1
    assert checked >= 6


def test_forearm_comes_from_its_own_side() -> None:
    for side in (1, -1):
        shift = []
        for seed in range(10):
            stage = white_hand(seed, "caret", side)
            assert isinstance(stage.motion, HandMotion)
            apex = np.array([(stage.motion.start + stage.motion.end) / 2])
            _, x = np.nonzero(stage.render(apex, SIZE)[0, 0, -6:].numpy() > 0.5)
            if x.size:
                shift.append(x.mean() - stage.motion.fingertip(apex)[0, 0] * SIZE[1])
        assert np.mean(shift) * side > 5


def test_fast_hands_smear() -> None:
    sharp = white_hand(3, "swipe_left")
    sharp = replace(sharp, motion=replace(sharp.motion, start=1.0, end=1.4))
    smeared = replace(sharp, exposure=0.05)
    middle = np.array([1.2])
    between = [((p > 0.1) & (p < 0.9)).float().mean() for p in (s.render(middle, SIZE) for s in (sharp, smeared))]
    assert between[1] > 2 * between[0]


def test_shadow_darkens_and_absence_removes() -> None:
    stage = replace(white_hand(1), scene=np.full((20, 20, 3), 0.5, np.float32))
    middle = np.array([1.5])
    plain = stage.render(middle, SIZE)
    shaded = replace(stage, shadow=0.4, shadow_offset=np.array([-0.1, 0.0])).render(middle, SIZE)
    assert (shaded <= plain + 1e-6).all()
    assert shaded.min() < 0.4
    assert np.allclose(replace(stage, absent=True).render(middle, SIZE), 0.5)
