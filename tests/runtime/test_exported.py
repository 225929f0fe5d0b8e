"""Exported networks and other people's files are models like any other."""

import hashlib
import json
import shutil
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nn.networks import random_network
from numpy.typing import NDArray
from reference.int8 import int8_logits
from tiny import LABELS, tiny_spec

from movinet import Recognizer, StreamPool
from movinet.arch.spec import EnsembleSpec, MemberSpec, Spec
from movinet.deploy.graph_step import Step
from movinet.deploy.litert import to_litert
from movinet.deploy.network import folded_network
from movinet.deploy.read_manifest import MANIFEST, read_manifest
from movinet.errors import MovinetError, WeightsError
from movinet.export.export import export
from movinet.runtime.exported import ExportedNetwork
from movinet.runtime.open_network import open_network
from movinet.weights.info import WeightsInfo, default_transform
from movinet.weights.weights import Weights

STREAM = tiny_spec().with_options(positional_encoding=True, position_limit=6)
MEMBERS = (MemberSpec(STREAM.with_options(size=(12, 16)), Fraction(1, 2)), MemberSpec(STREAM, offset=1))
PAIR = EnsembleSpec("pair", MEMBERS, STREAM.size, 5.0, 20)


def weights_of(spec: Spec) -> Weights:
    info = WeightsInfo("tiny_stream.test", spec, default_transform(spec), LABELS, license="mine", multi_label=True)
    return Weights.of(random_network(spec, 0), info)


def pictures(count: int) -> list[NDArray[np.uint8]]:
    return list(np.random.default_rng(0).integers(0, 256, (count, 24, 32, 3), dtype=np.uint8))


def answers(recognizer: Recognizer, frames: list[NDArray[np.uint8]]) -> NDArray[np.float32]:
    found = [recognizer.push(frame) for frame in frames]
    return np.stack([prediction.probabilities for prediction in found if prediction is not None])


@pytest.mark.parametrize("spec", [STREAM, PAIR], ids=["network", "ensemble"])
@pytest.mark.parametrize(("to", "package"), [("litert", "ai_edge_litert"), ("onnx", "onnxruntime"), ("openvino",) * 2])
def test_a_folder_answers_as_its_weights(to: Any, package: str, spec: Spec, tmp_path: Path) -> None:
    pytest.importorskip(package)
    weights = weights_of(spec)
    export(weights, to, tmp_path / "out")
    recognizer = Recognizer.load(tmp_path / "out", threads=1)
    assert recognizer.info.labels == LABELS
    assert recognizer.info.license == "mine"
    assert recognizer.info.multi_label
    assert recognizer.engine.kind == ("ensemble" if spec is PAIR else to)
    expected = answers(Recognizer(weights, engine="torch"), pictures(9))
    np.testing.assert_allclose(answers(recognizer, pictures(9)), expected, atol=2e-5)
    recognizer.reset()
    np.testing.assert_allclose(answers(recognizer, pictures(9)), expected, atol=2e-5)


@pytest.mark.parametrize(("to", "package"), [("onnx", "onnxruntime"), ("openvino", "openvino")])
def test_a_base_network_takes_clips_of_its_length(to: Any, package: str, tmp_path: Path) -> None:
    pytest.importorskip(package)
    from movinet.runtime.clips import create_clip_engine

    weights = weights_of(tiny_spec(causal=False))
    export(weights, to, tmp_path / "out", frames=4)
    network = open_network(tmp_path / "out")
    clip = np.random.default_rng(0).random((1, 3, 4, 24, 32), np.float32)
    run = create_clip_engine(network, threads=1)
    np.testing.assert_allclose(run(clip), create_clip_engine(weights, "torch")(clip), rtol=1e-4, atol=1e-4)
    with pytest.raises(MovinetError, match="1 clip of 4 frames, not for 1 of 3"):
        run(clip[:, :, :3])


