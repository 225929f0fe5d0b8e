"""Synthetic streams that no network was trained on: false alarms in hours without a gesture, and what else is missed.

    python benchmarks/gesture_streams.py --out runs/streams --quiet 6 --hours 3 --model movinet_t0_stream.gestures

Streams of ten minutes are rendered and go through the network frame by frame, several at once, at its own size and
rate; the answers are kept in --out, so that an interrupted run goes on and more hours add to it. The thresholds are
those of --on, or of the operating point in the weights; the curve over all thresholds is printed too. With no false
alarm in T hours, 95 % say that there are fewer than 3 / T an hour. Intervals are over the streams.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from stepped_together import SteppedTogether, loaded

from movinet.data.synthetic.gesture_streams import GestureStream
from movinet.evaluate.event_curve import StreamScores, event_curve
from movinet.evaluate.event_figures import EventFigures, event_figures
from movinet.weights.operating_point import OperatingPoint
from movinet.weights.weights import Weights

SECONDS = 600.0
SEEDS = {"quiet": 7_100_000, "gestures": 7_200_000}  # far from those of training and validation
GESTURES = 0.42  # share of what hands do
RATES = (0.5, 1, 2, 5, 10, 20, 50)
BACKGROUND = frozenset({"other"})
TOGETHER = 6  # streams stepped at once


def streams(kind: str, hours: float) -> Iterator[tuple[str, GestureStream]]:
    share = 0.0 if kind == "quiet" else GESTURES
    for n in range(round(hours * 3600 / SECONDS)):
        yield f"{kind}_{n:04d}", GestureStream((SEEDS[kind], n), SECONDS, share)


def answers(weights: Weights, memory: float, folder: Path, kind: str, hours: float) -> list[StreamScores]:
    """What the network says of every frame, from the folder where it is there."""
    fps = weights.info.transform.fps
    missing = [(name, stream) for name, stream in streams(kind, hours) if not (folder / f"{name}.npy").exists()]
    for first in range(0, len(missing), TOGETHER):
        some = missing[first : first + TOGETHER]
        for name, said in zip((name for name, _ in some), _said(weights, memory, [s for _, s in some]), strict=True):
            np.save(folder / f"{name}.npy", said)
    found = []
    for name, stream in streams(kind, hours):
        probabilities = np.load(folder / f"{name}.npy").astype(float)
        times = np.arange(len(probabilities)) / fps
        found.append(StreamScores(times, probabilities, weights.info.labels or (), stream.segments(name), SECONDS))
    return found


def _said(weights: Weights, memory: float, some: Sequence[GestureStream]) -> NDArray[np.float16]:
    """(streams, frames, classes) probabilities."""
    rows, transform = SteppedTogether(weights, [memory] * len(some)), weights.info.transform
    frames = zip(*(stream.frames(transform.size, transform.fps) for stream in some), strict=True)
    said = [rows.step(transform.images(np.stack(pictures))).astype(np.float16) for pictures in frames]
    return np.stack(said, axis=1)


def measure(args: argparse.Namespace, given: str) -> dict[str, Any]:
    weights, memory = loaded(given)
    folder = args.out / given.replace("/", "_").replace(":", "_")
    folder.mkdir(parents=True, exist_ok=True)
    loud = answers(weights, memory, folder, "gestures", args.hours)
    quiet = answers(weights, memory, folder, "quiet", args.quiet)
    info = weights.info
    point = info.operating_point
    if args.on is not None or point is None:
        on = 0.5 if args.on is None else args.on
        point = OperatingPoint(on, 0.6 * on if args.off is None else args.off, ignore=tuple(BACKGROUND))
    curve = event_curve(loud + quiet, background=BACKGROUND)
    alone = event_curve(quiet, background=BACKGROUND)
    return {
        "model": given,
        "on": point.on,
        "off": point.off,
        "quiet": event_figures(quiet, info, point),
        "gestures": event_figures(loud, info, point),
        "curve": {
            rate: [curve.at(curve.lowest_on(rate))[1], curve.at(alone.lowest_on(rate))[1], alone.lowest_on(rate)]
            for rate in RATES
        },
    }


def show(found: dict[str, Any], console: Console) -> None:
    quiet: EventFigures = found["quiet"]
    loud: EventFigures = found["gestures"]
    alarms, between, missed = quiet.false_alarms_an_hour, loud.false_alarms_an_hour, loud.missed
    assert missed is not None
    console.print(f"{found['model']}: begins at {found['on']:.3f}, ends below {found['off']:.3f}")
    console.print(
        f"  {quiet.hours:.1f} h without a gesture: {round(alarms.value * quiet.hours)} false alarms, "
        f"{alarms.value:.2f} an hour ({alarms.low:.2f} to {alarms.high:.2f})"
    )
    console.print(
        f"  {loud.hours:.1f} h with {loud.there} gestures: {missed.value:.1%} missed ({missed.low:.1%} to "
        f"{missed.high:.1%}), {between.value:.1f} false alarms an hour ({between.low:.1f} to {between.high:.1f})"
    )
    if loud.delay is not None:
        console.print(f"  delay from the end: {loud.delay[0]:+.2f} s, 95th percentile {loud.delay[1]:+.2f} s")
    table = Table(
        "false alarms an hour", "missed, if in all streams", "missed, if in quiet ones", "begins at", box=None
    )
    for rate, (everywhere, only, on) in found["curve"].items():
        table.add_row(f"{rate:g}", f"{everywhere:.1%}", f"{only:.1%}", f"{on:.3f}")
    console.print(table)
    table = Table("label", "there", "found", "false among gestures", "false in quiet ones", box=None)
    for label, figures in loud.by_label.items():
        other = quiet.by_label.get(label)
        table.add_row(
            label,
            str(figures.there),
            str(figures.found),
            str(figures.false_alarms),
            str(other.false_alarms if other else 0),
        )
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder that keeps the answers")
    parser.add_argument("--model", action="append", required=True, help="NAME or FILE, with :SECONDS for a memory")
    parser.add_argument("--quiet", type=float, default=1.0, help="hours without gestures")
    parser.add_argument("--hours", type=float, default=1.0, help="hours with gestures")
    parser.add_argument("--on", type=float)
    parser.add_argument("--off", type=float)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    found = [measure(args, given) for given in args.model]
    if args.json:
        print(json.dumps(found, default=vars))
        return
    console = Console(width=120)
    for one in found:
        show(one, console)


if __name__ == "__main__":
    main()
