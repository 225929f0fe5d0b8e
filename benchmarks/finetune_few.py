"""Fine-tuning as it is by default, on as few clips as people begin with: is what comes out better than what went in?

    python benchmarks/finetune_few.py clips.csv --model movinet_t0_stream.gestures --model a0.tflite --out runs/few

For every number of classes and clips, classes and clips are drawn anew by each seed: to train (and validate) on from
some folds of the list, to test on from all others, streamed. Every run is an ordinary run's folder; those that are
there already are not repeated. `--rename` gives classes names that the weights do not know, so that they begin with a
new classifier. Prints top-1 and loss on the test clips before and after, by run and in the mean, and fails where the
mean is no better after than before.
"""

import argparse
import csv
import json
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from movinet.freed_memory import keep_freed_memory
from movinet.labeled.entries import VideoEntry
from movinet.labeled.readers import read_set
from movinet.metrics import wilson_interval
from movinet.train.distributed import connect
from movinet.train.finetune_recipe import Finetuning, finetune_recipe
from movinet.train.recipe_data import Videos
from movinet.train.train_run import METRICS, prepare_training, run_training
from movinet.train.validation import evaluate
from movinet.weights.load import load_weights


@dataclass(frozen=True)
class Draw:
    """One fine-tuning.

    Args:
        model: Weights to start from.
        classes, clips: How many classes, and clips of each.
        seed: Of the choice of both, and of the training.
    """

    model: str
    classes: int
    clips: int
    seed: int

    @property
    def name(self) -> str:
        return f"{Path(self.model).name.partition('.')[0]}_{self.classes}x{self.clips}_seed{self.seed}"


def draw_clips(
    folds: dict[str, tuple[VideoEntry, ...]], draw: Draw, leave_out: list[str]
) -> list[tuple[VideoEntry, str]]:
    """Clips with their splits, `train` and `test`, no fold in both: folds are taken whole until they hold enough."""
    rng = np.random.default_rng((draw.classes, draw.clips, draw.seed))
    labels = sorted({video.labels[0] for videos in folds.values() for video in videos} - set(leave_out))
    classes = rng.permutation(labels)[: draw.classes].tolist()
    found: dict[str, list[VideoEntry]] = defaultdict(list)
    rows = []
    for fold in rng.permutation(sorted(folds)).tolist():
        mine = [video for video in folds[fold] if video.labels[0] in classes]
        if min(len(found[label]) for label in classes) < draw.clips:
            for video in mine:
                found[video.labels[0]].append(video)
        else:
            rows += [(video, "test") for video in mine]
    for label in classes:
        rows += [(found[label][n], "train") for n in rng.permutation(len(found[label]))[: draw.clips]]
    return rows


def run(draw: Draw, folder: Path, rows: list[tuple[VideoEntry, str]], args: argparse.Namespace) -> None:
    """Fine-tune, test, and write down what was said of the test clips before and after."""
    where = folder / "clips.csv"
    folder.mkdir(parents=True, exist_ok=True)
    with where.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("file", "label", "split"))
        prefix = "my " if args.rename else ""
        writer.writerows((Path(str(video.path)).absolute(), prefix + video.labels[0], split) for video, split in rows)
    recipe = finetune_recipe(
        draw.model, Videos((str(where),)), load_weights(draw.model).info, Finetuning(seed=draw.seed)
    )
    if args.size:
        recipe = replace(recipe, options=recipe.options | {"size": list(args.size)})
    fabric = connect("cpu")
    keep_freed_memory()
    torch.set_num_threads(args.threads)
    prepared = prepare_training(recipe)
    assert prepared.sets.test is not None
    before = evaluate(fabric, prepared.start.model, prepared.sets.test, 1).scores()
    result = run_training(prepared, folder / "run", fabric)
    figures = {"before": before, "after": {k.removeprefix("test_"): v for k, v in result.scores.items() if "test" in k}}
    (folder / "few.json").write_text(json.dumps(figures | {"clips": len(prepared.sets.test)}), encoding="utf-8")


def report(draws: list[Draw], out: Path) -> bool:
    """The table; whether every mean is better after than before."""
    print(
        f"{'run':44} {'test':>5} {'top-1 before':>13} {'after':>7} {'loss before':>12} {'after':>6}  validation, kept"
    )
    means: dict[str, list[tuple[float, ...]]] = defaultdict(list)
    for draw in draws:
        found = json.loads((out / draw.name / "few.json").read_text(encoding="utf-8"))
        scores = json.loads((out / draw.name / "run" / METRICS).read_text(encoding="utf-8"))["scores"]
        before, after = found["before"], found["after"]
        row = (found["clips"], before["top1"], after["top1"], before["loss"], after["loss"])
        means[draw.name.rpartition("_")[0]].append(row)
        kept = (
            f"{scores.get('validation_top1', float('nan')):.0%}, epoch {scores['epoch']:.0f}"
            if "epoch" in scores
            else ""
        )
        print(f"{draw.name:44} {row[0]:5} {row[1]:13.1%} {row[2]:7.1%} {row[3]:12.3f} {row[4]:6.3f}  {kept}")
    right = True
    print()
    for name, rows in means.items():
        clips = sum(int(row[0]) for row in rows)
        top1 = [sum(row[0] * row[n] for row in rows) / clips for n in (1, 2)]
        loss = [sum(row[0] * row[n] for row in rows) / clips for n in (3, 4)]
        low, high = wilson_interval(round(top1[1] * clips), clips)
        after = f"{top1[1]:.1%} after (95 %: {low:.1%} to {high:.1%})"
        print(f"{name:36} {clips:4} clips: top-1 {top1[0]:.1%} before, {after}; loss {loss[0]:.3f}, {loss[1]:.3f}")
        right &= top1[1] > top1[0] or loss[1] < loss[0]
    return right


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="a list with a column `fold`")
    parser.add_argument("--model", action="append", required=True, help="weights to start from; may be repeated")
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--sizes", nargs="+", default=["2x4", "2x8", "5x5"], help="classes x clips of each")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--size", type=int, nargs=2, help="of frames, other than the network's")
    parser.add_argument("--leave-out", nargs="*", default=[], help="classes that are not used")
    parser.add_argument("--rename", action="store_true", help="classes get names the weights do not know")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    folds = {name: part.videos for name, part in read_set(args.data).splits.items()}
    draws = []
    for model in args.model:
        for size in args.sizes:
            classes, clips = map(int, size.split("x"))
            draws += [Draw(model, classes, clips, seed) for seed in range(args.seeds)]
    for draw in draws:
        if not (args.out / draw.name / "few.json").exists():
            run(draw, args.out / draw.name, draw_clips(folds, draw, args.leave_out), args)
    if not report(draws, args.out):
        raise SystemExit("fine-tuning with so few clips made it no better")


if __name__ == "__main__":
    main()
