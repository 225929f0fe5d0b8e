"""Whether the controller pays: random search, evolution and the controller on the same super-network, and how alike
three searches are.

    python benchmarks/search_methods.py search_gestures --out runs/methods            # resumable; hours of one core
    python benchmarks/search_methods.py search_gestures --out runs/methods --table    # what is there so far

Every method gets the same space, budget, clips and updates of the super-network; random search and evolution then try
`--tries` networks on its validation set, which is about as many clips as the controller was rewarded for. What each
search finds is trained by itself, with one recipe and some passes over the clips, and judged on other clips. Printed
are the searches' finds, with the spread of each method, and whether methods differ. What was interrupted goes on.
"""

import argparse
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Literal

from gesture_study import Outcome, Study, compared, mean_of

from movinet.arch.serialize import read_spec
from movinet.costs import macs_per_frame
from movinet.search.search_recipe import SearchRecipe, dump_search, read_search
from movinet.search.search_run import FOUND, RESULT
from movinet.train.recipe import Recipe
from movinet.train.recipe_data import Gestures

METHODS: tuple[Literal["controller", "random", "evolution"], ...] = ("controller", "random", "evolution")


def searched(recipe: SearchRecipe, folder: Path, table: bool) -> bool:
    """Search, or go on with it, in a process of its own; whether it is finished."""
    if (folder / RESULT).exists() or table:
        return (folder / RESULT).exists()
    begun = (folder / "recipe.yaml").exists()
    path = folder.with_suffix(".yaml")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dump_search(recipe), encoding="utf-8")
    what = ["--resume", str(folder)] if begun else [str(path), "--out", str(folder)]
    command = [sys.executable, "-m", "movinet", "search", *what, "--threads", "1", "--workers", "0"]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise SystemExit(f"{folder}: the search failed")
    return True


def alone(recipe: SearchRecipe, spec: Path, epochs: int, seed: int) -> Recipe:
    """How a network that was found is trained by itself."""
    data = recipe.training.data
    assert isinstance(data, Gestures)
    return replace(
        recipe.training,
        network=str(spec),
        options={},
        data=replace(data, validation=0),
        epochs=epochs,
        seed=seed,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of the searches")
    parser.add_argument("--tries", type=int, default=130, help="networks that random search and evolution try")
    parser.add_argument("--search-epochs", type=int, help="instead of the recipe's")
    parser.add_argument("--epochs", type=int, default=4, help="of training what was found")
    parser.add_argument("--clips", type=int, help="instead of the recipe's, to train on")
    parser.add_argument("--table", action="store_true", help="search and train nothing")
    parser.add_argument("--quick", action="store_true", help="a few clips: whether it runs")
    options = parser.parse_args()
    base = read_search(options.recipe)
    data = base.training.data
    assert isinstance(data, Gestures)
    if options.quick:
        options.search_epochs, options.epochs, options.tries = 1, 1, 2
        data = replace(data, clips=44, validation=22, test=44)
    if options.clips:
        data = replace(data, clips=options.clips)
    epochs = options.search_epochs or base.training.epochs
    base = replace(base, training=replace(base.training, data=data, epochs=epochs))
    study = Study(options.out, lambda line: print(line, flush=True))
    found: dict[str, dict[int, Outcome]] = {method: {} for method in METHODS}
    costs: dict[str, list[float]] = {method: [] for method in METHODS}
    for seed in options.seeds:
        for method in METHODS:
            recipe = replace(base, method=method, tries=options.tries, training=replace(base.training, seed=seed))
            folder = options.out / f"{method}_{seed}"
            if not searched(recipe, folder, options.table):
                continue
            outcome = study.train(
                f"{method} {seed}", alone(recipe, folder / FOUND, options.epochs, seed), known_only=options.table
            )
            if outcome is not None:
                found[method][seed] = outcome
                costs[method].append(macs_per_frame(read_spec(folder / FOUND)))
    print("\n| method | M multiply-adds a frame | top-1 of what was found | spread | beside the controller |")
    print("|---|---|---|---|---|")
    for method in METHODS:
        runs = found[method]
        tops = [outcome.top1 for outcome in runs.values()]
        spread = f"{100 * (max(tops) - min(tops)):.1f} points" if len(tops) > 1 else ""
        beside = "" if method == "controller" else compared(runs, found["controller"])
        cost = ", ".join(f"{one / 1e6:.2f}" for one in costs[method])
        print(f"| {method} | {cost} | {mean_of(runs)} | {spread} | {beside} |")
    done = sum(map(len, found.values()))
    wanted = len(METHODS) * len(options.seeds)
    print(f"\n{done} of {wanted} searches. A spread mixes that of searches and of trainings.")


if __name__ == "__main__":
    main()
