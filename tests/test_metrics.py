"""Metrics against slow computations straight from their definitions."""

from itertools import pairwise, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from movinet.metrics import (
    average_precision,
    binary_scores,
    confusion_matrix,
    mean_average_precision,
    paired_bootstrap,
    per_class_recall,
    roc_area,
    top_k_accuracy,
    top_k_hits,
    wilson_interval,
)

LEVELS = st.sampled_from([-np.inf, -1.0, 0.0, 0.3, 0.5, 2.0])  # few, so that there are ties
PAIRS = st.lists(st.tuples(LEVELS, st.integers(0, 1)), min_size=1, max_size=12)


@given(st.lists(st.lists(LEVELS, min_size=4, max_size=4), min_size=1, max_size=4), st.integers(1, 5), st.data())
@settings(max_examples=50)
def test_top_k_is_the_mean_over_the_orders_of_ties(scores: list[list[float]], k: int, data: st.DataObject) -> None:
    targets = data.draw(st.lists(st.integers(0, 3), min_size=len(scores), max_size=len(scores)))
    shares = []
    for row, target in zip(scores, targets, strict=True):
        sorted_orders = [p for p in permutations(range(4)) if all(row[a] >= row[b] for a, b in pairwise(p))]
        shares.append(np.mean([target in order[:k] for order in sorted_orders]))
    assert top_k_accuracy(scores, targets, k) == pytest.approx(np.mean(shares))
    np.testing.assert_array_equal(top_k_hits(scores, targets, (k, 1))[0], top_k_hits(scores, targets, k))


def test_a_network_that_says_nan_is_not_right() -> None:
    assert top_k_accuracy([[np.nan, 0.0], [1.0, np.nan]], [0, 0]) == 0.5
    assert top_k_accuracy(np.full((3, 4), np.nan), [0, 1, 2]) == 0.25
    assert np.isnan(top_k_accuracy(np.empty((0, 4)), np.empty(0, dtype=int)))


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), max_size=20))
def test_confusion_and_recall(pairs: list[tuple[int, int]]) -> None:
    predicted, targets = np.array(pairs, dtype=int).reshape(-1, 2).T
    confusion = confusion_matrix(predicted, targets, 3)
    for t in range(3):
        assert confusion[t].tolist() == [pairs.count((p, t)) for p in range(3)]
        of_class = predicted[targets == t]
        assert per_class_recall(confusion)[t] == pytest.approx(
            np.mean(of_class == t) if len(of_class) else np.nan, nan_ok=True
        )


@given(PAIRS)
def test_average_precision_sums_the_steps_of_the_curve(pairs: list[tuple[float, int]]) -> None:
    scores, targets = np.array(pairs).T
    expected, before = 0.0, 0.0
    for threshold in sorted(set(scores), reverse=True):
        chosen = targets[scores >= threshold]
        recall = chosen.sum() / max(1, targets.sum())
        expected += (recall - before) * chosen.mean()
        before = recall
    assert average_precision(scores, targets) == pytest.approx(expected if targets.any() else np.nan, nan_ok=True)
    assert average_precision(scores[::-1], targets[::-1]) == pytest.approx(
        average_precision(scores, targets), nan_ok=True
    )


def test_average_precision_known_values() -> None:
    assert average_precision([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1]) == pytest.approx(0.8333333)
    assert average_precision(np.zeros(10), [1] * 3 + [0] * 7) == pytest.approx(0.3), "no information: the prevalence"
    assert np.isnan(average_precision([], []))


def test_the_mean_leaves_out_classes_that_no_example_shows() -> None:
    scores = np.array([[0.9, 0.1, 0.5], [0.2, 0.8, 0.5]])
    assert mean_average_precision(scores, [[1, 1, 0], [0, 0, 0]]) == pytest.approx((1.0 + 0.5) / 2)
    assert np.isnan(mean_average_precision(scores, np.zeros((2, 3))))


@given(PAIRS)
def test_roc_area_counts_pairs(pairs: list[tuple[float, int]]) -> None:
    positives, negatives = [[s for s, t in pairs if t == kind] for kind in (1, 0)]
    wins = [(p > n) + 0.5 * (p == n) for p in positives for n in negatives]
    scores, targets = zip(*pairs, strict=True)
    assert roc_area(scores, targets) == pytest.approx(np.mean(wins) if wins else np.nan, nan_ok=True)


@given(PAIRS)
def test_binary_scores_by_counting(pairs: list[tuple[float, int]]) -> None:
    found = binary_scores(*zip(*pairs, strict=True), threshold=0.3)
    kinds = [(s >= 0.3, t == 1) for s, t in pairs]
    tp, fp, fn = kinds.count((True, True)), kinds.count((True, False)), kinds.count((False, True))
    assert found.accuracy == pytest.approx(1 - (fp + fn) / len(pairs))
    assert found.precision == pytest.approx(tp / (tp + fp) if tp + fp else np.nan, nan_ok=True)
    assert found.recall == pytest.approx(tp / (tp + fn) if tp + fn else np.nan, nan_ok=True)
    assert found.f1 == pytest.approx(2 * tp / (2 * tp + fp + fn) if tp + fp + fn else np.nan, nan_ok=True)


@given(st.integers(1, 500), st.floats(0, 1), st.sampled_from([0.8, 0.95, 0.99]))
def test_the_ends_of_wilsons_interval_are_just_compatible(trials: int, share: float, confidence: float) -> None:
    z = {0.8: 1.2815516, 0.95: 1.9599640, 0.99: 2.5758293}[confidence]
    successes = round(share * trials)
    for end in wilson_interval(successes, trials, confidence):
        assert 0 <= end <= 1
        deviation = abs(successes / trials - end)
        assert deviation == pytest.approx(z * (end * (1 - end) / trials) ** 0.5, abs=1e-6)
    assert wilson_interval(0, 0) == (0.0, 1.0)


def test_the_bootstrap_knows_its_pairs() -> None:
    rng = np.random.default_rng(0)
    second = rng.integers(0, 2, 300)
    first = np.where(rng.random(300) < 0.1, 1, second)  # never worse, now and then better
    found = paired_bootstrap(first, second, resamples=1000)
    assert found.mean == pytest.approx((first - second).mean())
    assert 0 < found.low < found.mean < found.high
    unpaired = paired_bootstrap(first, rng.permutation(second), resamples=1000)
    assert unpaired.high - unpaired.low > 2 * (found.high - found.low)
    assert paired_bootstrap(first, second, resamples=100) == paired_bootstrap(first, second, resamples=100)


def test_the_bootstraps_interval_covers_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    covered = 0
    for seed in range(100):
        first, second = rng.random((2, 100)) < [[0.7], [0.6]]
        found = paired_bootstrap(first, second, 0.8, resamples=200, seed=seed)
        covered += found.low <= 0.1 <= found.high
    assert 65 <= covered <= 93


def test_runs_that_disagree_widen_the_interval() -> None:
    second = np.zeros((3, 200))
    alike, unlike = np.full((3, 200), 0.2), np.repeat([[0.0], [0.2], [0.4]], 200, axis=1)
    assert paired_bootstrap(alike, second, resamples=200).low == pytest.approx(0.2)
    found = paired_bootstrap(unlike, second, resamples=200)
    assert found.mean == pytest.approx(0.2)
    assert found.low < 0.1
    assert found.high > 0.3


def test_pairs_must_be_pairs() -> None:
    with pytest.raises(ValueError, match="of the same examples"):
        paired_bootstrap(np.ones(3), np.ones(4))
