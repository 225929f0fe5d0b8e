"""Where the chunks of lanes lie: what is seen how often, and in which order."""

from collections import Counter
from itertools import pairwise
from math import ceil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from movinet.data.stream_places import OneAfterTheOther, RandomStretches, StreamVideo

LONG = StreamVideo(Path("long"), 0.0, 100.0, ((0, 10.0, 12.0), (1, 50.0, 51.0)))
SHORT = StreamVideo(Path("short"), 5.0, 8.0, ())


def stretches(**options: object) -> RandomStretches:
    return RandomStretches((LONG, SHORT), 4, 5.0, 10, 4, **options)  # type: ignore[arg-type]


@settings(max_examples=30)
@given(lane=st.integers(0, 3), seed=st.integers(0, 5))
def test_a_lane_goes_on_until_it_begins_anew(lane: int, seed: int) -> None:
    places = [stretches(seed=seed)(lane, number) for number in range(60)]
    assert places[0].begins
    for before, place in pairwise(places):
        if place.begins:
            continue
        assert (place.video, place.first, place.stretch) == (before.video, before.first + 4, before.stretch)
    for place in places:
        video = (LONG, SHORT)[place.video]
        assert video.start <= place.first / 5 + 0.2
        assert place.first / 5 < video.end
    assert [stretches(seed=seed)(lane, n) for n in (59, 3)] == [places[59], places[3]]  # in any order


def test_lanes_begin_at_different_times_and_places() -> None:
    begins = [
        {n for n in range(1, 40) if stretches()(lane, n).stretch != stretches()(lane, n - 1).stretch}
        for lane in range(4)
    ]
    assert len(set(map(frozenset, begins))) == 4
    assert len({stretches()(lane, 20)[:2] for lane in range(4)}) > 1


def test_every_moment_is_seen_about_as_often() -> None:
    places = stretches(focus=0.0, mined=0.0)
    drawn = Counter(places(lane, 10 * n).video for lane in (0,) for n in range(1500))
    assert 20 <= drawn[1] <= 75  # 3 seconds beside 100


def test_what_is_rare_is_looked_for() -> None:
    def share(label_start: float, **options: float) -> float:
        found = [stretches(**options)(lane, 10 * n) for lane in (0,) for n in range(300)]
        return sum(p.video == 0 and p.first / 5 <= label_start < p.first / 5 + 8 for p in found) / len(found)

    assert share(50.0, focus=1.0, mined=0.0) > 0.45  # every label half the time
    assert share(50.0, focus=0.0, mined=0.0) < 0.2
    assert share(80.0, focus=0.0, mined=1.0, moments=((0, 80.0),)) == 1.0  # type: ignore[arg-type]


@settings(max_examples=50)
@given(lengths=st.lists(st.floats(0.1, 30), min_size=1, max_size=6), lanes=st.integers(1, 4))
def test_one_after_the_other_shows_every_frame_once(lengths: list[float], lanes: int) -> None:
    videos = [StreamVideo(Path(str(n)), 0.0, seconds, ()) for n, seconds in enumerate(lengths)]
    order = OneAfterTheOther(videos, 4, 5.0, lanes)
    places = [order(lane, n) for lane in range(len(order.queues)) for n in range(order.chunks)]
    shown = sorted((p.video, p.first) for p in places if p is not None)
    wanted = [(n, first) for n, seconds in enumerate(lengths) for first in range(0, ceil(seconds * 5), 4)]
    assert shown == wanted
    assert sum(p.begins for p in places if p is not None) == len(videos)
    assert order(0, order.chunks) is None


def test_an_even_share(tmp_path: Path) -> None:
    videos = [StreamVideo(Path(str(n)), 0.0, 10.0 + n, ()) for n in range(8)]
    order = OneAfterTheOther(videos, 5, 5.0, 4)
    assert order.chunks == pytest.approx(sum(v.seconds for v in videos) / 4, abs=3)
