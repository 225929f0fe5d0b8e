"""The page's script in Node, with a stand-in for ONNX Runtime Web, or the real one where it is installed."""

import json
import os
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from movinet import Recognizer
from movinet.data.synthetic.gesture_clips import render_gesture
from movinet.errors import MovinetError
from movinet.export.export import export
from movinet.video.transform import Transform
from movinet.weights.load import load_weights

SCRIPT = Path(str(files("movinet.export"))) / "web" / "movinet.js"


def node(code: str, *arguments: str) -> Any:
    """What a module prints as JSON; `movinet.js` is imported as `movinet`."""
    if shutil.which("node") is None:
        pytest.skip("there is no node")
    code = f"import * as movinet from {json.dumps(SCRIPT.as_uri())};\n{code}"
    done = subprocess.run(
        ["node", "--input-type=module", "--eval", code, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


TRANSFORMS = st.builds(
    Transform,
    size=st.tuples(st.integers(1, 300), st.integers(1, 300)),
    resize_short=st.integers(1, 400),
    fps=st.just(5.0),
)


@settings(max_examples=3)
@given(st.lists(st.tuples(st.integers(1, 2000), st.integers(1, 2000), TRANSFORMS), min_size=40, max_size=40))
def test_the_page_sees_the_part_of_the_picture_that_training_saw(cases: list[tuple[int, int, Transform]]) -> None:
    given_cases = json.dumps([(width, height, transform.to_dict()) for width, height, transform in cases])
    found = node("console.log(JSON.stringify(JSON.parse(process.argv[1]).map((c) => movinet.crop(...c))))", given_cases)
    for (width, height, transform), crop in zip(cases, found, strict=True):
        tall, wide = transform.resized(height, width)
        top, left = ((a - b) // 2 for a, b in zip((tall, wide), transform.size, strict=True))
        expected = [left / wide * width, top / tall * height, *(transform.size[i] / (tall, wide)[i] for i in (1, 0))]
        expected[2:] = [expected[2] * width, expected[3] * height]
        # Where exact fractions and floats round otherwise, the crop is off by a pixel of the resized picture.
        np.testing.assert_allclose(crop, expected, atol=1.01 * max(width / wide, height / tall))


FAKE = """
class Tensor { constructor(type, data, dims) { Object.assign(this, { type, data, dims }); } }
const seen = [];
const session = { run: async (inputs) => {
  seen.push(Object.fromEntries(Object.entries(inputs).map(([k, v]) => [k, [v.type, v.dims, Array.from(v.data)]])));
  const fresh = (x) => new Tensor("float32", new Float32Array([x]), [1, 1]);
  return { logits: new Tensor("float32", new Float32Array([0, 2, 1]), [1, 3]), "new.sum": fresh(10 + seen.length) };
} };
const manifest = {
  fps: 5, answer: "softmax of logits", labels: ["a", "b", "c"], transform: { size: [1, 2], scale: [-1, 1] },
  input: { name: "frames", shape: [1, 3, 1, 2] },
  state: [
    { name: "decay", dtype: "float32", shape: [1, 1], initial: 1, next: "decay" },
    { name: "past", dtype: "float32", shape: [1, 1], initial: 0, next: "sum" },
    { name: "sum", dtype: "float32", shape: [1, 1], initial: 0, next: "new.sum" },
  ],
};
const recognizer = new movinet.Recognizer({ Tensor }, manifest, session);
const image = { data: [0, 51, 102, 255, 255, 204, 153, 255], width: 2, height: 1 };
const first = await recognizer.push(image);
await recognizer.push(image);
recognizer.reset(2);
await recognizer.push(image);
console.log(JSON.stringify({ seen, first }));
"""


def test_state_goes_from_call_to_call_as_the_manifest_says() -> None:
    result = node(FAKE)
    first, second, third = result["seen"]
    kind, shape, pixels = first["frames"]
    assert (kind, shape) == ("float32", [1, 3, 1, 2])
    np.testing.assert_allclose(pixels, [-1, 1, -0.6, 0.6, -0.2, 0.2], atol=1e-6)
    assert [first[name][2] for name in ("decay", "past", "sum")] == [[1], [0], [0]]
    assert [second[name][2] for name in ("decay", "past", "sum")] == [[1], [0], [11]]
    np.testing.assert_allclose(third["decay"][2], np.exp(-1 / (2 * 5)), rtol=1e-6)
    assert third["sum"][2] == [0]
    assert [answer["label"] for answer in result["first"]] == ["b", "c", "a"]
    assert sum(answer["probability"] for answer in result["first"]) == pytest.approx(1)


def test_the_page_takes_one_stream_frame_by_frame(tmp_path: Path) -> None:
    with pytest.raises(MovinetError, match="one stream"):
        export(load_weights("movinet_t0_stream.gestures"), "browser", tmp_path / "page", streams=2)


REAL = """
import { readFileSync } from "node:fs";
const [modules, folder, frames] = process.argv.slice(1);
const ort = await import(`file://${modules}/onnxruntime-web/dist/ort.node.min.mjs`);
const manifest = JSON.parse(readFileSync(`${folder}/movinet_manifest.json`));
const session = await ort.InferenceSession.create(new Uint8Array(readFileSync(`${folder}/${manifest.model}`)));
const recognizer = new movinet.Recognizer(ort, manifest, session);
const [height, width] = manifest.transform.size;
const bytes = readFileSync(frames), answers = [];
for (let at = 0; at < bytes.length; at += 4 * height * width)
  answers.push((await recognizer.push({ data: bytes.subarray(at, at + 4 * height * width), width, height }))[0]);
console.log(JSON.stringify(answers));
"""


def test_onnx_runtime_web_answers_as_the_recognizer(tmp_path: Path) -> None:
    modules = os.environ.get("MOVINET_NODE_MODULES")
    if modules is None:
        pytest.skip("MOVINET_NODE_MODULES names no folder with onnxruntime-web")
    pytest.importorskip("onnxruntime")
    export(load_weights("movinet_t0_stream.gestures"), "browser", tmp_path / "page")
    frames = render_gesture("star", 1, (64, 80), 8, 5.0).frames
    np.concatenate([frames, np.full((*frames.shape[:3], 1), 255, np.uint8)], -1).tofile(tmp_path / "rgba")
    recognizer = Recognizer.load("movinet_t0_stream.gestures")
    for answer, frame in zip(node(REAL, modules, str(tmp_path / "page"), str(tmp_path / "rgba")), frames, strict=True):
        prediction = recognizer.push(frame)
        assert prediction is not None
        assert answer["label"] == prediction.label
        assert answer["probability"] == pytest.approx(prediction.confidence, abs=1e-4)
