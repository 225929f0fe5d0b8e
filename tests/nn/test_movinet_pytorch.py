"""Reference logits made by that project's own code, see scripts/make_atze00_logits.py."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from nn.networks import in_numpy
from reference.seeded import seeded_clip
from reference.seeded_torch import names_digest, seeded_parameter
from torch import Tensor

from movinet.arch.spec import NetworkSpec
from movinet.arch.zoo import network_spec
from movinet.errors import WeightsError
from movinet.nn.convert import model_of
from movinet.nn.ensemble import Ensemble
from movinet.nn.movinet import MoViNet
from movinet.nn.movinet_pytorch import find_network, find_state_dict, from_atze00, to_atze00
from movinet.weights.load import load_weights

FOLDER = Path(__file__).parents[1] / "reference" / "atze00"
CASES: dict[str, dict[str, Any]] = json.loads((FOLDER / "cases.json").read_text())
LOGITS: dict[str, np.ndarray] = dict(np.load(FOLDER / "logits.npz"))


def spec_of(case: dict[str, Any]) -> NetworkSpec:
    flat, causal = case["convolution"] == "2plus1d", case["causal"]
    spec = network_spec(f"movinet_{case['model'].lower()}_{'stream' if causal else 'base'}")
    assert isinstance(spec, NetworkSpec)
    return spec.with_options(
        num_classes=case["classes"],
        convolution=case["convolution"],
        activation="hard_swish" if flat else "swish",
        gate="hard_sigmoid_keras" if flat else "sigmoid",
        positional_encoding=False,
    )


def theirs(name: str) -> dict[str, Tensor]:
    """A seeded state dict with the names and shapes of a case, proved to be that project's own by their digest."""
    case = CASES[name]
    with torch.device("meta"):
        shapes = {key: tuple(value.shape) for key, value in to_atze00(MoViNet(spec_of(case))).items()}
    if name.startswith("old_"):
        shapes = {old_name(key): shape for key, shape in shapes.items()}
    assert names_digest(shapes) == case["names"]
    return {key: torch.from_numpy(seeded_parameter(key, shape)) for key, shape in shapes.items()}


def old_name(name: str) -> str:
    """The name before version 0.2."""
    name = name.replace("conv_1.", "")
    return name.replace("conv3d.", "") if ".fc" in name or name.startswith("classifier") else name


@torch.inference_mode()
def apart(name: str, model: MoViNet | Ensemble) -> float:
    """How far the logits are from the reference, in units of the largest."""
    case, expected = CASES[name], torch.from_numpy(LOGITS[name])
    clip = torch.from_numpy(seeded_clip(name, (1, 3, case["frames"], case["size"], case["size"])))
    answers = [model(clip)]
    if case["causal"]:
        state = None
        for frame in clip.split(1, dim=2):
            answer, state = model.step(frame, state)
        answers.append(answer)
    return max(float((answer - expected).abs().max() / expected.abs().max()) for answer in answers)


@pytest.mark.parametrize("name", CASES)
def test_logits_are_theirs(name: str) -> None:
    state_dict = theirs(name)
    spec = find_network(state_dict)
    assert spec == spec_of(CASES[name])
    assert apart(name, model_of(spec, in_numpy(from_atze00(state_dict, spec)))) < 1e-5


@pytest.mark.parametrize("name", ["a0_base", "a0_stream", "a0_causal_3d"])
def test_there_and_back(name: str) -> None:
    state_dict = theirs(name)
    spec = spec_of(CASES[name])
    back = to_atze00(model_of(spec, in_numpy(from_atze00(state_dict, spec))))
    assert back.keys() == state_dict.keys()
    assert all(torch.equal(back[key], value) for key, value in state_dict.items())


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize(
    "wrap",
    [
        lambda d: d,
        lambda d: {"epoch": 3, "state_dict": d, "optimizer": {"state": {}}},
        lambda d: {f"module.{k}": v for k, v in d.items()},
        lambda d: {"model": {f"net.{k}": v for k, v in d.items()} | {"loss.weight": torch.ones(3)}},
    ],
    ids=["plain", "checkpoint", "parallel", "lightning"],
)
def test_saved_files_load(tmp_path: Path, wrap: Any, legacy: bool) -> None:
    path = tmp_path / "modelA0_stream_statedict_v3"
    torch.save(wrap(theirs("a0_stream")), path, _use_new_zipfile_serialization=not legacy)
    loaded = load_weights(path)
    assert isinstance(loaded.info.spec, NetworkSpec)
    assert loaded.info.spec.gate == "hard_sigmoid_keras"
    assert apart("a0_stream", loaded.to_model()) < 1e-5


class Attack:
    """Unpickles by making a file, as a hostile one would run anything."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.target,)


@pytest.mark.parametrize("legacy", [False, True])
def test_code_in_a_pickle_is_not_run(tmp_path: Path, legacy: bool) -> None:
    path, touched = tmp_path / "weights.pth", tmp_path / "touched"
    hostile = {**theirs("a0_base"), "extra": Attack(touched)}
    torch.save(hostile, path, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(WeightsError, match="state dict"):
        load_weights(path)
    assert not touched.exists()
    torch.load(path, weights_only=False)  # so it would have been run
    assert touched.exists()


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("share", [0.001, 0.5, 0.99])
def test_a_truncated_file_is_refused(tmp_path: Path, share: float, legacy: bool) -> None:
    path = tmp_path / "weights.pth"
    torch.save(theirs("a0_base"), path, _use_new_zipfile_serialization=not legacy)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(WeightsError, match=r"weights\.pth"):
        load_weights(path)


@pytest.mark.parametrize("other", [[1, 2], {"fc.weight": torch.ones(2)}, {}, {3: {4: 5}}, torch.ones(3)])
def test_other_pickles_are_refused(tmp_path: Path, other: Any) -> None:
    assert find_state_dict(other) is None
    torch.save(other, tmp_path / "weights.pth")
    with pytest.raises(WeightsError, match="MoViNet-pytorch"):
        load_weights(tmp_path / "weights.pth")


def test_a_dict_that_does_not_fit_is_refused() -> None:
    state_dict = theirs("a0_base")
    spec = spec_of(CASES["a0_base"])
    fewer = {key: value for key, value in state_dict.items() if not key.startswith("blocks.b4_l3.")}
    more = {**state_dict, "blocks.b4_l4.alpha": torch.ones(())}
    transposed = {**state_dict, "conv7.conv_1.conv3d.weight": torch.ones(104, 480, 1, 1, 1)}
    for wrong, fault in ((fewer, "b4_l3"), (more, "b4_l4"), (transposed, "conv7")):
        with pytest.raises(WeightsError, match=fault):
            from_atze00(wrong, spec)
    with pytest.raises(WeightsError, match="fits none"):
        find_network(more)


def test_networks_that_project_lacks_are_refused() -> None:
    spec = network_spec("movinet_a3_stream")
    assert isinstance(spec, NetworkSpec)
    with pytest.raises(WeightsError, match="positional encoding"):
        from_atze00(theirs("a3_stream"), spec)
