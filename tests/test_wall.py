"""Many sources at once: nobody waits for anybody, and what goes wrong stays with its source."""

import time
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import pytest
from rich.console import Console
from tiny import tiny_weights

from movinet.errors import VideoError
from movinet.events import EventDetector
from movinet.recognizer import Recognizer
from movinet.runtime.pool import StreamPool
from movinet.video.frame import Frame
from movinet.wall import Report, Wall, watch_many
from movinet.watching import Glance


class Played:
    """Frames that are there already; or none at all, or a camera that is lost."""

    dropped, reconnects = 0, 0

    def __init__(self, count: int = 0, seed: int = 0, lost: bool = False, pause: float = 0.0) -> None:
        images = np.random.default_rng(seed).integers(0, 256, (count, 24, 32, 3), dtype=np.uint8)
        self.frames = [Frame.of_rgb(image, n / 5) for n, image in enumerate(images)]
        self.lost, self.pause, self.closed = lost, pause, False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closed = True

    def __iter__(self) -> Iterator[Frame]:
        for frame in self.frames:
            time.sleep(self.pause)
            yield frame
        if self.lost:
            raise VideoError("the camera is gone")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_weights(tmp_path_factory.mktemp("weights"))


def new_detector() -> EventDetector:
    return EventDetector(0.35, 0.01)


def test_each_source_is_told_what_it_would_be_told_alone(weights: Path) -> None:
    sources = {"a": Played(9, seed=1), "b": Played(5, seed=2), "c": Played(0)}
    with StreamPool.load(weights, max_streams=3, batch=2, engine="torch") as pool:
        reports = list(watch_many(pool, sources, new_detector))
    for name, source in sources.items():
        mine = [report for report in reports if report.source == name]
        alone = Recognizer.load(weights, engine="torch")
        expected = [alone.push(frame.rgb, frame.time) for frame in source.frames]
        told = [report.glance.prediction for report in mine if report.glance is not None]
        assert [p.frames for p in told] == [p.frames for p in expected if p]
        for p, q in zip(told, expected, strict=True):
            assert q is not None
            np.testing.assert_allclose(p.probabilities, q.probabilities, atol=1e-5)
        assert mine[-1].glance is None
        assert mine[-1].error is None
        assert source.closed
    ended = [event for report in reports if report.source == "a" for event in report.ended]
    assert ended, "what was still running when the source ended is told, too"


def test_a_lost_source_is_told_and_the_others_go_on(weights: Path) -> None:
    sources = {"lost": Played(2, lost=True), "fine": Played(6)}
    with StreamPool.load(weights, max_streams=2, batch=1, engine="torch") as pool:
        reports = list(watch_many(pool, sources, new_detector))
    assert [str(report.error) for report in reports if report.error] == ["the camera is gone"]
    assert sum(report.glance is not None for report in reports if report.source == "fine") == 6


def test_a_pool_too_small_is_an_error_of_the_source_that_found_no_place(weights: Path) -> None:
    sources = {"a": Played(4, pause=0.05), "b": Played(4, pause=0.05)}
    with StreamPool.load(weights, max_streams=1, batch=1, engine="torch") as pool:
        reports = list(watch_many(pool, sources, new_detector))
    assert sum("full" in str(report.error) for report in reports if report.error) == 1


def test_it_stops_after_the_seconds_asked_for_and_when_left(weights: Path) -> None:
    with StreamPool.load(weights, max_streams=1, batch=1, engine="torch") as pool:
        reports = list(watch_many(pool, {"a": Played(20)}, new_detector, seconds=1.0))
        assert sum(report.glance is not None for report in reports) == 6
        endless = Played(500, pause=0.001)
        watching = watch_many(pool, {"b": endless}, new_detector)
        next(watching)
        watching.close()  # type: ignore[attr-defined]
        assert endless.closed


def test_the_wall_has_a_row_for_every_source(weights: Path) -> None:
    wall = Wall(["clips/one.mp4", "rtsp://camera/2", "3"], "tiny.test")
    prediction = Recognizer.load(weights, engine="torch").push(Played(1).frames[0].rgb)
    assert prediction is not None
    wall.take(Report("clips/one.mp4", Glance(prediction, [], [], 4.9, 2.1, 7, 0)))
    wall.take(Report("rtsp://camera/2", None, VideoError("no frame within 21 s")))
    console = Console(width=120, record=True, file=StringIO())
    console.print(wall.render())
    text = console.export_text()
    for piece in ("one.mp4", prediction.label, "4.9", "7", "rtsp://camera/2", "lost: no frame", "opening"):
        assert piece in text
