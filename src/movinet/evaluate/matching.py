"""Metrics that match what was found with what is there: starts, spots, segments. Numpy alone.

Each thing that is there is found once, by the surest that fits; what else claims it is wrong.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Segment(NamedTuple):
    """Something of a label from `start` to `end`, seconds; a point in time where they are the same."""

    stream: str
    label: str
    start: float
    end: float
    score: float = 1.0


@dataclass(frozen=True)
class _Ranked:
    """What was found of one label, the surest first: whether each was right; and how much is there."""

    right: NDArray[np.bool_]
    scores: Floats
    there: int


def point_ap(found: Sequence[Segment], truth: Sequence[Segment], offset: float) -> float:
    """Mean over labels of the average precision of starts (online detection of action start, Shou et al., arXiv
    1802.06822): a start is right within `offset` seconds of a true one. The sum of precisions at every hit.

    Args:
        found: with scores; their starts count.
        truth: of the same streams.
        offset: seconds, to either side.
    """
    return _mean_over_labels(found, truth, lambda f, t: -abs(f.start - t.start), -offset, _plain)


def point_map(
    found: Sequence[Segment], truth: Sequence[Segment], offsets: Sequence[float] = tuple(range(1, 11))
) -> float:
    """The mean of `point_ap` over offsets, 1 to 10 seconds."""
    return float(np.mean([point_ap(found, truth, offset) for offset in offsets]))


def spotting_map(found: Sequence[Segment], truth: Sequence[Segment], tight: bool) -> float:
    """Average mAP of SoccerNet's action spotting (Deliège et al., arXiv 2011.13367): spots are right within half the
    tolerance, of 1 to 5 s (tight) or 5 to 60 s by fives (loose); the area is that of tolerances, by trapezoids.
    Precision is taken at 11 recalls, the best at each or more.

    Args:
        found: with scores; their starts count.
        truth: of the same streams; their starts count.
        tight: tolerances of 1 to 5 s.
    """
    tolerances = np.arange(1, 6, dtype=float) if tight else np.arange(5, 61, 5, dtype=float)
    values = [
        _mean_over_labels(found, truth, lambda f, t: -abs(f.start - t.start), -tolerance / 2, _eleven)
        for tolerance in tolerances
    ]
    return float(np.mean([(one + other) / 2 for one, other in pairwise(values)]))


def segment_map(found: Sequence[Segment], truth: Sequence[Segment], tiou: float) -> float:
    """Mean over labels of ActivityNet's average precision (Caba Heilbron et al., CVPR 2015) of segments whose
    intersection over union with a true one is at least `tiou`; precision is the best at each recall or more.

    Args:
        found: with scores.
        truth: of the same streams.
        tiou: in (0, 1].
    """
    return _mean_over_labels(found, truth, overlap, tiou, _interpolated)


def is_in_reach(segment: Segment, start: float, after: float) -> bool:
    """Whether an event of its label that begins at `start` finds it: within it, or up to `after` seconds later."""
    return segment.start <= start < segment.end + after


def overlap(one: Segment, other: Segment) -> float:
    """Intersection over union in time."""
    inside = min(one.end, other.end) - max(one.start, other.start)
    together = max(one.end, other.end) - min(one.start, other.start)
    return max(0.0, inside) / together if together > 0 else float(one.start == other.start)


def _mean_over_labels(
    found: Sequence[Segment],
    truth: Sequence[Segment],
    closeness: Callable[[Segment, Segment], float],
    enough: float,
    average: Callable[[_Ranked], float],
) -> float:
    """Over the labels that are there; NaN where there is nothing."""
    theirs, ours = _by_label(truth), _by_label(found)
    values = [average(_ranked(ours.get(label, []), there, closeness, enough)) for label, there in theirs.items()]
    return float(np.mean(values)) if values else float("nan")


def _by_label(segments: Sequence[Segment]) -> Mapping[str, list[Segment]]:
    by_label: dict[str, list[Segment]] = defaultdict(list)
    for segment in segments:
        by_label[segment.label].append(segment)
    return by_label


def _ranked(
    found: Sequence[Segment],
    truth: Sequence[Segment],
    closeness: Callable[[Segment, Segment], float],
    enough: float,
) -> _Ranked:
    """The surest first; each takes the closest true one of its stream that is left."""
    left: dict[str, list[Segment]] = defaultdict(list)
    for segment in truth:
        left[segment.stream].append(segment)
    ranked = sorted(found, key=lambda segment: -segment.score)
    right = np.zeros(len(ranked), bool)
    for n, segment in enumerate(ranked):
        there = left[segment.stream]
        best = max(range(len(there)), key=lambda k: closeness(segment, there[k]), default=None)
        if best is not None and closeness(segment, there[best]) >= enough:
            right[n] = True
            del there[best]
    return _Ranked(right, np.array([segment.score for segment in ranked]), len(truth))


def _curve(ranked: _Ranked) -> tuple[Floats, Floats]:
    hits = np.cumsum(ranked.right)
    return hits / np.arange(1, len(hits) + 1), hits / ranked.there


def _plain(ranked: _Ranked) -> float:
    precision, _ = _curve(ranked)
    return float(precision[ranked.right].sum() / ranked.there)


def _interpolated(ranked: _Ranked) -> float:
    precision, recall = _curve(ranked)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return float((np.diff(recall, prepend=0.0) * best).sum())


def _eleven(ranked: _Ranked) -> float:
    precision, recall = _curve(ranked)
    at = [precision[recall >= wanted - 1e-12].max(initial=0.0) for wanted in np.arange(11) / 10]
    return float(np.mean(at))
