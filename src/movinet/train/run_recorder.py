"""A run carried out in its folder: alone in it, with tables and pictures that grow, from where it was left off."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from movinet.errors import MovinetError
from movinet.nn.baseline_network import BaselineNetwork
from movinet.nn.movinet import MoViNet
from movinet.train.checkpoint import Checkpoint, load_checkpoint
from movinet.train.logs import RunLog
from movinet.train.run_dir import CHECKPOINT, alone
from movinet.train.signals import Stop, graceful_stop
from movinet.train.train_loop import Observer, Training
from movinet.train.validation import EvalOutput

if TYPE_CHECKING:
    from lightning_fabric import Fabric

logger = logging.getLogger(__name__)


class RunRecorder:
    """Writes what a run leaves while it goes on.

    Args:
        folder: Of the run.
        steps, epochs: Columns of the tables; see `RunLog`.
        draw: Draws what there is so far, after every epoch.
        resume_at: The step the run goes on from; None: it begins.
        tensorboard: Write its events too.
    """

    def __init__(
        self,
        folder: Path,
        steps: Sequence[str],
        epochs: Sequence[str],
        draw: Callable[[], None],
        resume_at: int | None,
        tensorboard: bool = False,
    ) -> None:
        self.folder, self.draw = folder, draw
        steps = ["loss", "lr", "gradient_norm", "clips_per_s", *steps]
        self.log = RunLog(folder, steps, ["loss", "seconds", *epochs], tensorboard=tensorboard, resume_at=resume_at)

    def close(self) -> None:
        self.log.close()

    def step(self, row: Mapping[str, float]) -> None:
        self.log.step(row)

    def best(self, model: MoViNet | BaselineNetwork, row: Mapping[str, float]) -> None:
        """Nothing is kept."""

    def epoch(self, row: Mapping[str, float], answers: EvalOutput | None) -> None:
        self.log.epoch(row)
        rather_without(self.draw)


@contextmanager
def own_folder(fabric: "Fabric", folder: Path, begin: Callable[[], None] | None) -> Iterator[Checkpoint | None]:
    """A folder that no other run gets into while this lasts, and the checkpoint in it to go on from, if it came so far.

    Args:
        fabric: Whose first process makes and holds the folder.
        folder: New or empty; that of the run to go on with where there is no `begin`.
        begin: Writes what a new run writes first.

    Raises:
        MovinetError: The folder holds another run or something else, or the checkpoint cannot be read.
    """
    with ExitStack() as stack:
        if fabric.is_global_zero:
            stack.enter_context(alone(folder, new=begin is not None))
            if begin is not None:
                begin()
        fabric.barrier()  # nobody reads before the folder is ours
        path = folder / CHECKPOINT
        yield load_checkpoint(path) if begin is None and path.exists() else None


@contextmanager
def carried_out(
    training: Training,
    checkpoint: Checkpoint | None,
    recorder: Callable[[int | None], RunRecorder],
    watchers: Sequence[Observer],
    describe: Callable[[], None],
) -> Iterator[tuple[bool, Stop]]:
    """Whether the training, or what was left of it, was finished; and who is asked to stop while this lasts.

    Args:
        training: At its beginning.
        checkpoint: To go on from.
        recorder: Of the step it goes on from.
        watchers: Told how it goes.
        describe: Explains the folder.
    """
    if checkpoint:
        training.restore(checkpoint)
    with ExitStack() as stack:
        if training.fabric.is_global_zero:
            describe()
        stop = stack.enter_context(graceful_stop())
        if training.fabric.is_global_zero:
            keeper = recorder(checkpoint.progress["step"] if checkpoint else None)
            watchers = (stack.enter_context(closing(keeper)), *watchers)
        finished = training.run(stop, watchers)
        training.fabric.barrier()  # the first process has written what all read now
        yield finished, stop


def rather_without(draw: Callable[[], None]) -> None:
    """A picture that cannot be drawn is no reason to end a run."""
    try:
        draw()
    except MovinetError as error:
        logger.warning("no picture: %s", error)
