"""How our float network of the official int8 file agrees with LiteRT running that file, on the same frames.

    pip install ai-edge-litert
    python scripts/compare_int8.py FOLDER

FOLDER holds `weights/movinet_a0_stream_int8.tflite`, `weights/kinetics_600_labels.txt` and `clips/`. The two differ
by int8 arithmetic: most of it is the head's running sum, whose 256 steps are coarse, and the float network has none.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from reference.int8 import int8_logits  # type: ignore[import-not-found]

from movinet import load_weights
from movinet.video.decode import read_clip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    tflite = folder / "weights" / "movinet_a0_stream_int8.tflite"
    loaded = load_weights(tflite, labels=folder / "weights" / "kinetics_600_labels.txt")
    model = loaded.to_model()
    print("| clip | frames | correlation | same top-1 | last: int8 | last: float |\n|---|---|---|---|---|---|")
    for path in sorted((folder / "clips").iterdir()):
        clip = read_clip(path, loaded.info.transform)
        theirs: NDArray[np.float32] = int8_logits(tflite, clip)
        with torch.inference_mode():
            ours = model(torch.from_numpy(clip)[None], per_frame=True)[0].numpy()
        correlation = np.corrcoef(ours.ravel(), theirs.ravel())[0, 1]
        same = np.mean(ours.argmax(1) == theirs.argmax(1))
        last = [answer(loaded.info.label(int(logits.argmax())), logits) for logits in (theirs[-1], ours[-1])]
        print(f"| {path.stem} | {len(ours)} | {correlation:.3f} | {same:.0%} | {' | '.join(last)} |")


def answer(label: str, logits: NDArray[np.float32]) -> str:
    odds = np.exp(logits - logits.max())
    return f"{label} {1 / odds.sum():.2f}"


if __name__ == "__main__":
    main()
