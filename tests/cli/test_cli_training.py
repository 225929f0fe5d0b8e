"""`movinet train` and `movinet finetune` as a user meets them: what comes out, and what is said of it."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from training_commands import finetune, recipe, run, table
from training_sets import clips_folder, csv_list, write_clip

from movinet.recognizer import Recognizer
from movinet.train.checkpoint import load_checkpoint
from movinet.train.recipe import read_recipe
from movinet.train.recipe_data import Videos
from movinet.weights.load import load_weights
from movinet.weights.safetensors_file import read_info

Capture = pytest.CaptureFixture[str]
pytestmark = pytest.mark.usefixtures("work")


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
