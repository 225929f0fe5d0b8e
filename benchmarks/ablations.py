"""The MoViNet paper's ablations on synthetic gestures, one table: variants, seeds and the recipe are in ablations.yaml.

    python benchmarks/ablations.py --out runs/ablations            # everything, resumable; hours of one core
    python benchmarks/ablations.py --out runs/ablations --table    # what is there so far

Differences are in points of top-1 on the same test clips, with 95 % intervals over clips and seeds (a bootstrap, which
with three seeds is rather too narrow); those that cross zero are "not resolved". `--minutes` stops between trainings.
"""

import argparse
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gesture_study import Outcome, Study, compared, mean_of

from movinet.dataclass_io import from_plain
from movinet.reading import read_yaml
from movinet.recipes import find_recipe
from movinet.train.recipe import Recipe, recipe_from_dict

HERE = Path(__file__).parent
REFERENCE = "stream"
SHUFFLED = "shuffled"


@dataclass(frozen=True)
class Ablations:
    """The file."""

    recipe: dict[str, Any]
    seeds: tuple[int, ...]
    orders: tuple[str, ...]
    variants: dict[str, dict[str, Any]]

    def recipe_of(self, variant: str, seed: int) -> Recipe:
        plain = merged(self.recipe, self.variants[variant]) | {"seed": seed}
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
        print(f"\n| frames {order} | top-1, mean of seeds | beside the stream network, points |\n|---|---|---|")
        for variant in ablations.variants:
            runs, reference = found.get((order, variant), {}), found.get((order, REFERENCE), {})
            beside = "" if variant == REFERENCE else compared(runs, reference)
            print(f"| {variant} | {mean_of(runs)} | {beside} |")
    wanted, there = sum(1 for _ in ablations.jobs()), sum(map(len, found.values()))
    seconds = sum(outcome.seconds for runs in found.values() for outcome in runs.values())
    print(f"\n{there} of {wanted} trainings, {seconds / 60:.0f} minutes of one core.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", type=Path, default=HERE / "ablations.yaml")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no training after so many")
    parser.add_argument("--seeds", type=int, nargs="*", help="instead of the file's")
    parser.add_argument("--orders", nargs="*", help="instead of the file's")
    parser.add_argument("--table", action="store_true", help="train nothing")
    options = parser.parse_args()
    ablations = from_plain(Ablations, read_yaml(options.recipe, "ablations"), "ablations")
    study = Study(options.out, lambda line: print(line, flush=True))
    if options.seeds or options.orders:
        changed = {
            "seeds": tuple(options.seeds or ablations.seeds),
            "orders": tuple(options.orders or ablations.orders),
        }
        ablations = Ablations(ablations.recipe, variants=ablations.variants, **changed)
    print_table(ablations, run(study, ablations, options.minutes, options.table))


if __name__ == "__main__":
    main()
