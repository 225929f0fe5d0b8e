"""`movinet search` as a user meets it: what comes out, and what is said of every mistake."""

import json
import shlex
from pathlib import Path

import pytest
import yaml

from movinet.arch.serialize import read_spec
from movinet.cli import main
from movinet.weights.safetensors_file import read_info

Capture = pytest.CaptureFixture[str]
RECIPE = {
    "budget": {"target": 150_000, "tolerance": 0.1},
    "space": {
        "widths": [8, 8, 16],
        "project": 32,
        "hidden": [16],
        "layers": [[1], [1, 2]],
        "strides": [2, 2],
        "expansions": [2, 3],
        "kernels": [[1, 3, 3], [3, 3, 3]],
    },
    "controller": {"clips": 11},
    "training": {
        "network": "movinet_t0_stream",
        "options": {"size": [24, 32], "fps": 2.5, "frames": 4},
        "data": {"kind": "gestures", "clips": 16, "frames": [4], "validation": 11, "test": 11},
        "rezero_init": 0.2,
        "epochs": 2,
        "batch_size": 4,
        "optimizer": {"kind": "adamw", "lr": 2e-3},
    },
}


def run(line: str, capfd: Capture) -> tuple[int, str, str]:
    """Exit code, stdout and stderr."""
    with pytest.raises(SystemExit) as stop:
        main(shlex.split(line))
    return int(stop.value.code or 0), *capfd.readouterr()


@pytest.fixture(autouse=True)
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text(yaml.safe_dump(RECIPE))
    return tmp_path


def test_from_a_recipe_to_a_network_that_trains(capfd: Capture) -> None:
    code, out, err = run("search mine.yaml --workers 0 --threads 1", capfd)
    assert code == 0, err
    assert "runs/mine/found.yaml: the specification" in out
    assert "epoch 2/2  expected cost" in err
    assert "this network is chance" in " ".join(err.split()), "eight updates settle nothing"
    spec = read_spec("runs/mine/found.yaml")
    assert spec.num_classes == 11
    for picture in ("decisions.png", "found.png"):
        assert Path("runs/mine", picture).stat().st_size > 5000
    code, out, err = run("train runs/mine/training.yaml --out trained --epochs 1 --workers 0 --threads 1", capfd)
    assert code == 0, err
    assert read_info("trained/model.safetensors").spec == spec
    code, out, err = run("train runs/mine/training.yaml --arch runs/mine/found.yaml --dry-run", capfd)
    assert code == 0, err
    assert spec.name in out
    before = Path("runs/mine/found.yaml").read_text()
    code, _, err = run("search --resume runs/mine --workers 0 --threads 1", capfd)
    assert code == 0, err
    assert Path("runs/mine/found.yaml").read_text() == before, "nothing was left to do"


def test_json(capfd: Capture) -> None:
    code, out, _ = run("search mine.yaml --workers 0 --threads 1 --json --target 170e3 --seed 3", capfd)
    rows = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert [row["type"] for row in rows] == [*["step"] * 4, "epoch", *["step"] * 4, "epoch", "result"]
    assert rows[-1]["finished"]
    assert abs(rows[-1]["figures"]["cost"] / 170e3 - 1) <= 0.1
    assert yaml.safe_load(Path("runs/mine/recipe.yaml").read_text())["training"]["seed"] == 3


def test_a_dry_run_writes_nothing(capfd: Capture) -> None:
    code, out, _ = run("search mine.yaml --dry-run", capfd)
    assert code == 0
    for part in ("3.5e+03 networks", "150k multiply-adds a frame, within 10%", "16 for weights, 11 held out", "8 = 2"):
        assert part in out
    code, out, _ = run("search mine.yaml --dry-run --json", capfd)
    assert json.loads(out)["updates"] == 8
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("search", "give a recipe, or a search to go on with"),
        ("search --resume nowhere", "no search's folder"),
        ("search --resume here --target 1", "--target: a search goes on as and where it began"),
        ("search missing.yaml", "missing.yaml: there is no such file, and it is none of the recipes"),
        ("search mine.yaml --target 1", "no network of the space fits the budget"),
        ("search mine.yaml --data clips", "searches with synthetic gestures"),
        ("search mine.yaml --checkpoint-minutes 0", "must be positive"),
        ("search odd.yaml", "search: there is no entry 'budgets'"),
    ],
)
def test_mistakes(line: str, complaint: str, capfd: Capture) -> None:
    Path("odd.yaml").write_text("budgets: 3")
    code, _, err = run(line, capfd)
    assert code == 2
    assert complaint in " ".join(err.split())
    assert not Path("runs").exists()
