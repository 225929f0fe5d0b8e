import errno
import json
import os
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from movinet.arch.layer_spec import BlockSpec, LayerSpec
from movinet.arch.parameters import parameter_shapes
from movinet.arch.spec import EnsembleSpec, MemberSpec, NetworkSpec, Spec
from movinet.errors import WeightsError
from movinet.video.transform import Transform
from movinet.weights.info import WeightsInfo
from movinet.weights.load import load_weights
from movinet.weights.safetensors_file import read_weights, save_weights

TINY = NetworkSpec(
    name="tiny",
    stem=4,
    blocks=(BlockSpec(6, (LayerSpec(8, (3, 3, 3)), LayerSpec(8, (1, 5, 5)))),),
    project=8,
    hidden=8,
    size=(32, 24),
    fps=5,
    frames=4,
    num_classes=3,
)
PAIR = EnsembleSpec("pair", (MemberSpec(TINY, Fraction(1, 2)), MemberSpec(TINY, Fraction(1, 2), 1)), (32, 24), 10, 8)
INFO = WeightsInfo(
    name="tiny.test",
    spec=TINY,
    transform=Transform(size=(32, 24), resize_short=28, fps=5, scale=(-1.0, 1.0)),
    labels=("drawing", "écriture", "书写"),
    license="CC-BY-4.0",
    source="this test",
    accuracy={"top-1": 12.5},
    notes="notes",
)


def state_dict(spec: Spec) -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    return {name: random.standard_normal(shape).astype(np.float32) for name, shape in parameter_shapes(spec).items()}


@pytest.mark.parametrize("spec", [TINY, PAIR], ids=["network", "ensemble"])
def test_round_trip(spec: Spec, tmp_path: Path) -> None:
    state, path = state_dict(spec), tmp_path / "weights.safetensors"
    info = WeightsInfo(**{**vars(INFO), "spec": spec})
    save_weights(path, state, info)
    read, read_info = read_weights(path)
    assert read_info == info
    assert read.keys() == state.keys()
    assert all(np.array_equal(read[key], value) for key, value in state.items())
    loaded = load_weights(path)
    assert loaded.info == info
    assert all(np.array_equal(loaded.to_model().state_dict()[key].numpy(), value) for key, value in state.items())
    assert not loaded.to_model().training
    assert all(parameter.requires_grad for parameter in loaded.to_model().parameters())


def test_half_precision_halves_the_file(tmp_path: Path) -> None:
    state = {"weight": np.random.default_rng(0).standard_normal((100, 100), np.float32)}
    save_weights(tmp_path / "whole", state, INFO)
    save_weights(tmp_path / "half", {key: value.astype(np.float16) for key, value in state.items()}, INFO)
    assert (tmp_path / "half").stat().st_size < 0.6 * (tmp_path / "whole").stat().st_size
    read, _ = read_weights(tmp_path / "half")
    assert read["weight"].dtype == np.float32
    assert np.array_equal(read["weight"], state["weight"].astype(np.float16).astype(np.float32))


def test_what_was_read_is_not_tied_to_the_file(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_weights(path, {"weight": np.ones(4, dtype=np.float32)}, INFO)
    read, _ = read_weights(path)
    with open(path, "r+b") as file:
        file.seek(-16, os.SEEK_END)
        file.write(bytes(16))
    assert np.array_equal(read["weight"], np.ones(4, dtype=np.float32))


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str) -> None:
    path = tmp_path / "weights.safetensors"
    save_weights(path, {"weight": np.ones(4, dtype=np.float32)}, INFO)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, failing, full)
    with pytest.raises(WeightsError, match=r"weights\.safetensors.*No space left"):
        save_weights(path, {"weight": np.zeros(4, dtype=np.float32)}, INFO)
    assert np.array_equal(read_weights(path)[0]["weight"], np.ones(4, dtype=np.float32))
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "missing" / "x.safetensors", tmp_path / "file" / "x.safetensors", tmp_path):
        with pytest.raises(WeightsError, match="cannot write"):
            save_weights(path, {"weight": np.ones(4, dtype=np.float32)}, INFO)
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_missing_and_foreign_files(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"missing\.safetensors"):
        read_weights(tmp_path / "missing.safetensors")
    path = tmp_path / "other.safetensors"
    save_file({"weight": np.ones(4, dtype=np.float32)}, path)
    with pytest.raises(WeightsError, match="does not say which MoViNet"):
        load_weights(path)
    for content in (b"", b"{}", b"\0" * 100, b"\xff" * 100):
        path.write_bytes(content)
        with pytest.raises(WeightsError, match=r"other\.safetensors"):
            load_weights(path)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("labels", ["one"]),
        ("labels", 3),
        ("spec", None),
        ("spec", {"name": "x"}),
        ("spec", {**TINY.to_dict(), "gate": "open"}),
        ("spec", {**TINY.to_dict(), "fps": "fast"}),
        ("transform", {"size": [0, 0], "resize_short": 1, "fps": 1}),
        ("transform", None),
        ("accuracy", None),
    ],
)
def test_descriptions_that_make_no_sense(tmp_path: Path, field: str, value: object) -> None:
    path = tmp_path / "weights.safetensors"
    for description in (
        {**INFO.to_dict(), field: value},
        {k: v for k, v in INFO.to_dict().items() if k != field},
        [INFO.to_dict()],
    ):
        save_file({"weight": np.ones(4, dtype=np.float32)}, path, metadata={"movinet": json.dumps(description)})
        with pytest.raises(WeightsError, match=r"weights\.safetensors"):
            load_weights(path)


def test_weights_of_another_network(tmp_path: Path) -> None:
    path, state = tmp_path / "weights.safetensors", state_dict(TINY)
    for wrong in (
        {k: v for k, v in state.items() if k != "stem.weight"},
        {**state, "extra": np.ones(1, dtype=np.float32)},
        {**state, "stem.weight": np.ones((4, 3, 5, 5), np.float32)},
    ):
        save_weights(path, wrong, INFO)
        with pytest.raises(WeightsError, match=r"weights\.safetensors: the weights do not fit tiny.*(stem|extra)"):
            load_weights(path)


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_damage_is_reported_or_harmless(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = tmp_path_factory.mktemp("damaged") / "weights.safetensors"
    save_weights(path, {"weight": np.ones(4, dtype=np.float32), "bias": np.ones(2, dtype=np.float32)}, INFO)
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans(), label="cut"):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    else:
        for place in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=3)):
            content[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    try:
        arrays, _ = read_weights(path)
    except WeightsError:
        return
    # A changed letter of a name is found where the network is filled: test_weights_of_another_network.
    assert sorted(array.shape for array in arrays.values()) == [(2,), (4,)]


def test_half_keeps_what_float16_cannot_hold(tmp_path: Path) -> None:
    state = state_dict(TINY)
    name = next(key for key in state if key.endswith("running_var"))
    state[name] = np.full_like(state[name], 1e6)
    save_weights(tmp_path / "half.safetensors", state, INFO, half=True)
    loaded, _ = read_weights(tmp_path / "half.safetensors")
    assert np.array_equal(loaded[name], state[name])
    assert all(
        np.array_equal(loaded[key], state[key].astype(np.float16).astype(np.float32)) for key in loaded.keys() - {name}
    )
