"""A run's folder: whatever ends the run, what is in it is whole, and the run goes on to the same end."""

import csv
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file
from tiny import LABELS
from training_sets import BASIC, Noise, as_file, clips_folder, fabric, noise

from movinet.cli import main
from movinet.errors import MovinetError
from movinet.recognizer import Recognizer
from movinet.train.datasets import Sets
from movinet.train.init_model import init_model
from movinet.train.recipe import AuxPoint, Loss, Recipe, Smoothness, read_recipe
from movinet.train.run_dir import CHECKPOINT
from movinet.train.train_run import MODEL, PreparedRun, Result, run_training
from movinet.train.validation import EvalOutput
from movinet.weights.safetensors_file import read_info

RECIPE = replace(BASIC, loss=Loss(0.1, "balanced", Smoothness(frames=3), AuxPoint(("blocks.0.0",))), ema_decay=0.9)
SETS = noise(clips=13, validation=6)


@pytest.fixture(autouse=True)
def _without_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """They take most of the time."""
    monkeypatch.setattr("movinet.train.train_run.draw_learning_curves", lambda *_: None)
    monkeypatch.setattr("movinet.train.train_run.draw_confusion_matrix", lambda *_: None)


def run(folder: Path, *watchers: object, resume: bool = False, sets: Sets = SETS, recipe: Recipe = RECIPE) -> Result:
    torch.manual_seed(recipe.seed)
    recipe = replace(recipe, network=str(as_file(folder.parent)))
    prepared = PreparedRun(recipe, None, init_model(recipe, LABELS), sets)
    return run_training(prepared, folder, fabric(), resume=resume, watchers=watchers, command=("movinet", "train"))


def table(path: Path, without: str) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return [{name: value for name, value in row.items() if name != without} for row in csv.DictReader(file)]


def assert_same_end(found: Path, wanted: Path) -> None:
    assert table(found / "steps.csv", "clips_per_s") == table(wanted / "steps.csv", "clips_per_s")
    assert table(found / "epochs.csv", "seconds") == table(wanted / "epochs.csv", "seconds")
    ours, theirs = load_file(found / MODEL), load_file(wanted / MODEL)
    assert ours.keys() == theirs.keys()
    assert [name for name, value in theirs.items() if not torch.equal(ours[name], value)] == []
    infos = [read_info(folder / MODEL) for folder in (found, wanted)]
    assert infos[0].training["scores"] == infos[1].training["scores"]
    assert not [path for path in found.iterdir() if path.name.startswith(".") and path.name != ".lock"]


class Watcher:
    """Does something after an update."""

    def __init__(self, at: int) -> None:
        self.at = at

    def step(self, row: Mapping[str, float]) -> None:
        if row["step"] == self.at:
            self.act()

    def act(self) -> None:
        raise NotImplementedError

    def epoch(self, row: Mapping[str, float], answers: EvalOutput | None) -> None:
        pass

    def best(self, model: object, row: Mapping[str, float]) -> None:
        pass


class Terminator(Watcher):
    def act(self) -> None:
        os.kill(os.getpid(), signal.SIGTERM)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "whole"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("movinet.train.train_run.draw_learning_curves", lambda *_: None)
        patch.setattr("movinet.train.train_run.draw_confusion_matrix", lambda *_: None)
        assert run(folder).finished
    return folder


def test_a_folder_that_explains_itself(uninterrupted: Path) -> None:
    assert len(table(uninterrupted / "steps.csv", "")) == 8
    assert table(uninterrupted / "steps.csv", "")[0].keys() >= {"loss", "labels", "aux_point", "smoothness"}
    epochs = table(uninterrupted / "epochs.csv", "")
    scores = read_info(uninterrupted / MODEL).training["scores"]
    assert scores["validation_loss"] == float(epochs[scores["epoch"] - 1]["validation_loss"])
    assert json.loads((uninterrupted / "metrics.json").read_text())["scores"] == scores
    assert read_recipe(uninterrupted / "recipe.yaml") == replace(
        RECIPE, network=str(uninterrupted.parent / "tiny.yaml")
    )
    assert "The run is finished" in (uninterrupted / "README.md").read_text()
    info = Recognizer.load(uninterrupted / MODEL).info
    assert info.labels == LABELS
    assert info.name == f"{info.spec.name}.whole"


