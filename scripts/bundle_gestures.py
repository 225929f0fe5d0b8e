"""Makes the weights that come with the package of a run of the recipe gesture_streams_last.

    python scripts/bundle_gestures.py runs/gesture_streams_last/model.safetensors gestures.safetensors --clips 25

In streams nothing happens most of the time, in single clips something mostly does; a network trained on streams is
therefore slow to name what a clip ends with. The bias of the background's class is lowered by what does best on fresh
synthetic clips, as many of every class: thresholds of events, chosen afterwards, move with it. Stored in float16. Then

    movinet data synthesize-streams point --streams 6 --quiet 6 --seed 11 --size 64 80 --fps 5
    movinet evaluate point/streams.csv --model gestures.safetensors --protocol events --target-false-alarms 10 --save
    python scripts/record_agreement.py gestures.safetensors --real FOLDER
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from movinet.data.synthetic.gesture_clips import GESTURES, render_gesture
from movinet.recognizer import Recognizer
from movinet.weights.load import load_weights
from movinet.weights.safetensors_file import save_weights

FIRST_SEED = 1_900_000_000  # those of validation, far from those of any test
SHIFTS = np.arange(0.0, 3.01, 0.25)
BIAS = "head.classifier.bias"


def last_answers(recognizer: Recognizer, clips: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """(clips, classes) probabilities after the last frame of fresh clips, and their classes."""
    fps, size = recognizer.info.transform.fps, recognizer.info.transform.size
    said, true = [], []
    for n in range(clips):
        for label in GESTURES:
            recognizer.reset()
            prediction = None
            for frame in render_gesture(label, FIRST_SEED + n, size, round(4 * fps), fps).frames:
                prediction = recognizer.push(frame)
            assert prediction is not None
            said.append(prediction.probabilities.astype(float))
            true.append(GESTURES.index(label))
    return np.stack(said), np.array(true)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="the weights of the run")
    parser.add_argument("out", type=Path)
    parser.add_argument("--clips", type=int, default=25, help="of each class, to choose the bias on")
    parser.add_argument("--lower", type=float, help="by how much, instead of what does best; 3.0 for the bundled ones")
    args = parser.parse_args()
    weights = load_weights(args.run)
    assert weights.info.background is not None
    background = GESTURES.index(weights.info.background)
    said, true = last_answers(Recognizer(weights), args.clips)
    right = []
    for shift in SHIFTS:
        shifted = said.copy()
        shifted[:, background] *= np.exp(-shift)
        right.append(float((shifted.argmax(1) == true).mean()))
        print(f"background lowered by {shift:4.2f}: {right[-1]:.2%} of {len(true)} clips")
    # Many are as good on these clips, which rest at their ends: the largest of them, for clips that end with a gesture.
    best = SHIFTS[np.array(right) == max(right)]
    shift = float(best.max()) if args.lower is None else args.lower
    bias = weights.arrays[BIAS].copy()
    bias[background] -= shift
    info = replace(
        weights.info,
        name="movinet_t0_stream.gestures",
        source="recipes/gestures.yaml and gesture_streams_last.yaml, on synthetic air gestures alone",
        notes=f"trained on synthetic streams; the bias of {weights.info.background!r} lowered by {shift:.2f}",
        agreement={},
    )
    save_weights(args.out, {**weights.arrays, BIAS: bias}, info, half=True)
    print(f"{args.out}: lowered by {shift:.2f}")


if __name__ == "__main__":
    main()
