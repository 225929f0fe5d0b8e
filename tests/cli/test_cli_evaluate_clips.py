"""`movinet evaluate`: sets of labeled videos in, accuracy out."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny import LABELS, tiny_spec, tiny_weights
from tiny_sets import tiny_set

from movinet.arch.spec import EnsembleSpec, MemberSpec
from movinet.cli import main, recognizing
from movinet.metrics import top_k_accuracy
from movinet.recognizer import Recognizer
from movinet.weights.safetensors_file import save_weights
from movinet.weights.weights import Weights


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MOVINET_CACHE", str(tmp_path / "cache"))
    tiny_weights(tmp_path)
    tiny_set(tmp_path / "set")
    return tmp_path


def run(line: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """Exit code, stdout, stderr of a command in whose line @ is the folder."""
    with pytest.raises(SystemExit) as ended:
        main(["evaluate", *(word.replace("@", str(folder)) for word in line.split())])
    told = capsys.readouterr()
    assert isinstance(ended.value.code, int)
    return ended.value.code, told.out, " ".join(told.err.split())


TINY = "--model @/tiny_stream.safetensors"


def figures(line: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    code, out, err = run(f"{line} --json", folder, capsys)
    assert code == 0, err
    found = json.loads(out)
    assert isinstance(found, dict)
    return found


def test_a_folder_per_class(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What `classify` says of each video, counted."""
    recognizer = Recognizer.load(folder / "tiny_stream.safetensors")
    videos = sorted((folder / "set").glob("*/*.mp4"))
    said = [recognizer(video).probabilities for video in videos]
    right = top_k_accuracy(said, [LABELS.index(video.parent.name) for video in videos])
    found = figures(f"@/set {TINY}", folder, capsys)
    assert found["top1"]["value"] == pytest.approx(right)
    assert found["protocol"]["kind"] == "stream"
    assert found["videos"] == {
        "found": 6, "missing": 0, "unknown_labels": 0, "unreadable": 0, "evaluated": 6, "shorter_than_the_clip": 0,
        "files": 6, "from_an_earlier_run": 0,
    }  # fmt: skip
    code, out, _ = run(f"@/set {TINY} --report @/report.html --protocol multi-clip --clips 2", folder, capsys)
    assert code == 0
    for piece in (
        "top-1",
        "6 videos found, 0 missing",
        "2 clips × 3 crops of 20 frames",
        "multiply-adds",
        "report.html",
    ):
        assert piece in out
    assert "2 clips × 3 crops" in (folder / "report.html").read_text()


def test_lists_of_every_kind(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    right = figures(f"@/set {TINY}", folder, capsys)["top1"]["value"]
    rows = [(f"set/{label}/{n}.mp4", label) for label in LABELS for n in range(2)]
    (folder / "a.csv").write_text("file,label\n" + "".join(f"{file},{label}\n" for file, label in rows))
    (folder / "b.jsonl").write_text("".join(f'{{"file": "{file}", "label": "{label}"}}\n' for file, label in rows))
    (folder / "c.txt").write_text("".join(f"{file} {LABELS.index(label)}\n" for file, label in rows))
    for name in ("a.csv", "b.jsonl", "c.txt"):
        assert figures(f"@/{name} {TINY}", folder, capsys)["top1"]["value"] == right
    (folder / "one.csv").write_text("file,label\nset/left/0.mp4,left\n")
    assert figures(f"@/one.csv {TINY}", folder, capsys)["videos"]["evaluated"] == 1, "one class, one video"


def test_several_labels_a_video(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "many.csv").write_text("file,labels\nset/left/0.mp4,left|other\nset/left/1.mp4,\nset/other/0.mp4,other\n")
    found = figures(f"@/many.csv {TINY} --report @/r.html", folder, capsys)
    assert found["top1"] is None
    assert 0 < found["mean_average_precision"]["value"] <= 1
    assert found["stream"]["score"][-1]["value"] == pytest.approx(found["mean_average_precision"]["value"])
    code, out, _ = run(f"@/many.csv {TINY} --protocol clip", folder, capsys)
    assert code == 0
    assert "mean average precision" in out


def test_splits_and_what_is_missing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "a.csv").write_text(
        "file,label,split\nset/left/0.mp4,left,train\nset/left/1.mp4,left,test\nset/right/9.mp4,right,test\n"
        "set/right/0.mp4,right,0\n"
    )
    code, _, err = run(f"@/a.csv {TINY}", folder, capsys)
    assert code == 2
    assert "1 of 4 listed videos missing" in err
    found = figures(f"@/a.csv {TINY} --skip-missing", folder, capsys)
    assert (found["videos"]["found"], found["videos"]["missing"]) == (1, 1)
    assert "split test without train, 0" in found["data"]
    both = figures(f"@/a.csv {TINY} --skip-missing --split 0 --split train", folder, capsys)
    assert both["videos"]["evaluated"] == 2


