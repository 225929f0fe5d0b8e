"""How long steps of networks take on LiteRT, on a machine that others may be using, too."""

import math
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from movinet.arch.spec import NetworkSpec
from movinet.arch.step import FRAMES
from movinet.runtime.litert_engine import LiteRTEngine, LiteRTFile, lowered
from movinet.weights.weights import Weights, limited_positions

THREADS = 1  # more wait for each other where others use the machine
VISITS = 8
_BURST = 0.0025  # seconds of calls in a visit
_CALLS = 3  # at least
_QUICK = 0.02  # how near to the quickest is as quick
_LONGER = 4
# The time of this thread alone, where its clock is fine enough: who waits for a core is not slow.
_now = time.thread_time if time.get_clock_info("thread_time").resolution <= 1e-6 else time.perf_counter


@dataclass(frozen=True)
class Timing:
    """The shortest milliseconds of one network, and those of the reference beside it, visit by visit."""

    milliseconds: float
    reference: tuple[float, ...]


def time_steps(specs: Iterable[NetworkSpec], reference: NetworkSpec, visits: int = VISITS) -> Iterator[Timing]:
    """Time whole steps, lowered, batch 1, with logits, on one thread; weights are new.

    Whoever else uses the machine can only make a step longer, and does so for a while: so each network is visited some
    times, between which the next ones are lowered, and its shortest time counts. Visits go on, four times as long at
    most, until the reference was twice about as quick as it can be. As many networks as visits are in memory at a time;
    they are loaded and let go together, since in the gaps that one of them leaves another would run 3 % slower.

    Args:
        specs: Stream networks.
        reference: One like them. It is timed beside each.
        visits: Of each network.

    Raises:
        MovinetError: LiteRT is not installed.
        SpecError: It has no operator for something in them.
    """
    coming = iter(specs)
    beside, seen = _Step(_file(reference)), list[float]()
    files = [_file(spec) for spec in islice(coming, visits)]
    while files:
        steps = [_Step(file) for file in files]
        files = []
        own, paces = [math.inf] * len(steps), list[float]()
        while len(paces) < visits or (len(paces) < _LONGER * visits and not _was_quick(paces, seen)):
            paces.append(beside.milliseconds())
            own = [min(least, step.milliseconds()) for least, step in zip(own, steps, strict=True)]
            if len(files) < visits:
                files += [_file(spec) for spec in islice(coming, 1)]
        seen += paces
        del steps
        yield from (Timing(least, tuple(paces)) for least in own)


def _was_quick(paces: list[float], before: list[float]) -> bool:
    quick = (1 + _QUICK) * float(np.percentile([*paces, *before], 10))
    return sum(pace <= quick for pace in paces) >= 2


def at_one_pace(timings: Sequence[Timing]) -> tuple[float, ...]:
    """Milliseconds of the networks as if the machine had been as quick beside each as it was beside most."""
    paces = [min(timing.reference) for timing in timings]
    usual = float(np.median(paces))  # not the quickest: a processor's clock is higher now and then
    return tuple(timing.milliseconds * usual / pace for timing, pace in zip(timings, paces, strict=True))


def spread(timings: Sequence[Timing]) -> float:
    """How much longer than at its quickest the reference took, nine times of ten at most, as a share: near 0 where
    nobody else uses the machine."""
    paces = [pace for timing in timings for pace in timing.reference]
    return float(np.percentile(paces, 90)) / min(paces) - 1


def _file(spec: NetworkSpec) -> LiteRTFile:
    limited = limited_positions(spec)
    assert isinstance(limited, NetworkSpec)
    return lowered(Weights.untrained(limited), keep=False)


class _Step:
    def __init__(self, file: LiteRTFile) -> None:
        self._engine = LiteRTEngine(file, threads=THREADS)
        self._state = self._engine.init_state()
        self._frames = np.random.default_rng(0).random(file.shapes[FRAMES][0], np.float32)

    def milliseconds(self) -> float:
        """The shortest of a burst of calls."""
        shortest, count, end = math.inf, 0, time.perf_counter() + _BURST
        while count < _CALLS or time.perf_counter() < end:
            begin = _now()
            self._engine.step(self._frames, self._state)
            shortest = min(shortest, _now() - begin)
            count += 1
        return 1000 * shortest
