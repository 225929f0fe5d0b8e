"""One stream: what is due, what a gap means, what is remembered, and that nobody else's frames get in."""

import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from engines import TestEngine, tiny_model
from numpy.typing import NDArray
from tiny import LABELS, tiny_spec, tiny_weights

from movinet import MovinetError, Recognizer, StreamPool
from movinet.errors import WeightsError
from movinet.events import Event, EventDetector
from movinet.prediction import Prediction
from movinet.runtime.session import Session
from movinet.runtime.solo import Solo
from movinet.video.encode import encode_video
from movinet.video.frame import Frame
from movinet.video.transform import Transform
from movinet.weights.info import WeightsInfo
from movinet.weights.load import load_weights
from movinet.weights.weights import Weights

INFO = WeightsInfo("tiny_stream.test", tiny_spec(), Transform((24, 32), 24, 5.0), LABELS)
WEIGHTS = Weights.of(tiny_model(), INFO)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_weights(tmp_path_factory.mktemp("weights"))


def pictures(count: int, seed: int = 0) -> list[NDArray[np.uint8]]:
    return list(np.random.default_rng(seed).integers(0, 256, (count, 24, 32, 3), dtype=np.uint8))


def test_logits_that_are_no_numbers_are_no_answer(weights: Path) -> None:
    loaded = load_weights(weights)
    broken = {name: np.full_like(array, np.nan) for name, array in loaded.arrays.items()}
    recognizer = Recognizer(Weights(loaded.info, broken), engine="torch")
    with pytest.raises(MovinetError):
        recognizer.push(pictures(1)[0])


def test_a_frame_that_is_refused_leaves_its_turn_to_the_next(weights: Path) -> None:
    recognizer, (first, second) = Recognizer.load(weights, engine="torch"), pictures(2)
    assert recognizer.push(first, 0.0) is not None
    with pytest.raises(ValueError, match="uint8"):
        recognizer.push(second.astype(np.float32), 0.2)
    assert recognizer.push(second, 0.21) is not None


def test_a_stream_that_runs_forgets_from_when_it_is_told(weights: Path) -> None:
    recognizers = [Recognizer.load(weights, engine="torch") for _ in range(2)]
    answers = []
    for recognizer in recognizers:
        for picture in pictures(4):
            recognizer.push(picture)
        if recognizer is recognizers[1]:
            recognizer.memory = 0.3
        for picture in pictures(4, seed=1):
            prediction = recognizer.push(picture)
        assert prediction is not None
        answers.append(prediction.probabilities)
    assert np.abs(answers[0] - answers[1]).max() > 1e-4


def solo(engine: Any = None, **options: Any) -> Session:
    return Session(Solo(engine or TestEngine(), (0.0, 1.0)).seat(), WEIGHTS, **options)


@contextmanager
def alone(**options: Any) -> Iterator[Session]:
    yield solo(**options)


@contextmanager
def pooled(**options: Any) -> Iterator[Session]:
    with StreamPool(WEIGHTS, TestEngine(2), max_streams=3, max_wait=0.001) as pool, pool.join(**options) as session:
        yield session


def pushed(session: Session, frames: list[NDArray[np.uint8]]) -> list[Prediction]:
    answers = [session.push(frame) for frame in frames]
    return [answer for answer in answers if answer is not None]


def assert_same(some: list[Prediction], others: list[Prediction]) -> None:
    assert [(p.time, p.frames) for p in some] == [(p.time, p.frames) for p in others]
    for one, other in zip(some, others, strict=True):
        np.testing.assert_allclose(one.probabilities, other.probabilities, atol=1e-5)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("videos")
    for seed, name in enumerate(("a.mp4", "b.mp4")):
        encode_video(folder / name, np.stack(pictures(9, seed)), fps=5)
    return folder / "a.mp4", folder / "b.mp4"


