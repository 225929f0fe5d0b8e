"""Times of running streams, by stamps and by arrival; plain numbers with a clock of their own."""

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from movinet.video.camera.live_clock import LiveClock, Timeline

PERIOD = 0.04


class Stream:
    """Packets that go through a clock and come out at once."""

    def __init__(self, clock: LiveClock, now: float = 100.0, stamp: float = 5000.0) -> None:
        self.clock, self.now, self.stamp = clock, now, stamp
        self.times: list[float] = []
        self.lags: list[float] = []

    def go(self, count: int, step: float = PERIOD, wait: float = PERIOD, jitter: float = 0.0) -> list[float]:
        """So many packets, their stamps `step` apart, arriving `wait` apart; the times of these."""
        first = len(self.times)
        rng = random.Random(0)
        for _ in range(count):
            self.stamp += step
            self.now += wait
            self.clock.arrived(self.stamp, self.stamp, self.now + rng.uniform(0, jitter))
            moment, _ = self.clock.shown(self.stamp)
            if moment is not None:
                self.times.append(moment)
            self.lags.append(self.clock.lag)
        return self.times[first:]


def steps(times: list[float]) -> list[float]:
    return [after - before for before, after in pairwise(times)]


def test_by_stamps_whatever_the_network_does() -> None:
    stream = Stream(LiveClock(Timeline()))
    stream.go(100, jitter=0.03)
    assert stream.times[0] == 0.0
    assert steps(stream.times) == pytest.approx([PERIOD] * 99)
    assert max(stream.lags) < 0.05


@pytest.mark.parametrize("jump", [3600.0, -3600.0])
def test_a_clock_that_is_set_while_pictures_come_out_of_order(jump: float) -> None:
    """FFmpeg makes packets' own stamps of those of the pictures before, which are still those of the old clock."""
    clock, shown, times = LiveClock(Timeline()), [], []
    for n in range(90):
        place = n + (0, 2, -1)[n % 3] if n else 0  # I P B B P B B, as sent
        shown.append(100 + place * PERIOD + (jump if n >= 45 else 0.0))
        decoded = shown[n] - 2 * PERIOD if n < 2 else min(shown[n], shown[n - 1], shown[n - 2])
        times.append(clock.arrived(shown[n], decoded, 10 + n * PERIOD))
    assert max(map(abs, steps(times))) < 1.0
    assert times[-1] == pytest.approx(89 * PERIOD, abs=0.5)


def test_by_arrival_where_there_are_none() -> None:
    clock = LiveClock(Timeline(), stamped=False)
    for n in range(5):
        assert clock.arrived(1.0 + n * PERIOD, None, 10 + 0.1 * n) == pytest.approx(0.1 * n)
        clock.shown(1.0 + n * PERIOD)
    assert clock.lag == 0.0


def test_stamps_that_stand_still_are_not_believed() -> None:
    clock = LiveClock(Timeline())
    times = []
    for n in range(40):
        clock.arrived(7.0, 7.0, 10 + 0.1 * n)
        times.append(clock.shown(7.0)[0])
    assert times[-1] == pytest.approx(3.9)


@given(st.sampled_from([3600.0, -3600.0, -0.8, -0.1, 26.5]), st.floats(0.0, 0.02))
def test_jumps_are_taken_up_at_once(jump: float, jitter: float) -> None:
    stream = Stream(LiveClock(Timeline()))
    stream.go(50, jitter=jitter)
    stream.stamp += jump
    stream.go(50, jitter=jitter)
    assert len(stream.times) == 100
    assert all(0 < step < 0.1 for step in steps(stream.times))
    assert max(stream.lags) < 0.15  # a small step back may be a picture out of order, until one is shown


def test_a_pause_is_a_pause() -> None:
    stream = Stream(LiveClock(Timeline()))
    stream.go(20)
    stream.go(1, step=5.0, wait=5.0)
    assert stream.times[-1] - stream.times[-2] == pytest.approx(5.0)
    assert stream.clock.lag == pytest.approx(0.0, abs=1e-6)


def test_lag_is_what_comes_later_than_the_quickest_did() -> None:
    stream = Stream(LiveClock(Timeline()))
    stream.go(50, wait=0.0)  # a burst of what the server had kept: no lag
    assert max(stream.lags) == 0.0
    stream.go(50, wait=1.5 * PERIOD)
    assert stream.clock.lag == pytest.approx(50 * 0.5 * PERIOD, rel=0.01)
    stream.go(25, wait=0.0)
    assert stream.clock.lag == pytest.approx(0.0, abs=0.01)


def test_a_camera_whose_clock_is_slow_does_not_lag() -> None:
    stream = Stream(LiveClock(Timeline()))
    stream.go(100_000, wait=PERIOD * 1.0005)  # an hour and more
    assert max(stream.lags) < 0.01
    stream.go(5000, wait=PERIOD * 1.005)
    assert stream.clock.is_slow
    stream.clock.forgive()
    assert stream.clock.lag == 0.0
    stream.go(500, wait=PERIOD * 1.5)
    assert not stream.clock.is_slow


def test_pictures_out_of_order() -> None:
    clock = LiveClock(Timeline())
    order = [0, 3, 1, 2, 6, 4, 5, 9, 7, 8]
    coming, times = [], []
    for n, number in enumerate(order):
        clock.arrived(10 + number * PERIOD, 10 + (n - 2) * PERIOD, 50 + n * PERIOD)
        if n >= 2:
            coming.append(clock.coming)
            moment, passed = clock.shown(10 + (n - 2) * PERIOD)
            times.append(moment)
            assert passed == []
    assert times == pytest.approx([n * PERIOD for n in range(8)])
    assert all(len(one) >= 2 for one in coming)
    assert clock.lag < 2 * PERIOD


