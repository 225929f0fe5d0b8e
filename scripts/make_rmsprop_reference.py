"""Make tests/train/rmsprop.json: what TensorFlow's RMSpropTF does to a few variables in a few steps.

Run by hand, in the environment of scripts/make_reference_logits.py; the result is committed and the tests need no
TensorFlow:

    python scripts/make_rmsprop_reference.py
"""

import json
import os
from pathlib import Path
from typing import Any

os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
import tf_keras

OUT = Path(__file__).parents[1] / "tests" / "train" / "rmsprop.json"
SHAPES = ((3, 4), (5,), ())
REGULARIZED = (True, False, False)
L2 = 0.05  # of Keras, which adds twice that to the gradient; far more than in training, so that it shows
RATES = (0.0, 0.9, 1.8, 1.6, 1.0, 0.3)
SCALES = (0.1, 3.0, 0.2, 1.0, 5.0, 0.01)  # of the gradients, so that some are clipped
CLIP_NORM = 1.0


def run(
    optimizer_class: Any, starts: list[np.ndarray[Any, Any]], gradients: list[list[np.ndarray[Any, Any]]]
) -> list[Any]:
    """The variables after every step."""
    optimizer = optimizer_class(learning_rate=0.0, rho=0.9, momentum=0.9, epsilon=1.0, clipnorm=CLIP_NORM)
    variables = [tf.Variable(start) for start in starts]
    regularizer = tf_keras.regularizers.L2(L2)
    after = []
    for rate, step in zip(RATES, gradients, strict=True):
        optimizer.learning_rate = rate
        with tf.GradientTape() as tape:
            loss = sum(tf.reduce_sum(g * w) for g, w in zip(step, variables, strict=True))
            loss += sum(regularizer(w) for w, wanted in zip(variables, REGULARIZED, strict=True) if wanted)
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        after.append([w.numpy() for w in variables])
    return after


def main() -> None:
    rng = np.random.default_rng(0)
    starts = [rng.normal(size=shape).astype(np.float32) for shape in SHAPES]
    gradients = [[(s * rng.normal(size=shape)).astype(np.float32) for shape in SHAPES] for s in SCALES]
    after = run(tf_keras.optimizers.RMSpropTF, starts, gradients)
    # The class the published networks were trained with, a fused kernel: the same.
    for ours, legacy in zip(after, run(tf_keras.optimizers.legacy.RMSpropTF, starts, gradients), strict=True):
        for a, b in zip(ours, legacy, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6)
    settings = {"decay": 0.9, "momentum": 0.9, "epsilon": 1.0, "clip_norm": CLIP_NORM}
    content = {
        "settings": settings,
        "weight_decay": [2 * L2 if wanted else 0.0 for wanted in REGULARIZED],
        "starts": starts,
        "steps": [{"lr": rate, "gradients": g, "after": w} for rate, g, w in zip(RATES, gradients, after, strict=True)],
    }
    text = json.dumps(content, default=lambda array: [float(f"{x:.8g}") for x in array.ravel()])
    OUT.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
