"""A run's tables: nothing lost, nothing twice, whatever broke the run off."""

import logging
import math
import resource
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from movinet.errors import MovinetError
from movinet.train.logs import RunLog, read_log


def losses(steps: int, seed: int) -> list[float]:
    return np.random.default_rng(seed).standard_normal(steps).astype(np.float32).tolist()


def run(folder: Path, seed: int, first: int, last: int, per_epoch: int = 3, tensorboard: bool = False) -> None:
    """Steps after `first` up to `last` of a run that depends on the seed alone."""
    log = RunLog(folder, ["loss", "lr"], ["top1"], tensorboard=tensorboard, resume_at=first or None)
    with log:
        for step, loss in enumerate(losses(last, seed), 1):
            if step > first:
                epoch = (step - 1) // per_epoch
                log.step({"step": step, "epoch": epoch, "loss": loss, "lr": 1 / step})
                if step % per_epoch == 0:
                    log.epoch({"step": step, "epoch": epoch, "top1": step / 100})


@given(seed=st.integers(0, 99), steps=st.integers(1, 20), data=st.data())
@settings(max_examples=30)
def test_a_run_that_broke_off_has_the_log_of_one_that_did_not(
    tmp_path_factory: pytest.TempPathFactory, seed: int, steps: int, data: st.DataObject
) -> None:
    whole, broken = tmp_path_factory.mktemp("whole"), tmp_path_factory.mktemp("broken")
    run(whole, seed, 0, steps)
    died = data.draw(st.integers(1, steps), label="died")
    saved = data.draw(st.integers(1, died), label="saved")
    run(broken, seed, 0, died)
    for name in ("steps.csv", "epochs.csv"):  # with some of its last row
        content = (broken / name).read_bytes()
        last = len(content.splitlines(keepends=True)[-1]) if saved < died and name == "steps.csv" else 0
        (broken / name).write_bytes(content[: len(content) - data.draw(st.integers(0, last))])
    run(broken, seed, saved, steps)
    for name in ("steps.csv", "epochs.csv"):
        assert (broken / name).read_bytes() == (whole / name).read_bytes()
    assert sorted(path.name for path in broken.iterdir()) == ["epochs.csv", "steps.csv"]


def test_every_number_comes_back(tmp_path: Path) -> None:
    numbers = [0.1, 1e-45, -0.0, 1.7e308, math.nan, math.inf, -math.inf, 3.0]
    with RunLog(tmp_path, ["a", "b"], []) as log:
        for step, number in enumerate(numbers):
            log.step({"step": step, "epoch": 0, "b": number})
        steps = read_log(tmp_path).steps  # while the run is going on
    assert [struct.pack("d", number) for number in steps["b"]] == [struct.pack("d", number) for number in numbers]
    assert np.isnan(steps["a"]).all()
    assert steps["step"].tolist() == list(range(8))
    assert (tmp_path / "steps.csv").read_text().splitlines()[:2] == ["step,epoch,a,b", "0,0,,0.1"]
    assert read_log(tmp_path).epochs.keys() == {"step", "epoch"}


def test_columns_are_agreed_upon(tmp_path: Path) -> None:
    with RunLog(tmp_path, ["loss"], []) as log:
        for row in ({"step": 1, "epoch": 0, "los": 1.0}, {"step": 1, "loss": 1.0}):
            with pytest.raises(ValueError, match=r"steps\.csv: a row has too many or too few columns: (los|epoch)$"):
                log.step(row)
    with pytest.raises(MovinetError, match=r"steps\.csv: has the columns step,epoch,loss, but .* step,epoch,lr"):
        RunLog(tmp_path, ["lr"], [], resume_at=1)
    RunLog(tmp_path, ["lr"], []).close()  # begun anew


@contextmanager
def no_more_than(size: int) -> Iterator[None]:
    """What a full disk does: files grow up to some byte in the middle of a row."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))


def test_a_full_disk_costs_no_row(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    with RunLog(tmp_path, ["loss"], []) as log:
        with no_more_than(30):
            for step in range(1, 6):
                log.step({"step": step, "epoch": 0, "loss": 0.25})
        assert (tmp_path / "steps.csv").stat().st_size == 30
        assert len(caplog.records) == 1
        assert "steps.csv: cannot write: File too large; the run goes on" in caplog.text
        log.step({"step": 6, "epoch": 0, "loss": 0.25})
        assert read_log(tmp_path).steps["step"].tolist() == [1, 2, 3, 4, 5, 6]


def test_what_cannot_be_read_or_begun(tmp_path: Path) -> None:
    with pytest.raises(MovinetError, match=r"steps\.csv: cannot read: No such file"):
        read_log(tmp_path)
    with pytest.raises(MovinetError, match=r"nowhere/steps\.csv: cannot write"):
        RunLog(tmp_path / "nowhere", [], [])
    (tmp_path / "steps.csv").write_text("step,epoch\n1,one\n")
    with pytest.raises(MovinetError, match="not a table of numbers"):
        read_log(tmp_path)


def events(folder: Path) -> dict[str, list[tuple[int, float]]]:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    found = accumulator.EventAccumulator(str(folder / "tensorboard")).Reload()
    return {tag: [(event.step, event.value) for event in found.Scalars(tag)] for tag in found.Tags()["scalars"]}


def test_tensorboard_shows_what_the_tables_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = pytest.importorskip("tensorboard.summary.writer.event_file_writer")
    # Files of one second and process are read by the names of their numbers, where 10 comes before 9.
    monkeypatch.setattr(writer, "_global_uid", writer.AtomicCounter(0))
    run(tmp_path, 0, 0, 8, tensorboard=True)
    run(tmp_path, 0, 4, 9, tensorboard=True)
    found, log = events(tmp_path), read_log(tmp_path)
    assert found.keys() == {"steps/loss", "steps/lr", "epochs/top1"}
    for table, tag in ((log.steps, "steps/loss"), (log.epochs, "epochs/top1")):
        values = table[tag.split("/")[1]].astype(np.float32).tolist()
        assert found[tag] == list(zip(table["step"].tolist(), values, strict=True))


def test_tensorboard_on_a_full_disk(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tensorboard")
    with RunLog(tmp_path, ["loss"], [], tensorboard=True) as log:
        assert log._board
        monkeypatch.setattr(log._board, "add_scalar", _no_space)
        for step in range(3):
            log.step({"step": step, "epoch": 0, "loss": 1.0})
    assert len(caplog.records) == 1
    assert len(read_log(tmp_path).steps["loss"]) == 3


def _no_space(*_: object) -> None:
    raise OSError(28, "No space left on device")


def test_without_tensorboard_there_are_the_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    run(tmp_path, 0, 0, 3, tensorboard=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["epochs.csv", "steps.csv"]
