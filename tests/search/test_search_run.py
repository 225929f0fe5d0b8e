"""A search's folder: whatever ends the search, what is in it is whole, and the search goes on to the same end."""

import csv
import json
import os
import signal
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file
from spaces import SPACE, search_recipe, template
from training_sets import Noise, fabric, noise

from movinet.arch.count import macs_per_frame
from movinet.arch.serialize import read_spec
from movinet.arch.spec import NetworkSpec
from movinet.data.dataset import SampleKey
from movinet.dataclass_io import from_plain
from movinet.errors import MovinetError
from movinet.search import cost
from movinet.search.candidates import CandidateEvaluator
from movinet.search.latency import measure_latencies
from movinet.search.reward import Budget
from movinet.search.search_recipe import ControllerOptions, SearchRecipe, dump_search, read_search
from movinet.search.search_run import FOUND, LATENCIES, RESULT, Found, PreparedSearch, run_search
from movinet.search.supernet import SuperNetwork
from movinet.search.supernet_loss import Draws, Remembered, SupernetWithLoss
from movinet.train.datasets import Sets
from movinet.train.recipe import AuxPoint, Loss
from movinet.train.run_dir import CHECKPOINT, RECIPE

SETS = noise(clips=13, validation=8)


@pytest.fixture(autouse=True)
def _without_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """They take most of the time; test_plots.py draws them."""
    monkeypatch.setattr("movinet.search.search_run.draw_decisions", lambda *_: None)
    monkeypatch.setattr("movinet.search.search_run.draw_network", lambda *_: None)


def run(folder: Path, *watchers: object, resume: bool = False, sets: Sets = SETS, **changes: object) -> Found:
    recipe = search_recipe(folder.parent, **changes)
    prepared = PreparedSearch(recipe, recipe.template(3), sets)
    return run_search(prepared, folder, fabric(), resume=resume, watchers=watchers)


def tracked(folder: Path) -> SearchRecipe:
    recipe = search_recipe(folder)
    return replace(recipe.training, loss=Loss(0.1, aux_point=AuxPoint(("blocks.1.0",))))


def table(path: Path, without: str) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return [{name: value for name, value in row.items() if name != without} for row in csv.DictReader(file)]


def figures(folder: Path) -> dict[str, float]:
    found = json.loads((folder / RESULT).read_text())["figures"]
    assert found.pop("seconds") > 0
    return found


class Terminator:
    """Asks to stop after an update, as a cluster's scheduler does."""

    def __init__(self, at: int) -> None:
        self.at = at

    def step(self, row: Mapping[str, float]) -> None:
        if row["step"] == self.at:
            os.kill(os.getpid(), signal.SIGTERM)

    def epoch(self, row: Mapping[str, float], answers: object) -> None:
        pass

    def best(self, model: object, row: Mapping[str, float]) -> None:
        pass


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("searches") / "whole"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("movinet.search.search_run.draw_decisions", lambda *_: None)
        patch.setattr("movinet.search.search_run.draw_network", lambda *_: None)
        assert run(folder, training=tracked(folder.parent)).finished
    return folder


def test_a_folder_with_a_network(uninterrupted: Path) -> None:
    spec = read_spec(uninterrupted / FOUND)
    assert isinstance(spec, NetworkSpec)
    told = figures(uninterrupted)
    assert told["cost"] == told["macs_per_frame"] == macs_per_frame(spec)
    assert told["fits"]
    assert abs(told["cost"] / 200_000 - 1) <= 0.1
    assert SPACE.nearest(spec)[1] == ()
    text = (uninterrupted / FOUND).read_text()
    assert text.startswith("# Found by `movinet search`")
    assert "Target 200,000 multiply-adds a frame" in text
    steps = table(uninterrupted / "steps.csv", "")
    assert len(steps) == 8
    assert {row["quality"] != "" for row in steps[:2]} == {False}  # the controller waits for a quarter of the updates
    assert {row["quality"] != "" for row in steps[2:]} == {True}
    assert read_search(uninterrupted / RECIPE).space == SPACE


