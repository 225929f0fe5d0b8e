"""Ten minutes of a pool whose streams join, leave, stall, hurry and send odd frames: no wrong answer, flat memory.

    python benchmarks/pool_soak.py
    python benchmarks/pool_soak.py --source movinet_a0_stream --engine torch --minutes 60 --batch 8

Every stream pushes from a thread of its own and behaves as chance will have it. Every answer is compared with that of
an engine which is shown the frames that the pool took, and nothing else. Fails on a wrong answer, on one that never
comes, and if memory grows by over 5 % after the second minute.
"""

import argparse
import random
import sys
import threading
import time
import traceback
from collections import Counter, defaultdict
from concurrent.futures import Future
from typing import Any, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from stream_memory import TOLERANCE, resident_mb

from movinet import MovinetError, create_model, list_models, load_weights
from movinet.arch.step import decays
from movinet.prediction import Prediction
from movinet.runtime.engine import Engine, Precision
from movinet.runtime.factory import EngineKind, create_engine
from movinet.runtime.pool import StreamPool
from movinet.runtime.session import Session
from movinet.weights.info import WeightsInfo
from movinet.weights.weights import Weights

SOON = 60.0  # seconds within which an answer must come
WRONG = {"float32": 1e-4}  # difference in probability from the stream alone
ROUGHLY = 0.1  # the same in other precisions, which round otherwise in batches
PICTURES: list[NDArray[np.uint8]] = list(np.random.default_rng(0).integers(0, 256, (40, 48, 64, 3), dtype=np.uint8))
ODD: list[Any] = [
    np.zeros((48, 64), np.uint8),
    np.zeros((48, 64, 4), np.uint8),
    np.zeros((0, 64, 3), np.uint8),
    np.zeros((48, 64, 3), np.float64),
    np.full((48, 64, 3), np.nan, np.float32),
]
Pushed = tuple[int, Future[Prediction]]  # the picture, and its answer


class Referee:
    """Runs streams alone, one after the other, on an engine of its own."""

    def __init__(self, engine: Engine[Any], info: WeightsInfo) -> None:
        self.engine, self.info, self.lock = engine, info, threading.Lock()
        self.state = engine.init_state()
        self.initial_state = engine.get_state(self.state, 0)
        self.images = [info.transform.images(picture) for picture in PICTURES]
        self.worst, self.compared = 0.0, 0

    def judge(self, pushed: list[Pushed], memory: float | None) -> None:
        """Compare the answers to a stream's frames since its beginning; dropped ones it never saw."""
        forget = {} if memory is None else decays(self.info.spec, memory)
        ports = self.engine.signature.state
        fresh = [
            np.full_like(a, forget[p.name]) if p.name in forget else a
            for p, a in zip(ports, self.initial_state, strict=True)
        ]
        answers = [(picture, answer.result(SOON)) for picture, answer in pushed if not answer.cancelled()]
        with self.lock:
            self.engine.set_states(self.state, {0: fresh})
            for seen, (picture, answer) in enumerate(answers, start=1):
                logits = self.engine.step(self.images[picture], self.state)
                assert logits is not None
                alone = Prediction.of_logits(logits[0], answer.time, seen, self.info)
                difference = float(np.abs(alone.probabilities - answer.probabilities).max())
                self.worst, self.compared = max(self.worst, difference), self.compared + 1
                if answer.frames != seen or difference > WRONG.get(self.engine.precision, ROUGHLY):
                    raise AssertionError(
                        f"frame {seen} of {len(answers)}: {answer} alone is {alone}, off by {difference}"
                    )


