"""What a network sees of a frame, by several filters: time, and what networks say of it.

    python benchmarks/scaling.py --weights movinet_a0_stream_int8.tflite --labels LABELS --clips FOLDER --real FOLDER

`ours` is what this package does: FFmpeg's scaler from the part of the decoded picture that is seen, once. The filters
beside it scale the whole picture once. `0.1` makes RGB of full size in a hurry and resizes that. `torch` makes it with
care and resizes it by `interpolate(antialias=True)`, as training does: everything is held against that.

--clips are videos named after their label, for --weights; --real holds a `clips.csv` (file, label) for the bundled
network. Logits are compared frame by frame, without what a softmax leaves out.
"""

import argparse
import csv
import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import cast
from unittest.mock import patch

import av
import numpy as np
import torch
from av.video.reformatter import Interpolation, VideoReformatter
from interleave import interleaved
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from movinet.recognizer import Recognizer
from movinet.video.pixels import ToRGB
from movinet.video.scale import EXACT
from movinet.video.transform import Transform

Levels = NDArray[np.uint8]
Contender = Callable[[ToRGB, av.VideoFrame, Transform], Levels]

SIZES = ((256, 340), (720, 1280), (1080, 1920))
TRANSFORM = Transform((172, 172), 192, 5.0)


def cropped(picture: Levels, transform: Transform, shown: tuple[int, int]) -> Levels:
    _, (top, left) = transform.placed(*shown)
    height, width = transform.size
    return picture[top : top + height, left : left + width]


class OnePass:
    """The whole picture, once, by a filter. Upright pictures of square pixels only."""

    def __init__(self, how: Interpolation) -> None:
        self.how, self.scaler = how | EXACT, VideoReformatter()

    def __call__(self, to_rgb: ToRGB, frame: av.VideoFrame, transform: Transform) -> Levels:
        shown = frame.height, round(frame.width * (to_rgb.aspect or 1))
        (height, width), _ = transform.placed(*shown)
        scaled = self.scaler.reformat(
            frame, width=width, height=height, format="gbrp", interpolation=self.how, threads=1
        )
        return np.ascontiguousarray(cropped(cast(Levels, scaled.to_ndarray()), transform, shown))


class TwoPasses:
    """RGB of full size by the quickest converter, which lets two rows and columns have one color; then a resize."""

    def __init__(self) -> None:
        self.scaler = VideoReformatter()

    def __call__(self, to_rgb: ToRGB, frame: av.VideoFrame, transform: Transform) -> Levels:
        width = round(frame.width * (to_rgb.aspect or 1))
        rgb = self.scaler.reformat(frame, width=width, format="rgb24", threads=1).to_ndarray()
        return transform.levels(rgb)[0]


def by_torch(to_rgb: ToRGB, frame: av.VideoFrame, transform: Transform) -> Levels:
    rgb = to_rgb(frame)
    shown = rgb.shape[0], rgb.shape[1]
    (height, width), _ = transform.placed(*shown)
    pixels = torch.from_numpy(rgb).permute(2, 0, 1)[None].contiguous()
    small = torch.nn.functional.interpolate(pixels, (height, width), mode="bilinear", antialias=True)
    return np.ascontiguousarray(cropped(small[0].permute(1, 2, 0).numpy(), transform, shown))


CONTENDERS: dict[str, Contender] = {
    "ours": ToRGB.levels,
    "AREA": OnePass(Interpolation.AREA),
    "BILINEAR": OnePass(Interpolation.BILINEAR),
    "BICUBIC": OnePass(Interpolation.BICUBIC),
    "FAST_BILINEAR": OnePass(Interpolation.FAST_BILINEAR),
    "0.1": TwoPasses(),
    "torch": by_torch,
}


def example(height: int, width: int) -> av.VideoFrame:
    """A frame as decoders give them."""
    y, x, c = np.indices((height, width, 3))
    noise = np.random.default_rng(0).integers(-8, 8, (height, width, 3))
    rgb = (128 + 80 * np.sin(x / 37 + c) + 40 * np.cos(y / 23) + noise).clip(0, 255).astype(np.uint8)
    return av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format="yuv420p")