def test_two_streams_of_one_recognizer_are_what_they_are_alone(weights: Path, videos: tuple[Path, Path]) -> None:
    recognizer = Recognizer.load(weights, engine="torch")
    expected = [list(Recognizer.load(weights, engine="torch").stream(video)) for video in videos]
    pairs = list(zip(*(recognizer.stream(video) for video in videos), strict=True))
    for one, other in zip(zip(*pairs, strict=True), expected, strict=True):
        assert_same(list(one), other)
    recognizer.push(pictures(1)[0])  # the stream of `push` is one more
    assert_same([recognizer.classify(videos[1])], expected[1][-1:])
    assert recognizer.push(pictures(1)[0]).frames == 2  # type: ignore[union-attr]


@pytest.mark.parametrize("engine", ["torch", "litert"])
def test_threads_share_a_recognizer(weights: Path, engine: Any) -> None:
    recognizer = Recognizer.load(weights, engine=engine)

    def watch(seed: int) -> list[Prediction]:
        return pushed(recognizer.session(), pictures(12, seed))

    expected = [watch(seed) for seed in range(6)]
    with ThreadPoolExecutor(6) as threads:
        for one, other in zip(threads.map(watch, range(6)), expected, strict=True):
            assert_same(one, other)


def test_a_recognizer_takes_whatever_holds_a_video(weights: Path, videos: tuple[Path, Path]) -> None:
    recognizer = Recognizer.load(weights, engine="torch")
    expected = recognizer.classify(videos[0])
    assert_same([recognizer(videos[0]), recognizer(str(videos[0]))], [expected] * 2)
    assert_same(recognizer([videos[0], videos[0]]), [expected] * 2)
    clip = np.stack(pictures(9))
    from_array, from_tensor, each = recognizer(clip), recognizer(torch.from_numpy(clip)), recognizer([clip, clip[0]])
    assert from_array.frames == 9
    assert_same([from_tensor, each[0]], [from_array] * 2)
    assert each[1].frames == 1
    session = recognizer.session()
    assert_same([from_array], pushed(session, pictures(9))[-1:])
    with pytest.raises(ValueError, match="uint8"):
        recognizer(clip.astype(np.float32))


def test_a_base_network_takes_arrays_too(tmp_path: Path, videos: tuple[Path, Path]) -> None:
    recognizer = Recognizer.load(tiny_weights(tmp_path, causal=False), engine="torch")
    assert recognizer(np.stack(pictures(9))).frames == recognizer(videos[0]).frames == 9
    with pytest.raises(MovinetError, match="base network"):
        recognizer.session()


@pytest.mark.parametrize("place", [alone, pooled])
def test_memory_takes_effect_with_the_next_frame_wherever_the_stream_lives(place: Any) -> None:
    first, second = pictures(4), pictures(4, 1)
    with place() as forgets, place() as never, place(memory=0.3) as always:
        before = [pushed(session, first)[-1] for session in (forgets, never, always)]
        forgets.memory = 0.3
        after = [pushed(session, second)[-1] for session in (forgets, never, always)]
        np.testing.assert_allclose(before[0].probabilities, before[1].probabilities, atol=1e-6)
        assert np.abs(after[0].probabilities - after[1].probabilities).max() > 1e-4
        for session in (forgets, always):  # and anew it is kept
            session.reset()
        assert_same(pushed(forgets, first), pushed(always, first))
        always.memory = None
        for session in (never, always):
            session.reset()
        assert_same(pushed(never, first), pushed(always, first))


@pytest.mark.parametrize("place", [alone, pooled])
def test_events_end_with_the_last_frame_seen(place: Any) -> None:
    """Whatever ends them: a gap, a clock that steps back, or that nothing more will come."""
    detector = EventDetector(0.34, 0.01)  # the likeliest of three labels
    with place(detector=detector) as session:
        for time in (0.0, 0.2, 0.4):
            session.push(pictures(1)[0], time)
        assert {(event.start, event.end) for event in session.events()} == {(0.0, None)}
        assert session.running
        session.push(pictures(1)[0], 60.0)
        told = session.events()
        assert {(event.start, event.end) for event in told} == {(0.0, 0.4), (60.0, None)}
        assert [event.end for event in told] == sorted((e.end for e in told), key=lambda end: end is None)
        session.push(pictures(1)[0], 59.2)
        assert {(event.start, event.end) for event in session.events()} == {(60.0, 60.0), (59.2, None)}
        session.finish()
        session.finish()
        assert {(event.start, event.end) for event in session.events()} == {(59.2, 59.2)}
        assert session.events() == []


