"""Temporal ensembles: two networks at half the frame rate, one frame apart, against one network of equal compute.

    python benchmarks/temporal_ensembles.py --out runs/ablations            # resumable; an hour of one core
    python benchmarks/temporal_ensembles.py --out runs/ablations --table    # what is there so far

One network sees every frame. The two of a pair take every other one each, so that the pair costs as much; their logits
are averaged (section 3.3 of the MoViNet paper). Stream networks and base networks, some seeds each; the recipe is
ablations.yaml's at twice its frame rate. Differences are in points of top-1 on the same test clips, with 95 % intervals
over clips and seeds. Pair n has the networks of seeds n and n + 1, the last one that of the first seed, so that each
network is in two pairs: intervals are rather too narrow for it. In the folder of the ablations, their trainings serve.
"""

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from ablations import Ablations, merged
from gesture_study import Hits, Outcome, Study, compared, digest, mean_of

from movinet.arch.spec import NetworkSpec
from movinet.arch.zoo import temporal_ensemble
from movinet.costs import macs_per_frame
from movinet.data.synthetic.paths import GESTURES
from movinet.dataclass_io import from_plain
from movinet.nn.ensemble import Ensemble
from movinet.reading import read_yaml
from movinet.train.init_model import new_spec
from movinet.train.recipe import Recipe

HERE = Path(__file__).parent
FORMS: dict[str, dict[str, Any]] = {
    "stream": {},
    "base": {"options": {"causal": False, "squeeze_excitation": "global"}},
}
FULL: dict[str, Any] = {"options": {"fps": 5.0, "frames": 16}, "data": {"frames": [16]}}


def recipes(
    ablations: Ablations, form: str, seed: int, seeds: Sequence[int], quick: bool
) -> tuple[Recipe, list[Recipe]]:
    """Of the single network at the full rate, and of the two at half of it."""
    less: dict[str, Any] = {"epochs": 1, "data": {"clips": 44, "test": 44}} if quick else {}
    plain = merged(merged(ablations.recipe, FORMS[form]), less)

    def of(changes: dict[str, Any], number: int) -> Recipe:
        variants = {"it": merged(plain, changes)}
        return Ablations(plain, ablations.seeds, ablations.orders, variants).recipe_of("it", number)

    after = seeds[(seeds.index(seed) + 1) % len(seeds)]
    return of(FULL, seed), [of({}, seed), of({}, after)]


def pair_hits(study: Study, whole: Recipe, members: list[Recipe]) -> Hits:
    """Train both members, put them together, and show them the clips at the full rate."""
    models = [study.network(member) for member in members]
    specs = [model.spec for model in models]
    assert all(isinstance(spec, NetworkSpec) for spec in specs)
    ensemble = Ensemble(temporal_ensemble("pair", *specs)).eval()
    with torch.no_grad():
        for part, model in zip(ensemble.members, models, strict=True):
            part.load_state_dict(model.state_dict())
    test = study.sets(whole).test
    assert test is not None
    return study.hits(ensemble, test)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--forms", nargs="+", choices=list(FORMS), default=list(FORMS))
    parser.add_argument("--table", action="store_true", help="train nothing")
    parser.add_argument("--quick", action="store_true", help="a few clips: whether it runs")
    options = parser.parse_args()
    ablations = from_plain(Ablations, read_yaml(HERE / "ablations.yaml", "ablations"), "ablations")
    study = Study(options.out, lambda line: print(line, flush=True))
    found: dict[str, dict[str, dict[int, Outcome]]] = {form: {"one": {}, "pair": {}} for form in options.forms}
    costs: dict[str, tuple[float, float]] = {}
    for form in options.forms:
        for seed in options.seeds:
            whole, members = recipes(ablations, form, seed, options.seeds, options.quick)
            one = study.train(f"{form}, one", whole, known_only=options.table)
            if not options.table:
                for member in members:
                    study.train(f"{form}, member", member)
            which = "-".join([digest(member, shuffled=False) + f".{member.seed}" for member in members])
            hits = partial(pair_hits, study, whole, members)
            pair = study.outcome(f"{form}, pair", seed, which, hits, known_only=options.table)
            for name, outcome in (("one", one), ("pair", pair)):
                if outcome is not None:
                    found[form][name][seed] = outcome
            single, half = new_spec(whole, len(GESTURES)), new_spec(members[0], len(GESTURES))
            assert isinstance(half, NetworkSpec)
            costs[form] = (macs_per_frame(single), macs_per_frame(temporal_ensemble("pair", half, half)))
    print("\n| | M multiply-adds a frame | top-1, mean of seeds | pair beside one, points |\n|---|---|---|---|")
    for form, (one_cost, pair_cost) in costs.items():
        one_, pair_ = found[form]["one"], found[form]["pair"]
        print(f"| {form}, one at the full rate | {one_cost / 1e6:.2f} | {mean_of(one_)} | |")
        print(f"| {form}, two at half of it | {pair_cost / 1e6:.2f} | {mean_of(pair_)} | {compared(pair_, one_)} |")


if __name__ == "__main__":
    main()
