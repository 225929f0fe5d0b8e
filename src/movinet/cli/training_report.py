"""How the command line shows what a training run will do, does, and came to."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from shlex import quote

from rich.text import Text

from movinet.cli.console import out, print_json, warn
from movinet.errors import MovinetError
from movinet.reading import parse_json
from movinet.train.datasets import Sets
from movinet.train.estimate import estimate
from movinet.train.recipe import recipe_to_dict
from movinet.train.train_run import METRICS, MODEL, PreparedRun, Result
from movinet.train.validation import EvalOutput
from movinet.train.verdict import Verdict, outlook
from movinet.words import counted

_SCORES = {"top1": "top-1", "top5": "top-5", "map": "mAP", "event_f1": "event F1"}


class JsonLines:
    """Tells of every update and epoch in a line of JSON."""

    def step(self, row: Mapping[str, float]) -> None:
        print_json({"type": "step", **row})

    def best(self, model: object, row: Mapping[str, float]) -> None:
        """The row of the epoch says it."""

    def epoch(self, row: Mapping[str, float], answers: EvalOutput | None) -> None:
        print_json({"type": "epoch", **row})


def print_plan(prepared: PreparedRun, processes: int, device: str, half: bool, as_json: bool) -> None:
    """What a run would do."""
    recipe, spec, sets = prepared.recipe, prepared.start.info.spec, prepared.sets
    network, examples = prepared.start.model.spec, len(sets.train)
    plan = estimate(recipe, network, examples, processes=processes, half=half, device=device)
    assert plan.memory is not None
    clips = {"train": sets.train, "validation": sets.validation, "test": sets.test}
    counts = {name: len(part) for name, part in clips.items() if part is not None}
    said = outlook(counts, plan.steps) if recipe.init_from is not None and not recipe.on_streams else []
    if as_json:
        print_json(
            {
                "recipe": recipe_to_dict(recipe),
                "clips": counts,
                "classes": list(sets.train.classes),
                "known_classes": list(prepared.start.known),
                **asdict(plan),
                "outlook": said,
            }
        )
        return
    classes = counted(len(sets.train.classes), "class", "classes")
    clips_of = ", ".join(f"{count} for {name}" for name, count in counts.items())
    start = f" from {recipe.init_from}" if recipe.init_from else ", from scratch"
    rows = {
        "network": f"{spec.name}{start}; {plan.parameters / 1e6:.2f} M parameters",
        **({"streams": _lanes(sets)} if recipe.on_streams else {"clips": f"{clips_of}; {classes}"}),
        **_known(prepared),
        "batch": f"{'×'.join(map(str, plan.batch))} (clips, colors, frames, height, width)"
        + (f", {counted(plan.sub_clip, 'frame')} at a time" if recipe.strategy == "recurrent" else ""),
        "updates": f"{plan.steps} = {counted(recipe.epochs, 'epoch')} of {plan.steps_per_epoch}, "
        f"{plan.macs / 1e9:.1f} G multiply-adds each",
        "lr": ", ".join(f"{rate:.2g} at {step}" for step, rate in plan.rates.items()),
        "memory": f"about {plan.memory.total / 2**20:.0f} MiB, "
        f"{plan.memory.activations / 2**20:.0f} of them activations, {plan.memory.libraries / 2**20:.0f} libraries",
    }
    for name, text in rows.items():
        out.print(Text.assemble((f"{name:10}", "bold"), text))
    for line in said:
        warn(line)


def _known(prepared: PreparedRun) -> dict[str, str]:
    """Which labels begin with what the weights know of them."""
    labels, known = prepared.start.info.labels or (), prepared.start.known
    new = [label for label in labels if label not in known]
    if prepared.recipe.init_from is None or not known:
        return {}
    text = (
        "known to the weights, all of them" if not new else f"{len(known)} known to the weights; new: {', '.join(new)}"
    )
    return {"labels": text}


def _lanes(sets: Sets) -> str:
    """What there is of streams."""
    from movinet.data.stream_chunks import StreamChunks

    parts = {"training": sets.train, "validation": sets.validation, "test": sets.test}
    each = ", ".join(
        f"{part.count} side by side for {name}, {counted(part.chunks, 'chunk')} of each an epoch"
        for name, part in parts.items()
        if isinstance(part, StreamChunks)
    )
    return f"{each}; {counted(len(sets.train.classes), 'class', 'classes')}"


def print_finished(folder: Path, as_json: bool) -> None:
    """That there is nothing to go on with, and what the run came to.

    Raises:
        MovinetError: The run's figures cannot be read.
    """
    try:
        found = parse_json((folder / METRICS).read_bytes())
        known = {name: float(value) for name, value in found["scores"].items() if value is not None}
        before = {name: float(value) for name, value in found.get("before", {}).items() if value is not None}
        verdict = Verdict({name: int(count) for name, count in found.get("clips", {}).items()}, before)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise MovinetError(f"{folder / METRICS}: cannot be read: {error}") from error
    if not as_json:
        again = quote(str(folder / MODEL))
        out.print(f"{folder}: the run is finished; a new one can start from what it came to (--model {again})")
    print_result(Result(folder, True, known, verdict), as_json)


def print_result(result: Result, as_json: bool) -> None:
    """What a run came to."""
    verdict = result.verdict
    if as_json:
        sure = {"intervals": verdict.intervals(result.scores), "compared": verdict.compared(result.scores)}
        about = {"type": "result", "folder": str(result.folder), "finished": result.finished}
        print_json({**about, "scores": result.scores, **{name: value for name, value in sure.items() if value}})
        return
    if not result.finished:
        out.print(f"stopped and saved; go on with: movinet train --resume {quote(str(result.folder))}")
        return
    scores = ((name, *name.partition("_"), value) for name, value in result.scores.items())
    shown = [
        f"{split} {_SCORES[kind]} {value:.1%}{verdict.beside(name, result.scores)}"
        for name, split, _, kind, value in scores
        if kind in _SCORES
    ]
    if shown:
        out.print(", ".join(shown))
    if compared := verdict.compared(result.scores):
        out.print(compared)
    out.print(f"{result.folder / MODEL}: the network; {METRICS}, pictures and README.md beside it")
    out.print(f"try it: movinet classify VIDEO --model {quote(str(result.folder / MODEL))}")
