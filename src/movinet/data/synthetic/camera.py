"""Light, lens and sensor of a synthetic clip: exposure that settles, vignette, defocus, color, noise."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad

from movinet.data.synthetic.motion import Sway
from movinet.data.synthetic.paths import FloatArray
from movinet.data.synthetic.textures import Image, Numbers


@dataclass(frozen=True)
class Tone:
    """A camera's colors: `saturation`, and for R, G and B a `gamma`, a `gain` and a `black` level, (3,) each."""

    saturation: float
    gamma: Image
    gain: Image
    black: Image

    @staticmethod
    def draw(rng: np.random.Generator) -> "Tone":
        odd = 2.0 if rng.random() < 0.2 else 1.0  # some cameras have colors of their own
        dark = np.exp(rng.normal(0.0, 0.3))
        return Tone(
            saturation=rng.uniform(0.4, 1.15),
            gamma=(dark * np.exp(rng.normal(0, 0.06 * odd, 3))).astype(np.float32),
            gain=(rng.uniform(0.75, 1.1) * np.exp(rng.normal(0, 0.05 * odd, 3))).astype(np.float32),
            black=rng.uniform(-0.06, 0.06, 3).astype(np.float32),
        )

    def apply(self, rgb: Numbers) -> Image:
        """To (..., 3) colors in [0, 1]."""
        gray = rgb.mean(-1, keepdims=True)
        toned: Image = (
            np.clip(gray + np.float32(self.saturation) * (rgb - gray), 0, 1) ** self.gamma * self.gain + self.black
        )
        return toned

    def apply_premultiplied(self, sprites: Image) -> Image:
        """To the colors of (..., 4, height, width) premultiplied sprites; transparent stays transparent."""
        alpha = sprites[..., 3:, :, :]
        straight = np.moveaxis(sprites[..., :3, :, :] / np.maximum(alpha, np.float32(1e-3)), -3, -1)
        return np.concatenate([np.moveaxis(self.apply(straight), -1, -3) * alpha, alpha], axis=-3).astype(np.float32)


@dataclass(frozen=True)
class Sensor:
    """From light to 8-bit pixels.

    Attributes:
        surplus: exposure above normal with which the clip starts, before the camera has `settled` (seconds).
        flicker: relative changes of brightness.
        vignette: share of the light that the corners lose.
        defocus: standard deviation of the blur in frame heights.
        grain: standard deviation of the noise, of full scale; `seed` starts its generator.
    """

    surplus: float
    settled: float
    flicker: Sway
    vignette: float
    defocus: float
    grain: float
    seed: int

    @staticmethod
    def draw(rng: np.random.Generator) -> "Sensor":
        return Sensor(
            surplus=rng.uniform(-0.3, 1.0) * (rng.random() < 0.3),
            settled=rng.uniform(0.1, 1.0),
            flicker=Sway.draw(rng, 0.2, 5.0, rng.uniform(0, 0.03), axes=1),
            vignette=rng.uniform(0.0, 0.5),
            defocus=rng.uniform(0.0, 0.006) if rng.random() < 0.6 else 0.0,
            grain=rng.uniform(0.0, 0.04),
            seed=int(rng.integers(2**63)),
        )

    def expose(self, pictures: Tensor, time: FloatArray, first: int) -> NDArray[np.uint8]:
        """(T, 3, H, W) pictures at (T,) seconds, the first of them frame number `first`, to (T, H, W, 3) uint8."""
        height, width = pictures.shape[-2:]
        pictures = _blurred(pictures, self.defocus * height)
        light = 1 + self.surplus * np.exp(-time / self.settled) + self.flicker.at(time)[:, 0]
        y, x = (np.linspace(-1, 1, n, dtype=np.float32) for n in (height, width))
        falloff = 1 - self.vignette * (y[:, None] ** 2 + x[None] ** 2) / 2
        pictures = (
            pictures * torch.from_numpy(falloff) * torch.from_numpy(light.astype(np.float32))[:, None, None, None]
        )

        # One sheet of noise, taken up at another place for each frame.
        rng = np.random.default_rng(self.seed)
        sheet = torch.from_numpy(
            rng.standard_normal((3, height + 32, width + 32), dtype=np.float32) * np.float32(self.grain)
        )
        for index in range(len(pictures)):
            top, left = np.random.default_rng([self.seed, first + index]).integers(0, 32, 2)
            pictures[index] += sheet[:, top : top + height, left : left + width]
        pixels: NDArray[np.uint8] = (
            pictures.mul_(255).add_(0.5).clamp_(0, 255.49).to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()
        )
        return pixels


def _blurred(pictures: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of `sigma` pixels, nothing below a third of one."""
    if sigma < 1 / 3:
        return pictures
    reach = max(1, round(2.5 * sigma))
    weights = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / sigma) ** 2)
    weights /= weights.sum()
    for axis, margins in ((3, (reach, reach, 0, 0)), (2, (0, 0, reach, reach))):
        padded = pad(pictures, margins, mode="replicate")
        pictures = padded.narrow(axis, 0, pictures.shape[axis]) * weights[0]
        for offset in range(1, len(weights)):
            pictures.add_(padded.narrow(axis, offset, pictures.shape[axis]), alpha=float(weights[offset]))
    return pictures
