"""Commands that train: train, finetune."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from movinet.cli.console import err, progress_bar, warn
from movinet.cli.machine import HERE, Machine, refuse_folder, told
from movinet.cli.training_report import print_finished, print_plan, print_result
from movinet.errors import MovinetError
from movinet.recipes import find_recipe
from movinet.train.estimate import estimate
from movinet.train.finetune_recipe import finetune_recipe
from movinet.train.progress import ProgressDisplay
from movinet.train.recipe import Gestures, Recipe, Videos, read_recipe, with_absolute_paths
from movinet.train.train_run import METRICS, begun_recipe, prepare_training, run_training
from movinet.weights.load import load_weights


def train(
    recipe: Path | None = None,
    *,
    arch: str | None = None,
    data: Sequence[str] = (),
    videos: str | None = None,
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
        changed |= {"--epochs": epochs, "--batch-size": batch_size, "--seed": seed}
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
        if isinstance(what.data, Gestures):
            raise MovinetError(f"--data: {recipe} trains on synthetic gestures; take a recipe without data")
        known = what.data or Videos(())
        what = replace(what, data=replace(known, paths=tuple(data) or known.paths, videos=videos))
    numbers: dict[str, Any] = {"epochs": epochs, "batch_size": batch_size, "seed": seed}
    what = replace(what, **{name: value for name, value in numbers.items() if value is not None})
    folder = out_folder or Path("runs", recipe.stem)
    return carry_out(what, folder)


def finetune(
    *data: str,
    model: Annotated[str | None, Parameter(name=["--model", "-m"])] = None,
    videos: str | None = None,
    train: Sequence[str] = (),
    validation: Sequence[str] = (),
    test: Sequence[str] = (),
    held_out: float = 0.15,
    out_folder: Annotated[Path | None, Parameter(name="--out")] = None,
    dry_run: bool = False,
    epochs: int | None = None,
    lr: float | None = None,
    batch_size: int | None = None,
    frames: int | None = None,
    size: tuple[int, int] | None = None,
    fps: float | None = None,
    strategy: Literal["clip", "recurrent"] = "clip",
    sub_clip: int = 8,
    bptt_clips: int = 1,
    loss_on: Literal["all", "last"] = "all",
    freeze: Sequence[str] = (),
    flip: float = 0.0,
    swap: Sequence[tuple[str, str]] = (),
    seed: int = 0,
    machine: Machine = HERE,
    offline: bool = False,
    json: bool = False,
) -> int:
    """Teach a trained network your own classes: a folder of clips in, one file for `classify` and `watch` out.

    Args:
        data: a folder with a folder of clips per class, or lists: whatever `movinet data check` reads.
        model: what to start from: a name of `movinet models`, or a weights file.
        videos: where listed videos are; by default where the list is.
        train: splits to train on; by default those called train, else all others.
        validation: splits to look at after every epoch; by default those called val.
        test: splits to stream once, at the end; by default those called test.
        held_out: the share of the training clips to validate with, where there is no such split; 0: none.
        out_folder: the run's folder; runs/NAME of the data by default.
        dry_run: say what would be done; train nothing.
        epochs: over the training clips; 25 by default, fewer where validation gets no better for 8 of them.
        lr: learning rate of the head, 1e-3 by default; deeper layers learn more slowly.
        batch_size: over all processes; 8 by default.
        frames: of a training clip; 16 by default, or what the network is meant for if that is less.
        size: height and width of the frames, other than the network's own.
        fps: frames a second, other than the network's own.
        strategy: clip, or recurrent: in sub-clips, with memory that does not grow with the clip.
        sub_clip: frames of a sub-clip.
        bptt_clips: sub-clips that gradients go back through; more than one takes longer, and no more memory.
        loss_on: learn from the answers after all sub-clips, or after the last alone; with gradients through all of them
            the latter is training on whole clips, in the memory of one.
        freeze: parts that keep their weights: stem, blocks.0, blocks.1.2 ….
        flip: probability of mirroring clips left and right; not where labels have a direction.
        swap: two labels that are each other's mirror image.
        seed: of everything random.
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
    if swap and not flip:
        raise MovinetError("--swap says what mirrored clips show, and none are: give --flip 0.5 too")
    with progress_bar("downloading") as progress:
        info = load_weights(model, offline=offline, progress=progress).info
    given: dict[str, Any] = {
        "epochs": epochs,
        "lr": lr,
        "batch_size": batch_size,
        "frames": frames,
        "size": size,
        "fps": fps,
    }
    recipe = finetune_recipe(
        model,
        Videos(data, videos, tuple(train), tuple(validation), tuple(test), held_out),
        info,
        strategy=strategy,
        sub_clip=sub_clip,
        bptt_clips=bptt_clips,
        loss_on=loss_on,
        freeze=freeze,
        flip=flip,
        swap=swap,
        seed=seed,
        **{name: value for name, value in given.items() if value is not None},
    )
    folder = out_folder or Path("runs", Path(data[0]).resolve().stem)
    return _run(recipe, folder, machine=machine, dry_run=dry_run, offline=offline, as_json=json)


def _run(
    recipe: Recipe, folder: Path, *, machine: Machine, dry_run: bool, offline: bool, as_json: bool, resume: bool = False
) -> int:
    """Prepare, then say what would be done or do it."""
    recipe = with_absolute_paths(recipe)
    machine.check()
    refuse_folder(folder, recipe, new=not dry_run and not resume)
    with progress_bar("downloading") as progress:
        prepared = prepare_training(
            recipe, offline=offline, progress=progress
        )  # what is wrong is said before processes begin
    everywhere = machine.processes * machine.nodes
    plan = estimate(recipe, prepared.start.model.spec, len(prepared.sets.train), processes=everywhere)
    fabric = machine.connect(alone=dry_run)
    if fabric.is_global_zero:
        for warning in prepared.splits.warnings if prepared.splits else ():
            warn(warning)
    if dry_run:
        half = fabric.device.type == "cuda" and machine.precision != "32-true"
        print_plan(prepared, everywhere, half, as_json)
        return 0
    display = partial(ProgressDisplay, err, recipe.epochs, plan.steps_per_epoch)
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
