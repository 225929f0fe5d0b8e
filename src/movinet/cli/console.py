"""What the command line prints: answers on stdout, complaints and progress on stderr."""

import logging
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TextIO

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from movinet.errors import MovinetError, printable
from movinet.files import dump_json

if TYPE_CHECKING:
    from movinet.prediction import Prediction


class _Console(Console):
    """Names that come from files (labels, networks, videos) move no cursor and change no color."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            text, style, control = segment
            yield segment if control else Segment(printable(text, lines=True), style)

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError  # for main, which treats all output alike


# No markup, no `:names:` of pictures: labels and file names may hold brackets and colons.
out = _Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
err = _Console(stderr=True, highlight=False, soft_wrap=True, markup=False, emoji=False)


def print_prediction(prediction: "Prediction", topk: int) -> None:
    """One line for one frame."""
    (label, probability), *rest = prediction.top(topk)
    others = "  ".join(f"{label} {p:.0%}" for label, p in rest)
    line = f"  {prediction.time:6.2f} s  {bar(probability)} {probability:5.0%}  {label:22} "
    out.print(Text.assemble(line, (others, "dim")))


def bar(probability: float, width: int = 20) -> str:
    full = round(probability * width)
    return "█" * full + "░" * (width - full)


def print_nowhere(*streams: TextIO) -> None:
    """Nobody reads any more what is printed, on stdout and stderr by default: Python would fail over what is left in
    its buffers at the end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in streams or (sys.stdout, sys.stderr):
        if stream is not None:
            os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def print_json(value: Any) -> None:
    print(dump_json(value), flush=True)


def complain(error: MovinetError) -> None:
    err.print(Text.assemble(("movinet: ", "bold red"), str(error)))


def warn(message: str) -> None:
    err.print(f"! {message}", style="yellow")


@contextmanager
def progress_bar(what: str) -> Iterator[Callable[[int, int | None], None] | None]:
    """A progress bar on a terminal, shown once there is progress; nothing elsewhere."""
    if not err.is_terminal:
        yield None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task(what, total=None, visible=False)
        yield lambda done, total: bar.update(task, completed=done, total=total, visible=True)


def as_printed(complaint: Callable[[], None]) -> str:
    """What it would print on stderr."""
    with err.capture() as printed:
        complaint()
    return printed.get().rstrip("\n")


class _Lines(logging.Handler):
    def __init__(self, tell: Callable[[str], None] = warn) -> None:
        super().__init__(logging.WARNING)
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(OSError):  # nobody can read it
            self._tell(record.getMessage())


@contextmanager
def log_as_lines() -> Iterator[None]:
    """What our loggers warn of is printed as what commands warn of."""
    logger, handler = logging.getLogger("movinet"), _Lines()
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


@contextmanager
def warnings_told(tell: Callable[[str], None]) -> Iterator[None]:
    """What our loggers warn of is handed on instead of printed."""
    logger = logging.getLogger("movinet")
    before, logger.handlers = logger.handlers, [_Lines(tell)]
    try:
        yield
    finally:
        logger.handlers = before


@contextmanager
def warnings_as_lines() -> Iterator[None]:
    """What our loggers warn of, in this process and those forked from it, is printed by this one: anything else would
    be lost among progress bars."""
    from logging.handlers import QueueHandler, QueueListener
    from multiprocessing import Queue

    queue: Queue[logging.LogRecord] = Queue()
    logger, handler, listener = logging.getLogger("movinet"), QueueHandler(queue), QueueListener(queue, _Lines())
    before, logger.handlers = logger.handlers, [handler]
    listener.start()
    try:
        yield
    finally:
        logger.handlers = before
        listener.stop()
        queue.close()
