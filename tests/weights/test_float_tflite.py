"""Float TFLite files of the official tools that hold the golden checkpoint's weights."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from reference.int8 import int8_logits

from movinet.arch.spec import NetworkSpec
from movinet.errors import WeightsError
from movinet.weights.info import WeightsInfo, default_transform
from movinet.weights.load import load_weights
from movinet.weights.tflite import read_tflite
from movinet.weights.tflite_network import extract_movinet
from movinet.weights.tflite_spec import fit_network
from movinet.weights.weights import Weights

# From the golden logits, of up to 9.35: rounding of the file's own numbers, as golden/README.md says of it.
APART = {"float32": 1e-4 * 9.35, "float16": 1e-2, "dynamic": 0.2}


@pytest.mark.parametrize("kind", APART)
@torch.inference_mode()
def test_golden(kind: str, shared: Path) -> None:
    path = shared / "golden" / f"a0_stream_{kind}.tflite"
    golden = np.load(shared / "golden" / "a0_stream.npz")
    clip = torch.from_numpy(golden["input"]).permute(0, 4, 1, 2, 3)
    loaded = load_weights(path)
    spec = loaded.info.spec
    assert isinstance(spec, NetworkSpec)
    assert spec.name == "movinet_a0_stream"
    assert spec.norm == "folded"
    assert spec.gate == "hard_sigmoid_garden"
    logits = loaded.to_model()(clip, per_frame=True)[0].numpy()
    assert np.abs(logits - golden["logits_per_frame"][0]).max() < APART[kind]

    pytest.importorskip("ai_edge_litert", reason="ai-edge-litert is not installed")
    theirs: NDArray[np.float32] = int8_logits(path, clip[0].numpy())
    assert min(np.corrcoef(a, b)[0, 1] for a, b in zip(logits, theirs, strict=True)) >= 0.999


def test_the_specification_asked_for_holds(shared: Path) -> None:
    """Either it is what comes out, answering alike, or it is refused with what differs."""
    path = shared / "golden" / "a0_stream_float16.tflite"
    found, arrays = extract_movinet(read_tflite(path))
    asked = found.with_options(name="mine", norm="batch", fps=10.0, size=(64, 80), dropout=0.5)
    loaded = load_weights(path, spec=asked)
    assert loaded.info.spec == loaded.to_model().spec == asked
    clip = torch.rand(1, 3, 2, 64, 80)
    folded = Weights(WeightsInfo("folded", found, default_transform(found)), arrays).to_model()
    with torch.inference_mode():
        torch.testing.assert_close(loaded.to_model()(clip), folded(clip), rtol=1e-4, atol=1e-4)

    others = {
        "gate is hard_sigmoid_garden, not hard_sigmoid_keras": asked.with_options(gate="hard_sigmoid_keras"),
        "activation is hard_swish, not swish": asked.with_options(activation="swish"),
        "num_classes is 600, not 7": asked.with_options(num_classes=7),
        "number of layers": asked.with_options(blocks=asked.blocks[:4]),
    }
    for message, other in others.items():
        with pytest.raises(WeightsError, match=message):
            fit_network(found, arrays, other)
    with pytest.raises(WeightsError, match="gate is hard_sigmoid_garden"):
        load_weights(path, options={"gate": "sigmoid"})
