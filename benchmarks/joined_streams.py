"""Real streams, made of labeled clips: what is found in them against false events, for every threshold.

    python benchmarks/joined_streams.py CLIPS.csv --out joined --model movinet_t0_stream.gestures --model old.st:4.8

CLIPS.csv has the columns file, label, scene and fold. The clips of about five scenes of one fold become one video, in
an order of chance: after a clip its last picture stays for one second to three, and before half of them the first one
does for up to two; clips of the background are among them. `joined/streams.csv` lists what happens where, and
`joined/fold0.csv` … that of each fold, for `movinet evaluate`. A gesture is found by an event of its label that begins
within its clip or two seconds after; every other event is false. Intervals are over the videos, so over scenes.
"""

import argparse
import csv
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from movinet.evaluate.event_curve import StreamScores, event_curve
from movinet.evaluate.labeled_streams import LabeledStream, read_streams
from movinet.recognizer import Recognizer
from movinet.video.decode import read_frames
from movinet.video.encode import encode_video

FPS = 10.0
SCENES = 5  # of a video
AFTER = 2.0  # seconds
FALSE = (1 / 100, 1 / 50, 1 / 20, 1 / 10, 1 / 5, 1 / 2)  # events a gesture
RESAMPLES = 1000


def join(clips: Path, out: Path, seed: int) -> None:
    """Write the videos and the lists."""
    with clips.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    rng = np.random.default_rng(seed)
    by_fold: dict[str, dict[str, list[dict[str, str]]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        by_fold[row["fold"]][row["scene"]].append(row)
    out.mkdir(parents=True, exist_ok=True)
    listed: dict[str, list[tuple[str, ...]]] = {}
    for fold in sorted(by_fold):
        scenes = iter(rng.permutation(sorted(by_fold[fold])))
        lines = listed[f"fold{fold}.csv"] = []
        while some := list(islice(scenes, SCENES)):
            name = f"fold{fold}_{len({line[0] for line in lines}):02d}.mp4"
            together = [row for scene in some for row in by_fold[fold][scene]]
            order = [together[n] for n in rng.permutation(len(together))]
            pauses = [tuple(rng.choice([0, 1]) * rng.uniform(0, 2, 2)) for _ in order]
            encode_video(out / name, _frames(clips.parent, order, pauses, lines, name), FPS)
    listed["streams.csv"] = [line for lines in listed.values() for line in lines]
    for name, lines in listed.items():
        with (out / name).open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([("file", "label", "start", "end"), *lines])


def _frames(
    folder: Path,
    order: Sequence[Mapping[str, str]],
    pauses: Sequence[tuple[float, float]],
    lines: list[tuple[str, ...]],
    name: str,
) -> Iterator[NDArray[np.uint8]]:
    """Clips after one another, each with its first picture before it and its last after it for a while."""
    shown = 0
    for row, (before, after) in zip(order, pauses, strict=True):
        pictures = [frame.rgb for frame in read_frames(folder / row["file"], FPS)]
        lead, tail = round(before * FPS), round((after + 1.0) * FPS)
        yield from [pictures[0]] * lead
        shown += lead
        lines.append((name, row["label"], f"{shown / FPS:.2f}", f"{(shown + len(pictures)) / FPS:.2f}"))
        yield from pictures
        yield from [pictures[-1]] * tail
        shown += len(pictures) + tail


def answers(recognizer: Recognizer, streams: Sequence[LabeledStream]) -> list[StreamScores]:
    """What a network says of every frame of every video."""
    names = tuple(recognizer.info.label(n) for n in range(recognizer.info.spec.num_classes))
    found = []
    for stream in streams:
        times, shares = zip(*((p.time, p.probabilities) for p in recognizer.stream(stream.video)), strict=True)
        lasts = times[-1] + 1 / recognizer.info.transform.fps
        found.append(StreamScores(times, shares, names, stream.segments, lasts))
    return found


def shares(scores: Sequence[StreamScores], false: float) -> tuple[float, float]:
    """The threshold that keeps to so many false events a gesture, and the share that is found with it."""
    curve = event_curve(scores, after=AFTER, background=frozenset({"other"}))
    on = curve.lowest_on(false * curve.there / curve.hours)
    return on, 1 - curve.at(on)[1]


def interval(scores: Sequence[StreamScores], on: float) -> tuple[float, float]:
    """95 % of the share that is found with a threshold, over videos drawn again."""
    each = [event_curve([one], after=AFTER, background=frozenset({"other"})) for one in scores]
    found = np.array([(1 - curve.at(on)[1]) * curve.there if curve.there else 0.0 for curve in each])
    there = np.array([curve.there for curve in each])
    drawn = np.random.default_rng(0).integers(0, len(each), (RESAMPLES, len(each)))
    low, high = np.percentile(found[drawn].sum(1) / there[drawn].sum(1), [2.5, 97.5])
    return float(low), float(high)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="folder of the videos and lists")
    parser.add_argument("--model", action="append", default=[], help="NAME or FILE, with :SECONDS for a memory")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    if not (args.out / "streams.csv").exists():
        join(args.clips, args.out, args.seed)
    streams = read_streams(args.out / "streams.csv")
    rows = []
    for given in args.model:
        model, _, seconds = given.partition(":")
        recognizer = Recognizer.load(model)
        if seconds:
            recognizer.memory = float(seconds)
        scores = answers(recognizer, streams)
        for false in FALSE:
            on, found = shares(scores, false)
            rows.append({"model": given, "false": false, "on": on, "found": found, "interval": interval(scores, on)})
    if args.json:
        print(json.dumps(rows))
        return
    table = Table("network", "false events", "begins at", "found", "95 %", box=None)
    for row in rows:
        low, high = row["interval"]
        every = f"1 per {1 / row['false']:.0f} gestures"
        table.add_row(row["model"], every, f"{row['on']:.3f}", f"{row['found']:.1%}", f"{low:.1%} to {high:.1%}")
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
