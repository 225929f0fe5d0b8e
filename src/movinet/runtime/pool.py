"""Many live streams through one engine: join, push frames, get answers, leave."""

import math
import threading
import time as clock
from collections import deque
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from movinet.arch.step import decays
from movinet.errors import MovinetError
from movinet.prediction import Prediction
from movinet.runtime.engine import Engine, Mode, can_forget, forgetting
from movinet.runtime.factory import EngineKind, create_engine
from movinet.runtime.images import Image, prepared
from movinet.runtime.open_network import open_network
from movinet.runtime.scheduler import QueuedFrame, Round, Scheduler, Slot
from movinet.runtime.statistics import Counters, PoolStatistics
from movinet.runtime.stream_state import SavedStream
from movinet.video.pacer import LivePacer
from movinet.weights.info import WeightsInfo
from movinet.words import counted

_CLOSE_WITHIN = 5.0  # seconds


class StreamPool:
    """Shares one engine among live streams that come and go. A context manager.

        with StreamPool.load("movinet_t0_stream.gestures", max_streams=64) as pool:
            stream = pool.join()
            answer = stream.push(frame, time)
            if answer is not None:
                print(answer.result().label)

    Every stream's answers are those it would get alone. A thread of the pool's runs the engine; frames are resized in
    the threads that push them. Whoever has waited longest is first. A stream that stalls delays others by `max_wait`
    at most, once; one that is faster than the engine can be loses its own oldest frames. An error of the engine's is
    the answer of the frames that were in that step, and their streams begin anew.
    """

    def __init__(
        self, engine: Engine[Any], info: WeightsInfo, *, max_streams: int, queue: int = 2, max_wait: float = 0.04
    ) -> None:
        """Take memory for all streams to come, and start; `StreamPool.load` makes the engine, too.

        Args:
            engine: of a stream network; from now on the pool's alone. Up to `engine.streams` streams share a step.
            info: what is known of its weights.
            max_streams: that can be here at once.
            queue: frames of a stream that may wait; where one more comes, the oldest is dropped.
            max_wait: seconds a frame waits for those of other streams to share its step.

        Raises:
            MovinetError: the engine takes frames of another size than the weights'.
        """
        if max_streams < 1 or queue < 1 or not 0 <= max_wait < math.inf:
            raise ValueError(f"no pool has {max_streams} streams, queues of {queue} frames and waits for {max_wait} s")
        self.engine, self.info = engine, info
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
        self._closed = False
        self._fault: BaseException | None = None  # what ended the thread, if not `close`
        self._changed = threading.Condition()  # guards all of the above
        self._thread = threading.Thread(target=self._run, name="movinet-pool", daemon=True)
        self._thread.start()

    @classmethod
    def load(
        cls,
        source: str | Path,
        *,
        max_streams: int,
        batch: int = 4,
        engine: EngineKind = "auto",
        precision: Mode = "float32",
        threads: int | None = None,
        device: str = "cpu",
        queue: int = 2,
        max_wait: float = 0.04,
        cache: bool = True,
    ) -> Self:
        """Find a network by name, file or folder (see `open_network`) and start a pool for them.

        Args:
            source: of the weights.
            max_streams: that can be here at once.
            batch: streams that share a step; at 1 nobody waits for anybody.
            engine: see `create_engine`, as for precision, threads, device and cache.
            queue: see `StreamPool`, as for max_wait.

        Raises:
            WeightsError: the weights cannot be had.
            MovinetError: they are a base network's, or the engine is not installed.
        """
        network = open_network(source)
        if not network.spec.causal:
            raise MovinetError(f"{network.info.name} is a base network, which sees whole clips; take a stream network")
        runner = create_engine(
            network,
            engine,
            size=network.info.transform.size,
            streams=min(batch, max_streams),
            precision=precision,
            threads=threads,
            device=device,
            cache=cache,
        )
        return cls(runner, network.info, max_streams=max_streams, queue=queue, max_wait=max_wait)

    def join(
        self,
        *,
        memory: float | None = None,
        every: int = 1,
        on_gap: Literal["reset", "continue"] = "reset",
        max_gap: float = 2.0,
        saved: SavedStream | None = None,
    ) -> "PoolStream":
        """A place for a new stream, which is to `leave` it.

        Args:
            memory: seconds after which a frame's weight in the answer has fallen to 1/e; None: that of the
                saved stream, or of the network, which as a rule never forgets.
            every: of how many frames one gets an answer; the others cost less.
            on_gap: what to do when frames were missing for more than `max_gap` seconds, or time ran backwards.
            max_gap: seconds; three of the network's frames at least.
            saved: a stream to go on with (see `movinet.runtime.stream_state`).

        Raises:
            MovinetError: the pool is full or closed, the saved stream is of another network or form, or the network
                comes from somebody else's file, which never forgets, and `memory` was given.
        """
        if on_gap not in ("reset", "continue"):
            raise ValueError(f"on_gap is {on_gap!r}; choose 'reset' or 'continue'")
        if every < 1:
            raise ValueError(f"every is {every}; 1 answers every frame, 2 every other")
        forget = {} if memory is None else forgetting(self.engine, self.info.spec, memory)
        state, seen = None, 0
        if saved is not None:
            state, seen, forget = self._restored(saved, forget)
        with self._changed:
            self._check_open()
            limit = self._scheduler.max_streams
            if len(self._scheduler.slots) >= limit:
                raise MovinetError(
                    f"the pool is full with {counted(limit, 'stream')}: one has to leave, or make it larger"
                )
            slot = self._scheduler.join(forget, state, seen)
        return PoolStream(self, slot, LivePacer(self.info.transform.fps, max_gap), every, on_gap == "reset")

    def statistics(self) -> PoolStatistics:
        """How it goes."""
        with self._changed:
            slots = self._scheduler.slots
            return self._counters.figures(clock.monotonic(), len(slots), sum(len(slot.queue) for slot in slots))

    def close(self) -> None:
        """Stop, within seconds. Answers that were still to come are cancelled."""
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
        if self._fault is not None:
            raise MovinetError(f"the pool broke down: {self._fault!r}") from self._fault
        if self._closed:
            raise MovinetError("the pool is closed")

    def _restored(
        self, saved: SavedStream, forget: dict[str, float]
    ) -> tuple[list[NDArray[np.generic]], int, dict[str, float]]:
        """State, frames seen and decays of a saved stream, the decays replaced by those given."""
        ports = self.engine.signature.state
        if [array.shape for array in saved.state] != [port.shape for port in ports]:
            raise MovinetError(f"the saved stream is not one of {self.info.name} on the engine {self.engine.kind!r}")
        state = {port.name: np.array(array) for port, array in zip(ports, saved.state, strict=True)}
        if can_forget(self.engine, self.info.spec):
            forget = {name: forget.get(name, float(state[name].flat[0])) for name in decays(self.info.spec, 1.0)}
        for name, decay in forget.items():
            state[name][...] = decay
        return list(state.values()), saved.frames, forget

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
            if frame.answer is None or not frame.answer.set_running_or_notify_cancel():
                continue
            if work.logits is None:
                error = MovinetError(f"the engine failed ({work.error}), and the stream begins anew")
                error.__cause__ = work.error
                frame.answer.set_exception(error)
            else:
                time = (slot.seen - 1) / self.info.transform.fps if frame.time is None else frame.time
                frame.answer.set_result(Prediction.of_logits(work.logits[row], time, slot.seen, self.info))

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


