"""The reference cases: what the official TensorFlow code answers, see scripts/make_reference_logits.py."""

import gzip
import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FOLDER = Path(__file__).parent
CASES: dict[str, dict[str, Any]] = json.loads((FOLDER / "cases.json").read_text())


def expected(name: str) -> dict[str, NDArray[np.float32]]:
    """logits (batch, classes); if causal, frame_logits (frames, batch, classes), cut_logits, pool_buffer."""
    with np.load(FOLDER / f"{name}.npz") as arrays:
        return dict(arrays)


@cache
def networks() -> dict[str, list[tuple[str, list[int]]]]:
    """Of each distinct network, by a case's "network", the official checkpoint's (key without suffix, shape)."""
    return json.loads(gzip.decompress((FOLDER / "variables.json.gz").read_bytes()))


def variables(network: str) -> dict[str, tuple[int, ...]]:
    """Checkpoint key without suffix → shape."""
    return {key: tuple(shape) for key, shape in networks()[network]}
