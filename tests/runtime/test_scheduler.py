"""Batching strangers' streams: plain logic with a clock of the test's own."""

from collections import defaultdict
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch
from engines import TestEngine, pictures, tiny_engine, tiny_model
from hypothesis import given, settings
from hypothesis import strategies as st

from movinet.arch.step import StepSignature, TensorSpec
from movinet.nn.state import set_decay
from movinet.nn.torch_engine import TorchState
from movinet.runtime.engine import Frames, Logits
from movinet.runtime.queued_frame import QueuedFrame
from movinet.runtime.scheduler import Round, Scheduler
from movinet.runtime.seating import Slot

PICTURES = pictures(6)


@dataclass
class Alone:
    """What a stream was shown since its beginning, and what it would say with nobody else about."""

    decay: float
    shown: list[int] = field(default_factory=list)

    def logits(self) -> np.ndarray:
        model = tiny_model()
        state = set_decay(model.init_state(1, (24, 32)), self.decay)
        clip = torch.from_numpy(np.stack([PICTURES[i] for i in self.shown])).permute(3, 0, 1, 2)[None] / 255
        with torch.inference_mode():
            return model.step(clip, state)[0][0].numpy()


def queued(picture: int, now: float, fresh: bool = False, answer: bool = True) -> QueuedFrame:
    return QueuedFrame(PICTURES[picture], now, float(picture), fresh, Future() if answer else None)


class Crowd:
    """Streams that do as they like, and what is expected of each."""

    def __init__(self, streams: int) -> None:
        self.engine: Any = tiny_engine(streams)
        self.scheduler: Scheduler[Any] = Scheduler(self.engine, max_streams=8, queue=2, max_wait=0.04)
        self.now = 0.0
        self.alone: dict[Slot[Any], Alone] = {}
        self.pushed: dict[Slot[Any], list[QueuedFrame]] = defaultdict(list)  # and not dropped or shown yet
        self.begins: set[Slot[Any]] = set()  # anew with the next frame shown

    def nth(self, n: int) -> Slot[Any] | None:
        slots = list(self.alone)
        return slots[n % len(slots)] if slots else None

    def join(self, decay: float) -> None:
        if len(self.alone) < 8:
            self.alone[self.scheduler.join({"decay": decay})] = Alone(decay)

    def branch(self, n: int) -> None:
        """A new stream goes on where another stands."""
        if (slot := self.nth(n)) is not None and len(self.alone) < 8:
            known = self.alone[slot]
            branch = self.scheduler.join({"decay": known.decay}, self.scheduler.state_of(slot), slot.seen)
            self.alone[branch] = replace(known, shown=list(known.shown))

    def leave(self, n: int) -> None:
        if (slot := self.nth(n)) is not None:
            left = self.scheduler.leave(slot)
            assert left == self.pushed.pop(slot, [])
            del self.alone[slot]

    def push(self, n: int, picture: int, fresh: bool, answer: bool) -> None:
        if (slot := self.nth(n)) is None:
            return
        frame = queued(picture, self.now, fresh, answer)
        dropped = self.scheduler.push(slot, frame)
        waiting = self.pushed[slot]
        assert dropped is (waiting.pop(0) if len(waiting) == 2 else None)
        waiting.append(frame)

    def all_but(self, absent: int, fresh: bool) -> None:
        """Everybody pushes a frame, but for those whose bits are set."""
        for n in range(len(self.alone)):
            if not absent >> n & 1:
                self.push(n, n % 6, fresh, True)

    def step(self, fails: bool = False) -> bool:
        work = self.scheduler.next_round(self.now)
        if work is None:
            return False
        self.scheduler.run(work)
        if fails:
            work.error, work.group.state = RuntimeError("no"), None
        assert work.error is None or fails
        self.scheduler.finish(work)
        self.check(work, fails)
        return True

    def check(self, work: Round[Any], failed: bool) -> None:
        scale = 1.0
        assert work.shown
        for slot, row, frame in work.shown:
            assert self.pushed[slot].pop(0) is frame
            alone = self.alone[slot]
            if frame.fresh:
                alone.shown.clear()
            alone.shown.append(int(frame.time or 0))
            if failed:
                alone.shown.clear()
            elif frame.answer is not None:
                assert work.logits is not None
                expected = alone.logits()
                scale = np.abs(expected).max()
                np.testing.assert_allclose(work.logits[row], expected, rtol=0, atol=1e-5 * scale)
            assert slot.seen == len(alone.shown)


