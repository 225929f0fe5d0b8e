"""Commands that train: train, finetune."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from movinet.arch.spec import EnsembleSpec
from movinet.cli.console import err, progress_bar, warn
from movinet.cli.machine import HERE, Machine, refuse_folder, told
from movinet.cli.training_report import print_finished, print_plan, print_result
from movinet.errors import MovinetError
from movinet.evaluate.labeled_streams import lists_streams
from movinet.recipes import find_recipe
from movinet.train.ensemble_run import (
    begin_ensemble,
    ensemble_of,
    join_members,
    member_folder,
    member_recipe,
    member_weights,
)
from movinet.train.estimate import estimate
from movinet.train.finetune_recipe import Finetuning, finetune_recipe, finetune_streams_recipe
from movinet.train.progress import ProgressDisplay
from movinet.train.recipe import Recipe, read_recipe, with_absolute_paths
from movinet.train.recipe_data import Gestures, GestureStreams, Streams, Videos
from movinet.train.run_dir import RECIPE
from movinet.train.train_run import METRICS, begun_recipe, decode_streams, prepare_training, run_training
from movinet.weights.load import load_weights
from movinet.weights.weights import Weights

DEFAULTS = Finetuning()


def train(
    recipe: Path | None = None,
    *,
    arch: str | None = None,
    data: Sequence[str] = (),
    videos: str | None = None,
    skip_missing: bool = False,
    out_folder: Annotated[Path | None, Parameter(name="--out")] = None,
    resume: Path | None = None,
    dry_run: bool = False,
    epochs: int | None = None,
    batch_size: int | None = None,
    seed: int | None = None,
    machine: Machine = HERE,
    offline: bool = False,
    json: bool = False,
) -> int:
    """Train a network as a recipe says. Ctrl-C saves first; `--resume` goes on to the same end.

    Args:
        recipe: a YAML file, or the name of one that comes with movinet, such as gestures or movinet_a0_stream.k600.
        arch: another network than the recipe's: a name of `movinet models`, or a YAML specification.
        data: what to train on, where the recipe does not say: a folder or lists, as `movinet data check` reads them.
        videos: where listed videos are; by default where the list is.
        skip_missing: leave out listed videos that are not there.
        out_folder: the run's folder; runs/NAME of the recipe by default.
        resume: the folder of a run to go on with.
        dry_run: say what would be done, with shapes, rates and an estimate of memory; train nothing.
        epochs: instead of the recipe's.
        batch_size: instead of the recipe's; over all processes.
        seed: instead of the recipe's.
        machine: where.
        offline: never download.
        json: progress and results as JSON lines, for programs.
    """
    if (recipe is None) == (resume is None):
        raise MovinetError("give a recipe, or a run to go on with (--resume FOLDER)")
    carry_out = partial(_run, machine=machine, dry_run=dry_run, offline=offline, as_json=json)
    if resume is not None:
        changed: dict[str, object] = {"--arch": arch, "--data": data or None, "--videos": videos, "--out": out_folder}
        changed |= {
            "--skip-missing": skip_missing or None,
            "--epochs": epochs,
            "--batch-size": batch_size,
            "--seed": seed,
        }
        if given := [name for name, value in changed.items() if value is not None]:
            raise MovinetError(f"{given[0]}: a run goes on as and where it began; begin a new one for another recipe")
        if (resume / METRICS).exists() and not dry_run:
            print_finished(resume, json)
            return 0
        return carry_out(begun_recipe(resume), resume, resume=True)
    assert recipe is not None
    recipe = find_recipe(recipe)
    what = read_recipe(recipe)
    if arch is not None:
        what = replace(what, network=arch)
    if data or videos is not None:
        if isinstance(what.data, Gestures | GestureStreams):
            raise MovinetError(f"--data: {recipe} trains on synthetic gestures; take a recipe without data")
        known = what.data or (Streams(()) if _are_streams(data, "auto") else Videos(()))
        what = replace(what, data=replace(known, paths=tuple(data) or known.paths, videos=videos))
    if skip_missing:
        if not isinstance(what.data, Videos):
            raise MovinetError(f"--skip-missing is of lists of clips; {recipe} trains on something else")
        what = replace(what, data=replace(what.data, skip_missing=True))
    numbers: dict[str, Any] = {"epochs": epochs, "batch_size": batch_size, "seed": seed}
    what = replace(what, **{name: value for name, value in numbers.items() if value is not None})
    folder = out_folder or Path("runs", recipe.stem)
    return carry_out(what, folder)


def finetune(
    *data: str,
    model: Annotated[str | None, Parameter(name=["--model", "-m"])] = None,
    videos: str | None = None,
    skip_missing: bool = False,
    train: Sequence[str] = (),
    validation: Sequence[str] = (),
    test: Sequence[str] = (),
    held_out: float = Videos.held_out,
    kind: Annotated[Literal["auto", "clips", "streams"], Parameter(name="--as")] = "auto",
    background: str | None = None,
    mined: str | None = None,
    out_folder: Annotated[Path | None, Parameter(name="--out")] = None,
    dry_run: bool = False,
    options: Annotated[Finetuning, Parameter(name="*")] = DEFAULTS,
    machine: Machine = HERE,
    offline: bool = False,
    json: bool = False,
) -> int:
    """Teach a trained network your own classes: a folder of clips in, one file for `classify` and `watch` out.

    Args:
        data: a folder with a folder of clips per class, or lists: whatever `movinet data check` reads; or lists of long
            videos and what happens in them when (file,label,start,end, or JSON as ActivityNet, THUMOS and SoccerNet
            write it), from which the network learns on streams.
        model: what to start from: a name of `movinet models`, or a weights file.
        videos: where listed videos are; by default where the list is.
        skip_missing: leave out listed videos that are not there.
        train: splits to train on; by default those called train, else all others.
        validation: splits to look at after every epoch; by default those called val.
        test: splits to stream once, at the end; by default those called test.
        held_out: the share of the training clips to validate with, where there is no such split; 0: none.
        kind: what the lists are of; by default told by what is in them.
        background: of streams: the label of the time in which nothing happens; by default that of the weights, or
            `other` where the lists have it, or a new label, `background`.
        mined: of streams: a list (columns file, start) of moments to be seen more often, such as false alarms.
        out_folder: the run's folder; runs/NAME of the data by default.
        dry_run: say what would be done; train nothing.
        options: of the training.
        machine: where.
        offline: never download.
        json: progress and results as JSON lines, for programs.
    """
    if not data:
        raise MovinetError("give a folder of clips, one folder a class, or a list (`movinet finetune --help`)")
    if model is None:
        raise MovinetError(
            "give the weights to start from: --model movinet_a0_stream.k600 or another of `movinet models`, or a file"
        )
    with progress_bar("downloading") as progress:
        weights = load_weights(model, offline=offline, progress=progress)
    splits: Any = {"train": tuple(train), "validation": tuple(validation), "test": tuple(test), "held_out": held_out}
    if _are_streams(data, kind):
        if skip_missing:
            raise MovinetError("--skip-missing is of clips; of long videos all that are listed must be there")
        streams = Streams(data, videos, background, mined=mined, **splits)
        recipe = finetune_streams_recipe(model, streams, weights.info, options)
    elif background is not None or mined is not None:
        raise MovinetError(f"--{'background' if mined is None else 'mined'} is of long videos; these are clips")
    else:
        recipe = finetune_recipe(
            model, Videos(data, videos, skip_missing=skip_missing, **splits), weights.info, options
        )
    folder = out_folder or Path("runs", Path(data[0]).resolve().stem)
    return _run(recipe, folder, machine=machine, dry_run=dry_run, offline=offline, as_json=json, weights=weights)


def _are_streams(data: Sequence[str], kind: Literal["auto", "clips", "streams"]) -> bool:
    """Whether these are lists of long videos."""
    if kind != "auto":
        return kind == "streams"
    found = {path: Path(path).is_file() and lists_streams(Path(path)) for path in data}
    if len(set(found.values())) > 1:
        streams, clips = (next(path for path in data if found[path] == wanted) for wanted in (True, False))
        raise MovinetError(f"{streams} lists long videos, {clips} lists clips; train on one kind, or say which (--as)")
    return any(found.values())


def _run(
    recipe: Recipe,
    folder: Path,
    *,
    machine: Machine,
    dry_run: bool,
    offline: bool,
    as_json: bool,
    resume: bool = False,
    weights: Weights | None = None,
) -> int:
    """Prepare, then say what would be done or do it."""
    recipe = with_absolute_paths(recipe)
    machine.check()
    if (ensemble := ensemble_of(recipe)) is not None:
        return _run_members(
            recipe, ensemble, folder, machine=machine, dry_run=dry_run, offline=offline, as_json=as_json, resume=resume
        )
    refuse_folder(folder, recipe, new=not dry_run and not resume)
    with progress_bar("downloading") as progress:
        # What is wrong is said before processes begin.
        prepared = prepare_training(recipe, weights, offline=offline, progress=progress)
    everywhere = machine.processes * machine.nodes
    plan = estimate(recipe, prepared.start.model.spec, len(prepared.sets.train), processes=everywhere, device=None)
    fabric = machine.connect(alone=dry_run)
    if fabric.is_global_zero:
        for warning in prepared.splits.warnings if prepared.splits else ():
            warn(warning)
    if dry_run:
        half = fabric.device.type == "cuda" and machine.precision != "32-true"
        print_plan(prepared, everywhere, fabric.device.type, half, as_json)
        return 0
    display = partial(ProgressDisplay, err, recipe.epochs, plan.steps_per_epoch)
    with progress_bar("decoding") as decoding:
        decode_streams(fabric, prepared.sets, decoding)
    with told(fabric, folder, "train", as_json, display) as watchers:
        result = run_training(
            prepared,
            folder,
            fabric,
            resume=resume,
            workers=machine.shares()[0],
            watchers=watchers,
            command=("movinet", *sys.argv[1:]),
            checkpoint_seconds=60 * machine.checkpoint_minutes,
        )
    if fabric.is_global_zero:
        print_result(result, as_json)
    # Where one process fails, lightning kills all others, which may be about to save.
    return 0 if result.finished or not fabric.is_global_zero else 130


def _run_members(
    recipe: Recipe,
    spec: EnsembleSpec,
    folder: Path,
    *,
    machine: Machine,
    dry_run: bool,
    offline: bool,
    as_json: bool,
    resume: bool,
) -> int:
    """Train an ensemble's members one after another, as one run; what is finished of it is not done again."""
    if machine.processes * machine.nodes > 1:
        raise MovinetError(f"{spec.name}: an ensemble is trained by one process; train its members one by one")
    refuse_folder(folder, recipe, new=not dry_run and not resume)
    starts = member_weights(recipe, offline=offline)
    with TemporaryDirectory() as scratch:
        home = Path(scratch, "plan") if dry_run else folder
        if dry_run or not resume:
            begin_ensemble(home, recipe, spec)
        for number in range(len(spec.members)):
            at = member_folder(home, number)
            if (at / METRICS).exists():
                continue
            code = _run(
                member_recipe(home, recipe, spec, number),
                at,
                machine=machine,
                dry_run=dry_run,
                offline=offline,
                as_json=as_json,
                resume=(at / RECIPE).exists(),
                weights=starts[number] if starts else None,
            )
            if code:
                return code
    if dry_run:
        return 0
    result = join_members(folder, recipe, spec, machine.connect(), machine.shares()[0])
    print_result(result, as_json)
    return 0 if result.finished else 130
