"""How good answers for labeled videos are: figures with 95 % intervals over videos, and what they cost."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from movinet.evaluate.clip_protocols import SHARES
from movinet.evaluate.evaluation_run import Outcome
from movinet.metrics import (
    Calibration,
    average_precision,
    calibration,
    confusion_matrix,
    mean_average_precision,
    per_class_recall,
    top_k_hits,
    wilson_interval,
)
from movinet.weights.operating_point import Interval

Floats = NDArray[np.float64]

_RESAMPLES = 2000
_MOST_WORK = 4 * 10**7  # scores looked at for the interval of a mean average precision, but for fifty resamples
_FEWEST = 50
_MOST_HELD = 10**7  # numbers at once


@dataclass(frozen=True)
class ClassFigures:
    """Of one class.

    Args:
        label: its name.
        videos: that show it.
        score: the share of these that were named right; average precision where videos have several labels.
        taken_for: what it was taken for most often, and how often; None where it never was.
    """

    label: str
    videos: int
    score: float
    taken_for: tuple[str, int] | None = None


@dataclass(frozen=True)
class StreamFigures:
    """Of answers on the way.

    Args:
        score: top-1 accuracy, or mean average precision, when each of `SHARES` of the video had been seen.
        top5: of one label; None otherwise.
        every: mean over videos of the share of frames after which the answer was right; None of several labels.
        best_share: at which the score is best: known only afterwards, so no promise.
        best: the score there.
    """

    score: tuple[Interval, ...]
    top5: tuple[Interval, ...] | None
    every: Interval | None
    best_share: float
    best: Interval


@dataclass(frozen=True)
class Figures:
    """Of a set. Shares, not percent; None where a figure means nothing for it.

    Args:
        videos: with an answer.
        sources: files these are of: intervals draw files.
        top1, top5: of one label a video; the second of more than five classes.
        mean_class: mean over classes of the share that was named right.
        mean_ap: of several labels.
        calibration: of the likeliest class of each video; of several labels, of every class of each.
        by_class: of the classes that are there, as the network orders them.
        confusion: (num_classes, num_classes): true class by row, said by column; of one label.
        stream: of streams.
        frames: a video, in all views together, on average.
        macs: multiply-adds a video; None where nobody knows.
        short: videos shorter than the protocol's clip.
        decode_ms, network_ms: of processor time a video.
    """

    videos: int
    sources: int
    top1: Interval | None
    top5: Interval | None
    mean_class: float | None
    mean_ap: Interval | None
    calibration: Calibration
    by_class: tuple[ClassFigures, ...]
    confusion: NDArray[np.int64] | None
    stream: StreamFigures | None
    frames: float
    macs: float | None
    short: int
    decode_ms: float
    network_ms: float


def figures_of(outcome: Outcome, seed: int = 0) -> Figures:
    """All figures of an evaluation; equal answers and seeds give equal figures."""
    probabilities, targets, records = outcome.probabilities, outcome.targets, outcome.records
    sources = {source: n for n, source in enumerate(sorted({footage.source for footage in outcome.footage}))}
    groups = np.array([sources[footage.source] for footage in outcome.footage])
    judged, views = outcome.judged, outcome.protocol.views
    top1 = top5 = mean_class = mean_ap = confusion = stream = None
    if outcome.multi_label:
        if outcome.protocol.kind == "stream":
            stream = _stream_of_many(outcome, groups, targets, seed)
        mean_ap = _mean_ap(probabilities, targets, groups, seed)
        believed = calibration(probabilities.ravel(), targets.ravel())
        by_class = _by_class_of_many(probabilities, targets, outcome.names)
    else:
        top1, top5, stream = _shares_of_one(outcome, probabilities, groups, targets, seed)
        said = probabilities.argmax(1)
        confusion = confusion_matrix(said, targets, judged.num_classes)
        recall = per_class_recall(confusion)
        mean_class = float(np.nanmean(recall))
        believed = calibration(probabilities.max(1), said == targets)
        by_class = _by_class_of_one(confusion, recall, outcome.names)
    macs = None
    if judged.macs is not None:
        macs = float(np.mean([views * judged.macs(record.frames // views) for record in records]))
    return Figures(
        videos=len(records),
        sources=int(groups.max()) + 1,
        top1=top1,
        top5=top5,
        mean_class=mean_class,
        mean_ap=mean_ap,
        calibration=believed,
        by_class=by_class,
        confusion=confusion,
        stream=stream,
        frames=float(np.mean([record.frames for record in records])),
        macs=macs,
        short=sum(record.short for record in records),
        decode_ms=1e3 * float(np.mean([record.decode_seconds for record in records])),
        network_ms=1e3 * float(np.mean([record.network_seconds for record in records])),
    )


def _shares_of_one(
    outcome: Outcome,
    probabilities: NDArray[np.float32],
    groups: NDArray[np.int64],
    targets: NDArray[np.int64],
    seed: int,
) -> tuple[Interval, Interval | None, StreamFigures | None]:
    """Top-1, top-5 and the figures of a stream, of one label a video: files are drawn once for them all, which takes
    longer than everything else."""
    records, count = outcome.records, len(SHARES)
    columns: list[NDArray[np.floating]] = [top_k_hits(probabilities, targets, (1, 5)).T]
    if outcome.protocol.kind == "stream":
        hits = np.stack([record.hits for record in records if record.hits is not None])
        columns += [hits[:, 0], hits[:, 1], np.array([[record.every or 0.0] for record in records])]
    top1, top5, *others = _mean(np.concatenate(columns, axis=1), groups, seed)
    has_five = outcome.judged.num_classes > 5
    stream = None
    if others:
        stream = _stream(others[:count], others[count:-1] if has_five else None, others[-1])
    return top1, top5 if has_five else None, stream


def _stream_of_many(
    outcome: Outcome, groups: NDArray[np.int64], targets: NDArray[np.int64], seed: int
) -> StreamFigures:
    by_share = np.stack([record.by_share for record in outcome.records if record.by_share is not None])
    fewest = _FEWEST if by_share[:, 0].size * _FEWEST <= _MOST_WORK else 0  # twenty long waits for bands
    score = [_mean_ap(by_share[:, n], targets, groups, seed, fewest) for n in range(len(SHARES))]
    return _stream(score, None, None)


def _stream(score: Sequence[Interval], top5: Sequence[Interval] | None, every: Interval | None) -> StreamFigures:
    best = max(range(len(score)), key=lambda n: score[n].value)
    return StreamFigures(tuple(score), None if top5 is None else tuple(top5), every, SHARES[best], score[best])


def _by_class_of_one(confusion: NDArray[np.int64], recall: Floats, names: tuple[str, ...]) -> tuple[ClassFigures, ...]:
    found = []
    for n in np.flatnonzero(confusion.sum(1)).tolist():
        wrong = confusion[n].copy()
        wrong[n] = 0
        most = int(wrong.argmax())
        taken_for = (names[most], int(wrong[most])) if wrong[most] else None
        found.append(ClassFigures(names[n], int(confusion[n].sum()), float(recall[n]), taken_for))
    return tuple(found)


def _by_class_of_many(
    probabilities: NDArray[np.float32], targets: NDArray[np.int64], names: tuple[str, ...]
) -> tuple[ClassFigures, ...]:
    return tuple(
        ClassFigures(names[n], int(targets[:, n].sum()), average_precision(probabilities[:, n], targets[:, n]))
        for n in np.flatnonzero(targets.any(0)).tolist()
    )


def _mean(values: NDArray[np.floating], groups: NDArray[np.int64], seed: int) -> tuple[Interval, ...]:
    """Means of the columns of (videos, K), with intervals from files drawn anew, whole. Where all videos are alike,
    that says nothing, and the interval is Wilson's of as many files."""
    count = int(groups.max()) + 1
    sums = np.zeros((count, values.shape[1]))
    np.add.at(sums, groups, values.astype(np.float64))
    sizes = np.bincount(groups, minlength=count).astype(np.float64)

    def means(weights: Floats) -> Floats:
        return np.asarray((weights @ sums) / (weights @ sizes)[:, None])

    low, _, high = _quantiles(means, count, _RESAMPLES, seed)
    found = []
    for value, one, other in zip(values.astype(np.float64).mean(0).tolist(), low.tolist(), high.tolist(), strict=True):
        alike = value in (0.0, 1.0)
        found.append(Interval(value, *wilson_interval(round(value * count), count)) if alike else
                     Interval(value, one, other))  # fmt: skip
    return tuple(found)


