"""Fine-tuning on real streams by cross-validation: every fold is tested by a network that never saw it, with thresholds
chosen on the folds that it was trained on.

    python benchmarks/joined_streams.py CLIPS.csv --out joined
    python benchmarks/joined_folds.py joined --model movinet_t0_stream.gestures --out runs/joined_folds --seeds 1

`joined` is the folder of `joined_streams.py`, whose clips of a scene are all in one fold. Every run is an ordinary
run's folder; runs that are there already are not repeated, and one that was stopped goes on. `--ends` wants labels from
0.6 s after a gesture's end, as the bundled network was trained and `movinet finetune STREAMS.csv --answers ended` does.
Intervals are over the videos.
"""

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Literal

import numpy as np
from joined_streams import AFTER, answers, shares

from movinet.evaluate.event_curve import StreamScores, event_curve
from movinet.evaluate.labeled_streams import read_streams
from movinet.recognizer import Recognizer
from movinet.train.finetune_recipe import Finetuning, finetune_streams_recipe
from movinet.train.recipe import dump_recipe
from movinet.train.recipe_data import Streams
from movinet.weights.load import load_weights

FALSE = (1 / 50, 1 / 20)  # events a gesture
RESAMPLES = 1000


def trained(args: argparse.Namespace, lists: list[Path], test: Path, seed: int) -> Path:
    """The weights of a run that saw all lists but one."""
    folder = Path(args.out, f"{test.stem}_seed{seed}")
    if not (folder / "metrics.json").exists():
        data = Streams(tuple(str(one) for one in lists if one != test), held_out=0.0)
        wanted: Literal["early", "ended"] = "ended" if args.ends else "early"
        options = Finetuning(epochs=args.epochs, lr=args.lr, freeze=tuple(args.freeze), answers=wanted, seed=seed)
        recipe = folder.with_suffix(".yaml")
        recipe.parent.mkdir(parents=True, exist_ok=True)
        made = finetune_streams_recipe(args.model, data, load_weights(args.model).info, options)
        recipe.write_text(dump_recipe(made), encoding="utf-8")
        what = ["--resume", str(folder)] if (folder / "recipe.yaml").exists() else [str(recipe), "--out", str(folder)]
        command = [sys.executable, "-m", "movinet", "train", *what, "--threads", "1", "--workers", "0"]
        with folder.with_suffix(".log").open("a", encoding="utf-8") as log:
            if subprocess.run(command, stdout=log, stderr=log, check=False).returncode:
                raise SystemExit(f"{folder}: the run failed: {log.name} says why")
    return folder / "model.safetensors"


def counted(scores: list[StreamScores], on: float) -> np.ndarray:
    """(videos, 3): gestures that are there, found ones, and false events, with a threshold."""
    rows = []
    for one in scores:
        curve = event_curve([one], after=AFTER, background=frozenset({"other"}))
        alarms, missed = curve.at(on)
        rows.append((curve.there, curve.there * (1 - missed) if curve.there else 0.0, alarms * curve.hours))
    return np.array(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("joined", type=Path)
    parser.add_argument("--model", default="movinet_t0_stream.gestures")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=Finetuning().epochs)
    parser.add_argument("--lr", type=float, default=Finetuning().lr)
    parser.add_argument("--freeze", nargs="*", default=[], help="parts that keep their weights")
    parser.add_argument("--folds", nargs="*", help="only these, such as fold0")
    parser.add_argument("--ends", action="store_true")
    args = parser.parse_args()
    lists = sorted(args.joined.glob("fold*.csv"))
    rows: dict[float, list[np.ndarray]] = {false: [] for false in FALSE}
    for seed in range(args.seeds):
        for test in (one for one in lists if not args.folds or one.stem in args.folds):
            recognizer = Recognizer.load(trained(args, lists, test, seed))
            own = [s for one in lists if one != test for s in read_streams(one)]
            seen, fresh = answers(recognizer, own), answers(recognizer, read_streams(test))
            for false in FALSE:
                on, _ = shares(seen, false)
                rows[false].append(counted(fresh, on))
                there, found, alarms = rows[false][-1].sum(0)
                print(f"{test.stem}, seed {seed}: begins at {on:.3f}: {found:.0f} of {there:.0f}, {alarms:.0f} false")
    for false in FALSE:
        every = np.concatenate(rows[false])
        drawn = np.random.default_rng(0).integers(0, len(every), (RESAMPLES, len(every)))
        there, found, alarms = every.sum(0)
        low, high = np.percentile(every[drawn, 1].sum(1) / every[drawn, 0].sum(1), [2.5, 97.5])
        print(
            f"thresholds for one false event per {1 / false:.0f}: found {found / there:.1%} ({low:.1%} to {high:.1%}), "
            f"one false per {there / alarms if alarms else np.inf:.0f}"
        )


if __name__ == "__main__":
    main()
