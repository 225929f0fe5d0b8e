"""What weights say of their events' thresholds: there and back, in weights and exports, and what they hold for."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tiny import LABELS, tiny_weights

from movinet.deploy.read_manifest import read_manifest
from movinet.errors import WeightsError
from movinet.export.export import export
from movinet.weights.info import WeightsInfo
from movinet.weights.load import load_weights
from movinet.weights.operating_point import Interval, OperatingPoint, Thresholds
from movinet.weights.safetensors_file import save_weights

POINT = OperatingPoint(
    on=0.8,
    off=0.5,
    shortest=0.4,
    refractory=1.0,
    warm_up=0.8,
    by_label={"left": Thresholds(on=0.9)},
    ignore=("other",),
    memory=2.0,
    fps=5.0,
    size=(24, 32),
    data="streams.csv",
    data_sha256="ab" * 32,
    hours=3.5,
    there=70,
    false_alarms=Interval(0.3, 0.1, 0.9),
    missed=Interval(0.04, 0.01, 0.1),
    delay=(0.2, 0.8),
)


def described(folder: Path) -> WeightsInfo:
    return replace(load_weights(tiny_weights(folder)).info, background="other", operating_point=POINT)


def test_it_comes_back_from_a_file_and_leaves_the_hash(tmp_path: Path) -> None:
    weights = load_weights(tiny_weights(tmp_path))
    save_weights(tmp_path / "with.safetensors", weights.arrays, described(tmp_path))
    back = load_weights(tmp_path / "with.safetensors")
    assert back.info == described(tmp_path)
    assert back.hash == weights.hash
    assert back.info.operating_point is not None
    assert back.info.operating_point.of_label("left") == (0.9, 0.5, 0.4)
    assert back.info.operating_point.of_label("right") == (0.8, 0.5, 0.4)


def test_an_exported_network_has_it_too(tmp_path: Path) -> None:
    weights = replace(load_weights(tiny_weights(tmp_path)), info=described(tmp_path))
    export(weights, "litert", tmp_path / "out")
    info = read_manifest(tmp_path / "out").info
    assert (info.background, info.operating_point) == ("other", POINT)


def test_what_it_holds_for() -> None:
    assert POINT.differences(2.0, "float32", 5.0, (24, 32)) == []
    assert POINT.differences(None, "int8", 2.5, (48, 64)) == [
        "with a memory of 2 s (here never forgetting)",
        "in float32 (here int8)",
        "at 5 frames a second (here 2.5)",
        "on 24×32 pixels (here 48×64)",
    ]


def test_a_memory_computed_from_a_decay_is_read_as_the_seconds_it_is(tmp_path: Path) -> None:
    data = described(tmp_path).to_dict()
    data["operating_point"]["memory"] = 1.9999999999999987
    point = WeightsInfo.from_dict(data).operating_point
    assert point is not None
    assert point.memory == 2.0


def test_other_labels_and_other_classes_have_no_thresholds(tmp_path: Path) -> None:
    info = described(tmp_path)
    assert info.with_labels(LABELS) == info
    other = info.with_labels(("a", "b", "other"))
    assert (other.background, other.operating_point) == ("other", None)
    assert info.with_labels(("a", "b", "c")).background is None
    new = info.for_new_classifier(2)
    assert (new.background, new.operating_point) == (None, None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"on": 0.4}, "off < on"),
        ({"by_label": {"left": {"on": 0.1}}}, "left: want 0 < off < on"),
        ({"shortest": -1}, "shortest"),
        ({"memory": 0}, "memory"),
        ({"refractory": "long"}, "refractory"),
        ({"threshold": 1}, "no entry 'threshold'"),
        ({"false_alarms": [1]}, "false_alarms"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    data = json.loads(json.dumps(described(tmp_path).to_dict()))
    data["operating_point"] |= change
    with pytest.raises(WeightsError, match=message):
        WeightsInfo.from_dict(data)


def test_the_background_is_one_of_the_labels(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="the background 'nothing' is none of its labels"):
        replace(described(tmp_path), background="nothing")
