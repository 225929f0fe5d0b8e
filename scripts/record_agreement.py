"""How often the quick modes label a frame as float32 does, measured on real clips and written into a weights file.

    python scripts/record_agreement.py src/movinet/weights/bundled/movinet_t0_stream.gestures.safetensors --real FOLDER

FOLDER holds a clips.csv with a column `file`. Modes that this machine lacks keep what the file says of them.
"""

import argparse
import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from movinet.errors import MovinetError
from movinet.runtime.engine import Engine, Precision
from movinet.runtime.factory import EngineKind, create_engine
from movinet.video.decode import read_clip
from movinet.weights.load import load_weights
from movinet.weights.safetensors_file import save_weights

MODES: tuple[tuple[EngineKind, Precision], ...] = (
    ("litert", "float16"),
    ("litert", "int8"),
    ("openvino", "bfloat16"),
)


def labels_of(engine: Engine[object], clips: list[NDArray[np.float32]]) -> NDArray[np.int64]:
    """The likeliest class after every frame of every clip, streamed."""
    found = []
    for clip in clips:
        state = engine.init_state()
        for image in clip:
            logits = engine.step(image[None], state)
            assert logits is not None
            found.append(int(logits.argmax()))
    return np.array(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--real", type=Path, required=True)
    options = parser.parse_args()
    weights = load_weights(options.weights)
    transform = weights.info.transform
    with (options.real / "clips.csv").open(encoding="utf-8") as file:
        paths = [options.real / row["file"] for row in csv.DictReader(file)]
    clips = [np.ascontiguousarray(np.moveaxis(read_clip(path, transform), 0, -1)) for path in paths]
    exact = labels_of(create_engine(weights, size=transform.size, threads=1), clips)
    agreement = dict(weights.info.agreement)
    for kind, precision in MODES:
        try:
            engine = create_engine(weights, kind, size=transform.size, precision=precision, threads=1)
        except MovinetError as error:
            print(f"{kind} {precision}: {error}")
            continue
        agreement[precision] = round(100 * float((labels_of(engine, clips) == exact).mean()), 2)
        print(f"{kind} {precision}: {agreement[precision]} % of {len(exact)} frames of {len(clips)} clips")
    numbers = sum(array.size for array in weights.arrays.values())
    half = options.weights.stat().st_size < 3 * numbers
    save_weights(options.weights, weights.arrays, replace(weights.info, agreement=agreement), half=half)


if __name__ == "__main__":
    main()
