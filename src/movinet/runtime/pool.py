"""Many live streams through one engine: join, push frames, get answers, leave."""

import math
import os
import threading
import time as clock
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from movinet.arch.spec import Spec
from movinet.errors import MovinetError
from movinet.events import EventDetector
from movinet.runtime.engine import Engine, Mode, StreamState, live_memory
from movinet.runtime.factory import EngineKind, best_batch, create_engine
from movinet.runtime.motion_gate import MotionRule
from movinet.runtime.open_network import named_spec, open_network
from movinet.runtime.queued_frame import QueuedFrame
from movinet.runtime.scheduler import Round, Scheduler
from movinet.runtime.seat import Network
from movinet.runtime.seating import Slot
from movinet.runtime.session import OnGap, Session
from movinet.runtime.statistics import Counters, PoolStatistics
from movinet.runtime.stream_state import SavedStream
from movinet.weights.registry import DEFAULT_MODEL
from movinet.weights.weights import Weights
from movinet.words import counted

if TYPE_CHECKING:
    from movinet.weights.download import Progress

_CLOSE_WITHIN = 5.0  # seconds


class StreamPool:
    """Shares one engine among live streams that come and go. A context manager.

        with StreamPool.load("movinet_t0_stream.gestures", max_streams=64) as pool:
            stream = pool.join()
            answer = stream.submit(frame, time)
            if answer is not None:
                print(answer.result().label)

    Every stream's answers are those it would get alone. A thread of the pool's runs the engine; frames are resized in
    the threads that push them. Whoever has waited longest is first. A stream that stalls delays others by `max_wait`
    at most, once; one that is faster than the engine can be loses its own oldest frames. An error of the engine's is
    the answer of the frames that were in that step, and their streams begin anew.
    """

    def __init__(
        self,
        network: Network,
        engine: Engine[Any],
        *,
        max_streams: int,
        queue: int = 2,
        max_wait: float = 0.04,
    ) -> None:
        """Take memory for all streams to come, and start; `StreamPool.load` makes the engine, too.

        Args:
            network: what the engine runs.
            engine: of a stream network; from now on the pool's alone. Up to `engine.streams` streams share a step.
            max_streams: that can be here at once.
            queue: frames of a stream that may wait; where one more comes, the oldest is dropped.
            max_wait: seconds a frame waits for those of other streams to share its step.

        Raises:
            MovinetError: the engine takes frames of another size than the weights'.
        """
        _check(max_streams, queue, max_wait)
        self.network = network.identity if isinstance(network, Weights) else network  # the engine has its own arrays
        self.engine = engine
        info = self.info = network.info
        size, wanted = engine.signature.inputs[0].shape[1:], info.transform.size
        if size != wanted:
            raise MovinetError(
                f"the engine takes frames of {size}, not of {wanted} as {info.name} does: give it the size"
            )
        self._scheduler = Scheduler(
            engine, max_streams=max_streams, queue=queue, max_wait=max_wait, scale=info.transform.scale
        )
        self._counters = Counters()
        self._saves: deque[tuple[Slot[Any], Future[SavedStream]]] = deque()
        self._process = os.getpid()
        self._closed = False
        self._fault: BaseException | None = None  # what ended the thread, if not `close`
        self._changed = threading.Condition()  # guards all of the above
        self._thread = threading.Thread(target=self._run, name="movinet-pool", daemon=True)
        self._thread.start()

    @classmethod
    def load(
        cls,
        source: str | Path = DEFAULT_MODEL,
        *,
        max_streams: int,
        batch: int | None = None,
        engine: EngineKind = "auto",
        precision: Mode = "float32",
        threads: int | None = None,
        device: str = "cpu",
        queue: int = 2,
        max_wait: float = 0.04,
        cache: bool = True,
        labels: str | Path | Sequence[str] | None = None,
        offline: bool = False,
        progress: "Progress | None" = None,
    ) -> Self:
        """Find a network by name, file or folder (see `open_network`) and start a pool for them.

        Args:
            source: of the weights; the bundled ones by default.
            max_streams: that can be here at once.
            batch: streams that share a step; at 1 nobody waits for anybody. By default what so many streams gain by
                (see `best_batch`).
            engine: see `create_engine`, as for precision, threads, device and cache.
            queue: see `StreamPool`, as for max_wait.
            labels: see `open_network`, as for offline and progress.

        Raises:
            WeightsError: the weights cannot be had.
            MovinetError: they are a base network's, or the engine is not installed.
        """
        _check(max_streams, queue, max_wait)
        if (spec := named_spec(source)) is not None:  # before a download that would be for nothing
            _refuse_whole_clips(str(source), spec)
        network = open_network(source, labels=labels, offline=offline, progress=progress)
        _refuse_whole_clips(network.info.name, network.spec)
        runner = create_engine(
            network,
            engine,
            size=network.info.transform.size,
            streams=min(batch or best_batch(engine, precision, max_streams), max_streams),
            precision=precision,
            threads=threads,
            device=device,
            cache=cache,
        )
        return cls(network, runner, max_streams=max_streams, queue=queue, max_wait=max_wait)

    @property
    def memory(self) -> float | None:
        """Seconds that a live stream should remember, for `join` (see `live_memory`): what the weights' thresholds were
        chosen with, or what the network was trained with, or the length of its clips; infinity where that is for ever,
        None where the network cannot forget."""
        return live_memory(self.engine, self.info)

    def join(
        self,
        *,
        memory: float | None = None,
        every: int = 1,
        on_gap: OnGap = "reset",
        max_gap: float = 2.0,
        saved: SavedStream | None = None,
        detector: EventDetector | None = None,
        motion: MotionRule | None = None,
    ) -> Session:
        """A place for a new stream, which is to `leave` it; the arguments are those of `Session`.

        Raises:
            ValueError: as `Session`.
            MovinetError: the pool is full or closed, or as `Session`.
        """
        self._check_open()
        with self._changed:
            self._check_open()
            limit = self._scheduler.max_streams
            if len(self._scheduler.slots) >= limit:
                raise MovinetError(
                    f"the pool is full with {counted(limit, 'stream')}: one has to leave, or make it larger"
                )
            seat = PoolSeat(self, self._scheduler.join({}))
        try:
            return Session(
                seat,
                self.network,
                memory=memory,
                every=every,
                on_gap=on_gap,
                max_gap=max_gap,
                saved=saved,
                detector=detector,
                motion=motion,
            )
        except BaseException:
            seat.leave()
            raise

    @property
    def is_open(self) -> bool:
        """Whether it takes frames: neither closed nor broken."""
        return not self._closed and self._thread.is_alive()

    def statistics(self) -> PoolStatistics:
        """How it goes."""
        with self._changed:
            slots = self._scheduler.slots
            return self._counters.figures(clock.monotonic(), len(slots), sum(len(slot.queue) for slot in slots))

    def close(self) -> None:
        """Stop, within seconds. Answers that were still to come are cancelled."""
        if os.getpid() != self._process:
            return  # the locks are as the fork met them
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if threading.current_thread() is not self._thread:
            self._thread.join(_CLOSE_WITHIN)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _check_open(self) -> None:
        if os.getpid() != self._process:
            raise MovinetError(
                "the pool was made in another process, and its thread stayed there: make one after the fork"
            )
        if self._fault is not None:
            raise MovinetError(f"the pool broke down: {self._fault!r}") from self._fault
        if self._closed:
            raise MovinetError("the pool is closed")

    def _run(self) -> None:
        """The thread: everything that touches the engine."""
        work: Round[Any] | tuple[Slot[Any], Future[SavedStream]] | None = None
        try:
            while (work := self._wait()) is not None:
                if isinstance(work, Round):
                    self._scheduler.run(work)
                    self._settle(work)
                else:
                    self._save(*work)
        except BaseException as error:  # a fault of ours: nobody may wait for a thread that is gone
            self._fault = error
        finally:
            self._abandon(work if isinstance(work, Round) else None)

    def _wait(self) -> Round[Any] | tuple[Slot[Any], Future[SavedStream]] | None:
        """The next thing to do; None once the pool is closed."""
        with self._changed:
            while not self._closed:
                if self._saves:
                    return self._saves.popleft()
                now = clock.monotonic()
                if (work := self._scheduler.next_round(now)) is not None:
                    return work
                until = self._scheduler.wake_at()
                self._changed.wait(None if until is None else max(0.0, until - now))
        return None

    def _settle(self, work: Round[Any]) -> None:
        """Tell the answers; callbacks of theirs run here, and may call anything of the pool's."""
        with self._changed:
            self._scheduler.finish(work)
            if work.error is None:
                arrived = [frame.arrived for _, _, frame in work.shown]
                self._counters.stepped(clock.monotonic(), arrived, self.engine.streams)
            else:
                self._counters.errors += 1
        for slot, row, frame in work.shown:
            assert frame.owner is not None
            logits = None if work.logits is None else work.logits[row]
            frame.owner.answered(frame, slot.seen, logits, work.error)

    def _save(self, slot: Slot[Any], answer: Future[SavedStream]) -> None:
        try:
            answer.set_result(SavedStream(slot.seen, self._scheduler.state_of(slot)))
        except Exception as error:
            answer.set_exception(error)

    def _abandon(self, work: Round[Any] | None) -> None:
        """Leave nobody waiting."""
        with self._changed:
            self._closed = True
            frames = [frame for slot in list(self._scheduler.slots) for frame in self._scheduler.leave(slot)]
            saves = [answer for _, answer in self._saves]
            self._saves.clear()
        for frame in frames:
            _cancel(frame)
        for answer in saves:
            answer.cancel()
        for _, _, frame in work.shown if work else ():
            if frame.answer is not None and not frame.answer.done():
                frame.answer.set_exception(MovinetError(f"the pool broke down: {self._fault!r}"))


