"""Small copies of long videos, at a network's rate and size, so that any stretch of them is read at once."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from movinet.data.file_digest import file_digest
from movinet.errors import MovinetError
from movinet.files import remove_least_used
from movinet.video.decode import read_at, read_frames
from movinet.video.encode import encode_video
from movinet.video.transform import Transform

_KEY_FRAME_EVERY = 32  # frames: what is decoded in vain before a chunk is at most so much
_FORMAT = "copies 1"
_NAME = 16  # bytes of a digest
MAX_BYTES = 20 * 2**30
IN_USE = 24 * 3600.0
"""Seconds since its last use for which a copy stays for certain."""


def copy_of(video: Path, transform: Transform, folder: Path) -> Path:
    """Where the copy of a video lies, or will: by what is in the video and not by its name."""
    what = f"{_FORMAT} {file_digest(video).hex()} {transform.resize_short} {transform.size} {transform.fps!r}"
    return folder / f"{blake2b(what.encode(), digest_size=_NAME).hexdigest()}.mkv"


def make_copies(
    videos: Sequence[Path],
    transform: Transform,
    folder: Path,
    progress: Callable[[int, int | None], None] | None = None,
) -> None:
    """Decode every video once. Copies that are there are kept, so that what was interrupted goes on; where all in the
    folder are more than `MAX_BYTES`, those go that were not used for longest, and not for a day.

    A copy has a frame for each instant k / fps, k = 0, 1, …; it shows the whole picture, resized as the transform does
    before it crops. Memory holds a frame at a time.

    Args:
        videos: The originals.
        transform: Of the network.
        folder: Made where it is not there.
        progress: Called with the videos done, and all.

    Raises:
        MovinetError: A video cannot be read, or the copy not written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MovinetError(f"{folder}: no place for copies of the videos: {error.strerror or error}") from error
    for done, video in enumerate(videos):
        if progress is not None:
            progress(done, len(videos))
        copy = copy_of(video, transform, folder)
        if not copy.exists():
            encode_video(copy, _resized(video, transform), transform.fps, _KEY_FRAME_EVERY)
        _used(copy)
    _bound(folder)
    if progress is not None:
        progress(len(videos), len(videos))


def read_copy(copy: Path, first: int, frames: int, fps: float) -> NDArray[np.uint8]:
    """Frames of a copy; after its end the last one stays.

    Args:
        copy: From `make_copies`.
        first: Its number.
        frames: How many.
        fps: Of the copy.

    Returns:
        (frames, H, W, 3) uint8 RGB.

    Raises:
        VideoError: There is no such copy, or it cannot be read.
    """
    _used(copy)
    instants = [(first + n + 0.5) / fps for n in range(frames)]
    return np.stack([frame.rgb for frame in read_at(copy, instants)])


def _used(copy: Path) -> None:
    """The newest used stay longest."""
    with suppress(OSError):
        os.utime(copy)


def _bound(folder: Path) -> None:
    """Remove the copies that were not used for longest, until the rest fits; files of other names are not ours."""
    remove_least_used(folder.glob(f"{'[0-9a-f]' * 2 * _NAME}.mkv"), MAX_BYTES, unused=IN_USE)


def _resized(video: Path, transform: Transform) -> Iterator[NDArray[np.uint8]]:
    whole: Transform | None = None
    for frame in read_frames(video, transform.fps):
        if whole is None:
            size = transform.resized(*frame.rgb.shape[:2])
            whole = Transform(size, min(size), transform.fps)
        yield frame.levels(whole)
