"""The MoViNet paper's ablations on synthetic gestures, one table: variants, seeds and the recipe are in ablations.yaml.

    python benchmarks/ablations.py --out runs/ablations            # everything, resumable; hours of one core
    python benchmarks/ablations.py --out runs/ablations --table    # what is there so far
    python benchmarks/ablations.py --recipe benchmarks/comparators.yaml --out runs/comparators --json trained.json

    python benchmarks/ablations.py --recipe benchmarks/tuned_ablations.yaml --out runs/ablations

`comparators.yaml` has the networks that MoViNets are compared with; `movinet compare --trained` shows its table.
Your own study is such a file: a recipe of `movinet train`, and variants that change entries of it. The first variant is
what the others are compared with, unless `reference` names another.
`tuned_ablations.yaml` has those variants whose weights fit one another, trained further from one common start, which
tells smaller differences sooner. Studies that share a folder share trainings that are the same.
Differences are in points of top-1 on the same test clips, with 95 % intervals over clips and seeds (a bootstrap, which
with three seeds is rather too narrow); those that cross zero are "not resolved". `--minutes` stops between trainings.
"""

import argparse
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gesture_study import Outcome, Study, compared, mean_of

from movinet.costs import macs_per_clip, parameters
from movinet.data.synthetic.paths import GESTURES
from movinet.dataclass_io import from_plain
from movinet.errors import MovinetError
from movinet.files import write_json
from movinet.reading import read_yaml
from movinet.recipes import find_recipe
from movinet.train.init_model import new_spec
from movinet.train.recipe import Recipe, recipe_from_dict

HERE = Path(__file__).parent
SHUFFLED = "shuffled"
START_SEED = 0


@dataclass(frozen=True)
class Ablations:
    """The file."""

    recipe: dict[str, Any]
    seeds: tuple[int, ...]
    orders: tuple[str, ...]
    variants: dict[str, dict[str, Any]]
    reference: str = ""
    """The variant that others are compared with; by default the first."""
    start: dict[str, Any] | None = None
    """Entries of the recipe that are different for the network that every variant starts from; None: each is new."""

    def recipe_of(self, variant: str, seed: int) -> Recipe:
        return self._recipe(self.variants[variant], seed)

    def started(self, study: Study, table: bool) -> "Ablations":
        """With the common start trained, where there is one; for a table alone that is not needed."""
        if self.start is None:
            return self
        recipe = self._recipe(self.start, START_SEED)
        path = study.network_path(recipe)
        if not path.exists() and not table:
            study.train("the common start", recipe)
        return replace(self, recipe=self.recipe | {"init_from": str(path)}, start=None)

    def _recipe(self, changes: Mapping[str, Any], seed: int) -> Recipe:
        plain = merged(self.recipe, changes) | {"seed": seed}
        if (network := str(plain["network"])).endswith(".yaml"):
            plain["network"] = str(find_recipe(network))
        return recipe_from_dict(plain)

    def jobs(self) -> Iterator[tuple[str, str, int]]:
        """What is compared first comes first: order, variant, seed."""
        for order in self.orders:
            for variant in self.variants:
                for seed in self.seeds:
                    yield order, variant, seed


def merged(plain: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A mapping with some entries changed, also within entries."""
    found = dict(plain)
    for name, value in changes.items():
        old = found.get(name)
        found[name] = merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return found


def run(study: Study, ablations: Ablations, minutes: float, table: bool) -> dict[tuple[str, str], dict[int, Outcome]]:
    """Everything, or what there is: outcomes by seed, of each order and variant."""
    found: dict[tuple[str, str], dict[int, Outcome]] = {}
    end = time.monotonic() + 60 * minutes
    for order, variant, seed in ablations.jobs():
        outcome = study.train(
            f"{order}: {variant}",
            ablations.recipe_of(variant, seed),
            shuffled=order == SHUFFLED,
            known_only=table or time.monotonic() > end,
        )
        if outcome is not None:
            found.setdefault((order, variant), {})[seed] = outcome
    return found


def print_table(ablations: Ablations, found: dict[tuple[str, str], dict[int, Outcome]]) -> None:
    for order in ablations.orders:
        print(f"\n| frames {order} | top-1, mean of seeds | beside {ablations.reference}, points |\n|---|---|---|")
        for variant in ablations.variants:
            runs, reference = found.get((order, variant), {}), found.get((order, ablations.reference), {})
            beside = "" if variant == ablations.reference else compared(runs, reference)
            print(f"| {variant} | {mean_of(runs)} | {beside} |")
    wanted, there = sum(1 for _ in ablations.jobs()), sum(map(len, found.values()))
    seconds = sum(outcome.seconds for runs in found.values() for outcome in runs.values())
    print(f"\n{there} of {wanted} trainings, {seconds / 60:.0f} minutes of one core.")


def trained(ablations: Ablations, found: dict[tuple[str, str], dict[int, Outcome]]) -> list[dict[str, Any]]:
    """The first table as `movinet compare --trained` takes it."""
    rows = []
    for variant in ablations.variants:
        if runs := found.get((ablations.orders[0], variant)):
            spec = new_spec(ablations.recipe_of(variant, 0), len(GESTURES))
            row: dict[str, Any] = {"network": variant, "top1": [outcome.top1 for outcome in runs.values()]}
            row |= {"clips": len(next(iter(runs.values())).hits), "parameters": parameters(spec)}
            rows.append(row | {"gmacs": macs_per_clip(spec) / 1e9})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", type=Path, default=HERE / "ablations.yaml")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no training after so many")
    parser.add_argument("--seeds", type=int, nargs="*", help="instead of the file's")
    parser.add_argument("--orders", nargs="*", help="instead of the file's")
    parser.add_argument("--variants", nargs="*", help="of the file's, only these")
    parser.add_argument("--json", type=Path, help="where to write the table for `movinet compare --trained`")
    parser.add_argument("--table", action="store_true", help="train nothing")
    options = parser.parse_args()
    ablations = from_plain(Ablations, read_yaml(options.recipe, "ablations"), "ablations")
    study = Study(options.out, lambda line: print(line, flush=True))
    seeds, orders = tuple(options.seeds or ablations.seeds), tuple(options.orders or ablations.orders)
    reference = ablations.reference or next(iter(ablations.variants))
    for name in (reference, *(options.variants or ())):
        if name not in ablations.variants:
            parser.error(f"{options.recipe}: there is no variant {name!r}; there are {', '.join(ablations.variants)}")
    for name in ablations.variants:  # before hours of training, not after
        try:
            new_spec(ablations.recipe_of(name, 0), len(GESTURES))
        except MovinetError as error:
            parser.error(f"{options.recipe}: variant {name!r}: {error}")
    variants = {name: ablations.variants[name] for name in options.variants or ablations.variants}
    ablations = replace(ablations, seeds=seeds, orders=orders, variants=variants, reference=reference)
    ablations = ablations.started(study, options.table)
    found = run(study, ablations, options.minutes, options.table)
    print_table(ablations, found)
    if options.json:
        write_json(options.json, {"trained": trained(ablations, found)})


if __name__ == "__main__":
    main()
