"""A run goes on after any interruption to the same end; it stops, keeps and complains when it should."""

import os
import signal
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from multiprocessing import active_children
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any, Literal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from training_sets import BASIC, Asked, Rows, fabric, new_network, new_training, noise

import movinet.train.train_loop
from movinet.data.batches import EpochOrder, load_batches
from movinet.errors import MovinetError, WeightsError
from movinet.train.checkpoint import load_checkpoint
from movinet.train.datasets import Sets
from movinet.train.recipe import AuxPoint, Loss, Recipe, RMSprop, Smoothness
from movinet.train.train_loop import Training
from movinet.train.validation import evaluate

# Everything that is random or has a memory; four updates an epoch, one of them with a clip more than the others.
CLIP = replace(
    BASIC,
    warmup_epochs=1,
    loss=Loss(0.1, "balanced", Smoothness(frames=3), AuxPoint(("blocks.0.0",))),
    ema_decay=0.9,
)
RECURRENT = replace(BASIC, optimizer=RMSprop(0.05), mixup=0.4, cutmix=1.0, strategy="recurrent", sub_clip=2)
SETS = noise(clips=13, validation=5)
STEPS = 8


def state_of(training: Training) -> dict[str, Tensor]:
    tensors = load_checkpoint(training.path).tensors
    return {f"{part}/{name}": value for part, named in tensors.items() for name, value in named.items()}


