"""How a run goes, on a terminal as it happens, elsewhere in lines."""

import math
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from movinet.train.stream_validation import StreamEvalOutput
from movinet.train.validation import EvalOutput
from movinet.train.verdict import FEW

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live

_RECENT = 30  # updates that speed and loss are means of
_NAMES = {"top1": "top-1", "top5": "top-5", "map": "mAP", "event_f1": "event F1"}


class ProgressDisplay:
    """Shows epochs, updates, loss, rate, speed and the remaining time, and a line for every epoch that ended.

    On a terminal bars are kept up to date below those lines; elsewhere there is a line every `seconds`. Enter it before
    the first update; the rows are those of the logs (`movinet.train.train_loop.Observer`).

    Args:
        console: Of standard error.
        epochs: Of the run.
        steps_per_epoch: Updates.
        seconds: Between lines where there is no terminal.
        clock: Seconds.
    """

    def __init__(
        self,
        console: "Console",
        epochs: int,
        steps_per_epoch: int,
        *,
        seconds: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.console, self.epochs, self.steps_per_epoch = console, epochs, steps_per_epoch
        self.seconds, self.clock = seconds, clock
        self._row: Mapping[str, float] = {}
        self._losses: deque[float] = deque(maxlen=_RECENT)
        self._paces: deque[float] = deque(maxlen=_RECENT)  # seconds a clip
        self._gaps: deque[float] = deque(maxlen=_RECENT)  # seconds a step, without what is between epochs
        self._session: tuple[float, int] | None = None  # when it began, at which step
        self._last_step: float | None = None
        self._said = clock()
        self._is_best = False
        self._live: Live | None = None

    def __enter__(self) -> "ProgressDisplay":
        if self.console.is_terminal and not self.console.is_dumb_terminal:
            from rich.live import Live

            self._live = Live(console=self.console, get_renderable=self._render, refresh_per_second=4, transient=True)
            self._live.start()
        self._last_step = self._said = self.clock()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()
            self._live = None

    def step(self, row: Mapping[str, float]) -> None:
        """After every update: `step`, from 1 over all epochs, `epoch`, from 1, `loss`, `lr` and `clips_per_s`."""
        now = self.clock()
        if self._session is None:
            self._session = (now if self._last_step is None else self._last_step, int(row["step"]) - 1)
        if self._last_step is not None:
            self._gaps.append(now - self._last_step)
        if math.isfinite(row["loss"]):
            self._losses.append(row["loss"])
        if row["clips_per_s"] > 0:
            self._paces.append(1 / row["clips_per_s"])
        self._row, self._last_step = row, now
        if not self._live and now - self._said >= self.seconds:
            self._say(self._step_line())

    def best(self, model: object, row: Mapping[str, float]) -> None:
        """Before `epoch`, when the network is the best so far."""
        self._is_best = True

    def epoch(self, row: Mapping[str, float], answers: object = None) -> None:
        """After every epoch: `epoch`, `loss`, its mean, and what there is of `validation_loss`, `validation_top1` …"""
        scores = {name.removeprefix("validation_"): row[name] for name in row if name.startswith("validation_")}
        line = [f"loss {row['loss']:.3f}"]
        clips = FEW
        if isinstance(answers, EvalOutput) and not isinstance(answers, StreamEvalOutput):
            clips = len(answers.targets)
        few = f" of {clips}" if clips < FEW else ""
        for name, value in scores.items():
            said = f"validation loss {value:.3f}" if name == "loss" else f"{_NAMES.get(name, name)} {value:.1%}{few}"
            line.append(said)
        self.end_epoch(row, "  ".join(line) + ("  best so far" if self._is_best and scores else ""))
        self._is_best = False

    def end_epoch(self, row: Mapping[str, float], line: str) -> None:
        """Print a line about an epoch; what comes until the next update is no part of its time."""
        self._say(f"{self._epoch_of(row)}  {line}")
        self._last_step = self.clock()

    def remaining(self) -> tuple[float, float]:
        """Seconds to the end of the epoch and of the run; NaN before anything is known of the speed."""
        if not self._gaps or self._session is None:
            return math.nan, math.nan
        began, before = self._session
        step = int(self._row["step"])
        in_epoch = -step % self.steps_per_epoch * sum(self._gaps) / len(self._gaps)
        # What lies between epochs took its time so far and will go on doing so.
        whole = (self.clock() - began) / (step - before) * (self.epochs * self.steps_per_epoch - step)
        return in_epoch, max(whole, in_epoch)

    def _say(self, line: str) -> None:
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)
        self._said = self.clock()

    def _step_line(self) -> str:
        done = (int(self._row["step"]) - 1) % self.steps_per_epoch + 1
        left = _duration(self.remaining()[1])
        figures = "  ".join(self.figures(self._row))
        return f"{self._epoch_of(self._row)}  {done}/{self.steps_per_epoch}  {figures}  {left} left"

    def _epoch_of(self, row: Mapping[str, float]) -> str:
        return f"epoch {int(row['epoch']):{len(str(self.epochs))}}/{self.epochs}"

    def figures(self, row: Mapping[str, float]) -> list[str]:
        """What is shown of the last update's row."""
        finite = math.isfinite(row["loss"]) and self._losses
        loss = sum(self._losses) / len(self._losses) if finite else row["loss"]
        speed = len(self._paces) / sum(self._paces) if self._paces else 0.0
        return [f"loss {loss:.3f}", f"lr {row['lr']:.2g}", f"{speed:.3g} clips/s"]

    def _render(self) -> "RenderableType":
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        if not self._row:
            return Text("waiting for the first batch", style="dim")
        step, left = int(self._row["step"]), self.remaining()
        in_epoch = (step - 1) % self.steps_per_epoch + 1
        table = Table.grid(padding=(0, 1))
        for name, done, total, seconds in (
            (self._epoch_of(self._row), in_epoch, self.steps_per_epoch, left[0]),
            ("run", step, self.epochs * self.steps_per_epoch, left[1]),
        ):
            note = "validation" if done == total and name != "run" else f"{_duration(seconds)} left"
            bar = ProgressBar(total=total, completed=done, width=40)
            table.add_row(name, bar, Text(f"{done}/{total}", justify="right"), Text(note, style="dim"))
        return Group(table, Text(" · ".join(self.figures(self._row)), style="dim"))


def _duration(seconds: float) -> str:
    if not math.isfinite(seconds):
        return "?"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"
