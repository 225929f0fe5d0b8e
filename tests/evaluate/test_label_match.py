"""Which classes labels are."""

import numpy as np
import pytest

from movinet.errors import MovinetError
from movinet.evaluate.judged import Judged, judge_clips
from movinet.evaluate.label_match import match_labels
from movinet.video.transform import Transform


def knowing(*labels: str) -> Judged:
    return judge_clips(
        lambda clips: np.zeros((1, len(labels))), name="net", labels=labels, transform=Transform((8, 8), 8, 5.0),
        clip_frames=1,
    )  # fmt: skip


def test_names_are_found_in_the_networks_order() -> None:
    match = match_labels(["a b", "café"], knowing("z", "cafe\N{COMBINING ACUTE ACCENT}", "a b"))
    assert (match.classes, match.unknown, match.note) == ({"a b": 2, "café": 1}, (), "")


def test_spelling_may_differ_and_is_told() -> None:
    match = match_labels(["Arm_Wrestling", "archery"], knowing("archery", "arm wrestling"))
    assert match.classes == {"Arm_Wrestling": 1, "archery": 0}
    assert "'Arm_Wrestling' is 'arm wrestling'" in match.note


def test_numbers_are_classes_where_names_are_none() -> None:
    match = match_labels(["0", "2"], knowing("a", "b", "c"))
    assert match.classes == {"0": 0, "2": 2}
    assert "numbers" in match.note
    assert match_labels(["2", "0"], knowing("2", "1", "0")).classes == {"2": 0, "0": 2}, "names are names"
    with pytest.raises(MovinetError, match="no classes of net: '0', '3'"):
        match_labels(["0", "3"], knowing("a", "b", "c"))


def test_what_is_not_known_is_told() -> None:
    with pytest.raises(
        MovinetError, match=r"1 of 2 labels of the set are no classes of net: 'jumpp'; did you mean 'jump'"
    ):
        match_labels(["jumpp", "run"], knowing("jump", "run"))
    match = match_labels(["jumpp", "run"], knowing("jump", "run"), allow_unknown=True)
    assert (match.classes, match.unknown) == ({"run": 1}, ("jumpp",))
    with pytest.raises(MovinetError, match="are no classes"):
        match_labels(["x"], knowing("jump", "run"), allow_unknown=True)
    with pytest.raises(MovinetError, match="several labels of the set are one class"):
        match_labels(["arm wrestling", "Arm Wrestling"], knowing("arm wrestling"))
