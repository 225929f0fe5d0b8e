"""Make the files in tests/weights/fixtures/official with the official tools: what people's own training leaves behind.

Run by hand, only when a file is added; the results are committed and the tests need no TensorFlow. It wants the
environment of make_reference_logits.py, with what the official trainer imports beside it (the modules it misses, one
by one, each with --no-deps):

    python scripts/make_tensorflow_files.py            # everything
    python scripts/make_tensorflow_files.py trained    # only these; the others are kept

All files hold a network of three layers and five classes. Its variables are `seeded_array(key)`, but for those that
the trainer trained. `answers.json` has what TensorFlow itself answers to `seeded_clip("official", (1, 6, 32, 32, 3))`.
"""

import gzip
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
TESTS = Path(__file__).parents[1] / "tests"
OFFICIAL = TESTS / "weights" / "fixtures" / "official"
sys.path[:0] = [str(TESTS / "reference"), str(Path(__file__).parent)]

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
import tf_keras  # noqa: E402
from make_reference_logits import seed_variables  # noqa: E402
from official.projects.movinet.modeling import movinet, movinet_model  # noqa: E402
from official.projects.movinet.tools import export_saved_model  # noqa: E402
from seeded import seeded_clip  # type: ignore[import-not-found]  # noqa: E402

SHAPE = (1, 6, 32, 32, 3)
CLASSES = 5
TINY = "tiny"

movinet.BLOCK_SPECS[TINY] = (
    movinet.StemSpec(filters=8, kernel_size=movinet.K13, strides=movinet.S12),
    movinet.MovinetBlockSpec(base_filters=8, expand_filters=(8,), kernel_sizes=(movinet.K13,), strides=(movinet.S12,)),
    movinet.MovinetBlockSpec(
        base_filters=16,
        expand_filters=(16, 24),
        kernel_sizes=(movinet.K33, movinet.K13),
        strides=(movinet.S12, movinet.S11),
    ),
    movinet.HeadSpec(project_filters=24, head_filters=48),
)

BASE = {"causal": False, "conv_type": "3d", "se_type": "3d", "activation": "swish", "gating_activation": "sigmoid"}
STREAM = {
    "causal": True,
    "conv_type": "2plus1d",
    "se_type": "2plus3d",
    "activation": "hard_swish",
    "gating_activation": "hard_sigmoid",
}
CAUSAL_3D = {**BASE, "causal": True}  # the first stream networks, whose checkpoints are the `_legacy` ones


def build(options: dict[str, Any], frames: int | None = None) -> Any:
    """A seeded classifier."""
    tf_keras.backend.clear_session()
    options = dict(options)
    for name in ("activation", "gating_activation"):
        if options[name] == "swish":  # as the official exporter does: no gradients of its own
            options[name] = "simple_swish"
    shape = tf_keras.layers.InputSpec(shape=(1, frames, 32, 32, 3) if frames else (None, None, None, None, 3))
    backbone = movinet.Movinet(
        model_id=TINY, input_specs=shape, use_sync_bn=False, use_external_states=options["causal"], **options
    )
    model = movinet_model.MovinetClassifier(
        backbone,
        num_classes=CLASSES,
        output_states=options["causal"],
        input_specs={"image": shape},
        activation="simple_swish",
    )
    model.build((1, frames or 1, 32, 32, 3))
    seed_variables(model)
    return model


def clip() -> Any:
    return seeded_clip("official", SHAPE)


def answer(model: Any) -> list[list[float]]:
    """The logits after each frame, or one row of a base network."""
    if not model.backbone.use_external_states:
        return [[float(x) for x in model({"image": clip()})[0]]]
    states = model.init_states(SHAPE)
    rows = []
    for frame in tf.split(clip(), SHAPE[1], axis=1):
        logits, states = model({"image": frame, **states})
        rows.append([float(x) for x in logits[0]])
    return rows


