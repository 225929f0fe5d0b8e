"""What is shown of a run is true, on a terminal and elsewhere."""

import io
import math

import pytest
from rich.console import Console

from movinet.train.progress import ProgressDisplay


class Run:
    """A made-up run by a clock of its own: 3 epochs of 10 updates of 4 clips, 2 s each, and 5 s of validation."""

    def __init__(self, terminal: bool, start: int = 0) -> None:
        self.now, self.done = 100.0, start
        self.text = io.StringIO()
        self.console = Console(file=self.text, force_terminal=terminal, width=100, highlight=False, color_system=None)
        self.display = ProgressDisplay(self.console, 3, 10, clock=lambda: self.now)

    def steps(self, count: int, loss: float = 0.5) -> None:
        for _ in range(count):
            self.now, self.done = self.now + 2.0, self.done + 1
            epoch = (self.done - 1) // 10 + 1
            row = {"step": self.done, "epoch": epoch, "loss": loss, "lr": 1e-3, "clips_per_s": 2.0, "[b]": 0.0}
            self.display.step(row)

    def validation(self, best: bool = False, **scores: float) -> None:
        self.now += 5.0
        row = {"step": self.done, "epoch": self.done // 10, "loss": 0.25, "seconds": 20.0, **scores}
        if best:
            self.display.best(None, row)
        self.display.epoch(row, None)

    def lines(self) -> list[str]:
        return self.text.getvalue().splitlines()


def test_without_a_terminal_there_are_lines() -> None:
    run = Run(terminal=False)
    with run.display:
        run.steps(10)
        assert run.lines() == []
        run.validation(True, validation_loss=0.7, validation_top1=0.8125, validation_top5=1.0)
        run.steps(10)
        run.validation(validation_loss=0.9, validation_top1=0.75, validation_top5=math.nan)
        run.steps(10)
        run.validation(True)
    assert run.lines() == [
        "epoch 1/3  loss 0.250  validation loss 0.700  top-1 81.2%  top-5 100.0%  best so far",
        "epoch 2/3  loss 0.250  validation loss 0.900  top-1 75.0%  top-5 nan%",
        "epoch 3/3  loss 0.250",
    ]


def test_long_epochs_are_heard_of_every_half_minute() -> None:
    run = Run(terminal=False, start=10)
    with run.display:
        run.steps(5, loss=1.0)
        run.now += 60.0  # a slow one
        run.steps(1, loss=3.0)
    # Six updates in 72 s; fourteen are left.
    assert run.lines() == ["epoch 2/3  6/10  loss 1.333  lr 0.001  2 clips/s  0:02:48 left"]


def test_remaining_time() -> None:
    run = Run(terminal=False)
    with run.display:
        assert all(map(math.isnan, run.display.remaining()))
        run.steps(10)
        run.validation()
        run.steps(5)
        in_epoch, whole = run.display.remaining()
    assert in_epoch == pytest.approx(5 * 2)
    assert whole == pytest.approx(15 * 35 / 15)  # 15 updates and a validation took 35 s


def test_a_loss_that_is_none() -> None:
    run = Run(terminal=False)
    with run.display:
        run.steps(3)
        run.now += 30.0
        run.steps(1, loss=math.nan)
        run.now += 30.0
        run.steps(1)
    assert [line.split("  ")[2] for line in run.lines()] == ["loss nan", "loss 0.500"]


def test_on_a_terminal_bars_move() -> None:
    run = Run(terminal=True)

    def seen() -> list[str]:
        console = Console(file=io.StringIO(), width=100)
        with console.capture() as capture:
            console.print(run.display._render())
        return [line.rstrip() for line in capture.get().splitlines()]

    with run.display:
        assert seen() == ["waiting for the first batch"]
        run.steps(4)
        assert seen() == [
            "epoch 1/3 " + "━" * 16 + " " * 25 + "4/10 0:00:12 left",
            "run       " + "━" * 5 + " " * 36 + "4/30 0:00:52 left",
            "loss 0.500 · lr 0.001 · 2 clips/s",
        ]
        run.steps(6)
        assert seen()[0] == "epoch 1/3 " + "━" * 40 + " 10/10 validation"
        run.validation(True, validation_map=0.5)
        assert "epoch 1/3  loss 0.250  mAP 50.0%  best so far\n" in run.text.getvalue()
    assert run.text.getvalue().endswith("\x1b[2K")  # the bars are gone
