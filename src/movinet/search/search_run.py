"""A whole search in a folder of its own: from a recipe to the specification of a network."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from movinet import __version__
from movinet.arch.count import macs_per_frame, parameters, state_bytes
from movinet.arch.serialize import dump_spec
from movinet.arch.spec import NetworkSpec
from movinet.errors import MovinetError
from movinet.files import write_atomically, write_json
from movinet.search import cost
from movinet.search.candidates import CandidateEvaluator, evolution, most_probable, random_search
from movinet.search.latency import LatencyTable, measure_latencies
from movinet.search.names import entropies, format_count, odds
from movinet.search.search_loop import Search
from movinet.search.search_plots import draw_decisions, draw_network
from movinet.search.search_readme import describe_search
from movinet.search.search_recipe import SearchRecipe, dump_search, read_search
from movinet.search.space import Point
from movinet.search.supernet import SuperNetwork
from movinet.train.datasets import Sets, classes_of, make_sets, read_splits
from movinet.train.init_model import training_transform
from movinet.train.logs import read_log
from movinet.train.recipe import dump_recipe
from movinet.train.run_dir import CHECKPOINT, RECIPE
from movinet.train.run_recorder import RunRecorder, carried_out, own_folder, rather_without
from movinet.train.train_loop import Observer

if TYPE_CHECKING:
    from lightning_fabric import Fabric

logger = logging.getLogger(__name__)

FOUND, RESULT = "found.yaml", "result.json"
TRAINING, LATENCIES, DECISIONS, PICTURE = "training.yaml", "latencies.json", "decisions.png", "found.png"


@dataclass(frozen=True)
class PreparedSearch:
    """Everything a search begins with."""

    recipe: SearchRecipe
    template: NetworkSpec
    sets: Sets
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Found:
    """What a search came to.

    Attributes:
        folder: Of the search.
        finished: False if it was asked to stop before its end.
        spec: The network that was found.
        figures: `cost`, `quality` with the shared weights, `entropy` and so on.
    """

    folder: Path
    finished: bool
    spec: NetworkSpec | None = None
    figures: Mapping[str, float] | None = None


def begun_search(folder: Path) -> SearchRecipe:
    """The recipe of a search that is to go on.

    Raises:
        MovinetError: There is none in the folder.
    """
    if not (folder / RECIPE).exists():
        raise MovinetError(f"{folder}: no search's folder: there is no {RECIPE} in it")
    return read_search(folder / RECIPE)


def prepare_search(recipe: SearchRecipe) -> PreparedSearch:
    """Find the data of a recipe. Nothing is written.

    Raises:
        MovinetError: There is no such data, none to reward with, no network within the budget, or the template
            contradicts itself.
    """
    training = recipe.training
    splits = read_splits(training)
    template = recipe.template(len(classes_of(splits)))
    sets = make_sets(training, splits, template, training_transform(template, training))
    if sets.validation is None:
        raise MovinetError("a search rewards networks for held-out clips: the recipe's data needs validation clips")
    if recipe.budget.cost == "macs":
        judge = CandidateEvaluator(
            recipe.budget, cost.macs(recipe.space, template), cost.state_bytes(recipe.space, template)
        )
        judge.random(1, np.random.default_rng(training.seed))  # some network can be had
    return PreparedSearch(recipe, template, sets, splits.warnings if splits else ())


def run_search(
    prepared: PreparedSearch,
    folder: Path,
    fabric: "Fabric",
    *,
    resume: bool = False,
    workers: int = 0,
    watchers: tuple[Observer, ...] = (),
    command: Sequence[str] = (),
    checkpoint_seconds: float = 300.0,
    progress: Callable[[int, int | None], None] | None = None,
) -> Found:
    """Search, in a folder that holds everything about it.

    Args:
        prepared: From `prepare_search`.
        folder: New or empty; that of the search to go on with for `resume`.
        fabric: From `movinet.train.distributed.connect`.
        resume: Go on from the folder's checkpoint, if it came so far.
        workers: Processes that prepare_search examples, for each process.
        watchers: Told how it goes, in the first process only.
        command: That began this, for the folder's README.
        checkpoint_seconds: Longest time without a checkpoint.
        progress: Told how many networks of how many are timed, where latency is the cost.

    Raises:
        MovinetError: The folder holds another run, something cannot be written, or the loss is not finite.
    """
    recipe, sets = prepared.recipe, prepared.sets
    with own_folder(fabric, folder, None if resume else partial(_begin, folder, recipe)) as checkpoint:
        judge, notes = _judge(prepared, folder, fabric, progress)
        judge.random(1, np.random.default_rng(recipe.training.seed))
        torch.manual_seed(recipe.training.seed)
        network = SuperNetwork(recipe.space, prepared.template, recipe.training.rezero_init)
        run = Search(fabric, recipe, network, sets, judge, folder / CHECKPOINT, workers, checkpoint_seconds)
        describe = partial(
            describe_search, folder, recipe, sets, notes, command=command, began=datetime.now().astimezone()
        )
        with carried_out(run, checkpoint, partial(_recorder, folder, run), watchers, describe) as (finished, _):
            spec, figures = _figures(run, _chosen(run), prepared) if finished else (None, None)
            if fabric.is_global_zero:
                if spec is not None and figures is not None:
                    _write(folder, prepared, spec, figures)
                describe(ended=datetime.now().astimezone(), figures=figures)
        return Found(folder, finished, spec, figures)


def _begin(folder: Path, recipe: SearchRecipe) -> None:
    write_atomically(folder / RECIPE, dump_search(recipe).encode())


def _recorder(folder: Path, run: Search, resume_at: int | None) -> RunRecorder:
    """Tables of a search, and a picture of how its decisions settle."""
    recipe, open_ones = run.search, list(entropies(run.controller))
    steps = ["labels", *(["aux_point"] if recipe.training.loss.aux_point else [])]
    steps += ["quality", "reward", "cost", "expected_cost", *open_ones]

    def draw() -> None:
        if recipe.method == "controller":
            draw_decisions(read_log(folder), recipe.space, recipe.budget.target, folder / DECISIONS)

    return RunRecorder(folder, steps, ["expected_cost", *open_ones, *odds(run.controller)], draw, resume_at)


def _judge(
    prepared: PreparedSearch, folder: Path, fabric: "Fabric", progress: Callable[[int, int | None], None] | None
) -> tuple[CandidateEvaluator, tuple[str, ...]]:
    """The tables of costs, and what there is to know of them; latencies are measured once a folder, by the first
    process."""
    recipe, template = prepared.recipe, prepared.template
    state = cost.state_bytes(recipe.space, template)
    if recipe.budget.cost == "macs":
        return CandidateEvaluator(recipe.budget, cost.macs(recipe.space, template), state), ()
    path = folder / LATENCIES
    text = ""
    if fabric.is_global_zero:
        if not path.exists():
            table = measure_latencies(recipe.space, template, progress=progress)
            write_atomically(path, table.to_json().encode())
        text = path.read_text(encoding="utf-8")
    try:
        table = LatencyTable.from_json(fabric.broadcast(text))
        judge = CandidateEvaluator(recipe.budget, table.cost(recipe.space, template), state)
    except MovinetError as error:
        raise MovinetError(f"{path}: {error}") from error
    if table.doubt is None:
        return judge, (str(table),)
    again = f"for better ones stop, remove {path} and resume when it is quiet"
    if fabric.is_global_zero:
        logger.warning("%s; %s", table.doubt, again)
    return judge, (str(table), f"**Careful:** {table.doubt}; {again}.")


def _chosen(run: Search) -> Point:
    rng = np.random.default_rng((run.recipe.seed, run.steps))
    if run.search.method == "controller":
        return most_probable(run.controller, run.judge, rng)
    method = random_search if run.search.method == "random" else evolution
    return method(run.judge, run.quality, run.search.tries, rng)


def _figures(run: Search, point: Point, prepared: PreparedSearch) -> tuple[NetworkSpec, dict[str, float]]:
    spec = run.search.space.to_spec(point, prepared.template, f"found_{format_count(run.search.budget.target)}")
    row = np.array([point])
    figures = {
        "cost": float(run.judge.cost(row)[0]),
        "fits": float(run.judge.fits(row)[0]),
        "quality": run.quality(point),
        "macs_per_frame": macs_per_frame(spec),
        "parameters": parameters(spec),
        "state_bytes": state_bytes(spec),
        "seconds": run.state.seconds,
    }
    # What the controller makes of it says nothing where it did not choose.
    return spec, figures | (run.outlook() if run.search.method == "controller" else {})


def _write(folder: Path, prepared: PreparedSearch, spec: NetworkSpec, figures: Mapping[str, float]) -> None:
    """The specification with where it comes from, a recipe to train it with, figures and a picture."""
    budget = prepared.recipe.budget
    unit = {"macs": "multiply-adds a frame", "latency": "ms a step"}[budget.cost]
    lines = [
        f"Found by `movinet search` {datetime.now(UTC):%Y-%m-%d}, movinet {__version__}, with recipe.yaml beside it.",
        f"Method: {prepared.recipe.method}, seed {prepared.recipe.training.seed}; "
        f"one of {prepared.recipe.space.size():.1e} networks.",
        f"Target {budget.target:,.6g} {unit}, found {figures['cost']:,.6g}; "
        f"{figures['macs_per_frame'] / 1e6:.3f} M multiply-adds a frame, {figures['parameters']:,.0f} parameters.",
        f"With the shared weights {figures['quality']:.1%} of the held-out clips.",
    ]
    if not figures["fits"]:
        lines.append(f"No network near what the controller likes is within {budget.tolerance:.0%} of the target.")
        logger.warning("%s", lines[-1])
    text = "".join(f"# {line}\n" for line in lines) + dump_spec(spec)
    write_atomically(folder / FOUND, text.encode())
    training = replace(prepared.recipe.training, network=str((folder / FOUND).absolute()), options={})
    write_atomically(folder / TRAINING, dump_recipe(training).encode())
    result = {"figures": dict(figures), "budget": asdict(budget), "spec": spec.to_dict()}
    write_json(folder / RESULT, result)
    rather_without(partial(draw_network, spec, folder / PICTURE))