def calibration(model: Any, shape: tuple[int, ...]) -> Callable[[], Iterator[dict[str, Any]]]:
    def examples() -> Iterator[dict[str, Any]]:
        states = {k: tf.zeros(v.shape, v.dtype) for k, v in model.initial_state_specs(shape).items()}
        for n in range(30):
            image = seeded_clip(f"calibration {n}", shape)
            yield {"image": image, **{name: state.numpy() for name, state in states.items()}}
            _, states = model({**states, "image": image})

    return examples


def convert(name: str, options: dict[str, Any], kinds: list[str], frames: int = 1) -> dict[str, Any]:
    """`name`_`kind`.tflite.gz, by the official exporter and TensorFlow's converter, set as in quantize_movinet.py."""
    model = build(options, frames)
    shape = (1, frames, 32, 32, 3)
    rows = answer(model) if frames == 1 else []
    with tempfile.TemporaryDirectory() as folder:
        export_saved_model.export_saved_model(
            model, shape, folder, causal=True, bundle_input_init_states_fn=False, checkpoint_path=None
        )
        for kind in kinds:
            converter = tf.lite.TFLiteConverter.from_saved_model(folder)
            if kind != "float32":
                converter.optimizations = [tf.lite.Optimize.DEFAULT]
            if kind == "float16":
                converter.target_spec.supported_types = [tf.float16]
            if kind.startswith("int8"):
                converter.representative_dataset = calibration(model, shape)
            if kind == "int8_throughout":
                converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
                converter.inference_input_type = converter.inference_output_type = tf.int8
            packed = gzip.compress(converter.convert(), mtime=0)
            (OFFICIAL / f"{name}_{kind}.tflite.gz").write_bytes(packed)
    return {name: rows}


def tflite() -> dict[str, Any]:
    answers = convert("stream", STREAM, ["float32", "float16", "dynamic", "int8", "int8_throughout"])
    answers |= convert("positions", {**STREAM, "use_positional_encoding": True}, ["float32"])
    answers |= convert("swish", {**STREAM, **BASE, "causal": True, "conv_type": "2plus1d"}, ["float32"])
    keras = tf_keras.activations.hard_sigmoid  # of 2021, in the published stream networks
    answers |= convert("keras_gate", {**STREAM, "gating_activation": keras}, ["float32", "int8"])
    convert("frame_se", {**STREAM, "se_type": "2d"}, ["float32"])
    return answers


def saved() -> dict[str, Any]:
    """What is saved by hand: Keras' weights, a SavedModel's variables, a backbone alone, the first stream networks."""
    answers = {}
    model = build({**STREAM, "conv_type": "3d_2plus1d"})
    model.save_weights(str(OFFICIAL / "keras_weights"))
    (OFFICIAL / "checkpoint").unlink()
    answers["keras_weights"] = answer(model)

    model = build(STREAM)
    answers["saved_model"] = answer(model)
    with tempfile.TemporaryDirectory() as folder:
        export_saved_model.export_saved_model(model, SHAPE, folder, causal=True, checkpoint_path=None)
        copy_variables(Path(folder), "saved_model")

    model = build(BASE)
    answers["base"] = answer(model)
    tf.train.Checkpoint(backbone=model.backbone).write(str(OFFICIAL / "backbone"))
    with tempfile.TemporaryDirectory() as folder:
        export_saved_model.export_saved_model(model, (None,) * 4 + (3,), folder, causal=False)
        hub(folder)

    model = build(CAUSAL_3D)
    answers["causal_3d"] = answer(model)
    tf.train.Checkpoint(model=model).write(str(OFFICIAL / "causal_3d"))
    return answers


def hub(folder: str) -> None:
    """Weights of a Keras model around a SavedModel, as TensorFlow's tutorial of 2021 fine-tunes one from TF Hub."""
    import tensorflow_hub  # type: ignore[import-not-found]

    encoder = tensorflow_hub.KerasLayer(folder, trainable=True)
    image = tf_keras.layers.Input(shape=[None, None, None, 3], dtype=tf.float32, name="image")
    tf_keras.Model(image, encoder({"image": image})).save_weights(str(OFFICIAL / "hub_layer"))
    (OFFICIAL / "checkpoint").unlink()


