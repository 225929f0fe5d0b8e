"""What the engine's precision does to events: those of the quickest mode beside float32's, by the same thresholds.

    python benchmarks/event_precision.py
    python benchmarks/event_precision.py --model mine.safetensors --streams 12 --minutes 10 --precision int8 float16

Streams are synthetic, of seeds that no training sees, and both see the same frames. Thresholds are those the weights
bring, or, where they bring none, those that keep to `--target` false alarms an hour in float32. Fails if misses differ
by more than a point, or false alarms by more than the interval of float32's.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from movinet import Recognizer
from movinet.data.synthetic.gesture_dataset import TEST_SEEDS
from movinet.data.synthetic.gesture_streams import GestureStream
from movinet.evaluate.choose_point import choose_point
from movinet.evaluate.event_curve import StreamScores
from movinet.evaluate.event_figures import EventFigures, event_figures
from movinet.events import EventDetector
from movinet.prediction import Prediction
from movinet.runtime.engine import live_memory
from movinet.weights.operating_point import OperatingPoint

NEAR = 0.4  # seconds by which the same event may begin apart
MOST_MISSED = 0.01  # by which misses may differ


def answers(recognizers: Sequence[Recognizer], number: int, seconds: float) -> list[StreamScores]:
    """What each says of a stream."""
    info = recognizers[0].info
    transform, labels = info.transform, tuple(info.labels or ())
    stream = GestureStream((TEST_SEEDS.start, 6, number), seconds)
    sessions = [recognizer.session() for recognizer in recognizers]
    rows: list[list[Prediction]] = [[] for _ in sessions]
    for n, rgb in enumerate(stream.frames(transform.size, transform.fps)):
        image = transform.images(rgb)[0]
        for session, found in zip(sessions, rows, strict=True):
            prediction = session.push(image, n / transform.fps)
            assert prediction is not None
            found.append(prediction)
    truth = stream.segments(str(number))
    return [
        StreamScores([p.time for p in found], np.array([p.probabilities for p in found]), labels, truth, seconds)
        for found in rows
    ]


def events(recognizer: Recognizer, stream: StreamScores, point: OperatingPoint) -> list[tuple[str, float]]:
    """(label, start) of every event."""
    detector, found = EventDetector.at(point), []
    for n, row in enumerate(np.asarray(stream.probabilities, np.float32)):
        detector.push(Prediction(float(np.asarray(stream.times)[n]), n + 1, row, recognizer.info))
        found += [(event.label, event.start) for event in detector.begun]
    return found


def alike(one: list[tuple[str, float]], other: list[tuple[str, float]]) -> int:
    """How many of one's events the other has, too."""
    left, count = list(other), 0
    for label, start in one:
        same = next((e for e in left if e[0] == label and abs(e[1] - start) <= NEAR), None)
        if same is not None:
            left.remove(same)
            count += 1
    return count


def line(name: str, figures: EventFigures, agreement: str) -> str:
    missed = figures.missed.value if figures.missed else float("nan")
    p50, p95 = figures.delay or (float("nan"),) * 2
    return f"{name:24} {missed:7.1%} {figures.false_alarms_an_hour.value:9.1f} {p50:+8.2f} {p95:+7.2f}   {agreement}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="movinet_t0_stream.gestures")
    parser.add_argument("--precision", nargs="*", default=["fast"], help="beside float32")
    parser.add_argument("--streams", type=int, default=6)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--target", type=float, default=30.0, help="false alarms an hour, without an operating point")
    options = parser.parse_args()
    recognizers = [Recognizer.load(options.model, precision=p, threads=1) for p in ("float32", *options.precision)]
    for recognizer in recognizers:
        recognizer.memory = live_memory(recognizer.engine, recognizer.info)
    streams = [answers(recognizers, n, 60 * options.minutes) for n in range(options.streams)]
    full, info = [one[0] for one in streams], recognizers[0].info
    point = info.operating_point
    if point is None:
        background = frozenset({info.background or "other"})
        point = choose_point(full, options.target, fps=info.transform.fps, background=background).point
        point = replace(point, memory=recognizers[0].memory)
    expected = event_figures(full, info, point)
    print(f"{info.name}: {expected.hours:.2f} hours, {expected.there} gestures, begins at {point.on:.3f}")
    print("mode                      missed   false/h   delay     p95   of float32's events")
    print(line("float32", expected, ""))
    broken = []
    for k, recognizer in enumerate(recognizers[1:], start=1):
        mine = [one[k] for one in streams]
        figures = event_figures(mine, info, point)
        pairs = [(events(recognizer, a, point), events(recognizer, b, point)) for a, b in zip(full, mine, strict=True)]
        total, same = sum(len(a) for a, _ in pairs), sum(alike(a, b) for a, b in pairs)
        name = f"{recognizer.engine.kind} {recognizer.engine.precision}"
        print(line(name, figures, f"{same} of {total}, {sum(len(b) for _, b in pairs) - same} others"))
        interval = expected.false_alarms_an_hour
        apart = abs((figures.missed or interval).value - (expected.missed or interval).value)
        if not interval.low <= figures.false_alarms_an_hour.value <= interval.high or apart > MOST_MISSED:
            broken.append(name)
    if broken:
        sys.exit(f"another operating point: {', '.join(broken)}")


if __name__ == "__main__":
    main()
