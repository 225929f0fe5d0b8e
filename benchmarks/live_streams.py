"""How many live streams one core carries: A0 on LiteRT, 5 frames a second each, 99 % of the answers within 200 ms.

    python benchmarks/live_streams.py
    python benchmarks/live_streams.py --modes fast --frames 720p --batches 2 --seconds 20
    chrt --rr 1 python benchmarks/live_streams.py    # as root on Linux, where others use the machine

The pool's thread with its engine has a core to itself; what pushes the frames runs on another. Streams begin at phases
of their own and push with jitter. A frame's time runs from when it was due to its answer. Frames are float32 or 8-bit
of the network's size, so that only the engine and the pool are measured, or 720p pictures, which are scaled on the
pushing core. The most streams are found by halving; a trial counts where no frame is lost and the limit is kept.

Promises: 95 streams in float32 and 135 in the fastest mode, with prepared frames in the best batch. Exits with 1 where
one is broken. Weights are random: it makes no difference.
"""

import argparse
import json
import math
import os
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from movinet.arch.zoo import network_spec
from movinet.prediction import Prediction
from movinet.runtime.engine import Mode
from movinet.runtime.pool import StreamPool
from movinet.weights.safetensors_file import save_weights
from movinet.weights.weights import Weights

LIMIT_MS, RATE, JITTER_MS = 200.0, 5.0, 5.0
PROMISES: dict[Mode, int] = {"float32": 95, "fast": 135}
SIZES = {"float32": None, "uint8": None, "720p": (720, 1280)}
Image = NDArray[np.uint8] | NDArray[np.float32]


@dataclass(frozen=True)
class Trial:
    """What became of some streams."""

    mode: str
    engine: str  # what the mode came to
    frames: str
    batch: int
    streams: int
    p50: float  # ms
    p99: float
    lost: int
    fill: float  # of the rows stepped, the share that held a frame
    busy: float  # share of the core's time that the pool's thread took

    @property
    def cost(self) -> float:
        """Milliseconds of processor time a frame."""
        return 1e3 * self.busy / (RATE * self.streams)

    @property
    def is_kept(self) -> bool:
        return self.lost == 0 and self.p99 < LIMIT_MS


def pictures(kind: str, size: tuple[int, int], count: int = 8) -> list[Image]:
    random = np.random.default_rng(0)
    if kind == "float32":
        return [random.random((*size, 3), np.float32) for _ in range(count)]
    shape = (*(SIZES[kind] or size), 3)
    return [random.integers(0, 256, shape, np.uint8) for _ in range(count)]


