"""State dicts of PyTorchVideo: dictionaries of its names answer as its own code did
(`scripts/make_pytorchvideo_logits.py`)."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from reference.seeded import seeded_clip
from reference.seeded_pytorchvideo import CASES, seeded_value
from torch import Tensor

from movinet.arch.baseline_spec import BASELINES
from movinet.errors import WeightsError
from movinet.weights.load import load_weights

FOLDER = Path(__file__).parents[1] / "reference" / "pytorchvideo"


def state_dict(name: str) -> dict[str, Tensor]:
    names = json.loads(gzip.decompress((FOLDER / "names.json.gz").read_bytes()))
    return {key: torch.from_numpy(seeded_value(key, tuple(shape))) for key, shape in names[name].items()}


@pytest.mark.parametrize("name", ["x3d_xs", "slowfast_r50_4x16", pytest.param("slow_r50_8x8", marks=pytest.mark.slow)])
def test_a_file_of_theirs_answers_as_there(name: str, tmp_path: Path) -> None:
    path = tmp_path / f"{name.upper()}.pyth"
    torch.save({"model_state": state_dict(name)}, path)
    weights = load_weights(path, spec=BASELINES[name])
    assert weights.spec == BASELINES[name]
    black = weights.info.transform(np.zeros((1, 8, 8, 3), np.uint8))
    assert black.min() == black.max() == pytest.approx(-0.45 / 0.225)
    frames, size = CASES[name]
    with torch.inference_mode():
        logits = weights.to_model()(torch.from_numpy(seeded_clip(name, (1, 3, frames, size, size)))).numpy()
    with np.load(FOLDER / "logits.npz") as kept:
        expected = kept[name]
    assert np.abs(logits - expected).max() <= 1e-5 * np.abs(expected).max()


def test_which_network_it_is_is_found_or_asked(tmp_path: Path) -> None:
    state = state_dict("x3d_xs")
    torch.save(state, tmp_path / "x3d_s.pyth")
    assert load_weights(tmp_path / "x3d_s.pyth").spec == BASELINES["x3d_s"]
    torch.save(state, tmp_path / "mine.pyth")
    with pytest.raises(WeightsError, match="x3d_xs, x3d_s, x3d_m"):
        load_weights(tmp_path / "mine.pyth")
    torch.save({name: value for name, value in state.items() if "pre_conv" not in name}, tmp_path / "x3d_m.pyth")
    with pytest.raises(WeightsError, match="none of the networks"):
        load_weights(tmp_path / "x3d_m.pyth")
    with pytest.raises(WeightsError, match="lacks what would be head"):
        load_weights(tmp_path / "x3d_m.pyth", spec=BASELINES["x3d_m"])
    with pytest.raises(WeightsError, match="is it another size"):
        load_weights(tmp_path / "mine.pyth", spec=BASELINES["x3d_xl"])
