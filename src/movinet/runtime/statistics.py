"""How a pool of streams is doing."""

from collections import deque
from dataclasses import dataclass

import numpy as np

_ROUNDS, _FRAMES = 512, 4096  # that figures of the recent past look back


@dataclass(frozen=True)
class PoolStatistics:
    """Figures of a pool: counts since it began, rates and times of its last few hundred steps."""

    streams: int  # in the pool now
    waiting: int  # frames in their queues now
    frames: int  # shown to the network
    dropped: int  # pushed out of full queues by newer ones
    errors: int  # steps that failed
    fps: float  # frames a second
    fill: float  # of the rows stepped, the share that held a frame
    latency_ms: tuple[float, float, float]  # from push to the end of the step: median, 95th and 99th percentile


class Counters:
    """Collects what `PoolStatistics` tells; one thread at a time."""

    def __init__(self) -> None:
        self.frames = self.dropped = self.errors = 0
        self._rounds: deque[tuple[float, int, int]] = deque(maxlen=_ROUNDS)  # end (seconds), frames, rows
        self._latencies: deque[float] = deque(maxlen=_FRAMES)  # seconds

    def stepped(self, now: float, arrived: list[float], rows: int) -> None:
        """A step has ended that took frames which had come then."""
        self.frames += len(arrived)
        self._rounds.append((now, len(arrived), rows))
        self._latencies.extend(now - then for then in arrived)

    def figures(self, now: float, streams: int, waiting: int) -> PoolStatistics:
        """All of it at this instant."""
        fps = fill = 0.0
        if self._rounds:
            _, frames, rows = (sum(column) for column in zip(*self._rounds, strict=True))
            since, first, _ = self._rounds[0]
            fps = (frames - first) / (now - since) if now > since else 0.0
            fill = frames / rows
        p50, p95, p99 = (float(p) for p in 1e3 * np.percentile(self._latencies or [0.0], [50, 95, 99]))
        return PoolStatistics(
            streams, waiting, self.frames, self.dropped, self.errors, fps, fill, latency_ms=(p50, p95, p99)
        )
