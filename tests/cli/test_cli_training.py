"""`movinet train` and `movinet finetune` as a user meets them: what comes out, and what is said of every mistake."""

import csv
import json
import shlex
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file
from tiny import tiny_weights
from training_sets import as_file, clips_folder, csv_list, write_clip

from movinet.cli import main
from movinet.recognizer import Recognizer
from movinet.train.checkpoint import load_checkpoint
from movinet.train.recipe import read_recipe
from movinet.train.recipe_data import Videos
from movinet.weights.load import load_weights
from movinet.weights.safetensors_file import read_info

RECIPES = Path(__file__).parents[2] / "src" / "movinet" / "recipes"
Capture = pytest.CaptureFixture[str]


def run(line: str, capfd: Capture) -> tuple[int, str, str]:
    """Exit code, stdout and stderr."""
    with pytest.raises(SystemExit) as stop:
        main(shlex.split(line))
    return int(stop.value.code or 0), *capfd.readouterr()


@pytest.fixture(autouse=True)
def work(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in. Without `pictures`, which take most of the time, unless a test wants them."""
    monkeypatch.chdir(tmp_path)
    if "pictures" not in request.fixturenames:
        monkeypatch.setattr("movinet.train.train_run.draw_learning_curves", lambda *_: None)
        monkeypatch.setattr("movinet.train.train_run.draw_confusion_matrix", lambda *_: None)
    return tmp_path


@pytest.fixture
def pictures() -> None:
    """They are drawn."""


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips of three classes and of two, and networks to start from."""
    folder = tmp_path_factory.mktemp("training")
    clips_folder(folder / "three", {"calm": 4, "dance": 4, "jump": 4})
    clips_folder(folder / "two", {"no": 4, "yes": 4})
    tiny_weights(folder)
    tiny_weights(folder, causal=False)
    return folder


def finetune(files: Path, data: str, options: str, capfd: Capture, network: str = "stream") -> tuple[int, str, str]:
    """Two short epochs, if nothing else is said."""
    basic = {"--epochs": 2, "--batch-size": 4, "--frames": 4, "--device": "cpu", "--workers": 0, "--threads": 1}
    usual = " ".join(f"{name} {value}" for name, value in basic.items() if name not in options)
    return run(f"finetune {data} --model {files}/tiny_{network}.safetensors {usual} {options}", capfd)


def recipe(folder: Path, files: Path, **changes: object) -> Path:
    """A recipe as a user would write it."""
    what: dict[str, object] = {
        "network": str(as_file(folder)),
        "data": {"kind": "videos", "paths": [str(files / "three")]},
        "clips": {"frames": 4},
        "optimizer": {"kind": "adamw", "lr": 0.01},
        "epochs": 2,
        "batch_size": 4,
    }
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump({k: v for k, v in (what | changes).items() if v is not None}))
    return path


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_one_file_comes_out_that_everything_takes(files: Path, capfd: Capture, pictures: None, work: Path) -> None:
    rows = [(f"{label}/{n}.mp4", label, split) for label in ("calm", "dance", "jump") for n, split in enumerate(SPLITS)]
    csv_list(work / "list.csv", rows)
    options = f"--videos {files / 'three'} --size 32 40 --fps 10 --out 'runs/my run'"
    code, out, err = finetune(files, "list.csv", options, capfd)
    folder = work / "runs" / "my run"
    assert code == 0, err
    assert "epoch 1/2  loss " in err
    assert "best so far" in err
    assert "validation top-1 " in out
    assert "test top-1 " in out
    assert "movinet classify VIDEO --model 'runs/my run/model.safetensors'" in out
    made = {"README.md", "checkpoint.safetensors", "confusion.png", "curves.png", "epochs.csv", "metrics.json"}
    made |= {"model.safetensors", "recipe.yaml", "sessions.json", "steps.csv", "tensorboard", "test_answers.csv"}
    assert {path.name for path in folder.iterdir()} - {".lock"} == made | {"test_confusion.png"}

    info = read_info(folder / "model.safetensors")
    assert info.labels == ("calm", "dance", "jump")
    assert (info.transform.size, info.transform.fps, info.spec.frames) == ((32, 40), 10, 4)
    assert info.training["recipe"]["init_from"] == "tiny_stream.safetensors"  # nobody else is told where it lay
    assert read_recipe(folder / "recipe.yaml").init_from == str(files / "tiny_stream.safetensors")
    scores = info.training["scores"]
    assert scores == json.loads((folder / "metrics.json").read_text())["scores"]
    assert info.accuracy["test top1"] == round(100 * scores["test_top1"], 2)
    answers = table(folder / "test_answers.csv")
    assert [row["labels"] for row in answers] == ["calm", "dance", "jump"]
    said = [max(info.labels, key=lambda label: float(row[f"p({label})"])) for row in answers]
    right = [said == row["labels"] for said, row in zip(said, answers, strict=True)]
    assert sum(right) / 3 == pytest.approx(scores["test_top1"])

    recognizer = Recognizer.load(folder / "model.safetensors")
    predictions = [recognizer.classify(files / "three" / label / "3.mp4") for label in info.labels]
    assert [prediction.label for prediction in predictions] == said
    code, out, _ = run(f"classify {files}/three/jump/0.mp4 --model '{folder}/model.safetensors'", capfd)
    assert code == 0
    assert all(label in out for label in info.labels)


