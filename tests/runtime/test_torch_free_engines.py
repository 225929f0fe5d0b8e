"""OpenVINO and ONNX Runtime, from arrays to logits, where PyTorch cannot be imported."""

import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import sys
sys.modules["torch"] = None
sys.path.insert(0, sys.argv[1])
import numpy as np
from movinet.arch.parameters import parameter_shapes
from movinet.arch.layer_spec import BlockSpec, LayerSpec
from movinet.arch.spec import NetworkSpec
from movinet.deploy.network import folded_network
from movinet.deploy.reference import reference_clip, reference_step
from movinet.runtime.compiled_clips import onnx_clips, openvino_clips
from movinet.runtime.onnx_engine import onnx_engine
from movinet.runtime.openvino_engine import OpenVINOEngine
from movinet.weights.info import WeightsInfo, default_transform
from movinet.weights.weights import Weights

random = np.random.default_rng(0)
layers = (LayerSpec(expansion=8, kernel=(3, 3, 3)),)
stream = NetworkSpec("random", 4, (BlockSpec(6, layers),), 8, 8, (16, 24), 5.0, 8, num_classes=3, norm="folded")
base = stream.with_options(causal=False, convolution="3d", squeeze_excitation="global")

def weights(spec):
    shapes = parameter_shapes(spec).items()
    arrays = {name: random.normal(size=shape).astype(np.float32) * 0.3 for name, shape in shapes}
    return Weights(WeightsInfo(spec.name, spec, default_transform(spec)), arrays)

def far(actual, wanted):
    return float(np.abs(actual - wanted).max() / np.abs(wanted).max())

clip = random.random((1, 3, 4, *stream.size), dtype=np.float32)
trained, whole = weights(stream), weights(base)
expected, _ = reference_step(folded_network(trained), clip)
for kind in (OpenVINOEngine, onnx_engine):
    engine = kind(trained, threads=1)
    state = engine.init_state()
    for t in range(4):
        logits = engine.step(clip[:, :, t].transpose(0, 2, 3, 1), state)
    print(far(logits, expected))
for run in (openvino_clips(whole, threads=1), onnx_clips(whole, threads=1)):
    print(far(run(clip), reference_clip(folded_network(whole), clip)))
"""


def test_arrays_become_logits_without_torch() -> None:
    for package in ("openvino", "onnx", "onnxruntime"):
        pytest.importorskip(package)
    source = Path(__file__).parents[2] / "src"
    done = subprocess.run([sys.executable, "-c", CODE, str(source)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert [float(line) < 1e-4 for line in done.stdout.split()] == [True] * 4
