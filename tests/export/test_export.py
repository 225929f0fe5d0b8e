"""Exported folders: whole or not at all, described by their manifests, and answering as the networks do."""

import json
import sys
from collections.abc import Mapping
from fractions import Fraction
from hashlib import sha256
from math import floor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from nn.networks import random_network
from tiny import LABELS, tiny_spec, tiny_weights

from movinet.arch.spec import EnsembleSpec, MemberSpec, Spec
from movinet.deploy.run_file import Arrays
from movinet.errors import MovinetError
from movinet.export import export as module
from movinet.export.export import export
from movinet.export.verify import check, example_clips, follow
from movinet.weights.info import WeightsInfo, default_transform
from movinet.weights.load import load_weights
from movinet.weights.weights import Weights

STREAM, BASE = tiny_spec(), tiny_spec(causal=False)
# The frames of the first are every other one of the second's, at half its size.
ENSEMBLE = EnsembleSpec(
    "tiny_ensemble",
    (MemberSpec(STREAM.with_options(size=(12, 16)), Fraction(1, 2)), MemberSpec(STREAM, offset=1)),
    size=(24, 32),
    fps=5.0,
    frames=20,
)


def loaded(spec: Spec, seed: int = 0) -> Weights:
    info = WeightsInfo(f"{spec.name}.test", spec, default_transform(spec), LABELS, license="test-license")
    return Weights.of(random_network(spec, seed), info)


def read(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "movinet_manifest.json").read_text())


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("onnxruntime")
    folder = tmp_path_factory.mktemp("exported") / "tiny"
    export(loaded(STREAM), "onnx", folder)
    return folder


def test_the_manifest_says_what_a_program_needs(exported: Path) -> None:
    manifest = read(exported)
    assert manifest["labels"] == list(LABELS)
    assert manifest["fps"] == 5
    assert manifest["weights"]["license"] == "test-license"
    assert manifest["transform"]["size"] == [24, 32]
    assert manifest["input"]["shape"] == [1, 3, 24, 32]
    outputs = {port["name"]: port for port in manifest["outputs"]}
    inputs = {port["name"] for port in manifest["state"]}
    for port in manifest["state"]:
        assert port["next"] in outputs or port["next"] in inputs
        if port["next"] in outputs:
            assert outputs[port["next"]]["shape"] == port["shape"]
    assert {port["name"]: port["initial"] for port in manifest["state"] if port["initial"]} == {"decay": 1.0}
    assert manifest["checked"]["frames"] == 20
    assert manifest["checked"]["largest_logit"] > 0
    file = manifest["files"]["model.onnx"]
    assert file["sha256"] == sha256((exported / "model.onnx").read_bytes()).hexdigest()