SPLITS = ("train", "train", "val", "test")


@pytest.mark.parametrize(("network", "options"), [("base", ""), ("stream", "--strategy recurrent --sub-clip 3")])
def test_telling_yes_from_no(files: Path, network: str, options: str, capfd: Capture, work: Path) -> None:
    rows = [(f"{label}/{n}.mp4", label, split) for label in ("no", "yes") for n, split in enumerate(SPLITS)]
    csv_list(work / "list.csv", rows)
    code, _, err = finetune(files, "list.csv", f"--videos {files / 'two'} --out run {options}", capfd, network)
    assert code == 0, err
    test = json.loads((work / "run/metrics.json").read_text())["test"]
    assert test["clips"] == 2
    assert test["recall"].keys() == {"no", "yes"}
    assert 0 <= test["telling yes"]["precision"] <= 1
    assert Recognizer.load(work / "run/model.safetensors").classify(files / "two/no/0.mp4").label in {"no", "yes"}


def test_several_labels_a_clip(files: Path, capfd: Capture, work: Path) -> None:
    labels = ("calm", "calm|dance", "jump", "")
    rows = [(f"calm/{n}.mp4", label, split) for split in ("train", "val", "test") for n, label in enumerate(labels)]
    csv_list(work / "list.csv", rows)
    code, out, err = finetune(files, "list.csv", f"--videos {files / 'three'} --out run", capfd)
    assert code == 0, err
    assert "mAP" in err
    assert "validation mAP" in out
    info = read_info(work / "run/model.safetensors")
    assert info.multi_label
    assert info.labels == ("calm", "dance", "jump")
    assert info.training["scores"].keys() >= {"validation_map", "test_map"}
    prediction = Recognizer.load(work / "run/model.safetensors").classify(files / "three/calm/0.mp4")
    assert not 0.99 < prediction.probabilities.sum() < 1.01
    assert table(work / "run/test_answers.csv")[1]["labels"] == "calm|dance"


def test_frozen_parts_keep_weights_and_statistics(files: Path, capfd: Capture, work: Path) -> None:
    code, *_ = finetune(files, str(files / "three"), "--freeze stem --freeze blocks.0 --out run", capfd)
    assert code == 0
    before, after = load_file(files / "tiny_stream.safetensors"), load_file(work / "run/model.safetensors")
    frozen = {name for name in after if name.startswith(("stem", "blocks.0"))}
    statistics = {name for name in after if name.endswith(("running_mean", "running_var", "num_batches_tracked"))}
    assert {name for name in after if torch.equal(after[name], before[name])} == frozen | statistics
    assert frozen - statistics


