"""One threshold's figures are those of the curve, with intervals over streams."""

import numpy as np
import pytest
from tiny import LABELS, tiny_spec

from movinet.evaluate.event_curve import StreamScores, event_curve
from movinet.evaluate.event_figures import LabelFigures, event_figures
from movinet.evaluate.event_spans import EventRule
from movinet.evaluate.matching import Segment
from movinet.weights.info import WeightsInfo, default_transform
from movinet.weights.operating_point import OperatingPoint

INFO = WeightsInfo("tiny_stream.test", tiny_spec(), default_transform(tiny_spec()), LABELS)


def streams(count: int, seed: int = 0) -> list[StreamScores]:
    generator = np.random.default_rng(seed)
    made = []
    for n in range(count):
        scores = generator.random((60, 3)) ** 2
        truth = [
            Segment(str(n), LABELS[k], start, start + 1.0)
            for k, start in zip(generator.integers(0, 2, 3), (1.0, 4.0, 8.0), strict=True)
        ]
        made.append(StreamScores(np.arange(60) / 5, scores, LABELS, truth, 12.0))
    return made


def test_a_threshold_gives_what_the_curve_says_of_it() -> None:
    made = streams(8)
    rule = EventRule(0.5, shortest=0.2, refractory=0.4)
    curve = event_curve(made, rule)
    for on in (0.3, 0.6, 0.9):
        figures = event_figures(made, INFO, OperatingPoint(on, on * 0.5, 0.2, 0.4))
        assert figures.missed is not None
        assert (figures.false_alarms_an_hour.value, figures.missed.value) == pytest.approx(curve.at(on))
        for figure in (figures.false_alarms_an_hour, figures.missed):
            assert figure.low <= figure.value <= figure.high
        assert sum(one.found for one in figures.by_label.values()) == round((1 - figures.missed.value) * figures.there)
        assert figures.delay is not None
        assert figures.delay[0] <= figures.delay[1] < 2.3, "told 0.2 s after it began"


def test_no_alarm_at_all_bounds_their_rate_by_the_hours() -> None:
    quiet = [StreamScores(np.arange(5), np.zeros((5, 3)), LABELS, [], 1800.0)] * 4
    figures = event_figures(quiet, INFO, OperatingPoint(0.5, 0.3))
    assert figures.hours == 2.0
    assert (figures.false_alarms_an_hour.low, figures.false_alarms_an_hour.high) == (0.0, 1.5)
    assert (figures.there, figures.missed, figures.delay) == (0, None, None)


def test_labels_are_counted_apart() -> None:
    scores = np.zeros((30, 3))
    scores[6, 0] = scores[20, 1] = 0.9
    truth = [Segment("s", "left", 1.0, 2.0), Segment("s", "left", 4.5, 5.0)]
    stream = StreamScores(np.arange(30) / 5, scores, LABELS, truth, 6.0)
    figures = event_figures([stream], INFO, OperatingPoint(0.5, 0.3))
    assert figures.by_label == {"left": LabelFigures(2, 1, 0), "right": LabelFigures(0, 0, 1)}
    assert figures.delay == pytest.approx((-0.8, -0.8))


def test_of_one_stream_the_counts_tell_how_sure_figures_are() -> None:
    """The exact intervals of 10 in an hour, and of 3 of 12 (Clopper and Pearson: 5.5 to 57 %)."""
    scores = np.zeros((18000, 3))
    scores[np.arange(10) * 1000 + 500, 1] = scores[np.arange(9) * 1000 + 100, 0] = 0.9
    truth = [Segment("s", "left", n * 200.0 + 19, n * 200.0 + 21) for n in range(12)]
    stream = StreamScores(np.arange(18000) / 5, scores, LABELS, truth, 3600.0)
    figures = event_figures([stream], INFO, OperatingPoint(0.5, 0.3))
    alarms, missed = figures.false_alarms_an_hour, figures.missed
    assert (alarms.value, alarms.low, alarms.high) == (10.0, pytest.approx(4.8, abs=0.1), pytest.approx(18.4, abs=0.1))
    assert missed is not None
    assert (missed.value, missed.low, missed.high) == (
        0.25,
        pytest.approx(0.09, abs=0.04),
        pytest.approx(0.55, abs=0.04),
    )
