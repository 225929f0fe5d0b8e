"""A whole run in a folder of its own: from a recipe to one file with the trained network and all about it."""

import csv
import io
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from movinet.arch.serialize import dump_spec, find_spec
from movinet.data.dataset import ClipDataset, LabeledClips
from movinet.data.stream_chunks import StreamChunks
from movinet.data.stream_videos import VideoLanes
from movinet.errors import MovinetError
from movinet.files import write_atomically, write_json
from movinet.metrics import binary_scores, per_class_recall
from movinet.nn.baseline_network import BaselineNetwork
from movinet.nn.convert import arrays_of
from movinet.nn.movinet import MoViNet
from movinet.train.datasets import Sets, classes_of, make_sets, read_splits
from movinet.train.init_model import InitialModel, init_model
from movinet.train.logs import read_log
from movinet.train.optimizer import freeze
from movinet.train.plots import draw_confusion_matrix, draw_learning_curves
from movinet.train.recipe import Recipe, dump_recipe, read_recipe, recipe_to_dict
from movinet.train.recipe_data import Streams, Videos
from movinet.train.run_dir import CHECKPOINT, RECIPE
from movinet.train.run_readme import describe_run
from movinet.train.run_recorder import RunRecorder, carried_out, own_folder, rather_without
from movinet.train.signals import Stop, Stopped
from movinet.train.splits import Splits
from movinet.train.stream_splits import StreamSplits
from movinet.train.stream_training import StreamTraining
from movinet.train.stream_validation import StreamEvalOutput, evaluate_streams
from movinet.train.train_loop import Observer, Training
from movinet.train.validation import EvalOutput, Network, evaluate
from movinet.train.verdict import UNKNOWN, Verdict
from movinet.weights.download import Progress
from movinet.weights.info import WeightsInfo
from movinet.weights.load import RUN_WEIGHTS, load_weights
from movinet.weights.safetensors_file import read_info, save_weights
from movinet.weights.weights import Weights

if TYPE_CHECKING:
    from lightning_fabric import Fabric

NETWORK = "network.yaml"
MODEL, METRICS = RUN_WEIGHTS, "metrics.json"
_NO_SHARES = ("loss", "epoch")


@dataclass(frozen=True)
class Result:
    """What a run came to.

    Attributes:
        folder: Of the run.
        finished: False if it was asked to stop before its end; `resume` goes on with it.
        scores: Of the network that is kept, so far or for good: `validation_top1`, `test_top1` and so on, shares.
        verdict: How far these can be trusted.
    """

    folder: Path
    finished: bool
    scores: dict[str, float]
    verdict: Verdict = UNKNOWN


@dataclass(frozen=True)
class PreparedRun:
    """Everything a run begins with."""

    recipe: Recipe
    splits: Splits | StreamSplits | None
    start: InitialModel
    sets: Sets


def begun_recipe(folder: Path) -> Recipe:
    """The recipe of a run that is to go on, with the network as it was when it began.

    Raises:
        MovinetError: There is no run in the folder.
    """
    if not (folder / RECIPE).exists():
        raise MovinetError(f"{folder}: no run's folder: there is no {RECIPE} in it")
    recipe = read_recipe(folder / RECIPE)
    return replace(recipe, network=str(folder / NETWORK)) if (folder / NETWORK).exists() else recipe


def prepare_training(
    recipe: Recipe, weights: Weights | None = None, *, offline: bool = False, progress: Progress | None = None
) -> PreparedRun:
    """Find data and network of a recipe. Nothing is written.

    Args:
        recipe: What to do.
        weights: That it starts from, where they are loaded already.
        offline: Use only what is on this machine.
        progress: Called with the bytes so far and in all while downloading.

    Raises:
        MovinetError: There is no such data or network, or they cannot be trained on.
    """
    splits = read_splits(recipe)
    torch.manual_seed(recipe.seed)
    start = init_model(recipe, classes_of(splits), weights, offline=offline, progress=progress)
    freeze(start.model, recipe.freeze)
    sets = make_sets(recipe, splits, start.model.spec, start.info.transform)
    if recipe.strategy == "recurrent" and isinstance(start.model, BaselineNetwork):
        raise MovinetError(f"{start.info.name}: sub-clips are for MoViNets; train it on whole clips (strategy: clip)")
    if recipe.strategy == "recurrent" and not start.model.spec.causal:
        raise MovinetError(f"{start.info.name}: a base network sees clips whole; sub-clips are for stream networks")
    background = sets.train.lanes.background if isinstance(sets.train, StreamChunks) else start.info.background
    start = replace(start, info=replace(start.info, multi_label=sets.train.multi_label, background=background))
    return PreparedRun(recipe, splits, start, sets)