def test_the_best_is_kept(files: Path, capfd: Capture, work: Path) -> None:
    code, *_ = finetune(files, str(files / "three"), "--epochs 5 --lr 0.1 --held-out 0.5 --out run", capfd)
    assert code == 0
    epochs = table(work / "run/epochs.csv")
    scores = read_info(work / "run/model.safetensors").training["scores"]
    # Of several with the best score, the one with the least loss.
    best = max(epochs, key=lambda row: (float(row["validation_top1"]), -float(row["validation_loss"])))
    assert scores["epoch"] == int(best["epoch"])
    assert scores["validation_top1"] == float(best["validation_top1"])
    assert scores["validation_loss"] == float(best["validation_loss"])


def test_without_validation_the_last_is_kept(files: Path, capfd: Capture, work: Path) -> None:
    code, out, err = finetune(files, str(files / "three"), "--held-out 0 --out run", capfd)
    assert code == 0
    assert "top-1" not in out + err
    kept = load_file(work / "run/model.safetensors")
    average = load_checkpoint(work / "run/checkpoint.safetensors").tensors["average"]
    assert [name for name, value in kept.items() if not torch.equal(value, average[name])] == []
    assert read_info(work / "run/model.safetensors").training["scores"] == {"epoch": 2}


@pytest.mark.parametrize("workers", [0, 1])
def test_clips_that_cannot_be_read_are_replaced(files: Path, workers: int, capfd: Capture, work: Path) -> None:
    clips_folder(work / "clips", {"a": 3, "b": 3})
    (work / "clips/a/0.mp4").write_text("not a video")
    write_clip(work / "clips/a/1.mp4", 100, frames=1)  # and one of one frame
    code, _, err = finetune(files, "clips", f"--held-out 0 --out run --workers {workers}", capfd)
    assert code == 0, err
    warnings = [line for line in err.splitlines() if line.startswith("! ")]
    assert len(warnings) == 1
    assert "clips/a/0.mp4: not a video" in warnings[0]


