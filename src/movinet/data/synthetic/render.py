"""Puts the hand before its background: sampling of sprites and scene, motion blur, shadow, things that move behind."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import grid_sample, interpolate

from movinet.data.synthetic.hand import ARM_BOX, HAND_BOX, HandSprites
from movinet.data.synthetic.motion import Arm, Camera, Sway
from movinet.data.synthetic.paths import FloatArray
from movinet.data.synthetic.textures import Image, color

Window = tuple[slice, slice]
"""Rows and columns of a frame."""


class Tip(Protocol):
    """Where a fingertip is."""

    def fingertip(self, time: FloatArray) -> FloatArray:
        """(T,) seconds to (T, 2): x and y in fractions of the frame."""


@dataclass(frozen=True)
class Blob:
    """Something round that moves about behind the hand; lengths in fractions of the frame, `fill` (3,) in [0, 1]."""

    center: FloatArray
    path: Sway
    radii: FloatArray
    fill: Image


@dataclass(frozen=True)
class Stage:
    """All that is before the camera, and how it moves.

    Attributes:
        motion, arm, camera: the movements.
        sprites: the hand in one or more poses, and the forearm.
        scene: (height, width, 3) float32 background.
        pose: which of the poses the hand has at a moment, in seconds.
        exposure: seconds for which a frame is exposed, while a moving hand smears.
        shadow: strength of the hand's shadow on the background, in [0, 1].
        shadow_offset: (2,) where it falls, in fractions of the frame.
        blobs: what else moves.
        absent: whether the hand stays out of the picture.
    """

    motion: Tip
    arm: Arm
    camera: Camera
    sprites: HandSprites
    scene: Image
    pose: Callable[[float], int]
    exposure: float
    shadow: float
    shadow_offset: FloatArray
    blobs: tuple[Blob, ...]
    absent: bool

    def render(self, time: FloatArray, size: tuple[int, int]) -> Tensor:
        """The pictures at (T,) seconds before light and lens have their say: (T, 3, H, W) float32, about [0, 1]."""
        aspect = size[1] / size[0]
        tip = self.motion.fingertip(time)
        whole = (slice(0, size[0]), slice(0, size[1]))
        pictures = _sample(_planes(self.scene)[None], self.camera.views(tip, time, aspect), size, whole, "reflection")
        for blob in self.blobs:
            _paint_blob(pictures, blob, time)
        if not self.absent:
            self._add_hand(pictures, time)
        return pictures

    def _add_hand(self, pictures: Tensor, time: FloatArray) -> None:
        """Lays hand over forearm over `pictures`, (T, 3, H, W), in place, smeared by their movement."""
        height, width = size = (pictures.shape[2], pictures.shape[3])
        half = 0.5 * self.exposure
        way = self.motion.fingertip(time + half) - self.motion.fingertip(time - half)
        smear = np.abs(way * [width, height]).max(1)
        samples = np.clip(np.ceil(smear / 2), 1, 6).astype(int)  # two pixels apart
        poses = np.array([self.pose(float(moment)) for moment in time])
        for count, pose in sorted(set(zip(samples.tolist(), poses.tolist(), strict=True))):
            rows = np.flatnonzero((samples == count) & (poses == pose))
            layers, window = self._hand_layers(time[rows], count, pose, size)
            if window is None:
                continue
            for row, layer in zip(rows.tolist(), layers, strict=True):
                picture = pictures[row]
                if self.shadow > 0:
                    picture *= 1 - self.shadow * _shadow(layer[3], window, size, self.shadow_offset)
                shown = picture[:, window[0], window[1]]
                shown.mul_(1 - layer[3:]).add_(layer[:3])

    def _hand_layers(
        self, time: FloatArray, samples: int, pose: int, size: tuple[int, int]
    ) -> tuple[Tensor, Window | None]:
        """Hand and forearm at (T,) seconds, the mean of so many moments of each exposure: (T, 4, h, w) premultiplied
        RGBA, and the window of the frame that they cover; None where they are out of it."""
        aspect = size[1] / size[0]
        moments = (time[:, None] + ((np.arange(samples) + 0.5) / samples - 0.5) * self.exposure).ravel()
        hand, arm = self.arm.joints(self.motion.fingertip(moments), moments, aspect)
        window = _window(((hand, HAND_BOX), (arm, ARM_BOX)), size)
        if window is None:
            return torch.empty(0), None
        sprite = torch.from_numpy(self.sprites.hands[pose])[None]
        layers = _sample(sprite, _lookup(hand, HAND_BOX, aspect), size, window)
        below = _sample(torch.from_numpy(self.sprites.arm)[None], _lookup(arm, ARM_BOX, aspect), size, window)
        layers = layers.add_(below.mul_(1 - layers[:, 3:]))
        return layers.unflatten(0, (len(time), samples)).mean(1), window


def draw_blobs(rng: np.random.Generator) -> tuple[Blob, ...]:
    """Passers-by, now and then."""
    count = int(rng.integers(1, 4)) if rng.random() < 0.2 else 0
    return tuple(
        Blob(
            center=rng.uniform(0, 1, 2),
            path=Sway.draw(rng, 0.1, 0.6, rng.uniform(0.05, 0.25), axes=2, waves=2),
            radii=rng.uniform(0.03, 0.15, 2),
            fill=color(rng),
        )
        for _ in range(count)
    )


def _paint_blob(pictures: Tensor, blob: Blob, time: FloatArray) -> None:
    height, width = pictures.shape[-2:]
    place = torch.from_numpy((blob.center + blob.path.at(time)).astype(np.float32))
    radii = blob.radii.astype(np.float32)
    x = ((torch.arange(width) + 0.5) / width - place[:, :1]) / radii[0]
    y = ((torch.arange(height) + 0.5) / height - place[:, 1:]) / radii[1]
    distance = (y[:, :, None].square() + x[:, None, :].square()).sqrt()
    mask = ((1.1 - distance) / 0.2).clamp_(0, 1)[:, None]
    pictures += mask * (torch.from_numpy(blob.fill)[:, None, None] - pictures)


def _planes(picture: Image) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))


def _lookup(placement: FloatArray, box: tuple[float, float, float, float], aspect: float) -> FloatArray:
    """From a sprite's `placement` in frame heights, (T, 2, 3), to the map of frame to sprite coordinates, both ±1."""
    left, top, right, bottom = box
    from_sprite = np.array(
        [[(right - left) / 2, 0, (left + right) / 2], [0, (bottom - top) / 2, (top + bottom) / 2], [0, 0, 1]]
    )
    to_frame = np.array([[2 / aspect, 0, -1], [0, 2, -1], [0, 0, 1]])
    square = np.concatenate([placement, np.broadcast_to([[[0.0, 0.0, 1.0]]], (len(placement), 1, 3))], axis=1)
    return np.asarray(np.linalg.inv(to_frame @ square @ from_sprite)[:, :2])


