"""Videos and image folders as frames at a wanted rate."""

import logging
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice, pairwise
from os import PathLike
from pathlib import Path
from typing import TypeGuard, TypeVar

import av
import numpy as np
from numpy.typing import NDArray

from movinet.errors import VideoError
from movinet.video.container import Video, open_at
from movinet.video.frame import Frame
from movinet.video.locations import Member, Source, Track, is_address
from movinet.video.net.sources import DEFAULT_LIMITS, Limits, without_password
from movinet.video.orientation import Matrices, rotation
from movinet.video.pacer import FILLED, FilePacer
from movinet.video.transform import Transform, scale_levels

T = TypeVar("T")
logger = logging.getLogger(__name__)

IMAGES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm"})
"""Endings of the files an image folder is made of."""

VIDEOS = frozenset(
    {".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts"}
    | {".wmv", ".flv", ".3gp", ".ogv", ".gif"}
)
"""Endings of files that are taken for videos where a folder is searched."""


@dataclass(frozen=True)
class VideoInfo:
    """What a video says of itself.

    Args:
        size: (height, width) in pixels as shown, that is after rotation and with square pixels.
        fps: Frames a second on average; None for image folders and where unknown.
        duration: Seconds; None for image folders and where unknown.
        frames: How many, stored or estimated from duration and rate; None where unknown.
        rotation: Degrees counter-clockwise by which stored frames are turned before they are shown.
        codec: FFmpeg's name of it, such as `h264`.
    """

    size: tuple[int, int]
    fps: float | None
    duration: float | None
    frames: int | None
    rotation: int
    codec: str


def probe(path: Source, timeout: float = 10.0, limits: Limits = DEFAULT_LIMITS) -> VideoInfo:
    """Describe a video, an image folder or an address, decoding one frame.

    Args:
        path: As for `read_frames`.
        timeout: Seconds an address may stay silent.
        limits: What the video may make this process do.

    Raises:
        VideoError: It cannot be read or has no frame.
    """
    _check_exists(path)
    images = _images(Path(path)) if _is_folder(path) else None
    with Video(images[0] if images else path, timeout if is_address(path) else None, limits=limits) as video:
        first = next(video, None)
        if first is None:
            raise video.empty()
        shown = video.to_rgb()(first[2])
        size, turned = (shown.shape[0], shown.shape[1]), rotation(Matrices().of(first[2]))
        codec = video.stream.codec_context.name
        if images:
            return VideoInfo(size, None, None, len(images), turned, codec)
        fps, duration = video.fps, video.duration
        frames = video.stream.frames or (round(fps * duration) if fps and duration else None)
        return VideoInfo(size, fps, duration, frames, turned, codec)


def duration(path: Source, *, folder_fps: float = 1.0, timeout: float = 10.0, limits: Limits = DEFAULT_LIMITS) -> float:
    """Seconds a video or image folder lasts, as its container tells or, where it does not, found by decoding.

    Raises:
        VideoError: As `read_frames`.
    """
    _check_exists(path)
    if _is_folder(path):
        return len(_images(Path(path))) / folder_fps
    with Video(path, timeout if is_address(path) else None, limits=limits) as video:
        if video.duration:
            return video.duration
        end = max((time + lasting for time, lasting, _ in video), default=0.0)
        if not end:
            raise video.empty()
        return end