@pytest.mark.parametrize("workers", [0, 1])
def test_nothing_can_be_read(files: Path, workers: int, capfd: Capture, work: Path) -> None:
    for label in ("a", "b"):
        (work / "clips" / label).mkdir(parents=True)
        for n in range(3):
            (work / "clips" / label / f"{n}.mp4").write_bytes(b"junk")
    code, _, err = finetune(files, "clips", f"--workers {workers} --out run", capfd)
    assert code == 2
    last = err.strip().splitlines()[-1]
    assert last.startswith("movinet: none of 6 videos")
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("finetune @", "give the weights to start from: --model movinet_a0_stream.k600"),
        ("finetune empty --model @/tiny_stream.safetensors", "no videos"),
        ("finetune one --model @/tiny_stream.safetensors", "all videos are of one class, calm"),
        ("finetune gone.csv --model @/tiny_stream.safetensors", "2 of 3 listed videos missing"),
        ("finetune absent --model @/tiny_stream.safetensors", "absent: no such file or folder"),
        ("finetune --model @/tiny_stream.safetensors", "give a folder of clips"),
        ("finetune @/two --model absent.safetensors", "absent.safetensors"),
        ("finetune @/two --model @/tiny_base.safetensors --strategy recurrent", "a base network sees clips whole"),
        ("finetune @/two --model @/tiny_stream.safetensors --flip 2", "flip"),
        ("finetune @/two --model @/tiny_stream.safetensors --flip 0.5 --swap no maybe", "maybe"),
        ("finetune @/two --model @/tiny_stream.safetensors --swap calm jump", "give --flip"),
        ("finetune @/two --model @/tiny_stream.safetensors --bptt-clips 2", "need the strategy recurrent"),
        ("finetune @/two --model @/tiny_stream.safetensors --fps 0", "fps"),
        ("finetune @/two --model @/tiny_stream.safetensors --frames 0", "frames"),
        ("finetune @/two --model @/tiny_stream.safetensors --sub-clip 0", "sub_clip"),
        ("finetune @/two --model @/tiny_stream.safetensors --size 0 32", "size"),
        ("finetune @/two --model @/tiny_stream.safetensors --lr 0", "lr"),
        ("finetune @/two --model @/tiny_stream.safetensors --lr nan", "lr"),
        ("finetune @/two --model @/tiny_stream.safetensors --epochs 0", "epochs"),
        ("finetune @/two --model @/tiny_stream.safetensors --freeze trunk", "trunk"),
        ("finetune @/two --model @/tiny_stream.safetensors --freeze stem --freeze blocks --freeze head", "freeze less"),
        ("finetune @/two --model @/tiny_stream.safetensors --test 7", "there is no split '7'"),
        ("finetune @/two --model @/tiny_stream.safetensors --held-out 1.5", "held_out"),
        ("finetune @/two --model @/tiny_stream.safetensors --processes 0", "--processes must be at least 1"),
        ("finetune @/two --model @/tiny_stream.safetensors --workers -1", "--workers"),
        ("finetune @/two --model @/tiny_stream.safetensors --device tpu", "there is no such device"),
        ("finetune @/two --model @/tiny_stream.safetensors --processes 9 --batch-size 8", "9 processes cannot share"),
        ("finetune @/two --model @/tiny_stream.safetensors --checkpoint-minutes 0", "--checkpoint-minutes"),
        ("train", "give a recipe, or a run to go on with"),
        ("train absent.yaml", "absent.yaml: there is no such file"),
        ("train @/two", "cannot read the recipe"),
        ("train nodata.yaml", "give --data"),
        ("train %/movinet_a0_stream.k600.yaml", "give --data"),
        ("train nodata.yaml --data absent", "absent: no such file or folder"),
        ("train odd.yaml", "odd.yaml: recipe: "),
        ("train gestures.yaml --data @/two", "trains on synthetic gestures"),
        ("train --resume empty", "no run's folder"),
        ("train nodata.yaml --data @/two --arch absent", "absent"),
    ],
)
def test_mistakes(line: str, message: str, files: Path, capfd: Capture, work: Path) -> None:
    (work / "empty").mkdir()
    clips_folder(work / "one", {"calm": 2}, frames=1)
    csv_list(work / "gone.csv", [("one/calm/0.mp4", "a", ""), ("x.mp4", "b", ""), ("y.mp4", "b", "")], "file,label,x")
    recipe(work, files, data=None).rename(work / "nodata.yaml")
    recipe(work, files, epoch=3).rename(work / "odd.yaml")
    recipe(work, files, data={"kind": "gestures", "clips": 4, "frames": [4]}, clips=None).rename(work / "gestures.yaml")
    before = sorted(work.rglob("*"))
    code, out, err = run(line.replace("@", str(files)).replace("%", str(RECIPES)), capfd)
    assert (code, out) == (2, "")
    assert err.startswith("movinet: ")
    assert message in err
    assert sorted(work.rglob("*")) == before  # not half a run that stands in the way of the next


def test_a_loss_that_explodes(files: Path, capfd: Capture, work: Path) -> None:
    code, _, err = finetune(files, str(files / "two"), "--lr 1e30 --out run", capfd)
    assert code == 2
    assert "a lower learning rate may help" in err
    assert not (work / "run/model.safetensors").exists()