def test_events_that_nobody_asks_for_take_no_memory_without_end() -> None:
    session = solo(detector=EventDetector(0.34, 0.01))
    for n in range(1100):
        session.push(pictures(1)[0], 60.0 * n)
    assert len(session.events()) <= 1024


def test_times_may_stand_step_back_and_leap() -> None:
    session, picture = solo(), pictures(1)[0]

    def frames_after(*times: float) -> list[int | None]:
        answers = [session.push(picture, time) for time in times]
        return [answer and answer.frames for answer in answers]

    assert frames_after(0.0, 0.0, 0.0) == [1, None, None]
    assert frames_after(0.2, 0.1, 0.4) == [2, None, 3], "a frame out of order is passed over"
    assert frames_after(-0.4, -0.2) == [1, 2], "a clock that was set back begins a stream, and at once"
    assert frames_after(3600.0, 3600.2) == [1, 2]
    for odd in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match=str(odd)):
            session.push(picture, odd)
    assert frames_after(3600.4) == [3]


@pytest.mark.parametrize("place", [alone, pooled])
def test_an_engine_that_fails_leaves_a_stream_that_begins_anew(place: Any) -> None:
    engine = TestEngine()
    with place() as session:
        engine = session._seat.engine
        pushed(session, pictures(2))
        engine.failures.append(RuntimeError("out of memory"))
        with pytest.raises(MovinetError, match="out of memory"):
            session.push(pictures(1)[0])
        expected = solo()
        assert_same(pushed(session, pictures(3)), pushed(expected, pictures(3)))


def test_a_stream_that_answered_with_no_number_begins_anew() -> None:
    engine, expected = TestEngine(), solo()
    session, step = solo(engine), engine.step
    pushed(session, pictures(2))
    engine.step = lambda *_: np.array([[1, np.inf, 1]], np.float32)  # type: ignore[method-assign]
    with pytest.raises(MovinetError, match="no number"):
        session.push(pictures(1)[0])
    engine.step = step  # type: ignore[method-assign]
    assert_same(pushed(session, pictures(3)), pushed(expected, pictures(3)))


def test_a_saved_stream_goes_on_in_a_pool_and_back(tmp_path: Path) -> None:
    frames, path = pictures(9), tmp_path / "state.safetensors"
    one = solo(memory=1.0)
    pushed(one, frames[:4])
    one.save(path)
    expected = pushed(one, frames[4:])
    with pooled() as other:
        pushed(other, frames[:2])
        other.restore(path)
        assert_same(pushed(other, frames[4:]), expected)
        other.save(path)
        other.reset()
        again = pushed(other, frames[:3])
    back = solo()
    back.restore(path)
    assert back.frames == 9
    back.reset()
    assert_same(pushed(back, frames[:3]), again)
    assert_same(pushed(solo(memory=1.0), frames[:3]), again)


def test_states_that_fit_no_stream_are_refused(tmp_path: Path) -> None:
    session = solo()
    with pytest.raises(MovinetError, match="not begun"):
        session.save(tmp_path / "state")
    pushed(session, pictures(2))
    session.save(tmp_path / "state")
    session.reset()
    with pytest.raises(MovinetError, match="not begun"):
        session.save(tmp_path / "state")
    arrays = {name: array * 2 if array.dtype.kind == "f" else array for name, array in WEIGHTS.arrays.items()}
    other = Session(Solo(TestEngine(), (0.0, 1.0)).seat(), Weights(INFO, arrays))
    with pytest.raises(WeightsError, match="other weights"):
        other.restore(tmp_path / "state")


