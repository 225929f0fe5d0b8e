"""Metrics of frames, starts, spots and segments against their definitions, written down plainly."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from movinet.evaluate.frame_metrics import ap_by_part, calibrated_average_precision, frame_scores
from movinet.evaluate.matching import Segment, overlap, point_ap, point_map, segment_map, spotting_map
from movinet.metrics import average_precision

scores = st.lists(st.tuples(st.integers(0, 6).map(lambda n: n / 6), st.booleans()), min_size=1, max_size=30)


@given(scores)
@settings(max_examples=200)
def test_calibrated_precision_is_what_balanced_frames_would_give(pairs: list[tuple[float, bool]]) -> None:
    """With every negative counted as often as makes them as many as the positives."""
    values, targets = (np.array(column) for column in zip(*pairs, strict=True))
    positives, negatives = targets.sum(), (~targets).sum()
    result = calibrated_average_precision(values, targets)
    if not positives:
        assert np.isnan(result)
        return
    expected = 0.0
    for value in sorted(set(values.tolist()), reverse=True):
        hits = (targets & (values == value)).sum()
        found, wrong = (targets & (values >= value)).sum(), (~targets & (values >= value)).sum()
        precision = found / (found + wrong * positives / negatives) if negatives else 1.0
        expected += hits / positives * precision
    assert result == pytest.approx(expected, abs=1e-9)
    assert calibrated_average_precision(values, targets, ratio=1.0) == pytest.approx(
        average_precision(values, targets), abs=1e-9
    )


def test_frames_that_are_ambiguous_or_background_are_no_classes() -> None:
    generator = np.random.default_rng(0)
    probabilities, labels = generator.random((60, 4)), generator.integers(0, 3, 60)
    plain = frame_scores(probabilities, labels, background=0)
    assert set(plain.by_class) == {1, 2}, "class 3 is never shown"
    assert plain.mean_ap == pytest.approx(
        np.mean([average_precision(probabilities[:, c], labels == c) for c in (1, 2)])
    )
    ambiguous = generator.random(60) < 0.3
    left = frame_scores(probabilities, labels, background=0, ambiguous=ambiguous)
    assert left == frame_scores(probabilities[~ambiguous], labels[~ambiguous], background=0)
    assert np.isnan(frame_scores(probabilities, np.zeros(60, int), background=0).mean_ap)


def test_parts_of_actions_are_judged_by_themselves() -> None:
    """A network that needs half of an action to know it."""
    labels = np.array([0] * 10 + [1] * 20 + [0] * 10 + [1] * 10)
    probabilities = np.zeros((50, 2))
    probabilities[:, 0] = 0.5
    for begin, length in ((10, 20), (40, 10)):
        probabilities[begin + length // 2 : begin + length, 1] = 0.9
    parts = ap_by_part(probabilities, labels, background=0)
    assert parts[5:] == [1.0] * 5
    assert max(parts[:5]) < 0.5


@pytest.mark.parametrize(("probabilities", "labels"), [((3, 2), (4,)), ((3,), (3,))])
def test_shapes_that_differ_are_refused(probabilities: tuple[int, ...], labels: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="want"):
        frame_scores(np.zeros(probabilities), np.zeros(labels))
    with pytest.raises(ValueError, match="2 classes"):
        frame_scores(np.zeros((1, 2)), [2])


def start(time: float, score: float = 1.0, label: str = "a", stream: str = "s") -> Segment:
    return Segment(stream, label, time, time, score)


def test_a_start_is_found_once_by_the_surest_near_enough() -> None:
    truth = [start(10), start(20)]
    assert point_ap([start(11, 0.9), start(9, 0.8), start(20, 0.7)], truth, 1.0) == pytest.approx((1 + 2 / 3) / 2)
    assert point_ap([start(11.1, 0.9)], truth, 1.0) == 0.0
    assert point_ap([start(10, 0.9, stream="t"), start(10, 0.8, label="b")], truth, 1.0) == 0.0
    assert np.isnan(point_ap([start(10)], [], 1.0))
    both = [*truth, start(5, label="b")]
    assert point_ap([start(10), start(20)], both, 1.0) == 0.5
    assert point_map([start(15.5)], [start(10)]) == pytest.approx(0.5)


def test_spots_are_found_within_half_the_tolerance() -> None:
    truth = [start(100)]
    assert spotting_map([start(100)], truth, tight=True) == 1.0
    assert spotting_map([start(101.2)], truth, tight=True) == pytest.approx((0 + 0.5 + 1 + 1) / 4)  # from 3 s on
    assert spotting_map([start(102.4)], truth, tight=True) == pytest.approx(0.5 / 4)
    assert spotting_map([start(112)], truth, tight=False) == pytest.approx((0.5 + 7) / 11)  # from 25 s on
    assert spotting_map([start(0, 0.9), start(100, 0.5)], truth, tight=True) == 0.5


def test_segments_are_found_by_their_overlap() -> None:
    truth = [Segment("s", "a", 0, 10), Segment("s", "a", 20, 30), Segment("t", "a", 0, 10)]
    found = [Segment("s", "a", 0, 8, 0.9), Segment("s", "a", 1, 10, 0.8), Segment("s", "a", 20, 29, 0.7)]
    assert overlap(truth[0], found[0]) == 0.8
    assert overlap(truth[0], truth[1]) == 0.0
    # Of three, the first and the third find one each; precision is the best at each recall or more.
    assert segment_map(found, truth, 0.7) == pytest.approx((1 + 2 / 3) / 3)
    assert segment_map(found, truth, 0.95) == 0.0
    assert segment_map(truth, truth, 1.0) == 1.0


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 6), st.integers(0, 9)), max_size=12))
@settings(max_examples=100)
def test_segment_precision_is_the_area_under_the_best_precision(found: list[tuple[int, int, int]]) -> None:
    truth = [Segment("s", "a", n * 6.0, n * 6.0 + 4) for n in range(4)]
    ours = [Segment("s", "a", float(a), float(a + length), score / 9) for a, length, score in found]
    left, right = list(truth), []
    for segment in sorted(ours, key=lambda s: -s.score):
        best = max(left, key=lambda t: overlap(segment, t), default=None)
        hit = best is not None and overlap(segment, best) >= 0.5
        if hit and best is not None:
            left.remove(best)
        right.append(hit)
    precisions = [sum(right[: n + 1]) / (n + 1) for n in range(len(right))]
    expected = sum(max(precisions[n:]) for n, hit in enumerate(right) if hit) / 4
    assert segment_map(ours, truth, 0.5) == pytest.approx(expected, abs=1e-9)
