"""The motion gate: what counts as still, and that a stream whose frames are left out means what it meant."""

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray
from tiny import LABELS, tiny_weights

from movinet.errors import MovinetError
from movinet.events import EventDetector
from movinet.runtime.motion_gate import MotionGate, MotionRule
from movinet.runtime.pool import StreamPool

FPS = 5.0
SIZE = (24, 32)


def scene(seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(20, 230, (*SIZE, 3), dtype=np.uint8)


def answers(gate: MotionGate, pictures: list[NDArray[np.uint8]]) -> list[bool]:
    return [gate.is_still(picture, n / FPS) for n, picture in enumerate(pictures)]


def test_a_still_scene_is_shown_for_a_while_and_then_no_more() -> None:
    still = answers(MotionGate(MotionRule(hold=1.0)), [scene()] * 12)
    assert still == [False] * 5 + [True] * 7


def test_noise_is_no_motion_and_a_hand_is() -> None:
    rng = np.random.default_rng(1)
    noisy = [np.clip(scene() + rng.normal(0, 5, (*SIZE, 3)), 0, 255).astype(np.uint8) for _ in range(20)]
    gate = MotionGate(MotionRule(hold=1.0))
    assert answers(gate, noisy)[5:] == [True] * 15
    moved = scene().copy()
    moved[8:14, 8:14] = 250
    assert not gate.is_still(moved, 4.0)
    assert not gate.is_still(moved, 4.2)  # held


def test_what_creeps_moves_in_the_end() -> None:
    gate = MotionGate(MotionRule(least=4.0, hold=1.0))
    dimming = [scene() - np.uint8(n // 2) for n in range(40)]
    still = answers(gate, dimming)
    assert still[6]
    assert not all(still[6:])


def test_prepared_frames_are_measured_in_levels() -> None:
    gate = MotionGate(MotionRule(hold=0.0), scale=(-1.0, 1.0))
    image = np.zeros((*SIZE, 3), np.float32)
    assert not gate.is_still(image, 0.0)
    assert gate.is_still(image + np.float32(3 / 127.5), 0.2)
    assert not gate.is_still(image + np.float32(5 / 127.5), 0.4)


@pytest.mark.parametrize("options", [{"least": 0.0}, {"least": 255.0}, {"hold": -1.0}, {"hold": float("inf")}])
def test_rules_that_make_no_sense_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(MovinetError):
        MotionRule(**options)


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StreamPool]:
    weights = tiny_weights(tmp_path_factory.mktemp("weights"))
    with StreamPool.load(weights, max_streams=2, engine="torch") as pool:
        yield pool


def test_the_last_answer_holds_and_the_state_stays(pool: StreamPool) -> None:
    with pool.join(motion=MotionRule(hold=0.6)) as gated, pool.join() as plain:
        for n in range(3):
            shown, expected = gated.push(scene(), n / FPS), plain.push(scene(), n / FPS)
        for n in range(3, 10):
            held = gated.push(scene(), n / FPS)
            assert held is not None
            assert shown is not None
            assert held.time == pytest.approx(n / FPS)
            assert held.frames == 3
            np.testing.assert_array_equal(held.probabilities, shown.probabilities)
        assert (gated.still, gated.frames) == (7, 3)
        # Something moves: the network goes on from where it was.
        again, expected = gated.push(scene(1), 2.0), plain.push(scene(1), 2.0)
        assert again is not None
        assert expected is not None
        assert again.frames == expected.frames == 4
        np.testing.assert_allclose(again.probabilities, expected.probabilities, atol=1e-5)


def test_events_last_through_what_is_still(pool: StreamPool) -> None:
    """An answer that holds is an answer: an event goes on, and ends with the last frame that was seen."""
    detector = EventDetector(on=1e-6, off=1e-7)
    with pool.join(motion=MotionRule(hold=0.4), detector=detector) as session:
        for n in range(10):
            session.push(scene(), n / FPS)
        assert session.still == 8
        begun = session.events()
        assert {event.label for event in begun} == set(LABELS)
        assert all(event.start == 0.0 and event.end is None for event in begun)
        session.finish()
        assert {event.end for event in session.events()} == {9 / FPS}


def test_a_stream_that_begins_anew_is_shown(pool: StreamPool) -> None:
    with pool.join(motion=MotionRule(hold=0.0)) as session:
        for n in range(3):
            session.push(scene(), n / FPS)
        assert session.still == 2
        session.reset()
        assert session.push(scene(), 1.0) is not None
        assert (session.still, session.frames) == (2, 1)
        session.push(scene(), 100.0)  # after a gap
        assert (session.still, session.frames) == (2, 1)
        saved = session.snapshot()
        session.restore(saved)
        session.push(scene(), 100.2)
        assert (session.still, session.frames) == (2, 2)


def test_frames_without_a_time_are_all_shown(pool: StreamPool) -> None:
    with pool.join(motion=MotionRule(hold=0.0)) as session:
        for _ in range(4):
            session.push(scene())
        assert (session.still, session.frames) == (0, 4)


def test_no_answer_overtakes_another(pool: StreamPool) -> None:
    """A still frame after one that waits to be looked at is shown, too."""
    with pool.join(motion=MotionRule(hold=0.0)) as session:
        coming = [session.submit(scene(n // 4), n / FPS) for n in range(16)]
        times = [answer.result().time for answer in coming if answer is not None and not answer.cancelled()]
        assert times == sorted(times)