EVENTS = st.one_of(
    st.tuples(st.just("join"), st.sampled_from([1.0, 0.8])),
    st.tuples(st.just("branch"), st.integers(0, 9)),
    st.tuples(st.just("leave"), st.integers(0, 9)),
    *[st.tuples(st.just("push"), st.integers(0, 9), st.integers(0, 5), st.booleans(), st.booleans())] * 4,
    st.tuples(st.just("all_but"), st.integers(0, 255), st.booleans()),
    st.tuples(st.just("wait"), st.sampled_from([0.01, 0.05])),
    *[st.tuples(st.just("step"))] * 3,
    st.tuples(st.just("step"), st.just(True)),
)


@pytest.mark.parametrize("streams", [1, 3, 4])
@given(events=st.lists(EVENTS, min_size=15, max_size=80))
@settings(max_examples=40)
def test_every_stream_gets_the_answers_it_would_get_alone(streams: int, events: list[tuple[Any, ...]]) -> None:
    crowd = Crowd(streams)
    for _ in range(5):
        crowd.join(1.0)
    for name, *arguments in events:
        if name == "wait":
            crowd.now += arguments[0]
        else:
            getattr(crowd, name)(*arguments)
    waiting = sum(len(frames) for frames in crowd.pushed.values())
    rounds = 0
    while any(crowd.pushed.values()):  # whatever happened, nobody waits for longer than the bound
        crowd.now += 0.04
        assert crowd.step()
        rounds += 1
    assert rounds <= waiting


class Clockwork:
    """An engine that computes nothing, and takes its time by the test's clock."""

    kind, precision = "clockwork", "float32"
    signature = StepSignature((TensorSpec("frames", (3, 1, 1)), TensorSpec("decay", (1,))), (), {})

    def __init__(self, streams: int, seconds: float) -> None:
        self.streams, self.seconds, self.now, self.copies = streams, seconds, 0.0, 0

    def init_state(self) -> int:
        return 0

    def step(self, frames: Frames, state: int, predict: bool = True) -> Logits | None:
        self.now += self.seconds
        return np.zeros((self.streams, 1), np.float32)

    def get_state(self, state: int, row: int) -> list[np.ndarray]:
        self.copies += 1
        return [np.zeros(1, np.float32)]

    def set_states(self, state: int, streams: Mapping[int, list[np.ndarray]]) -> None:
        self.copies += len(streams)


@dataclass
class Run:
    waits: dict[int, list[float]]  # seconds from arrival to answer, by stream
    dropped: dict[int, int]
    rounds: int
    copies: int


def play(engine: Clockwork, arrivals: list[tuple[float, int]], **options: Any) -> Run:
    """Streams numbered from 0 push at these times."""
    count = 1 + max(n for _, n in arrivals)
    scheduler: Scheduler[Any] = Scheduler(engine, max_streams=count, queue=1, **options)  # type: ignore[arg-type]
    slots = [scheduler.join({}) for _ in range(count)]
    numbers = {slot: n for n, slot in enumerate(slots)}
    result = Run(defaultdict(list), defaultdict(int), 0, 0)
    arrivals = sorted(arrivals, reverse=True)
    engine.copies = 0
    while arrivals or scheduler.wake_at() is not None:
        while arrivals and arrivals[-1][0] <= engine.now:
            time, n = arrivals.pop()
            result.dropped[n] += scheduler.push(slots[n], QueuedFrame(np.zeros((1, 1, 3), np.uint8), time)) is not None
        work = scheduler.next_round(engine.now)
        if work is None:
            wake, arrival = scheduler.wake_at(), arrivals[-1][0] if arrivals else None
            engine.now = min(t for t in (wake, arrival) if t is not None)
            continue
        scheduler.run(work)
        assert work.error is None
        scheduler.finish(work)
        result.rounds += 1
        for slot, _, frame in work.shown:
            result.waits[numbers[slot]].append(engine.now - frame.arrived)
    result.copies = engine.copies
    return result


