"""A video of what was seen, with what was recognized written into it."""

import logging
import os
import queue
import threading
from collections.abc import Iterator, Sequence
from math import floor, inf
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from movinet.errors import MovinetError, VideoError
from movinet.events import Event
from movinet.prediction import Prediction
from movinet.video.drawing import ALARM, BACKGROUND, BRIGHT, DIM, LETTER, write_text
from movinet.video.encode import encode_video
from movinet.video.frame import Frame

logger = logging.getLogger(__name__)

_WAITING = 16  # pictures that may wait to be encoded
_HOLE = 2.0  # seconds without a picture for which the last one stays; longer holes are cut short
_SLACK = 1e-3  # of a period, by which times are rounded
_SUFFIXES = (".mp4", ".mkv", ".mov", ".avi")
_ROWS = 3  # labels in the picture

Picture = NDArray[np.uint8]


class AnnotatedVideo:
    """A file of H.264 with the frames that were recognized, labels and events in them; a context manager.

    Its length is that of what was seen, but for holes of more than two seconds. It appears when all is over, whole or
    not at all.

    Args:
        path: of the file; its suffix says the container: .mp4, .mkv, .mov, .avi.
        fps: frames a second that the network sees.

    Raises:
        MovinetError: on leaving, where it could not be written.
    """

    def __init__(self, path: Path, fps: float) -> None:
        self.path, self.fps = path, fps
        self._waiting: queue.Queue[tuple[float, Picture] | None] = queue.Queue(_WAITING)
        self._error: MovinetError | None = None
        self._told = False  # whether that was told
        self._thread = threading.Thread(target=self._write, name="movinet-annotate", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._put(None)
        self._thread.join()
        if self._error is not None:
            if error[:1] in ((), (None,)):
                raise self._error
            self._tell_failed()  # as after Ctrl-C

    def show(self, frame: Frame, prediction: Prediction, running: Sequence[Event]) -> None:
        """Add a frame, with what was recognized after it; waits where encoding is slower than what comes."""
        try:
            picture = annotated(frame.rgb, prediction, running)
        except VideoError:
            return  # whoever recognizes it tells
        self._put((frame.time, picture))

    def _put(self, item: tuple[float, Picture] | None) -> None:
        while self._thread.is_alive():
            try:
                return self._waiting.put(item, timeout=0.5)
            except queue.Full:
                continue
        if item is not None:
            self._tell_failed()

    def _tell_failed(self) -> None:
        """That watching goes on without it: once."""
        if self._error is not None and not self._told:
            self._told = True
            logger.warning("%s", self._error)

    def _write(self) -> None:
        try:
            first = self._waiting.get()
            if first is not None:
                encode_video(self.path, self._pictures(first), self.fps)
        except MovinetError as error:
            self._error = error

    def _pictures(self, first: tuple[float, Picture]) -> Iterator[Picture]:
        """One for every period, all of the first one's size."""
        (last, picture), height, width = first, first[1].shape[0], first[1].shape[1]
        began, place = last, 0  # the file's beginning in the stream's time, and the period that `picture` is of
        while (item := self._waiting.get()) is not None:
            moment, following = item
            if moment - last > _HOLE:
                began += moment - last - 1 / self.fps
            due = max(place, floor((moment - began) * self.fps + _SLACK))  # from the beginning: no error adds up
            for _ in range(due - place):
                yield picture
            last, picture, place = moment, fitted(following, height, width), due
        yield picture


def refuse_to_save(path: Path, sources: int) -> None:
    """Before anything takes time.

    Raises:
        MovinetError: a video cannot be written there, or of so many sources.
    """
    if sources > 1:
        raise MovinetError(f"{path}: an annotated video is of one source; {sources} are given")
    if path.suffix.lower() not in _SUFFIXES:
        raise MovinetError(f"{path}: want the name of a video: {', '.join(_SUFFIXES)}")
    if not path.parent.is_dir():
        raise MovinetError(f"{path}: there is no folder {path.parent}")
    if not os.access(path.parent, os.W_OK):
        raise MovinetError(f"{path}: cannot write: the folder {path.parent} is read-only for this user")


def annotated(rgb: Picture, prediction: Prediction, running: Sequence[Event]) -> Picture:
    """A copy of a picture with its likeliest labels as bars, running events in front, and the time.

    Args:
        rgb: (H, W, 3) uint8.
        prediction: after this frame.
        running: events that have begun and not ended.
    """
    height, width = (side - side % 2 for side in rgb.shape[:2])  # as players want them
    picture = rgb[: max(2, height), : max(2, width)].copy()
    scale = max(1, min(height // 160, width // 240))
    line = 10 * scale
    begun = {event.label for event in running}
    for row, (label, probability) in enumerate(prediction.top(_ROWS)):
        y = height - (_ROWS - row) * line - scale
        if y < 0:
            continue
        color = ALARM if label in begun else BRIGHT if row == 0 else DIM
        strip = picture[y : y + line]
        strip[:] = strip // 3 + np.array(BACKGROUND, np.uint8) // 2
        strip[-scale:, : round(probability * width)] = color
        write_text(picture, f"{probability:4.0%} {label}"[: width // (LETTER * scale)], y + scale, scale, color, scale)
    text = f"{prediction.time:.1f} s"
    write_text(picture, text, scale, max(0, width - (len(text) * LETTER + 1) * scale), BRIGHT, scale)
    earliest = min((event.start for event in running), default=inf)
    if earliest < inf:
        picture[: 2 * scale] = ALARM
    return picture


def fitted(picture: Picture, height: int, width: int) -> Picture:
    """A picture in a frame of another size, cut or with black around it: a camera's size may change."""
    if picture.shape[:2] == (height, width):
        return picture
    fit = np.zeros((height, width, 3), np.uint8)
    part = picture[:height, :width]
    fit[: part.shape[0], : part.shape[1]] = part
    return fit
