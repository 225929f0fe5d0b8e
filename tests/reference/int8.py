"""The official int8 file run by LiteRT itself, which is independent of everything here; needs `ai-edge-litert`."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def int8_logits(tflite: Path, clip: NDArray[np.float32]) -> NDArray[np.float32]:
    """The interpreter's logits (T, classes) after each frame of a clip (3, T, H, W) in [0, 1]."""
    from ai_edge_litert.interpreter import Interpreter

    step = Interpreter(str(tflite), num_threads=1).get_signature_runner()
    details = step.get_input_details()
    states = {name: np.zeros(d["shape"], d["dtype"]) for name, d in details.items() if name != "image"}
    logits = []
    for frame in clip.transpose(1, 2, 3, 0):
        outputs = step(image=frame[None, None], **states)
        states = {name: outputs[name] for name in states}
        logits.append(outputs["logits"][0])
    return np.stack(logits)
