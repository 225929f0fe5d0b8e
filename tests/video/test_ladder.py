"""What is left out of a stream that lags, what is damaged, and when a source is tried again; plain numbers."""

import itertools

import pytest

from movinet.video.camera import reconnect
from movinet.video.camera.damage import Damage
from movinet.video.camera.ladder import Ladder
from movinet.video.camera.reconnect import LASTING, LOGIN_PAUSE, Attempts

STEP = 0.04


def climb(ladder: Ladder, lags: list[float], now: float = 0.0) -> list[tuple[str | None, str]]:
    return [(ladder.look(lag, now + n * STEP), ladder.least) for n, lag in enumerate(lags)]


def test_in_time_nothing_is_left_out() -> None:
    assert set(climb(Ladder(1.0), [0.0, 0.9, 0.2, 1.0])) == {(None, "DEFAULT")}


def test_first_what_nothing_refers_to_then_all_but_key_frames_until_caught_up() -> None:
    ladder = Ladder(1.0)
    seen = climb(ladder, [1.05 + 0.01 * n for n in range(30)])
    assert seen[0] == ("lagging", "NONREF")
    assert seen[1] == (None, "NONREF")
    assert seen[-1] == (None, "NONKEY")
    assert [step for step, _ in seen].count("lagging") == 1
    seen = climb(ladder, [1.0 - 0.1 * n for n in range(9)], now=2.0)
    assert seen[-1] == ("caught_up", "DEFAULT")
    assert {least for _, least in seen[:-1]} == {"NONKEY"}


def test_what_shrinks_is_given_time() -> None:
    assert "NONKEY" not in {least for _, least in climb(Ladder(1.0), [1.1 - 0.02 * n for n in range(55)])}


def test_where_nothing_helps_it_says_so() -> None:
    assert "anew" in [step for step, _ in climb(Ladder(1.0), [2.5] * 70)]
    assert "anew" not in [step for step, _ in climb(Ladder(1.0), [1.5] * 100)]
    assert "anew" in [step for step, _ in climb(Ladder(1.0), [1.5] * 200)]


def test_key_frames_intervals() -> None:
    ladder = Ladder(1.0)
    assert ladder.key_interval == 0.0
    for time in (0.0, 2.0, 3.0, 4.0, 5.0):
        ladder.key(time)
    assert ladder.key_interval == 1.0


def test_damage_is_a_share_of_the_last_seconds() -> None:
    damage = Damage()
    assert not any(damage.look(n % 3 == 0, n * STEP) for n in range(100))
    changes = [damage.look(True, 4 + n * STEP) for n in range(100)]
    assert changes.count(True) == 1
    assert damage.unfit
    changes = [damage.look(False, 8 + n * STEP) for n in range(130)]
    assert changes.count(True) == 1
    assert not damage.unfit


def test_one_damaged_picture_says_nothing() -> None:
    assert not Damage().look(True, 0.0)


def test_attempts_are_counted_in_a_row() -> None:
    attempts = Attempts(2, (0.1, 1.0))
    assert attempts.lost() is not None
    assert attempts.lost() is not None
    assert attempts.lost() is None
    attempts = Attempts(2, (0.1, 1.0))
    for _ in range(5):
        assert attempts.lost() is not None
        attempts.found(0.0)
    assert Attempts(0, (0.1, 1.0)).lost() is None
    forever = Attempts(None, (0.1, 1.0))
    assert all(forever.lost() is not None for _ in range(100))


def test_pauses_begin_anew_only_after_lasting_success(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconnect.random, "uniform", lambda low, high: high)
    attempts = Attempts(None, (0.8, 2.0))
    pauses = []
    for now in itertools.count(0, 100):  # some old pictures, again and again
        pauses.append(attempts.lost())
        attempts.found(now)
        attempts.found(now + LASTING / 2)
        if len(pauses) == 5:
            break
    assert pauses == pytest.approx([0.8, 1.2, 1.8, 2.0, 2.0])
    attempts.found(1000.0)
    attempts.found(1000.0 + LASTING)
    assert attempts.lost() == 0.8


def test_logins_that_are_refused_are_tried_rarely() -> None:
    assert Attempts(None, (0.1, 0.2)).lost(refused=True) == LOGIN_PAUSE
