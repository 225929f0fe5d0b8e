"""What is kept of a stream while it passes: its events, and what its labels came to."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from movinet.events import Event, EventDetector, detector_of
from movinet.prediction import Prediction
from movinet.weights.info import WeightsInfo


@dataclass(frozen=True)
class Answers:
    """What is asked of every file.

    Args:
        memory: seconds after which a frame hardly counts any more; None: the network never forgets.
        on, off, shortest, ignore: as of `movinet.events.detector_of`: what is left open is as the weights say.
        topk: labels in a row.
        max_gap: seconds without frames that end events, and begin the stream anew.
    """

    memory: float | None
    on: float | None = None
    off: float | None = None
    shortest: float | None = None
    ignore: tuple[str, ...] = ()
    topk: int = 5
    max_gap: float = 2.0

    def detector(self, info: WeightsInfo) -> EventDetector:
        """What turns the answers of a network into events.

        Raises:
            MovinetError: thresholds that make no sense, or of labels that the network does not have.
        """
        return detector_of(info, on=self.on, off=self.off, shortest=self.shortest, ignore=self.ignore)


class Tally:
    """Takes a stream's answers in order, one a frame; memory does not grow but by the events."""

    def __init__(self, info: WeightsInfo, answers: Answers) -> None:
        self._info, self._answers = info, answers
        self._detector = answers.detector(info)
        self._sum = np.zeros(info.spec.num_classes, np.float64)
        self._max = np.zeros(info.spec.num_classes, np.float32)
        self._last: Prediction | None = None
        self._gap = max(answers.max_gap, 3 / info.transform.fps)
        self.events: list[Event] = []
        self.frames = 0

    def push(self, prediction: Prediction) -> None:
        """The answer after the next frame."""
        if self._last is not None and prediction.time - self._last.time > self._gap:
            self.events += self._detector.finish()
        self._last = prediction
        self.frames += 1
        self._sum += prediction.probabilities
        np.maximum(self._max, prediction.probabilities, out=self._max)
        self.events += self._detector.push(prediction)

    def push_rows(self, rows: NDArray[np.void]) -> None:
        """Answers that were kept, of `row_dtype`."""
        for time, probabilities in zip(rows["time"].tolist(), rows["values"], strict=True):
            seen = 0 if self._last is None or time - self._last.time > self._gap else self._last.frames
            self.push(Prediction(time, seen + 1, probabilities, self._info))

    def finish(self) -> dict[str, Any]:
        """The columns of a row: plain values, all finite."""
        self.events += self._detector.finish()
        mean = (self._sum / max(self.frames, 1)).astype(np.float32)
        last = np.zeros_like(mean) if self._last is None else self._last.probabilities
        return {
            "frames": self.frames,
            "last": self._top(last),
            "mean": self._top(mean),
            "events": [
                {
                    "label": event.label,
                    "start": round(event.start, 3),
                    "end": round(event.end if event.end is not None else event.start, 3),
                    "confidence": round(event.confidence, 6),
                }
                for event in self.events
            ],
            "maxima": [round(value, 4) for value in self._max.tolist()],
        }

    def _top(self, probabilities: NDArray[np.float32]) -> list[dict[str, Any]]:
        if not self.frames:
            return []
        top = Prediction(0.0, self.frames, probabilities, self._info).top(self._answers.topk)
        return [{"label": label, "probability": round(p, 6)} for label, p in top]


def row_dtype(length: int, kind: str = "<f4") -> np.dtype[np.void]:
    """Of vectors with their times, as they lie in files between processes."""
    return np.dtype([("time", "<f8"), ("values", kind, (length,))])


class Seconds:
    """One vector for every second of a stream: the mean of the features that the classifier's head sees.

    A network pools its features over the whole past: pool = (γ·weight·pool + features) / (γ·weight + 1). What the
    frames of one second added to that is their own mean, in which the later count more where the network forgets.
    """

    def __init__(self) -> None:
        self._before: tuple[int, float, NDArray[np.float64]] | None = None  # frames seen, weight, pool

    def begin(self, seen: int, weight: float, pool: NDArray[np.float32]) -> None:
        """What the stream held before the first second."""
        self._before = seen, weight, pool.astype(np.float64)

    def vector(self, count: int, seen: int, weight: float, decay: float, pool: NDArray[np.float32]) -> NDArray[Any]:
        """The vector of the last frames.

        Args:
            count: frames since the last call.
            seen: frames since the stream began, which it may have done anew.
            weight, decay, pool: of the stream's state: `pool_weight`, `decay` and `head.pool`.

        Returns:
            (features,) float32.
        """
        mean = pool.astype(np.float64)
        total, vector = weight, mean
        if self._before is not None and self._before[0] + count == seen and seen > count:
            _, earlier, before = self._before
            left = earlier * math.pow(decay, count)
            total = weight - left
            vector = (weight * mean - left * before) / total if total > 0 else mean
        self._before = seen, weight, mean
        return vector.astype(np.float32)


def second_of(time: float) -> int:
    """The second of a video in which a frame is shown."""
    return math.floor(time + 1e-3)
