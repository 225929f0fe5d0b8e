"""A whole search in a folder of its own: from a recipe to the specification of a network."""

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
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
from movinet.search.choose import Judge, evolution, most_probable, random_search
from movinet.search.controller import Controller
from movinet.search.describe import describe_search
from movinet.search.latency import LatencyTable, measure_latencies
from movinet.search.loop import Observer, Search
from movinet.search.names import amount, entropies, odds
from movinet.search.plots import draw_decisions, draw_network
from movinet.search.recipe import SearchRecipe, dump_search, read_search
from movinet.search.space import Point
from movinet.search.supernet import SuperNetwork
from movinet.train.checkpoint import load_checkpoint
from movinet.train.folder import alone
from movinet.train.logs import RunLog, read_log
from movinet.train.recipe import dump_recipe
from movinet.train.sets import Sets, classes_of, make_sets, read_splits
from movinet.train.signals import graceful_stop
from movinet.weights.info import default_transform

if TYPE_CHECKING:
    from lightning_fabric import Fabric

logger = logging.getLogger(__name__)

RECIPE, CHECKPOINT, FOUND, RESULT = "recipe.yaml", "checkpoint.safetensors", "found.yaml", "result.json"
TRAINING, LATENCIES, DECISIONS, PICTURE = "training.yaml", "latencies.json", "decisions.png", "found.png"


@dataclass(frozen=True)
class Prepared:
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


def prepare(recipe: SearchRecipe) -> Prepared:
    """Find the data of a recipe. Nothing is written.

    Raises:
        MovinetError: There is no such data, none to reward with, no network within the budget, or the template
            contradicts itself.
    """
    training = recipe.training
    splits = read_splits(training)
    template = recipe.template(len(classes_of(splits)))
    transform = default_transform(template)
    short = training.clips.resize_short or transform.resize_short
    sets = make_sets(training, splits, template, replace(transform, resize_short=short))
    if sets.validation is None:
        raise MovinetError("a search rewards networks for held-out clips: the recipe's data needs validation clips")
    if recipe.budget.cost == "macs":
        judge = Judge(recipe.budget, cost.macs(recipe.space, template), cost.state_bytes(recipe.space, template))
        judge.random(1, np.random.default_rng(training.seed))  # some network can be had
    return Prepared(recipe, template, sets, splits.warnings if splits else ())


