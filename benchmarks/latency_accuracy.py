"""What a frame costs against what it brings: milliseconds a step and published accuracy, A0 to A5, peers included.

    python benchmarks/latency_accuracy.py --out latency.png
    python benchmarks/latency_accuracy.py --tflite a0=a0.tflite a1=a1.tflite --atze00 MoViNet-pytorch --out latency.png

Latency is measured here, on one thread unless asked otherwise. Accuracy is top-1 on Kinetics-600 as the authors report
it for the stream networks, which every float32 contender computes alike.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
import torch
from engines import INVOKE, Call, atze00_step, our_steps, tflite_steps
from interleave import interleaved
from matplotlib import pyplot as plt
from matplotlib.ticker import NullFormatter, ScalarFormatter

from movinet.weights import registry

MODELS = ("a0", "a1", "a2", "a3", "a4", "a5")
ATZE00_MODELS = ("a0", "a1", "a2")  # what it streams
STYLE = {
    "litert float32": ("tab:blue", "o", "movinet, LiteRT float32"),
    "litert float16": ("tab:cyan", "o", "movinet, LiteRT float16"),
    "openvino float32": ("tab:green", "s", "movinet, OpenVINO float32"),
    "openvino bfloat16": ("tab:olive", "s", "movinet, OpenVINO bfloat16"),
    "torch float32": ("tab:purple", "D", "movinet, PyTorch alone"),
    INVOKE: ("tab:orange", "^", "official TFLite, invoke alone"),
    "Atze00, eager": ("tab:red", "v", "MoViNet-pytorch"),
}


def measure(model: str, threads: int, tflite: Path | None, peer: bool) -> dict[str, float]:
    """Milliseconds a step of every contender, medians."""
    calls: dict[str, Call] = our_steps(model, threads)
    if tflite:
        calls |= tflite_steps(tflite, threads)
    if peer and model in ATZE00_MODELS:
        calls |= atze00_step(model)
    calls = {name: call for name, call in calls.items() if name in STYLE}
    return {name: 1e3 * timing.median for name, timing in interleaved(calls, 6, 8, 2).items()}


def draw(rows: dict[str, dict[str, float]], accuracy: dict[str, float], threads: int, path: Path) -> None:
    mpl.use("agg")
    figure, axes = plt.subplots(figsize=(8, 5), layout="constrained")
    for name, (color, marker, label) in STYLE.items():
        points = [(row[name], accuracy[model]) for model, row in rows.items() if name in row]
        if points:
            axes.plot(*zip(*points, strict=True), marker=marker, color=color, label=label, linewidth=1)
    for model, row in rows.items():
        axes.annotate(
            model.upper(), (min(row.values()), accuracy[model]), (-4, 6), textcoords="offset points", ha="right"
        )
    axes.set(
        xscale="log",
        xlabel=f"ms a frame, {'one thread' if threads == 1 else f'{threads} threads'}",
        ylabel="top-1 on Kinetics-600, %, as published",
    )
    axes.set_xticks([1, 2, 5, 10, 20, 50, 100])
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(which="both", alpha=0.25)
    axes.legend(loc="lower right", frameon=False)
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--tflite", nargs="*", default=[], help="official float32 files, as a0=FILE")
    parser.add_argument("--atze00", type=Path, help="the folder that holds its package `movinets`")
    parser.add_argument("--out", type=Path, required=True, help="the picture; the figures go beside it as .json")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    files = {model: Path(path) for model, path in (entry.split("=", 1) for entry in options.tflite)}
    if options.atze00:
        sys.path.append(str(options.atze00))
    rows: dict[str, dict[str, float]] = {}
    accuracy: dict[str, float] = {}
    for model in options.models.split(","):
        top1: Any = registry.find(f"movinet_{model}_stream.k600").top1
        accuracy[model] = float(top1)
        rows[model] = measure(model, options.threads, files.get(model), bool(options.atze00))
        cells = "  ".join(f"{name} {ms:.2f}" for name, ms in rows[model].items())
        print(f"{model} {accuracy[model]:.2f} %: {cells}", flush=True)
    draw(rows, accuracy, options.threads, options.out)
    options.out.with_suffix(".json").write_text(json.dumps({"threads": options.threads, "ms": rows}, indent=2))


if __name__ == "__main__":
    main()
