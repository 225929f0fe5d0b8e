"""The command that finds networks: search."""

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from shlex import quote
from typing import Annotated, Any

import numpy as np
from cyclopts import Parameter
from rich.text import Text

from movinet.cli.console import err, out, print_json, progress_bar, warn
from movinet.cli.machine import HERE, Machine, refuse_folder, told
from movinet.data.batches import batches_of
from movinet.errors import MovinetError
from movinet.recipes import find_recipe
from movinet.search import cost
from movinet.search.names import format_count
from movinet.search.search_display import SearchDisplay
from movinet.search.search_recipe import SearchRecipe, absolute, read_search
from movinet.search.search_run import FOUND, TRAINING, Found, PreparedSearch, begun_search, prepare_search, run_search
from movinet.train.distributed import shared_batch
from movinet.train.recipe_data import Gestures, GestureStreams, Videos
from movinet.words import counted

_UNDECIDED = 0.9  # of the entropy of even odds


def search(
    recipe: Path | None = None,
    *,
    target: float | None = None,
    data: Sequence[str] = (),
    out_folder: Annotated[Path | None, Parameter(name="--out")] = None,
    resume: Path | None = None,
    dry_run: bool = False,
    epochs: int | None = None,
    seed: int | None = None,
    machine: Machine = HERE,
    json: bool = False,
) -> int:
    """Find a network for your data and your budget. Ctrl-C saves first; `--resume` goes on to the same end.

    Args:
        recipe: a YAML file (budget, space, and how the super-network is trained), or the name of one that comes with
            movinet, such as search_gestures.
        target: instead of the recipe's: multiply-adds a frame, or milliseconds a step where latency is the cost.
        data: what to search with, where the recipe does not say: a folder or lists, as `movinet data check` reads them.
        out_folder: the search's folder; runs/NAME of the recipe by default.
        resume: the folder of a search to go on with.
        dry_run: say what would be done; search nothing.
        epochs: instead of the recipe's.
        seed: instead of the recipe's.
        machine: where.
        json: progress and results as JSON lines, for programs.
    """
    if (recipe is None) == (resume is None):
        raise MovinetError("give a recipe, or a search to go on with (--resume FOLDER)")
    carry_out = partial(_run, machine=machine, dry_run=dry_run, as_json=json)
    if resume is not None:
        changed: dict[str, object] = {
            "--target": target,
            "--data": data or None,
            "--out": out_folder,
            "--epochs": epochs,
            "--seed": seed,
        }
        if given := [name for name, value in changed.items() if value is not None]:
            raise MovinetError(f"{given[0]}: a search goes on as and where it began; begin a new one")
        return carry_out(begun_search(resume), resume, resume=True)
    assert recipe is not None
    recipe = find_recipe(recipe)
    what = _changed(read_search(recipe), recipe, target, data, epochs, seed)
    return carry_out(what, out_folder or Path("runs", recipe.stem))


def _changed(
    what: SearchRecipe, path: Path, target: float | None, data: Sequence[str], epochs: int | None, seed: int | None
) -> SearchRecipe:
    """The recipe with what the command line says instead."""
    training = what.training
    numbers: dict[str, Any] = {"epochs": epochs, "seed": seed}
    training = replace(training, **{name: value for name, value in numbers.items() if value is not None})
    if data:
        if isinstance(training.data, Gestures | GestureStreams):
            raise MovinetError(f"--data: {path} searches with synthetic gestures; take a recipe without data")
        training = replace(training, data=replace(training.data or Videos(()), paths=tuple(data)))
    budget = what.budget if target is None else replace(what.budget, target=target)
    return absolute(replace(what, training=training, budget=budget))