def search(
    prepared: Prepared,
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
        prepared: From `prepare`.
        folder: New or empty; that of the search to go on with for `resume`.
        fabric: From `movinet.train.processes.connect`.
        resume: Go on from the folder's checkpoint, if it came so far.
        workers: Processes that prepare examples, for each process.
        watchers: Told how it goes, in the first process only.
        command: That began this, for the folder's README.
        checkpoint_seconds: Longest time without a checkpoint.
        progress: Told how many networks of how many are timed, where latency is the cost.

    Raises:
        MovinetError: The folder holds another run, something cannot be written, or the loss is not finite.
    """
    recipe, template = prepared.recipe, prepared.template
    with ExitStack() as stack:
        if fabric.is_global_zero:
            stack.enter_context(alone(folder, new=not resume))
            if not resume:
                write_atomically(folder / RECIPE, dump_search(recipe).encode())
        fabric.barrier()  # nobody reads before the folder is ours
        checkpoint = load_checkpoint(folder / CHECKPOINT) if resume and (folder / CHECKPOINT).exists() else None
        judge, notes = _judge(prepared, folder, fabric, progress)
        judge.random(1, np.random.default_rng(recipe.training.seed))
        torch.manual_seed(recipe.training.seed)
        network = SuperNetwork(recipe.space, template, recipe.training.rezero)
        run = Search(fabric, recipe, network, prepared.sets, judge, folder / CHECKPOINT, workers, checkpoint_seconds)
        if checkpoint:
            run.restore(checkpoint)
        describe = partial(
            describe_search, folder, recipe, prepared.sets, notes, command=command, began=datetime.now().astimezone()
        )
        if fabric.is_global_zero:
            describe()
        stop = stack.enter_context(graceful_stop())
        if fabric.is_global_zero:
            keeper = Keeper(folder, recipe, run.controller, checkpoint.progress["step"] if checkpoint else None)
            watchers = (stack.enter_context(closing(keeper)), *watchers)
        if not run.run(stop, watchers):
            if fabric.is_global_zero:
                describe(ended=datetime.now().astimezone())
            return Found(folder, False)
        point = _chosen(run, judge)
        spec, figures = _figures(run, judge, point, prepared)
        if fabric.is_global_zero:
            _write(folder, prepared, spec, figures)
            describe(ended=datetime.now().astimezone(), figures=figures)
        return Found(folder, True, spec, figures)


class Keeper:
    """Writes what a search leaves while it goes on: tables and a picture."""

    def __init__(self, folder: Path, recipe: SearchRecipe, controller: Controller, resume_at: int | None) -> None:
        self.folder, self.recipe = folder, recipe
        steps = ["loss", "rate", "labels", *(["tracking"] if recipe.training.loss.tracking else [])]
        open_ones = list(entropies(controller))
        steps += ["quality", "reward", "cost", "expected_cost", *open_ones, "clips_per_s"]
        epochs = ["seconds", "expected_cost", *open_ones, *odds(controller)]
        self.log = RunLog(folder, steps, epochs, resume_at=resume_at)

    def close(self) -> None:
        self.log.close()

    def step(self, row: Mapping[str, float]) -> None:
        self.log.step(row)

    def epoch(self, row: Mapping[str, float], controller: Controller) -> None:
        self.log.epoch(row)
        if self.recipe.method == "controller":
            _rather_without(
                lambda: draw_decisions(
                    read_log(self.folder), self.recipe.space, self.recipe.budget.target, self.folder / DECISIONS
                )
            )


def _judge(
    prepared: Prepared, folder: Path, fabric: "Fabric", progress: Callable[[int, int | None], None] | None
) -> tuple[Judge, tuple[str, ...]]:
    """The tables of costs, and what there is to know of them; latencies are measured once a folder, by the first
    process."""
    recipe, template = prepared.recipe, prepared.template
    state = cost.state_bytes(recipe.space, template)
    if recipe.budget.cost == "macs":
        return Judge(recipe.budget, cost.macs(recipe.space, template), state), ()
    path = folder / LATENCIES
    text = ""
    if fabric.is_global_zero:
        if not path.exists():
            table = measure_latencies(recipe.space, template, progress=progress)
            write_atomically(path, table.to_json().encode())
        text = path.read_text(encoding="utf-8")
    try:
        table = LatencyTable.from_json(fabric.broadcast(text))
        judge = Judge(recipe.budget, table.cost(recipe.space, template), state)
    except MovinetError as error:
        raise MovinetError(f"{path}: {error}") from error
    if table.doubt is None:
        return judge, (str(table),)
    again = f"for better ones stop, remove {path} and resume when it is quiet"
    if fabric.is_global_zero:
        logger.warning("%s; %s", table.doubt, again)
    return judge, (str(table), f"**Careful:** {table.doubt}; {again}.")


def _chosen(run: Search, judge: Judge) -> Point:
    rng = np.random.default_rng((run.recipe.training.seed, run.steps))
    if run.recipe.method == "controller":
        return most_probable(run.controller, judge, rng)
    method = random_search if run.recipe.method == "random" else evolution
    return method(judge, run.quality, run.recipe.tries, rng)


def _figures(run: Search, judge: Judge, point: Point, prepared: Prepared) -> tuple[NetworkSpec, dict[str, float]]:
    spec = run.recipe.space.to_spec(point, prepared.template, f"found_{amount(run.recipe.budget.target)}")
    row = np.array([point])
    figures = {
        "cost": float(judge.cost(row)[0]),
        "fits": float(judge.fits(row)[0]),
        "quality": run.quality(point),
        "macs_per_frame": macs_per_frame(spec),
        "parameters": parameters(spec),
        "state_bytes": state_bytes(spec),
        "seconds": run.place.seconds,
        **run.outlook(),
    }
    return spec, figures


def _write(folder: Path, prepared: Prepared, spec: NetworkSpec, figures: Mapping[str, float]) -> None:
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
    _rather_without(lambda: draw_network(spec, folder / PICTURE))


def _rather_without(draw: Callable[[], None]) -> None:
    """A picture that cannot be drawn is no reason to end a search."""
    try:
        draw()
    except MovinetError as error:
        logger.warning("no picture: %s", error)
