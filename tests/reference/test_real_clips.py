"""Real clips, frame by frame: every engine says what the network itself says in PyTorch."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from movinet.nn.movinet import MoViNet
from movinet.runtime.factory import EngineKind, create_engine
from movinet.video.decode import read_clip
from movinet.weights.load import load_weights
from movinet.weights.weights import Weights

KINDS: tuple[EngineKind, ...] = ("torch", "litert", "openvino", "onnx")


def frames_of(path: Path, weights: Weights) -> NDArray[np.float32]:
    """(T, h, w, 3), prepared."""
    return np.ascontiguousarray(np.moveaxis(read_clip(path, weights.info.transform), 0, -1))


def compare(weights: Weights, paths: list[Path]) -> None:
    engines = [create_engine(weights, kind, size=weights.info.transform.size, threads=1) for kind in KINDS]
    model, frames = weights.to_model(), 0
    assert isinstance(model, MoViNet)
    for path in paths:
        clip = frames_of(path, weights)
        with torch.inference_mode():
            expected = model(torch.from_numpy(clip).permute(3, 0, 1, 2)[None], per_frame=True)[0].numpy()
        for engine in engines:
            state, found = engine.init_state(), []
            for image in clip:
                logits = engine.step(image[None], state)
                assert logits is not None
                found.append(logits[0])
            assert np.abs(np.stack(found) - expected).max() <= 1e-4 * np.abs(expected).max(), (path.name, engine.kind)
            assert (np.stack(found).argmax(1) == expected.argmax(1)).all(), (path.name, engine.kind)
        frames += len(clip)
    print(f"{len(paths)} clips, {frames} frames, {', '.join(KINDS)}: every label the same")


@pytest.mark.slow
def test_kinetics_clips(shared: Path) -> None:
    compare(load_weights(shared / "weights" / "movinet_a0_stream_int8.tflite"), sorted((shared / "clips").iterdir()))


@pytest.mark.slow
def test_gestures(shared: Path) -> None:
    with (shared / "data" / "egogestar" / "clips.csv").open(encoding="utf-8") as file:
        paths = [shared / "data" / "egogestar" / row["file"] for row in csv.DictReader(file)]
    compare(load_weights("movinet_t0_stream.gestures"), paths)
