"""Make the reference logits in tests/reference/pytorchvideo with github.com/facebookresearch/pytorchvideo.

Run by hand, only when a case is added. It wants that project importable, with fvcore and torchvision:

    PYTHONPATH=pytorchvideo python scripts/make_pytorchvideo_logits.py

Every parameter is overwritten with `seeded_value(name)`. Written are `names.json.gz`, the names and shapes of each
case's state dict, and `logits.npz`, the logits (1, 400) of its seeded clip.
"""

import gzip
import json
import sys
from pathlib import Path

import numpy as np
import torch

TESTS = Path(__file__).parents[1] / "tests"
sys.path.insert(0, str(TESTS))

from pytorchvideo.models.resnet import create_resnet  # type: ignore[import-not-found]  # noqa: E402
from pytorchvideo.models.slowfast import create_slowfast  # type: ignore[import-not-found]  # noqa: E402
from pytorchvideo.models.x3d import create_x3d  # type: ignore[import-not-found]  # noqa: E402
from reference.seeded import seeded_clip  # type: ignore[import-not-found]  # noqa: E402
from reference.seeded_pytorchvideo import CASES, seeded_value  # type: ignore[import-not-found]  # noqa: E402

FOLDER = TESTS / "reference" / "pytorchvideo"


def theirs(name: str, frames: int, size: int) -> torch.nn.Module:
    side = size // 32
    if name.startswith("x3d"):
        return create_x3d(input_clip_length=frames, input_crop_size=size)
    if name.startswith("slowfast"):
        kernel, alpha = (5, 8) if name.endswith("4x16") else (7, 4)
        pools = ((frames // alpha, side, side), (frames, side, side))
        return create_slowfast(
            model_depth=50,
            slowfast_fusion_conv_kernel_size=(kernel, 1, 1),
            slowfast_fusion_conv_stride=(alpha, 1, 1),
            head_pool_kernel_sizes=pools,
        )
    return create_resnet(stem_conv_kernel_size=(1, 7, 7), head_pool_kernel_size=(frames, side, side), model_depth=50)


@torch.inference_mode()
def main() -> None:
    names, logits = {}, {}
    for name, (frames, size) in CASES.items():
        model = theirs(name, frames, size).eval()
        state = model.state_dict()
        names[name] = {key: list(value.shape) for key, value in state.items()}
        model.load_state_dict({k: torch.from_numpy(seeded_value(k, tuple(v.shape))) for k, v in state.items()})
        clip = torch.from_numpy(seeded_clip(name, (1, 3, frames, size, size)))
        shown = clip
        if name.startswith("slowfast"):
            chosen = torch.linspace(0, frames - 1, frames // (8 if name.endswith("4x16") else 4)).long()
            shown = [clip[:, :, chosen], clip]  # type: ignore[assignment]
        logits[name] = model(shown).numpy()
        print(name, logits[name].std())
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / "names.json.gz").write_bytes(gzip.compress(json.dumps(names).encode(), mtime=0))
    np.savez_compressed(FOLDER / "logits.npz", **logits)


if __name__ == "__main__":
    main()
