"""`movinet finetune STREAMS.csv` as a user meets it: the same command as for clips, told by the data."""

import json
import shlex
from pathlib import Path

import numpy as np
import pytest
from tiny import tiny_weights
from training_sets import SIZE

from movinet.cli import main
from movinet.recognizer import Recognizer
from movinet.video.encode import encode_video
from movinet.weights.load import load_weights
from movinet.weights.safetensors_file import read_info

Capture = pytest.CaptureFixture[str]
SEGMENTS = ("calm,2,4", "dance,6,8", "calm,9,11")


@pytest.fixture(scope="module")
def streams(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four videos of 12 seconds in which something is brighter for a while, two in which nothing happens, a network."""
    folder = tmp_path_factory.mktemp("streams")
    rows = ["file,label,start,end"]
    for n in range(6):
        pixels = np.random.default_rng(n).integers(60, 100, (60, *SIZE, 3), np.uint8)
        for segment in SEGMENTS if n < 4 else ():
            label, start, end = segment.split(",")
            pixels[int(start) * 5 : int(end) * 5] += 50 if label == "calm" else 120
        encode_video(folder / f"{n}.mp4", pixels, fps=5)
        rows += [f"{n}.mp4,{segment}" for segment in SEGMENTS] if n < 4 else [f"{n}.mp4,,,"]
    (folder / "streams.csv").write_text("\n".join(rows) + "\n")
    tiny_weights(folder)
    return folder


@pytest.fixture(autouse=True)
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, without pictures and with a cache of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MOVINET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("movinet.train.train_run.draw_learning_curves", lambda *_: None)
    monkeypatch.setattr("movinet.train.train_run.draw_confusion_matrix", lambda *_: None)
    return tmp_path


def run(line: str, capfd: Capture) -> tuple[int, str, str]:
    """Exit code, stdout and stderr."""
    with pytest.raises(SystemExit) as stop:
        main(shlex.split(line))
    return int(stop.value.code or 0), *capfd.readouterr()


def finetune(streams: Path, options: str, capfd: Capture, data: str = "streams.csv") -> tuple[int, str, str]:
    usual = "--epochs 1 --batch-size 2 --frames 5 --device cpu --workers 0 --threads 1"
    line = f"finetune {streams / data} --model {streams}/tiny_stream.safetensors {usual} {options}"
    return run(line, capfd)


def test_one_file_comes_out_that_watches(streams: Path, capfd: Capture, work: Path) -> None:
    code, out, err = finetune(streams, "--memory 2 --out runs/mine", capfd)
    assert code == 0, err
    assert "event F1" in err
    assert "validation mAP " in out
    info = read_info(work / "runs" / "mine" / "model.safetensors")
    assert info.labels == ("calm", "dance", "other")  # the network it starts from calls it so
    assert info.background == "other"
    assert info.spec.decay == pytest.approx(np.exp(-1 / (2 * 5)))
    assert info.training["recipe"]["data"]["paths"] == ["streams.csv"]  # nobody else is told where it lay
    assert "side by side" in (work / "runs" / "mine" / "README.md").read_text()
    recognizer = Recognizer(load_weights(str(work / "runs" / "mine" / "model.safetensors")))
    assert recognizer.info.background == "other"
    again = run("train --resume runs/mine --device cpu", capfd)
    assert again[0] == 0
    assert "the run is finished" in again[1]


def test_a_dry_run_decodes_nothing(streams: Path, capfd: Capture, work: Path) -> None:
    code, out, err = finetune(streams, "--dry-run", capfd)
    assert code == 0, err
    assert "2 side by side for training" in out
    assert "3 classes" in out
    assert "1 known to the weights; new: calm, dance" in " ".join(out.split())
    assert list(work.iterdir()) == []


def test_programs_read_what_it_will_be(streams: Path, capfd: Capture) -> None:
    code, out, _ = finetune(streams, "--dry-run --json --background idle --answers ended", capfd)
    plan = json.loads(out)
    assert code == 0
    assert plan["classes"] == ["calm", "dance", "idle"]
    assert plan["known_classes"] == []
    assert plan["batch"] == [2, 3, 5, *SIZE]
    assert plan["recipe"]["data"]["background"] == "idle"
    assert plan["recipe"]["data"]["targets"]["known"] == 1.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--strategy recurrent", "--strategy is of clips"),
        ("--memory 0", "memory is 0"),
        ("--mined nowhere.csv", "nowhere.csv: cannot be read"),
        ("--validation night", "there is no split 'night'"),
        ("--as clips --background idle", "--background is of long videos; these are clips"),
        ("--as clips --answers ended", "--answers is of long videos; these are clips"),
    ],
)
def test_mistakes(options: str, message: str, streams: Path, capfd: Capture, work: Path) -> None:
    code, _, err = finetune(streams, options, capfd)
    assert code == 2
    assert message in err
    assert list(work.iterdir()) == []


def test_the_same_list_can_be_taken_for_clips(streams: Path, capfd: Capture) -> None:
    (streams / "clips.csv").write_text(
        "file,label,start,end\n" + "".join(f"{n}.mp4,{segment}\n" for n in range(4) for segment in SEGMENTS[:2])
    )
    _, as_streams, _ = finetune(streams, "--dry-run", capfd, "clips.csv")
    _, as_clips, _ = finetune(streams, "--dry-run --as clips", capfd, "clips.csv")
    assert "side by side" in as_streams
    assert "for train" in as_clips