def test_streams_in_step_share_full_batches_and_their_states_stay_put() -> None:
    arrivals = [(0.2 * k + 0.001 * n, n) for n in range(8) for k in range(50)]
    run = play(Clockwork(4, 0.005), arrivals, max_wait=0.04)
    assert run.rounds == 2 * 50
    assert run.copies == 8  # everyone's seat, once
    assert max(max(waits) for waits in run.waits.values()) < 0.02


def test_streams_of_any_phase_find_those_in_step_with_them() -> None:
    phases = np.random.default_rng(0).permutation(24) / 24 * 0.2
    arrivals = [(0.2 * k + phases[n], n) for n in range(24) for k in range(2 * n, 100)]  # they join one by one
    run = play(Clockwork(4, 0.005), arrivals, max_wait=0.04)
    late = [wait for waits in run.waits.values() for wait in waits[-20:]]
    assert max(late) < 0.06
    assert run.rounds < 0.45 * len(arrivals)
    assert run.copies < 0.2 * len(arrivals)


def test_who_stalls_is_waited_for_once() -> None:
    arrivals = [(0.2 * k, n) for n in range(4) for k in range(20) if n or k < 10]
    run = play(Clockwork(4, 0.005), arrivals, max_wait=0.04)
    for n in (1, 2, 3):
        np.testing.assert_allclose(np.delete(run.waits[n], 10), 0.005, atol=1e-9)
        assert run.waits[n][10] == pytest.approx(0.045)


def test_one_stream_at_a_time_never_waits() -> None:
    arrivals = [(0.2 * k + 0.03 * n, n) for n in range(5) for k in range(20)]
    run = play(Clockwork(1, 0.005), arrivals, max_wait=10.0)
    assert all(wait == pytest.approx(0.005) for waits in run.waits.values() for wait in waits)


@pytest.mark.parametrize("streams", [1, 3])
def test_too_much_work_is_shared_fairly(streams: int) -> None:
    """Streams at twice the rate the engine can take, and one that pushes ten times as often, get the same."""
    arrivals = [(0.1 * k + 0.01 * n, n) for n in range(8) for k in range(300)]
    arrivals += [(0.01 * k, 8) for k in range(3000)]
    run = play(Clockwork(streams, 0.1 * streams / 4.5), arrivals, max_wait=0.04)
    answered = [len(run.waits[n]) for n in range(9)]
    assert max(answered) - min(answered) <= 0.1 * np.mean(answered)
    assert all(run.dropped[n] > 100 for n in range(9))
    assert max(max(waits) for waits in run.waits.values()) < 0.35


def test_who_remains_of_many_moves_together() -> None:
    arrivals = [(0.2 * k + 0.001 * n, n) for n in range(16) for k in range(40) if n % 2 == 0 or k < 10]
    run = play(Clockwork(4, 0.02), arrivals, max_wait=0.04)
    assert run.rounds <= 10 * 4 + 30 * 3 + 5  # not 30 * 4


def test_pushing_again_does_not_put_off_ones_turn() -> None:
    arrivals = [(0.0, 0), *[(0.03 * k, 1) for k in range(20)]]
    run = play(Clockwork(2, 0.001), arrivals, max_wait=0.04)
    assert len(run.waits[1]) >= 10


def stepped(scheduler: Scheduler[Any], *shown: tuple[Slot[Any], int], now: float = 0.0, fresh: bool = False) -> Any:
    """The round in which these streams are shown these pictures."""
    for slot, picture in shown:
        scheduler.push(slot, queued(picture, now, fresh))
    work = scheduler.next_round(now)
    assert work is not None
    scheduler.run(work)
    scheduler.finish(work)
    return work


