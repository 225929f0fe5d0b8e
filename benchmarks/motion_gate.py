"""What the motion gate costs and saves: events found and false ones, steps spared and time, by its two settings.

    python benchmarks/motion_gate.py CLIPS.csv --out joined
    python benchmarks/motion_gate.py CLIPS.csv --out joined --least 2 4 8 --hold 0 4

Two kinds of streams. The joined ones of `joined_streams.py` (written to `--out` where they are not there), in which
somebody gestures nearly all the time and stands still between, for what it costs: each frame is shown as the network
sees it, with the thresholds and memory that the weights bring. And a still scene: the first picture of each of those
videos for a minute, with noise of a camera's (5 levels a pixel), in which there is nothing to be found, for what it
saves. Milliseconds are of the processor, a frame that is already of the network's size: step, head and gate.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from joined_streams import join
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from movinet.evaluate.event_curve import StreamScores
from movinet.evaluate.event_figures import event_figures
from movinet.evaluate.labeled_streams import read_streams
from movinet.evaluate.matching import Segment
from movinet.runtime.motion_gate import MotionRule
from movinet.runtime.pool import StreamPool
from movinet.video.decode import read_frames
from movinet.weights.registry import DEFAULT_MODEL

NOISE = 5.0  # levels
STILL = 60.0  # seconds

Levels = NDArray[np.uint8]


@dataclass(frozen=True)
class Stream:
    """Frames as the network sees them, and what happens in them."""

    frames: list[Levels]
    truth: tuple[Segment, ...]


@dataclass(frozen=True)
class Row:
    """What a setting gives on one kind of streams."""

    streams: str
    gate: str
    spared: float  # share of the frames
    ms: float  # of the processor, a frame
    found: float | None  # share of the gestures
    false_an_hour: float


def answers(pool: StreamPool, stream: Stream, rule: MotionRule | None) -> tuple[StreamScores, int]:
    """What is said of every frame, and how many were spared."""
    fps, labels = pool.info.transform.fps, tuple(pool.info.labels or ())
    with pool.join(memory=pool.memory, motion=rule) as session:
        said = [session.push(frame, n / fps) for n, frame in enumerate(stream.frames)]
        shares = np.array([prediction.probabilities for prediction in said if prediction is not None])
        times = [prediction.time for prediction in said if prediction is not None]
        return StreamScores(times, shares, labels, stream.truth, len(stream.frames) / fps), session.still


def measure(pool: StreamPool, name: str, streams: Sequence[Stream], rule: MotionRule | None) -> Row:
    point = pool.info.operating_point
    assert point is not None
    began = time.process_time()
    found = [answers(pool, stream, rule) for stream in streams]
    spent = time.process_time() - began
    frames, still = sum(len(stream.frames) for stream in streams), sum(still for _, still in found)
    figures = event_figures([scores for scores, _ in found], pool.info, point)
    share = None if figures.missed is None else 1 - figures.missed.value
    gate = "off" if rule is None else f"{rule.least:g} levels, {rule.hold:g} s"
    return Row(name, gate, still / frames, 1e3 * spent / frames, share, figures.false_alarms_an_hour.value)


def joined(pool: StreamPool, folder: Path, limit: int | None) -> list[Stream]:
    transform = pool.info.transform
    listed = read_streams(folder / "streams.csv")[:limit]
    return [
        Stream([frame.levels(transform) for frame in read_frames(one.video, transform.fps)], one.segments)
        for one in listed
    ]


def still(pool: StreamPool, folder: Path, limit: int | None) -> Iterator[Stream]:
    transform, rng = pool.info.transform, np.random.default_rng(0)
    for one in read_streams(folder / "streams.csv")[:limit]:
        first = next(iter(read_frames(one.video, transform.fps))).rgb.astype(np.float32)
        noisy = (first + rng.normal(0, NOISE, first.shape) for _ in range(round(STILL * transform.fps)))
        frames = [transform.levels(np.clip(rgb, 0, 255).astype(np.uint8))[0] for rgb in noisy]
        yield Stream(frames, ())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path, help="columns file, label, scene and fold")
    parser.add_argument("--out", type=Path, required=True, help="folder of the videos and lists")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--least", type=float, nargs="+", default=[2.0, 4.0, 8.0], help="levels")
    parser.add_argument("--hold", type=float, nargs="+", default=[0.0, 2.0, 4.0], help="seconds")
    parser.add_argument("--limit", type=int, help="of the videos")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if not (options.out / "streams.csv").exists():
        join(options.clips, options.out, seed=0)
    rules = [None, *(MotionRule(least, hold) for least in options.least for hold in options.hold)]
    with StreamPool.load(options.model, max_streams=1) as pool:
        kinds = {
            "gestures": joined(pool, options.out, options.limit),
            "still": list(still(pool, options.out, options.limit)),
        }
        rows = []
        for name, streams in kinds.items():
            for rule in rules:
                rows.append(measure(pool, name, streams, rule))
                print(f"    {rows[-1]}", file=sys.stderr, flush=True)
    if options.json:
        print(json.dumps([asdict(row) for row in rows]))
        return
    table = Table("streams", "gate", "spared", "ms a frame", "found", "false an hour", box=None)
    for row in rows:
        share = "" if row.found is None else f"{row.found:.1%}"
        table.add_row(row.streams, row.gate, f"{row.spared:.1%}", f"{row.ms:.2f}", share, f"{row.false_an_hour:.1f}")
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