def _run(
    recipe: SearchRecipe, folder: Path, *, machine: Machine, dry_run: bool, as_json: bool, resume: bool = False
) -> int:
    """Prepare, then say what would be done or do it."""
    machine.check()
    refuse_folder(folder, recipe.training, new=not dry_run and not resume)
    prepared = prepare_search(recipe)
    everywhere = machine.processes * machine.nodes
    batch = shared_batch(recipe.training.batch_size, len(prepared.sets.train), everywhere)
    per_epoch = batches_of(len(prepared.sets.train), batch, everywhere)
    fabric = machine.connect(alone=dry_run, in_part=True)
    if fabric.is_global_zero:
        for warning in prepared.warnings:
            warn(warning)
    if dry_run:
        _print_plan(prepared, per_epoch, as_json)
        return 0
    display = partial(SearchDisplay, err, recipe.training.epochs, per_epoch)
    with told(fabric, folder, "search", as_json, display) as watchers, ExitStack() as stack:
        progress = stack.enter_context(progress_bar("timing networks")) if recipe.budget.cost == "latency" else None
        found = run_search(
            prepared,
            folder,
            fabric,
            resume=resume,
            workers=machine.shares()[0],
            watchers=watchers,
            command=("movinet", *sys.argv[1:]),
            checkpoint_seconds=60 * machine.checkpoint_minutes,
            progress=progress,
        )
    if fabric.is_global_zero:
        _print_found(found, as_json)
    return 0 if found.finished or not fabric.is_global_zero else 130


def _print_plan(prepared: PreparedSearch, per_epoch: int, as_json: bool) -> None:
    """What a search would do."""
    recipe, space, sets = prepared.recipe, prepared.recipe.space, prepared.sets
    training, budget = recipe.training, recipe.budget
    assert sets.validation is not None
    steps = training.epochs * per_epoch
    open_ones = sum(len(decision.choices) > 1 for decision in space.decisions)
    even = [np.full(len(d.choices), 1 / len(d.choices)) for d in space.decisions]
    mean = cost.macs(space, prepared.template).expected(even)
    if as_json:
        clips = {"train": len(sets.train), "held_out": len(sets.validation)}
        numbers = {"networks": space.size(), "decisions": open_ones, "mean_macs": mean, "updates": steps}
        print_json({"target": budget.target, "cost": budget.cost, "method": recipe.method, "clips": clips, **numbers})
        return
    unit = "multiply-adds a frame" if budget.cost == "macs" else "ms a step on this machine"
    rows = {
        "space": f"{space.size():.1e} networks, {counted(open_ones, 'decision')}; "
        f"{format_count(mean)} multiply-adds a frame on average",
        "budget": f"{format_count(budget.target)} {unit}, within {budget.tolerance:.0%}",
        "clips": f"{len(sets.train)} for weights, {len(sets.validation)} held out for rewards; "
        f"{counted(len(sets.train.classes), 'class', 'classes')}",
        "updates": f"{steps} = {counted(training.epochs, 'epoch')} of {per_epoch}; by {recipe.method}",
    }
    for name, text in rows.items():
        out.print(Text.assemble((f"{name:10}", "bold"), text))


def _print_found(found: Found, as_json: bool) -> None:
    """What a search came to."""
    folder = quote(str(found.folder))
    if as_json:
        result = {"type": "result", "folder": str(found.folder), "finished": found.finished}
        print_json({**result, "figures": dict(found.figures or {})})
        return
    if not found.finished or found.figures is None:
        out.print(f"stopped and saved; go on with: movinet search --resume {folder}")
        return
    figures = found.figures
    out.print(
        f"found: cost {format_count(figures['cost'])}, "
        f"{format_count(figures['macs_per_frame'])} multiply-adds a frame, "
        f"{figures['parameters']:,.0f} parameters; {figures['quality']:.1%} of held-out clips with the shared weights"
    )
    if figures.get("entropy", 0.0) > _UNDECIDED:
        warn(
            f"the controller is as undecided as when it began ({figures['entropy']:.0%} of that entropy), so this "
            "network is chance: search longer, or with a larger controller rate"
        )
    out.print(f"{found.folder / FOUND}: the specification; tables and pictures beside it")
    out.print(
        f"train it: movinet train {quote(str(found.folder / TRAINING))} --out {quote(str(found.folder / 'trained'))}"
    )
