"""The official network's own answers, through files of weights, folding, lowering and every engine."""

from pathlib import Path

import numpy as np
import pytest

from movinet.deploy.network import folded_network
from movinet.deploy.reference import reference_clip, reference_step
from movinet.runtime.factory import EngineKind, create_engine
from movinet.weights.load import load_weights

PACKAGES = {"litert": "ai_edge_litert", "openvino": "openvino", "onnx": "onnxruntime", "torch": "torch"}


@pytest.mark.parametrize("kind", PACKAGES)
@pytest.mark.parametrize("file", ["a0_stream_ckpt", "a0_stream_float32.tflite"])
def test_streams(kind: EngineKind, file: str, shared: Path) -> None:
    pytest.importorskip(PACKAGES[kind])
    golden = np.load(shared / "golden" / "a0_stream.npz")
    options = {"gate": "hard_sigmoid_garden"} if file.endswith("ckpt") else None
    weights = load_weights(shared / "golden" / file, options=options)
    frames = golden["input"].astype(np.float32)  # (1, T, H, W, 3)
    engine = create_engine(weights, kind, size=frames.shape[2:4], threads=1, cache=False)
    state = engine.init_state()
    for t, expected in enumerate(golden["logits_per_frame"][0]):
        logits = engine.step(np.ascontiguousarray(frames[:, t]), state)
        assert logits is not None
        assert np.abs(logits[0] - expected).max() <= 1e-4 * np.abs(golden["logits_per_frame"]).max()


def test_the_reference_itself(shared: Path) -> None:
    """Which judges every export."""
    golden = np.load(shared / "golden" / "a0_stream.npz")
    weights = load_weights(shared / "golden" / "a0_stream_ckpt", options={"gate": "hard_sigmoid_garden"})
    clip = golden["input"].transpose(0, 4, 1, 2, 3)
    logits, _ = reference_step(folded_network(weights, clip.shape[3:]), clip)
    expected = golden["logits_whole_clip"]
    assert np.abs(logits - expected).max() <= 1e-5 * np.abs(expected).max()
    golden = np.load(shared / "golden" / "a0_base.npz")
    weights = load_weights(shared / "golden" / "a0_base_ckpt")
    clip = golden["input"].transpose(0, 4, 1, 2, 3)
    logits = reference_clip(folded_network(weights, clip.shape[3:]), clip)
    assert np.abs(logits - golden["logits"]).max() <= 1e-5 * np.abs(golden["logits"]).max()