def _window(
    sprites: tuple[tuple[FloatArray, tuple[float, float, float, float]], ...], size: tuple[int, int]
) -> Window | None:
    """What sprites, given by placement (T, 2, 3) and box, can touch of the frame; None where they are out of it."""
    corners = []
    for placement, (left, top, right, bottom) in sprites:
        box = np.array([[left, right, left, right], [top, top, bottom, bottom], [1, 1, 1, 1]])
        corners.append((placement @ box * size[0]).transpose(1, 0, 2).reshape(2, -1))
    x, y = np.concatenate(corners, axis=1)
    rows = slice(int(np.clip(y.min(), 0, size[0])), int(np.ceil(np.clip(y.max(), 0, size[0]))))
    columns = slice(int(np.clip(x.min(), 0, size[1])), int(np.ceil(np.clip(x.max(), 0, size[1]))))
    return (rows, columns) if rows.start < rows.stop and columns.start < columns.stop else None


def _sample(picture: Tensor, maps: FloatArray, size: tuple[int, int], window: Window, padding: str = "zeros") -> Tensor:
    """A `window` of a frame of `size` showing `picture` (1, channels, h, w) under (T, 2, 3) maps: (T, channels, …)."""
    y, x = (
        (torch.arange(part.start, part.stop, dtype=torch.float32) + 0.5) * (2 / full) - 1
        for part, full in zip(window, size, strict=True)
    )
    to_x, to_y, shift = torch.from_numpy(maps.astype(np.float32))[:, None, None].unbind(-1)
    grid = x[:, None] * to_x + (y[:, None, None] * to_y + shift)
    return grid_sample(picture.expand(len(maps), -1, -1, -1), grid, padding_mode=padding, align_corners=False)


def _shadow(alpha: Tensor, window: Window, size: tuple[int, int], offset: FloatArray) -> Tensor:
    """Coverage `alpha` of a `window`, moved by `offset` and blurred by a detour over few pixels: (H, W)."""
    full = torch.zeros(1, 1, *size)
    full[0, 0, window[0], window[1]] = alpha
    few = (max(2, size[0] // 6), max(2, size[1] // 6))
    maps = np.array([[[1.0, 0.0, -2 * offset[0]], [0.0, 1.0, -2 * offset[1]]]])
    moved = _sample(interpolate(full, size=few, mode="area"), maps, few, (slice(0, few[0]), slice(0, few[1])))
    return interpolate(moved, size=size, mode="bilinear")[0, 0]