def test_a_frame_its_source_has_chosen_is_always_taken() -> None:
    session, expected = solo(), solo()
    frames = [Frame.of_rgb(picture, 0.01 * n) for n, picture in enumerate(pictures(4))]
    assert session.see(frames[0], answer=False) is None
    answers = [session.see(frame) for frame in frames[1:]]
    assert [answer.frames for answer in answers if answer] == [2, 3, 4]
    assert answers[-1] is not None
    np.testing.assert_allclose(answers[-1].probabilities, pushed(expected, pictures(4))[-1].probabilities, atol=1e-6)


def test_threads_may_do_anything_to_any_stream_at_once(tmp_path: Path) -> None:
    """Nothing hangs, and nothing but our own errors comes of it: a frame that waited was given up for a newer one."""

    def live(seed: int) -> int:
        chance, done, path = random.Random(seed), 0, tmp_path / str(seed)
        acts: list[Callable[[Session], Any]] = [
            lambda session: session.submit(pictures(1)[0], chance.choice([None, 0.2 * done, 0.2 * done - 50])),
            lambda session: session.reset(),
            lambda session: setattr(session, "memory", chance.choice([None, 0.5, 2.0])),
            lambda session: (session.events(), session.running, session.finish()),
            lambda session: session.restore(session.snapshot()),
            lambda session: (session.save(path), session.restore(path)),
        ]
        while time.monotonic() < until:
            session = chance.choice(sessions)
            with suppress(MovinetError):
                if chance.random() < 0.6:
                    session.push(pictures(1)[0], chance.choice([None, 0.2 * done]))
                else:
                    chance.choice(acts)(session)
            done += 1
        return done

    own = Solo(TestEngine(), (0.0, 1.0))
    with StreamPool(WEIGHTS, TestEngine(3), max_streams=3, max_wait=0.002) as pool, ThreadPoolExecutor(6) as threads:
        sessions = [Session(own.seat(), WEIGHTS, detector=EventDetector(0.34, 0.1)) for _ in range(2)]
        sessions += [pool.join(detector=EventDetector(0.34, 0.1)) for _ in range(2)]
        until = time.monotonic() + 1.5
        assert min(threads.map(live, range(6), timeout=60)) > 0


def test_a_session_that_was_left_takes_no_more() -> None:
    with solo() as session:
        pushed(session, pictures(1))
    with pytest.raises(MovinetError, match="ended"):
        session.push(pictures(1)[0])


def test_an_event_is_told_as_begun_once_it_lasts() -> None:
    def after(probability: float, time: float) -> Prediction:
        rest = (1 - probability) / 2
        return Prediction(time, 1, np.array([probability, rest, rest], np.float32), INFO)

    detector = EventDetector(0.6, 0.4, shortest=0.4)
    begun = []
    for n, probability in enumerate([0.9, 0.3, 0.9, 0.9, 0.9, 0.9, 0.3]):
        ended = detector.push(after(probability, n * 0.2))
        begun.append([event.start for event in detector.begun])
    assert begun == [[], [], [], [], [0.4], [], []]
    assert [(event.start, event.end) for event in ended] == [(0.4, pytest.approx(1.2))]
    detector.push(after(0.9, 2.0))
    assert detector.finish() == []
    quick = EventDetector(0.6, 0.4)
    quick.push(after(0.9, 0.0))
    assert quick.begun == [Event("left", 0.0, None, pytest.approx(0.9))]


def test_what_users_type_first_is_told_what_to_type(weights: Path) -> None:
    with pytest.raises(TypeError, match=r"Recognizer\.load\('movinet_t0_stream\.gestures'\)"):
        Recognizer("movinet_t0_stream.gestures")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no frames"):
        Recognizer.load(weights, engine="torch")(np.zeros((0, 24, 32, 3), np.uint8))
    with pytest.raises(ValueError, match="no pool has 0 streams"):
        StreamPool.load(weights, max_streams=0)


def test_decoding_threads_change_no_answer(weights: Path, videos: tuple[Path, Path]) -> None:
    recognizer = Recognizer.load(weights, engine="torch")
    assert_same([recognizer.classify(videos[0], decoding_threads=4)], [recognizer.classify(videos[0])])
    assert_same(list(recognizer.stream(videos[0], decoding_threads=0)), list(recognizer.stream(videos[0])))
