"""Many sources at once: nobody waits for anybody, what goes wrong stays with its source, and all of it is told."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import pytest
from tiny import tiny_weights

from movinet import Recognizer, StreamPool
from movinet.errors import VideoError
from movinet.events import EventDetector
from movinet.live.loop import Feed, OpenSource, watch
from movinet.live.report import Begun, Changed, Ended, Over, Report, Seen
from movinet.prediction import Prediction
from movinet.video.camera.changes import Change, SourceFigures
from movinet.video.camera.live_source import LiveSource
from movinet.video.encode import encode_video
from movinet.video.frame import Frame
from movinet.video.pacer import LivePacer

SOON = 20.0


class Played:
    """Frames that are there already; or none at all, or a camera that is lost, or silent for ever."""

    def __init__(
        self, count: int = 0, seed: int = 0, lost: bool = False, pause: float = 0.0, silent: bool = False
    ) -> None:
        images = np.random.default_rng(seed).integers(0, 256, (count, 24, 32, 3), dtype=np.uint8)
        self.frames = [Frame.of_rgb(image, n / 5) for n, image in enumerate(images)]
        self.lost, self.pause, self.silent, self.closed = lost, pause, silent, threading.Event()
        self.told: Callable[[Change], None] | None = None

    def opened(self, pacer: LivePacer, on_change: Callable[[Change], None]) -> Self:
        self.told = on_change
        return self

    def figures(self) -> SourceFigures:
        return SourceFigures(frames=7, dropped=3, reconnects=1)

    def close(self) -> None:
        self.closed.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[Frame]:
        for frame in self.frames:
            if self.closed.wait(self.pause):
                return
            yield frame
        if self.silent:
            assert self.told is not None
            self.told(Change("lost", time.time(), self.frames[-1].time if self.frames else None, "silent", 1.0))
            self.closed.wait(SOON)
        if self.lost:
            raise VideoError("the camera is gone")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_weights(tmp_path_factory.mktemp("weights"))


def detector() -> EventDetector:
    return EventDetector(0.34, 0.01)  # the likeliest of three labels


def watched(
    weights: Path, sources: dict[str, Played], seconds: float | None = None, places: int | None = None
) -> list[Report]:
    with StreamPool.load(weights, max_streams=places or len(sources), batch=2, engine="torch") as pool:
        return list(watch([Feed(name, source.opened, pool, detector()) for name, source in sources.items()], seconds))


def seen(reports: list[Report], name: str) -> list[Prediction]:
    return [report.what.prediction for report in reports if report.source == name and isinstance(report.what, Seen)]


def test_each_source_is_told_what_it_would_be_told_alone(weights: Path) -> None:
    sources = {"a": Played(9, seed=1), "b": Played(5, seed=2), "c": Played(0)}
    reports = watched(weights, sources)
    for name, source in sources.items():
        alone = Recognizer.load(weights, engine="torch")
        expected = [alone.push(frame, frame.time) for frame in source.frames]
        told = seen(reports, name)
        assert [(p.frames, p.time) for p in told] == [(p.frames, p.time) for p in expected if p]
        for p, q in zip(told, expected, strict=True):
            assert q is not None
            np.testing.assert_allclose(p.probabilities, q.probabilities, atol=1e-5)
        last = [report for report in reports if report.source == name][-1]
        assert last.what == Over(None)
        assert source.closed.is_set()
    figures = next(report.figures for report in reports if isinstance(report.what, Seen))
    assert (figures.source.frames, figures.source.dropped, figures.source.reconnects) == (7, 3, 1)
    assert figures.step_ms > 0
    assert abs(reports[-1].wall - time.time()) < SOON


def test_every_event_that_began_is_told_as_ended_with_the_last_frame_seen(weights: Path) -> None:
    reports = watched(weights, {"a": Played(6), "lost": Played(4, seed=3, lost=True)})
    for name, last in (("a", 1.0), ("lost", 0.6)):
        told = [report.what for report in reports if report.source == name]
        begun = [what.event.label for what in told if isinstance(what, Begun)]
        ended = [what.event for what in told if isinstance(what, Ended)]
        assert sorted(begun) == sorted(event.label for event in ended) != []
        assert all(event.end is not None and event.end <= last for event in ended)
        assert ended[-1].end == last
        assert {what.event.id: what.wall for what in told if isinstance(what, Begun)} == {
            what.event.id: what.wall for what in told if isinstance(what, Ended)
        }
        assert isinstance(told[-1], Over)


def test_events_end_as_soon_as_the_source_is_lost(weights: Path) -> None:
    """Not when it returns: nobody knows when that is."""
    silent = Played(4, silent=True)
    with StreamPool.load(weights, max_streams=1, engine="torch") as pool:
        told = []
        for report in watch([Feed("camera", silent.opened, pool, detector())]):
            told.append(report.what)
            if isinstance(report.what, Changed):
                silent.closed.set()
    kinds = [type(what) for what in told]
    change = kinds.index(Changed)
    assert kinds[change - 1] is Ended
    assert kinds[change + 1 :] == [Over]
    assert sum(kind is Begun for kind in kinds) == sum(kind is Ended for kind in kinds)


def test_the_rate_is_that_of_the_last_seconds_by_the_clock(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A camera that has shown nothing for a while shows nothing a second."""
    monkeypatch.setattr("movinet.live.loop._RECENTLY", 0.3)
    silent = Played(8, pause=0.02, silent=True)
    with StreamPool.load(weights, max_streams=1, engine="torch") as pool:
        reports = []
        for report in watch([Feed("camera", silent.opened, pool, detector())]):
            reports.append(report)
            if isinstance(report.what, Changed):
                time.sleep(0.5)
                silent.closed.set()
    assert isinstance(reports[-1].what, Over)
    assert reports[-1].figures.fps == 0.0
    assert 1 < [report for report in reports if isinstance(report.what, Seen)][-1].figures.fps <= 50


