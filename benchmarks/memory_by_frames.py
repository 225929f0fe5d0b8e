"""Peak memory of one answer against the length of the video: whole clips, sub-clips averaged, and streams.

    python benchmarks/memory_by_frames.py --kept peaks.jsonl --plot memory.png    # what the file has is not run again
    python benchmarks/memory_by_frames.py --models movinet_a0 slow_r50 --frames 8 16 32 --plot memory.png

The central figure of the MoViNet paper (arXiv 2103.11511), measured: what a process takes beyond the network itself,
each length in a process of its own, in PyTorch on a CPU, one thread; a single frame, shown once, has made what PyTorch
prepares. Multi-clip is windows of 8 frames whose answers are averaged. State is what a stream keeps between frames.
Fails if a stream's memory grows with the length by more than 5 % and 5 MB. Linux alone, whose peaks can be reset.
"""

import argparse
import ctypes
import gc
import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

import torch
from torch import Tensor, nn

from movinet import create_model

WINDOW = 8  # frames of a clip of multi-clip evaluation
TOLERANCE, NOISE_MB = 0.05, 5.0
FORMS = ("clip", "multi-clip", "stream")
NAMES = {"movinet_a0": "MoViNet-A0", "movinet_a2": "MoViNet-A2", "slow_r50": "ResNet3D-50"}


@dataclass(frozen=True)
class Peak:
    """What one answer took."""

    model: str
    form: str
    frames: int
    peak_mb: float  # beyond the network and what was imported
    state_mb: float  # kept between frames


def network(name: str, streams: bool) -> tuple[nn.Module, int]:
    """With fresh weights, and the size of its frames."""
    if name == "slow_r50":
        return create_model("slow_r50_8x8", num_classes=600, causal=streams, size=(224, 224)).eval(), 224
    model = create_model(f"{name}_{'stream' if streams else 'base'}")
    return model.eval(), model.spec.size[0]


def resident(what: str) -> float:
    """MiB of this process in memory: now (VmRSS), or at most (VmHWM)."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(what))
    return int(line.split()[1]) / 1024


def reset_peak() -> float:
    """Give back what is free, begin a new peak, and say what is in memory, in MiB."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    return resident("VmRSS")


@torch.inference_mode()
def measure(name: str, form: str, frames: int) -> Peak:
    """In this process, which should do nothing else."""
    torch.set_num_threads(1)
    model, size = network(name, form == "stream")
    model(torch.rand(1, 3, 1, size, size))
    before = reset_peak()
    state: dict[str, Tensor] | None = None
    if form == "clip":
        model(torch.rand(1, 3, frames, size, size))
    elif form == "multi-clip":
        logits = [model(torch.rand(1, 3, WINDOW, size, size)) for _ in range(max(1, frames // WINDOW))]
        torch.stack(logits).mean(0)
    else:
        for _ in range(frames):
            _, state = model.step(torch.rand(1, 3, 1, size, size), state)  # type: ignore[operator]
    peak = resident("VmHWM") - before
    kept = sum(tensor.nbytes for tensor in state.values()) / 2**20 if state else 0.0
    return Peak(name, form, frames, peak, kept)


def apart(model: str, form: str, frames: int) -> Peak:
    """Measured in a process of its own."""
    command = [sys.executable, __file__, "--one", model, form, str(frames)]
    return Peak(**json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["movinet_a0", "movinet_a2", "slow_r50"])
    parser.add_argument("--frames", nargs="+", type=int, default=[8, 16, 32, 64])
    parser.add_argument("--plot", type=Path, help="a picture of it")
    parser.add_argument("--kept", type=Path, help="a file that each measurement is added to")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--one", nargs=3, metavar=("MODEL", "FORM", "FRAMES"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        model, form, frames = options.one
        print(json.dumps(asdict(measure(model, form, int(frames)))))
        return
    kept: Path | None = options.kept
    lines = kept.read_text().splitlines() if kept and kept.exists() else []
    known = {(peak.model, peak.form, peak.frames): peak for peak in (Peak(**json.loads(line)) for line in lines)}
    peaks = []
    for model, form, frames in product(options.models, FORMS, options.frames):
        peak = known.get((model, form, frames)) or apart(model, form, frames)
        peaks.append(peak)
        line = json.dumps(asdict(peak))
        if options.json:
            print(line, flush=True)
        if kept and (model, form, frames) not in known:
            with kept.open("a") as file:
                file.write(line + "\n")
    if not options.json:
        print_table(peaks, options.frames)
    if options.plot:
        draw(peaks, options.plot)
    grown = [model for model in options.models if grows([p for p in peaks if (p.model, p.form) == (model, "stream")])]
    if grown:
        sys.exit(f"memory of the stream grows with its length: {', '.join(grown)}")


def grows(peaks: list[Peak]) -> bool:
    first, last = peaks[0].peak_mb, peaks[-1].peak_mb
    return last > first * (1 + TOLERANCE) + NOISE_MB


def print_table(peaks: list[Peak], lengths: list[int]) -> None:
    print("| MB at frames | " + " | ".join(map(str, lengths)) + " | state |")
    print("|---" * (len(lengths) + 2) + "|")
    rows: dict[tuple[str, str], list[Peak]] = {}
    for peak in peaks:
        rows.setdefault((peak.model, peak.form), []).append(peak)
    for (model, form), row in rows.items():
        state = f"{row[-1].state_mb:.1f}" if row[-1].state_mb else ""
        print(f"| {model}, {form} | " + " | ".join(f"{peak.peak_mb:.0f}" for peak in row) + f" | {state} |")


def draw(peaks: list[Peak], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.ticker import LogLocator

    figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
    styles = dict(zip(FORMS, ("-", ":", "--"), strict=True))
    for n, model in enumerate(dict.fromkeys(peak.model for peak in peaks)):
        for form in FORMS:
            row = [peak for peak in peaks if (peak.model, peak.form) == (model, form)]
            values = [peak.peak_mb for peak in row]
            name = NAMES.get(model, model)
            axes.plot([peak.frames for peak in row], values, styles[form], color=f"C{n}", label=f"{name}, {form}")
    axes.set(xscale="log", yscale="log", xlabel="frames of the video", ylabel="peak memory of an answer, MB")
    lengths = sorted({peak.frames for peak in peaks})
    axes.set_xticks(lengths, [str(length) for length in lengths])
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    figure.legend(loc="outside right upper", fontsize=8)
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main()