def test_a_saved_state_goes_over_from_weights_to_their_export(tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert")
    weights, frames = weights_of(STREAM), pictures(6)
    export(weights, "litert", tmp_path / "out")
    one, other = Recognizer(weights, engine="litert"), Recognizer.load(tmp_path / "out")
    answers(one, frames[:4])
    one.save_state(tmp_path / "state")
    other.restore_state(tmp_path / "state")
    np.testing.assert_allclose(answers(other, frames[4:]), answers(one, frames[4:]), atol=1e-5)


def test_an_export_of_several_streams_serves_a_pool(tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert")
    weights = weights_of(STREAM)
    export(weights, "litert", tmp_path / "out", streams=2)
    frame = pictures(1)[0]
    with StreamPool.load(tmp_path / "out", max_streams=3) as pool, pool.join() as stream:
        answer = stream.submit(frame)
        assert answer is not None
        np.testing.assert_allclose(
            answer.result(30).probabilities, answers(Recognizer(weights, engine="torch"), [frame])[0], atol=2e-5
        )
    with pytest.raises(MovinetError, match="2 streams at once: take a StreamPool"):
        Recognizer.load(tmp_path / "out")


def test_what_an_export_cannot_do_is_said(tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert")
    weights = weights_of(STREAM)
    export(weights, "litert", tmp_path / "one")
    with pytest.raises(MovinetError, match="was exported for litert, and openvino cannot"):
        Recognizer.load(tmp_path / "one", engine="openvino")
    with pytest.raises(MovinetError, match="runs on the CPU, not on cuda:0"):
        Recognizer.load(tmp_path / "one", device="cuda:0")
    with pytest.raises(MovinetError, match="was exported in float32"):
        Recognizer.load(tmp_path / "one", precision="int8")
    with pytest.raises(MovinetError, match="as it was exported"):
        Recognizer.load(tmp_path / "one", options={"decay": 0.5})
    export(weights, "litert", tmp_path / "three", frames=3)
    with pytest.raises(MovinetError, match="3 frames at once"):
        Recognizer.load(tmp_path / "three")
    network = open_network(tmp_path / "one")
    assert isinstance(network, ExportedNetwork)
    assert network.hash == weights.hash


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d.pop("spec"), "lacks 'spec'"),
        (lambda d: d["spec"].pop("blocks"), "blocks"),
        (lambda d: d.update(model="../elsewhere.tflite"), "no name of a file"),
        (lambda d: d.update(streams=0), "streams"),
        (lambda d: d.update(labels=["one"]), "1 label for 3 classes"),
        (lambda d: d.update(past="tomorrow"), "past"),
        (lambda d: d.update(format="coreml"), "runs elsewhere"),
        (lambda d: d.update(model="missing.tflite"), "missing"),
        (lambda d: d.update(members=[]), "specification"),
        (lambda d: d.update(format=["litert"]), "should be a text"),
        (lambda d: d.update(files={}), "not among the files"),
        (lambda d: d.update(streams=10**9), r"float32 \(1, .*, not float32 \(1000000000"),
        (lambda d: d.update(past="partial_sums"), "a tensor 'blocks.0.0.past.0'"),
        (lambda d: d["transform"].update(size=[1, 1]), "not float32"),
        (lambda d: d["spec"].update(project=4), "'head.pool' is float32"),
        (lambda d: (d["spec"].update(num_classes=2), d.update(labels=None)), "'logits' is float32"),
    ],
)
def test_manifests_that_make_no_sense_are_refused(change: Any, words: str, tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert")
    export(weights_of(STREAM), "litert", tmp_path / "out")
    data = json.loads((tmp_path / "out" / MANIFEST).read_text())
    change(data)
    (tmp_path / "out" / MANIFEST).write_text(json.dumps(data))
    with pytest.raises(MovinetError, match=words):
        Recognizer.load(tmp_path / "out")


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize(("to", "package"), [("onnx", "onnxruntime"), ("openvino", "openvino")])
def test_other_tensors_than_the_manifest_says_are_refused(to: Any, package: str, causal: bool, tmp_path: Path) -> None:
    pytest.importorskip(package)
    export(weights_of(STREAM if causal else tiny_spec(causal=False)), to, tmp_path / "out")
    path = tmp_path / "out" / MANIFEST
    whole = json.loads(path.read_text())
    for change in ({"streams": 2}, {"spec": whole["spec"] | {"num_classes": 4}, "labels": None}):
        path.write_text(json.dumps(whole | change))
        with pytest.raises(WeightsError, match="not the file it should be"):
            Recognizer.load(tmp_path / "out")
    files = {name: entry for name, entry in whole["files"].items() if not name.endswith(".bin")}
    if to == "openvino":  # which crashes on damaged ones
        path.write_text(json.dumps(whole | {"files": files}))
        with pytest.raises(WeightsError, match=r"model\.bin' is not among the files"):
            Recognizer.load(tmp_path / "out")


def test_the_members_of_an_export_are_those_of_its_specification(tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert")
    folder = tmp_path / "out"
    export(weights_of(PAIR), "litert", folder)
    path = folder / "member-1" / MANIFEST
    whole = path.read_text()
    path.write_text(json.dumps(json.loads(whole) | {"streams": 2}))
    with pytest.raises(WeightsError, match="member-1 is not the member"):
        Recognizer.load(folder)
    shutil.rmtree(folder / "member-1")
    (folder / "member-1").symlink_to(folder)
    with pytest.raises(WeightsError, match="a member of an ensemble is no ensemble"):
        Recognizer.load(folder)


@pytest.mark.parametrize("cut", [True, False])
def test_a_damaged_file_is_refused_before_a_runtime_maps_it(cut: bool, tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert")
    export(weights_of(STREAM), "litert", tmp_path / "out")
    model = tmp_path / "out" / "model.tflite"
    whole = bytearray(model.read_bytes())
    whole[len(whole) // 2] ^= 1
    model.write_bytes(whole[: len(whole) // 2] if cut else whole)
    with pytest.raises(WeightsError, match=r"model\.tflite.*damaged"):
        Recognizer.load(tmp_path / "out")


def test_a_file_that_crashes_litert_is_refused_whatever_its_hash(tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert")
    export(weights_of(STREAM), "litert", tmp_path / "out")
    model, manifest = tmp_path / "out" / "model.tflite", tmp_path / "out" / MANIFEST
    data = model.read_bytes()
    data = b"\xf0\xff\xff\xff" + data[4:]  # where the file's root lies
    model.write_bytes(data)
    whole = json.loads(manifest.read_text())
    whole["files"]["model.tflite"]["sha256"] = hashlib.sha256(data).hexdigest()
    manifest.write_text(json.dumps(whole))
    with pytest.raises(WeightsError, match="damaged TFLite file"):
        Recognizer.load(tmp_path / "out")


def test_a_manifest_that_is_no_json(tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_bytes(b"\xff{")
    with pytest.raises(WeightsError, match=MANIFEST):
        read_manifest(tmp_path)


def test_other_peoples_files_run_as_they_are(shared: Path, tmp_path: Path) -> None:
    """The official int8 file, through its own operators: the interpreter's logits to the bit."""
    pytest.importorskip("ai_edge_litert")
    from movinet.runtime.exported import exported_engine, foreign_network
    from movinet.runtime.foreign_tflite import read_foreign

    path = tmp_path / "movinet_a0_mine.tflite"
    shutil.copy(shared / "weights" / "movinet_a0_stream_int8.tflite", path)
    network = foreign_network(read_foreign(path), None)
    assert network.info.name == "movinet_a0_mine"
    assert (network.info.transform.size, network.info.transform.fps) == ((172, 172), 5.0)
    clip = np.random.default_rng(0).random((3, 6, 172, 172), np.float32)
    engine = exported_engine(network, threads=1)
    state = engine.init_state()
    ours = [engine.step(np.ascontiguousarray(frame)[None], state) for frame in clip.transpose(1, 2, 3, 0)]
    np.testing.assert_array_equal(
        np.concatenate([logits for logits in ours if logits is not None]), int8_logits(path, clip)
    )


@pytest.fixture
def sums(tmp_path: Path) -> Path:
    return write_sums(tmp_path / "sums.tflite")


def write_sums(path: Path, answers: int = 3) -> Path:
    """A stream of one layer, its states called alike on both sides, which the importer does not understand."""
    pytest.importorskip("ai_edge_litert")
    from movinet.deploy.tflite_writer import Graph, write_tflite

    graph = Graph()
    image, state = graph.input("image", (1, 8, 8, 3)), graph.input("seen", (1, 1, 1, 3))
    mean = graph.apply("MEAN", [image, graph.constant(np.array([1, 2], np.int32))], (1, 1, 1, 3), keepDims=True)
    total = graph.apply("ADD", [mean, state], (1, 1, 1, 3))
    shape = graph.constant(np.array([1, answers], np.int32))
    answer = graph.apply("RESHAPE", [total, shape], (1, 3), newShape=[1, 3])
    graph.output("logits", answer)
    graph.outputs["seen"] = total
    path.write_bytes(write_tflite({"serving_default": graph}))
    return path


def test_a_file_that_cannot_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="LiteRT cannot run it"):
        Recognizer.load(write_sums(tmp_path / "sums.tflite", answers=4))


def test_somebody_elses_file_says_that_it_cannot_forget(sums: Path) -> None:
    with pytest.raises(MovinetError, match="never forgets"):
        Recognizer.load(sums, memory=4.0)
    recognizer = Recognizer.load(sums)
    assert not recognizer.can_forget
    with StreamPool.load(sums, max_streams=1) as pool:
        with pytest.raises(MovinetError, match="never forgets"):
            pool.join(memory=4.0)
        with pool.join() as stream:
            answer = stream.submit(np.zeros((8, 8, 3), np.uint8))
            assert answer is not None
            answer.result()
            saved = stream.snapshot()
        assert pool.join(saved=saved).frames == 1


def test_names_that_no_runtime_opens_are_refused(sums: Path, tmp_path: Path) -> None:
    odd = sums.rename(tmp_path / "a\udcff.tflite")
    with pytest.raises(WeightsError, match="UTF-8"):
        Recognizer.load(odd)
    export(weights_of(STREAM), "litert", tmp_path / "out")
    with pytest.raises(WeightsError, match="UTF-8"):
        Recognizer.load((tmp_path / "out").rename(tmp_path / "a\udcff"))


def test_a_file_whose_parts_nobody_knows_is_opened_as_it_is(sums: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels.txt"
    labels.write_text("red\ngreen\nblue\n")
    recognizer = Recognizer.load(sums, labels=labels)
    green = np.zeros((8, 8, 3), np.uint8)
    green[..., 1] = 255
    for n in (1, 2, 3):
        prediction = recognizer.push(green)
        assert prediction is not None
        assert prediction.label == "green"
        assert prediction.confidence == pytest.approx(np.exp(n) / (np.exp(n) + 2), rel=1e-5)
    recognizer.reset()
    prediction = recognizer.push(green)
    assert prediction is not None
    assert prediction.confidence == pytest.approx(np.e / (np.e + 2), rel=1e-5)


def test_our_own_lowered_files_without_manifest_say_what_is_missing(tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert")
    path = tmp_path / "bare.tflite"
    path.write_bytes(to_litert(Step(folded_network(weights_of(STREAM)), "frames")))
    with pytest.raises(MovinetError):
        Recognizer.load(path)
