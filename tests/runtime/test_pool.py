"""Live streams through one engine, with real threads but nobody's clock."""

import asyncio
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engines import TestEngine, pictures, tiny_model
from numpy.typing import NDArray
from tiny import tiny_spec, tiny_weights

from movinet import MovinetError, Recognizer
from movinet.arch.zoo import temporal_ensemble
from movinet.nn.ensemble import Ensemble
from movinet.prediction import Prediction
from movinet.runtime.factory import create_engine
from movinet.runtime.pool import StreamPool
from movinet.video.transform import Transform
from movinet.weights.info import WeightsInfo
from movinet.weights.weights import Weights

SOON = 30.0  # seconds after which a test gives up
INFO = WeightsInfo("tiny_stream.test", tiny_spec(), Transform((24, 32), 24, 5.0), ("left", "right", "other"))


def pool_of(engine: Any = None, **options: Any) -> StreamPool:
    return StreamPool(
        Weights.of(tiny_model(), INFO), engine or TestEngine(), **{"max_streams": 4, "max_wait": 0.001, **options}
    )


def answer_of(push: Future[Prediction] | None) -> Prediction:
    assert push is not None
    return push.result(SOON)


def alone(frames: list[NDArray[np.uint8]], times: list[float], **options: Any) -> list[Prediction | None]:
    recognizer = Recognizer(Weights.of(tiny_model(), INFO), engine="torch", **options)
    return [recognizer.push(frame, time) for frame, time in zip(frames, times, strict=True)]


def assert_same(given: Prediction | None, expected: Prediction | None) -> None:
    if expected is None or given is None:
        assert given is expected
        return
    assert (given.time, given.frames) == (pytest.approx(expected.time), expected.frames)
    np.testing.assert_allclose(given.probabilities, expected.probabilities, atol=1e-5)


@pytest.mark.parametrize("streams", [1, 3])
def test_many_threads_get_what_a_recognizer_says(streams: int) -> None:
    """Cameras at any rate, of any size, with gaps and memories, each pushing from a thread of its own."""

    def watch(pool: StreamPool, n: int) -> tuple[list[Prediction | None], list[Prediction | None]]:
        generator = np.random.default_rng(n)
        height, width = generator.integers(24, 60, 2)
        frames = list(generator.integers(0, 256, (20, height, width, 3), dtype=np.uint8))
        times = list(np.cumsum(generator.choice([0.05, 0.2, 0.3, 3.0], 20, p=[0.3, 0.4, 0.2, 0.1])))
        memory = [None, 1.0][n % 2]
        with pool.join(memory=memory) as stream:
            answers = [stream.submit(frame, time) for frame, time in zip(frames, times, strict=True)]
            given = [answer and answer.result(SOON) for answer in answers]
        return given, alone(frames, times, memory=memory)

    with pool_of(TestEngine(streams), max_streams=6, queue=20) as pool, ThreadPoolExecutor(6) as threads:
        for given, expected in threads.map(lambda n: watch(pool, n), range(12)):
            for one, other in zip(given, expected, strict=True):
                assert_same(one, other)
        assert pool.statistics().streams == 0


def test_frames_prepared_already_are_taken_as_they_are() -> None:
    frame = pictures(1)[0]
    with pool_of() as pool, pool.join() as one, pool.join() as two:
        a, b = answer_of(one.submit(frame)), answer_of(two.submit((frame / np.float32(255)).astype(np.float32)))
    np.testing.assert_allclose(a.probabilities, b.probabilities, atol=1e-6)


def test_the_weights_own_range_of_values_is_kept_to() -> None:
    info = WeightsInfo(INFO.name, INFO.spec, Transform((24, 32), 24, 5.0, scale=(-1.0, 1.0)))
    frame = pictures(1)[0]
    expected = Recognizer(Weights.of(tiny_model(), info), engine="torch").push(frame)
    with StreamPool(Weights.of(tiny_model(), info), TestEngine(), max_streams=1) as pool:
        assert_same(answer_of(pool.join().submit(frame)), expected)


def test_a_frames_memory_may_be_used_again() -> None:
    engine = TestEngine()
    for frame in (pictures(1)[0], np.random.default_rng(0).random((24, 32, 3), dtype=np.float32)):
        with pool_of(engine) as pool, pool.join() as one, pool.join() as two:
            expected = answer_of(one.submit(frame.copy()))
            engine.gate.clear()
            answer = two.submit(frame)
            frame[...] = 0
            engine.gate.set()
            assert_same(answer_of(answer), expected)


def test_without_times_every_frame_is_taken_and_time_is_the_networks() -> None:
    with pool_of() as pool, pool.join() as stream:
        answers = [answer_of(stream.submit(frame)) for frame in pictures(3)]
    assert [(answer.frames, answer.time) for answer in answers] == [(1, 0.0), (2, 0.2), (3, 0.4)]


