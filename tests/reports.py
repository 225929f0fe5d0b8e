"""Reports as the loop makes them, for the tests of what is done with them."""

from dataclasses import replace

import numpy as np

from movinet.errors import MovinetError
from movinet.events import Event
from movinet.live.report import Begun, Changed, Ended, Figures, Over, Report, Seen, What
from movinet.prediction import Prediction
from movinet.video.camera.changes import Change, SourceFigures
from movinet.weights.load import load_weights

WALL = 1_790_000_000.25  # 2026-09-21, 13:33:20.25 UTC
FIGURES = Figures(SourceFigures(frames=11, late=3, damaged=1, dropped=2, reconnects=1, lag=0.1234), 4.987, 2.345)
INFO = load_weights("movinet_t0_stream.gestures").info


def report(what: What, source: str = "front door", wall: float = WALL, figures: Figures = FIGURES) -> Report:
    return Report(source, wall, what, figures)


def prediction(label: str = "star", probability: float = 0.9, time: float = 2.0) -> Prediction:
    assert INFO.labels is not None
    probabilities = np.full(len(INFO.labels), (1 - probability) / (len(INFO.labels) - 1), np.float32)
    probabilities[INFO.labels.index(label)] = probability
    return Prediction(time, 11, probabilities, INFO)


EVENT = Event("star", 1.2, None, 0.75)
ENDED = replace(EVENT, end=2.6, confidence=0.9)
ONE_OF_EACH: dict[str, What] = {
    "prediction": Seen(prediction(), (EVENT,)),
    "begun": Begun(EVENT),
    "ended": Ended(ENDED),
    "lost": Changed(Change("lost", WALL, 2.6, "no picture for 10 s", 10.0)),
    "found": Changed(Change("found", WALL, 30.0, "pictures come again", 17.5)),
    "lagging": Changed(Change("lagging", WALL, 30.0, "pictures come 1.2 s late", 0.5)),
    "caught_up": Changed(Change("caught_up", WALL, 33.0, "pictures come in time", 3.0)),
    "over": Over(MovinetError("front door: lost, and not found again in 3 attempts")),
}