def run_training(
    prepared: PreparedRun,
    folder: Path,
    fabric: "Fabric",
    *,
    resume: bool = False,
    workers: int = 0,
    watchers: tuple[Observer, ...] = (),
    command: Sequence[str] = (),
    checkpoint_seconds: float = 300.0,
) -> Result:
    """Train, in a folder that holds everything about it.

    Args:
        prepared: From `prepare_training`.
        folder: New or empty; that of the run to go on with for `resume`.
        fabric: From `movinet.train.distributed.connect`.
        resume: Go on from the folder's checkpoint, if it came so far.
        workers: Processes that prepare examples, for each process that trains.
        watchers: Told how it goes, in the first process only.
        command: That began this, for the folder's README.
        checkpoint_seconds: Longest time without a checkpoint.

    Raises:
        MovinetError: The folder holds another run, something cannot be written, or the loss is not finite.
    """
    describe = partial(
        describe_run,
        folder,
        network=_in_words(prepared),
        sets=prepared.sets,
        command=command,
        began=datetime.now().astimezone(),
    )
    decode_streams(fabric, prepared.sets)
    path = folder / CHECKPOINT
    model, recipe, sets = prepared.start.model, prepared.recipe, prepared.sets
    training: Training
    if isinstance(sets.train, StreamChunks):
        assert isinstance(model, MoViNet)
        training = StreamTraining(fabric, recipe, model, sets, path, workers, checkpoint_seconds)
    else:
        training = Training(fabric, recipe, model, sets, path, workers, checkpoint_seconds)
    begin = None if resume else partial(_begin, folder, prepared.recipe)
    record = partial(BestRunRecorder, folder, prepared)
    scores: dict[str, float] = {}
    with (
        own_folder(fabric, folder, begin) as checkpoint,
        carried_out(training, checkpoint, record, watchers, describe) as (trained, stop),
    ):
        finished = False
        if trained:
            with suppress(Stopped):
                scores = _finish(folder, fabric, prepared, workers, stop, training.state.before)
                finished = True
        verdict = _verdict(prepared.sets, training.state.before)
    if not finished and (folder / MODEL).exists():
        scores = dict(read_info(folder / MODEL).training["scores"])  # the best so far
    if fabric.is_global_zero:
        describe(ended=datetime.now().astimezone(), finished=finished, scores=scores, verdict=verdict)
    return Result(folder, finished, scores, verdict)


def decode_streams(fabric: "Fabric", sets: Sets, progress: Progress | None = None) -> None:
    """Make the small copies of long videos that training reads, where there are none yet.

    Args:
        fabric: Whose first process makes them.
        sets: With long videos among them, or not.
        progress: Called with the videos of a set that were decoded so far, and all.

    Raises:
        MovinetError: A video cannot be read, or a copy not written.
    """
    if fabric.is_global_zero:
        for part in (sets.train, sets.validation, sets.test):
            if isinstance(part, StreamChunks) and isinstance(part.lanes, VideoLanes):
                part.lanes.make_copies(progress)
    fabric.barrier()


def _verdict(sets: Sets, before: Mapping[str, float] | None) -> Verdict:
    parts = {"validation": sets.validation, "test": sets.test}
    return Verdict({name: _read_of(part) for name, part in parts.items() if part is not None}, before or {})


def _read_of(part: LabeledClips | StreamChunks) -> int:
    """How many of a set's clips could be read, as far as they were."""
    return len(part) - (int(part.broken.sum()) if isinstance(part, ClipDataset) else 0)


class BestRunRecorder(RunRecorder):
    """Keeps the best network so far, too."""

    def __init__(self, folder: Path, prepared: PreparedRun, resume_at: int | None) -> None:
        self.recipe, self.info = prepared.recipe, prepared.start.info
        loss, scores = self.recipe.loss, ["loss", "map"] if self.info.multi_label else ["loss", "top1", "top5"]
        if self.recipe.on_streams:
            scores = ["loss", "map", "event_f1"]
        parts = {"aux_point": loss.aux_point, "steadiness": loss.steadiness, "smoothness": loss.smoothness}
        steps = ["labels", *(name for name, options in parts.items() if options is not None)]
        epochs = [f"validation_{name}" for name in scores]
        super().__init__(folder, steps, epochs, partial(_draw_curves, folder), resume_at, tensorboard=True)
        self.kept = 0.0  # epoch

    def best(self, model: MoViNet | BaselineNetwork, row: Mapping[str, float]) -> None:
        scores = {name: value for name, value in row.items() if name.startswith("validation_")}
        _save(self.folder / MODEL, model, self.info, self.recipe, {"epoch": row["epoch"], **scores})
        self.kept = row["epoch"]

    def epoch(self, row: Mapping[str, float], answers: EvalOutput | None) -> None:
        super().epoch(row, answers)
        if answers is not None and row["epoch"] == self.kept:
            _draw_confusion(answers, self.folder / "confusion.png")


def _in_words(prepared: PreparedRun) -> str:
    """What is trained."""
    info, start = prepared.start.info, prepared.recipe.init_from
    (height, width), fps = info.transform.size, info.transform.fps
    name = f"{info.name} from {Path(start).name}" if start else info.name
    return f"{name}, {height}×{width} pixels, {fps:g} frames a second"


def _begin(folder: Path, recipe: Recipe) -> None:
    """Write down in a new folder what is to be done."""
    if recipe.network is not None and Path(recipe.network).suffix in (".yaml", ".yml"):
        write_atomically(folder / NETWORK, dump_spec(find_spec(recipe.network)).encode())
    write_atomically(folder / RECIPE, dump_recipe(recipe).encode())