class PoolSeat:
    """See `movinet.runtime.seat.Seat`. A stream's state stays in a row of one of the pool's batches."""

    def __init__(self, pool: StreamPool, slot: Slot[Any]) -> None:
        self._pool, self._slot, self._left = pool, slot, False

    @property
    def engine(self) -> Engine[Any]:
        return self._pool.engine

    @property
    def initial_state(self) -> StreamState:
        return self._pool._scheduler.initial_state

    @property
    def seen(self) -> int:
        return self._slot.seen

    @property
    def waiting(self) -> int:
        return len(self._slot.queue)

    def check(self) -> None:
        if self._left:
            raise MovinetError("the stream has left the pool")
        self._pool._check_open()

    def show(self, frame: QueuedFrame) -> QueuedFrame | None:
        pool = self._pool
        with pool._changed:
            self.check()  # of what happened meanwhile
            dropped = pool._scheduler.push(self._slot, frame)
            pool._counters.dropped += dropped is not None
            pool._changed.notify()
        return dropped

    def snapshot(self) -> SavedStream:
        pool, answer = self._pool, Future[SavedStream]()
        with pool._changed:
            self.check()
            if threading.current_thread() is not pool._thread:
                pool._saves.append((self._slot, answer))
                pool._changed.notify()
        if threading.current_thread() is pool._thread:  # in a callback
            pool._save(self._slot, answer)
        return answer.result()

    def restore(self, saved: SavedStream, decays: Mapping[str, float]) -> None:
        with self._pool._changed:
            self.check()
            frames = self._pool._scheduler.leave(self._slot)
            state = [np.array(array) for array in saved.state]
            self._slot = self._pool._scheduler.join(decays, state, saved.frames)
        for frame in frames:
            _cancel(frame)

    def leave(self) -> None:
        if os.getpid() != self._pool._process:
            self._left = True
            return
        with self._pool._changed:
            self._left = True
            frames = self._pool._scheduler.leave(self._slot)
            self._pool._changed.notify()
        for frame in frames:
            _cancel(frame)


def _check(max_streams: int, queue: int, max_wait: float) -> None:
    if max_streams < 1 or queue < 1 or not 0 <= max_wait < math.inf:
        raise ValueError(f"no pool has {max_streams} streams, queues of {queue} frames and waits for {max_wait} s")


def _refuse_whole_clips(name: str, spec: Spec) -> None:
    if not spec.causal:
        raise MovinetError(f"{name} is a base network, which sees whole clips; take a stream network")


def _cancel(frame: QueuedFrame) -> None:
    """Outside any lock: callbacks run."""
    if frame.answer is not None:
        frame.answer.cancel()
