"""What a stream's age does to what is recognized in it: accuracy, misses and delays by minutes since its beginning, for
several ways to forget.

    python benchmarks/stream_age.py --out FOLDER --streams 4
    python benchmarks/stream_age.py --out FOLDER --streams 4 --report --plot docs/images/stream_age.svg

Streams are synthetic, of seeds that no training sees, an hour each. Every way sees the same frames, rendered once, and
all are stepped together:

- `never`: cumulative pooling as in the paper, γ = 1;
- `1 s` and others: γ = exp(-1 / (seconds · frames a second));
- `reset 10 s`: never, and a state begun anew every so many seconds;
- `two 10 s`: two states, each begun anew every so many seconds, half of them apart; the older one answers.

Thresholds of each way are those that miss the least at `--target` false alarms an hour in the streams' first five
minutes. The run may be stopped and repeated; what is done is kept, an answer file a stream and way.
"""

import argparse
import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from stepped_together import SteppedTogether

from movinet.data.synthetic.gesture_dataset import TEST_SEEDS
from movinet.data.synthetic.gesture_streams import GestureStream
from movinet.evaluate.choose_point import choose_point
from movinet.evaluate.event_curve import StreamScores
from movinet.evaluate.event_figures import event_figures
from movinet.evaluate.frame_metrics import frame_scores
from movinet.evaluate.matching import Segment
from movinet.files import write_atomically
from movinet.weights.info import WeightsInfo
from movinet.weights.load import load_weights
from movinet.weights.operating_point import OperatingPoint
from movinet.weights.weights import Weights

MINUTES = 5  # of the spans that are told apart
EARLY = 0.6  # share of a gesture after which its label is wanted of a frame
HELD = 1.0  # seconds for which it may stay
RESAMPLES = 2000
Images = NDArray[np.float32]


@dataclass(frozen=True)
class Way:
    """How a stream forgets.

    Attributes:
        memory: seconds; infinite: never.
        states: that take turns, each begun anew every `period` seconds; the oldest answers.
        period: infinite: never begun anew.
    """

    memory: float
    states: int = 1
    period: float = math.inf


def ways(info: WeightsInfo) -> dict[str, Way]:
    """By name."""
    clip = info.spec.frames / info.spec.fps
    found = {"never": Way(math.inf)}
    found |= {f"{seconds:g} s": Way(seconds) for seconds in (1.0, 2.0, clip, 10.0, 30.0)}
    found |= {f"reset {seconds:g} s": Way(math.inf, 1, seconds) for seconds in (clip, 2 * clip)}
    return found | {f"two {2 * clip:g} s": Way(math.inf, 2, 2 * clip)}


class Answers:
    """What all ways say of some streams, frame by frame."""

    def __init__(self, weights: Weights, wanted: Sequence[Way], streams: int) -> None:
        self.wanted, self.fps = wanted, weights.info.transform.fps
        self.rows = SteppedTogether(weights, [way.memory for way in wanted for _ in range(way.states)] * streams)
        self.streams, self.states, self.seen = streams, sum(way.states for way in wanted), 0

    def see(self, images: Images) -> NDArray[np.float32]:
        """(streams, H, W, 3) to (streams, ways, classes)."""
        answering, state = [], 0
        for way in self.wanted:
            period = way.period * self.fps
            ages = []
            for n in range(way.states):
                age = self.seen if math.isinf(period) else (self.seen + round(n * period / way.states)) % round(period)
                ages.append(min(age, self.seen))
                if age == 0 and self.seen:
                    for stream in range(self.streams):
                        self.rows.reset(stream * self.states + state + n)
            answering.append(state + int(np.argmax(ages)))
            state += way.states
        said = self.rows.step(np.repeat(images, self.states, axis=0))
        self.seen += 1
        return said.reshape(self.streams, self.states, -1)[:, answering]


def answer_streams(weights: Weights, numbers: Sequence[int], seconds: float, names: Sequence[str], out: Path) -> None:
    """Answers of the ways to some streams, all stepped together."""
    transform, every = weights.info.transform, ways(weights.info)
    answers = Answers(weights, [every[name] for name in names], len(numbers))
    frames = zip(*(stream_of(n, seconds).frames(transform.size, transform.fps) for n in numbers), strict=True)
    said = np.stack([answers.see(transform.images(np.stack(pictures))) for pictures in frames], axis=2)
    for number, of_stream in zip(numbers, said, strict=True):
        for name, rows in zip(names, of_stream, strict=True):
            part = path_of(out, number, name).with_suffix(f".{os.getpid()}")
            with open(part, "wb") as file:
                np.save(file, rows)
            os.replace(part, path_of(out, number, name))


