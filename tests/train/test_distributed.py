"""Several processes do what one does; devices that are not there are refused."""

import json
import logging
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn
from training_sets import Noise, fabric
from two_processes import RECIPES, new_norm, normalize, renormalized, train

from movinet.errors import MovinetError
from movinet.train import distributed
from movinet.train.batch_norm import synchronize_norms
from movinet.train.checkpoint import load_checkpoint
from movinet.train.distributed import align_gradients, connect, settle_process, sum_over_processes


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes left."""
    folder = tmp_path_factory.mktemp("two")
    here = Path(__file__).parent
    path = os.pathsep.join([str(here.parent), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"PYTHONPATH": path}
    command = [sys.executable, here / "two_processes.py", folder]
    done = subprocess.run(command, check=False, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "Initializing distributed" not in done.stderr
    assert "Warning" not in done.stderr
    return folder


@pytest.mark.parametrize("name", ["clip", "recurrent", "reach"])
def test_two_train_as_one(two: Path, tmp_path: Path, name: str) -> None:
    rows = train(RECIPES[name], tmp_path, fabric())
    steps, epochs = json.loads((two / name / "0" / "rows.json").read_text())
    for found, wanted in zip([*steps, *epochs], [*rows.steps, *rows.epochs], strict=True):
        assert found == pytest.approx(wanted, rel=1e-5, abs=1e-5)
    checkpoints = [load_checkpoint(folder / "checkpoint.safetensors") for folder in (two / name / "0", tmp_path)]
    assert checkpoints[0].progress["step"] == checkpoints[1].progress["step"] == 4
    for part in ("learner", "average"):
        found, wanted = (checkpoint.tensors[part] for checkpoint in checkpoints)
        assert found.keys() == wanted.keys()
        for key, value in wanted.items():
            torch.testing.assert_close(found[key], value, rtol=1e-5, atol=1e-5, msg=lambda m, key=key: f"{key}: {m}")


def test_only_the_first_tells_and_saves(two: Path) -> None:
    assert json.loads((two / "clip" / "1" / "rows.json").read_text()) == [[], []]
    assert not (two / "clip" / "1" / "checkpoint.safetensors").exists()


@pytest.mark.parametrize(("kind", "new"), [("norm", new_norm), ("renorm", renormalized)])
def test_norms_are_those_of_the_whole_batch(two: Path, kind: str, new: Callable[[], nn.Sequential]) -> None:
    wanted = normalize(new(), 1, 0)
    first, second = (torch.load(two / f"{kind}{rank}.pt") for rank in (0, 1))
    assert first.keys() == wanted.keys()
    for name, value in wanted.items():
        if name[0] in "yd" and name[-1].isdigit():  # by clip
            found = torch.cat([first[name], second[name]])
        elif name.startswith("d"):  # each process has the gradient of its part of the loss
            found = first[name] + second[name]
        else:
            found = first[name]
            assert torch.equal(found, second[name])
        torch.testing.assert_close(found, value, rtol=1e-5, atol=1e-5, msg=lambda m, name=name: f"{name}: {m}")


def test_all_stop_where_one_is_asked_to_and_all_hear_all_answers(two: Path) -> None:
    told = [json.loads((two / "stop" / rank / "answers.json").read_text()) for rank in ("0", "1")]
    assert told[0] == told[1]
    assert told[0]["videos"] == [0, 1, 2, 3, 4]
    data = Noise(5)
    assert told[0]["targets"] == [data.classes.index(data.labels_of(video)[0]) for video in told[0]["videos"]]
    assert len({tuple(logits) for logits in told[0]["logits"]}) == 5


def test_alone_nothing_is_exchanged() -> None:
    x = torch.rand(3, requires_grad=True)
    assert sum_over_processes(x) is x
    model = new_norm()
    synchronize_norms(model)
    for found, wanted in zip(normalize(model, 1, 0).values(), normalize(new_norm(), 1, 0).values(), strict=True):
        assert torch.equal(found, wanted)


def test_names_and_values_stay() -> None:
    before = new_norm()
    after = new_norm().eval()
    parameters = list(after.parameters())
    synchronize_norms(after)
    assert not after[0].training
    assert all(a is b for a, b in zip(after.parameters(), parameters, strict=True))
    assert after.state_dict().keys() == before.state_dict().keys()
    assert (after[0].eps, after[0].momentum) == (before[0].eps, before[0].momentum)


def test_gradients_lie_in_memory_as_their_parameters() -> None:
    layer = nn.Sequential(nn.Conv2d(4, 6, 1), nn.Conv2d(6, 2, 3))
    clip = torch.rand(2, 4, 5, 5).to(memory_format=torch.channels_last)
    layer(clip).sum().backward()
    wanted = [p.grad.clone() for p in layer.parameters() if p.grad is not None]
    layer.zero_grad()
    align_gradients(layer)
    for _ in range(2):
        layer(clip).sum().backward()
    for parameter, value in zip(layer.parameters(), wanted, strict=True):
        assert parameter.grad is not None
        torch.testing.assert_close(parameter.grad, 2 * value)
    assert layer[0].weight.grad is not None
    assert layer[0].weight.grad.stride() == layer[0].weight.stride()


def test_what_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MovinetError, match="--device tpu: there is no such device; there are cpu"):
        connect("tpu")
    if not torch.cuda.is_available():
        with pytest.raises(MovinetError, match="--device cuda"):
            connect("cuda")
    monkeypatch.setitem(sys.modules, "lightning_fabric", None)
    with pytest.raises(MovinetError, match=r"movinet\[train\]"):
        connect("cpu")


def test_connecting_leaves_the_program_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    def changed() -> None:
        raise AssertionError("memory is the program's own affair")

    monkeypatch.setattr(distributed, "keep_freed_memory", changed)
    logger = logging.getLogger("lightning_fabric")
    connect("cpu")  # lightning's own ways when it is imported are not ours
    before = logger.level, [list(handler.filters) for handler in logger.handlers], list(warnings.filters)
    connect("cpu")
    assert (logger.level, [list(handler.filters) for handler in logger.handlers], list(warnings.filters)) == before
    assert logger.level <= logging.INFO


def test_a_process_of_its_own_keeps_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[str] = []
    monkeypatch.setattr(distributed, "keep_freed_memory", lambda: kept.append("memory"))
    settle_process(connect("cpu"))
    assert kept == ["memory"]
