"""Which frame is shown when, against the definition spelt out."""

from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate, count, islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from movinet.video.timing import LATE, Clock, Pace, Ticks, at_rate, at_times

gaps = st.lists(st.integers(1, 400), min_size=0, max_size=40)  # milliseconds between frames


@settings(deadline=None)
@given(gaps, st.integers(1, 500), st.floats(0.5, 60), st.floats(0, 5), st.none() | st.floats(0.01, 5))
def test_at_rate_shows_the_last_frame_begun(
    between: list[int], last: int, fps: float, start: float, span: float | None
) -> None:
    times = [ms / 1000 for ms in accumulate(between, initial=0)]
    ends = times[-1] + last / 1000
    timed = [(time, last / 1000, number) for number, time in enumerate(times)]
    end = None if span is None else start + span

    expected = []
    for k in count():
        instant = start + k / fps + LATE
        if instant >= ends or (end is not None and instant >= end):
            break
        expected.append((start + k / fps, max(number for number, time in enumerate(times) if time <= instant)))

    # The definition is of (start, end); a span shorter than a millisecond is empty in both.
    assert list(at_rate(timed, fps, start, end)) == expected


@settings(deadline=None)
@given(gaps, st.floats(0, 5), st.none() | st.floats(0.01, 5))
def test_without_a_rate_every_frame_comes_once(between: list[int], start: float, span: float | None) -> None:
    timed = [(ms / 1000, 0.04, number) for number, ms in enumerate(accumulate(between, initial=0))]
    end = float("inf") if span is None else start + span
    expected = [(time, number) for time, _, number in timed if start <= time + LATE and time + LATE < end]
    assert list(at_rate(timed, None, start, None if span is None else end)) == expected


@pytest.mark.parametrize("rate", [24, 25, 30, 50, 60])
def test_times_rounded_to_milliseconds_lose_nothing(rate: int) -> None:
    timed = [(round(1000 * i / rate) / 1000, 1 / rate, i) for i in range(100)]
    assert [number for _, number in at_rate(timed, rate)] == list(range(100))


@given(gaps, st.lists(st.floats(0, 10), max_size=12))
def test_at_times_shows_the_last_frame_begun(between: list[int], instants: list[float]) -> None:
    times = [ms / 1000 for ms in accumulate(between, initial=0)]
    timed = [(time, 0.1, number) for number, time in enumerate(times)]
    instants.sort()
    expected = [(t, max(number for number, time in enumerate(times) if time <= t + LATE)) for t in instants]
    assert list(at_times(timed, instants)) == expected
    assert list(at_times([], instants)) == []


def test_stops_asking_soon_after_the_end() -> None:
    asked = []

    def endless():
        for number in count():
            asked.append(number)
            yield number / 25, 1 / 25, number

    assert len(list(at_rate(endless(), 5, 1.0, 2.0))) == 5
    assert len(asked) <= 2 * 25 + 1


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


@settings(max_examples=30, deadline=None)
@given(st.sampled_from([(30, 5), (30, 12), (25, 8), (10, 5), (5, 5), (15, 5), (4, 5)]), st.randoms())
def test_ticks_keep_the_rate_in_spite_of_jitter(rates: tuple[int, int], random) -> None:
    source, fps = rates
    arrivals = [i / source + random.uniform(-0.2, 0.2) / source for i in range(10 * source)]
    ticks = Ticks(fps)
    due = [now for now in arrivals if ticks.due(now)]
    assert abs(len(due) - 10 * min(source, fps)) <= 2


def test_ticks_after_a_pause_make_up_for_nothing() -> None:
    ticks = Ticks(5)
    assert ticks.due(0.0)
    arrivals = (100 + i / 30 for i in count())
    assert sum(ticks.due(now) for now in islice(arrivals, 30)) in (5, 6)


def test_a_pace_knows_gaps_and_begins_again_after_them() -> None:
    pace = Pace(5.0, max_gap=0.1)
    assert pace.max_gap == pytest.approx(0.6)  # three frames of the network's at least
    assert not pace.is_gap(7.0)
    assert [pace.is_due(time) for time in (7.0, 7.1, 7.2)] == [True, False, True]
    assert [pace.is_gap(time) for time in (7.2, 7.8, 7.9, 7.1)] == [False, False, True, True]
    assert pace.is_due(7.1)  # a clock set back is a gap too
    pace.restart()
    assert not pace.is_gap(0.0)
    assert pace.is_due(0.0)


@pytest.mark.parametrize("time", [float("nan"), float("inf"), -float("inf")])
def test_times_that_are_no_numbers_are_refused_and_change_nothing(time: float) -> None:
    pace = Pace(5.0, 2.0)
    assert pace.is_due(0.0)
    for ask in (pace.is_gap, pace.is_due):
        with pytest.raises(ValueError, match="want seconds"):
            ask(time)
    assert not pace.is_gap(0.1)
    assert [pace.is_due(0.1), pace.is_due(0.2)] == [False, True]
