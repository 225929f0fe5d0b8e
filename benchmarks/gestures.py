"""How well the bundled network knows gestures: fresh synthetic clips, the same with frames shuffled, and real ones.

    python benchmarks/gestures.py --clips 20 --real FOLDER

Every clip is streamed frame by frame at the network's rate and judged by its last answer, over all eleven classes.
Shuffling shows whether the order of frames matters to the network. FOLDER holds a `clips.csv` (file, label) of real
videos; without it that row is left out.
"""

import argparse
import csv
import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from movinet.data.synthetic.gesture_clips import GESTURES, render_gesture
from movinet.recognizer import Recognizer

FIRST_SEED = 2 * 10**9  # the training script stays far below
SECONDS = 4.0


def last_answer(recognizer: Recognizer, frames: Iterable[NDArray[np.uint8]]) -> str:
    """The label after the last frame of a stream of its own."""
    recognizer.reset()
    label = ""
    for frame in frames:
        prediction = recognizer.push(frame)
        assert prediction is not None
        label = prediction.label
    return label


def synthetic(recognizer: Recognizer, clips: int) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """(true, found) of fresh clips, in order and shuffled."""
    fps, rng = recognizer.info.transform.fps, np.random.default_rng(0)
    ordered, shuffled = [], []
    for label in GESTURES:
        for n in range(clips):
            clip = render_gesture(label, FIRST_SEED + n, (192, 256), round(SECONDS * fps), fps).frames
            ordered.append((label, last_answer(recognizer, clip)))
            shuffled.append((label, last_answer(recognizer, rng.permutation(clip))))
    return ordered, shuffled


def real(recognizer: Recognizer, folder: Path) -> list[tuple[str, str]]:
    """(true, found) of real videos."""
    with (folder / "clips.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [(row["label"], recognizer.classify(folder / row["file"]).label) for row in rows]


def top1(pairs: list[tuple[str, str]]) -> float:
    return sum(true == found for true, found in pairs) / len(pairs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="movinet_t0_stream.gestures")
    parser.add_argument("--clips", type=int, default=20, help="fresh synthetic clips of each gesture")
    parser.add_argument("--real", type=Path, help="folder of real videos with a clips.csv")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)  # more gain nothing on single small frames
    recognizer = Recognizer.load(args.model)
    ordered, shuffled = synthetic(recognizer, args.clips)
    rows = {"fresh synthetic clips": ordered, "the same, frames shuffled": shuffled}
    if args.real:
        found = real(recognizer, args.real)
        rows["real clips, all classes"] = found
        rows["real clips, without `other`"] = [pair for pair in found if pair[0] != "other"]
    if args.json:
        print(json.dumps({name: {"clips": len(pairs), "top1": top1(pairs)} for name, pairs in rows.items()}))
        return
    table = Table("top-1 of the last answer", "clips", *GESTURES, "all", box=None)
    for name, pairs in rows.items():
        each = [[pair for pair in pairs if pair[0] == label] for label in GESTURES]
        table.add_row(name, str(len(pairs)), *(f"{top1(p):.0%}" if p else "" for p in each), f"{top1(pairs):.1%}")
    Console(width=180).print(table)


if __name__ == "__main__":
    main()