@pytest.mark.parametrize("start", range(4))
@pytest.mark.parametrize(("group", "known"), [((2, 0, 1), 1), ((2, 0, 1), 0), ((3, 1, 0, 2), 2), ((3, 1, 0, 2), 1)])
def test_pictures_out_of_order_from_the_first_packet_on(group: tuple[int, ...], known: int, start: int) -> None:
    """As RTSP gives them. Packets have no stamps of their own: FFmpeg makes them of their pictures', once it has seen
    as many as it knows to be out of order, and out of order where there are more."""
    clock, buffer = LiveClock(Timeline()), [-1] * (known + 1)
    coming: list[int] = []
    shown: list[int] = []
    times: list[float | None] = []
    for n in range(start, 60):
        number = n - n % len(group) + group[n % len(group)]
        buffer = sorted([number, *buffer[1:]])
        clock.arrived(number * PERIOD, None if buffer[0] < 0 else buffer[0] * PERIOD, 50 + n * PERIOD)
        assert clock.lag < 0.2
        coming = sorted([*coming, number])
        if n >= start + len(group):
            shown.append(coming.pop(0))
            moment, passed = clock.shown(shown[-1] * PERIOD)
            times.append(moment)
            assert passed == []
    assert times == pytest.approx([(number - shown[0]) * PERIOD for number in shown])


def test_pictures_that_were_not_decoded_are_passed() -> None:
    clock = LiveClock(Timeline())
    for n in range(6):
        clock.arrived(n * PERIOD, n * PERIOD, 50 + n * PERIOD)
    assert clock.shown(0.0) == (0.0, [])
    moment, passed = clock.shown(4 * PERIOD)
    assert moment == pytest.approx(4 * PERIOD)
    assert passed == pytest.approx([PERIOD, 2 * PERIOD, 3 * PERIOD])


def test_time_begins_with_the_first_picture_and_goes_on_after_a_loss() -> None:
    timeline = Timeline()
    clock = LiveClock(timeline)
    for n in range(10):  # nothing comes out before a key frame
        clock.arrived(n * PERIOD, n * PERIOD, 50 + n * PERIOD)
    assert clock.shown(9 * PERIOD)[0] == 0.0
    again = Stream(LiveClock(timeline), now=50 + 9 * PERIOD + 20.0 - PERIOD, stamp=1.0)
    assert again.go(2) == pytest.approx([20.0, 20.0 + PERIOD])


def test_what_is_played_comes_at_its_pace_and_waits_longer_after_a_late_piece() -> None:
    timeline = Timeline()
    clock = LiveClock(timeline, played=True)
    now, stamp = 100.0, 9.0
    shown = []
    for piece in range(6):
        late = 0.6 if piece == 2 else 0.0  # pieces of a second, there at once
        for n in range(25):
            waited = late if n == 0 else 0.0
            now += waited
            clock.arrived(stamp, stamp, now, waited)
            now += clock.early(now)
            shown.append((now, clock.shown(stamp)[0]))
            stamp += PERIOD
    assert steps([moment for _, moment in shown]) == pytest.approx([PERIOD] * 149)
    waits = steps([when for when, _ in shown])
    assert sum(wait > 1.5 * PERIOD for wait in waits) == 1
    assert clock.waits == pytest.approx(0.6 - PERIOD + 2.0, abs=0.05)
    assert clock.lag == pytest.approx(0.0, abs=1e-6)


def pieces_played(
    clock: LiveClock, stalls: dict[int, float], count: int, listed: int = 4, length: float = 0.4
) -> set[int]:
    """The pieces that are shown of a server that keeps the newest few, each there when it is over.

    Args:
        stalls: Seconds that reading hangs before the piece of a number.
        count: Pieces that are made.
        listed: That the playlist has.
    """
    now, piece, played = length * listed, listed - 3, set()
    while piece < count:
        asked = now
        now += stalls.pop(piece, 0.0)
        now = max(now, (piece + 1) * length)
        piece = max(piece, int(now / length + 1e-6) - listed)  # older ones are gone
        played.add(piece)
        for n in range(round(length / PERIOD)):
            stamp = piece * length + n * PERIOD
            clock.arrived(stamp, stamp, 100 + now, now - asked if n == 0 else 0.0)
            now += clock.early(100 + now)
            clock.shown(stamp)
        piece += 1
    return played


def test_a_short_playlist_has_pieces_wait_no_longer_than_it_is() -> None:
    clock = LiveClock(Timeline(), played=True)
    played = pieces_played(clock, {20: 1.4, 40: 1.4, 60: 1.4}, 200)
    assert set(range(80, 200)) <= played
    assert len(set(range(1, 200)) - played) < 20
    assert clock.waits < 4 * 0.4


def test_pieces_wait_less_again_when_they_come_in_time() -> None:
    clock = LiveClock(Timeline(), played=True)
    pieces_played(clock, {30: 2.0}, 60, listed=20)
    assert clock.waits > 1.0
    clock = LiveClock(Timeline(), played=True)
    assert pieces_played(clock, {30: 2.0}, 2400, listed=20) == set(range(17, 2400))
    assert clock.waits == 0.0
