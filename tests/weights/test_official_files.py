"""Files that the official tools made of a network of three layers (scripts/make_tensorflow_files.py)."""

import gzip
import json
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from reference.seeded import seeded_clip

from movinet.arch.layer_spec import BlockSpec, LayerSpec
from movinet.arch.spec import NetworkSpec
from movinet.errors import WeightsError
from movinet.nn.movinet import MoViNet
from movinet.weights.load import load_weights
from movinet.weights.tf_bundle import read_checkpoint
from movinet.weights.tf_objects import find_objects
from movinet.weights.weights import Weights

OFFICIAL = Path(__file__).parent / "fixtures" / "official"
ANSWERS = json.loads((OFFICIAL / "answers.json").read_text())
STREAM = NetworkSpec(
    name="tiny",
    stem=8,
    blocks=(
        BlockSpec(8, (LayerSpec(8, (1, 3, 3)),)),
        BlockSpec(16, (LayerSpec(16, (3, 3, 3)), LayerSpec(24, (1, 3, 3)))),
    ),
    project=24,
    hidden=48,
    size=(32, 32),
    fps=5.0,
    frames=50,
    num_classes=5,
    gate="hard_sigmoid_garden",
)
SWISH = STREAM.with_options(activation="swish", gate="sigmoid", squeeze_excitation="cumulative")
CAUSAL_3D = SWISH.with_options(convolution="3d")
BASE = CAUSAL_3D.with_options(causal=False, squeeze_excitation="global")


def answer(loaded: Weights) -> NDArray[np.float32]:
    """Logits after every frame, or of the clip in one row."""
    clip = torch.from_numpy(seeded_clip("official", (1, 6, 32, 32, 3))).permute(0, 4, 1, 2, 3)
    model = loaded.to_model()
    assert isinstance(model, MoViNet)
    with torch.inference_mode():
        logits: torch.Tensor = model(clip, per_frame=True)[0] if model.spec.causal else model(clip)
    return logits.numpy()


# Beside the name: what is to be found, and how far its answer may be from TensorFlow's own, of up to 0.25.
TFLITE = {
    "stream_float32": (STREAM, 1e-5),
    "stream_float16": (STREAM, 1e-3),
    "stream_dynamic": (STREAM, 5e-3),
    "stream_int8": (STREAM, 2e-2),
    "stream_int8_throughout": (STREAM, 2e-2),
    "positions_float32": (STREAM.with_options(positional_encoding=True), 1e-5),
    "swish_float32": (SWISH, 1e-5),
    "keras_gate_float32": (STREAM.with_options(gate="hard_sigmoid_keras"), 1e-5),
    "keras_gate_int8": (STREAM.with_options(gate="hard_sigmoid_keras"), 2e-2),
}


def unpacked(name: str, folder: Path) -> Path:
    path = folder / f"{name}.tflite"
    path.write_bytes(gzip.decompress((OFFICIAL / f"{name}.tflite.gz").read_bytes()))
    return path


@pytest.mark.parametrize("name", TFLITE)
def test_tflite(name: str, tmp_path: Path) -> None:
    spec, apart = TFLITE[name]
    loaded = load_weights(unpacked(name, tmp_path))
    assert loaded.info.spec == spec.with_options(name="movinet_tflite", norm="folded")
    theirs = np.array(ANSWERS[name.split("_", 1)[0] if name[0] != "k" else "keras_gate"])
    assert np.abs(answer(loaded) - theirs).max() < apart


def test_pools_that_no_network_here_has_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="pools over something else than all frames so far"):
        load_weights(unpacked("frame_se_float32", tmp_path))


CHECKPOINTS = {
    "keras_weights": (STREAM, "keras_weights"),
    "saved_model": (STREAM, "saved_model"),
    "saved_model/variables": (STREAM, "saved_model"),
    "trained": (STREAM, "trained_average"),
    "causal_3d": (CAUSAL_3D, "causal_3d"),
    "hub_layer": (BASE, "base"),
}


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_checkpoints(name: str) -> None:
    spec, expected = CHECKPOINTS[name]
    loaded = load_weights(OFFICIAL / name, spec=spec)
    assert loaded.info.spec == spec
    assert np.abs(answer(loaded) - np.array(ANSWERS[expected])).max() < 1e-5
    assert ("moving averages" in loaded.info.source) == (name == "trained")
    checkpoint = read_checkpoint(OFFICIAL / name)
    assert find_objects(checkpoint.tensors, checkpoint.graph).causal == spec.causal


def test_averages_are_not_the_weights_they_are_of() -> None:
    assert np.abs(np.array(ANSWERS["trained"]) - np.array(ANSWERS["trained_average"])).max() > 0.1


def test_saved_models_come_as_archives(tmp_path: Path) -> None:
    """As TF Hub and Kaggle hand them out."""
    folder = tmp_path / "model"
    shutil.copytree(OFFICIAL / "saved_model", folder)
    (folder / "saved_model.pb").write_bytes(b"not read")
    with tarfile.open(tmp_path / "model.tar.gz", "w:gz") as archive:
        archive.add(folder, ".")
    for path in (folder, tmp_path / "model.tar.gz"):
        np.testing.assert_allclose(answer(load_weights(path, spec=STREAM)), ANSWERS["saved_model"], atol=1e-5)


def test_a_backbone_alone_says_that_its_head_is_new() -> None:
    with pytest.raises(WeightsError, match="backbone without its classifier: give the specification"):
        load_weights(OFFICIAL / "backbone")
    with pytest.warns(UserWarning, match="train the new head"):
        loaded = load_weights(OFFICIAL / "backbone", spec=BASE.with_options(num_classes=3))
    assert "the head is new and untrained" in loaded.info.source
    whole = load_weights(OFFICIAL / "hub_layer", spec=BASE)
    for name, value in whole.arrays.items():
        same = np.array_equal(loaded.arrays[name], value)
        assert same != name.startswith(("head.hidden", "head.classifier")), name


def test_another_network_than_asked_for_is_refused() -> None:
    for spec, message in {
        STREAM.with_options(num_classes=6): "has shape",
        STREAM.with_options(positional_encoding=True): "_pos_encoding.* is missing",
        STREAM.with_options(rezero=False): "_rezero.* is not part of it",
        CAUSAL_3D: "does not fit tiny",
    }.items():
        with pytest.raises(WeightsError, match=message):
            load_weights(OFFICIAL / "keras_weights", spec=spec)
    with pytest.raises(WeightsError, match="fits none of the published networks"):
        load_weights(OFFICIAL / "keras_weights")
