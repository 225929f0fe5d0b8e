"""How good answers are, and how sure one can be of it. Numpy alone; shares, not percent; NaN where nothing is known.

Scores may be logits or probabilities. A score that is NaN counts as the lowest.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def top_k_accuracy(scores: ArrayLike, targets: ArrayLike, k: int = 1) -> float:
    """The share of examples whose class is among the k highest scores.

    Where ties decide, it is what any order of the tied would give on average: equal scores for all are k / num_classes.

    Args:
        scores: (N, num_classes).
        targets: (N,) class numbers.
        k: 1 or more.
    """
    hits = top_k_hits(scores, targets, k)
    return float(hits.mean()) if len(hits) else float("nan")


def top_k_hits(scores: ArrayLike, targets: ArrayLike, k: int | Sequence[int] = 1) -> Floats:
    """(N,): of every example, 1 where `top_k_accuracy` counts it as right, 0 where not, a share where ties decide;
    (K, N) of several k."""
    scores, targets, ks = _scores(scores), np.asarray(targets), np.asarray(k)
    if not len(scores):
        return np.zeros((*ks.shape, 0))
    own = np.take_along_axis(scores, targets[:, None], axis=1)
    higher, tied = (scores > own).sum(1), (scores == own).sum(1)
    return np.asarray(np.clip((ks[..., None] - higher) / tied, 0.0, 1.0))


def confusion_matrix(predicted: ArrayLike, targets: ArrayLike, num_classes: int) -> NDArray[np.int64]:
    """(num_classes, num_classes) counts of examples: the true class by row, the predicted one by column."""
    counts = np.bincount(np.asarray(targets) * num_classes + np.asarray(predicted), minlength=num_classes**2)
    return counts.reshape(num_classes, num_classes).astype(np.int64)


def per_class_recall(confusion: ArrayLike) -> Floats:
    """(num_classes,): of the examples of each class, the share predicted as such; NaN for a class without any."""
    confusion = np.asarray(confusion)
    return _share(confusion.diagonal(), confusion.sum(1))


def average_precision(scores: ArrayLike, targets: ArrayLike) -> float:
    """The area under the precision-recall curve as a sum of steps, Σ (R_n - R_n-1) · P_n, for one class.

    Examples with equal scores are one step, so their order does not matter.

    Args:
        scores: (N,).
        targets: (N,) of 0 and 1; without a 1 the result is NaN.
    """
    scores, positive = _scores(scores), np.asarray(targets) > 0
    found, seen = _steps(scores, positive)
    if not positive.any():
        return float("nan")
    return float((np.diff(found, prepend=0) * found / seen).sum() / positive.sum())


def mean_average_precision(scores: ArrayLike, targets: ArrayLike) -> float:
    """The mean over classes of `average_precision`, leaving out classes that no example shows.

    Args:
        scores: (N, num_classes).
        targets: (N, num_classes) of 0 and 1.
    """
    pairs = zip(np.asarray(scores).T, np.asarray(targets).T, strict=True)
    values = [average_precision(s, t) for s, t in pairs if np.any(t > 0)]
    return float(np.mean(values)) if values else float("nan")


def roc_area(scores: ArrayLike, targets: ArrayLike) -> float:
    """The chance that a positive scores higher than a negative, ties half (AUROC); NaN unless there are both.

    Args:
        scores: (N,).
        targets: (N,) of 0 and 1.
    """
    scores, positive = _scores(scores), np.asarray(targets) > 0
    _, place, tied = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(tied) - (tied - 1) / 2)[place]
    p, n = positive.sum(), (~positive).sum()
    return float((ranks[positive].sum() - p * (p + 1) / 2) / (p * n)) if p and n else float("nan")


@dataclass(frozen=True)
class Calibration:
    """How far probabilities can be believed.

    Args:
        error: the expected calibration error (Naeini et al., AAAI 2015): the mean distance between what is said and
            what is true, by bin, weighted with what falls into it.
        said: (bins,) mean probability in each bin, from 0 to 1 in equal steps; NaN where nothing fell into it.
        true: (bins,) the share of these that were true.
        counts: (bins,).
    """

    error: float
    said: Floats
    true: Floats
    counts: NDArray[np.int64]


def calibration(probabilities: ArrayLike, true: ArrayLike, bins: int = 15) -> Calibration:
    """How far probabilities can be believed: of each class by itself, or of the likeliest alone.

    Args:
        probabilities: (N,) from 0 to 1.
        true: (N,) whether each was so, 0 or 1.
        bins: of equal width. A probability on a border falls into the lower one.
    """
    p, t = np.asarray(probabilities, np.float64), np.asarray(true, np.float64)
    place = np.clip(np.ceil(p * bins).astype(int) - 1, 0, bins - 1)
    counts = np.bincount(place, minlength=bins)
    said, so = (_share(np.bincount(place, values, bins), counts) for values in (p, t))
    error = float(np.nansum(counts * np.abs(said - so)) / len(p)) if len(p) else float("nan")
    return Calibration(error, said, so, counts.astype(np.int64))


@dataclass(frozen=True)
class BinaryScores:
    """Of one class against the rest. Precision is NaN where nothing is predicted, recall where nothing is there, F1
    where neither is."""

    accuracy: float
    precision: float
    recall: float
    f1: float
    roc_area: float


def binary_scores(scores: ArrayLike, targets: ArrayLike, threshold: float = 0.5) -> BinaryScores:
    """How well one score tells two classes apart.

    Args:
        scores: (N,).
        targets: (N,) of 0 and 1.
        threshold: From which score on an example is predicted to be 1.
    """
    predicted, positive = _scores(scores) >= threshold, np.asarray(targets) > 0
    hits = (predicted & positive).sum()
    return BinaryScores(
        accuracy=float(_share((predicted == positive).sum(), len(positive))),
        precision=float(_share(hits, predicted.sum())),
        recall=float(_share(hits, positive.sum())),
        f1=float(_share(2 * hits, predicted.sum() + positive.sum())),
        roc_area=roc_area(scores, targets),
    )


def wilson_interval(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """The range of a share that `successes` in `trials` leave likely (Wilson 1927): in [0, 1], also near its ends."""
    if not trials:
        return 0.0, 1.0
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    share, z2 = successes / trials, z * z / trials
    center = (share + z2 / 2) / (1 + z2)
    half = (z2 * (share * (1 - share) + z2 / 4)) ** 0.5 / (1 + z2)
    return max(0.0, center - half), min(1.0, center + half)


@dataclass(frozen=True)
class Difference:
    """A mean difference and the ends of its interval."""

    mean: float
    low: float
    high: float


def paired_bootstrap(
    first: ArrayLike, second: ArrayLike, confidence: float = 0.95, resamples: int = 10_000, seed: int = 0
) -> Difference:
    """How much better `first` is than `second` on the same examples, with a percentile bootstrap interval.

    Args:
        first: (N,) or (runs, N): the score of each example, such as 1 where it was right; runs are training seeds.
        second: Likewise. Examples are drawn in pairs, the runs of either by themselves.
        confidence: Of the interval.
        resamples: How often.
        seed: Of the drawing.
    """
    one, two = (np.atleast_2d(np.asarray(scores, dtype=np.float64)) for scores in (first, second))
    if one.shape[1] != two.shape[1] or not one.size:
        raise ValueError(f"paired scores must be of the same examples, got {one.shape} and {two.shape}")
    rng = np.random.default_rng(seed)

    def runs(scores: Floats) -> Floats:
        return scores[rng.integers(len(scores), size=len(scores))].mean(0) if len(scores) > 1 else scores[0]

    examples = one.shape[1]
    drawn = [(runs(one) - runs(two))[rng.integers(examples, size=examples)].mean() for _ in range(resamples)]
    low, high = np.quantile(drawn, [0.5 - confidence / 2, 0.5 + confidence / 2])
    return Difference(float(one.mean() - two.mean()), float(low), float(high))


def _scores(scores: ArrayLike) -> Floats:
    return np.nan_to_num(np.asarray(scores, dtype=np.float64), nan=-np.inf, posinf=np.inf, neginf=-np.inf)


def _steps(scores: Floats, positive: NDArray[np.bool_]) -> tuple[NDArray[Any], NDArray[Any]]:
    """From the highest score down: positives found and examples seen after each distinct score."""
    order = np.argsort(-scores, kind="stable")
    descending = scores[order]
    last = np.flatnonzero(np.append(descending[1:] != descending[:-1], [True] * len(scores[:1])))
    return np.cumsum(positive[order])[last], last + 1


def _share(part: ArrayLike, whole: ArrayLike) -> Floats:
    part, whole = np.asarray(part, dtype=np.float64), np.asarray(whole, dtype=np.float64)
    return np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole > 0)