def test_without_the_training_packages(files: Path, capfd: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lightning_fabric", None)
    code, _, err = finetune(files, str(files / "two"), "--out run", capfd)
    assert code == 2
    assert "pip install 'movinet[train]'" in err
    assert not Path("run").exists()


def test_a_recipe_and_how_it_goes_on(files: Path, capfd: Capture, work: Path) -> None:
    path = recipe(work, files, data=None)
    given = f"--data {files / 'two'} --epochs 1 --batch-size 3 --seed 7 --device cpu --workers 0 --threads 1"
    code, _, err = run(f"train {path} {given}", capfd)
    assert code == 0, err
    folder = work / "runs/mine"
    assert read_recipe(folder / "recipe.yaml") == replace(
        read_recipe(path), data=Videos((str(files / "two"),)), epochs=1, batch_size=3, seed=7
    )
    code, _, err = run(f"train {path} {given}", capfd)
    assert code == 2
    assert "runs/mine: holds a run already; go on with it (--resume runs/mine)" in err
    for option in ("--epochs 3", "--seed 0", "--out other", "--videos x", "--data x", "--arch x", "--batch-size 1"):
        code, _, err = run(f"train --resume {folder} {option}", capfd)
        assert code == 2
        assert option.partition(" ")[0] in err
    code, out, _ = run(f"train --resume {folder}", capfd)
    assert code == 0
    assert "the run is finished" in out
    assert "validation top-1" in out
    model = (folder / "model.safetensors").read_bytes()
    (folder / "metrics.json").unlink()
    (folder / "checkpoint.safetensors").write_bytes(b"garbage")
    code, _, err = run(f"train --resume {folder}", capfd)
    assert code == 2
    assert "checkpoint.safetensors: no checkpoint, or cut short or damaged" in err
    assert (folder / "model.safetensors").read_bytes() == model


def test_a_dry_run_writes_nothing(files: Path, capfd: Capture, work: Path) -> None:
    path = recipe(work, files, strategy="recurrent", sub_clip=2, warmup_epochs=1)
    before = sorted(work.rglob("*"))
    code, out, err = run(f"train {path} --dry-run --processes 2 --nodes 2 --device cpu", capfd)
    assert (code, err) == (0, "")
    for text in ("tiny_stream, from scratch", "9 for train, 3 for validation; 3 classes", "1×3×4×24×32", "2 frames at"):
        assert text in out
    assert "updates   4 = 2 epochs of 2" in out
    assert "MiB" in out
    code, out, _ = run(f"train {path} --dry-run --json --device cpu", capfd)
    plan = json.loads(out)
    assert plan["clips"] == {"train": 9, "validation": 3}
    assert plan["recipe"]["strategy"] == "recurrent"
    assert (plan["steps"], plan["sub_clip"], plan["batch"]) == (6, 2, [3, 3, 4, 24, 32])
    code, out, _ = finetune(files, str(files / "two"), "--dry-run", capfd)
    assert f"from {files}/tiny_stream.safetensors" in out
    assert sorted(work.rglob("*")) == before


def test_what_programs_read(files: Path, capfd: Capture, work: Path) -> None:
    (work / "clips").mkdir()
    clips_folder(work / "clips", {"a": 3, "b": 1})
    code, out, err = finetune(files, "clips", "--json --out run --batch-size 2", capfd)
    assert code == 0
    assert err == "! too few videos to hold any out: there is no validation\n"
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["type"] for line in lines] == ["step", "step", "epoch"] * 2 + ["result"]
    assert lines[0].keys() >= {"step", "epoch", "loss", "lr", "clips_per_s"}
    assert lines[-1] == {"type": "result", "folder": "run", "finished": True, "scores": {"epoch": 2}}


@pytest.mark.parametrize("command", ["train", "finetune"])
def test_help(command: str, capfd: Capture) -> None:
    code, out, _ = run(f"{command} --help", capfd)
    assert code == 0
    assert "Examples" in out
    for option in ("--device", "--processes", "--workers", "--out", "--dry-run", "--json", "--checkpoint-minutes"):
        assert option in out


