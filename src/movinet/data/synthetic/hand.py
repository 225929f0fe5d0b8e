"""A hand and forearm as the wearer of a camera sees them: drawn once per clip as sprites, which are then moved about.

Local coordinates: the hand's length from fingertip to wrist is 1, x to the right, y from the fingertip (0) toward the
wrist (1); a right hand seen from behind, so the thumb is on the left and the little finger on the right. The forearm
has its own axes, the origin at the wrist and y toward the elbow. Sprites are premultiplied RGBA, (4, height, width)
float32.
"""

from dataclasses import dataclass

import numpy as np

from movinet.data.synthetic.textures import Image, Numbers, color, cover, noise

HAND_BOX = (-0.5, -0.2, 0.75, 1.3)
"""Left, top, right, bottom of the hand sprite in hand lengths."""
ARM_BOX = (-0.5, -0.25, 0.5, 3.25)
"""Left, top, right, bottom of the forearm sprite in hand lengths from the wrist."""
WRIST = (0.14, 1.0)
"""The wrist in the hand's coordinates."""


@dataclass(frozen=True)
class Pose:
    """How far each finger is stretched: 0 curled, 1 straight. `spread` fans them out, in radians."""

    thumb: float = 0.3
    index: float = 1.0
    middle: float = 0.0
    ring: float = 0.0
    little: float = 0.0
    spread: float = 0.0


@dataclass(frozen=True)
class HandSprites:
    """`hands` (poses, 4, height, width) covers `HAND_BOX`; `arm` (4, height, width) covers `ARM_BOX`."""

    hands: Image
    arm: Image


@dataclass(frozen=True)
class _Bone:
    """A rounded cone from `start` to `end`."""

    start: tuple[float, float]
    end: tuple[float, float]
    start_radius: float
    end_radius: float
    lift: float = 0.0  # toward the viewer, for what lies in front of what


def pointing_pose(rng: np.random.Generator) -> Pose:
    """An index finger pointing, the others curled as loosely as people do."""
    loose = rng.uniform(0.0, 0.2)
    middle, ring, little = loose * rng.random(3)
    return Pose(rng.beta(1, 2.5), 1.0, middle, ring, little, spread=rng.uniform(-0.02, 0.06))


def idle_poses(rng: np.random.Generator) -> tuple[Pose, ...]:
    """What a hand that is not drawing does: it opens and closes, counts, or stays a fist."""
    fist = Pose(rng.uniform(0, 0.4), 0.0, spread=0.0)
    if rng.random() < 0.25:
        return (fist,)
    poses = [fist]
    for _ in range(int(rng.integers(1, 4))):
        index, middle, ring, little = rng.random(4) * 0.3 + 0.7 * (rng.random(4) < 0.65)
        poses.append(Pose(rng.random(), index, middle, ring, little, spread=rng.uniform(0, 0.22)))
    return tuple(poses[int(rng.integers(2)) :])


def draw_hand(rng: np.random.Generator, poses: tuple[Pose, ...], pixels: float) -> HandSprites:
    """One person's hand in `poses`, `pixels` to a hand length: build, skin, light and sleeve drawn from `rng`."""
    stout = rng.uniform(0.85, 1.15)
    skin, warmth = _skin(rng)
    light = _light(rng)
    backlit = rng.uniform(0.12, 0.4) if rng.random() < 0.12 else 1.0
    blotches = rng.integers(2**32)  # the same skin in every pose
    hands = []
    for pose in poses:
        y, x = _axes(HAND_BOX, pixels)
        height, distance = _relief(_hand_bones(pose, stout), y, x)
        rgb = _shade(height, light, pixels) * skin
        rgb += np.clip(0.35 - y, 0, 0.35)[..., None] * warmth * skin  # the fingertip is pinker
        rgb *= 1 + 0.05 * noise(np.random.default_rng(blotches), height.shape, (14, 11))[..., None]
        nail = np.hypot((x - 0.004) / 0.036, (y - 0.075) / 0.055).astype(np.float32) - 1
        rgb += (pose.index > 0.7) * 0.35 * cover(nail, 0.3)[..., None] * (np.float32(0.9) * skin.max() - rgb + 0.08)
        hands.append(_premultiplied(rgb * backlit, distance, pixels))
    return HandSprites(np.stack(hands), _arm(rng, stout, skin, light, backlit, pixels))


