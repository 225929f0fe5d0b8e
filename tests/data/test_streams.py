"""What is wanted of a network at every frame of a labeled stream."""

import numpy as np
import pytest

from movinet.data.streams import IGNORE, TargetRule, either, frame_targets

TENTHS = np.arange(40) / 10 + 0.05


def test_a_label_is_wanted_once_it_can_be_known_and_a_moment_longer() -> None:
    targets = frame_targets(TENTHS, [(2, 1.0, 2.0)], 0, TargetRule(known=0.5, held=0.3, fading=0.2)).tolist()
    assert targets == [0] * 10 + [either(2)] * 5 + [2] * 8 + [either(2)] * 2 + [0] * 15


def test_a_label_can_be_waited_for_and_be_impossible_at_first() -> None:
    rule = TargetRule(known=1.0, possible=0.5, wait=0.3, held=0.5, fading=0.2)
    targets = frame_targets(TENTHS, [(2, 1.0, 2.0)], 0, rule).tolist()
    assert targets == [0] * 15 + [either(2)] * 8 + [2] * 2 + [either(2)] * 2 + [0] * 13


def test_early_answers_can_be_forbidden() -> None:
    rule = TargetRule(known=0.5, held=0.0, fading=0.0, unknown="background")
    targets = frame_targets(TENTHS, [(2, 1.0, 2.0), (1, 2.0, 3.0)], 0, rule).tolist()
    assert targets == [0] * 15 + [2] * 5 + [0] * 5 + [1] * 5 + [0] * 10


def test_what_is_held_ends_where_the_next_begins() -> None:
    targets = frame_targets(
        TENTHS, [(2, 1.0, 2.0), (1, 2.1, 3.1)], 0, TargetRule(known=0.5, held=0.4, unknown="ignore")
    ).tolist()
    assert targets[19:27] == [2, 2] + [IGNORE] * 5 + [1]


def test_either_is_its_own_inverse_and_no_other_target() -> None:
    targets = [either(label) for label in range(1000)]
    assert [either(target) for target in targets] == list(range(1000))
    assert max(targets) < IGNORE


def test_a_segment_of_the_background_is_as_good_as_none() -> None:
    assert frame_targets(TENTHS, [(3, 1.0, 2.0)], 3, TargetRule()).tolist() == [3] * 40


@pytest.mark.parametrize(
    "rule", [{"known": 1.5}, {"possible": -0.1}, {"wait": -1.0}, {"held": -1.0}, {"fading": float("inf")}]
)
def test_a_rule_is_within_reason(rule: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"must lie|want seconds"):
        TargetRule(**rule)  # type: ignore[arg-type]