def copy_variables(folder: Path, name: str) -> None:
    shutil.rmtree(OFFICIAL / name, ignore_errors=True)
    shutil.copytree(folder / "variables", OFFICIAL / name / "variables")


def trained() -> dict[str, Any]:
    """One step of the official trainer, with moving averages of the weights: its checkpoint as it leaves it."""
    from official.projects.movinet import train
    from official.vision.dataloaders import tfexample_utils

    tf.random.set_seed(1)
    flags = train.FLAGS
    with tempfile.TemporaryDirectory() as folder:
        data = f"{folder}/data.tfrecord"
        examples = [
            tfexample_utils.make_video_test_example(image_shape=(32, 32, 3), audio_shape=(20, 128), label=n)
            for n in range(4)
        ]
        tfexample_utils.dump_to_tfrecord(data, tf_examples=examples)
        train.tfm_flags.define_flags()
        flags(["train"])
        flags.mode, flags.model_dir, flags.experiment = "train", f"{folder}/run", "movinet_kinetics600"
        inputs = {"input_path": data, "file_type": "tfrecord", "global_batch_size": 2, "feature_shape": [4, 32, 32, 3]}
        inputs["num_classes"] = CLASSES
        backbone = {"type": "movinet", "movinet": {"model_id": TINY, **STREAM, "conv_type": "3d_2plus1d"}}
        flags.params_override = json.dumps(
            {
                "runtime": {"distribution_strategy": "one_device", "mixed_precision_dtype": "float32"},
                "trainer": {
                    "train_steps": 1,
                    "steps_per_loop": 1,
                    "validation_steps": 1,
                    "optimizer_config": {
                        "ema": {"average_decay": 0.5, "trainable_weights_only": False},
                        "warmup": {"type": None},
                        "learning_rate": {"type": "constant", "constant": {"learning_rate": 0.5}},
                    },
                },
                "task": {
                    "model": {"backbone": backbone},
                    "train_data": inputs,
                    "validation_data": inputs,
                },
            }
        )
        train.main("unused")
        prefix = tf.train.latest_checkpoint(f"{folder}/run")
        assert prefix
        for part in (".index", ".data-00000-of-00001"):
            shutil.copyfile(prefix + part, OFFICIAL / f"trained{part}")
        model = build({**STREAM, "conv_type": "3d_2plus1d"})
        tf.train.Checkpoint(model=model).restore(prefix).expect_partial()
        answers = {"trained": answer(model)}
        assign_averages(model, prefix)
        return {**answers, "trained_average": answer(model)}


def assign_averages(model: Any, prefix: str) -> None:
    """Put the moving averages of a trainer's checkpoint into a model, by way of a checkpoint with the same keys."""
    for index, variable in enumerate(model.variables):
        variable.assign(tf.fill(variable.shape, float(index)))
    with tempfile.TemporaryDirectory() as folder:
        path = tf.train.Checkpoint(model=model, backbone=model.backbone).write(f"{folder}/checkpoint")
        marks = tf.train.load_checkpoint(path)
        keys = [key for key, _ in tf.train.list_variables(path) if key.startswith(("model/", "backbone/"))]
        owners = [int(marks.get_tensor(key).flat[0]) for key in keys]
    reader = tf.train.load_checkpoint(prefix)
    for key, owner in zip(keys, owners, strict=True):
        slot = key.replace("/.ATTRIBUTES", "/.OPTIMIZER_SLOT/optimizer/average/.ATTRIBUTES")
        model.variables[owner].assign(reader.get_tensor(slot))


def main(parts: list[str]) -> None:
    OFFICIAL.mkdir(exist_ok=True)
    path = OFFICIAL / "answers.json"
    answers = json.loads(path.read_text()) if path.is_file() else {}
    for part in parts or ["tflite", "saved", "trained"]:
        answers |= {"tflite": tflite, "saved": saved, "trained": trained}[part]()
    rounded = {name: np.round(rows, 6).tolist() for name, rows in sorted(answers.items())}
    path.write_text("{\n" + ",\n".join(f'"{name}": {json.dumps(rows)}' for name, rows in rounded.items()) + "\n}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
