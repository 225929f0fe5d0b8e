"""Timing contenders on a machine that others use too: in turns, so that all of them see the same weather."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Timing:
    """Seconds a call took."""

    median: float
    best: float


def interleaved(
    contenders: Mapping[str, Callable[[], object]], rounds: int, calls: int, warmup: int
) -> dict[str, Timing]:
    """Time every contender `calls` times in every round.

    A round makes several calls because the first after another contender's finds the processor's caches full of that
    one's weights; `warmup` calls at the beginning of every contender's turn are not counted.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, call in contenders.items():
            for _ in range(warmup):
                call()
            for _ in range(calls):
                begin = time.perf_counter()
                call()
                seconds[name].append(time.perf_counter() - begin)
    return {name: Timing(statistics.median(taken), min(taken)) for name, taken in seconds.items()}
