"""Metrics of online action detection, which judges every frame of a stream. Numpy alone; NaN where nothing is known.

The definitions are those of the field's common code (Xu et al., Long Short-Term Transformer, arXiv 2107.03377) and of
calibrated average precision (De Geest et al., Online Action Detection, arXiv 1604.06506): background is no class, and
frames marked ambiguous are left out, as are classes that no frame shows. Equal scores are one step, whatever the
order of their frames.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from movinet.metrics import average_precision

_PARTS = 10


@dataclass(frozen=True)
class FrameScores:
    """Of a stream's frames."""

    mean_ap: float  # over classes
    mean_calibrated_ap: float
    by_class: dict[int, float]  # average precision, of the classes that frames show


def calibrated_average_precision(scores: ArrayLike, targets: ArrayLike, ratio: float | None = None) -> float:
    """Average precision as it would be with as many positives as negatives: false positives weigh 1 / ratio.

    Args:
        scores: (N,).
        targets: (N,) of 0 and 1; without a 1 the result is NaN.
        ratio: of negatives to positives; that of the targets by default.
    """
    scores, positive = np.asarray(scores, np.float64), np.asarray(targets) > 0
    count = positive.sum()
    if not count:
        return float("nan")
    weight = (len(positive) - count) / count if ratio is None else ratio
    order = np.argsort(-np.nan_to_num(scores, nan=-np.inf), kind="stable")
    descending = np.nan_to_num(scores, nan=-np.inf)[order]
    last = np.flatnonzero(np.append(descending[1:] != descending[:-1], True))
    found = np.cumsum(positive[order])[last].astype(np.float64)
    wrong = last + 1 - found
    # Without negatives every precision is 1.
    precision = found / np.maximum(found + wrong / weight, np.finfo(float).tiny) if weight else np.ones_like(found)
    return float((np.diff(found, prepend=0) * precision).sum() / count)


def frame_scores(
    probabilities: ArrayLike,
    labels: ArrayLike,
    background: int | None = None,
    ambiguous: ArrayLike | None = None,
) -> FrameScores:
    """Mean average precision, also calibrated, over every frame.

    Args:
        probabilities: (frames, classes) of all streams, one after the other.
        labels: (frames,) class numbers.
        background: the class that is none.
        ambiguous: (frames,) of 1 where a frame is left out.

    Raises:
        ValueError: shapes do not match.
    """
    probabilities, labels = _checked(probabilities, labels)
    keep = np.ones(len(labels), bool) if ambiguous is None else ~(np.asarray(ambiguous) > 0)
    probabilities, labels = probabilities[keep], labels[keep]
    shown = [int(c) for c in np.unique(labels) if c != background]
    plain = {c: average_precision(probabilities[:, c], labels == c) for c in shown}
    calibrated = [calibrated_average_precision(probabilities[:, c], labels == c) for c in shown]
    return FrameScores(_mean(list(plain.values())), _mean(calibrated), plain)


def ap_by_part(
    probabilities: ArrayLike, labels: ArrayLike, background: int | None = None, parts: int = _PARTS
) -> list[float]:
    """Mean average precision when of each action only one tenth of its frames counts: the first, the second, …

    A run of frames of one label is an action. Of a class's own frames those of other parts are left out; what it is
    told from are all frames of other labels.

    Args:
        probabilities: (frames, classes) of one stream.
        labels: (frames,) class numbers.
        background: the class that is none.
        parts: into which actions are cut.
    """
    probabilities, labels = _checked(probabilities, labels)
    part = _part_of_action(labels, parts)
    result = []
    for wanted in range(parts):
        values = []
        for c in np.unique(labels):
            if c == background:
                continue
            keep = (labels != c) | (part == wanted)
            if (labels[keep] == c).any():
                values.append(average_precision(probabilities[keep, c], labels[keep] == c))
        result.append(_mean(values))
    return result


def _part_of_action(labels: NDArray[np.int64], parts: int) -> NDArray[np.int64]:
    """(frames,): in which part of its action each frame lies."""
    begins = np.flatnonzero(np.diff(labels, prepend=labels[:1] - 1))
    lengths = np.diff(begins, append=len(labels))
    inside = np.arange(len(labels)) - np.repeat(begins, lengths)
    return inside * parts // np.repeat(lengths, lengths)


def _checked(probabilities: ArrayLike, labels: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    scores, classes = np.asarray(probabilities, np.float64), np.asarray(labels, np.int64)
    if scores.ndim != 2 or classes.shape != scores.shape[:1]:
        raise ValueError(f"want (frames, classes) and (frames,), got {scores.shape} and {classes.shape}")
    if classes.size and not 0 <= classes.min() <= classes.max() < scores.shape[1]:
        raise ValueError(f"labels from {classes.min()} to {classes.max()} are not those of {scores.shape[1]} classes")
    return scores, classes


def _mean(values: list[float]) -> float:
    return float(np.mean(values)) if values else float("nan")