class PoolStream:
    """One stream of a pool, from `StreamPool.join`. A context manager that leaves the pool.

    Push its frames from one thread at a time; different streams may have threads of their own.
    """

    def __init__(self, pool: StreamPool, slot: Slot[Any], pacer: LivePacer, every: int, resets: bool) -> None:
        self._pool, self._slot, self._pacer, self._every, self._resets = pool, slot, pacer, every, resets
        self._begins = False  # anew, with the next frame
        self._unanswered = 0  # frames since one was to be answered
        self._left = False
        self.dropped = 0
        """Frames that newer ones pushed out of the queue."""

    @property
    def frames(self) -> int:
        """Frames the network has seen since the stream began."""
        return self._slot.seen

    @property
    def waiting(self) -> int:
        """Frames in the queue."""
        return len(self._slot.queue)

    def push(self, frame: Image, time: float | None = None) -> Future[Prediction] | None:
        """Hand over the next frame; never waits for the engine.

        The answer comes as a future: `result()` waits for it, `asyncio.wrap_future` makes it awaitable, and
        `add_done_callback` calls from the pool's thread, which should not be kept. It is cancelled where a newer frame
        pushes this one out of the queue, and where the stream leaves or the pool closes before its turn.

        Args:
            frame: (H, W, 3) uint8 RGB of any size, or one that has been prepared: float32 of the network's size and
                range. It is copied.
            time: seconds, of this frame. Frames may come at any rate: the network takes those due at its own. Without
                times every frame is taken.

        Returns:
            The answer to come; None if there will be none, as the frame is not due, or not one `every` asks for.

        Raises:
            ValueError: the frame has another type or shape, or the time is no number. The stream goes on without it.
            MovinetError: the stream has left, or the pool is closed. The future's: the engine failed.
        """
        arrived, pool = clock.monotonic(), self._pool
        if time is not None and not math.isfinite(time):
            raise ValueError(f"the time of a frame is {time}")
        self._check()
        if time is not None and not self._is_due(time):
            return None
        image = prepared(frame, pool.info.transform)
        with pool._changed:
            self._check()  # of what happened meanwhile
            queued = QueuedFrame(image, arrived, time, fresh=self._begins)
            self._begins = False
            dropped = pool._scheduler.push(self._slot, queued)
            if dropped is not None:
                self.dropped += 1
                pool._counters.dropped += 1
            self._unanswered += 1
            if self._unanswered >= self._every or (dropped is not None and dropped.answer is not None):
                queued.answer, self._unanswered = Future(), 0
            pool._changed.notify()
        if dropped is not None:
            _cancel(dropped)
        return queued.answer

    def reset(self) -> None:
        """Forget the past: the next frame is the stream's first. Frames in the queue still belong to the past."""
        self._begins = True
        self._pacer.restart()

    def save(self) -> SavedStream:
        """The stream after the last frame the network saw, for `StreamPool.join` to go on with.

        Raises:
            MovinetError: it has left, or the pool is closed.
        """
        pool, answer = self._pool, Future[SavedStream]()
        with pool._changed:
            self._check()
            if threading.current_thread() is not pool._thread:
                pool._saves.append((self._slot, answer))
                pool._changed.notify()
        if threading.current_thread() is pool._thread:  # in a callback
            pool._save(self._slot, answer)
        return answer.result()

    def leave(self) -> None:
        """Give the place back. Answers to frames still in the queue are cancelled; a second time does nothing."""
        with self._pool._changed:
            self._left = True
            frames = self._pool._scheduler.leave(self._slot)
            self._pool._changed.notify()
        for frame in frames:
            _cancel(frame)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.leave()

    def _check(self) -> None:
        if self._left:
            raise MovinetError("the stream has left the pool")
        self._pool._check_open()

    def _is_due(self, time: float) -> bool:
        if self._resets and self._pacer.is_gap(time):
            self.reset()
        return self._pacer.is_due(time)


def _cancel(frame: QueuedFrame) -> None:
    """Outside any lock: callbacks run."""
    if frame.answer is not None:
        frame.answer.cancel()