def test_a_lost_source_is_told_and_the_others_go_on(weights: Path) -> None:
    reports = watched(weights, {"lost": Played(2, lost=True), "fine": Played(6)})
    over = {report.source: report.what.error for report in reports if isinstance(report.what, Over)}
    assert str(over["lost"]) == "the camera is gone"
    assert over["fine"] is None
    assert len(seen(reports, "fine")) == 6


def test_a_pool_too_small_is_an_error_of_the_source_that_found_no_place(weights: Path) -> None:
    reports = watched(weights, {"a": Played(4, pause=0.05), "b": Played(4, pause=0.05)}, places=1)
    assert sum("full" in str(report.what.error) for report in reports if isinstance(report.what, Over)) == 1


def test_it_ends_after_the_seconds_asked_for_whatever_the_source_does(weights: Path) -> None:
    began = time.monotonic()
    reports = watched(
        weights, {"quick": Played(20), "dies": Played(3, silent=True), "never": Played(0, silent=True)}, 1.0
    )
    assert len(seen(reports, "quick")) == 6
    assert len(seen(reports, "dies")) == 3
    over = {report.source: report.what.error for report in reports if isinstance(report.what, Over)}
    assert (over["quick"], over["dies"]) == (None, None)
    assert str(over["never"]) == "never: showed no picture in 1 s"
    assert time.monotonic() - began < SOON / 2


def test_who_leaves_closes_the_sources(weights: Path) -> None:
    endless = Played(500, pause=0.001)
    with StreamPool.load(weights, max_streams=1, engine="torch") as pool:
        watching = watch([Feed("b", endless.opened, pool, detector())])
        next(watching)
        watching.close()  # type: ignore[attr-defined]
        assert endless.closed.is_set()
        assert pool.statistics().streams == 0


def test_an_engine_that_fails_once_costs_a_frame_and_one_that_goes_on_failing_the_source(weights: Path) -> None:
    for failures, frames in ((1, 5), (9, 2)):
        with StreamPool.load(weights, max_streams=1, engine="torch") as pool:
            step, count = pool.engine.step, iter(range(100))

            def failing(
                *args: object, step: object = step, count: Iterator[int] = count, failures: int = failures
            ) -> object:
                if 2 <= next(count) < 2 + failures:
                    raise RuntimeError("out of memory")
                return step(*args)  # type: ignore[operator]

            pool.engine.step = failing
            reports = list(watch([Feed("a", Played(6).opened, pool, detector())]))
        assert len(seen(reports, "a")) == frames
        assert ("out of memory" in str(reports[-1].what)) == (failures == 9)


def test_once_it_is_asked_to_stop_what_runs_is_told_as_ended(weights: Path) -> None:
    sources = {"playing": Played(500, pause=0.01), "silent": Played(3, silent=True), "done": Played(2)}
    stop, kinds = threading.Event(), []
    with StreamPool.load(weights, max_streams=3, batch=2, engine="torch") as pool:
        began = None
        for report in watch([Feed(name, one.opened, pool, detector()) for name, one in sources.items()], stop=stop):
            kinds.append((report.source, type(report.what)))
            if kinds.count(("playing", Seen)) == 5 and began is None:
                stop.set()
                began = time.monotonic()
    assert began is not None
    assert time.monotonic() - began < 4.0
    for name in sources:
        mine = [kind for source, kind in kinds if source == name]
        assert mine.count(Begun) == mine.count(Ended) > 0
        assert mine[-1] is Over


def test_feeds_need_names_of_their_own(weights: Path) -> None:
    with StreamPool.load(weights, max_streams=1, engine="torch") as pool:
        feed = Feed("a", Played().opened, pool, detector())
        for feeds in ([], [feed, feed]):
            with pytest.raises(ValueError, match="name of its own"):
                next(watch(feeds))


def test_a_file_says_the_same_by_classify_by_watch_and_through_the_pool(weights: Path, tmp_path: Path) -> None:
    """Of any rate, and beside others."""
    paths = []
    for n, fps in enumerate((5, 12, 30)):
        images = np.random.default_rng(n).integers(0, 256, (round(1.6 * fps), 48, 64, 3), dtype=np.uint8)
        paths.append(tmp_path / f"{fps}.mp4")
        encode_video(paths[-1], images, fps=fps)

    def opening(path: Path) -> OpenSource:
        return lambda pacer, on_change: LiveSource(path, pacer, on_change=on_change)

    with StreamPool.load(weights, max_streams=3, batch=2, engine="torch") as pool:
        reports = list(watch([Feed(path.name, opening(path), pool, detector()) for path in paths]))
    recognizer = Recognizer.load(weights, engine="torch")
    for path in paths:
        expected, told = list(recognizer.stream(path)), seen(reports, path.name)
        assert [p.time for p in told] == [p.time for p in expected]
        for p, q in zip(told, expected, strict=True):
            np.testing.assert_allclose(p.probabilities, q.probabilities, atol=1e-5)
        np.testing.assert_array_equal(recognizer(path).probabilities, expected[-1].probabilities)
