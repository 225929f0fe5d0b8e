"""Where a run takes place, and what every command that trains says of it: train, finetune, search."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from cyclopts import Parameter

from movinet.cli.app import at_least_one
from movinet.cli.console import warn, warnings_as_lines
from movinet.cli.training_report import JsonLines
from movinet.cores import limit_torch, usable_cores
from movinet.errors import MovinetError
from movinet.train.distributed import TrainPrecision, connect, settle_process
from movinet.train.progress import ProgressDisplay
from movinet.train.recipe import Recipe
from movinet.train.recipe_data import Videos
from movinet.train.run_dir import CHECKPOINT, RECIPE
from movinet.train.train_loop import Observer

if TYPE_CHECKING:
    from lightning_fabric import Fabric


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
        checkpoint_minutes: longest time without a checkpoint.
    """

    device: str = "auto"
    processes: int = 1
    nodes: int = 1
    precision: TrainPrecision | None = None
    workers: int | None = None
    threads: int | None = None
    checkpoint_minutes: float = 5.0

    def check(self) -> None:
        """Refuse what no run can have, before anything takes time."""
        at_least_one("--processes", self.processes)
        at_least_one("--nodes", self.nodes)
        if not self.checkpoint_minutes > 0:
            raise MovinetError(f"--checkpoint-minutes must be positive, got {self.checkpoint_minutes}")
        self.shares()

    def shares(self) -> tuple[int, int]:
        """Workers and threads of each process: on a processor they share its cores, since threads that wait for one
        another and for a core lose more than they gain."""
        each = max(1, usable_cores() // self.processes)
        workers = max(1, each // 2) if self.workers is None else self.workers
        threads = max(1, each - workers) if self.threads is None else self.threads
        if workers < 0 or threads < 1:
            raise MovinetError(f"--workers must be at least 0 and --threads at least 1, got {workers} and {threads}")
        return min(workers, 16), threads

    def connect(self, *, alone: bool = False, in_part: bool = False) -> "Fabric":
        """This process's place among all, ready to train. `alone`: it is the only one, since nothing is trained."""
        processes, nodes = (1, 1) if alone else (self.processes, self.nodes)
        fabric = connect(self.device, processes, nodes, self.precision, in_part=in_part)
        settle_process(fabric)
        limit_torch(self.shares()[1])  # of which connecting has its own idea
        return fabric


HERE = Machine()


def refuse_folder(folder: Path, recipe: Recipe, new: bool) -> None:
    """Refuse a run's folder that is among the clips, or holds a run already where it should be new."""
    if isinstance(recipe.data, Videos):
        for path in recipe.data.paths:
            if folder.absolute().is_relative_to(path):
                raise MovinetError(
                    f"{folder}: a run's folder among the clips of {path} would be taken for a class (--out)"
                )
    if new and (folder / RECIPE).exists():
        raise MovinetError(f"{folder}: holds a run already; go on with it (--resume {folder}) or choose another --out")


@contextmanager
def told(
    fabric: "Fabric", folder: Path, command: str, as_json: bool, display: Callable[[], ProgressDisplay]
) -> Iterator[tuple[Observer, ...]]:
    """Whoever tells of a run while it goes on: lines of JSON or the display; warnings come as lines between them. Where
    it is interrupted for good, how to go on with it is said."""
    with ExitStack() as stack:
        stack.enter_context(warnings_as_lines())
        watchers: tuple[Observer, ...] = ()
        if fabric.is_global_zero:
            watchers = (JsonLines() if as_json else stack.enter_context(display()),)
        try:
            yield watchers
        except KeyboardInterrupt:
            if fabric.is_global_zero and (folder / CHECKPOINT).exists():
                again = f"movinet {command} --resume {quote(str(folder))}"
                warn(f"what was saved last is kept; go on from there with: {again}")
            raise
