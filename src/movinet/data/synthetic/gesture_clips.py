"""Synthetic air-gesture clips: a hand seen from a head-mounted camera draws a sign in the air with its index finger.

A clip is a function of its label and seed: path, person, room, light and camera are drawn from them, then rendered at
any size, rate and length. They stand in for real first-person clips, which are trimmed to the gesture with short rests
at both ends, show mostly right hands with the forearm coming from the lower right, let hands leave the picture in mid-
gesture, and start over-exposed at times.
"""

import csv
import io
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from movinet.data.synthetic.camera import Sensor
from movinet.data.synthetic.hand import idle_poses, pointing_pose
from movinet.data.synthetic.motion import Arm, HandMotion
from movinet.data.synthetic.paths import GESTURES
from movinet.data.synthetic.render import Stage
from movinet.data.synthetic.set_folder import claim_folder, write_missing
from movinet.data.synthetic.staging import furnish
from movinet.errors import MovinetError
from movinet.files import write_atomically
from movinet.video.encode import encode_video

__all__ = ["GESTURES", "GestureClip", "render_gesture", "write_dataset"]

_CHUNK = 16  # frames rendered at once, which bounds memory
_SEEDS_PER_SET = 1_000_000
_LIST, _COLUMNS = "clips.csv", ("file", "label", "seed")


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
        fps: frames per second, 0.01 to 1000. The same seconds at another rate or size show the same scene.

    Raises:
        MovinetError: for an argument out of its range.
    """
    _check(label, seed, size, frames, fps)
    motion, stage, sensor = _set_up(label, seed, size, frames / fps)
    time = np.arange(frames) / fps
    pixels = np.empty((frames, *size, 3), dtype=np.uint8)
    for first in range(0, frames, _CHUNK):
        part = slice(first, first + _CHUNK)
        pixels[part] = sensor.expose(stage.render(time[part], size), time[part], first)
    return GestureClip(pixels, label, motion.fingertip(time).astype(np.float32), motion.start, motion.end)


def write_dataset(
    folder: str | Path,
    clips_per_class: int,
    seed: int = 0,
    size: tuple[int, int] = (192, 256),
    fps: float = 10.0,
    frames: int = 40,
    labels: tuple[str, ...] = GESTURES,
    workers: int = 1,
    progress: Callable[[int, int | None], None] | None = None,
) -> None:
    """Writes a labeled set of clips: a folder of .mp4 files per label, and `clips.csv` (file, label, seed).

    Clip number i has seed 1,000,000 · `seed` + i, whatever the other arguments, for `render_gesture` to make it again.
    Files appear whole or not at all and those that are there are kept, so an interrupted call is repeated to go on, and
    a larger `clips_per_class` adds clips. `synthetic.json` holds what must not change between such calls.

    Args:
        folder: made if it is not there.
        clips_per_class: 1 to 1,000,000.
        seed: of the set, 0 or more.
        size, fps, frames: of each clip, see `render_gesture`.
        labels: the gestures to draw.
        workers: processes. Above 1, a script that calls this needs the `if __name__ == "__main__":` guard that
            multiprocessing asks for.
        progress: called with the number of clips that are done and of all clips.

    Raises:
        MovinetError: for an argument out of its range, a folder with other things in it, one begun with other settings,
            or one that is not writable.
    """
    if not 1 <= clips_per_class <= _SEEDS_PER_SET:
        raise MovinetError(f"a set has 1 to {_SEEDS_PER_SET} clips of a gesture, not {clips_per_class}")
    for label in labels:
        _check(label, seed, size, frames, fps)
    folder = Path(folder)
    _claim(folder, {"seed": seed, "size": list(size), "fps": float(fps), "frames": frames}, labels)

    # By number, then by label: a set cut short is balanced.
    seeds = range(seed * _SEEDS_PER_SET, seed * _SEEDS_PER_SET + clips_per_class)
    clips = {f"{label}/{label}_{clip:06d}.mp4": (label, clip, size, frames, fps) for clip in seeds for label in labels}
    write_missing(folder, clips, _write_clip, workers, progress)
    _write_list(folder / _LIST, {file: (file, label, str(clip)) for file, (label, clip, *_) in clips.items()})


def _claim(folder: Path, settings: dict[str, object], labels: tuple[str, ...]) -> None:
    """Makes the folders, and makes sure that what is in them belongs to the same set."""
    claim_folder(folder, settings)
    _listed(folder / _LIST)
    try:
        for label in labels:
            (folder / label).mkdir(exist_ok=True)
    except OSError as error:
        raise MovinetError(f"{folder}: cannot be used for a data set: {error.strerror or error}") from error


def _write_clip(path: Path, label: str, seed: int, size: tuple[int, int], frames: int, fps: float) -> None:
    encode_video(path, render_gesture(label, seed, size, frames, fps).frames, fps)


def _write_list(path: Path, clips: dict[str, tuple[str, ...]]) -> None:
    """Lists `clips` and what earlier calls listed, sorted."""
    rows = _listed(path) | clips
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    writer.writerows(rows[file] for file in sorted(rows))
    write_atomically(path, text.getvalue().encode())


def _listed(path: Path) -> dict[str, tuple[str, ...]]:
    """What earlier calls listed, by file.

    Raises:
        MovinetError: somebody has made another list of it.
    """
    if not path.exists():
        return {}
    try:
        with open(path, newline="", encoding="utf-8") as earlier:
            header, *rows = map(tuple, csv.reader(earlier))
    except (OSError, ValueError, csv.Error) as error:
        raise MovinetError(f"{path}: cannot be read: {error}") from error
    if header != _COLUMNS or any(len(row) != len(_COLUMNS) for row in rows):
        raise MovinetError(f"{path}: is not the list written here ({', '.join(_COLUMNS)}); give your own another name")
    return {row[0]: row for row in rows}


def _set_up(label: str, seed: int, size: tuple[int, int], duration: float) -> tuple[HandMotion, Stage, Sensor]:
    # A generator for each subject, so that none of them depends on how many numbers another draws.
    seeds = np.random.SeedSequence([zlib.crc32(label.encode()), seed]).spawn(5)
    motion_rng, hand_rng, scene_rng, camera_rng, stage_rng = (np.random.default_rng(s) for s in seeds)

    left_handed = motion_rng.random() < 0.08
    motion = HandMotion.draw(label, motion_rng, duration, left_handed)
    arm = Arm.draw(motion_rng, side=-1 if left_handed else 1)
    idle = label == "other" and hand_rng.random() < 0.45
    poses = idle_poses(hand_rng) if idle else (pointing_pose(hand_rng),)
    absent = 0.06 if label == "other" else 0.0
    return motion, *furnish(motion, arm, poses, size, hand_rng, scene_rng, camera_rng, stage_rng, absent=absent)


def _check(label: str, seed: int, size: tuple[int, int], frames: int, fps: float) -> None:
    if label not in GESTURES:
        raise MovinetError(f"no gesture is called {label!r}; choose from {', '.join(GESTURES)}")
    if seed < 0:
        raise MovinetError(f"the seed must be 0 or more, not {seed}")
    if min(size) < 8:
        raise MovinetError(f"a synthetic clip needs at least 8 × 8 pixels, not {size[0]} × {size[1]}")
    if frames < 1:
        raise MovinetError(f"a synthetic clip needs at least one frame, not {frames}")
    if not 0.01 <= fps <= 1000:
        raise MovinetError(f"the frame rate must be 0.01 to 1000 frames per second, not {fps}")
