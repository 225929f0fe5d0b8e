"""`movinet train` and `finetune` given what cannot be: one sentence, and nothing half done."""

import shutil
import sys
from pathlib import Path

import pytest
from training_commands import finetune, recipe, run
from training_sets import clips_folder, csv_list, write_clip

RECIPES = Path(__file__).parents[2] / "src" / "movinet" / "recipes"
Capture = pytest.CaptureFixture[str]
pytestmark = pytest.mark.usefixtures("work")


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


def test_a_run_does_not_go_on_with_another_network(files: Path, capfd: Capture, work: Path) -> None:
    """The file it began with was written over since, by one of the same parameters that forgets."""
    clips_folder(work / "clips", {"a": 3, "b": 3})
    shutil.copy(files / "tiny_stream.safetensors", "mine.safetensors")
    options = "--epochs 1 --batch-size 4 --frames 4 --device cpu --workers 0 --threads 1 --held-out 0 --out run"
    assert run(f"finetune clips --model mine.safetensors {options}", capfd)[0] == 0
    (work / "run/metrics.json").unlink()  # written at the end
    assert run(f"convert {files}/tiny_stream.safetensors mine.safetensors --force --option decay=0.5", capfd)[0] == 0
    code, _, err = run("train --resume run", capfd)
    assert code == 2
    assert "another recipe or version: network.decay was 1.0 and is 0.5; a run goes on as it began" in err


def test_a_run_among_its_clips_is_refused(files: Path, capfd: Capture, work: Path) -> None:
    clips_folder(work / "clips", {"a": 3, "b": 3})
    code, _, err = finetune(files, "clips", "--out clips/run", capfd)
    assert code == 2
    assert "taken for a class" in err
    assert not (work / "clips/run").exists()