def _mean_ap(
    scores: NDArray[np.float32],
    targets: NDArray[np.int64],
    groups: NDArray[np.int64],
    seed: int,
    fewest: int = _FEWEST,
) -> Interval:
    """Mean average precision with an interval as of `_mean`, which is not known where `fewest` resamples are none."""
    there = np.flatnonzero(targets.any(0))
    if not len(there):
        return Interval(float("nan"), float("nan"), float("nan"))
    count = int(groups.max()) + 1
    order = np.argsort(-scores[:, there], axis=0, kind="stable")
    ordered = np.take_along_axis(scores[:, there], order, axis=0)
    positive = np.take_along_axis(targets[:, there], order, axis=0).astype(bool)
    last = np.append(ordered[1:] != ordered[:-1], np.ones((1, len(there)), bool), axis=0)
    places = np.where(last, np.arange(len(ordered))[:, None], len(ordered))
    ends = np.minimum.accumulate(places[::-1], axis=0)[::-1]  # of those that are tied with each

    def mean(weights: Floats) -> Floats:
        found = []
        for one in weights:
            drawn = one[groups][order]
            hit = np.where(positive, drawn, 0.0)
            seen, hits = np.cumsum(drawn, axis=0), np.cumsum(hit, axis=0)
            precision = np.divide(hits, seen, out=np.zeros_like(hits), where=seen > 0)
            total = hits[-1]
            sums = (hit * np.take_along_axis(precision, ends, axis=0)).sum(0)
            found.append(float((sums[total > 0] / total[total > 0]).mean()) if (total > 0).any() else np.nan)
        return np.array(found)[:, None]

    resamples = int(np.clip(_MOST_WORK // max(1, scores.size), fewest, _RESAMPLES // 2)) if fewest else 0
    if not resamples:
        return Interval(mean_average_precision(scores, targets), float("nan"), float("nan"))
    low, middle, high = _quantiles(mean, count, resamples, seed)
    value = mean_average_precision(scores, targets)
    # Videos that are drawn twice lie beside themselves, which lifts the precision of rare classes.
    lifted = float(middle[0]) - value
    return Interval(value, max(0.0, float(low[0]) - lifted), min(1.0, float(high[0]) - lifted))


def _quantiles(
    statistic: Callable[[Floats], Floats], count: int, resamples: int, seed: int
) -> tuple[Floats, Floats, Floats]:
    """2.5, 50 and 97.5 % of a statistic of weights (resamples, count), each how often one of `count` files is drawn."""
    rng, done, found = np.random.default_rng(seed), 0, []
    while done < resamples:
        rows = min(resamples - done, max(1, _MOST_HELD // count))
        drawn = rng.integers(count, size=(rows, count))
        drawn += np.arange(rows)[:, None] * count
        weights = np.bincount(drawn.ravel(), minlength=rows * count).reshape(rows, count).astype(np.float64)
        found.append(statistic(weights))
        done += rows
    # By hand: NumPy's `nanquantile` takes column after column, and loads `numpy.ma`.
    ordered = np.sort(np.concatenate(found), axis=0)  # NaN last
    last = np.maximum(np.count_nonzero(~np.isnan(ordered), axis=0) - 1, 0)

    def quantile(share: float) -> Floats:
        place = share * last
        low, high = (np.take_along_axis(ordered, end(place).astype(int)[None], 0)[0] for end in (np.floor, np.ceil))
        return np.asarray(low + (high - low) * (place % 1))

    return quantile(0.025), quantile(0.5), quantile(0.975)
