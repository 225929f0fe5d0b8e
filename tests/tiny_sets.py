"""Small labeled sets of real files, and footage that is no file."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from movinet.labeled.sampling import Sampling
from movinet.video.encode import encode_video
from movinet.video.frame import Frame
from movinet.video.pacer import FilePacer


def tiny_set(folder: Path, clips: int = 2, frames: int = 12) -> Path:
    """A folder per class of `tiny.LABELS`, of videos of 48×64 pixels at 5 frames a second."""
    for n, label in enumerate(("left", "right", "other")):
        (folder / label).mkdir(parents=True)
        for clip in range(clips):
            images = np.random.default_rng(10 * n + clip).integers(0, 256, (frames, 48, 64, 3), dtype=np.uint8)
            encode_video(folder / label / f"{clip}.mp4", images, fps=5)
    return folder


@dataclass(frozen=True, eq=False)
class ArrayFootage:
    """Pictures (T, H, W, 3) at a rate."""

    pictures: NDArray[np.uint8]
    fps: float
    labels: tuple[str, ...]
    name: str = "array"

    @property
    def source(self) -> str:
        return self.name

    @property
    def fingerprint(self) -> list[object]:
        return [self.name, list(self.labels)]

    def stream(self, fps: float) -> Iterator[Frame]:
        return self._shown(FilePacer(fps))

    def at(self, sampling: Sampling, fps: float) -> tuple[float, Iterator[Frame]]:
        lasts = len(self.pictures) / self.fps
        times = np.minimum(sampling(lasts, np.random.default_rng(0)), lasts - 2e-3)
        return lasts, self._shown(FilePacer(times=times.tolist()))

    def _shown(self, pacer: FilePacer) -> Iterator[Frame]:
        timed = ((n / self.fps, 1 / self.fps, Frame.of_rgb(rgb, n / self.fps)) for n, rgb in enumerate(self.pictures))
        return (frame.at(time) for time, frame in pacer.shown(timed))