def test_a_run_does_not_go_on_with_other_clips(files: Path, capfd: Capture, work: Path) -> None:
    clips_folder(work / "clips", {"a": 3, "b": 3})
    assert finetune(files, "clips", "--held-out 0 --out run", capfd)[0] == 0
    write_clip(work / "clips/a/new.mp4", 5)
    (work / "run/metrics.json").unlink()  # written at the end
    code, _, err = run("train --resume run", capfd)
    assert code == 2
    assert "the clips have changed since this run began" in err
    (work / "clips/a/new.mp4").unlink()
    kept = (work / "clips/b/1.mp4").read_bytes()
    write_clip(work / "clips/b/1.mp4", 5)
    code, _, err = run("train --resume run", capfd)
    assert code == 2
    assert "have changed since this run began (" in err
    assert "clips/b/1.mp4)" in err
    (work / "clips/b/1.mp4").write_bytes(kept)
    what = work / "run/recipe.yaml"
    what.write_text(what.read_text().replace("epochs: 2", "epochs: 3"))
    code, _, err = run("train --resume run", capfd)
    assert code == 2
    assert "another recipe or version: epochs was 2 and is 3" in err


def test_what_so_few_clips_show_is_said(files: Path, capfd: Capture, work: Path) -> None:
    clips_folder(work / "clips", {"a": 4, "b": 4})
    code, out, err = finetune(files, "clips", "--dry-run", capfd)
    assert code == 0
    assert "! 2 validation clips: even if all are right, that means 34% to 100%" in err
    code, out, err = finetune(files, "clips", "--out run", capfd)
    assert code == 0, err
    assert "(of 2 clips; 95 %: " in out
    assert "training" in out
    told = json.loads((work / "run/metrics.json").read_text())
    assert told["intervals"]["validation_top1"]["clips"] == 2
    assert told["compared"] in out
    assert told["compared"][1:] in (work / "run/README.md").read_text()
    first, *_ = table(work / "run/steps.csv")
    assert float(first["lr"]) > 0


def test_scores_are_of_the_clips_that_could_be_read(files: Path, capfd: Capture, work: Path) -> None:
    clips_folder(work / "clips", {"a": 3, "b": 3})
    (work / "clips/a/0.mp4").write_text("not a video")
    rows = [(f"{label}/{n}.mp4", label, "val" if n < 2 else "train") for label in "ab" for n in range(3)]
    csv_list(work / "list.csv", rows)
    code, out, err = finetune(files, "list.csv", "--videos clips --epochs 1 --out run", capfd)
    assert code == 0, err
    assert "(of 3 clips; 95 %: " in out
    assert json.loads((work / "run/metrics.json").read_text())["intervals"]["validation_top1"]["clips"] == 3


def test_a_run_keeps_its_network(files: Path, capfd: Capture, work: Path) -> None:
    path = recipe(work, files)
    assert run(f"train {path} --out run --device cpu --workers 0 --threads 1", capfd)[0] == 0
    for other in work.glob("*.yaml"):
        other.unlink()
    code, _, err = run("train --resume run --device cpu --workers 0 --threads 1", capfd)
    assert code == 0, err


def test_a_run_among_its_clips_is_refused(files: Path, capfd: Capture, work: Path) -> None:
    clips_folder(work / "clips", {"a": 3, "b": 3})
    code, _, err = finetune(files, "clips", "--out clips/run", capfd)
    assert code == 2
    assert "taken for a class" in err
    assert not (work / "clips/run").exists()


def test_weights_are_loaded_once(
    files: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = []

    def load(name: str, **options: object) -> object:
        loaded.append(name)
        return load_weights(name, **options)

    monkeypatch.setattr("movinet.cli.training.load_weights", load)
    monkeypatch.setattr("movinet.train.init_model.load_weights", load)
    code, *_ = finetune(files, str(files / "two"), "--dry-run", capfd)
    assert code == 0
    assert len(loaded) == 1