def read_frames(
    path: Source,
    fps: float | None = None,
    start: float = 0.0,
    end: float | None = None,
    *,
    folder_fps: float | None = None,
    threads: int = 1,
    timeout: float = 10.0,
    limits: Limits = DEFAULT_LIMITS,
) -> Iterator[Frame]:
    """The frames shown at start + k/fps seconds, k = 0, 1, …, by presentation time, from any rate, also variable.

    Shown at t is the last frame with a time of at most t (plus a millisecond, since some containers round); the last
    frame stays for its duration. So frames repeat where the source is slower. Without fps, every frame in
    start ≤ time < end comes once, at its own time. Time counts from the first frame. Memory does not grow.

    Nothing is repeated for more than a minute (`movinet.video.pacer.FILLED`): the instants from there to the next
    frame are left out, and a warning logged that says how many seconds. Where recordings were joined whose clocks
    differ, the second goes on where the first ended.

    At a rate, no more is decoded than the frames wanted and those that these refer to; they are the same to the bit.
    Damage is survived: what can be decoded is yielded, and a warning logged with the number of damaged packets.

    Args:
        path: A video, also one inside an archive, an image, an address, or a folder of images, sorted as people count
            (2 before 10).
        fps: Frames a second wanted.
        start: Seconds; reached by seeking where the file allows.
        end: Seconds, exclusive.
        folder_fps: At which rate a folder's images were taken; by default the rate wanted, so that each comes once
            (one a second where no rate is wanted either).
        threads: Decoding threads, as in `movinet.video.container.Video`.
        timeout: Seconds an address may stay silent.
        limits: What the video may make this process do.

    Yields:
        At least one frame.

    Raises:
        VideoError: Missing, not readable, not a video, without pictures, or no frame between start and end.
        ValueError: A rate that is not positive, or a span that is empty.
    """
    for name, rate in (("fps", fps), ("folder_fps", folder_fps)):
        if rate is not None and not 0 < rate < float("inf"):
            raise ValueError(f"{name} must be positive, not {rate}")
    if not 0 <= start < float("inf"):
        raise ValueError(f"start must be at least 0 seconds, not {start}")
    if end is not None and not end > start:
        raise ValueError(f"end ({end} s) must be after start ({start} s)")
    _check_exists(path)
    if _is_folder(path):
        return _read_folder(Path(path), fps, start, end, folder_fps or fps or 1.0, limits)
    pacer = FilePacer(fps, start, end)
    return _read_video(path, pacer, timeout if is_address(path) else None, threads, limits)


def read_at(
    path: Source,
    times: Sequence[float] | Callable[[float], Sequence[float]],
    *,
    folder_fps: float = 1.0,
    threads: int = 1,
    timeout: float = 10.0,
    limits: Limits = DEFAULT_LIMITS,
) -> Iterator[Frame]:
    """The frames shown at given instants, by the rule of `read_frames`. Decoding goes from the key frame before the
    first of them to the last, and leaves out what none of them needs.

    Args:
        path: A video, also one inside an archive, an image, an address, or a folder of images.
        times: Seconds from the first frame, at least one, ascending. After the end the last frame stays. Or what gives
            them when it is told the seconds that the video lasts, as by `duration`: then it is opened only once.
        folder_fps: At which rate a folder's images were taken.
        threads: Decoding threads, as in `movinet.video.container.Video`.
        timeout: Seconds an address may stay silent.
        limits: What the video may make this process do.

    Yields:
        A frame for each of `times`; those shown more than once share their pixels.

    Raises:
        VideoError: Missing, not readable, not a video, or without a frame that can be decoded.
        ValueError: No times, or times that descend or are negative.
    """
    if not callable(times):
        _check_times(times)
    _check_exists(path)
    if _is_folder(path):
        images = _timed_images(Path(path), folder_fps)
        pacer = FilePacer(times=_check_times(times(len(images) / folder_fps) if callable(times) else times))
        yield from _frames(pacer.shown(images), partial(_read_image, limits=limits))
        return
    with Video(path, timeout if is_address(path) else None, threads=threads, limits=limits) as video:
        if callable(times):
            times = _check_times(times(video.duration or duration(path, timeout=timeout, limits=limits)))
        pacer = video.pacer = FilePacer(times=times)
        video.go_to(times[0])
        found = False
        for frame in _frames(pacer.shown(video), _decoded_by(video)):
            found = True
            yield frame
        if not found:
            raise video.empty()


def _check_times(times: Sequence[float]) -> Sequence[float]:
    if not times or times[0] < 0 or any(later < earlier for earlier, later in pairwise(times)):
        raise ValueError(f"times must be ascending seconds from 0, at least one; got {list(times)}")
    return times