def thread_seconds(thread: threading.Thread) -> float:
    """Processor time of a thread of this process."""
    fields = Path(f"/proc/self/task/{thread.native_id}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def trial(source: Path, mode: Mode, kind: str, batch: int, streams: int, seconds: float, cores: Sequence[int]) -> Trial:
    """Streams that push at their rate, whatever comes of it."""
    generator = np.random.default_rng(streams)
    period, ramp = 1.0 / RATE, seconds / 3  # within which they begin
    begins = ramp * np.arange(streams) / streams + period * generator.random(streams)
    due = [(begin + k * period, n) for n, begin in enumerate(begins) for k in range(int((seconds - begin) / period))]
    events = sorted((when + abs(generator.normal(0, JITTER_MS / 1e3)), n) for when, n in due)
    waits: list[float] = []

    def note(due: float, answer: Future[Prediction]) -> None:
        waits.append(math.inf if answer.cancelled() else time.perf_counter() - due)

    os.sched_setaffinity(0, {cores[0]})  # of this thread, and of those it starts
    with StreamPool.load(source, max_streams=streams, batch=batch, precision=mode, threads=1, max_wait=0.04) as pool:
        os.sched_setaffinity(0, {cores[1]})
        frames = pictures(kind, pool.info.transform.size)
        joined = [pool.join() for _ in range(streams)]
        begin, settled = time.perf_counter(), 0.0
        spent = thread_seconds(pool._thread)
        for when, n in events:
            if (pause := begin + when - time.perf_counter()) > 0:
                time.sleep(pause)
            if when > seconds / 2 and not settled:  # all are there, and have found their places
                settled, spent = time.perf_counter(), thread_seconds(pool._thread)
            answer = joined[n].submit(frames[n % len(frames)])
            assert answer is not None
            if settled:
                answer.add_done_callback(partial(note, begin + when))
        busy = (thread_seconds(pool._thread) - spent) / (time.perf_counter() - settled)
        time.sleep(0.5)
        fill, engine = pool.statistics().fill, pool.engine
    lost = sum(map(math.isinf, waits))
    p50, p99 = (float(p) for p in 1e3 * np.percentile(waits, [50, 99], method="higher"))
    what = f"{engine.kind} {engine.precision}"
    return Trial(mode, what, kind, batch, streams, p50, p99, lost, fill, busy)


def most(source: Path, mode: Mode, kind: str, batch: int, options: argparse.Namespace) -> Trial | None:
    """The most streams that keep the limit, to within one in thirty."""
    few, many, best = 0, options.most, None
    while many - few > max(1, many // 30):
        found = trial(source, mode, kind, batch, (few + many) // 2, options.seconds, options.cores)
        print(f"    {found}", file=sys.stderr, flush=True)
        if found.is_kept:
            few, best = found.streams, found
        else:
            many = found.streams
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--modes", default=",".join(PROMISES))
    parser.add_argument("--frames", default=",".join(SIZES))
    parser.add_argument("--batches", default="1,4,8", help="streams that share a step")
    parser.add_argument("--streams", default="", help="so many instead of the most, and what they cost: 3,8,16")
    parser.add_argument("--most", type=int, default=240, help="streams, where the search begins")
    parser.add_argument("--seconds", type=float, default=12.0, help="of every trial; the second half counts")
    parser.add_argument("--cores", type=int, nargs=2, default=sorted(os.sched_getaffinity(0))[:2])
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    options = parser.parse_args()
    if len(options.cores) < 2:
        sys.exit("two cores are needed: one for the pool, one for what pushes the frames")
    found: list[Trial] = []
    with tempfile.TemporaryDirectory() as folder:
        weights, source = Weights.untrained(network_spec("movinet_a0_stream")), Path(folder) / "a0.safetensors"
        save_weights(source, weights.arrays, weights.info)
        for mode in cast(list[Mode], options.modes.split(",")):
            for kind in options.frames.split(","):
                for batch in map(int, options.batches.split(",")):
                    if options.streams:
                        for count in map(int, options.streams.split(",")):
                            one = trial(source, mode, kind, batch, count, options.seconds, options.cores)
                            print(f"{one.cost:.2f} ms a frame: {one}", flush=True)
                        continue
                    best = most(source, mode, kind, batch, options)
                    if best is not None:
                        found.append(best)
                    if not options.json:
                        streams = "no streams" if best is None else f"{best.streams} streams a core"
                        print(f"{mode}, {kind} frames, batches of {batch}: {streams}  {best or ''}", flush=True)
    if options.streams:
        return
    if options.json:
        print(json.dumps([asdict(one) for one in found], indent=2))
    broken = [text for mode, least in PROMISES.items() if (text := shortfall(mode, least, found, options))]
    if broken:
        sys.exit("\n".join(broken))


def shortfall(mode: Mode, least: int, found: Sequence[Trial], options: argparse.Namespace) -> str:
    """What is missing of a promise; nothing where it is kept, or was not measured."""
    measured = [kind for kind in options.frames.split(",") if SIZES[kind] is None]
    if mode not in options.modes.split(",") or not measured:
        return ""
    reached = max((one.streams for one in found if one.mode == mode and SIZES[one.frames] is None), default=0)
    return "" if reached >= least else f"{mode}: {reached} streams a core, {least} were promised"


if __name__ == "__main__":
    main()
