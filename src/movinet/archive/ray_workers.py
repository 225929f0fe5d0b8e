"""Workers on many machines, by Ray; and a class for people's own pipelines of Ray Data.

Ray dispatches tasks to actors, which hold the network, decode inside, and give back rows: nothing large goes through
its object store. The journal stays the truth of what is done; nothing of Ray's own is needed to go on.

The file is not called `ray.py`: whoever runs a script in this folder would import that in place of the package.

Ray Data, in a pipeline of one's own:

    import ray
    from movinet.archive.ray_workers import ScanBatch

    videos = ray.data.read_parquet("manifest.parquet")  # with a column `path`
    rows = videos.map_batches(
        ScanBatch,
        fn_constructor_kwargs={"model": "movinet_a0_stream.k600", "memory": 10.0},
        batch_size=1,
        compute=ray.data.ActorPoolStrategy(size=8),
        num_cpus=1,
    )
    rows.write_parquet("rows/")

Read the list of videos from Parquet. With `ray.data.from_items` a checkpointed pipeline that goes on after a stop
silently wrote a third of its rows twice (Ray 2.60): what is done is only filtered out of what is *read*.
"""

import logging
import os
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from movinet.archive.items import Item, file_item
from movinet.archive.lanes import Lanes, Machinery
from movinet.archive.looking import identity
from movinet.archive.tally import Answers
from movinet.archive.tasks import Outcome, Task, Wishes
from movinet.archive.workers import Lost
from movinet.errors import MovinetError, needs_extra
from movinet.runtime.factory import EngineKind
from movinet.runtime.open_network import open_network
from movinet.video.locations import is_address

_TRIES = 3  # actors that a video is given to before it is marked: nodes come and go
_LOOKS = 10.0  # seconds between looks at how large the cluster is
_TOKEN = ".token"
_HUNG = 86  # how an actor ends that sees no frame for too long


