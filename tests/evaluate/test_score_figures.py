"""Figures against scikit-learn's, and intervals against scipy's."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import bootstrap
from sklearn.calibration import calibration_curve
from sklearn.metrics import average_precision_score, balanced_accuracy_score, confusion_matrix, top_k_accuracy_score
from tiny_sets import ArrayFootage

from movinet.evaluate.answer_file import Record
from movinet.evaluate.clip_protocols import Protocol
from movinet.evaluate.evaluation_run import Outcome
from movinet.evaluate.judged import judge_clips
from movinet.evaluate.score_figures import _quantiles, figures_of
from movinet.metrics import top_k_hits
from movinet.video.transform import Transform
from movinet.weights.operating_point import Interval

NAMES = tuple("abcdefgh")
NONE = np.zeros((1, 1, 1, 3), np.uint8)


def outcome_of(
    probabilities: NDArray[np.float32], labels: list[tuple[str, ...]], sources: list[str], multi_label: bool
) -> Outcome:
    judged = judge_clips(
        lambda clips: np.zeros((1, 8)), name="any", labels=NAMES, transform=Transform((8, 8), 8, 5.0), clip_frames=2,
        macs=lambda frames: 10.0 * frames,
    )  # fmt: skip
    records = [Record(row, 12, 1.0, n % 2 == 0, 0.25, 0.5) for n, row in enumerate(probabilities)]
    footage = [ArrayFootage(NONE, 5.0, own, source) for own, source in zip(labels, sources, strict=True)]
    protocol = Protocol("multi-clip", clips=2, crops=3)
    classes = {name: n for n, name in enumerate(NAMES)}
    return Outcome(judged, protocol, NAMES, multi_label, tuple(footage), tuple(records), (), 0, "", 0, classes)


def drawn(videos: int, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    targets = np.concatenate([np.arange(8), rng.integers(8, size=videos - 8)])
    logits = rng.normal(size=(videos, 8)) + 2.0 * np.eye(8)[targets]
    scores = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return scores.astype(np.float32), targets


def test_one_label_a_video() -> None:
    scores, targets = drawn(300)
    figures = figures_of(outcome_of(scores, [(NAMES[n],) for n in targets], [str(n) for n in range(300)], False))
    assert figures.top1 is not None
    assert figures.top5 is not None
    assert figures.confusion is not None
    assert figures.top1.value == pytest.approx(top_k_accuracy_score(targets, scores, k=1, labels=range(8)))
    assert figures.top5.value == pytest.approx(top_k_accuracy_score(targets, scores, k=5, labels=range(8)))
    assert figures.mean_class == pytest.approx(balanced_accuracy_score(targets, scores.argmax(1)))
    assert (figures.confusion == confusion_matrix(targets, scores.argmax(1))).all()
    for n, one in enumerate(figures.by_class):
        mine = targets == n
        assert (one.label, one.videos) == (NAMES[n], mine.sum())
        assert one.score == pytest.approx((scores.argmax(1) == targets)[mine].mean())
    true, said = calibration_curve(scores.argmax(1) == targets, scores.max(1).astype(float), n_bins=15)
    there = figures.calibration.counts > 0
    np.testing.assert_allclose(figures.calibration.true[there], true)
    np.testing.assert_allclose(figures.calibration.said[there], said)
    shares = figures.calibration.counts[there] / 300
    assert figures.calibration.error == pytest.approx((shares * abs(true - said)).sum())
    right = (scores.argmax(1) == targets).astype(float)
    theirs = bootstrap((right,), np.mean, method="percentile", n_resamples=4000, rng=1).confidence_interval
    assert (figures.top1.low, figures.top1.high) == pytest.approx((theirs.low, theirs.high), abs=0.01)
    assert (figures.videos, figures.sources, figures.short, figures.frames) == (300, 300, 150, 12)
    assert figures.macs == 6 * 10.0 * 2
    assert (figures.decode_ms, figures.network_ms) == (250.0, 500.0)


def test_several_labels_a_video() -> None:
    rng = np.random.default_rng(0)
    targets = rng.random((120, 8)) < 0.3
    targets[:, 7] = False  # a class that nothing shows
    scores = np.round(np.clip(0.4 * targets + rng.random((120, 8)) * 0.6, 0, 1), 2).astype(np.float32)  # with ties
    labels = [tuple(np.array(NAMES)[row]) for row in targets]
    figures = figures_of(outcome_of(scores, labels, [str(n) for n in range(120)], True))
    assert figures.top1 is figures.confusion is None
    assert figures.mean_ap is not None
    wanted = average_precision_score(targets[:, :7], scores[:, :7], average="macro")
    assert figures.mean_ap.value == pytest.approx(wanted)
    for n, one in enumerate(figures.by_class):
        assert one.score == pytest.approx(average_precision_score(targets[:, n], scores[:, n]))
    again = [rng.integers(120, size=120) for _ in range(120)]
    scored = [average_precision_score(targets[draw][:, :7], scores[draw][:, :7], average="macro") for draw in again]
    low, middle, high = np.quantile(scored, [0.025, 0.5, 0.975]) + wanted - np.median(scored)
    assert (figures.mean_ap.low, figures.mean_ap.high) == pytest.approx((low, high), abs=0.03)
    assert figures.mean_ap.low < middle < figures.mean_ap.high


def test_parts_of_one_video_are_drawn_together() -> None:
    """A hundred videos, or five of which each was cut into twenty parts that are all right or all wrong."""
    scores, targets = drawn(100)
    right = np.repeat([True, False, True, True, False], 20)
    scores[np.arange(100), targets] = np.where(right, 2.0, -1.0)
    labels = [(NAMES[n],) for n in targets]
    alone = figures_of(outcome_of(scores, labels, [str(n) for n in range(100)], False)).top1
    together = figures_of(outcome_of(scores, labels, [str(n // 20) for n in range(100)], False))
    assert alone is not None
    assert together.top1 is not None
    assert together.sources == 5
    assert alone.value == together.top1.value == pytest.approx(0.6)
    assert alone.high - alone.low < 0.25
    assert together.top1.high - together.top1.low > 0.5


def test_where_all_are_right_something_is_still_not_known() -> None:
    scores, targets = drawn(8)
    scores[np.arange(8), targets] = 2.0
    labels = [(NAMES[n],) for n in targets]
    top1 = figures_of(outcome_of(scores, labels, [str(n) for n in range(8)], False)).top1
    assert top1 is not None
    assert top1.value == top1.high == 1.0
    assert top1.low == pytest.approx(0.676, abs=0.01), "Wilson's, of 8 of 8"


def test_equal_answers_give_equal_figures() -> None:
    scores, targets = drawn(50)
    labels, sources = [(NAMES[n],) for n in targets], [str(n) for n in range(50)]
    one, other = (figures_of(outcome_of(scores, labels, sources, False)) for _ in range(2))
    assert (one.top1, one.top5, one.by_class) == (other.top1, other.top5, other.by_class)
    fewer = outcome_of(scores[:1], labels[:1], sources[:1], False)
    assert figures_of(replace(fewer)).videos == 1


def test_answers_on_the_way_have_the_intervals_of_those_in_the_end() -> None:
    scores, targets = drawn(60)
    right = top_k_hits(scores, targets, 1).astype(np.float32)
    outcome = outcome_of(scores, [(NAMES[n],) for n in targets], [str(n // 2) for n in range(60)], False)
    records = [
        replace(record, hits=np.stack([np.full(20, hit), np.ones(20)]).astype(np.float32), every=0.5 * float(hit))
        for record, hit in zip(outcome.records, right, strict=True)
    ]
    figures = figures_of(replace(outcome, protocol=Protocol("stream"), records=tuple(records)))
    assert figures.stream is not None
    assert figures.top1 is not None
    assert figures.stream.top5 is not None
    assert figures.stream.every is not None
    assert set(figures.stream.score) == {figures.top1} == {figures.stream.best}
    assert {interval.value for interval in figures.stream.top5} == {1.0}
    halved = Interval(figures.top1.value / 2, figures.top1.low / 2, figures.top1.high / 2)
    assert figures.stream.every == halved


def test_quantiles_are_numpys_without_what_is_no_number() -> None:
    found = np.random.default_rng(0).normal(size=(41, 4))
    found[found > 1.5] = np.nan
    found[:, 2], found[1:, 3] = np.nan, np.nan
    with pytest.warns(RuntimeWarning, match="All-NaN"):
        expected = np.nanquantile(found, [0.025, 0.5, 0.975], axis=0)
    np.testing.assert_allclose(_quantiles(lambda weights: found, 5, 41, 0), expected, rtol=1e-12)
