"""One threshold's figures are those of the curve, with intervals over streams."""

import numpy as np
import pytest
from tiny import LABELS, tiny_spec

from movinet.evaluate.event_curve import StreamScores, event_curve
from movinet.evaluate.event_figures import LabelFigures, event_figures
from movinet.evaluate.matching import Segment
from movinet.weights.info import WeightsInfo, default_transform

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
    curve = event_curve(made, off_share=0.5)
    for on in (0.3, 0.6, 0.9):
        point = event_figures(made, INFO, on, on * 0.5)
        assert (point.false_alarms_an_hour.value, point.missed.value) == pytest.approx(curve.at(on))
        for figure in (point.false_alarms_an_hour, point.missed):
            assert figure.low <= figure.value <= figure.high
        assert sum(label.found for label in point.by_label.values()) == round((1 - point.missed.value) * point.there)
        assert point.delay is not None
        assert point.delay[0] <= point.delay[1] < 2.0


def test_no_alarm_at_all_bounds_their_rate_by_the_hours() -> None:
    quiet = [StreamScores(np.arange(5), np.zeros((5, 3)), LABELS, [], 1800.0)] * 4
    point = event_figures(quiet, INFO, 0.5, 0.3)
    assert point.hours == 2.0
    assert (point.false_alarms_an_hour.low, point.false_alarms_an_hour.high) == (0.0, 1.5)
    assert point.there == 0
    assert np.isnan(point.missed.value)
    assert point.delay is None


def test_labels_are_counted_apart() -> None:
    scores = np.zeros((30, 3))
    scores[6, 0] = scores[20, 1] = 0.9
    truth = [Segment("s", "left", 1.0, 2.0), Segment("s", "left", 4.5, 5.0)]
    point = event_figures([StreamScores(np.arange(30) / 5, scores, LABELS, truth, 6.0)], INFO, 0.5, 0.3)
    assert point.by_label == {"left": LabelFigures(2, 1, 0), "right": LabelFigures(0, 0, 1)}
    assert point.delay == pytest.approx((-0.8, -0.8))
