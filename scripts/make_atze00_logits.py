"""Make the reference logits in tests/reference/atze00 with github.com/Atze00/MoViNet-pytorch.

Run by hand, only when a case is added. It wants that project's `movinets` importable, with einops and fvcore:

    PYTHONPATH=MoViNet-pytorch python scripts/make_atze00_logits.py

Cases named `old_…` are made by its code of July 2021 before version 0.2 (commit 4de2ff3), whose names the first two
published versions of its weights have. Each run makes the cases the code at hand can make and keeps the others.

Every parameter is overwritten with `seeded_parameter(name)`. Written are `logits.npz`, the logits (1, classes) of each
case's clip, and `cases.json` with each case's options and the digest of the names and shapes of its state dict.
"""

import inspect
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

TESTS = Path(__file__).parents[1] / "tests"
sys.path.insert(0, str(TESTS))

from movinets import MoViNet  # type: ignore[import-not-found]  # noqa: E402
from movinets.config import _C  # type: ignore[import-not-found]  # noqa: E402
from reference.seeded import seeded_clip  # type: ignore[import-not-found]  # noqa: E402
from reference.seeded_torch import names_digest, seeded_parameter  # type: ignore[import-not-found]  # noqa: E402

HAS_CONVOLUTION = "conv_type" in inspect.signature(MoViNet.__init__).parameters


@dataclass(frozen=True)
class Case:
    """One network and the clip it sees: `frames` squares of `size` pixels, since that code needs squares."""

    model: str
    causal: bool
    convolution: str
    frames: int
    size: int
    classes: int = 24


CASES = {
    "a0_base": Case("A0", False, "3d", 5, 64),
    "a1_base": Case("A1", False, "3d", 4, 61),
    "a2_base": Case("A2", False, "3d", 4, 64),
    "a3_base": Case("A3", False, "3d", 3, 70),
    "a4_base": Case("A4", False, "3d", 3, 63),
    "a5_base": Case("A5", False, "3d", 3, 64),
    "a0_stream": Case("A0", True, "2plus1d", 7, 64),
    "a1_stream": Case("A1", True, "2plus1d", 5, 61),
    "a2_stream": Case("A2", True, "2plus1d", 5, 66),
    # What users can train there beside what is published; a causal `3d` network is that code's default.
    "a3_stream": Case("A3", True, "2plus1d", 4, 64),
    "a0_causal_3d": Case("A0", True, "3d", 6, 61),
    "a0_base_2plus1d": Case("A0", False, "2plus1d", 5, 64),
    "old_a0_base": Case("A0", False, "3d", 4, 64),
    "old_a5_base": Case("A5", False, "3d", 3, 61),
}


def run(name: str, case: Case) -> tuple[Tensor, str]:
    """The logits, and the digest of the names."""
    options = {"conv_type": case.convolution} if HAS_CONVOLUTION else {}
    config = _C.MODEL[f"MoViNet{case.model}"]
    model = MoViNet(config, num_classes=case.classes, causal=case.causal, tf_like=True, **options).eval()
    shapes = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    model.load_state_dict({key: torch.from_numpy(seeded_parameter(key, shape)) for key, shape in shapes.items()})
    clip = torch.from_numpy(seeded_clip(name, (1, 3, case.frames, case.size, case.size)))
    logits = model(clip)
    if case.causal:
        model.clean_activation_buffers()
        for frame in clip.split(1, dim=2):
            answer = model(frame)
        print(f"  frame by frame apart {(answer - logits).abs().max():.2g}")
    print(f"{name} max {logits.abs().max():.3g}")
    return logits, names_digest(shapes)


@torch.no_grad()
def main() -> None:
    folder = TESTS / "reference" / "atze00"
    cases_path, logits_path = folder / "cases.json", folder / "logits.npz"
    described = json.loads(cases_path.read_text()) if cases_path.exists() else {}
    logits = dict(np.load(logits_path)) if logits_path.exists() else {}
    for name, case in CASES.items():
        if name.startswith("old_") != HAS_CONVOLUTION:
            answer, digest = run(name, case)
            logits[name] = answer.numpy()
            described[name] = {**asdict(case), "names": digest}
    lines = [f'  "{name}": {json.dumps(described[name])}' for name in CASES if name in described]
    cases_path.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    np.savez(logits_path, **{name: logits[name] for name in CASES if name in logits})


if __name__ == "__main__":
    main()
