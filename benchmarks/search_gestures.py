"""Whether searching pays: networks of a finished search's space, trained by themselves on synthetic gestures.

    movinet search search_gestures --out runs/search_gestures
    python benchmarks/search_gestures.py runs/search_gestures --plot accuracy.png

Ranking: networks drawn from the space, of any cost and of the target's, their accuracy with the super-network's
weights beside that after training of their own, and Kendall's τ of the two with its bootstrap interval. `--ranking`
names another search's folder whose weights are asked (one with `method: random` has no favorites).
Equal cost: the network that was found, A0 and T0 scaled to its target, and random networks within 3 % of it, some seeds
each. Every training is the same, on clips rendered once; its accuracy is that on other clips, in eval mode. What is
trained is kept in `trained.jsonl` and not trained again; several of these programs share the work.
"""

import argparse
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from movinet.arch.count import macs_per_frame, parameters
from movinet.arch.serialize import find_spec, read_spec
from movinet.arch.spec import NetworkSpec
from movinet.data.synthetic.gesture_dataset import GestureDataset
from movinet.nn.movinet import MoViNet
from movinet.search import cost
from movinet.search.candidates import CandidateEvaluator
from movinet.search.scaling import scale_network
from movinet.search.search_loop import Search
from movinet.search.search_plots import draw_accuracy
from movinet.search.search_run import FOUND, begun_search, prepare_search
from movinet.search.supernet import SuperNetwork
from movinet.search.supernet_loss import Remembered
from movinet.train.checkpoint import load_checkpoint
from movinet.train.datasets import Sets
from movinet.train.distributed import connect, settle_process
from movinet.train.init_model import begin_rezero
from movinet.train.recipe_data import Gestures
from movinet.train.run_dir import CHECKPOINT
from movinet.train.signals import Stop
from movinet.train.train_loop import Training
from movinet.train.validation import evaluate

TRAINED = "trained.jsonl"
RESAMPLES = 2000
DRAWN, EQUAL = 7, 11  # seeds of networks


class Bench:
    """A search's space and data, and what has been trained of it."""

    def __init__(self, folder: Path, epochs: int, known_only: bool = False) -> None:
        self.folder, self.epochs, self.known_only = folder, epochs, known_only
        self.recipe = begun_search(folder)
        self.prepared = prepare_search(self.recipe)
        self.fabric = connect("cpu")
        settle_process(self.fabric)
        torch.set_num_threads(1)
        self._sets: Sets | None = None
        budget = self.recipe.budget
        table = cost.macs(self.recipe.space, self.prepared.template)
        state = cost.state_bytes(self.recipe.space, self.prepared.template)
        self.judge = CandidateEvaluator(budget, table, state)

    @property
    def sets(self) -> Sets:
        """Rendered once; the test clips as they are shown to the trained network, in one length."""
        if self._sets is None:
            data, test = self.recipe.training.data, self.prepared.sets.test
            assert isinstance(data, Gestures)
            assert not data.fresh
            assert isinstance(test, GestureDataset)
            test.lengths = data.frames
            self._sets = Sets(Remembered(self.prepared.sets.train), None, Remembered(test))
        return self._sets

    def done(self) -> dict[tuple[str, int], float]:
        path = self.folder / TRAINED
        rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        return {(row["name"], row["seed"]): row["top1"] for row in rows if row["epochs"] == self.epochs}

    def train(self, spec: NetworkSpec, seed: int) -> float | None:
        """Top-1 on the test clips after training from scratch; from the file where it is known. None while another
        process is at it, or where nothing is to be trained."""
        key = (spec.name, seed)
        if key in self.done():
            return self.done()[key]
        if self.known_only:
            return None
        with _claimed(self.folder / f".{spec.name}.{seed}.{self.epochs}") as ours:
            if not ours:
                return None
            recipe = replace(self.recipe.training, epochs=self.epochs, seed=seed, network=spec.name)
            torch.manual_seed(seed)
            model = MoViNet(spec)
            begin_rezero(model, recipe.rezero_init)
            sets = self.sets
            with TemporaryDirectory() as scratch:
                Training(self.fabric, recipe, model.train(), sets, Path(scratch, "checkpoint")).run(Stop())
            assert sets.test is not None
            top1 = evaluate(self.fabric, model, sets.test, 64).scores()["top1"]
            row = {"name": spec.name, "seed": seed, "epochs": self.epochs, "top1": top1}
            row |= {"macs": macs_per_frame(spec), "parameters": parameters(spec)}
            with (self.folder / TRAINED).open("a") as file:
                file.write(json.dumps(row) + "\n")
        return top1