def stream_of(number: int, seconds: float) -> GestureStream:
    return GestureStream((TEST_SEEDS.start, 17, number), seconds)


def path_of(out: Path, number: int, name: str) -> Path:
    return out / f"{number:04d} {name}.npy"


def part(
    info: WeightsInfo, number: int, seconds: float, probabilities: NDArray[np.float32], span: tuple[float, float]
) -> StreamScores:
    """A span of a stream as a stream of its own; what begins in it is there."""
    first, last = span
    fps, labels = info.transform.fps, tuple(info.labels or ())
    rows = slice(round(first * fps), round(last * fps))
    times = np.arange(len(probabilities))[rows] / fps
    truth = [s for s in stream_of(number, seconds).segments(str(number)) if first <= s.start < last and s.end <= last]
    return StreamScores(times, probabilities[rows], labels, truth, last - first)


def frame_labels(
    times: NDArray[np.float64], truth: Sequence[Segment], labels: Sequence[str], background: str
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """What is wanted of every frame, and where two things are right."""
    wanted = np.full(len(times), labels.index(background))
    either = np.zeros(len(times), bool)
    for segment in truth:
        known = segment.start + EARLY * (segment.end - segment.start)
        either |= (times >= segment.start) & (times < segment.end + 2 * HELD)
        right = (times >= known) & (times < segment.end + HELD)
        wanted[right] = labels.index(segment.label)
        either &= ~right
    return wanted, either


def spans_of(seconds: float) -> list[tuple[float, float]]:
    step = min(seconds / 2, 60.0 * MINUTES)
    return [(k * step, (k + 1) * step) for k in range(int(seconds / step))]


def report(
    info: WeightsInfo, streams: int, seconds: float, target: float, out: Path
) -> dict[str, list[dict[str, float]]]:
    """Figures of every way and span; prints tables."""
    background = frozenset({info.background or "other"})
    spans, table = spans_of(seconds), {}
    for name in ways(info):
        files = [path_of(out, n, name) for n in range(streams)]
        if not all(file.exists() for file in files):
            continue
        answers = [np.load(file) for file in files]
        parts = [[part(info, n, seconds, rows, span) for n, rows in enumerate(answers)] for span in spans]
        choice = choose_point(parts[0], target, fps=info.transform.fps, background=background)
        rows = [figures(info, choice.point, some) for some in parts]
        table[name] = rows
        point = choice.point
        print(f"\n{name}: begins at {point.on:.3f}, ends below {point.off:.3f}, lasts {point.shortest:g} s")
        print("  minutes   missed  false/h   delay p50  p95   frame mAP")
        for (first, last), row in zip(spans, rows, strict=True):
            told = f"{row['p50']:+8.2f} {row['p95']:+6.2f}   {row['map']:8.3f}"
            print(f"  {first / 60:3.0f}–{last / 60:3.0f}  {row['missed']:7.1%} {row['false']:8.1f}   {told}")
        print(f"  last against first: {differences(info, choice.point, parts[0], parts[-1])}")
    return table


def figures(info: WeightsInfo, point: OperatingPoint, parts: Sequence[StreamScores]) -> dict[str, float]:
    found = event_figures(parts, info, point)
    labels = list(info.labels or ())
    background = info.background or "other"
    wanted, either = zip(*(frame_labels(np.asarray(p.times), p.truth, labels, background) for p in parts), strict=True)
    scores = frame_scores(
        np.concatenate([p.probabilities for p in parts]),
        np.concatenate(wanted),
        labels.index(background),
        np.concatenate(either),
    )
    p50, p95 = found.delay or (math.nan, math.nan)
    missed = math.nan if found.missed is None else found.missed.value
    false = found.false_alarms_an_hour.value
    return {"missed": missed, "false": false, "p50": p50, "p95": p95, "map": scores.mean_ap, "there": found.there}


def differences(
    info: WeightsInfo, point: OperatingPoint, first: Sequence[StreamScores], last: Sequence[StreamScores]
) -> str:
    """Of misses and delays, with intervals over streams: those of one stream stay together."""
    each = [[event_figures([one], info, point) for one in parts] for parts in (first, last)]

    def totals(which: int, drawn: NDArray[np.int64]) -> tuple[float, float]:
        chosen = [each[which][n] for n in drawn]
        there = sum(one.there for one in chosen)
        missed = sum(one.missed.value * one.there for one in chosen if one.missed is not None)
        delays = [one.delay[0] for one in chosen if one.delay is not None]
        return missed / max(1, there), float(np.mean(delays)) if delays else math.nan

    generator, everything = np.random.default_rng(0), np.arange(len(first))
    draws = [everything, *generator.integers(len(first), size=(RESAMPLES, len(first)))]
    pairs = np.array([np.subtract(totals(1, drawn), totals(0, drawn)) for drawn in draws])
    missed, delay = pairs[0]
    low, high = 100 * np.quantile(pairs[1:, 0], [0.025, 0.975])
    said = f"misses {100 * missed:+.1f} points (95 %: {low:+.1f} to {high:+.1f})"
    if not math.isnan(delay):  # where nothing is found there is none
        low, high = np.nanquantile(pairs[1:, 1], [0.025, 0.975])
        said += f", delay {delay:+.2f} s ({low:+.2f} to {high:+.2f})"
    return f"{said}, {len(first)} streams"


def plot(table: dict[str, list[dict[str, float]]], seconds: float, name: str, path: Path) -> None:
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    matplotlib.rcParams["svg.hashsalt"] = "movinet"
    figure, axes = pyplot.subplots(1, 3, figsize=(12, 3.6), layout="constrained")
    ages = [(first + last) / 120 for first, last in spans_of(seconds)]
    for way, rows in table.items():
        style = {"never": "-", "r": ":", "t": "--"}.get(way if way == "never" else way[0], "-")
        width = 2.5 if way == "never" else 1.3
        axes[0].plot(ages, [100 * (1 - row["missed"]) for row in rows], style, lw=width, label=way)
        axes[1].plot(ages, [row["p50"] for row in rows], style, lw=width)
        axes[2].plot(ages, [row["map"] for row in rows], style, lw=width)
    for axis, title in zip(
        axes, ("found, %", "told after the end, s (median)", "frames, mean average precision"), strict=True
    ):
        axis.set_title(title, fontsize=10)
        axis.set_xlabel("age of the stream, minutes")
        axis.grid(alpha=0.3)
    figure.legend(loc="outside right center", fontsize=8, title=name, title_fontsize=8)
    figure.savefig(path, metadata={"Date": None})


def checked(out: Path, about: dict[str, object]) -> None:
    """Answers of another network or length are not mixed with these."""
    out.mkdir(parents=True, exist_ok=True)
    note = out / "about.json"
    if note.exists() and json.loads(note.read_text()) != about:
        raise SystemExit(f"{out}: holds answers of {note.read_text()}; choose another folder")
    write_atomically(note, json.dumps(about).encode())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="movinet_t0_stream.gestures")
    parser.add_argument("--out", type=Path, required=True, help="folder of answers")
    parser.add_argument("--streams", type=int, default=4)
    parser.add_argument("--together", type=int, default=4, help="streams stepped at once")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--target", type=float, default=30.0, help="false alarms an hour")
    parser.add_argument("--ways", nargs="*", help="only these")
    parser.add_argument("--report", action="store_true", help="of what is there, without more answers")
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    weights = load_weights(options.model)
    info = replace(weights.info, background=weights.info.background or "other")
    seconds = 60.0 * options.minutes
    checked(options.out, {"model": weights.hash, "minutes": options.minutes})
    names = options.ways or list(ways(info))
    if not options.report:
        for first in range(0, options.streams, options.together):
            numbers = range(first, min(first + options.together, options.streams))
            missing = [n for n in numbers if not all(path_of(options.out, n, name).exists() for name in names)]
            if missing:
                answer_streams(weights, missing, seconds, names, options.out)
            print(f"{numbers.stop} of {options.streams} streams", flush=True)
    table = report(info, options.streams, seconds, options.target, options.out)
    if options.plot:
        plot(table, seconds, info.name, options.plot)


if __name__ == "__main__":
    main()