def test_a_second_frame_in_the_queue_waits_for_others_again() -> None:
    scheduler: Scheduler[Any] = Scheduler(tiny_engine(2), max_streams=2, queue=2, max_wait=0.04)
    one, two = scheduler.join({}), scheduler.join({})
    stepped(scheduler, (one, 0), (two, 0))
    for slot in (one, one, two):
        scheduler.push(slot, queued(0, 1.0))
    stepped(scheduler, now=1.5)
    assert scheduler.next_round(1.5) is None
    assert scheduler.wake_at() == 1.54


def test_a_dropped_frame_leaves_its_new_beginning_to_the_next() -> None:
    scheduler: Scheduler[Any] = Scheduler(tiny_engine(1), max_streams=1, queue=1, max_wait=0.0)
    slot = scheduler.join({})
    for picture, fresh in ((0, False), (1, True), (2, False)):
        scheduler.push(slot, queued(picture, 0.0, fresh))
    assert [frame.fresh for frame in slot.queue] == [True]


def test_a_new_beginning_forgets_a_state_that_lost_its_row() -> None:
    scheduler: Scheduler[Any] = Scheduler(tiny_engine(2), max_streams=2, queue=1, max_wait=0.0)
    one, two = scheduler.join({}), scheduler.join({})
    stepped(scheduler, (one, 0), (two, 0))
    stepped(scheduler, (one, 1))
    work = stepped(scheduler, (two, 2), fresh=True)
    np.testing.assert_allclose(work.logits[two.row], Alone(1.0, [2]).logits(), atol=1e-4)


@pytest.mark.parametrize("where", ["step", "set_states", "get_state"])
def test_an_engines_error_costs_only_the_streams_of_that_step(where: str) -> None:
    engine = TestEngine(streams=2)
    scheduler: Scheduler[Any] = Scheduler(engine, max_streams=3, queue=1, max_wait=0.0)
    one, two, three = (scheduler.join({"decay": decay}) for decay in (0.5, 0.6, 0.7))
    stepped(scheduler, (one, 0), (two, 1))
    stepped(scheduler, (one, 0), (three, 0))

    def fail(*arguments: Any) -> None:
        next(state for state in arguments if isinstance(state, TorchState)).tensors = []
        raise RuntimeError("out of memory")

    with patch.object(engine, where, side_effect=fail):
        work = stepped(scheduler, (one, 5), (two, 5))  # three loses its row to two
    assert str(work.error) == "out of memory"
    known = {one: Alone(0.5), two: Alone(0.6), three: Alone(0.7, [] if where == "get_state" else [0])}
    for slot, alone in known.items():
        assert slot.seen == len(alone.shown)
        for picture in (3, 4):
            work = stepped(scheduler, (slot, picture))
            assert work.error is None
            alone.shown.append(picture)
        np.testing.assert_allclose(work.logits[slot.row], alone.logits(), atol=1e-4)


def test_states_of_a_round_are_written_at_once() -> None:
    """Engines that write whole batches would write one for every stream: crowds of late streams, which all begin anew,
    would come ever later."""
    engine = TestEngine(streams=4)
    scheduler: Scheduler[Any] = Scheduler(engine, max_streams=4, queue=1, max_wait=0.0)
    slots = [scheduler.join({"decay": 0.5 + n / 10}) for n in range(4)]
    stepped(scheduler, *((slot, n) for n, slot in enumerate(slots)))
    with patch.object(engine, "set_states", wraps=engine.set_states) as written:
        work = stepped(scheduler, *((slot, 5) for slot in slots), fresh=True)
    assert written.call_count == 1
    for n, slot in enumerate(slots):
        np.testing.assert_allclose(work.logits[slot.row], Alone(0.5 + n / 10, [5]).logits(), atol=1e-4)