def assert_same(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    assert found.keys() == wanted.keys()
    assert [name for name, value in wanted.items() if not torch.equal(found[name], value)] == []


@cache
def uninterrupted(recipe: str) -> tuple[Rows, dict[str, Tensor]]:
    rows = Rows()
    with TemporaryDirectory() as folder:
        training = new_training({"clip": CLIP, "recurrent": RECURRENT}[recipe], SETS, Path(folder))
        assert training.run(Asked(), [rows])
        return rows, state_of(training)


def test_a_run_from_its_beginning_to_its_end() -> None:
    rows, state = uninterrupted("clip")
    assert [row["step"] for row in rows.steps] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert [row["epoch"] for row in rows.steps] == [1, 1, 1, 1, 2, 2, 2, 2]
    assert [row["lr"] for row in rows.steps[:4]] == pytest.approx([0.001, 0.002, 0.003, 0.004])
    for row in rows.steps:
        assert row["loss"] == pytest.approx(row["labels"] + row["aux_point"] + row["smoothness"])
        assert row["gradient_norm"] > 0
    for row in rows.epochs:
        assert row["loss"] == pytest.approx(sum(s["loss"] for s in rows.steps if s["epoch"] == row["epoch"]) / 4)
        assert 0 <= row["validation_top1"] <= 1
    assert len({row["loss"] for row in rows.steps}) == STEPS
    moved = [name for name in rows.kept if not torch.equal(state[f"learner/model.{name}"], rows.kept[name])]
    assert any("weight" in name for name in moved)  # what is kept is the average


@settings(max_examples=10)
@given(stops=st.lists(st.integers(1, STEPS), max_size=2), workers=st.sampled_from([0, 0, 1]), recipe=st.data())
def test_a_run_that_is_stopped_after_any_update_comes_to_the_same_end(
    stops: list[int], workers: int, recipe: st.DataObject
) -> None:
    name = recipe.draw(st.sampled_from(["clip", "recurrent"]))
    what, (wanted, state) = {"clip": CLIP, "recurrent": RECURRENT}[name], uninterrupted(name)
    rows = Rows()
    with TemporaryDirectory() as folder:
        for stop in [*stops, None]:
            training = new_training(what, SETS, Path(folder), workers=workers)
            if training.path.exists():
                training.restore(load_checkpoint(training.path))
            training.run(Asked(stop), [rows])
        assert_same(state_of(training), state)
    assert rows.steps == wanted.steps
    assert rows.epochs == wanted.epochs
    assert rows.best_epochs == wanted.best_epochs
    assert_same(rows.kept, wanted.kept)


class Killed(Exception):
    pass


class Killer(Rows):
    """Ends the run as a power cut would."""

    def __init__(self, at: int, where: str) -> None:
        super().__init__()
        self.at, self.where = at, where

    def step(self, row: Mapping[str, float]) -> None:
        if self.where == "step" and row["step"] == self.at:
            raise Killed
        super().step(row)

    def epoch(self, row: Mapping[str, float], answers: object) -> None:
        if self.where == "epoch" and row["step"] >= self.at:
            raise Killed
        super().epoch(row, None)


@settings(max_examples=8)
@given(at=st.integers(1, STEPS), where=st.sampled_from(["step", "epoch"]), seconds=st.sampled_from([0.0, 1e9]))
def test_a_run_that_is_killed_goes_on_from_its_last_checkpoint(at: int, where: str, seconds: float) -> None:
    wanted, state = uninterrupted("clip")
    killer, rows, done = Killer(at, where), Rows(), 0
    with TemporaryDirectory() as folder:
        training = new_training(CLIP, SETS, Path(folder), checkpoint_seconds=seconds)
        with pytest.raises(Killed):
            training.run(Asked(), [killer])
        training = new_training(CLIP, SETS, Path(folder))
        if training.path.exists():
            training.restore(load_checkpoint(training.path))
            done = training.state.step
        assert training.run(Asked(), [rows])
        assert_same(state_of(training), state)
    last = len(killer.steps)
    assert last - 4 <= done <= last if seconds else last - 1 <= done <= last
    assert killer.steps[:done] + rows.steps == wanted.steps
    assert_same(rows.kept or killer.kept, wanted.kept)


def test_a_finished_run_has_nothing_to_go_on_with(tmp_path: Path) -> None:
    new_training(CLIP, SETS, tmp_path).run(Asked())
    rows = Rows()
    again = new_training(CLIP, SETS, tmp_path)
    again.restore(load_checkpoint(again.path))
    assert again.finished
    assert again.run(Asked(1), [rows])
    assert rows.steps == rows.epochs == []


def test_another_runs_checkpoint_is_refused(tmp_path: Path) -> None:
    new_training(replace(BASIC, epochs=1), SETS, tmp_path).run(Asked(1))
    checkpoint = load_checkpoint(tmp_path / "checkpoint.safetensors")
    for recipe in (CLIP, replace(BASIC, ema_decay=0.9), replace(BASIC, freeze=("stem",))):
        with pytest.raises(WeightsError, match=r"checkpoint\.safetensors: .*another recipe"):
            new_training(recipe, SETS, tmp_path).restore(checkpoint)
    with pytest.raises(WeightsError, match=r"checkpoint\.safetensors: .*another recipe or version"):
        new_training(BASIC, SETS, tmp_path).restore(replace(checkpoint, progress={"step": 1, "more": 1}))


def test_a_loss_that_is_no_number_ends_the_run(tmp_path: Path) -> None:
    wild = replace(BASIC, optimizer=replace(BASIC.optimizer, lr=1e30), warmup_epochs=0)
    with pytest.raises(MovinetError, match=r"of update 2 is (nan|inf): a lower learning rate may help$"):
        new_training(wild, SETS, tmp_path).run(Asked())
    saved = replace(wild, warmup_epochs=1, optimizer=replace(BASIC.optimizer, lr=1e25))
    with pytest.raises(MovinetError, match=r"of update .*checkpoint\.safetensors holds the state saved last"):
        new_training(saved, SETS, tmp_path, checkpoint_seconds=0).run(Asked())
    checkpoint = load_checkpoint(tmp_path / "checkpoint.safetensors")
    assert all(value.isfinite().all() for value in checkpoint.tensors["learner"].values())


def test_a_network_that_answers_nothing_is_not_kept(tmp_path: Path) -> None:
    rows = Rows()
    wild = replace(BASIC, optimizer=replace(BASIC.optimizer, lr=1e30), epochs=1, batch_size=13)
    with pytest.raises(MovinetError, match="the validation loss after update 1 is nan"):
        new_training(wild, SETS, tmp_path).run(Asked(), [rows])
    assert rows.best_epochs == []


def run_with_scores(monkeypatch: pytest.MonkeyPatch, folder: Path, recipe: Recipe, shares: list[float]) -> Rows:
    said = iter(shares)
    monkeypatch.setattr("movinet.train.train_loop.main_score", lambda scores: next(said))
    rows = Rows()
    assert new_training(recipe, SETS, folder).run(Asked(), [rows])
    return rows


@pytest.mark.parametrize(
    ("shares", "epochs", "best"),
    [
        ([0.5, 0.4, 0.3, 0.9], 3, [1]),
        ([0.1, 0.2, 0.1, 0.3, 0.2], 5, [1, 2, 4]),
        ([0.5, 0.4, 0.5, 0.4, 0.5], 5, [1, 3, 5]),
    ],
)
def test_patience(
    shares: list[float], epochs: int, best: list[int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    recipe = replace(BASIC, epochs=5, batch_size=13, patience=2)
    rows = run_with_scores(monkeypatch, tmp_path, recipe, shares)
    assert len(rows.epochs) == epochs
    assert rows.best_epochs == best


def test_without_validation_the_last_is_kept(tmp_path: Path) -> None:
    rows = Rows()
    training = new_training(replace(BASIC, patience=1), Sets(SETS.train, None, None), tmp_path)
    assert training.run(Asked(), [rows])
    assert rows.best_epochs == [1, 2]
    assert rows.epochs[0].keys() == {"step", "epoch", "loss"}
    assert_same(rows.kept, training.model.state_dict())


def test_frozen_parts_keep_every_bit(tmp_path: Path) -> None:
    training = new_training(replace(BASIC, freeze=("stem", "blocks.0.0")), SETS, tmp_path)
    before = {name: value.clone() for name, value in training.model.state_dict().items()}
    training.run(Asked())
    after = training.model.state_dict()
    changed = {name.partition(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"blocks", "head"}
    assert not [n for n in before if n.startswith(("stem", "blocks.0.0")) and not torch.equal(before[n], after[n])]


@pytest.mark.parametrize("strategy", ["clip", "recurrent"])
def test_statistics_that_are_kept(strategy: Literal["clip", "recurrent"], tmp_path: Path) -> None:
    """All else learns, the norms' own weights too."""
    model = new_network(BASIC, tmp_path)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    recipe = replace(BASIC, init_from="weights", batch_norm="kept", strategy=strategy, sub_clip=2)
    assert Training(fabric(), recipe, model, SETS, tmp_path / "checkpoint.safetensors").run(Asked())
    same = {name for name, value in model.state_dict().items() if torch.equal(value, before[name])}
    assert same == {name for name, _ in model.named_buffers()}


@pytest.mark.parametrize("epoch", [1, 2])
def test_a_run_that_is_stopped_while_it_validates_comes_to_the_same_end(epoch: int, tmp_path: Path) -> None:
    """It does not wait for the end of the validation, which is done anew."""
    wanted, state = uninterrupted("clip")
    rows, stop = Rows(), StoppedLater(3 * epoch)  # while the epoch's last update is told of
    training = new_training(CLIP, SETS, tmp_path)
    assert not training.run(stop, [rows, stop])
    assert [row["epoch"] for row in rows.epochs] == list(range(1, epoch))
    again = new_training(CLIP, SETS, tmp_path)
    again.restore(load_checkpoint(training.path))
    assert again.run(Asked(), [rows])
    assert (rows.steps, rows.epochs, rows.best_epochs) == (wanted.steps, wanted.epochs, wanted.best_epochs)
    assert_same(state_of(again), state)


class StoppedLater:
    """Asked to stop once the loop has asked itself whether it was, after an update."""

    def __init__(self, step: int) -> None:
        self.at, self.asked = step, -1

    @property
    def requested(self) -> bool:
        self.asked += self.asked >= 0
        return self.asked > 1

    def step(self, row: Mapping[str, float]) -> None:
        if row["step"] == self.at:
            self.asked = 0

    def epoch(self, row: Mapping[str, float], answers: object) -> None: ...
    def best(self, model: object, row: Mapping[str, float]) -> None: ...


def test_a_lost_worker_loses_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = Rows()
    training = new_training(CLIP, SETS, tmp_path, workers=1)
    update = training._update

    def killing(*args: Any) -> Any:
        if training.state.step == 1:
            for worker in active_children():
                worker.kill()
                worker.join()
        return update(*args)

    monkeypatch.setattr(training, "_update", killing)
    with pytest.raises(MovinetError, match="ended from outside, perhaps for want of memory"):
        training.run(Asked(), [rows])
    assert load_checkpoint(training.path).progress["step"] == len(rows.steps) >= 2


def test_every_process_validates_with_its_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    training = new_training(CLIP, SETS, tmp_path)
    monkeypatch.setattr(movinet.train.train_loop, "evaluate", lambda *args: sizes.append(args[3]) or evaluate(*args))
    training.run(Asked())
    assert set(sizes) == {training.batch_size}
    with pytest.raises(MovinetError, match="2 processes cannot share 13 clips in batches of 5 evenly"):
        Training(SimpleNamespace(world_size=2), replace(CLIP, batch_size=5), None, SETS, tmp_path / "c")


def test_a_set_smaller_than_a_batch_is_a_batch(tmp_path: Path) -> None:
    rows = Rows()
    new_training(replace(BASIC, batch_size=100), noise(clips=3), tmp_path).run(Asked(), [rows])
    assert [row["step"] for row in rows.steps] == [1, 2]


def test_workers_outlive_what_a_scheduler_sends_to_all() -> None:
    before = set(active_children())
    loader, seen = load_batches(SETS.train, EpochOrder(13), 2, workers=1), 0
    for _ in loader:
        (worker,) = set(active_children()) - before
        if not seen:
            os.kill(worker.pid, signal.SIGTERM)
        seen += 1
    assert seen == 7
    del loader
    assert not worker.is_alive()
