"""Make the reference logits in tests/reference with the official TensorFlow implementation.

Run by hand, only when a case is added; the results are committed and the tests need no TensorFlow. It wants an
environment with tf-models-official 2.19.1 (installed with --no-deps), tensorflow-cpu 2.19.1, tf_keras 2.19.0 and what
their imports ask for:

    python scripts/make_reference_logits.py            # every case
    python scripts/make_reference_logits.py a0_stream  # only these; the others are kept

Every variable is overwritten with `seeded_array(key)`. What is written:

- `<case>.npz`: `logits` (batch, classes) of the whole clip; of causal networks also `frame_logits` (frames, batch,
  classes), the answer after each frame, `cut_logits`, after the last of the calls in `cuts`, and `pool_buffer`, the
  head's state after the whole clip.
- `cases.json`: each case's options, clip and fingerprints of the block outputs and of the final states.
- `variables.json.gz`: (key, shape) of the variables of each distinct network, in the checkpoint's order.
"""

import gzip
import json
import os
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
REFERENCE = Path(__file__).parents[1] / "tests" / "reference"
sys.path.insert(0, str(REFERENCE))

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
import tf_keras  # noqa: E402
from official.projects.movinet.modeling import movinet, movinet_model  # noqa: E402
from seeded import SUFFIX, fingerprint, seeded_array, seeded_clip  # type: ignore[import-not-found]  # noqa: E402

# 0.2x + 0.5, which the published stream weights were trained with; the official name now means relu6(x + 3) * 0.16667.
KERAS_HARD_SIGMOID = "keras_hard_sigmoid"


@dataclass(frozen=True)
class Case:
    """One network and the clip it sees; options are named as in the official code."""

    model_id: str
    clip: tuple[int, int, int, int]  # batch, frames, height, width
    causal: bool = False
    conv_type: str = "3d"
    se_type: str = "3d"
    activation: str = "swish"
    gating_activation: str = "sigmoid"
    classifier_activation: str = "swish"
    use_positional_encoding: bool = False
    cuts: tuple[int, ...] = ()  # frames in each of the successive calls
    classes: int = 24

    @property
    def network(self) -> str:
        """What decides names and shapes of the variables."""
        positions = "-positions" if self.use_positional_encoding and self.causal else ""
        return f"{self.model_id}-{self.conv_type}-{self.se_type}{positions}-{self.classes}"


def stream(model_id: str, clip: tuple[int, int, int, int], cuts: tuple[int, ...], **options: Any) -> Case:
    """A stream network as published, but for `options`."""
    published: dict[str, Any] = {
        "conv_type": "2plus1d",
        "se_type": "2plus3d",
        "activation": "hard_swish",
        "gating_activation": "hard_sigmoid",
        "classifier_activation": "hard_swish" if model_id in ("a4", "t0") else "swish",
        "use_positional_encoding": model_id in ("a3", "a4", "a5"),
    }
    return Case(model_id, clip, causal=True, cuts=cuts, **(published | options))


CASES = {
    "a0_base": Case("a0", (1, 6, 64, 48), classes=600),
    "a1_base": Case("a1", (1, 5, 61, 47)),
    "a2_base": Case("a2", (2, 4, 48, 64)),
    "a3_base": Case("a3", (1, 3, 65, 80)),
    "a4_base": Case("a4", (1, 4, 50, 63)),
    "a5_base": Case("a5", (1, 4, 64, 64)),
    "a0_stream": stream("a0", (1, 8, 64, 48), (3, 5), classes=600),
    "a1_stream": stream("a1", (1, 6, 61, 47), (1, 5)),
    "a2_stream": stream("a2", (2, 5, 48, 64), (2, 1, 2)),
    "a3_stream": stream("a3", (1, 6, 65, 80), (4, 2)),
    "a4_stream": stream("a4", (1, 5, 50, 63), (3, 2)),
    "a5_stream": stream("a5", (1, 6, 47, 61), (3, 3)),
    "t0_stream": stream("t0", (1, 6, 50, 35), (5, 1)),
    # Sizes and lengths at the edge: one frame, one pixel in the last block, square odd.
    "a0_base_one_frame": Case("a0", (1, 1, 33, 50)),
    "a0_base_odd": Case("a0", (1, 3, 61, 61)),
    "a0_stream_one_frame": stream("a0", (1, 1, 49, 33), (1,)),
    "a0_stream_tiny": stream("a0", (3, 7, 17, 30), (2, 4, 1)),
    # Both hard sigmoids, and options that the published networks do not combine.
    "a0_stream_keras_hard_sigmoid": stream("a0", (1, 5, 48, 48), (2, 3), gating_activation=KERAS_HARD_SIGMOID),
    "a0_stream_conv3d": stream("a0", (1, 6, 45, 64), (3, 3), conv_type="3d_2plus1d"),
    "a0_stream_positions": stream("a0", (2, 6, 40, 56), (4, 2), use_positional_encoding=True),
    "a0_causal_3d": Case("a0", (1, 7, 61, 48), causal=True, cuts=(3, 4)),
    "a0_causal_3d_positions": Case("a0", (1, 6, 47, 62), causal=True, use_positional_encoding=True, cuts=(2, 4)),
    "a2_causal_3d_2plus3d": Case("a2", (1, 5, 64, 45), causal=True, se_type="2plus3d", cuts=(4, 1)),
    "a0_base_2plus1d": Case("a0", (1, 6, 47, 64), conv_type="2plus1d"),
    "a0_base_no_se": Case("a0", (1, 4, 48, 48), se_type="none"),
    "a0_stream_no_se": stream("a0", (1, 5, 48, 48), (2, 3), se_type="none"),
}