def test_answers_may_be_asked_for_less_often() -> None:
    engine = TestEngine()
    with pool_of(engine, queue=9) as pool, pool.join(every=3) as stream:
        answers = [stream.submit(frame) for frame in pictures(7)]
        assert [answer is not None for answer in answers] == [False, False, True] * 2 + [False]
        assert [answer_of(answer).frames for answer in answers if answer] == [3, 6]
    assert engine.predicted[:6] == [False, False, True] * 2


def held_up(engine: TestEngine, stream: Any) -> Future[Prediction] | None:
    """The engine is busy with a frame of this stream, until its gate is set."""
    engine.gate.clear()
    first = stream.submit(pictures(1)[0])
    assert engine.entered.acquire(timeout=SOON)
    return first


def test_the_newest_frames_win() -> None:
    engine = TestEngine()
    with pool_of(engine) as pool, pool.join() as stream, pool.join() as other:
        first = held_up(engine, stream)
        answers = [stream.submit(frame, time=float(n)) for n, frame in enumerate(pictures(5))]
        patient = other.submit(pictures(1)[0])
        assert (stream.dropped, stream.waiting, other.dropped) == (3, 2, 0)
        assert [answer.cancelled() for answer in answers if answer] == [True, True, True, False, False]
        engine.gate.set()
        assert answer_of(first).frames == 1
        assert [answer_of(answer).time for answer in answers[3:]] == [3.0, 4.0]
        assert answer_of(patient).frames == 1
        statistics = pool.statistics()
        assert (statistics.frames, statistics.dropped, statistics.waiting) == (4, 3, 0)


def test_who_drops_the_frame_to_be_answered_answers_instead() -> None:
    engine = TestEngine()
    with pool_of(engine, queue=1) as pool, pool.join(every=2) as stream:
        held_up(engine, stream)
        answers = [stream.submit(frame) for frame in pictures(4)]  # each drops the one before
        assert [answer is not None for answer in answers] == [True, True, True, True]
        engine.gate.set()
        assert answer_of(answers[3]).frames == 2


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (np.zeros((24, 32), np.uint8), "gray"),
        (np.zeros((24, 32, 4), np.uint8), "RGBA"),
        (np.zeros((0, 32, 3), np.uint8), "no pixels"),
        (np.zeros((2, 24, 32, 3), np.uint8), "one at a time"),
        (np.zeros((24, 32, 3), np.float64), "uint8"),
        (np.zeros((24, 33, 3), np.float32), "of shape"),
        (np.full((24, 32, 3), np.nan, np.float32), "no numbers"),
        ("frame.png", "numpy array"),
    ],
)
def test_odd_frames_are_refused_and_harm_nobody(frame: Any, message: str) -> None:
    frames = pictures(4)
    with pool_of() as pool, pool.join() as stream, pool.join() as other:
        for good in frames:
            with pytest.raises(ValueError, match=message):
                stream.submit(frame)
            assert_same(*(answer_of(each.submit(good)) for each in (stream, other)))


def test_a_time_that_is_none_is_refused() -> None:
    with pool_of() as pool, pool.join() as stream, pytest.raises(ValueError, match="nan"):
        stream.submit(pictures(1)[0], float("nan"))


def test_a_reset_begins_anew_with_the_next_frame() -> None:
    engine = TestEngine()
    with pool_of(engine, queue=5) as pool, pool.join() as stream:
        held_up(engine, stream)
        before = stream.submit(pictures(1)[0])
        stream.reset()
        after = stream.submit(pictures(1)[0])
        engine.gate.set()
        assert [answer_of(before).frames, answer_of(after).frames] == [2, 1]


def test_a_full_pool_says_so_until_somebody_leaves() -> None:
    with pool_of(max_streams=2) as pool:
        one, _ = pool.join(), pool.join()
        with pytest.raises(MovinetError, match="full with 2 streams"):
            pool.join()
        one.leave()
        one.leave()
        with pytest.raises(MovinetError, match="has left"):
            one.submit(pictures(1)[0])
        assert answer_of(pool.join().submit(pictures(1)[0])).frames == 1


def test_leaving_cancels_what_still_waited() -> None:
    engine = TestEngine()
    with pool_of(engine) as pool:
        stream, other = pool.join(), pool.join()
        first = held_up(engine, stream)
        second = stream.submit(pictures(1)[0])
        stream.leave()
        assert second is not None
        assert second.cancelled()
        engine.gate.set()
        assert answer_of(first).frames == 1
        assert answer_of(other.submit(pictures(1)[0])).frames == 1


def test_an_answer_nobody_wants_any_more_disturbs_nothing() -> None:
    engine = TestEngine()
    with pool_of(engine) as pool, pool.join() as stream:
        held_up(engine, stream)
        unwanted = stream.submit(pictures(1)[0])
        assert unwanted is not None
        assert unwanted.cancel()
        engine.gate.set()
        assert answer_of(stream.submit(pictures(1)[0])).frames == 3