@pytest.mark.parametrize("stops", [[1], [2, 5], [6]])
def test_a_stopped_run_comes_to_the_same_end(stops: list[int], uninterrupted: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    for n, stop in enumerate(stops):
        result = run(folder, Terminator(stop), resume=n > 0)
        assert not result.finished
        assert len(table(folder / "steps.csv", "")) == stop + 1  # watchers hear of an update when it is over
        assert "goes on with it" in (folder / "README.md").read_text()
    assert run(folder, resume=True).finished
    assert len(json.loads((folder / "sessions.json").read_text())) == len(stops) + 1
    assert_same_end(folder, uninterrupted)
    again = run(folder, resume=True)  # only the end of the end is done again
    assert again.finished
    assert_same_end(folder, uninterrupted)


def limit_files(size: int) -> None:
    """No file grows beyond so many bytes: a full disk, in the middle of writing."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (min(size, hard) if hard != resource.RLIM_INFINITY else size, hard))


@contextmanager
def unlimited_afterwards() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class Full(Watcher):
    def act(self) -> None:
        limit_files(6_000)


def test_a_full_disk_leaves_what_was_there(uninterrupted: Path, tmp_path: Path) -> None:
    folder, before = tmp_path / "run", {}

    class Filling(Full):
        def act(self) -> None:
            before.update({name: (folder / name).read_bytes() for name in (CHECKPOINT, MODEL)})
            super().act()

    with unlimited_afterwards(), pytest.raises(MovinetError, match=r"(checkpoint|model)\.safetensors: cannot write"):
        run(folder, Filling(5))
    assert before == {name: (folder / name).read_bytes() for name in before}
    assert run(folder, resume=True).finished
    assert_same_end(folder, uninterrupted)


def test_a_run_does_not_begin_twice(uninterrupted: Path) -> None:
    before = {path: path.read_bytes() for path in uninterrupted.iterdir() if path.is_file()}
    with pytest.raises(MovinetError, match="whole: holds a run already"):
        run(uninterrupted)
    assert before == {path: path.read_bytes() for path in uninterrupted.iterdir() if path.is_file()}


def test_what_cannot_begin_leaves_nothing_behind(tmp_path: Path) -> None:
    wrong = replace(RECIPE, loss=Loss(aux_point=AuxPoint(("blocks.9.9",))))
    with pytest.raises(MovinetError, match=r"blocks\.9\.9"):
        run(tmp_path / "run", recipe=wrong)
    assert not (tmp_path / "run").exists()
    (tmp_path / "file").touch()
    with pytest.raises(MovinetError, match="file: cannot be used"):
        run(tmp_path / "file")


@pytest.mark.parametrize("bad", [b"", b"junk", b"PK\x03\x04junk", None])
def test_a_checkpoint_that_is_none(bad: bytes | None, uninterrupted: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    run(folder, Terminator(4))
    if bad is None:
        run(tmp_path / "other", recipe=replace(RECIPE, freeze=("stem",), loss=Loss(), ema_decay=None))
        bad = (tmp_path / "other" / CHECKPOINT).read_bytes()
    (folder / CHECKPOINT).write_bytes(bad)
    before = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    with pytest.raises(MovinetError, match=r"checkpoint\.safetensors: "):
        run(folder, resume=True)
    assert before == {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_a_test_set_is_streamed_by_what_is_kept(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    result = run(folder, sets=replace(SETS, test=Noise(4, frames=20, fresh=False)))
    assert result.scores.keys() >= {"epoch", "validation_top1", "test_top1", "test_loss"}
    assert read_info(folder / MODEL).training["scores"] == result.scores
    assert json.loads((folder / "metrics.json").read_text())["test"]["clips"] == 4


SESSIONS = """
import json, os, random, signal, sys, threading
import lightning_fabric, torch
import movinet.train.train_run
from movinet.cli import main
from movinet.train.progress import ProgressDisplay

def session(name, at, tokens):
    os.setsid()
    for number, stream in ((1, "out"), (2, "err")):
        os.dup2(os.open(f"{name}.{stream}", os.O_CREAT | os.O_WRONLY), number)
    step = ProgressDisplay.step

    def interrupted(display, row):
        step(display, row)
        if row["step"] == at:  # as a terminal does it: this process and its workers
            threading.Timer(random.random() / 10, os.killpg, (0, signal.Signals[name])).start()

    ProgressDisplay.step = interrupted
    run = movinet.train.train_run
    run.draw_learning_curves = run.draw_confusion_matrix = lambda *_: None  # they take their time
    main(tokens)

for arguments in json.loads(sys.argv[1]):
    if not os.fork():
        session(*arguments)
    print(os.waitstatus_to_exitcode(os.wait()[1]), flush=True)
"""


@pytest.mark.slow
def test_whatever_signal_ends_the_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One run that is killed, terminated and interrupted in turn, against one that is left alone."""
    clips_folder(tmp_path / "clips", {"a": 8, "b": 8, "c": 8})
    recipe = {
        "network": str(as_file(tmp_path)),
        "data": {"kind": "videos", "paths": [str(tmp_path / "clips")], "held_out": 0.2},
        "clips": {"frames": 16, "jitter": [0.8, 1.25]},
        "augmentation": {"crop": {}, "flip": 0.5},
        "optimizer": {"kind": "adamw", "lr": 0.01},
        "epochs": 5,
        "batch_size": 2,
        "mixup": 0.4,
        "ema_decay": 0.9,
    }
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    monkeypatch.chdir(tmp_path)
    common = ("--device", "cpu", "--threads", "1", "--checkpoint-minutes", "0.002")
    new, old = ("train", "recipe.yaml", "--out", "run"), ("train", "--resume", "run")
    sessions = [
        (name, at, [*tokens, *common, "--workers", "1"])
        for name, at, tokens in (("SIGKILL", 9, new), ("SIGTERM", 20, old), ("SIGINT", 34, old))
    ]
    command = [sys.executable, "-c", SESSIONS, json.dumps(sessions)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    errors = {name: Path(f"{name}.err").read_text() for name in ("SIGTERM", "SIGINT")}
    assert done.stdout.split() == ["-9", "130", "130"], errors
    heard = "\nstopping as soon as this update is done; Ctrl-C again stops at once\n"
    assert heard in errors["SIGINT"]
    errors["SIGINT"] = errors["SIGINT"].replace(heard, "")
    for name, said in errors.items():
        assert Path(f"{name}.out").read_text() == "stopped and saved; go on with: movinet train --resume run\n"
        assert said.count("\n") == said.count("epoch ")
    assert 34 <= len(table(Path("run/steps.csv"), "")) < 50

    whole = tmp_path / "whole"
    for folder, tokens in ((tmp_path / "run", old), (whole, (*new[:-1], str(whole)))):
        with pytest.raises(SystemExit) as stop:
            main([*tokens, *common, "--workers", "0"])
        assert not stop.value.code, folder
    assert_same_end(tmp_path / "run", whole)