def _hand_bones(pose: Pose, stout: float) -> list[_Bone]:
    """Palm first, fingers after it."""
    bones = [
        _Bone((0.04, 0.55), (0.12, 0.95), 0.11 * stout, 0.15 * stout),
        _Bone((0.36, 0.63), (0.18, 0.98), 0.09 * stout, 0.14 * stout),
        _Bone((0.19, 0.66), (0.16, 1.2), 0.19 * stout, 0.16 * stout, 0.02),
    ]
    # Knuckle, length when straight, and radius of each finger.
    fingers = (
        (pose.index, (0.02, 0.55), 0.49, 0.062, -0.5),
        (pose.middle, (0.14, 0.52), 0.55, 0.064, 0.2),
        (pose.ring, (0.25, 0.545), 0.51, 0.06, 0.9),
        (pose.little, (0.345, 0.60), 0.40, 0.054, 1.7),
    )
    for stretch, (x, y), length, radius, fan in fingers:
        reach = 0.07 + (length - 0.07) * stretch
        lean = pose.spread * fan
        tip = (x + reach * np.sin(lean) - 0.02 * (fan < 0), y - reach * np.cos(lean))
        thickness = radius * stout * (1.2 - 0.2 * stretch)
        bones.append(_Bone((x, y), tip, thickness * 1.15, thickness * 0.9, 0.05))
    out = 0.04 + 0.22 * pose.thumb
    bones.append(_Bone((-0.01, 0.82), (-0.05 - out, 0.62 - 0.12 * pose.thumb), 0.085 * stout, 0.06 * stout, -0.02))
    return bones


def _arm(rng: np.random.Generator, stout: float, skin: Image, light: Image, backlit: float, pixels: float) -> Image:
    """The forearm with, perhaps, a sleeve, a bracelet or a watch."""
    y, x = _axes(ARM_BOX, pixels)
    thick = stout * rng.uniform(0.95, 1.2)
    elbow = rng.uniform(0.22, 0.3)
    bones = [
        _Bone((0, -0.1), (0, 0.9), 0.155 * thick, elbow * thick),
        _Bone((0, 0.9), (0, 3.6), elbow * thick, elbow * 1.1 * thick),
    ]
    height, distance = _relief(bones, y, x)
    shade = _shade(height, light, pixels)
    rgb = shade * skin * (1 + 0.05 * noise(rng, height.shape, (30, 9))[..., None])
    if rng.random() < 0.25:
        place, width = rng.uniform(0.0, 0.15), rng.uniform(0.015, 0.06)
        band = cover(np.abs(y - place - 0.03 * np.cos(5 * x)) - width, 0.02)
        rgb += (band * (distance < 0.03))[..., None] * (shade * color(rng, low=0.3, high=1.0) - rgb)
        distance = np.minimum(distance, np.maximum(distance - np.float32(0.02), np.abs(y - place) - width))
    if rng.random() < 0.35:
        cuff = rng.uniform(0.1, 1.1)
        cloth = _cloth(rng, y, x)
        folds = 1 + 0.15 * noise(rng, height.shape, (16, 4))[..., None]
        sleeve = cover(cuff + 0.05 * np.cos(4 * x) - y, 0.02)[..., None]
        rgb += sleeve * (shade * cloth * folds - rgb)
        distance = np.where(y > cuff, distance - np.float32(rng.uniform(0.01, 0.08)), distance)
    return _premultiplied(rgb * backlit, distance, pixels)


