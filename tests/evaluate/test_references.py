"""Metrics of streams against others' computations, or the published definitions written down once more: to 1e-9, on a
thousand random cases each (a twentieth of them where `slow` tests are left out)."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from movinet.evaluate.event_curve import StreamScores, event_curve
from movinet.evaluate.event_spans import EventRule
from movinet.evaluate.frame_metrics import ap_by_part, calibrated_average_precision, frame_scores
from movinet.evaluate.matching import Segment, point_map, segment_map, spotting_map

CASES = (50, pytest.param(1000, marks=pytest.mark.slow))
LABELS = ("a", "b", "none")
Rng = np.random.Generator


@pytest.fixture(params=CASES)
def cases(request: pytest.FixtureRequest) -> Iterator[Rng]:
    return (np.random.default_rng(seed) for seed in range(request.param))


def close(one: float, other: float) -> bool:
    return (np.isnan(one) and np.isnan(other)) or abs(one - other) <= 1e-9


def plain_ap(scores: NDArray[np.float64], positive: NDArray[np.bool_]) -> float:
    """The definition: precision at every score of a positive, over positives."""
    at = scores[positive]
    return float(np.mean([positive[scores >= one].sum() / (scores >= one).sum() for one in at]))


def test_average_precision_of_frames_is_scikit_learns(cases: Iterator[Rng]) -> None:
    for rng in cases:
        frames, classes = int(rng.integers(2, 30)), int(rng.integers(2, 5))
        scores = rng.integers(0, 8, (frames, classes)) / 8  # with ties
        labels = rng.integers(0, classes, frames)
        ambiguous = rng.random(frames) < 0.2
        result = frame_scores(scores, labels, background=0, ambiguous=ambiguous)
        kept, wanted = scores[~ambiguous], labels[~ambiguous]
        expected = {
            c: float(average_precision_score(wanted == c, kept[:, c])) for c in range(1, classes) if (wanted == c).any()
        }
        assert result.by_class.keys() == expected.keys()
        assert all(close(plain_ap(kept[:, c], wanted == c), value) for c, value in expected.items())
        assert all(close(result.by_class[c], value) for c, value in expected.items())
        assert close(result.mean_ap, float(np.mean(list(expected.values()))) if expected else np.nan)


def test_calibrated_precision_is_that_of_the_published_formula(cases: Iterator[Rng]) -> None:
    """De Geest et al., equation 2: w TP / (w TP + FP) at every positive, w the ratio of negatives to positives."""
    for rng in cases:
        frames = int(rng.integers(2, 40))
        scores, targets = rng.permutation(frames) / frames, rng.random(frames) < 0.4
        if not targets.any():
            continue
        w = (~targets).sum() / targets.sum()
        total, tp, fp = 0.0, 0, 0
        for n in np.argsort(-scores):
            tp, fp = tp + int(targets[n]), fp + int(not targets[n])
            if targets[n]:
                total += w * tp / (w * tp + fp) if w else 1.0
        assert close(calibrated_average_precision(scores, targets), total / targets.sum())


def test_precision_by_tenth_of_an_action_is_that_of_the_frames_that_are_left(cases: Iterator[Rng]) -> None:
    for rng in cases:
        labels = np.concatenate([np.full(int(rng.integers(1, 25)), int(rng.integers(0, 3))) for _ in range(4)])
        scores = rng.integers(0, 10, (len(labels), 3)) / 10
        runs: list[list[int]] = []
        for n, label in enumerate(labels):
            if n and label == labels[n - 1]:
                runs[-1].append(n)
            else:
                runs.append([n])
        tenth = {n: 10 * place // len(run) for run in runs for place, n in enumerate(run)}
        for part, value in enumerate(ap_by_part(scores, labels, background=0)):
            values = []
            for c in (1, 2):
                kept = [n for n in range(len(labels)) if labels[n] != c or tenth[n] == part]
                if any(labels[n] == c for n in kept):
                    values.append(plain_ap(scores[kept, c], labels[kept] == c))
            assert close(value, float(np.mean(values)) if values else np.nan)


def some(rng: Rng, most: int, longest: float, scored: bool) -> list[Segment]:
    """Segments of two labels in two streams; scores differ."""
    count = int(rng.integers(0, most))
    scores = rng.permutation(count) / max(count, 1) if scored else np.ones(count)
    return [
        Segment(str(rng.integers(2)), LABELS[rng.integers(2)], start, start + longest * rng.uniform(0.1, 1), score)
        for start, score in zip(rng.uniform(0, 40, count).tolist(), scores.tolist(), strict=True)
    ]


def hits(
    found: Sequence[Segment], truth: Sequence[Segment], fit: Callable[[Segment, Segment], float | None]
) -> list[bool]:
    """Of one label, the surest first: whether each fits a true one of its stream that none before took, the best."""
    taken: set[int] = set()
    right = []
    for segment in sorted(found, key=lambda s: -s.score):
        fits = [(fit(segment, other), n) for n, other in enumerate(truth) if other.stream == segment.stream]
        free = [(value, -n) for value, n in fits if value is not None and n not in taken]
        if free:
            taken.add(-max(free)[1])
        right.append(bool(free))
    return right


def by_label(
    found: Sequence[Segment], truth: Sequence[Segment], average: Callable[[list[bool], int], float],
    fit: Callable[[Segment, Segment], float | None],
) -> float:  # fmt: skip
    labels = sorted({segment.label for segment in truth})
    values = []
    for label in labels:
        there = [segment for segment in truth if segment.label == label]
        values.append(average(hits([s for s in found if s.label == label], there, fit), len(there)))
    return float(np.mean(values)) if values else np.nan


def precisions(right: list[bool]) -> list[tuple[float, int]]:
    """(precision, hits) after each."""
    return [(sum(right[: n + 1]) / (n + 1), sum(right[: n + 1])) for n in range(len(right))]


def within(seconds: float) -> Callable[[Segment, Segment], float | None]:
    def fit(one: Segment, other: Segment) -> float | None:
        apart = abs(one.start - other.start)
        return -apart if apart <= seconds else None

    return fit


def test_precision_of_starts_is_the_sum_over_hits_at_ten_offsets(cases: Iterator[Rng]) -> None:
    def average(right: list[bool], there: int) -> float:
        return sum(p for (p, _), hit in zip(precisions(right), right, strict=True) if hit) / there

    for rng in cases:
        found, truth = some(rng, 14, 3.0, True), some(rng, 8, 3.0, False)
        expected = np.mean([by_label(found, truth, average, within(offset)) for offset in range(1, 11)])
        assert close(point_map(found, truth), float(expected))


@pytest.mark.parametrize("tight", [True, False])
def test_spotting_is_soccernets_average_of_eleven_recalls_over_tolerances(cases: Iterator[Rng], tight: bool) -> None:
    """Precision is the best at each of eleven recalls or more; tolerances are windows, half to either side; the area
    below their curve is taken by trapezoids."""

    def average(right: list[bool], there: int) -> float:
        reached = precisions(right)
        return sum(max([p for p, n in reached if 10 * n >= tenth * there], default=0.0) for tenth in range(11)) / 11

    tolerances = range(1, 6) if tight else range(5, 61, 5)
    for rng in cases:
        found, truth = some(rng, 12, 3.0, True), some(rng, 6, 3.0, False)
        values = [by_label(found, truth, average, within(tolerance / 2)) for tolerance in tolerances]
        step = 1 if tight else 5
        area = sum(step * (one + other) / 2 for one, other in pairwise(values))
        assert close(spotting_map(found, truth, tight), area / (step * (len(values) - 1)))


def test_precision_of_segments_is_activitynets(cases: Iterator[Rng]) -> None:
    def overlapping(least: float) -> Callable[[Segment, Segment], float | None]:
        def fit(one: Segment, other: Segment) -> float | None:
            inside = max(0.0, min(one.end, other.end) - max(one.start, other.start))
            share = inside / ((one.end - one.start) + (other.end - other.start) - inside)
            return share if share >= least else None

        return fit

    def average(right: list[bool], there: int) -> float:
        reached = precisions(right)
        return sum(max(p for p, _ in reached[n:]) for n, hit in enumerate(right) if hit) / there

    for rng in cases:
        found, truth = some(rng, 14, 12.0, True), some(rng, 8, 12.0, False)
        tiou = float(rng.uniform(0.1, 0.7))
        assert close(segment_map(found, truth, tiou), by_label(found, truth, average, overlapping(tiou)))


def told(
    curve: NDArray[np.float64], times: NDArray[np.float64], on: float, rule: EventRule
) -> list[tuple[float, float]]:
    """(start, end) of the events that are reported, by the words of the documents alone."""
    events: list[tuple[float, float]] = []
    start: float | None = None
    for time, p in zip(times.tolist(), curve.tolist(), strict=True):
        if start is None:
            rested = not events or time - events[-1][1] >= rule.refractory - 1e-6
            if p >= on and rested and time - times[0] >= rule.warm_up - 1e-6:
                start = time
        elif p < on * rule.off_share:
            if time - start >= rule.shortest - 1e-6:
                events.append((start, time))
            start = None
    if start is not None and times[-1] - start >= rule.shortest - 1e-6:
        events.append((start, times[-1]))
    return events


def test_false_alarms_and_misses_are_those_of_events_counted_one_by_one(cases: Iterator[Rng]) -> None:
    """Every threshold at once against every threshold by itself; something is found by the first event in its reach."""
    for rng in cases:
        frames, after = int(rng.integers(5, 60)), float(rng.choice([0.0, 1.0]))
        times = np.arange(frames) / 5
        walk = np.abs(np.cumsum(rng.normal(0, 0.2, (frames, 3)), axis=0)) % 1
        truth = [s._replace(stream="s") for s in some(rng, 6, 2.0, False)]
        truth = [s._replace(start=s.start / 4, end=s.start / 4 + (s.end - s.start)) for s in truth]
        rule = EventRule(
            float(rng.choice([0.4, 0.7])), float(rng.choice([0.0, 0.4])), float(rng.choice([0.0, 1.0])),
            float(rng.choice([0.0, 0.6])),
        )  # fmt: skip
        scores = StreamScores(times, walk, LABELS, truth, frames / 5)
        curve = event_curve([scores], rule, after=after, background=frozenset({"none"}))
        for on in rng.uniform(0.05, 1, 3).tolist():
            left: dict[str, list[Segment]] = defaultdict(list)
            for segment in sorted(truth, key=lambda s: s.start):
                left[segment.label].append(segment)
            false = 0
            for column, label in enumerate(LABELS[:2]):
                for start, _ in told(walk[:, column], times, on, rule):
                    fits = [s for s in left[label] if s.start <= start < s.end + after]
                    if fits:
                        left[label].remove(fits[0])
                    false += not fits
            alarms, missed = curve.at(on)
            assert close(alarms, false / (frames / 5 / 3600))
            assert close(missed, sum(map(len, left.values())) / len(truth) if truth else missed)
