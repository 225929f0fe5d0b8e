"""Whether recurrent training in sub-clips costs accuracy: one recipe, carried out each way on the same clips in order.

    python benchmarks/recurrent_accuracy.py gestures --out runs/recurrent --test 2000 --jobs 2

The recipe must be one of synthetic gestures. Ways: `clip`, whole clips; `reach N`, sub-clips with gradients that reach
back through N of them; and from trained weights (--start) `kept`, whole clips with the statistics of the weights, as
`movinet finetune` does, and `last`, the same in sub-clips that the last answers for. All networks are streamed over the
same fresh clips; printed are their top-1 and the differences with their intervals. Runs that are there already are not
repeated.
"""

import argparse
import csv
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from movinet.metrics import paired_bootstrap, wilson_interval
from movinet.train.recipe import Recipe, dump_recipe, read_recipe
from movinet.train.recipe_data import Gestures


def run(recipe: Recipe, folder: Path, workers: int) -> None:
    """One training, in a process of its own."""
    if (folder / "metrics.json").exists():
        return
    path = folder.with_suffix(".yaml")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dump_recipe(recipe), encoding="utf-8")
    what = ["--resume", str(folder)] if (folder / "recipe.yaml").exists() else [str(path), "--out", str(folder)]
    command = [sys.executable, "-m", "movinet", "train", *what, "--threads", "1", "--workers", str(workers)]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise SystemExit(f"{folder}: the run failed")


def hits(folder: Path) -> NDArray[np.float64]:
    """(clips,): 1 where the network was right."""
    right = []
    with (folder / "test_answers.csv").open(newline="", encoding="utf-8") as file:
        for row in sorted(csv.DictReader(file), key=lambda row: int(row["clip"])):
            probabilities = {name: float(value) for name, value in row.items() if name.startswith("p(")}
            right.append(max(probabilities, key=lambda name: probabilities[name]) == f"p({row['labels']})")
    return np.array(right, dtype=np.float64)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--sub-clip", type=int, default=8)
    parser.add_argument(
        "--bptt-clips", type=int, nargs="*", default=[1, 4], help="sub-clips that gradients reach back through"
    )
    parser.add_argument("--test", type=int, default=2000, help="fresh clips")
    parser.add_argument("--epochs", type=int, help="instead of the recipe's")
    parser.add_argument("--clips", type=int, help="of an epoch, instead of the recipe's")
    parser.add_argument("--start", help="weights to go on from, instead of from scratch")
    parser.add_argument("--size", type=int, nargs=2, help="instead of the recipe's")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1, help="of each job")
    args = parser.parse_args()
    recipe = read_recipe(args.recipe)
    if not isinstance(recipe.data, Gestures):
        parser.error(f"{args.recipe} does not train on synthetic gestures")
    longest = recipe.data.frames
    size = {"size": args.size} if args.size else {}
    recipe = replace(
        recipe,
        data=replace(recipe.data, test=args.test, clips=args.clips or recipe.data.clips),
        options=recipe.options | size,
        clips=replace(recipe.clips, resize_short=args.size[0] if args.size else recipe.clips.resize_short),
        epochs=args.epochs or recipe.epochs,
        sub_clip=args.sub_clip,
    )
    if args.start:
        recipe = replace(recipe, init_from=args.start, network=None, options={}, rezero_init=0.0)
    ways = {"clip": recipe}
    ways |= {f"reach {n}": replace(recipe, strategy="recurrent", bptt_clips=n) for n in args.bptt_clips}
    if args.start:
        kept = replace(recipe, batch_norm="kept")
        all_of_them = -(-max(longest) // recipe.sub_clip)
        ways |= {"kept": kept, "last": replace(kept, strategy="recurrent", bptt_clips=all_of_them, loss_on="last")}
    folders = {name: args.out / name.replace(" ", "_") for name in ways}
    with ThreadPoolExecutor(args.jobs) as pool:
        for done in [pool.submit(run, way, folders[name], args.workers) for name, way in ways.items()]:
            done.result()
    found = {name: hits(folder) for name, folder in folders.items()}
    for name, right in found.items():
        low, high = wilson_interval(int(right.sum()), len(right))
        print(f"{name:10} top-1 {right.mean():.1%} of {len(right)} clips (95 %: {low:.1%} to {high:.1%})")
    pairs = [(name, "clip") for name in ways if name != "clip"]
    for name, other in pairs + ([("last", "kept")] if args.start else []):
        d = paired_bootstrap(found[name], found[other])
        print(f"{name} - {other}: {100 * d.mean:+.2f} points (95 %: {100 * d.low:+.2f} to {100 * d.high:+.2f})")


if __name__ == "__main__":
    main()