def _cloth(rng: np.random.Generator, y: Image, x: Image) -> Image:
    first, second = color(rng, vivid=0.5), color(rng, vivid=0.5)
    pitch = rng.uniform(20, 60)
    kind = rng.random()
    if kind < 0.5:
        return np.broadcast_to(first, (*np.broadcast_shapes(y.shape, x.shape), 3))
    wave = np.sin(pitch * y) + (np.sin(pitch * x) if kind > 0.8 else 0 * x)
    return first + cover(wave.astype(np.float32), 0.4)[..., None] * (second - first)


def _skin(rng: np.random.Generator) -> tuple[Image, Image]:
    """A skin tone between pale and dark, and how much redder its tips are."""
    tones = np.array(
        [[0.96, 0.80, 0.72], [0.90, 0.68, 0.54], [0.76, 0.53, 0.38], [0.58, 0.37, 0.26], [0.38, 0.24, 0.18]]
    )
    shade = rng.random() * (len(tones) - 1)
    index = min(int(shade), len(tones) - 2)
    tone = tones[index] + (shade - index) * (tones[index + 1] - tones[index])
    tint = 1 + rng.normal(0, 0.05, 3)
    return (tone * tint).astype(np.float32), np.array([0.5, 0.05, 0.05], dtype=np.float32) * np.float32(rng.random())


def _light(rng: np.random.Generator) -> Image:
    """Direction toward the light, x, y and z (z toward the viewer), scaled by how hard the light is."""
    angle = rng.uniform(0, 2 * np.pi)
    side = rng.uniform(0.1, 0.8)
    direction = np.array([side * np.cos(angle), side * np.sin(angle), np.sqrt(1 - side**2)])
    return (direction * rng.uniform(0.4, 0.8)).astype(np.float32)


def _axes(box: tuple[float, float, float, float], pixels: float) -> tuple[Image, Image]:
    """Local y (height, 1) and x (1, width) of a sprite's pixel centers."""
    left, top, right, bottom = box
    rows, columns = max(2, round((bottom - top) * pixels)), max(2, round((right - left) * pixels))
    y = top + (np.arange(rows, dtype=np.float32) + 0.5) / rows * (bottom - top)
    x = left + (np.arange(columns, dtype=np.float32) + 0.5) / columns * (right - left)
    return y[:, None].astype(np.float32), x[None].astype(np.float32)


def _relief(bones: list[_Bone], y: Image, x: Image) -> tuple[Image, Image]:
    """Height of the bones' surface toward the viewer and signed distance to their outline: (height, width) float32."""
    height = np.full(np.broadcast_shapes(y.shape, x.shape), -1, dtype=np.float32)
    distance = np.full(height.shape, np.inf, dtype=np.float32)
    for bone in bones:
        ax, ay = bone.start
        dx, dy = bone.end[0] - ax, bone.end[1] - ay
        along = np.clip(((x - ax) * dx + (y - ay) * dy) / np.float32(dx * dx + dy * dy), 0, 1)
        radius = bone.start_radius + along * (bone.end_radius - bone.start_radius)
        across = np.hypot(x - ax - along * dx, y - ay - along * dy)
        height = np.maximum(height, np.sqrt(np.maximum(radius**2 - across**2, 0)) + bone.lift)
        distance = np.minimum(distance, across - radius)
    return height.astype(np.float32), distance.astype(np.float32)


def _shade(height: Image, light: Image, pixels: float) -> Image:
    """Lambert shading of a relief: (height, width, 1) around 0.9."""
    slope_y, slope_x = np.gradient(height * np.float32(0.6 * pixels))
    length = np.sqrt(1 + slope_x**2 + slope_y**2)
    facing = np.clip((light[2] - light[0] * slope_x - light[1] * slope_y) / length, 0, None)
    ambient = 1 - np.sqrt(np.sum(light**2)) * 0.8
    return (ambient + facing)[..., None].astype(np.float32)


def _premultiplied(rgb: Numbers, distance: Numbers, pixels: float) -> Image:
    alpha = cover(distance, 1.5 / pixels)[None]
    return np.concatenate([np.clip(rgb, 0, 1).transpose(2, 0, 1) * alpha, alpha]).astype(np.float32)