def test_an_engines_error_is_the_answer_and_the_pool_goes_on() -> None:
    engine = TestEngine()
    with pool_of(engine) as pool, pool.join() as stream, pool.join() as other:
        for each in (stream, other):
            answer_of(each.submit(pictures(1)[0]))
        engine.failures.append(RuntimeError("out of memory"))
        with pytest.raises(MovinetError, match="out of memory") as caught:
            answer_of(stream.submit(pictures(1)[0]))
        assert isinstance(caught.value.__cause__, RuntimeError)
        assert [answer_of(each.submit(pictures(1)[0])).frames for each in (stream, other)] == [1, 2]
        assert pool.statistics().errors == 1


def test_a_fault_of_the_pools_own_leaves_nobody_waiting() -> None:
    engine = TestEngine()
    with pool_of(engine, queue=5) as pool, pool.join() as stream:
        engine.step = lambda *_: np.zeros((0, 3))  # type: ignore[method-assign, assignment, misc]
        engine.gate.clear()
        with pytest.raises(MovinetError, match="broke down"):
            answer_of(stream.submit(pictures(1)[0]))
        pool._thread.join(SOON)
        with pytest.raises(MovinetError, match="broke down: IndexError"):
            stream.submit(pictures(1)[0])


def test_closing_ends_the_thread_and_cancels_answers() -> None:
    engine = TestEngine()
    pool = pool_of(engine)
    stream = pool.join()
    first = held_up(engine, stream)
    second = stream.submit(pictures(1)[0])
    engine.gate.set()
    pool.close()
    pool.close()
    assert not pool._thread.is_alive()
    assert answer_of(first).frames == 1
    assert second is not None
    assert second.done()
    for call in (lambda: stream.submit(pictures(1)[0]), stream.snapshot, pool.join):
        with pytest.raises(MovinetError, match="closed"):
            call()
    stream.leave()


def test_callbacks_may_call_the_pool() -> None:
    with pool_of() as pool:
        stream, saved, ended = pool.join(), [], Future[None]()

        def on_answer(answer: Future[Prediction]) -> None:
            saved.append(stream.snapshot().frames)
            following = stream.submit(pictures(1)[0])
            assert following is not None
            following.add_done_callback(on_answer if len(saved) < 3 else on_end)

        def on_end(answer: Future[Prediction]) -> None:
            stream.leave()
            pool.close()
            ended.set_result(None)

        first = stream.submit(pictures(1)[0])
        assert first is not None
        first.add_done_callback(on_answer)
        ended.result(SOON)
        assert saved == [1, 2, 3]


def test_answers_can_be_awaited() -> None:
    async def watch(pool: StreamPool) -> int:
        with pool.join() as stream:
            for frame in pictures(5):
                pushed = await asyncio.to_thread(stream.submit, frame)
                assert pushed is not None
                answer = await asyncio.wrap_future(pushed)
            return answer.frames

    async def all_of_them() -> list[int]:
        with pool_of(TestEngine(streams=2)) as pool:
            return await asyncio.gather(*(watch(pool) for _ in range(4)))

    assert asyncio.run(all_of_them()) == [5] * 4


def test_ensembles_share_a_pool_too() -> None:
    half = tiny_spec()
    model = Ensemble(temporal_ensemble("pair", half, half)).eval()
    info = WeightsInfo("pair.test", model.spec, INFO.transform, INFO.labels)
    frames = pictures(5)
    recognizer = Recognizer(Weights.of(model, info), memory=1.0)
    weights = Weights.of(model, info)
    with StreamPool(weights, create_engine(weights, streams=2, size=(24, 32)), max_streams=3, max_wait=0.001) as pool:
        streams = [pool.join(memory=1.0) for _ in range(3)]
        for frame in frames:
            expected = recognizer.push(frame)
            for answer in [stream.submit(frame) for stream in streams]:
                assert_same(answer_of(answer), expected)


@pytest.mark.parametrize(
    "options",
    [{"max_streams": 0}, {"queue": 0}, {"max_wait": -1.0}, {"max_wait": float("inf")}],
)
def test_impossible_pools_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="no pool"):
        pool_of(**options)


@pytest.mark.parametrize("options", [{"every": 0}, {"on_gap": "maybe"}, {"memory": -1.0}])
def test_impossible_streams_are_refused(options: dict[str, Any]) -> None:
    with pool_of() as pool, pytest.raises(ValueError, match=r"every|on_gap|positive"):
        pool.join(**options)


def test_a_pool_of_weights_by_name_or_file(tmp_path: Path) -> None:
    frame = pictures(1)[0]
    weights = tiny_weights(tmp_path)
    expected = Recognizer.load(weights, engine="torch").push(frame)
    with StreamPool.load(weights, max_streams=2, engine="torch") as pool:
        assert pool.engine.streams == 2
        assert_same(answer_of(pool.join().submit(frame)), expected)
    with pytest.raises(MovinetError, match="base network"):
        StreamPool.load(tiny_weights(tmp_path, causal=False), max_streams=2)
    with pytest.raises(MovinetError, match="movinet_a0_base is a base network"):  # and needs no download to know
        StreamPool.load("movinet_a0_base", max_streams=2, offline=True)
