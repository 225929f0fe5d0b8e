"""When a frame is shown, by stamps of every kind."""

from dataclasses import dataclass
from fractions import Fraction

import pytest

from movinet.video.timing import Clock


@dataclass
class Stamp:
    pts: int | None
    dts: int | None = None
    duration: int = 0
    time_base: Fraction = Fraction(1, 25)


def read(clock: Clock, stamps: list[Stamp]) -> list[float | None]:
    return [None if (t := clock.read(stamp)) is None else round(t[0] * 25, 6) for stamp in stamps]


def test_time_counts_from_the_first_frame() -> None:
    assert read(Clock(25), [Stamp(100), Stamp(103), Stamp(104)]) == [0, 3, 4]


def test_without_stamps_frames_follow_one_another() -> None:
    assert read(Clock(25), [Stamp(None)] * 3) == [0, 1, 2]
    assert read(Clock(25), [Stamp(None, duration=2), Stamp(None, duration=2), Stamp(7), Stamp(9)]) == [0, 2, 4, 6]


def test_a_clock_that_stands_still_is_wound_by_durations() -> None:
    assert read(Clock(25), [Stamp(0, 0, 2)] * 4) == [0, 2, 4, 6]
    assert read(Clock(25), [Stamp(0), Stamp(0), Stamp(1), Stamp(2)]) == [0, 1, 1, 2]  # one doubled stamp: no drift


def test_a_reset_clock_goes_on_and_a_straggler_is_left_out() -> None:
    assert read(Clock(25), [Stamp(100, duration=1), Stamp(101, duration=1), Stamp(0), Stamp(1)]) == [0, 1, 2, 3]
    assert read(Clock(25), [Stamp(0), Stamp(5), Stamp(3), Stamp(6)]) == [0, 5, None, 6]


def test_presentation_times_that_go_backwards_are_not_believed() -> None:
    # As a DivX AVI with packed B-frames is read.
    frames = [Stamp(pts, dts) for pts, dts in [(1, 1), (2, 2), (4, 3), (3, 4), (5, 5), (7, 6), (6, 7)]]
    assert read(Clock(25, trust_pts=False), frames) == [0, 1, 2, 3, 4, 5, 6]
    assert read(Clock(25), frames)[5:] == [5, 6]  # noticed on the way


def test_duration_is_told_else_the_gap_else_the_rate() -> None:
    clock = Clock(10)
    assert clock.read(Stamp(0)) == (0.0, pytest.approx(0.1))
    assert clock.read(Stamp(5)) == (pytest.approx(0.2), pytest.approx(0.2))
    assert clock.read(Stamp(6, duration=3)) == (pytest.approx(0.24), pytest.approx(0.12))