class RayWorkers:
    """See `movinet.archive.workers.Workers`.

    Args:
        machinery: what every actor runs; its spool must be the same folder on all nodes where something is spooled.
        address: of the cluster; `local` starts one here.
        processes: actors; by default one for each core that the cluster has, as nodes come and go.
        timeout: seconds without a frame after which an actor ends itself.

    Raises:
        MovinetError: there is no Ray, or no such cluster.
    """

    def __init__(self, machinery: Machinery, address: str, processes: int | None, timeout: float) -> None:
        with needs_extra("ray"):
            import ray
        self._ray: Any = ray
        self._timeout, self._processes = timeout, processes
        self._token = Path(machinery.spool, _TOKEN)
        self._token.write_text(machinery.run, encoding="ascii")
        self._machinery = machinery
        try:
            self._ray.init(
                address=None if address == "local" else address,
                num_cpus=processes if address == "local" else None,
                include_dashboard=False if address == "local" else None,
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
        except Exception as error:  # whatever its many layers raise
            raise MovinetError(f"--ray {address}: cannot be reached: {error}") from error
        self._class: Any = ray.remote(num_cpus=1, max_restarts=0, max_task_retries=0)(_Actor)
        self._actors: dict[Any, list[tuple[Any, Task]]] = {}
        self._starting: dict[Any, Any] = {}
        self._tries: dict[int, int] = {}
        self._again: list[Task] = []
        self._looked = 0.0
        self._failures = 0
        self._grow()

    @property
    def busy(self) -> int:
        return sum(len(tasks) for tasks in self._actors.values()) + len(self._again)

    def room(self, ahead: bool) -> int:
        return sum(1 + ahead - len(tasks) for tasks in self._actors.values()) - len(self._again)

    @property
    def ready(self) -> bool:
        return bool(self._actors)

    def give(self, task: Task) -> None:
        if not self._actors:
            self._again.append(task)
            return
        actor = min(self._actors, key=lambda one: len(self._actors[one]))
        self._actors[actor].append((actor.look.remote(task), task))

    def take(self, seconds: float) -> list[Outcome | Lost]:
        ray, found = self._ray, list[Outcome | Lost]()
        self._grow()
        of = {answer: actor for actor, tasks in self._actors.items() for answer, _ in tasks}
        of |= {answer: actor for actor, answer in self._starting.items()}
        if of:
            ready, _ = ray.wait(list(of), num_returns=1, timeout=seconds)
            if ready:
                ready, _ = ray.wait(list(of), num_returns=len(of), timeout=0)
        else:
            time.sleep(seconds)
            ready = []
        for answer in ready:
            found += self._came(of[answer], answer)
        again, self._again = self._again, []
        for task in again:
            self.give(task)
        return found

    def close(self) -> None:
        with suppress(Exception):
            for actor in [*self._actors, *self._starting]:
                self._ray.kill(actor)
        self._ray.shutdown()
        with suppress(OSError):
            self._token.unlink()

    def _came(self, actor: Any, answer: Any) -> list[Outcome | Lost]:
        try:
            value = self._ray.get(answer)
        except self._ray.exceptions.RayActorError:
            return self._died(actor, "the actor or its node died")
        except self._ray.exceptions.RayTaskError as error:
            cause = error.cause if isinstance(error.cause, Exception) else error
            if isinstance(cause, MovinetError):
                raise MovinetError(str(cause)) from None
            return self._died(actor, f"the actor broke down ({cause})")
        if self._starting.pop(actor, None) is not None:
            self._actors[actor] = []
            self._failures = 0
            return []
        tasks = self._actors.get(actor, [])
        self._actors[actor] = [(one, task) for one, task in tasks if one != answer]
        assert isinstance(value, Outcome)
        self._tries.pop(value.number, None)
        return [value]

    def _died(self, actor: Any, why: str) -> list[Outcome | Lost]:
        """What it had begun is given to another; what several have died of is marked."""
        lost: list[Outcome | Lost] = []
        if self._starting.pop(actor, None) is not None:
            self._failures += 1
            if self._failures >= 10:
                raise MovinetError(f"Ray's actors end before they begin: {why}")
        for place, (_, task) in enumerate(self._actors.pop(actor, [])):
            if place == 0:
                self._tries[task.number] = self._tries.get(task.number, 0) + 1
            if self._tries.get(task.number, 0) >= _TRIES:
                lost.append(Lost(task, f"{why}, {_TRIES} times"))
            else:
                self._again.append(task)
        self._looked = 0.0  # another may take its place
        with suppress(Exception):
            self._ray.kill(actor)
        return lost

    def _grow(self) -> None:
        """Have as many actors as there are cores: nodes come and go."""
        if time.monotonic() - self._looked < _LOOKS:
            return
        self._looked = time.monotonic()
        wanted = self._processes or int(self._ray.cluster_resources().get("CPU", 0))
        for _ in range(wanted - len(self._actors) - len(self._starting)):
            actor = self._class.remote(self._machinery, self._timeout)
            self._starting[actor] = actor.begin.remote()


class _Actor:
    """Holds a network on one core of a cluster."""

    def __init__(self, machinery: Machinery, timeout: float) -> None:
        self._machinery, self._timeout = machinery, timeout
        self._lanes: Lanes | None = None
        self._came = threading.Event()
        self._outcome: Outcome | None = None

    def begin(self) -> bool:
        """Load the network.

        Raises:
            MovinetError: it cannot be run here, is another, or the spool is not the scan's folder.
        """
        machinery = self._machinery
        spools = machinery.wishes.frames or machinery.wishes.vectors or machinery.wishes.piece != 0
        token = Path(machinery.spool, _TOKEN)
        if spools and (not token.is_file() or token.read_text(encoding="ascii") != machinery.run):
            raise MovinetError(
                f"{machinery.spool}: is not there on {os.uname().nodename}: with --frames, --embeddings and files that "
                "are cut (--piece 0 cuts none) all nodes need the folder of results, on a disk that they share"
            )
        self._lanes = Lanes(machinery, self._told)
        threading.Thread(target=self._watch, daemon=True).start()
        return True

    def look(self, task: Task) -> Outcome:
        """Do a task."""
        assert self._lanes is not None
        self._came.clear()
        self._lanes.give(task)
        self._came.wait()
        assert self._outcome is not None
        return self._outcome

    def _told(self, outcome: Outcome) -> None:
        self._outcome = outcome
        self._came.set()

    def _watch(self) -> None:
        assert self._lanes is not None
        while True:
            time.sleep(1.0)
            slowest = self._lanes.slowest()
            if slowest is not None and slowest[1] > self._timeout:
                os._exit(_HUNG)


class ScanBatch:
    """Rows of videos, for `ray.data.Dataset.map_batches`; see above.

    Args:
        model: a name of `movinet models`, or a file that all nodes have.
        memory, on, off, shortest, topk: as of `movinet scan`.
        engine: what runs the network.
        column: which names the videos.
    """

    def __init__(
        self,
        model: str,
        memory: float | None = None,
        on: float | None = None,
        off: float | None = None,
        shortest: float | None = None,
        topk: int = 5,
        engine: EngineKind = "auto",
        column: str = "path",
    ) -> None:
        self._column = column
        answers, hash = Answers(memory, on, off, shortest, (), topk), open_network(model).hash
        wishes = Wishes(answers, piece=0)
        machinery = Machinery(model, hash, None, engine, "float32", "cpu", 1, wishes, tempfile.gettempdir(), "0" * 8)
        self._actor = _Actor(replace(machinery), float("inf"))
        self._actor.begin()

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, list[Any]]:
        """A batch with the column of videos to one with the columns of rows."""
        rows = []
        for number, path in enumerate(batch[self._column]):
            item = Item(str(path), -1, "") if is_address(str(path)) else file_item(str(path))
            outcome = self._actor.look(Task(number, item))
            rows.append(outcome.row or identity(item))
        return {name: [row[name] for row in rows] for name in rows[0]} if rows else {}
