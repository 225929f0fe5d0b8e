"""One streaming step, the 50-frame base clip and the training step, beside Atze00/MoViNet-pytorch.

    python benchmarks/streaming_step.py --atze00 MoViNet-pytorch

Everything is plain eager PyTorch in float32 with fresh weights: speed does not depend on them. The other project runs
from its own checkout, in the same process; it wants einops and fvcore. For training, memory is kept as `movinet train`
keeps it, for both. Fails if our A0 step is slower than its.
"""

import argparse
import importlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from interleave import interleaved
from torch import Tensor, nn

from movinet import MoViNet, create_model
from movinet.freed_memory import keep_freed_memory

Call = Callable[[], object]
CLASSES = 600
CLIP_FRAMES = 50
TRAIN_CLIPS, TRAIN_FRAMES = 4, 8
WORK = {  # what is measured: (rounds, calls a round, warm-up calls a round)
    "step": (8, 20, 3),
    "clip": (5, 1, 1),
    "train": (5, 1, 1),
}


def our_call(work: str, model: str, size: tuple[int, int]) -> Call:
    network = create_model(f"movinet_{model}_{'base' if work == 'clip' else 'stream'}")
    assert isinstance(network, MoViNet)
    if work == "train":
        keep_freed_memory()
        return training_step(network, network, size)
    network.eval()
    if work == "clip":
        clip = torch.rand(1, 3, CLIP_FRAMES, *size)
        return without_gradients(lambda: network(clip))
    frame, state = torch.rand(1, 3, 1, *size), network.init_state(1, size)

    def step() -> None:
        nonlocal state
        _, state = network.step(frame, state)

    return without_gradients(step)


def their_call(work: str, model: str, size: tuple[int, int]) -> Call:
    movinets: Any = importlib.import_module("movinets")
    config: Any = importlib.import_module("movinets.config")
    causal = work != "clip"
    network = movinets.MoViNet(
        getattr(config._C.MODEL, f"MoViNet{model.upper()}"),
        causal=causal,
        num_classes=CLASSES,
        conv_type="2plus1d" if causal else "3d",
        tf_like=True,
    )
    if work == "train":

        def forward(clips: Tensor) -> Tensor:
            network.clean_activation_buffers()
            return network(clips)

        return training_step(network, forward, size)
    network.eval()
    frames = torch.rand(1, 3, 1 if causal else CLIP_FRAMES, *size)
    return without_gradients(lambda: network(frames))  # a stream's past is kept in the module


def training_step(network: nn.Module, forward: Callable[[Tensor], Tensor], size: tuple[int, int]) -> Call:
    optimizer = torch.optim.SGD(network.train().parameters(), lr=0.01, momentum=0.9)
    clips = torch.rand(TRAIN_CLIPS, 3, TRAIN_FRAMES, *size)
    labels = torch.randint(CLASSES, (TRAIN_CLIPS,))

    def step() -> None:
        optimizer.zero_grad()
        F.cross_entropy(forward(clips), labels).backward()
        optimizer.step()

    return step


def without_gradients(call: Call) -> Call:
    def run() -> None:
        with torch.inference_mode():
            call()

    return run


def measure(work: str, model: str, threads: int, peer: bool) -> dict[str, Any]:
    size = create_model(f"movinet_{model}_stream").spec.size
    contenders = {"ours": our_call(work, model, size)}
    if peer:
        contenders["atze00"] = their_call(work, model, size)
    timings = interleaved(contenders, *WORK[work])
    row: dict[str, Any] = {"work": work, "model": model, "threads": threads}
    for name, timing in timings.items():
        row[f"{name}_ms"], row[f"{name}_best_ms"] = 1e3 * timing.median, 1e3 * timing.best
    if peer:
        row["ratio"] = row["ours_ms"] / row["atze00_ms"]
        row["best_ratio"] = row["ours_best_ms"] / row["atze00_best_ms"]
    return row


def print_row(row: dict[str, Any]) -> None:
    line = f"{row['work']:6} {row['model']:5} {row['ours_ms']:9.2f} {row['ours_best_ms']:9.2f}"
    if "ratio" in row:
        line += f" {row['atze00_ms']:9.2f} {row['atze00_best_ms']:9.2f} {row['ratio']:7.2f} {row['best_ratio']:7.2f}"
    print(line, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--atze00", type=Path, help="the folder that holds its package `movinets`")
    parser.add_argument("--models", default="a0,a1,a2")
    parser.add_argument("--work", default="step,clip,train", help=f"of {', '.join(WORK)}")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.atze00:
        sys.path.insert(0, str(options.atze00))
    if not options.json:
        print(f"ms, median and best; {options.threads} thread(s), torch {torch.__version__}")
        print("work   model      ours      best    atze00      best   ratio  of best")
    rows = []
    for work in options.work.split(","):
        for model in options.models.split(","):
            rows.append(measure(work, model, options.threads, peer=options.atze00 is not None))
            if not options.json:
                print_row(rows[-1])
    if options.json:
        print(json.dumps(rows, indent=2))
    if any(row["work"] == "step" and row["model"] == "a0" and row.get("best_ratio", 0) > 1 for row in rows):
        sys.exit("our A0 step is slower than Atze00's")


if __name__ == "__main__":
    main()
