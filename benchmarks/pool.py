"""Many live streams on one core: frames a second through the pool and by one process each, and how many live ones fit.

    python benchmarks/pool.py
    python benchmarks/pool.py --models a0 --precision bfloat16 --batches 8 --what live

Throughput: streams of different age push their next frame as soon as they have an answer; beside it, as many processes
that step a stream each, on the same core. Live: streams push `--rate` frames a second each, at phases of their own,
with jitter; the most for which no frame is lost and 99 % of the answers come within `--limit` ms, once all have joined.
All of it, cameras, resizing and engine, is held to one core. Networks have fresh weights: it makes no difference.
Seating: what the pool's own work costs a frame, with an engine that costs nothing and a thousand streams.
"""

import argparse
import json
import math
import multiprocessing
import os
import queue
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, cast, get_args

import numpy as np
import torch
from interleave import interleaved
from numpy.typing import NDArray

from movinet import MoViNet, create_model
from movinet.arch.step import StepSignature, TensorSpec
from movinet.prediction import Prediction
from movinet.runtime.engine import Engine, Frames, Logits, Precision, StreamState
from movinet.runtime.factory import EngineKind, create_engine
from movinet.runtime.pool import StreamPool
from movinet.runtime.queued_frame import QueuedFrame
from movinet.runtime.scheduler import Scheduler
from movinet.weights.info import WeightsInfo, default_transform
from movinet.weights.weights import Weights

Image = NDArray[np.uint8] | NDArray[np.float32]


@dataclass(frozen=True)
class Setup:
    """What runs where."""

    model: str
    engine: EngineKind
    precision: Precision
    core: int | None

    def network(self) -> MoViNet:
        torch.set_num_threads(1)
        if self.core is not None:
            os.sched_setaffinity(0, {self.core})
        torch.manual_seed(0)
        model = create_model(f"movinet_{self.model}_stream")
        assert isinstance(model, MoViNet)
        return model.eval()

    def create(self, streams: int) -> tuple[Weights, Engine[Any]]:
        model = self.network()
        weights = Weights.of(model, WeightsInfo(model.spec.name, model.spec, default_transform(model.spec)))
        return weights, create_engine(weights, self.engine, streams=streams, precision=self.precision, threads=1)


def prepared_frames(info: WeightsInfo, count: int = 8) -> list[NDArray[np.float32]]:
    generator = np.random.default_rng(0)
    return [generator.random((*info.transform.size, 3), dtype=np.float32) for _ in range(count)]


def camera_frames(height: int, width: int, count: int = 8) -> list[NDArray[np.uint8]]:
    generator = np.random.default_rng(0)
    return [generator.integers(0, 256, (height, width, 3), dtype=np.uint8) for _ in range(count)]


def pooled(setup: Setup, streams: int, batch: int, seconds: float) -> float:
    """Frames a second of streams that push whenever they have an answer."""
    weights, engine = setup.create(min(batch, streams))
    frames, ready = prepared_frames(weights.info), queue.SimpleQueue[int]()
    with StreamPool(weights, engine, max_streams=streams) as pool:
        joined = [pool.join() for _ in range(streams)]

        def push(n: int) -> Future[Prediction]:
            answer = joined[n].submit(frames[n % len(frames)])
            assert answer is not None
            answer.add_done_callback(lambda _: ready.put(n))
            return answer

        for n in range(streams):
            for _ in range(1 + n % 5):  # of different age
                push(n).result()
                ready.get()
        for n in range(streams):
            ready.put(n)
        begin, seen = time.perf_counter(), pool.statistics().frames
        while (now := time.perf_counter()) < begin + seconds:
            push(ready.get())
        return (pool.statistics().frames - seen) / (now - begin)


