"""An ensemble trained as one job: its members one after another, gone on with where it stopped, used as one network."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import tiny_spec

from movinet import load_model
from movinet.arch.serialize import dump_spec
from movinet.arch.spec import EnsembleSpec
from movinet.arch.zoo import temporal_ensemble
from movinet.cli.app import app
from movinet.errors import MovinetError
from movinet.train.ensemble_run import ensemble_of, member_recipe
from movinet.train.recipe import read_recipe
from movinet.train.recipe_data import Gestures
from movinet.video.sample import sample_clip
from movinet.weights.load import load_weights

RECIPE = """
network: {network}
data: {{kind: gestures, clips: 11, frames: [8], validation: 11, test: 0}}
epochs: 1
batch_size: 11
optimizer: {{kind: adamw, lr: 1e-3}}
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    single = tiny_spec().with_options(size=(32, 40), fps=2.0, frames=8)
    (tmp_path / "pair.yaml").write_text(dump_spec(temporal_ensemble("pair", single, single)))
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE.format(network=tmp_path / "pair.yaml"))
    return path


def test_members_get_their_share_of_the_frames_and_seeds_of_their_own(recipe: Path, tmp_path: Path) -> None:
    what = read_recipe(recipe)
    spec = ensemble_of(what)
    assert isinstance(spec, EnsembleSpec)
    first, second = (member_recipe(tmp_path / "run", what, spec, number) for number in (0, 1))
    assert isinstance(first.data, Gestures)
    assert first.data.frames == (4,)
    assert (first.seed, second.seed) == (0, 1)


def test_it_is_trained_as_one_job_goes_on_and_is_used(
    recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert app(["train", str(recipe), "--out", str(run), "--dry-run"]) == 0
    assert not run.exists()
    assert app(["train", str(recipe), "--out", str(run), "--threads", "1"]) == 0
    metrics = json.loads((run / "metrics.json").read_text())
    assert set(metrics["scores"]) == {f"validation_{name}" for name in ("loss", "top1", "top5")}
    assert len(metrics["members"]) == 2
    whole, members = load_weights(run), [load_weights(run / f"member_{n}") for n in (0, 1)]
    assert members[0].hash != members[1].hash
    for number, member in enumerate(members):
        for name, array in member.arrays.items():
            np.testing.assert_array_equal(whole.arrays[f"members.{number}.{name}"], array)
    model, info = load_model(run)
    clip = torch.rand(1, 3, 8, 32, 40)
    with torch.inference_mode():
        alone = [member.to_model()(clip[:, :, number::2]) for number, member in enumerate(members)]
        torch.testing.assert_close(model(clip), torch.stack(alone).mean(0))
    assert info.transform.fps == 4.0

    # Killed while the second member was trained: the first is left as it is.
    (run / "metrics.json").unlink()
    (run / "model.safetensors").unlink()
    shutil.rmtree(run / "member_1")
    before = (run / "member_0" / "model.safetensors").stat().st_mtime_ns
    assert app(["train", "--resume", str(run), "--threads", "1"]) == 0
    assert (run / "member_0" / "model.safetensors").stat().st_mtime_ns == before
    assert load_weights(run).hash == whole.hash

    capsys.readouterr()
    assert app(["classify", str(sample_clip()), "--model", str(run / "model.safetensors"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[0])
    assert app(["profile", str(run / "model.safetensors"), "--repeats", "2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["step_ms"] > 0
    assert app(["export", str(run / "model.safetensors"), "--to", "litert", "--out", str(tmp_path / "out")]) == 0
    assert len(list((tmp_path / "out").rglob("*.tflite"))) == 2


def test_what_ensembles_cannot_have_is_said(recipe: Path, tmp_path: Path) -> None:
    text = recipe.read_text()
    recipe.write_text(f"{text}options: {{dropout: 0.1}}\n")
    with pytest.raises(MovinetError, match="options"):
        app(["train", str(recipe), "--out", str(tmp_path / "run")])
    recipe.write_text(text)
    with pytest.raises(MovinetError, match="one process"):
        app(["train", str(recipe), "--out", str(tmp_path / "run"), "--processes", "2"])
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "other").touch()
    with pytest.raises(MovinetError, match="other things"):
        app(["train", str(recipe), "--out", str(tmp_path / "full")])
