"""Every threshold at once says what the detector says of each."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import LABELS, tiny_spec

from movinet.evaluate.event_curve import FLOOR, StreamScores, event_curve
from movinet.evaluate.event_spans import EventRule
from movinet.evaluate.matching import Segment
from movinet.events import EventDetector
from movinet.prediction import Prediction
from movinet.weights.info import WeightsInfo, default_transform

INFO = WeightsInfo("tiny_stream.test", tiny_spec(), default_transform(tiny_spec()), LABELS)
BACKGROUND = frozenset({"other"})

level = st.integers(0, 20).map(lambda n: n / 20)
span = st.tuples(st.sampled_from(LABELS), st.floats(0, 8), st.floats(0, 3))


def counted(scores: StreamScores, on: float, rule: EventRule, after: float) -> tuple[int, int]:
    """(false alarms, missed), by running the detector and going through its events."""
    detector, begun = (
        EventDetector(
            on,
            min(on * rule.off_share, np.nextafter(on, 0)),
            rule.shortest,
            BACKGROUND,
            refractory=rule.refractory,
            warm_up=rule.warm_up,
        ),
        [],
    )
    for n, row in enumerate(np.asarray(scores.probabilities, np.float64)):
        detector.push(Prediction(float(np.asarray(scores.times)[n]), n + 1, row, INFO))  # type: ignore[arg-type]
        begun += detector.begun
    left = sorted((s for s in scores.truth if s.label not in BACKGROUND), key=lambda s: s.start)
    false = 0
    for event in begun:
        fits = [s for s in left if s.label == event.label and s.start <= event.start < s.end + after]
        if fits:
            left.remove(fits[0])
        else:
            false += 1
    return false, len(left)


@given(
    st.lists(st.tuples(level, level, level), min_size=1, max_size=40),
    st.lists(span, max_size=5),
    st.builds(
        EventRule,
        st.sampled_from([0.3, 0.6, 0.9, 1.0]),
        shortest=st.sampled_from([0.0, 0.2, 0.6]),
        refractory=st.sampled_from([0.0, 0.4, 1.0]),
        warm_up=st.sampled_from([0.0, 0.6]),
    ),
    st.lists(st.integers(1, 40).map(lambda n: n / 40), min_size=1, max_size=8),
)
@settings(max_examples=300, deadline=None)
def test_it_counts_what_the_detector_does_at_every_threshold(
    rows: list[tuple[float, ...]], spans: list[tuple[str, float, float]], rule: EventRule, ons: list[float]
) -> None:
    truth = [Segment("s", label, start, start + length) for label, start, length in spans]
    times = np.arange(len(rows)) / 5
    scores = StreamScores(times, np.array(rows), LABELS, truth, len(rows) / 5)
    curve = event_curve([scores], rule, after=0.5, background=BACKGROUND)
    for on in ons:
        false, missed = counted(scores, on, rule, 0.5)
        alarms, share = curve.at(on)
        assert alarms * curve.hours == pytest.approx(false)
        assert curve.there == sum(segment.label != "other" for segment in truth)
        assert share * curve.there == pytest.approx(missed) if curve.there else np.isnan(share) or share == 1.0


def stream(peaks: dict[int, float], truth: list[Segment], frames: int = 50, label: str = "left") -> StreamScores:
    scores = np.zeros((frames, 3))
    for frame, peak in peaks.items():
        scores[frame, LABELS.index(label)] = peak
    return StreamScores(np.arange(frames) / 5, scores, LABELS, truth, frames / 5)


def test_an_event_finds_what_it_begins_in_or_shortly_after_and_only_once() -> None:
    truth = [Segment("s", "left", 1.0, 2.0)]
    for frame, right in ((4, False), (5, True), (10, True), (19, True), (20, False)):
        curve = event_curve([stream({frame: 0.8}, truth)])
        assert curve.at(0.5) == (0.0 if right else 360.0, 0.0 if right else 1.0)
    assert event_curve([stream({6: 0.8, 9: 0.8}, truth)]).at(0.5) == (360.0, 0.0)
    assert event_curve([stream({6: 0.8}, truth, label="right")]).at(0.5) == (360.0, 1.0)
    assert event_curve([stream({6: 0.8}, truth, label="other")], background=BACKGROUND).at(0.5) == (0.0, 1.0)
    assert event_curve([stream({6: 0.8}, [Segment("s", "jump", 1.0, 2.0)])]).at(0.9) == (0.0, 1.0)


def test_the_operating_point_keeps_to_the_alarms_allowed() -> None:
    curve = event_curve([stream({n: n / 100 for n in range(10, 50, 5)}, [], frames=50)])
    assert curve.hours == pytest.approx(10 / 3600)
    for allowed in range(8):
        on = curve.lowest_on(allowed * 360)
        assert curve.at(on)[0] <= allowed * 360
        assert curve.at(on - 2e-6)[0] > allowed * 360
    assert curve.lowest_on(8 * 360) == pytest.approx(FLOOR, abs=2e-6)


def test_streams_add_up() -> None:
    truth = [Segment("s", "left", 1.0, 2.0)]
    one, two = stream({6: 0.8, 30: 0.6}, truth), stream({}, truth)
    curve = event_curve([one, two])
    assert curve.there == 2
    assert curve.at(0.5) == (pytest.approx(180.0), 0.5)
    assert curve.at(0.7) == (0.0, 0.5)


def test_what_fits_not_together_is_refused() -> None:
    with pytest.raises(ValueError, match="streams"):
        event_curve([])
    with pytest.raises(ValueError, match="share"):
        EventRule(off_share=0.0)
    with pytest.raises(ValueError, match="5 frames"):
        event_curve([StreamScores(np.arange(5), np.zeros((5, 2)), LABELS, [], 1.0)])
