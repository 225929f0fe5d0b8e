"""What watching tells: predictions, events, and how the sources are."""

from dataclasses import dataclass

from movinet.errors import MovinetError
from movinet.events import Event
from movinet.prediction import Prediction
from movinet.video.camera.changes import Change, SourceFigures
from movinet.video.frame import Frame


@dataclass(frozen=True)
class Seen:
    """What the network thinks after a frame."""

    prediction: Prediction
    running: tuple[Event, ...]  # events that have begun and not ended
    frame: Frame | None = None  # what was seen, where the feed hands its frames on


@dataclass(frozen=True)
class Begun:
    """An event has begun; its `end` is None."""

    event: Event
    wall: float | None = None  # when it began, by the clock: Unix time in seconds; None where it is not known


@dataclass(frozen=True)
class Ended:
    """An event has ended: by itself, with the stream, or because nothing is seen any more."""

    event: Event
    wall: float | None = None  # as of `Begun`


@dataclass(frozen=True)
class Changed:
    """The source was lost or found, lags or has caught up."""

    change: Change


@dataclass(frozen=True)
class Over:
    """There will be no more of this source."""

    error: MovinetError | None  # why it was given up; None: it has ended


What = Seen | Begun | Ended | Changed | Over


@dataclass(frozen=True)
class Figures:
    """How a source goes."""

    source: SourceFigures
    fps: float  # predictions a second over the last few seconds
    step_ms: float  # from a frame to its answer, of the last
    still: int = 0  # frames that the network was not shown, since nothing moved


@dataclass(frozen=True)
class Report:
    """News of one source."""

    source: str  # its name
    wall: float  # when it was told: Unix time in seconds
    what: What
    figures: Figures

    @property
    def time(self) -> float | None:
        """Seconds of the stream; None where none is known."""
        match self.what:
            case Seen(prediction):
                return prediction.time
            case Begun(event):
                return event.start
            case Ended(event):
                return event.end
            case Changed(change):
                return change.time
            case Over():
                return None
