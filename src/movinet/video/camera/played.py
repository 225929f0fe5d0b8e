"""Files played live: at their own pace, from the beginning again, and resumed where a server cut them off."""

import time
from dataclasses import dataclass, field

from movinet.errors import VideoError
from movinet.video.camera.line import Line
from movinet.video.decode import read_frames
from movinet.video.locations import Source
from movinet.video.net.sources import Limits, without_password
from movinet.video.pacer import LivePacer

_CUT_OFF = 1.0  # seconds short of its duration at which a file on a server counts as not yet ended


@dataclass
class Place:
    """Where a file that is played has come to.

    Args:
        began: When it began, by `time.monotonic`.
        duration: In seconds, where its server does not tell whether it sent all there is; else None.
        rounds: Seconds that earlier rounds lasted.
        position: Seconds of this one that have been shown.
    """

    began: float = field(default_factory=time.monotonic)
    duration: float | None = None
    rounds: float = 0.0
    position: float = 0.0


def play(
    source: Source, line: Line, pacer: LivePacer, place: Place, *, loop: bool, timeout: float, limits: Limits
) -> None:
    """Play a file to its end, from where it has come to.

    Raises:
        VideoError: It cannot be read, or was cut off; `place` is where to go on.
    """
    period = 1 / pacer.fps
    while not line.is_cut:
        before = place.position
        # The last frame comes once more, so that an end can be told from a loss.
        start = max(0.0, place.position - period)
        line.hear()
        for frame in read_frames(source, pacer.fps, start, timeout=timeout, limits=limits):
            if frame.time < place.position - period / 2:
                continue
            if _wait(line, place.began + place.rounds + frame.time):
                return
            pacer.is_due(place.rounds + frame.time)
            line.put(frame.at(place.rounds + frame.time))
            place.position = frame.time + period
        # Containers may outlast their pictures: where nothing more has come for having asked anew, this is the end.
        if place.duration is not None and before < place.position < place.duration - _CUT_OFF:
            raise VideoError(f"{without_password(source)}: the connection was cut")
        if not loop:
            _wait(line, place.began + place.rounds + place.position)  # the last frame's turn
            return
        place.rounds, place.position = place.rounds + place.position, 0.0


def _wait(line: Line, until: float) -> bool:
    left = max(0.0, until - time.monotonic())
    line.hear(left)
    return line.wait(left)