class Crowd:
    """Threads that live through one stream after the other."""

    def __init__(self, pool: StreamPool, referee: Referee, threads: int) -> None:
        self.pool, self.referee = pool, referee
        self.counts: Counter[str] = Counter()
        self.failure: str | None = None
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self.live, args=(n,)) for n in range(threads)]
        for thread in self.threads:
            thread.start()

    def live(self, seed: int) -> None:
        chance = random.Random(seed)
        try:
            while not self.over.is_set():
                memory = chance.choice([None, 1.0, 5.0])
                try:
                    stream = self.pool.join(memory=memory)
                except MovinetError:
                    self.counts["turned away"] += 1
                    self.over.wait(chance.random())
                    continue
                with stream:
                    lives = self.push_some(stream, chance)
                for pushed in lives:
                    self.referee.judge(pushed, memory)
        except BaseException:
            self.failure = traceback.format_exc()
            self.over.set()

    def push_some(self, stream: Session, chance: random.Random) -> list[list[Pushed]]:
        """The frames pushed, a list for every new beginning."""
        self.counts["joined"] += 1
        lives: dict[int, list[Pushed]] = defaultdict(list)
        now, beginning, pace = 0.0, 0, chance.choice([0.0, 0.02, 0.2])
        answer = None
        for _ in range(chance.randrange(60)):
            event = chance.random()
            if event < 0.05:
                try:
                    stream.push(chance.choice(ODD))
                except ValueError:
                    self.counts["odd frames refused"] += 1
                else:
                    raise AssertionError("an odd frame was taken")
            elif event < 0.07:
                self.counts["stalls"] += 1
                self.over.wait(3 * chance.random())
            elif event < 0.09:
                self.counts["gaps"] += 1
                now, beginning = now + 60, beginning + 1
            elif event < 0.11:
                self.counts["resets"] += 1
                stream.reset()
                beginning += 1
            picture, now = chance.randrange(len(PICTURES)), now + 1.0 / self.referee.info.transform.fps
            answer = stream.submit(PICTURES[picture], now)
            assert answer is not None
            lives[beginning].append((picture, answer))
            if pace == 0.0 and chance.random() < 0.7:
                answer.exception(SOON)
            else:
                self.over.wait(pace)
        if answer is not None and chance.random() < 0.8:
            answer.exception(SOON)
        else:
            self.counts["left in a hurry"] += 1
        self.counts["dropped"] += stream.dropped
        return list(lives.values())


def load(source: str) -> Weights:
    if source not in list_models():
        return load_weights(source).with_position_limits()
    return Weights.of(create_model(source))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", default="movinet_t0_stream.gestures", help="network or weights")
    parser.add_argument("--engine", default="auto", choices=get_args(EngineKind))
    parser.add_argument("--precision", default="float32", choices=get_args(Precision))
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--streams", type=int, default=20, help="places in the pool; a quarter more want one")
    parser.add_argument("--minutes", type=float, default=10.0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    loaded = load(options.source)

    def engine(streams: int) -> Engine[Any]:
        size = loaded.info.transform.size
        return create_engine(loaded, options.engine, size=size, streams=streams, precision=options.precision, threads=1)

    sizes: list[float] = []
    referee = Referee(engine(1), loaded.info)
    with StreamPool(loaded, engine(options.batch), max_streams=options.streams) as pool:
        crowd = Crowd(pool, referee, options.streams * 5 // 4)
        begin = time.monotonic()
        try:
            for minute in range(1, 1 + max(1, round(options.minutes))):
                if crowd.over.wait(max(0.0, begin + 60 * min(minute, options.minutes) - time.monotonic())):
                    break
                sizes.append(resident_mb())
                print(f"minute {minute}: {sizes[-1]:.1f} MB, {pool.statistics()}", flush=True)
        finally:
            crowd.over.set()
            for thread in crowd.threads:
                thread.join()
    print(", ".join(f"{count} {what}" for what, count in sorted(crowd.counts.items())))
    print(f"{referee.compared} answers compared, the furthest {referee.worst:.1e} from the stream alone")
    if crowd.failure is not None:
        sys.exit(crowd.failure)
    settled = sizes[1:] or sizes
    growth = max(settled) / settled[0] - 1
    print(f"memory: at most {100 * growth:+.2f} % after the second minute")
    if growth > TOLERANCE:
        sys.exit(f"memory grew by over {100 * TOLERANCE:.0f} %")


if __name__ == "__main__":
    main()
