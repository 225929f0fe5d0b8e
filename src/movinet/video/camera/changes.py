"""What becomes of a live source while it is watched: changes of its state, and figures."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["lost", "found", "lagging", "caught_up"]


@dataclass(frozen=True)
class Change:
    """A source's state has changed.

    Args:
        kind: `lost`: there are no pictures, or none that are fit to be recognized; also told of a source that is not
            there at the start. `found`: they come, again or at last. `lagging`: they come later than they should, so
            that some are left out. `caught_up`: they come in time again.
        wall: When that was noticed, Unix time in seconds.
        time: Of the stream, in seconds: of the last frame before a loss, of the newest picture otherwise; None where no
            frame has come yet.
        why: In words, without the source's name.
        seconds: `lost`: since the last picture, or since the source was first tried. `found`: that it was lost for.
            `lagging`: that it lags. `caught_up`: that it lagged for.
    """

    kind: Kind
    wall: float
    time: float | None
    why: str
    seconds: float


@dataclass(frozen=True)
class SourceFigures:
    """What has come of a live source so far.

    Args:
        frames: Handed out.
        late: Pictures left out, most of them not decoded, because the source lagged.
        damaged: Packets and pictures that could not be decoded, or only in part.
        dropped: Frames that were due and that the consumer did not take in time.
        reconnects: Times the source was lost and found again.
        lag: Seconds by which the newest picture came later than it should; 0 where that is not known.
    """

    frames: int = 0
    late: int = 0
    damaged: int = 0
    dropped: int = 0
    reconnects: int = 0
    lag: float = 0.0