def build(case: Case) -> Any:
    """The official network of a case, its variables not yet seeded."""
    gate = case.gating_activation
    backbone = movinet.Movinet(
        model_id=case.model_id,
        causal=case.causal,
        use_positional_encoding=case.use_positional_encoding,
        conv_type=case.conv_type,
        se_type=case.se_type,
        activation=case.activation,
        gating_activation=tf_keras.activations.hard_sigmoid if gate == KERAS_HARD_SIGMOID else gate,
        use_external_states=case.causal,
    )
    return movinet_model.MovinetClassifier(
        backbone, num_classes=case.classes, activation=case.classifier_activation, output_states=True
    )


def seed_variables(model: Any) -> list[tuple[str, list[int]]]:
    """Overwrite every variable of `model` by way of a checkpoint, whose keys name them; returns (key, shape)."""
    variables = model.variables
    for index, variable in enumerate(variables):  # a mark that tells which key is whose
        variable.assign(tf.fill(variable.shape, float(index)))
    with tempfile.TemporaryDirectory() as folder:
        path = tf.train.Checkpoint(model=model).write(f"{folder}/checkpoint")
        saved = [(key, shape) for key, shape in tf.train.list_variables(path) if key.startswith("model/")]
        reader = tf.train.load_checkpoint(path)
        owners = [int(reader.get_tensor(key).flat[0]) for key, _ in saved]
    assert sorted(owners) == list(range(len(variables)))
    for (key, shape), owner in zip(saved, owners, strict=True):
        variables[owner].assign(seeded_array(key, tuple(shape)))
    return [(key.removesuffix(SUFFIX), shape) for key, shape in saved]


def fingerprints(tensors: dict[str, Any]) -> dict[str, float]:
    """Of every tensor but the counts of frames, which are all the same."""
    return {name: float(f"{fingerprint(name, x.numpy()):.7g}") for name, x in tensors.items() if x.dtype == tf.float32}


def run(name: str, case: Case) -> tuple[dict[str, Any], dict[str, Any], list[tuple[str, list[int]]]]:
    """Arrays to store, description, variables."""
    model = build(case)
    variables = seed_variables(model)
    call = tf.function(model)
    clip = tf.constant(seeded_clip(name, (*case.clip, 3)))
    start = model.backbone.init_states(clip.shape.as_list()) if case.causal else {}

    logits, states = call({"image": clip, **start})
    outputs, _ = tf.function(model.backbone)({"image": clip, **start})
    arrays = {"logits": logits}
    description: dict[str, Any] = {**asdict(case), "network": case.network, "outputs": fingerprints(outputs)}
    if case.causal:
        description["states"] = fingerprints(states)
        for key in [key for key in start if key.endswith("frame_count")]:
            assert states[key].numpy() == case.clip[1], key
        arrays["pool_buffer"] = states["state_head_pool_buffer"]

        frame_logits, states = [], start
        for frame in tf.split(clip, case.clip[1], axis=1):
            answer, states = call({"image": frame, **states})
            frame_logits.append(answer)
        arrays["frame_logits"] = tf.stack(frame_logits)

        states = start
        for part in tf.split(clip, case.cuts, axis=1):
            arrays["cut_logits"], states = call({"image": part, **states})
        report("  cut apart ", arrays["cut_logits"] - logits)
    report("  logits    ", logits)
    for output in ("stem", *list(outputs)[-4:]):
        report(f"  {output:10}", outputs[output])
    return {key: array.numpy() for key, array in arrays.items()}, description, variables


def report(name: str, array: Any) -> None:
    print(f"{name} rms {np.sqrt(np.mean(np.square(array))):.3g}, max {np.max(np.abs(array)):.3g}")


def main(names: list[str]) -> None:
    cases_path, variables_path = REFERENCE / "cases.json", REFERENCE / "variables.json.gz"
    cases = json.loads(cases_path.read_text()) if names else {}
    networks = json.loads(gzip.decompress(variables_path.read_bytes())) if names else {}
    for name in names or CASES:
        print(name)
        arrays, cases[name], networks[CASES[name].network] = run(name, CASES[name])
        np.savez(REFERENCE / f"{name}.npz", **arrays)
        tf_keras.backend.clear_session()
    ordered = {name: cases[name] for name in CASES}
    lines = [f'  "{name}": {json.dumps(case)}' for name, case in ordered.items()]
    cases_path.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    used = {case["network"]: networks[case["network"]] for case in ordered.values()}
    variables_path.write_bytes(gzip.compress(json.dumps(used).encode(), mtime=0))


if __name__ == "__main__":
    main(sys.argv[1:])