def a_process_each(setup: Setup, streams: int, seconds: float) -> float:
    """Frames a second of as many processes as streams, on the same core."""
    context = multiprocessing.get_context("spawn")
    start, counts = context.Barrier(streams), context.Array("q", streams)
    processes = [
        context.Process(target=step_alone, args=(setup, seconds, start, counts, n), daemon=True) for n in range(streams)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    return float(sum(counts[:])) / seconds


def step_alone(setup: Setup, seconds: float, start: Any, counts: Any, n: int) -> None:
    weights, engine = setup.create(1)
    frames = [frame[None] for frame in prepared_frames(weights.info)]
    state = engine.init_state()
    for frame in frames:
        engine.step(frame, state)
    start.wait()
    end, done = time.perf_counter() + seconds, 0
    while time.perf_counter() < end:
        engine.step(frames[done % len(frames)], state)
        done += 1
    counts[n] = done


@dataclass(frozen=True)
class Live:
    """What became of live streams."""

    streams: int
    p50: float  # ms from when the camera had the frame to the answer
    p95: float
    p99: float
    dropped: int
    fill: float  # of the rows stepped, the share that held a frame


def live(weights: Weights, engine: Engine[Any], streams: int, options: argparse.Namespace) -> Live:
    """Streams that push at a fixed rate, whatever comes of it."""
    generator = np.random.default_rng(streams)
    frames: Sequence[Image] = camera_frames(*options.camera) if options.camera else prepared_frames(weights.info)
    period, ramp = 1.0 / options.rate, options.seconds / 3  # within which they join
    begins = ramp * np.arange(streams) / streams + period * generator.random(streams)
    due = [
        (begin + k * period, n)
        for n, begin in enumerate(begins)
        for k in range(int((options.seconds - begin) / period))
    ]
    events = sorted((time + abs(generator.normal(0, options.jitter / 1e3)), n) for time, n in due)
    waits: list[float] = []

    def note(due: float, answer: Future[Prediction]) -> None:
        waits.append(math.inf if answer.cancelled() else time.perf_counter() - due)

    with StreamPool(weights, engine, max_streams=streams, max_wait=options.max_wait / 1e3) as pool:
        joined = [pool.join() for _ in range(streams)]
        begin = time.perf_counter()
        for when, n in events:
            if (pause := begin + when - time.perf_counter()) > 0:
                time.sleep(pause)
            answer = joined[n].submit(frames[n % len(frames)])
            assert answer is not None
            if when > options.seconds / 2:  # all are there, and have found their places
                answer.add_done_callback(partial(note, begin + when))
        time.sleep(0.5)
        figures = pool.statistics()
    lost = sum(map(math.isinf, waits))
    p50, p95, p99 = (float(p) for p in 1e3 * np.percentile(waits, [50, 95, 99], method="higher"))
    return Live(streams, p50, p95, p99, lost, figures.fill)


def most_live(setup: Setup, batch: int, options: argparse.Namespace) -> Live | None:
    """The most streams that keep within the limit, to within one in twenty."""
    weights, engine = setup.create(batch)
    state, frames = engine.init_state(), np.stack([prepared_frames(weights.info)[0]] * batch)
    timing = interleaved({"step": lambda: engine.step(frames, state)}, 3, 10, 3)["step"]
    few, many, best = 0, round(1.4 * batch / timing.median / options.rate), None
    while many - few > max(1, many // 20):
        trial = live(weights, engine, (few + many) // 2, options)
        print(f"    {trial}", file=sys.stderr, flush=True)
        if trial.dropped == 0 and trial.p99 < options.limit:
            few, best = trial.streams, trial
        else:
            many = trial.streams
    return best


class Nothing:
    """An engine that costs nothing."""

    kind, precision = "nothing", "float32"
    signature = StepSignature(
        (TensorSpec("frames", (3, 8, 8)), TensorSpec("past", (4,))), (TensorSpec("logits", (4,)),), {}
    )

    def __init__(self, streams: int) -> None:
        self.streams = streams
        self.logits = np.zeros((streams, 4), np.float32)

    def init_state(self) -> list[StreamState]:
        return [[np.zeros(4, np.float32)] for _ in range(self.streams)]

    def step(self, frames: Frames, state: list[StreamState], predict: bool = True) -> Logits:
        return self.logits

    def get_state(self, state: list[StreamState], row: int) -> StreamState:
        return state[row]

    def set_states(self, state: list[StreamState], streams: Mapping[int, StreamState]) -> None:
        for row, stream in streams.items():
            state[row] = stream


def seating(streams: int, batch: int, rate: float, seconds: float = 4.0) -> tuple[float, float]:
    """Microseconds of processor time a frame of scheduling alone, and the longest call in ms: phases of their own, some
    jitter, and a round asked for after every push."""
    generator, engine = np.random.default_rng(0), cast(Engine[Any], Nothing(batch))
    scheduler = Scheduler(engine, max_streams=streams, queue=2, max_wait=0.04)
    slots, image = [scheduler.join({}) for _ in range(streams)], np.zeros((8, 8, 3), np.uint8)
    due = [(n, (generator.random() + k) / rate) for n in range(streams) for k in range(int(seconds * rate))]
    arrivals = sorted((when + abs(generator.normal(0, 0.005)), n) for n, when in due)
    longest, frames, begin = 0.0, 0, time.process_time()
    for now, n in arrivals:
        called = time.process_time()
        scheduler.push(slots[n], QueuedFrame(image, now))
        while (work := scheduler.next_round(now)) is not None:
            scheduler.run(work)
            scheduler.finish(work)
            frames += len(work.shown)
        longest = max(longest, time.process_time() - called)
    return 1e6 * (time.process_time() - begin) / frames, 1e3 * longest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default="a0,a1,a2")
    parser.add_argument("--engine", default="auto", choices=get_args(EngineKind))
    parser.add_argument("--precision", default="float32", choices=get_args(Precision))
    parser.add_argument("--batches", default="1,4,8", help="streams that share a step")
    parser.add_argument("--what", default="throughput,live,seating")
    parser.add_argument("--streams", default="1,4,16,64", help="for the throughput")
    parser.add_argument("--processes", type=int, default=16, help="at most, as each holds a network of its own")
    parser.add_argument("--rate", type=float, default=5.0, help="frames a second of a live stream")
    parser.add_argument("--jitter", type=float, default=5.0, help="ms by which live frames come late, at random")
    parser.add_argument("--max-wait", type=float, default=40.0, help="ms a frame waits for company")
    parser.add_argument("--limit", type=float, default=200.0, help="ms for 99 %% of the answers")
    parser.add_argument("--camera", type=int, nargs=2, metavar=("HEIGHT", "WIDTH"), help="frames to be resized")
    parser.add_argument("--seconds", type=float, default=12.0, help="of every trial")
    parser.add_argument("--core", type=int, default=0, help="-1 for all of them")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []

    def tell(text: str, row: dict[str, Any]) -> None:
        rows.append(row)
        if not options.json:
            print(text, flush=True)

    if "seating" in options.what:
        for batch in map(int, options.batches.split(",")):
            cost, longest = seating(1000, batch, options.rate)
            title = (
                f"1000 streams, batch {batch}: {cost:.1f} µs a frame for scheduling, at most {longest:.2f} ms at once"
            )
            tell(title, {"what": "seating", "streams": 1000, "batch": batch, "us": cost, "longest_ms": longest})
    for model in options.models.split(",") if options.what != "seating" else ():
        core = None if options.core < 0 else options.core
        setup = Setup(model, options.engine, options.precision, core)
        kind = setup.create(1)[1].kind
        what = {"model": model, "engine": kind, "precision": options.precision}
        title = f"{model} {kind} {options.precision}"
        if "throughput" in options.what:
            for streams in map(int, options.streams.split(",")):
                row: dict[str, Any] = {**what, "streams": streams}
                for batch in map(int, options.batches.split(",")):
                    row[f"pool_{batch}"] = pooled(setup, streams, batch, options.seconds)
                if streams <= options.processes:
                    row["processes"] = a_process_each(setup, streams, options.seconds)
                cells = "  ".join(f"{key} {value:6.1f}" for key, value in row.items() if isinstance(value, float))
                tell(f"{title}: {streams:3} streams, frames/s: {cells}", row)
        if "live" in options.what:
            for batch in map(int, options.batches.split(",")):
                best = most_live(setup, batch, options)
                text = "none" if best is None else f"{best.streams} live streams, {best}"
                tell(f"{title}, batch {batch}: {text}", {**what, "batch": batch, **(asdict(best) if best else {})})
    if options.json:
        print(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
