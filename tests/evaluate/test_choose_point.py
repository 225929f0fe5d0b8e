"""Thresholds are those that keep to the alarms and miss the least: tried against all others where that is possible."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import LABELS, tiny_spec

from movinet.evaluate.choose_point import choose_point, label_thresholds
from movinet.evaluate.event_curve import EventCurve, StreamScores, event_curve, hours_of_nothing
from movinet.evaluate.event_figures import event_figures
from movinet.evaluate.event_spans import EventRule
from movinet.evaluate.first_frames import warm_up_of
from movinet.evaluate.matching import Segment
from movinet.weights.info import WeightsInfo, default_transform
from movinet.weights.operating_point import OperatingPoint, Thresholds

INFO = WeightsInfo("tiny_stream.test", tiny_spec(), default_transform(tiny_spec()), LABELS)
BACKGROUND = frozenset({"other"})

counts = st.lists(st.integers(0, 6), min_size=1, max_size=4)


@given(st.lists(st.tuples(counts, st.integers(0, 9)), min_size=1, max_size=3), st.integers(0, 12))
@settings(max_examples=150)
def test_labels_share_the_alarms_that_are_allowed(given: list[tuple[list[int], int]], most: int) -> None:
    """Never more, and as few missed as any choice on the lower hull: no other choice has both fewer."""
    curves = {}
    for n, (steps, there) in enumerate(given):
        false = np.cumsum(steps[::-1])[::-1].astype(np.int64)  # ever fewer
        missed = np.minimum(np.arange(len(steps)), there).astype(np.int64)
        curves[str(n)] = EventCurve(np.linspace(0.2, 0.8, len(steps)), false, missed, there, 1.0)
    chosen = label_thresholds(curves, most)

    def total(on: dict[str, float]) -> tuple[float, float]:
        found = [(curves[label].at(value), curves[label].there) for label, value in on.items()]
        return sum(alarms for (alarms, _), _ in found), sum(share * there for (_, share), there in found if there)

    alarms, missed = total(chosen)
    assert alarms <= most
    options = [[0.1, *(np.nextafter(curve.thresholds, 1)).tolist()] for curve in curves.values()]
    for other in product(*options):
        fewer, less = total(dict(zip(curves, other, strict=True)))
        assert not (fewer < alarms - 1e-9 and less < missed - 1e-9)


def stream(number: int, peaks: dict[int, tuple[int, float, int]], truth: list[Segment], frames: int) -> StreamScores:
    """Peaks by their first frame: label, height, frames."""
    scores = np.zeros((frames, 3))
    for frame, (column, height, length) in peaks.items():
        scores[frame : frame + length, column] = height
    return StreamScores(np.arange(frames) / 5, scores, LABELS, truth, frames / 5)


def gestures(count: int = 8, *, brief: bool = False) -> list[StreamScores]:
    """Streams with ten of each label, and false alarms: of `left` higher ones, or brief ones of all."""
    made = []
    generator = np.random.default_rng(0)
    for n in range(count):
        peaks: dict[int, tuple[int, float, int]] = {}
        truth = []
        for k in range(20):
            start = 100 + 200 * k
            column = k % 2
            height = (0.9 if column == 0 or brief else 0.5) + generator.uniform(0, 0.05)
            peaks[start] = (column, height, 5)
            truth.append(Segment(str(n), LABELS[column], start / 5, start / 5 + 1))
            peaks[start + 100] = (column, height if brief else 0.8 if column == 0 else 0.3, 1 if brief else 5)
        made.append(stream(n, peaks, truth, 4200))
    return made


def test_brief_events_are_left_out_where_that_misses_less() -> None:
    made = gestures(brief=True)
    choice = choose_point(made, 0.5, fps=5.0, background=BACKGROUND)
    figures = event_figures(made, INFO, choice.point)
    assert choice.point.shortest > 0
    assert figures.missed is not None
    assert (figures.false_alarms_an_hour.value, figures.missed.value) == (0.0, 0.0)
    plain = event_curve(made, EventRule(), background=BACKGROUND)
    assert plain.at(plain.lowest_on(0.5))[1] > 0.5


def test_labels_get_thresholds_of_their_own_where_that_holds_on_other_streams() -> None:
    made = gestures()
    choice = choose_point(made, 0.5, fps=5.0, background=BACKGROUND, off_share=0.6)
    point = choice.point
    assert choice.own == ("left", "right")
    assert 0.8 < point.of_label("left")[0] <= 0.95
    assert 0.3 < point.of_label("right")[0] <= 0.55
    figures = event_figures(made, INFO, point)
    assert figures.missed is not None
    assert (figures.false_alarms_an_hour.value, figures.missed.value) == (0.0, 0.0)
    few = choose_point(made[:3], 0.5, fps=5.0, background=BACKGROUND)
    assert few.own == (), "too few streams to judge by others"


@pytest.mark.parametrize("seed", range(3))
def test_noise_gets_no_thresholds_of_its_own(seed: int) -> None:
    generator = np.random.default_rng(seed)
    made = []
    for n in range(8):
        truth = [Segment(str(n), LABELS[k % 2], 10.0 * k + 2, 10.0 * k + 3) for k in range(10)]
        scores = (generator.random((500, 3)) ** 3).astype(np.float32)
        made.append(StreamScores(np.arange(500) / 5, scores, LABELS, truth, 100.0))
    choice = choose_point(made, 300, fps=5.0, background=BACKGROUND)
    assert choice.own == ()
    rate, missed = choice.curve.at(choice.point.on)
    figures = event_figures(made, INFO, choice.point)
    assert figures.missed is not None
    assert (figures.false_alarms_an_hour.value, figures.missed.value) == pytest.approx((rate, missed))
    assert rate <= 300


def test_what_stands_still_says_how_long_to_wait() -> None:
    point = OperatingPoint(0.5, 0.3, by_label={"right": Thresholds(0.9, 0.5)}, ignore=("other",))
    times = np.arange(6) / 5
    falls = np.array([[0.9, 0, 0], [0.6, 0, 0], [0.2, 0.6, 0.2], [0, 0, 1], [0, 0, 1], [0, 0, 1]])
    never = np.tile([[0.0, 0.0, 1.0]], (6, 1))
    stays = np.tile([[0.6, 0.0, 0.4]], (6, 1))
    assert warm_up_of([(times, falls)], LABELS, point) == pytest.approx(0.4)
    assert warm_up_of([(times, never)], LABELS, point) == 0.0
    assert warm_up_of([(times, stays)], LABELS, point) == 0.0, "waiting would not help"
    assert warm_up_of([(times, never)] * 99 + [(times, falls)], LABELS, point) == 0.0
    assert warm_up_of([(times, never)] * 9 + [(times, falls)], LABELS, point) == pytest.approx(0.4)
    assert warm_up_of([], LABELS, point) == 0.0


def test_hours_in_which_nothing_happens() -> None:
    truth = [Segment("s", "left", 10, 20), Segment("s", "right", 15, 25), Segment("s", "left", 99, 120)]
    scores = StreamScores([0.0], np.zeros((1, 3)), LABELS, truth, 110.0)
    assert hours_of_nothing([scores], after=2.0) * 3600 == pytest.approx(110 - 17 - 11)
