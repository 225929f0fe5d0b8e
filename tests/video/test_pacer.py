"""Which frames are shown, of files against the definition spelt out, of live streams by count and by rule."""

from itertools import accumulate, count
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from movinet.video.pacer import FilePacer, LivePacer
from movinet.video.timing import LATE

gaps = st.lists(st.integers(1, 400), min_size=0, max_size=40)  # milliseconds between frames


@settings(deadline=None)
@given(gaps, st.integers(1, 500), st.floats(0.5, 60), st.floats(0, 5), st.none() | st.floats(0.01, 5))
def test_a_rate_shows_the_last_frame_begun(
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
    assert list(FilePacer(fps, start, end).shown(timed)) == expected


@settings(deadline=None)
@given(gaps, st.floats(0, 5), st.none() | st.floats(0.01, 5))
def test_without_a_rate_every_frame_comes_once(between: list[int], start: float, span: float | None) -> None:
    timed = [(ms / 1000, 0.04, number) for number, ms in enumerate(accumulate(between, initial=0))]
    end = float("inf") if span is None else start + span
    expected = [(time, number) for time, _, number in timed if start <= time + LATE and time + LATE < end]
    assert list(FilePacer(None, start, None if span is None else end).shown(timed)) == expected


@pytest.mark.parametrize("rate", [24, 25, 30, 50, 60])
def test_times_rounded_to_milliseconds_lose_nothing(rate: int) -> None:
    timed = [(round(1000 * i / rate) / 1000, 1 / rate, i) for i in range(100)]
    assert [number for _, number in FilePacer(rate).shown(timed)] == list(range(100))


@given(gaps, st.lists(st.floats(0, 10), max_size=12))
def test_given_instants_show_the_last_frame_begun(between: list[int], instants: list[float]) -> None:
    times = [ms / 1000 for ms in accumulate(between, initial=0)]
    timed = [(time, 0.1, number) for number, time in enumerate(times)]
    instants.sort()
    expected = [(t, max(number for number, time in enumerate(times) if time <= t + LATE)) for t in instants]
    assert list(FilePacer(times=instants).shown(timed)) == expected
    assert list(FilePacer(times=instants).shown([])) == []


def test_stops_asking_soon_after_the_end() -> None:
    asked = []

    def endless():
        for number in count():
            asked.append(number)
            yield number / 25, 1 / 25, number

    assert len(list(FilePacer(5, 1.0, 2.0).shown(endless()))) == 5
    assert len(asked) <= 2 * 25 + 1


def frames_of(between: list[int]) -> list[tuple[float, float, int]]:
    times = [ms / 1000 for ms in accumulate(between, initial=0)]
    ends = [*times[1:], times[-1] + 0.1]
    return [(time, end - time, number) for number, (time, end) in enumerate(zip(times, ends, strict=True))]


pacers = st.builds(
    FilePacer, st.none() | st.floats(0.5, 60), st.floats(0, 5), st.none() | st.floats(5.01, 10)
) | st.builds(lambda times: FilePacer(times=sorted(times)), st.lists(st.floats(0, 10), max_size=12))


@settings(deadline=None)
@given(gaps, pacers)
def test_what_a_file_pacer_refuses_is_missed_by_nobody(between: list[int], pacer: FilePacer) -> None:
    timed = frames_of(between)
    ends = [*(time for time, _, _ in timed[1:]), float("inf")]
    wanted = [frame for frame, end in zip(timed, ends, strict=True) if frame[2] == 0 or pacer.wants(frame[0], end)]
    shown = list(pacer.shown(timed))
    assert list(pacer.shown(wanted)) == shown
    # And it refuses all it can, but for the first, the last, and those that come after the end.
    seen = {number for _, number in shown}
    assert {frame[2] for frame in wanted} - seen <= {0, len(timed) - 1}


def test_times_that_descend_are_refused() -> None:
    with pytest.raises(ValueError, match="ascend"):
        FilePacer(times=[1.0, 0.5])


rates = st.tuples(st.floats(0.3, 40), st.sampled_from([1.0, 5.0, 7.5, 12.0, 25.0, 30.0]))


@settings(deadline=None)
@given(rates, st.floats(0, 0.3), st.booleans(), st.integers(0))
def test_a_constant_rate_with_jitter_keeps_it(rates: tuple[float, float], jitter: float, hard: bool, seed: int) -> None:
    """Whatever the source's rate, no frame is lost and none is too many."""
    ratio, fps = rates
    source, frames = ratio * fps, round(60 * max(1.0, ratio))
    random = Random(seed)
    off = [random.choice((-jitter, jitter)) if hard else random.uniform(-jitter, jitter) for _ in range(frames)]
    pacer = LivePacer(fps)
    taken = sum(pacer.is_due((number + early) / source) for number, early in enumerate(off))
    assert abs(taken - round(min(source, fps) * frames / source)) <= 1


@pytest.mark.parametrize("source", [25.0, 30.0, 29.97, 15.0, 12.0, 5.0, 4.99])
def test_stamps_that_do_not_jitter_drift_nowhere(source: float) -> None:
    """An hour and what it holds; each frame is the one nearest to its tick, or comes as the source's do."""
    pacer = LivePacer(5)
    times = [number / source for number in range(round(3600 * source))]
    taken = [time for time in times if pacer.is_due(time)]
    assert abs(len(taken) - 3600 * min(5, source)) <= 1
    ahead = [time * 5 - number for number, time in enumerate(taken)] if source > 5 else []
    assert all(-5 / source < periods < 5 / source for periods in ahead)


def test_frames_thinned_to_the_rate_before_are_not_thinned_again() -> None:
    # Times of a camera's frames that two pacers of 0.1 refused, one after the other, for being 3 ms early.
    pacer = LivePacer(5.0)
    times = [0.0, 0.197, 0.4, 0.6, 0.81, 1.0, 1.2, 1.4, 1.61, 1.81, 1.997, 2.2]
    assert all(pacer.is_due(time) for time in times)


@settings(deadline=None)
@given(st.floats(0.3, 60), st.integers(0, 6), st.floats(0, 0.3), st.booleans(), st.integers(0))
def test_packets_not_wanted_are_not_due(source: float, ahead: int, jitter: float, skips: bool, seed: int) -> None:
    """Packets are asked for some frames before these are shown, and those not wanted are decoded or not."""
    random = Random(seed)
    times = [3.0 + (number + random.uniform(-jitter, jitter)) / source for number in range(150)]
    wanted: dict[float, bool] = {}
    pacer, reference = LivePacer(5.0), LivePacer(5.0)
    for number, time in enumerate(times):
        for place, packet in enumerate(times[number : number + ahead + 1], number):
            if packet not in wanted:
                wanted[packet] = pacer.wants(packet, [other for other in times[number:place] if wanted[other]])
        due = reference.is_due(time)
        assert wanted[time] or not due
        if wanted[time] or not skips:
            assert pacer.is_due(time) == due
        else:
            pacer.passed(time)
    if source > 20:  # and many are not
        assert sum(wanted.values()) < 0.75 * len(times)


def test_asking_for_packets_changes_nothing() -> None:
    pacer = LivePacer(5.0)
    assert pacer.wants(6.0)
    assert [pacer.is_due(6.0 + number / 25) for number in range(26)] == [number % 5 == 0 for number in range(26)]
    assert [pacer.wants(time) for time in (7.04, 7.12, 7.2, 900.0, 0.0)] == [False, False, True, True, True]
    assert [pacer.wants(time, [7.2]) for time in (7.12, 7.24, 7.4)] == [False, False, True]  # 7.2 fills its tick
    assert not pacer.is_due(7.04)
    assert pacer.is_due(7.2)


def test_a_pause_is_made_up_for_by_nothing() -> None:
    pacer = LivePacer(5.0)
    assert pacer.is_due(0.0)
    assert sum(pacer.is_due(1.5 + number / 30) for number in range(30)) in (5, 6)  # ticks go on
    assert sum(pacer.is_due(100.0 + number / 30) for number in range(30)) == 5  # and begin anew


def test_gaps() -> None:
    pacer = LivePacer(5.0, max_gap=0.1)
    assert pacer.max_gap == pytest.approx(0.6)  # three frames of the network's at least
    assert not pacer.is_gap(7.0)
    assert [pacer.is_due(time) for time in (7.0, 7.1, 7.2)] == [True, False, True]
    assert [pacer.is_gap(time) for time in (7.2, 7.79, 7.81, 7.01, 6.99)] == [False, False, True, False, True]
    assert pacer.is_due(6.99)  # a clock set back is a gap too
    pacer.restart()
    assert not pacer.is_gap(0.0)
    assert pacer.is_due(0.0)


def test_times_that_stand_or_step_back_a_little_are_not_due() -> None:
    pacer = LivePacer(5.0)
    taken = [time for time in (0.0, 0.0, 0.2, 0.2, 0.15, 0.05, 0.2, 0.4, 0.39, 0.6) if pacer.is_due(time)]
    assert taken == [0.0, 0.2, 0.4, 0.6]


@pytest.mark.parametrize("time", [float("nan"), float("inf"), -float("inf")])
def test_times_that_are_no_numbers_are_refused_and_change_nothing(time: float) -> None:
    pacer = LivePacer(5.0, 2.0)
    assert pacer.is_due(0.0)
    for ask in (pacer.wants, pacer.is_gap, pacer.is_due):
        with pytest.raises(ValueError, match="want seconds"):
            ask(time)
    assert not pacer.is_gap(0.1)
    assert [pacer.is_due(0.1), pacer.is_due(0.2)] == [False, True]
    with pytest.raises(ValueError, match="want seconds"):
        LivePacer(5.0).is_due(time)


def test_a_stream_that_begins_anew_wants_its_first_frame_whatever_its_time() -> None:
    pacer = LivePacer(5.0)
    for n in range(40):
        pacer.is_due(n / 25)
    pacer.restart()
    assert pacer.wants(0.0)
    assert pacer.is_due(0.0)