def test_the_folder_explains_itself(uninterrupted: Path, tmp_path: Path) -> None:
    text = (uninterrupted / "README.md").read_text()
    for path in uninterrupted.iterdir():
        assert path.name in {"README.md", ".lock"} or f"[{path.name}]({path.name})" in text
    assert f"{figures(uninterrupted)['parameters']:,.0f} parameters" in text
    assert "movinet train" in text
    assert "--resume" not in text
    run(tmp_path / "stopped", Terminator(2))
    text = (tmp_path / "stopped" / "README.md").read_text()
    assert f"movinet search --resume {tmp_path / 'stopped'}" in text
    assert "[found.yaml]" not in text


@pytest.mark.parametrize("stops", [[1], [2, 4], [5]])
def test_a_stopped_search_comes_to_the_same_end(stops: list[int], uninterrupted: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    for n, stop in enumerate(stops):
        assert not run(folder, Terminator(stop), resume=n > 0, training=tracked(tmp_path)).finished
        assert not (folder / FOUND).exists()
    assert run(folder, resume=True, training=tracked(tmp_path)).finished
    assert table(folder / "steps.csv", "clips_per_s") == table(uninterrupted / "steps.csv", "clips_per_s")
    assert table(folder / "epochs.csv", "seconds") == table(uninterrupted / "epochs.csv", "seconds")
    ours, theirs = load_file(folder / CHECKPOINT), load_file(uninterrupted / CHECKPOINT)
    assert [name for name, value in theirs.items() if not torch.equal(ours[name], value)] == []
    assert figures(folder) == figures(uninterrupted)
    assert (folder / FOUND).read_text() == (uninterrupted / FOUND).read_text()


def test_other_clips_are_refused(uninterrupted: Path) -> None:
    others = replace(SETS, fingerprint="others")
    with pytest.raises(MovinetError, match="the clips have changed"):
        run(uninterrupted, resume=True, sets=others, training=tracked(uninterrupted.parent))


@pytest.mark.parametrize("method", ["random", "evolution"])
def test_other_methods(method: str, tmp_path: Path) -> None:
    found = run(tmp_path / "run", method=method, tries=5)
    assert found.finished
    assert found.figures is not None
    assert "entropy" not in found.figures, "of a controller that chose nothing, and `search` would call the find chance"
    assert abs(found.figures["cost"] / 200_000 - 1) <= 0.1


def test_latency_as_cost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    space = replace(SPACE, layers=((1,), (1, 2)), kernels=((1, 3, 3), (3, 3, 3)), expansions=(2.0,), hidden=(8,))
    table = measure_latencies(space, search_recipe(tmp_path).template(3), networks=8, visits=1)
    monkeypatch.setattr(
        "movinet.search.search_run.measure_latencies", lambda *_, **__: replace(table, spread=0.01, error=0.02)
    )
    changes = {"space": space, "budget": Budget(1.0, "latency", tolerance=0.99)}
    found = run(tmp_path / "run", **changes)
    assert found.finished
    assert found.figures is not None
    assert 0 < found.figures["cost"] < 1.99
    assert "1 ms a step" in (tmp_path / "run" / FOUND).read_text()
    readme = (tmp_path / "run" / "README.md").read_text()
    assert "on LiteRT" in readme
    assert "busy" not in readme + caplog.text

    (tmp_path / "run" / LATENCIES).write_text(replace(table, spread=0.3).to_json())
    run(tmp_path / "run", resume=True, **changes)
    assert "busy" in caplog.text
    assert "**Careful:** the machine was busy" in (tmp_path / "run" / "README.md").read_text()

    old = {"machine": "x86", "threads": 1, "scale": 1.0, "ends": dict(table.ends), "layers": dict(table.layers)}
    (tmp_path / "run" / LATENCIES).write_text(json.dumps(old))
    with pytest.raises(MovinetError, match=r"latencies\.json: .*PyTorch.* remove it to measure again"):
        run(tmp_path / "run", resume=True, **changes)


def test_the_super_network_learns(tmp_path: Path) -> None:
    training = replace(search_recipe(tmp_path).training, epochs=12)
    run(tmp_path / "run", training=training, controller=ControllerOptions(clips=8))
    losses = [float(row["loss"]) for row in table(tmp_path / "run" / "steps.csv", "")]
    assert np.mean(losses[-6:]) < 0.75 * np.mean(losses[:6])


def test_a_folder_in_use_and_sets_without_held_out_clips_are_refused(uninterrupted: Path, tmp_path: Path) -> None:
    with pytest.raises(MovinetError, match="holds a run already"):
        run(uninterrupted)
    with pytest.raises(MovinetError, match="held-out clips"):
        run(tmp_path / "run", sets=replace(SETS, validation=None))


def test_tracked_layers_must_always_be_there(tmp_path: Path) -> None:
    network = SuperNetwork(SPACE, template(), 0.5)
    with pytest.raises(MovinetError, match=r"blocks\.1\.2.*not every network has"):
        SupernetWithLoss(network, Loss(aux_point=AuxPoint(("blocks.1.2",))), Noise())


def test_clips_are_remembered() -> None:
    data = Noise(5, fresh=False)
    remembered = Remembered(data)
    for n in (3, 1, 3):
        for ours, theirs in zip(remembered[SampleKey(0, n)], data[SampleKey(7, n)], strict=True):
            np.testing.assert_array_equal(torch.as_tensor(ours), torch.as_tensor(theirs))
    data.clips = 0  # whoever asks again is told from memory
    assert remembered[SampleKey(0, 3)].video == 3
    assert len(Remembered(Noise(5), limit=10)) == 5


def test_processes_share_what_each_update_draws() -> None:
    whole, halves = Draws(9, 4, 2, 5, seed=1), [Draws(9, 4, 2, 5, 1, rank, 2) for rank in (0, 1)]
    together = sorted(pick.video for half in halves for pick in list(half)[:2])
    assert together == sorted(pick.video for pick in list(whole)[:4])
    assert len(list(whole)) == len(whole) == 12
    assert list(Draws(9, 4, 3, 5, seed=1)) == list(whole)[4:]  # gone on with


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"ema_decay": 0.9}, "without ema_decay"),
        ({"freeze": ("stem",)}, "without freeze"),
        ({"strategy": "recurrent"}, "without strategy"),
        ({"network": None, "init_from": "x"}, "needs a `network`"),
    ],
)
def test_what_a_search_cannot_do_is_refused(changes: dict[str, object], complaint: str, tmp_path: Path) -> None:
    recipe = search_recipe(tmp_path)
    with pytest.raises(MovinetError, match=complaint):
        replace(recipe, training=replace(recipe.training, **changes))


RECIPES = Path(__file__).parents[2] / "src" / "movinet" / "recipes"


@pytest.mark.parametrize("name", ["search_gestures", "search_a2.k600"])
def test_committed_recipes(name: str) -> None:
    recipe = read_search(RECIPES / f"{name}.yaml")
    assert from_plain(SearchRecipe, yaml.safe_load(dump_search(recipe)), "again") == recipe
    space, like = recipe.space, recipe.template(11)
    judge = CandidateEvaluator(recipe.budget, cost.macs(space, like), cost.state_bytes(space, like))
    assert judge.fits(judge.random(1, np.random.default_rng(0))).all()


def test_the_committed_network_is_of_the_committed_recipe() -> None:
    recipe, spec = read_search(RECIPES / "search_gestures.yaml"), read_spec(RECIPES / "search_gestures.found.yaml")
    assert isinstance(spec, NetworkSpec)
    point, misfits = recipe.space.nearest(spec)
    assert misfits == ()
    assert recipe.space.to_spec(point, recipe.template(11), spec.name) == spec
    assert abs(macs_per_frame(spec) / recipe.budget.target - 1) <= recipe.budget.tolerance