@contextmanager
def _claimed(path: Path) -> Iterator[bool]:
    """Whether nobody else is at it."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        yield False
        return
    try:
        yield True
    finally:
        path.unlink()


def ranking(bench: Bench, asked: Path, drawn: int, equal: int) -> list[tuple[str, float, float, float]]:
    """Name, multiply-adds, quality with shared weights and top-1 of its own, of networks drawn from the space."""
    space, template = bench.recipe.space, bench.prepared.template
    points = {f"drawn_{n}": row for n, row in enumerate(space.random(drawn, np.random.default_rng(DRAWN)))}
    points |= {f"random_{n}": row for n, row in enumerate(bench.judge.random(equal, np.random.default_rng(EQUAL)))}
    recipe = begun_search(asked)
    network = SuperNetwork(space, template, recipe.training.rezero_init)
    search = Search(bench.fabric, recipe, network, bench.prepared.sets, bench.judge, asked / CHECKPOINT)
    search.restore(load_checkpoint(asked / CHECKPOINT))
    rows = []
    for name, row in points.items():
        point = tuple(row.tolist())
        spec = space.to_spec(point, template, name)
        top1 = bench.train(spec, seed=0)
        if top1 is not None:
            rows.append((name, macs_per_frame(spec), search.quality(point), top1))
    return rows


def equal_cost(bench: Bench, count: int) -> dict[str, list[NetworkSpec]]:
    """By group: the network that was found, A0 and T0 scaled, and random ones, all of the target's cost."""
    space, template, target = bench.recipe.space, bench.prepared.template, bench.recipe.budget.target
    found = read_spec(bench.folder / FOUND)
    assert isinstance(found, NetworkSpec)
    scaled = {}
    for name in ("movinet_a0_stream", "movinet_t0_stream"):
        spec = find_spec(name)
        assert isinstance(spec, NetworkSpec)
        like = replace(template, blocks=spec.blocks, stem=spec.stem, project=spec.project, hidden=space.hidden[0])
        scaled[name] = [replace(scale_network(like, target), name=f"scaled_{name[8:10]}")]
    points = bench.judge.random(count, np.random.default_rng(EQUAL))
    drawn = [space.to_spec(point.tolist(), template, f"random_{n}") for n, point in enumerate(points)]
    return {"found": [replace(found, name="found")], **scaled, "random": drawn}


def kendall(a: Sequence[float], b: Sequence[float]) -> float:
    """Kendall's τ-b."""
    signs = [np.sign(np.subtract.outer(np.array(x), np.array(x))) for x in (a, b)]
    both = float((signs[0] * signs[1]).sum())
    return both / float(np.sqrt((signs[0] ** 2).sum() * (signs[1] ** 2).sum()) or 1)


def interval(a: Sequence[float], b: Sequence[float]) -> tuple[float, float]:
    """The middle 95 % of τ over networks drawn again."""
    rng = np.random.default_rng(0)
    draws = [rng.integers(len(a), size=len(a)) for _ in range(RESAMPLES)]
    taus = [kendall(np.array(a)[d], np.array(b)[d]) for d in draws]  # type: ignore[arg-type]
    return float(np.percentile(taus, 2.5)), float(np.percentile(taus, 97.5))


def tell_ranking(console: Console, ranked: list[tuple[str, float, float, float]]) -> dict[str, object]:
    """Print it."""
    macs, shared, alone = ([float(row[n]) for row in ranked] for n in (1, 2, 3))
    tau, (low, high), of_cost = kendall(shared, alone), interval(shared, alone), kendall(macs, alone)
    table = Table("network", "M multiply-adds", "shared weights", "of its own", box=None)
    for name, cost_, quality, top1 in ranked:
        table.add_row(name, f"{cost_ / 1e6:.2f}", f"{quality:.1%}", f"{top1:.1%}")
    console.print(table)
    console.print(f"Kendall's τ {tau:.2f} of {len(ranked)} networks, 95 % interval {low:.2f} to {high:.2f}")
    console.print(f"of cost alone {of_cost:.2f}")
    return {"tau": tau, "interval": [low, high], "tau_of_cost": of_cost, "networks": ranked}


def tell_equal_cost(console: Console, groups: Mapping[str, list[tuple[float, list[float]]]]) -> None:
    """Print them."""
    table = Table("network", "M multiply-adds", "top-1 of seeds", "mean", box=None)
    for name, group in groups.items():
        for macs, top1s in group:
            table.add_row(name, f"{macs / 1e6:.3f}", " ".join(f"{t:.1%}" for t in top1s), f"{np.mean(top1s):.1%}")
    console.print(table)
    means = [float(np.mean(top1s)) for _, top1s in groups["random"]]
    if means:
        console.print(f"random: {len(means)} networks, mean {np.mean(means):.1%}, best {max(means):.1%}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="of a finished search")
    parser.add_argument("--ranking", type=Path, help="folder of the search whose weights are ranked with")
    parser.add_argument("--drawn", type=int, default=8, help="of any cost, to rank beside the random ones")
    parser.add_argument("--random", type=int, default=8, help="of equal cost")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--known", action="store_true", help="train nothing, tell what is known")
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    bench = Bench(args.folder, args.epochs, args.known)
    console = Console(width=120, stderr=args.json)
    specs = equal_cost(bench, args.random)
    for seed in range(args.seeds):  # all networks have one seed before any has two
        for spec in (spec for group in specs.values() for spec in group):
            bench.train(spec, seed)
    ranked = ranking(bench, args.ranking or args.folder, args.drawn, args.random)
    known = {
        name: [(macs_per_frame(spec), [bench.train(spec, seed) for seed in range(args.seeds)]) for spec in group]
        for name, group in specs.items()
    }
    groups = {
        name: [(macs, found) for macs, top1s in group if (found := [t for t in top1s if t is not None])]
        for name, group in known.items()
    }
    told = {"ranking": tell_ranking(console, ranked), "equal": groups}
    tell_equal_cost(console, groups)
    if args.plot:
        drawn = [(macs, top1) for name, macs, _, top1 in ranked if name.startswith("drawn")]
        draw_accuracy(groups, drawn, args.plot)
    if args.json:
        print(json.dumps(told))


if __name__ == "__main__":
    main()