def _without_folders(recipe: Recipe) -> Recipe:
    """What others may see: names of files, and not where they lay."""
    data, network, start = recipe.data, recipe.network, recipe.init_from
    if isinstance(data, Videos | Streams):
        videos = None if data.videos is None else Path(data.videos).name
        data = replace(data, paths=tuple(Path(path).name for path in data.paths), videos=videos)
    if isinstance(data, Streams):
        data = replace(data, mined=data.mined and Path(data.mined).name, copies=None)
    return replace(recipe, data=data, network=network and Path(network).name, init_from=start and Path(start).name)


def _save(path: Path, model: nn.Module, info: WeightsInfo, recipe: Recipe, scores: Mapping[str, float]) -> None:
    """The file that `classify`, `watch` and exports take, with what is known of it so far; called by its folder."""
    named = info.tagged(path.parent.absolute().name)
    save_weights(path, arrays_of(model), replace(named, **run_summary(recipe, scores)))


def run_summary(recipe: Recipe, scores: Mapping[str, float]) -> dict[str, Any]:
    """`accuracy` and `training` of the weights that a run came to."""
    scores = {name: value for name, value in scores.items() if isfinite(value)}
    percent = {name.replace("_", " "): round(100 * v, 2) for name, v in scores.items() if not name.endswith(_NO_SHARES)}
    training = {
        "recipe": recipe_to_dict(_without_folders(recipe)),
        "scores": dict(scores),
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
    }
    return {"accuracy": percent, "training": training}


def _finish(
    folder: Path, fabric: "Fabric", prepared: PreparedRun, workers: int, stop: Stop, before: Mapping[str, float] | None
) -> dict[str, float]:
    """Stream the test videos, one by one, through the network that is kept, and write down how good it is."""
    weights = load_weights(folder / MODEL)
    model = weights.to_model()
    assert isinstance(model, MoViNet | BaselineNetwork)
    scores = dict(weights.info.training["scores"])
    found: dict[str, Any] = {"scores": scores}
    if prepared.sets.test is not None:
        answers = _evaluate(fabric, model.to(fabric.device), prepared.sets.test, workers, stop)
        scores |= {f"test_{name}": value for name, value in answers.scores().items()}
        found["test"] = _by_class(answers)
        if fabric.is_global_zero:
            _draw_confusion(answers, folder / "test_confusion.png")
            if not isinstance(answers, StreamEvalOutput):
                _write_answers(answers, prepared, folder / "test_answers.csv")
    if fabric.is_global_zero:
        _save(folder / MODEL, model, weights.info, prepared.recipe, scores)
        verdict = _verdict(prepared.sets, before)
        if intervals := verdict.intervals(scores):
            found["intervals"] = intervals
        if compared := verdict.compared(scores):
            found |= {"before": verdict.before, "compared": compared}
        write_json(folder / METRICS, found | {"clips": verdict.clips})
    return scores


def _evaluate(fabric: "Fabric", model: Network, data: LabeledClips, workers: int, stop: Stop) -> EvalOutput:
    if isinstance(data, StreamChunks):
        assert isinstance(model, MoViNet)
        return evaluate_streams(fabric, model, data, workers, stop)
    return evaluate(fabric, model, data, 1, workers, stop)


def _by_class(answers: EvalOutput) -> dict[str, Any]:
    counts = answers.confusion()
    if counts is None:
        return {}
    recall = {label: float(value) for label, value in zip(answers.classes, per_class_recall(counts), strict=True)}
    found: dict[str, Any] = {"clips": len(answers.targets), "recall": recall}
    if len(answers.classes) == 2:
        difference = answers.logits[:, 1] - answers.logits[:, 0]
        found[f"telling {answers.classes[1]}"] = asdict(binary_scores(difference, answers.targets, threshold=0.0))
    return found


def _write_answers(answers: EvalOutput, prepared: PreparedRun, path: Path) -> None:
    """A table with what the network said of every test clip, to find those it gets wrong."""
    splits = prepared.splits
    videos = splits.test.videos if isinstance(splits, Splits) and splits.test is not None else None
    test = prepared.sets.test
    assert test is not None
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("clip", "file", "start", "labels", *(f"p({label})" for label in answers.classes)))
    for index, row in zip(answers.videos, answers.probabilities(), strict=True):
        where = (videos[index].path, videos[index].start) if videos else ("synthetic", 0.0)
        writer.writerow((index, *where, "|".join(test.labels_of(int(index))), *(f"{p:.4f}" for p in row)))
    write_atomically(path, text.getvalue().encode(errors="surrogateescape"))


def _draw_curves(folder: Path) -> None:
    draw_learning_curves({folder.name: read_log(folder)}, folder / "curves.png")


def _draw_confusion(answers: EvalOutput, path: Path) -> None:
    counts = answers.confusion()
    if counts is not None:
        rather_without(partial(draw_confusion_matrix, counts, answers.classes, path))
