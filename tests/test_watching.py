"""Watching: what is pushed, what is counted, what the terminal shows."""

from collections.abc import Iterator
from io import StringIO

import numpy as np
import pytest
from rich.console import Console
from tiny import tiny_weights

from movinet.events import EventDetector
from movinet.recognizer import Recognizer
from movinet.video.frame import Frame
from movinet.watching import View, watch


class Played:
    """Frames that are there already, with figures of a bad day."""

    dropped, reconnects = 3, 1

    def __init__(self, count: int, fps: float) -> None:
        images = np.random.default_rng(0).integers(0, 256, (count, 24, 32, 3), dtype=np.uint8)
        self.frames = [Frame.of_rgb(image, n / fps) for n, image in enumerate(images)]

    def __iter__(self) -> Iterator[Frame]:
        return iter(self.frames)


@pytest.fixture(scope="module")
def recognizer(tmp_path_factory: pytest.TempPathFactory) -> Recognizer:
    return Recognizer.load(tiny_weights(tmp_path_factory.mktemp("weights")))


def test_a_glance_comes_with_every_frame_that_was_due(recognizer: Recognizer) -> None:
    recognizer.reset()
    glances = list(watch(recognizer, Played(31, fps=10), EventDetector(0.4, 0.01)))
    np.testing.assert_allclose([g.prediction.time for g in glances], np.arange(0, 3.01, 0.2), atol=1e-9)
    assert all(g.step_ms > 0 and g.dropped == 3 and g.reconnects == 1 for g in glances)
    assert glances[-1].fps > 0
    assert glances[-1].running, "the likeliest of three labels is above 0.4 sooner or later"


def test_watching_stops_after_the_seconds_asked_for(recognizer: Recognizer) -> None:
    recognizer.reset()
    assert len(list(watch(recognizer, Played(50, fps=5), EventDetector(), seconds=1.0))) == 6


def test_the_view_shows_labels_figures_and_events(recognizer: Recognizer) -> None:
    recognizer.reset()
    view, console = View("camera 0", "tiny.test", topk=2), Console(width=80, record=True, file=StringIO())
    for glance in watch(recognizer, Played(8, fps=5), EventDetector(0.35, 0.01)):
        picture = view.render(glance)
    console.print(picture)
    text = console.export_text()
    best = glance.prediction.top(2)
    for piece in ("camera 0", "tiny.test", "3 dropped", "1 reconnect", *(label for label, _ in best)):
        assert piece in text
    assert f"{best[0][1]:.0%}" in text
    assert f"{glance.running[0].start:.1f}–" in text


def test_a_narrow_terminal_still_shows_the_percentages(recognizer: Recognizer) -> None:
    recognizer.reset()
    glance = next(iter(watch(recognizer, Played(1, fps=5), EventDetector())))
    console = Console(width=40, record=True, file=StringIO())
    console.print(View("camera 0", "tiny.test").render(glance))
    assert f"{glance.prediction.confidence:.0%}" in console.export_text()