def times(rounds: int) -> dict[str, dict[str, float]]:
    """Milliseconds a frame, by size and contender."""
    found: dict[str, dict[str, float]] = {}
    for size in SIZES:
        frame = example(*size)
        calls = {name: partial(call, ToRGB(), frame, TRANSFORM) for name, call in CONTENDERS.items()}
        timings = interleaved(calls, rounds, calls=5, warmup=2)
        found[f"{size[1]}×{size[0]}"] = {name: 1e3 * timing.median for name, timing in timings.items()}
    return found


def logits_of(recognizer: Recognizer, path: Path, contender: Contender) -> NDArray[np.float64]:
    """(frames, classes), of mean 0."""

    def levels(self: ToRGB, frame: av.VideoFrame, transform: Transform) -> Levels:
        return contender(self, frame, transform)

    with patch.object(ToRGB, "levels", levels):
        seen = np.array([prediction.probabilities for prediction in recognizer.stream(path)], np.float64)
    logs = np.log(seen.clip(1e-30))
    centered: NDArray[np.float64] = logs - logs.mean(1, keepdims=True)
    return centered


def answers(recognizer: Recognizer, clips: Mapping[Path, str]) -> dict[str, dict[str, float]]:
    """By contender: accuracy of the last answers, and how far the logits of all frames are from torch's."""
    labels = [recognizer.info.label(n) for n in range(recognizer.info.spec.num_classes)]
    found: dict[str, list[tuple[bool, bool, float, float]]] = {name: [] for name in CONTENDERS}
    for path, label in clips.items():
        judge = logits_of(recognizer, path, CONTENDERS["torch"])
        for name, contender in CONTENDERS.items():
            logits = judge if name == "torch" else logits_of(recognizer, path, contender)
            same = (logits.argmax(1) == judge.argmax(1)).mean()
            off = float(np.sqrt(((logits - judge) ** 2).mean()) / judge.std())
            last = labels[int(logits[-1].argmax())]
            chance = np.exp(logits[-1] - logits[-1].max())
            found[name].append((last == label, same, off, float(chance[labels.index(label)] / chance.sum())))
    columns = ("right", "frames alike", "logits off", "p of the label")
    return {name: dict(zip(columns, map(float, np.mean(rows, axis=0)), strict=True)) for name, rows in found.items()}


def show(title: str, rows: Mapping[str, Mapping[str, float]], style: str) -> None:
    columns = list(next(iter(rows.values())))
    table = Table(title, *columns, box=None)
    for name, row in rows.items():
        table.add_row(name, *(format(row[column], style) for column in columns))
    Console(width=140).print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--weights", type=Path, help="a network that knows the labels of --clips")
    parser.add_argument("--labels", type=Path, help="its labels, one a line")
    parser.add_argument("--clips", type=Path, help="folder of videos that are named after their label")
    parser.add_argument("--real", type=Path, help="folder of real gestures with a clips.csv")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    tables = {"ms a frame": times(options.rounds)}
    if options.weights and options.clips:
        recognizer = Recognizer.load(options.weights, labels=options.labels, threads=1)
        named = {path: path.stem.replace("_", " ") for path in sorted(options.clips.iterdir())}
        tables[recognizer.info.name] = answers(recognizer, named)
    if options.real:
        with (options.real / "clips.csv").open(encoding="utf-8") as file:
            gestures = {options.real / row["file"]: row["label"] for row in csv.DictReader(file)}
        tables["real gestures"] = answers(Recognizer.load("movinet_t0_stream.gestures", threads=1), gestures)
    if options.json:
        print(json.dumps(tables))
        return
    for title, rows in tables.items():
        show(title, rows, ".2f" if title == "ms a frame" else ".4f")


if __name__ == "__main__":
    main()
