"""The paths must be the gestures they are named after, in direction and order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from movinet.data.synthetic.paths import GESTURES, FloatArray, _rested, gesture_path

SEEDS = st.integers(0, 2**32 - 1)


def draw(label: str, seed: int) -> FloatArray:
    return gesture_path(label, np.random.default_rng(seed)).points


def turning(points: FloatArray) -> float:
    """The angle the tip sweeps about the middle of its path; negative is counter-clockwise as seen."""
    middle = (points.max(0) + points.min(0)) / 2
    angle = np.unwrap(np.arctan2(*(points - middle).T[::-1]))
    return float(angle[-1] - angle[0])


@given(SEEDS)
@pytest.mark.parametrize(
    ("label", "axis", "sign"), [("swipe_left", 0, -1), ("swipe_right", 0, 1), ("swipe_up", 1, -1), ("swipe_down", 1, 1)]
)
def test_swipes_go_their_way(label: str, axis: int, sign: int, seed: int) -> None:
    points = draw(label, seed)
    travel = points[-1] - points[0]
    assert sign * travel[axis] > 0.3
    assert abs(travel[axis]) > abs(travel[1 - axis])
    assert (sign * np.diff(points[:, axis]) > -1e-6).all()  # never back


@given(SEEDS)
def test_circle_goes_once_round_counter_clockwise(seed: int) -> None:
    points = draw("circle_ccw", seed)
    assert -7.9 < turning(points) < -4.9
    assert points[0, 0] > points[:, 0].mean()  # from its right side
    assert points[32:96, 1].mean() < points[128:192, 1].mean()  # over the top first


@given(SEEDS)
def test_square_closes_having_gone_round_once(seed: int) -> None:
    points = draw("square", seed)
    assert 4.5 < abs(turning(points)) < 8
    assert (points[0] < points.mean(0)).all()  # from the top left
    # Its corners fill the corners of its box, unlike a circle's.
    box = np.stack([points.min(0), points.max(0)])
    for corner in [(0, 0), (0, 1), (1, 0), (1, 1)]:
        place = box[list(corner), [0, 1]]
        assert (np.abs(points - place) / np.ptp(points, axis=0)).max(1).min() < 0.28


def test_squares_go_either_way_round() -> None:
    directions = np.sign([turning(draw("square", seed)) for seed in range(40)])
    assert 8 < (directions > 0).sum() < 32


@given(SEEDS)
def test_tick_goes_down_then_up_to_the_right(seed: int) -> None:
    points = draw("tick", seed)
    x, y = points.T
    bottom = y.argmax()
    assert y[0] < y[bottom] > y[-1]
    assert np.hypot(*(points[-1] - points[bottom])) > 0.8 * np.hypot(*(points[0] - points[bottom]))
    assert x[0] < x[bottom] < x[-1]


@given(SEEDS)
def test_caret_goes_up_then_down_to_the_right(seed: int) -> None:
    x, y = draw("caret", seed).T
    top = y.argmin()
    assert y[0] > y[top] < y[-1]
    assert x[0] < x[top] < x[-1]


@given(SEEDS)
def test_cross_strokes_cross(seed: int) -> None:
    points = draw("cross", seed)
    middle = points.mean(0)
    assert (points[0] < middle).all()  # top left
    assert points[-1, 0] > middle[0] > points[0, 0]
    assert points[-1, 1] < middle[1]  # ends top right
    assert points[96:160, 1].min() > middle[1]  # travels along the bottom


@given(SEEDS)
def test_star_goes_from_lower_left_to_top_and_round_clockwise(seed: int) -> None:
    points = draw("star", seed)
    x, y = points.T
    winding_area = 0.5 * np.sum(x[:-1] * np.diff(y) - y[:-1] * np.diff(x)) / np.ptp(x) / np.ptp(y)
    assert 0.05 < winding_area < 1  # clockwise as seen; a square's would be 1
    assert 20 < y.argmin() < 130  # at the end of the first of five strokes, where some rest
    assert y[0] > y.mean() < y[-1]
    assert x[0] < x.mean() > x[-1]


@given(SEEDS, st.sampled_from(GESTURES))
def test_paths_are_smooth_and_about_the_frame(seed: int, label: str) -> None:
    points = draw(label, seed)
    assert np.isfinite(points).all()
    assert (points > -0.6).all()
    assert (points < 1.6).all()
    assert np.abs(np.diff(points, axis=0)).max() < 0.08


@given(SEEDS, st.lists(st.floats(0.1, 0.9), max_size=4, unique=True))
def test_who_rests_does_so_at_corners_and_gets_to_the_end(seed: int, corners: list[float]) -> None:
    phase = _rested(np.sort(corners), np.random.default_rng(seed))
    assert (phase[0], phase[-1]) == (0.0, 1.0)
    steps = np.diff(phase)
    assert (steps >= 0).all()
    standing = phase[1:][steps < 1e-9]
    assert np.abs(standing[:, None] - np.array(corners)).min(1, initial=1.0).max(initial=0.0) < 1e-9


def test_half_of_the_people_rest() -> None:
    corners = np.array([0.3, 0.6])
    plain = np.linspace(0, 1, 256)
    rest = [not np.array_equal(_rested(corners, np.random.default_rng(seed)), plain) for seed in range(200)]
    assert 70 < sum(rest) < 130


def test_phase_outside_the_gesture_waits_at_its_ends() -> None:
    path = gesture_path("tick", np.random.default_rng(0))
    assert np.array_equal(path.at(np.array([-1.0, 2.0])), path.points[[0, -1]])


def test_reversed_left_swipe_resembles_a_right_swipe() -> None:
    left, right = (
        np.mean([draw(label, seed) for seed in range(60)], axis=0) for label in ("swipe_left", "swipe_right")
    )
    assert np.abs(left[::-1] - right).max() < 0.1
    assert np.abs(left - right).max() > 0.5
