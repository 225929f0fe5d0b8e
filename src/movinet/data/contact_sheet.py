"""A contact sheet: a picture of a data set, to see at a glance what is in it."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from movinet.errors import MovinetError
from movinet.files import write_atomically
from movinet.labeled.entries import VideoEntry, VideoSet
from movinet.video.decode import duration, read_at
from movinet.video.drawing import ALARM, BACKGROUND, BRIGHT, CELL, DIM, drawn_by, png, write_text
from movinet.video.frame import Frame
from movinet.video.transform import Transform
from movinet.words import counted

_MARGIN, _GAP, _BETWEEN = 12, 2, 12  # pixels: around the sheet, between frames, between clips and rows
_LABEL = 216  # width of the column of labels
_SOFTWARE = "movinet data check"
_MOST = 100  # rows; a picture that no viewer opens helps nobody


def contact_sheet(
    videos: VideoSet,
    path: str | Path,
    per_class: int = 2,
    frames: int = 6,
    height: int = 72,
    workers: int | None = None,
) -> None:
    """Draws a row for every class, with frames of some of its clips in order of time, as a PNG.

    Args:
        videos: the set.
        path: the picture to write.
        per_class: clips of every class, evenly spaced in the set.
        frames: of every clip, evenly spaced in time.
        height: of a frame, in pixels.
        workers: threads; by default as Python thinks best.

    Raises:
        MovinetError: a count is below one, or the picture cannot be written.
    """
    if min(per_class, frames) < 1 or height < 24:
        raise MovinetError(f"a sheet needs clips and frames of 24 lines at least, not {per_class}, {frames}, {height}")
    path = Path(path)
    labels = videos.labels[:_MOST]
    clips = {label: [video for video in videos.videos if label in video.labels] for label in labels}
    chosen = [(row, video) for row, label in enumerate(labels) for video in _spread(clips[label], per_class)]
    with ThreadPoolExecutor(workers) as pool:
        strips = list(pool.map(lambda item: _strip(item[1], frames, height), chosen))

    cell = _cell_width(strips, height)
    strip_width = frames * (cell + _GAP) - _GAP
    left, columns = _MARGIN + _LABEL, max(1, min(per_class, max(map(len, clips.values()), default=1)))
    more = len(videos.labels) - len(labels)
    width = left + columns * (strip_width + _BETWEEN) - _BETWEEN + _MARGIN
    tall = 2 * _MARGIN + len(labels) * (height + _BETWEEN) - _BETWEEN + (_BETWEEN + 8 if more else 0)
    sheet = np.full((tall, width, 3), BACKGROUND, np.uint8)
    for row, label in enumerate(labels):
        top = _MARGIN + row * (height + _BETWEEN)
        for line, text in enumerate(_wrap(label)):
            write_text(sheet, text, top + 2 + line * 20, _MARGIN, BRIGHT, scale=2)
        write_text(sheet, counted(len(clips[label]), "clip"), top + height - 9, _MARGIN, DIM)
    places: dict[int, int] = {}
    for (row, video), strip in zip(chosen, strips, strict=True):
        column = places[row] = places.get(row, -1) + 1
        x, y = left + column * (strip_width + _BETWEEN), _MARGIN + row * (height + _BETWEEN)
        for k in range(frames):
            _paste(sheet[y : y + height, x + k * (cell + _GAP) :][:, :cell], strip[k] if k < len(strip) else None)
        if not strip:
            write_text(sheet, "cannot be read", y + 8, x + 8, ALARM)
            write_text(sheet, video.path.name[: strip_width // 6 - 2], y + 20, x + 8, ALARM)
    if more:
        write_text(sheet, f"and {counted(more, 'more class', 'more classes')}", tall - _MARGIN - 8, _MARGIN, DIM)
    write_atomically(path, png(sheet, _SOFTWARE))


def _spread(videos: list[VideoEntry], count: int) -> list[VideoEntry]:
    count = min(count, len(videos))
    return [videos[(2 * k + 1) * len(videos) // (2 * count)] for k in range(count)]


def _strip(video: VideoEntry, frames: int, height: int) -> list[NDArray[np.uint8]]:
    """Frames of a clip, evenly spaced in time, at a height; none where it cannot be read."""
    try:
        lasts = duration(video.path)
        span = max((min(video.end, lasts) if video.end else lasts) - video.start, 0.0)
        times = [video.start + span * (k + 0.5) / frames for k in range(frames)]
        return [_shrink(frame, height) for frame in read_at(video.path, times, threads=1)]
    except (MovinetError, OSError, ValueError):
        return []


def _shrink(frame: Frame, height: int) -> NDArray[np.uint8]:
    rows, columns = frame.rgb.shape[:2]
    width = min(max(1, round(columns * height / rows)), 3 * height)
    return frame.levels(Transform((height, width), min(height, width), 1.0))


def _cell_width(strips: list[list[NDArray[np.uint8]]], height: int) -> int:
    """The width of most frames; others are cut or padded to it."""
    widths = [strip[0].shape[1] for strip in strips if strip]
    return int(np.median(widths)) if widths else height * 4 // 3


def _paste(cell: NDArray[np.uint8], picture: NDArray[np.uint8] | None) -> None:
    """Puts a picture into the middle of a cell of its height, cutting what does not fit."""
    cell[:] = CELL
    if picture is not None:
        surplus = picture.shape[1] - cell.shape[1]
        picture = picture[:, max(0, surplus) // 2 :][:, : cell.shape[1]]
        cell[:, max(0, -surplus) // 2 :][:, : picture.shape[1]] = picture


def _wrap(label: str, width: int = _LABEL // 12 - 1, lines: int = 3) -> list[str]:
    """A label on at most some lines, broken between words where that is possible."""
    rest, wrapped = label, list[str]()
    while rest and len(wrapped) < lines:
        cut = width
        if len(rest) > width:
            spaces = [at + 1 for at, letter in enumerate(rest[:width]) if letter in " _-/"]
            cut = spaces[-1] if spaces else width
        wrapped.append(rest[:cut])
        rest = rest[cut:]
    if rest:
        wrapped[-1] = wrapped[-1][: width - 2] + ".."
    return wrapped


def is_sheet(path: Path) -> bool:
    """Whether a file is a contact sheet that was drawn here.

    Raises:
        OSError: it cannot be read.
    """
    return drawn_by(path, _SOFTWARE)
