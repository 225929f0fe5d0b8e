"""Fine-tuning by cross-validation: every fold is tested once by a network that never saw it, streamed.

    python benchmarks/finetune_folds.py clips.csv --model a0.tflite --out runs/folds --seeds 3 --jobs 2

Variants, trained alike but for what their names say: `pretrained` starts from the weights; `recurrent` too, but goes
through the clips in sub-clips of 8 frames and learns from the answers after all of them, `last` from those after the
last alone; `scratch` is a new network, nothing of which is frozen. Every run is an
ordinary run's folder; runs that are there already are not repeated. Prints top-1 for each variant and the differences,
with intervals over clips and seeds.
"""

import argparse
import csv
import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from movinet.cores import usable_cores
from movinet.labeled.readers import read_set
from movinet.metrics import paired_bootstrap, wilson_interval
from movinet.train.finetune_recipe import Finetuning, finetune_recipe
from movinet.train.recipe import Recipe, dump_recipe
from movinet.train.recipe_data import Videos
from movinet.weights.load import load_weights

VARIANTS = ("pretrained", "scratch", "recurrent", "last")


def make_recipe(args: argparse.Namespace, variant: str, fold: str, seed: int) -> Recipe:
    options = Finetuning(
        epochs=args.epochs,
        frames=args.frames,
        size=tuple(args.size),
        lr=args.lr,
        strategy="recurrent" if variant in ("recurrent", "last") else "clip",
        bptt_clips=args.bptt_clips if variant in ("recurrent", "last") else 1,
        loss_on="last" if variant == "last" else "all",
        freeze=() if variant == "scratch" else args.freeze,
        seed=seed,
    )
    clips = Videos((args.data,), test=(fold,), held_out=0.0)
    recipe = finetune_recipe(args.model, clips, load_weights(args.model).info, options)
    if variant == "scratch":
        recipe = replace(recipe, init_from=None, network=args.scratch_network, layer_decay=1.0, rezero_init=0.2)
    return recipe


def run(args: argparse.Namespace, variant: str, fold: str, seed: int) -> None:
    """One training, in a process of its own."""
    folder = Path(args.out, f"{variant}_fold{fold}_seed{seed}")
    if (folder / "metrics.json").exists():
        return
    path = folder.with_suffix(".yaml")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dump_recipe(make_recipe(args, variant, fold, seed)), encoding="utf-8")
    what = ["--resume", str(folder)] if (folder / "recipe.yaml").exists() else [str(path), "--out", str(folder)]
    command = [
        sys.executable,
        "-m",
        "movinet",
        "train",
        *what,
        "--threads",
        "1",
        "--workers",
        "0",
        "--device",
        args.device,
    ]
    began = time.monotonic()
    log = folder.with_suffix(".log")
    with log.open("a", encoding="utf-8") as file:
        done = subprocess.run(command, stdout=file, stderr=file, check=False)
    if done.returncode:
        raise SystemExit(f"{folder}: the run failed: {log} says why")
    print(
        f"{folder.name}: {json.loads((folder / 'metrics.json').read_text())['scores'].get('test_top1', 0):.1%}, "
        f"{(time.monotonic() - began) / 60:.1f} minutes",
        file=sys.stderr,
        flush=True,
    )


def read_hits(args: argparse.Namespace, variant: str, seed: int, folds: list[str]) -> dict[str, bool]:
    """Whether each clip was named rightly, by folder and file; those of --leave-out are not asked for."""
    hits = {}
    for fold in folds:
        path = Path(args.out, f"{variant}_fold{fold}_seed{seed}", "test_answers.csv")
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                if row["labels"] in args.leave_out:
                    continue
                probabilities = {name: float(value) for name, value in row.items() if name.startswith("p(")}
                said = max(probabilities, key=lambda name: probabilities[name])
                hits["/".join(Path(row["file"]).parts[-2:])] = said == f"p({row['labels']})"
    return hits


def gather(args: argparse.Namespace, variant: str, folds: list[str]) -> NDArray[np.float64]:
    """(seeds, clips) of 0 and 1, clips in one order."""
    runs = [read_hits(args, variant, seed, folds) for seed in range(args.seeds)]
    files = sorted(runs[0])
    return np.array([[run[file] for file in files] for run in runs], dtype=np.float64)


def report(args: argparse.Namespace, folds: list[str]) -> None:
    hits = {variant: gather(args, variant, folds) for variant in args.variants}
    for variant, right in hits.items():
        low, high = wilson_interval(round(right.mean(0).sum()), right.shape[1])
        seeds = ", ".join(f"{share:.1%}" for share in right.mean(1))
        print(f"{variant:12} top-1 {right.mean():.1%} of {right.shape[1]} clips (95 %: {low:.1%} to {high:.1%})")
        print(f"{'':12} by seed: {seeds}")
    for first, second in combinations(args.variants, 2):
        d = paired_bootstrap(hits[first], hits[second])
        print(f"{first} - {second}: {100 * d.mean:+.1f} points (95 %: {100 * d.low:+.1f} to {100 * d.high:+.1f})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="a list with a column `fold`")
    parser.add_argument("--model", required=True, help="weights to start from")
    parser.add_argument("--out", required=True)
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS[:3]))
    parser.add_argument("--scratch-network", default="movinet_a0_stream")
    parser.add_argument("--leave-out", nargs="*", default=["other"], help="classes that are trained on but not scored")
    parser.add_argument("--folds", nargs="*", help="which; all by default")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=24)
    parser.add_argument(
        "--freeze", nargs="*", default=["stem", "blocks.0", "blocks.1"], help="parts that keep their weights"
    )
    parser.add_argument("--bptt-clips", type=int, default=4, help="sub-clips that gradients reach back through")
    parser.add_argument("--frames", type=int, default=20)
    parser.add_argument("--size", type=int, nargs=2, default=(96, 128))
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--jobs", type=int, default=usable_cores())
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    folds = args.folds or sorted(read_set(args.data).splits)
    runs = [(variant, fold, seed) for seed in range(args.seeds) for variant in args.variants for fold in folds]
    with ThreadPoolExecutor(args.jobs) as pool:
        for done in [pool.submit(run, args, *which) for which in runs]:
            done.result()
    report(args, folds)


if __name__ == "__main__":
    main()