def test_it_says_what_the_file_says(exported: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    manifest = read(exported)
    session = onnxruntime.InferenceSession(exported / "model.onnx", providers=["CPUExecutionProvider"])
    ports = [manifest["input"], *manifest["state"]]
    assert [(p.name, p.shape) for p in session.get_inputs()] == [(p["name"], p["shape"]) for p in ports]
    assert [(p.name, p.shape) for p in session.get_outputs()] == [(p["name"], p["shape"]) for p in manifest["outputs"]]


@pytest.mark.parametrize(
    ("to", "spec", "options"),
    [
        ("onnx", STREAM, {"frames": 3, "streams": 2, "past": "frames"}),
        ("onnx", STREAM, {"size": (30, 20), "past": "buffer"}),
        ("onnx", BASE, {"frames": 4, "streams": 2}),
        ("onnx", ENSEMBLE, {}),
        ("openvino", STREAM, {"frames": 2, "streams": 3}),
        ("openvino", BASE, {"frames": 4}),
    ],
)
def test_every_form_answers_as_the_network(to: Any, spec: Spec, options: Any, tmp_path: Path) -> None:
    pytest.importorskip({"onnx": "onnxruntime"}.get(to, to))
    for one in export(loaded(spec), to, tmp_path / "out", **options):
        assert one.checked.error <= 1e-5
        assert one.manifest == read(one.folder)
    if spec is ENSEMBLE:
        members = read(tmp_path / "out")["members"]
        assert [(member["rate"], member["offset"]) for member in members] == [("1/2", 0), ("1", 1)]
        assert [read(tmp_path / "out" / member["folder"])["fps"] for member in members] == [2.5, 5]
        assert read(tmp_path / "out" / "member-0")["transform"]["size"] == [12, 16]


def test_members_joined_as_the_manifest_says_are_the_ensemble(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    from movinet.deploy.run_file import run_onnx

    members = tuple(MemberSpec(STREAM, Fraction(1, 2), offset) for offset in (0, 1))
    ensemble = loaded(EnsembleSpec("pair", members, size=STREAM.size, fps=5.0, frames=20))
    export(ensemble, "onnx", tmp_path / "out")
    clip, newest = example_clips(ensemble.info.transform, 1, 7), {}
    expected, _ = ensemble.to_model().step(torch.from_numpy(clip), None, per_frame=True)
    steps: dict[str, list[np.ndarray]] = {}
    for t in range(clip.shape[2]):
        for member in read(tmp_path / "out")["members"]:
            n, rate = t - member["offset"], Fraction(member["rate"])
            if n >= 0 and floor(n * rate) > floor((n - 1) * rate):
                folder = tmp_path / "out" / member["folder"]
                mine = steps.setdefault(member["folder"], [])
                mine.append(clip[:, :, t : t + 1])
                newest[member["folder"]] = follow(read(folder), run_onnx(folder / "model.onnx"), mine)[-1]
        np.testing.assert_allclose(np.mean(list(newest.values()), 0), expected[:, t].detach(), atol=1e-4)


def test_fewer_bits_make_smaller_files_that_answer_much_alike(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from movinet.deploy.run_file import run_onnx
    from movinet.export.onnx import shrink_weights

    gestures = load_weights("movinet_t0_stream.gestures")
    (one,) = export(gestures, "onnx", tmp_path / "out")
    whole = tmp_path / "out" / "model.onnx"
    for precision, size, error in (("float16", 0.53, 2e-3), ("int8", 0.29, 0.05)):
        graph = onnx.load(whole)
        shrink_weights(graph, precision)  # type: ignore[arg-type]
        small = tmp_path / f"{precision}.onnx"
        onnx.save(graph, small)
        checked = check(one.manifest | {"precision": precision}, run_onnx(small), gestures)
        assert 1e-6 < checked.error < error
        assert checked.same_answer >= 0.95
        assert small.stat().st_size < size * whole.stat().st_size


def test_weights_too_large_for_half_precision_stay_as_they_are() -> None:
    onnx = pytest.importorskip("onnx")
    from movinet.export.onnx import shrink_weights

    values = [np.full((32, 32), 1e5, np.float32), np.full((32, 32), 2.0, np.float32)]
    tensors = [onnx.numpy_helper.from_array(value, name) for value, name in zip(values, "ab", strict=True)]
    model = onnx.helper.make_model(onnx.helper.make_graph([], "weights", [], [], tensors))
    shrink_weights(model, "float16")
    assert [tensor.name for tensor in model.graph.initializer] == ["a", "b.stored"]


def test_positions_get_a_limit(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    (one,) = export(loaded(STREAM.with_options(positional_encoding=True, frames=7)), "onnx", tmp_path / "out")
    assert one.checked.frames == 20  # well beyond the limit
    assert {port["name"]: port["dtype"] for port in one.manifest["state"]}["frame_count"] == "int32"


def test_a_file_that_answers_otherwise_is_found_out(exported: Path) -> None:
    weights = loaded(STREAM)

    def wrong(inputs: Mapping[str, Any]) -> Arrays:
        shapes = {port["name"]: port["shape"] for port in read(exported)["outputs"]}
        return {name: np.full(shape, np.nan, np.float32) for name, shape in shapes.items()}

    with pytest.raises(MovinetError, match="answers otherwise"):
        check(read(exported), wrong, weights)


def test_the_check_looks_at_video_that_moves() -> None:
    clips = example_clips(default_transform(STREAM), streams=2, frames=5)
    assert clips.shape == (2, 3, 5, 24, 32)
    assert not np.array_equal(clips[0], clips[1])
    assert np.abs(np.diff(clips, axis=2)).max((0, 1, 3, 4)).min() > 0.02


def test_nothing_is_left_where_an_export_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> object:
        raise MovinetError("no")

    monkeypatch.setattr(module, "check", broken)
    pytest.importorskip("onnxruntime")
    with pytest.raises(MovinetError, match="no"):
        export(loaded(STREAM), "onnx", tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_an_earlier_export_comes_back_if_the_new_one_cannot_take_its_place(
    exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, rename = read(exported), Path.rename

    def refuse(self: Path, target: Path) -> Path:
        if self.name.endswith(".part"):
            raise OSError(28, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(MovinetError, match="No space left"):
        export(loaded(STREAM, seed=2), "onnx", exported, force=True)
    assert read(exported) == before
    assert [path.name for path in exported.parent.iterdir()] == [exported.name]


@pytest.mark.parametrize(("to", "package"), [("onnx", "onnx"), ("openvino", "openvino")])
def test_missing_packages_are_named_with_the_extra_that_brings_them(
    to: Any, package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip(package)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MovinetError, match=rf"{package}.*movinet\[{to}\]"):
        export(loaded(STREAM), to, tmp_path / "out")


@pytest.mark.parametrize(
    ("spec", "options", "message"),
    [
        (BASE, {"past": "sums"}, "no past"),
        (BASE, {"to": "executorch"}, "base network"),
        (STREAM, {"to": "openvino", "precision": "int8"}, "openvino has float32 and float16"),
        (STREAM, {"to": "tensorrt"}, "no such format"),
    ],
)
def test_what_cannot_be_had_is_said(spec: Spec, options: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(MovinetError, match=message):
        export(loaded(spec), **({"to": "onnx", "folder": tmp_path / "out"} | options))


def test_weights_files_go_straight_through(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    (one,) = export(load_weights(tiny_weights(tmp_path)), "onnx", tmp_path / "out")
    assert one.manifest["weights"]["name"] == "tiny_stream.test"
