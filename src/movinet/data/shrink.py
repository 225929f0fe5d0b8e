"""Smaller copies of videos."""

from itertools import chain
from pathlib import Path

from movinet.errors import MovinetError
from movinet.labeled.entries import VideoEntry
from movinet.video.decode import probe, read_frames
from movinet.video.encode import encode_video
from movinet.video.transform import Transform

_ASSUMED_RATE = 25.0  # frames a second, where a video does not tell


def is_small(video: VideoEntry, short_side: int) -> bool:
    """Whether it is a whole file whose short side is no longer than this.

    Raises:
        VideoError: it cannot be read.
    """
    return video.start == 0.0 and video.end is None and min(probe(video.path).size) <= short_side


def shrink_video(video: VideoEntry, path: Path, short_side: int | None = None, folder_fps: float | None = None) -> None:
    """Writes the stretch that counts as a video of its own, at its own rate.

    Args:
        video: a video or image folder.
        path: of the copy; the suffix chooses the container.
        short_side: in pixels, to which what is larger is shrunk; both sides become even. None keeps the size.
        folder_fps: at which rate images were taken.

    Raises:
        VideoError: it cannot be read.
        MovinetError: the copy cannot be written, or the rate of an image folder is not told.
    """
    if video.path.is_dir():
        if folder_fps is None:
            raise MovinetError(f"{video.path}: say how many images a second image folders have (--folder-fps)")
        fps = folder_fps
    else:
        fps = probe(video.path).fps or _ASSUMED_RATE
    frames = read_frames(video.path, fps, video.start, video.end, folder_fps=folder_fps)
    first = next(frames)
    height, width = first.rgb.shape[:2]
    if short_side is not None and short_side < min(height, width):
        factor = short_side / min(height, width)
        height, width = (max(2, 2 * round(side * factor / 2)) for side in (height, width))
    resize = Transform((height, width), min(height, width), fps)
    encode_video(path, (frame.levels(resize) for frame in chain([first], frames)), fps)