def read_clip(
    path: Source,
    transform: Transform,
    start: float = 0.0,
    end: float | None = None,
    max_frames: int | None = None,
    *,
    folder_fps: float | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> NDArray[np.float32]:
    """A stretch of video as a network takes it, at the transform's rate.

    Returns:
        float32 (3, T, h, w), T ≥ 1.

    Raises:
        VideoError, ValueError: As `read_frames`.
    """
    if max_frames is not None and max_frames < 1:
        raise ValueError(f"max_frames must be at least 1, not {max_frames}")
    frames = read_frames(path, transform.fps, start, end, folder_fps=folder_fps, limits=limits)
    # Made small one by one, so that a long video never lies in memory at its full size.
    levels = np.stack([frame.levels(transform) for frame in islice(frames, max_frames)])
    return scale_levels(levels.transpose(3, 0, 1, 2), transform.scale)


def _frames(timed: Iterator[tuple[float, T]], show: Callable[[T, float], Frame]) -> Iterator[Frame]:
    """Sampled pictures as frames; those that repeat share their pixels."""
    last: tuple[T, Frame] | None = None
    for time, picture in timed:
        if last is None or picture is not last[0]:
            last = (picture, show(picture, time))
        yield last[1].at(time)


def _decoded_by(video: Video) -> Callable[[av.VideoFrame, float], Frame]:
    return partial(Frame.of_decoded, to_rgb=video.to_rgb())


def frames_of(video: Video, pacer: FilePacer) -> Iterator[Frame]:
    """The frames of a video opened by `open_at` with this pacer, as `read_frames` gives them; where there are none,
    nothing. For those who want to know more of the video: its duration, or what of it is damaged."""
    return _frames(pacer.shown(video, partial(_tell_hole, video.name)), _decoded_by(video))


def _read_video(path: Source, pacer: FilePacer, timeout: float | None, threads: int, limits: Limits) -> Iterator[Frame]:
    start, end = pacer.start, pacer.end
    with open_at(path, start, timeout, threads, limits, pacer) as video:
        count = 0
        try:
            for frame in frames_of(video, pacer):
                count += 1
                yield frame
        finally:
            if video.damaged and count:
                logger.warning("%s: %d damaged packets or frames", video.name, video.damaged)
        if not count:
            lasts = f"; it lasts about {video.duration:.2f} s" if video.duration else ""
            if start == 0.0:
                raise video.empty()
            raise VideoError(f"{video.name}: has no frame from {start} s{f' to {end} s' if end else ''}{lasts}")


def _tell_hole(name: str, begin: float, end: float) -> None:
    logger.warning(
        "%s: nothing new for %.0f s before %.2f s; its last frame is repeated for %.0f s, %.2f s are left out",
        name, FILLED + end - begin, end, FILLED, end - begin,
    )  # fmt: skip


def _read_folder(
    folder: Path, fps: float | None, start: float, end: float | None, rate: float, limits: Limits
) -> Iterator[Frame]:
    images = _timed_images(folder, rate)
    found = False
    for frame in _frames(FilePacer(fps, start, end).shown(images), partial(_read_image, limits=limits)):
        found = True
        yield frame
    if not found:
        raise VideoError(f"{folder}: no image from {start} s; its {len(images)} images last {len(images) / rate:.2f} s")


def _timed_images(folder: Path, rate: float) -> list[tuple[float, float, Path]]:
    return [(index / rate, 1 / rate, image) for index, image in enumerate(_images(folder))]


def _read_image(path: Path, time: float, limits: Limits) -> Frame:
    return next(_read_video(path, FilePacer(), None, 1, limits)).at(time)


def _images(folder: Path) -> list[Path]:
    try:
        images = [file for file in folder.iterdir() if file.suffix.lower() in IMAGES and not file.name.startswith(".")]
    except PermissionError:
        raise VideoError(f"{folder}: may not be read (permission denied)") from None
    if not images:
        raise VideoError(f"{folder}: a folder without images ({', '.join(sorted(IMAGES))}); give a video file instead?")
    return sorted(images, key=lambda image: (in_natural_order(image.name), image.name))


def in_natural_order(name: str) -> list[tuple[int, str]]:
    """A key under which 2 comes before 10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"([0-9]+)", name.lower())]


def _check_exists(path: Source) -> None:
    _refuse_no_name(path)
    try:
        missing = not is_address(path) and not _local(path).exists()
    except OSError as error:
        raise VideoError(f"{without_password(path)}: cannot be reached: {error.strerror or error}") from error
    if missing:
        raise VideoError(f"{without_password(path)}: no such file or folder")


def _refuse_no_name(path: object) -> None:
    if not isinstance(path, Source | PathLike):
        raise VideoError(
            f"one video is wanted here, by its path or address, not a value of the type {type(path).__name__}"
        )


def _is_folder(path: Source) -> TypeGuard[str | Path]:
    return not is_address(path) and _local(path).is_dir()


def _local(path: Source) -> Path | Member:
    if isinstance(path, Track):
        path = path.source
    return path if isinstance(path, Member) else Path(str(path))