def test_what_cannot_be_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny_weights(folder, causal=False)
    (folder / "empty").mkdir()
    (folder / "long.csv").write_text("file,label,start,end\nset/left/0.mp4,left,1,2\nset/left/1.mp4,,,\n")
    (folder / "a.csv").write_text("file,label\nset/left/0.mp4,jump\nset/left/1.mp4,left\n")
    for line, message in (
        ("", "give a folder or a list"),
        (f"@/set --gestures 3 {TINY}", "give a folder or a list"),
        (f"@/empty {TINY}", "no videos"),
        (f"@/nowhere {TINY}", "no such file"),
        (f"@/a.csv {TINY}", "1 of 2 labels of the set are no classes of tiny_stream.test: 'jump'"),
        ("@/set --protocol stream --model @/tiny_base.safetensors", "cannot stream"),
        ("@/set --protocol stream --model movinet_a0_base --offline", "movinet_a0_base sees whole clips and cannot"),
        ("@/long.csv --protocol events --model movinet_a6_base.k600 --offline", "sees whole clips and cannot stream"),
        (f"@/set {TINY} --clips 0", "--clips"),
        (f"@/set {TINY} --protocol stream --frames 3", "mean nothing"),
        (f"@/set {TINY} --protocol clip --crops 3", "--crops belongs to --protocol multi-clip"),
        (f"@/set {TINY} --save", "--save belongs to --protocol events"),
        (f"@/long.csv {TINY} --protocol events --report @/r.html", "--report does not go with --protocol events"),
        (f"@/set {TINY} --report @/x.pdf", "--report"),
        (f"@/set {TINY} --split nine", "no split nine"),
        (f"@/set {TINY} --folder-fps 0", "--folder-fps"),
        (f"@/set {TINY} --results @/a.csv", "no file of answers of ours"),
        (f"@/long.csv {TINY}", "what happens in them: --protocol events"),
    ):
        code, out, err = run(line, folder, capsys)
        assert code == 2
        assert message in err
        assert not out
    code, _, err = run(f"@/a.csv {TINY} --skip-unknown", folder, capsys)
    assert code == 0
    assert "1 video left out" in err


def test_a_broken_video_does_not_end_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "set" / "left" / "0.mp4").write_bytes(b"junk")
    code, out, err = run(f"@/set {TINY} --results @/answers.jsonl", folder, capsys)
    assert code == 2
    assert "5 evaluated" in out
    assert "0.mp4" in err
    assert "1 video could not be read" in err
    assert len((folder / "answers.jsonl").read_text().splitlines()) == 6
    _, out, err = run(f"@/set {TINY} --results @/answers.jsonl", folder, capsys)
    assert "5 answers of an earlier run" in err


def test_base_networks_and_short_videos(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[str] = []
    monkeypatch.setattr(recognizing, "keep_freed_memory", lambda: kept.append("memory"))
    tiny_weights(folder, causal=False)
    code, out, err = run("@/set --model @/tiny_base.safetensors", folder, capsys)
    assert code == 0
    assert "one clip of 20 frames" in out
    assert "torch in float32" in out
    assert "6 of 6 videos are shorter than the protocol's clip: their last frame is held" in err
    assert kept == ["memory"], "which takes up to half of a whole clip's time, taken anew for each"


def test_more_frames_than_there_are_are_not_made_up(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(f"@/set {TINY} --frames 3000", folder, capsys)
    assert code == 0
    assert "one clip of up to 3000 frames" in out
    assert "(20 frames)" in out  # the network's own, and more than there are
    assert "shown whole, not 3000 frames, and the last is held up to the network's own 20 frames alone" in err


def test_exported_quantized_and_joined_networks(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wanted = figures(f"@/set {TINY}", folder, capsys)
    with pytest.raises(SystemExit):
        main(["export", str(folder / "tiny_stream.safetensors"), "--to", "litert", "--out", str(folder / "out")])
    capsys.readouterr()
    exported = figures("@/set --model @/out", folder, capsys)
    assert exported["top1"] == wanted["top1"]
    assert "its own file, litert" in exported["engine"]
    assert exported["cost"]["multiply_adds_a_video"] == wanted["cost"]["multiply_adds_a_video"]
    (file,) = (folder / "out").glob("*.tflite")
    assert figures(f"@/set --model {file}", folder, capsys)["top1"] == wanted["top1"]
    assert "int8" in figures(f"@/set {TINY} --precision int8", folder, capsys)["engine"]
    assert "torch" in figures(f"@/set {TINY} --engine torch", folder, capsys)["engine"]


def test_an_ensemble(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    members = (MemberSpec(tiny_spec()), MemberSpec(tiny_spec().with_options(size=(16, 16))))
    spec = EnsembleSpec("pair", members, (24, 32), 5.0, 20)
    weights = Weights.untrained(spec, seed=1)
    info = weights.info.with_labels(LABELS)
    save_weights(folder / "pair.safetensors", weights.arrays, info)
    recognizer = Recognizer.load(folder / "pair.safetensors")
    said = np.stack([recognizer(video).probabilities for video in sorted((folder / "set").glob("*/*.mp4"))])
    for protocol in ("stream", "clip"):
        found = figures(f"@/set --model @/pair.safetensors --protocol {protocol}", folder, capsys)
        assert found["engine"] == "ensemble in float32"
    targets = [LABELS.index(video.parent.name) for video in sorted((folder / "set").glob("*/*.mp4"))]
    stream = figures("@/set --model @/pair.safetensors", folder, capsys)
    assert stream["top1"]["value"] == pytest.approx(top_k_accuracy(said, targets))


def test_synthetic_gestures(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = figures("--gestures 11", folder, capsys)
    assert found["videos"]["evaluated"] == 11
    assert found["top1"]["value"] > 0.7, "which the bundled network was trained for"
    assert len(found["by_class"]) == 11
