"""What an evaluation found, for programs: one dictionary of plain values, and how it came about."""

import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from movinet.evaluate.clip_protocols import SHARES, describe
from movinet.evaluate.evaluation_run import Outcome
from movinet.evaluate.score_figures import Figures
from movinet.weights.operating_point import Interval

_PACKAGES = ("movinet", "numpy", "av", "ai-edge-litert", "openvino", "onnxruntime", "torch")


@dataclass(frozen=True)
class Circumstances:
    """How an evaluation came about.

    Args:
        command: that was typed, if one was.
        data: what was evaluated on, in words: the set and its splits.
        found: videos of the set that are there.
        missing: that it lists and that are not.
        seconds: that this run took, by the clock.
        peak_memory_mb: of the process.
        notes: what a reader must know, one sentence each.
        date: when.
    """

    command: str = ""
    data: str = ""
    found: int = 0
    missing: int = 0
    seconds: float = 0.0
    peak_memory_mb: float | None = None
    notes: tuple[str, ...] = ()
    date: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))


def as_plain(outcome: Outcome, figures: Figures, how: Circumstances) -> dict[str, Any]:
    """All of it, ready for JSON: shares, not percent; seconds and milliseconds of processor time."""
    judged, calibrated, stream = outcome.judged, figures.calibration, figures.stream
    return {
        "model": judged.name,
        "model_hash": judged.hash,
        "engine": judged.runs_on,
        "data": how.data,
        "data_hash": outcome.data_hash,
        "protocol": {**outcome.protocol.settings(), "in_words": describe(outcome.protocol, judged)},
        "videos": {
            "found": how.found,
            "missing": how.missing,
            "unknown_labels": outcome.skipped,
            "unreadable": len(outcome.unreadable),
            "evaluated": figures.videos,
            "shorter_than_the_clip": figures.short,
            "files": figures.sources,
            "from_an_earlier_run": outcome.resumed,
        },
        "top1": _interval(figures.top1),
        "top5": _interval(figures.top5),
        "mean_class_accuracy": figures.mean_class,
        "mean_average_precision": _interval(figures.mean_ap),
        "calibration": {
            "expected_error": calibrated.error,
            "said": calibrated.said.tolist(),
            "true": calibrated.true.tolist(),
            "counts": calibrated.counts.tolist(),
        },
        "stream": None
        if stream is None
        else {
            "shares": list(SHARES),
            "score": [_interval(one) for one in stream.score],
            "top5": None if stream.top5 is None else [_interval(one) for one in stream.top5],
            "every_frame": _interval(stream.every),
            "best_share": stream.best_share,
            "best": _interval(stream.best),
        },
        "by_class": [
            {"label": one.label, "videos": one.videos, "score": one.score}
            | ({"taken_for": list(one.taken_for)} if one.taken_for else {})
            for one in figures.by_class
        ],
        "confusions": confusions(outcome, figures),
        "cost": {
            "views": outcome.protocol.views,
            "frames_a_video": figures.frames,
            "multiply_adds_a_video": figures.macs,
            "decode_ms_a_video": figures.decode_ms,
            "network_ms_a_video": figures.network_ms,
            "peak_memory_mb": how.peak_memory_mb,
            "seconds": how.seconds,
        },
        "errors": list(outcome.unreadable),
        "notes": list(how.notes),
        "command": how.command,
        "date": how.date,
        "versions": versions(),
    }


def confusions(outcome: Outcome, figures: Figures) -> list[dict[str, Any]] | None:
    """What was taken for what, most often first; None of several labels."""
    if figures.confusion is None:
        return None
    wrong = figures.confusion - np.diag(np.diag(figures.confusion))
    order = np.argsort(-wrong, axis=None, kind="stable")[: int((wrong > 0).sum())]
    pairs = zip(*np.unravel_index(order, wrong.shape), strict=True)
    return [{"label": outcome.names[a], "said": outcome.names[b], "videos": int(wrong[a, b])} for a, b in pairs]


def versions() -> Mapping[str, str]:
    """Of what ran: packages that are there, Python, the system."""
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return {**found, "python": platform.python_version(), "system": f"{sys.platform} {platform.machine()}"}


def _interval(interval: Interval | None) -> dict[str, float] | None:
    return None if interval is None else {"value": interval.value, "low": interval.low, "high": interval.high}
