"""Which frames step together, in which rows of which batch, and when: plain logic, no thread and no clock of its own.

A stream's state is megabytes, so it stays in a row of a batch. The streams of a batch step once all of them have a
frame, or when the first that had one has waited for the bound. Those without a frame then lose their row: their state
is copied out, once, and they are seated again beside streams whose frames come when theirs do. So streams in step with
each other find together, and one that stalls is waited for only once.
"""

from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Generic

import numpy as np

from movinet.runtime.engine import BatchState, Engine, Logits, StreamState, with_decays
from movinet.runtime.images import write_scaled
from movinet.runtime.queued_frame import QueuedFrame
from movinet.runtime.seating import Group, Seating, Slot


@dataclass(eq=False)
class Round(Generic[BatchState]):
    """What one step shows to whom."""

    group: Group[BatchState]
    shown: list[tuple[Slot[BatchState], int, QueuedFrame]]  # with the row
    taken: list[tuple[Slot[BatchState], Group[BatchState], int]]  # whose state is copied out first, and from where
    seated: list[tuple[Slot[BatchState], int]]  # whose state is put into its row then
    logits: Logits | None = None
    error: Exception | None = None


class Scheduler(Generic[BatchState]):
    """Slots for live streams in front of one engine.

    `next_round`, `run` and `finish` belong to one thread; `run`, which takes the time, touches nothing that the other
    methods do, so these may be called meanwhile: each alone, under one lock.
    """

    def __init__(
        self,
        engine: Engine[BatchState],
        *,
        max_streams: int,
        queue: int,
        max_wait: float,
        scale: tuple[float, float] = (0.0, 1.0),
    ) -> None:
        """Take memory for all the streams to come.

        Args:
            engine: how many streams a step takes is its to say.
            max_streams: that can be here at once.
            queue: frames of a stream that may wait.
            max_wait: seconds a frame waits for others to step with, unless the engine is busy.
            scale: what levels 0 and 255 become.
        """
        self.engine, self.max_streams, self.queue, self.max_wait = engine, max_streams, queue, max_wait
        self.slots: set[Slot[BatchState]] = set()
        batches = -(-max_streams // engine.streams)
        if engine.streams > 1:
            batches += 1  # so that who lost a row finds another without driving anyone out
        groups = [Group(engine.init_state(), [None] * engine.streams) for _ in range(batches)]
        self._seating = Seating(groups)
        first = groups[0].state
        assert first is not None
        self.initial_state = engine.get_state(first, 0)
        """The state of a stream that has seen nothing."""
        self._scale = scale
        shape = engine.signature.inputs[0].shape
        self._frames = np.zeros((engine.streams, *shape[1:], 3), dtype=np.float32)

    def join(self, decays: Mapping[str, float], state: StreamState | None = None, seen: int = 0) -> Slot[BatchState]:
        """A slot for a new stream, with a state of its own or from its beginning."""
        slot: Slot[BatchState] = Slot(decays, state, seen)
        self.slots.add(slot)
        return slot

    def leave(self, slot: Slot[BatchState]) -> list[QueuedFrame]:
        """Give the slot back; the frames that still waited."""
        self.slots.discard(slot)
        self._seating.leave_line(slot)
        self._seating.unseat(slot)
        left = list(slot.queue)
        slot.queue.clear()
        slot.evicted_state = None  # whoever holds on to the slot does not hold on to that
        return left

    def push(self, slot: Slot[BatchState], frame: QueuedFrame) -> QueuedFrame | None:
        """Put a frame at the end of its stream's queue; the oldest of a full one is dropped and returned."""
        dropped = None
        if len(slot.queue) == self.queue:
            dropped = slot.queue.popleft()
            heir = slot.queue[0] if slot.queue else frame
            heir.follows(dropped)
            if dropped.answer is not None and frame.answer is None:
                frame.answer = Future()
        slot.queue.append(frame)
        self._seating.enter(slot, frame.arrived)  # who drops a frame keeps its place: else it might never be first
        return dropped

    def next_round(self, now: float) -> Round[BatchState] | None:
        """The frames to step now; None where none should, before `wake_at` at least."""
        seating = self._seating
        first = seating.first
        if first is None:
            return None
        if now >= first.since + self.max_wait:
            return self._assemble(first.group or seating.host(), now)
        if seating.complete is not None:
            return self._assemble(seating.complete, now)
        if seating.standing >= self.engine.streams:
            return self._assemble(seating.host(), now)
        return None

    def wake_at(self) -> float | None:
        """When the wait of a frame will be over; None where none waits."""
        first = self._seating.first
        return None if first is None else first.since + self.max_wait

    def run(self, work: Round[BatchState]) -> None:
        """Step. An exception of the engine's ends up in the round."""
        group, engine = work.group, self.engine
        try:
            state = group.state = engine.init_state() if group.state is None else group.state
            # The batch that steps comes last, so that an engine that copies batches copies it once.
            for slot, source, row in sorted(work.taken, key=lambda taken: taken[1] is group):
                if source.state is not None:
                    slot.evicted_state = engine.get_state(source.state, row)
            begin: dict[int, StreamState] = {}  # rows that begin to hold another state
            for slot, row in work.seated:
                begin[row] = slot.evicted_state or self._initial_state_of(slot)
                slot.evicted_state = None
            for slot, row, frame in work.shown:
                if frame.decays is not None:
                    slot.decays = frame.decays
                if frame.fresh:
                    begin[row] = self._initial_state_of(slot)
                elif frame.decays is not None:
                    before = begin.get(row) or engine.get_state(state, row)
                    begin[row] = with_decays(engine, before, frame.decays)
                write_scaled(frame.image, self._scale, self._frames[row])
            if begin:
                engine.set_states(state, begin)
            predict = any(frame.answer is not None for _, _, frame in work.shown)
            work.logits = engine.step(self._frames, state, predict)
        except Exception as error:
            work.error, group.state = error, None

    def finish(self, work: Round[BatchState]) -> None:
        """Count the frames. After an error the round's streams are at their beginning."""
        for slot, _, frame in work.shown:
            slot.seen = 1 if frame.fresh else slot.seen + 1
        for slot, _, _ in work.taken:
            if slot not in self.slots:  # it has left meanwhile
                slot.evicted_state = None
        if work.error is not None:
            for slot, _, _ in work.shown:
                slot.seen, slot.evicted_state = 0, None
                self._seating.unseat(slot)
            for slot, _, _ in work.taken:
                if slot.evicted_state is None:  # the error came before its turn
                    slot.seen = 0

    def state_of(self, slot: Slot[BatchState]) -> StreamState:
        """A copy of a stream's state; not while `run` runs."""
        group, row = slot.group, slot.row
        if group is not None and group.state is not None:
            return self.engine.get_state(group.state, row)
        return [array.copy() for array in slot.evicted_state or self._initial_state_of(slot)]

    def _initial_state_of(self, slot: Slot[BatchState]) -> StreamState:
        return with_decays(self.engine, self.initial_state, slot.decays)

    def _assemble(self, group: Group[BatchState], now: float) -> Round[BatchState]:
        work, seating = Round(group, [], [], []), self._seating
        for slot in group.rows:
            if slot is not None and not slot.queue:
                self._take_out(slot, work)
        free = [row for row, slot in enumerate(group.rows) if slot is None]
        for row, slot in zip(free, seating.joiners(group, len(free)), strict=False):
            if slot.group is not None:
                self._take_out(slot, work)
            seating.seat(slot, group, row)
            work.seated.append((slot, row))
        for row, slot in enumerate(group.rows):
            if slot is None:
                continue
            work.shown.append((slot, row, slot.queue.popleft()))
            seating.leave_line(slot)
            if slot.queue:  # to the end of the line
                seating.enter(slot, now)
        return work

    def _take_out(self, slot: Slot[BatchState], work: Round[BatchState]) -> None:
        assert slot.group is not None
        work.taken.append((slot, slot.group, slot.row))
        self._seating.unseat(slot)
