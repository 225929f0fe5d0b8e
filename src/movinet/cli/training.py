"""Commands that train: train, finetune."""

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from shlex import quote
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from movinet.cli.app import at_least_one
from movinet.cli.console import err, progress_bar, warn, warnings_as_lines
from movinet.cli.training_report import JsonLines, print_finished, print_plan, print_result
from movinet.cores import limit_torch, usable_cores
from movinet.errors import MovinetError
from movinet.recipes import find_recipe
from movinet.train.estimate import estimate
from movinet.train.folder import RECIPE
from movinet.train.loop import Observer
from movinet.train.processes import Precision, connect, settle_process
from movinet.train.progress import ProgressDisplay
from movinet.train.recipe import Gestures, Recipe, Videos, read_recipe, with_absolute_paths
from movinet.train.run import CHECKPOINT, METRICS, begun_recipe, prepare
from movinet.train.run import train as run_training
from movinet.train.small_data import fine_tuning
from movinet.weights.load import load_weights


@Parameter(name="*")
@dataclass(frozen=True)
class Machine:
    """Where a run takes place.

    Args:
        device: cpu, cuda, mps, or auto: a GPU if there is one.
        processes: on this machine, each with a GPU of its own.
        nodes: machines; start the same command on each, with torchrun or SLURM.
        precision: 32-true, or bf16-mixed as by default on GPUs.
        workers: processes that prepare clips, for each process that trains.
        threads: of the processor that each process computes with.
    """

    device: str = "auto"
    processes: int = 1
    nodes: int = 1
    precision: Precision | None = None
    workers: int | None = None
    threads: int | None = None


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
    machine: Machine = Machine(),
    checkpoint_minutes: float = 5.0,
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
        checkpoint_minutes: longest time without a checkpoint.
        offline: never download.
        json: progress and results as JSON lines, for programs.
    """
    if (recipe is None) == (resume is None):
        raise MovinetError("give a recipe, or a run to go on with (--resume FOLDER)")
    carry_out = partial(
        _run,
        machine=machine,
        dry_run=dry_run,
        checkpoint_minutes=checkpoint_minutes,
        offline=offline,
        as_json=json,
    )
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
    rate: float | None = None,
    batch_size: int | None = None,
    frames: int | None = None,
    size: tuple[int, int] | None = None,
    fps: float | None = None,
    strategy: Literal["clip", "recurrent"] = "clip",
    sub_clip: int = 8,
    reach: int = 1,
    answers: Literal["all", "last"] = "all",
    freeze: Sequence[str] = (),
    flip: float = 0.0,
    swap: Sequence[tuple[str, str]] = (),
    seed: int = 0,
    machine: Machine = Machine(),
    checkpoint_minutes: float = 5.0,
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
        rate: learning rate of the head, 1e-3 by default; deeper layers learn more slowly.
        batch_size: over all processes; 8 by default.
        frames: of a training clip; 16 by default, or what the network is meant for if that is less.
        size: height and width of the frames, other than the network's own.
        fps: frames a second, other than the network's own.
        strategy: clip, or recurrent: in sub-clips, with memory that does not grow with the clip.
        sub_clip: frames of a sub-clip.
        reach: sub-clips that gradients go back through; more than one takes longer, and no more memory.
        answers: learn from the answers after all sub-clips, or after the last alone; with a reach over all sub-clips
            the latter is training on whole clips, in the memory of one.
        freeze: parts that keep their weights: stem, blocks.0, blocks.1.2 ….
        flip: probability of mirroring clips left and right; not where labels have a direction.
        swap: two labels that are each other's mirror image.
        seed: of everything random.
        machine: where.
        checkpoint_minutes: longest time without a checkpoint.
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
        "rate": rate,
        "batch_size": batch_size,
        "frames": frames,
        "size": size,
        "fps": fps,
    }
    recipe = fine_tuning(
        model,
        Videos(data, videos, tuple(train), tuple(validation), tuple(test), held_out),
        info,
        strategy=strategy,
        sub_clip=sub_clip,
        reach=reach,
        answers=answers,
        freeze=freeze,
        flip=flip,
        swap=swap,
        seed=seed,
        **{name: value for name, value in given.items() if value is not None},
    )
    folder = out_folder or Path("runs", Path(data[0]).resolve().stem)
    return _run(
        recipe,
        folder,
        machine=machine,
        dry_run=dry_run,
        checkpoint_minutes=checkpoint_minutes,
        offline=offline,
        as_json=json,
    )


def _run(
    recipe: Recipe,
    folder: Path,
    *,
    machine: Machine,
    dry_run: bool,
    checkpoint_minutes: float,
    offline: bool,
    as_json: bool,
    resume: bool = False,
) -> int:
    """Prepare, then say what would be done or do it."""
    recipe = with_absolute_paths(recipe)
    if isinstance(recipe.data, Videos):
        for path in recipe.data.paths:
            if folder.absolute().is_relative_to(path):
                raise MovinetError(
                    f"{folder}: a run's folder among the clips of {path} would be taken for a class (--out)"
                )
    at_least_one("--processes", machine.processes)
    at_least_one("--nodes", machine.nodes)
    if not checkpoint_minutes > 0:
        raise MovinetError(f"--checkpoint-minutes must be positive, got {checkpoint_minutes}")
    if not dry_run and not resume and (folder / RECIPE).exists():
        raise MovinetError(f"{folder}: holds a run already; go on with it (--resume {folder}) or choose another --out")
    workers, threads = shares(machine)
    with progress_bar("downloading") as progress:
        prepared = prepare(recipe, offline=offline, progress=progress)  # what is wrong is said before processes begin
    everywhere = machine.processes * machine.nodes
    plan = estimate(recipe, prepared.start.model.spec, len(prepared.sets.train), processes=everywhere)
    processes, nodes = (1, 1) if dry_run else (machine.processes, machine.nodes)
    fabric = connect(machine.device, processes, nodes, machine.precision)
    settle_process(fabric)
    limit_torch(threads)  # of which connecting has its own idea
    if fabric.is_global_zero:
        for warning in prepared.splits.warnings if prepared.splits else ():
            warn(warning)
    if dry_run:
        half = fabric.device.type == "cuda" and machine.precision != "32-true"
        print_plan(prepared, everywhere, half, as_json)
        return 0
    with ExitStack() as stack:
        stack.enter_context(warnings_as_lines())
        watchers: tuple[Observer, ...] = ()
        if fabric.is_global_zero and as_json:
            watchers = (JsonLines(),)
        elif fabric.is_global_zero:
            watchers = (stack.enter_context(ProgressDisplay(err, recipe.epochs, plan.steps_per_epoch)),)
        try:
            result = run_training(
                prepared,
                folder,
                fabric,
                resume=resume,
                workers=workers,
                watchers=watchers,
                command=("movinet", *sys.argv[1:]),
                checkpoint_seconds=60 * checkpoint_minutes,
            )
        except KeyboardInterrupt:
            if fabric.is_global_zero and (folder / CHECKPOINT).exists():
                warn(f"what was saved last is kept; go on from there with: movinet train --resume {quote(str(folder))}")
            raise
    if fabric.is_global_zero:
        print_result(result, as_json)
    # Where one process fails, lightning kills all others, which may be about to save.
    return 0 if result.finished or not fabric.is_global_zero else 130


def shares(machine: Machine) -> tuple[int, int]:
    """Workers and threads of each process: on a processor they share its cores, since threads that wait for one another
    and for a core lose more than they gain."""
    cores = usable_cores()
    each = max(1, cores // machine.processes)
    workers = max(1, each // 2) if machine.workers is None else machine.workers
    threads = max(1, each - workers) if machine.threads is None else machine.threads
    if workers < 0 or threads < 1:
        raise MovinetError(f"--workers must be at least 0 and --threads at least 1, got {workers} and {threads}")
    return min(workers, 16), threads
