"""The cameras of the tests, for benchmarks: what they show, and where it is kept."""

import itertools
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from movinet.video.sample import sample_clip

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from camera_rig.filming import counter, film  # type: ignore[import-not-found]
from camera_rig.process import CameraProcess, gstreamer_python  # type: ignore[import-not-found]

__all__ = ["CameraProcess", "counter", "footage", "gstreamer_python"]

SIZES = {"240p": (320, 240), "480p": (640, 480), "720p": (1280, 720)}
_KILOBITS = {"240p": 400, "480p": 1000, "720p": 3000}
_FOLDER = Path(tempfile.gettempdir()) / "movinet-footage"
Pictures = Callable[[int, int], Iterator[NDArray[np.uint8]]]


def footage(codec: str, size: str, fps: int, *, key_every: float = 2.0, b_frames: int = 0, first: int = 0) -> str:
    """The file of a hand that draws, over and over; encoded where it is not yet there.

    Args:
        codec: h264, hevc or mjpeg.
        size: One of SIZES.
        fps: Pictures a second.
        key_every: Seconds between key frames.
        b_frames: Between others.
        first: The number burnt into the first picture.
    """
    path = _FOLDER / f"2-{codec}-{size}{fps}-{key_every:g}-{b_frames}-{first}.footage"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        more: dict[str, Any] = {"kilobits": _KILOBITS[size], "first": first, "b_frames": b_frames, "preset": "veryfast"}
        made = film(codec, seconds=10.0, fps=fps, size=SIZES[size], key_every=key_every, pictures=_hand(fps), **more)
        made.save(path.with_suffix(".part")).rename(path)
    return str(path)


def _hand(fps: int) -> Pictures:
    """The bundled clip with some noise, so that no picture is the same as the last."""

    def pictures(width: int, height: int) -> Iterator[NDArray[np.uint8]]:
        with av.open(str(sample_clip())) as clip:
            rate = float(clip.streams.video[0].average_rate or 5)
            frames = [frame.reformat(width, height, "rgb24").to_ndarray() for frame in clip.decode(video=0)]
        noise = np.random.default_rng(0).integers(0, 8, (16, height, width, 1), dtype=np.uint8)
        for n in itertools.count():
            yield np.minimum(frames[int(n * rate / fps) % len(frames)], 247) + noise[n % len(noise)]

    return pictures
