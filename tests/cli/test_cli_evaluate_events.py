"""`movinet evaluate`: a list of long videos in, figures of events out."""

import json
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from tiny import tiny_weights

from movinet import Recognizer
from movinet.cli import main
from movinet.deploy.read_manifest import read_manifest
from movinet.export.export import export
from movinet.video.encode import encode_video
from movinet.weights.load import load_weights
from movinet.weights.safetensors_file import save_weights


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["evaluate", *arguments, "--protocol", "events"])
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    for n in range(2):
        images = np.random.default_rng(n).integers(0, 256, (20, 48, 64, 3), dtype=np.uint8)
        encode_video(tmp_path / f"{n}.mp4", images, fps=5)
    (tmp_path / "streams.csv").write_text("file,label,start,end\n0.mp4,left,1,2\n0.mp4,other,3,4\n1.mp4,,,\n")
    return tmp_path / "streams.csv"


def test_it_prints_figures_for_people_and_programs(listed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = str(tiny_weights(listed.parent))
    assert run(str(listed), "--model", weights) == 0
    text = capsys.readouterr().out
    for piece in ("false alarms an hour", "missed", "left", "1 event"):
        assert piece in text
    assert run(str(listed), "--model", weights, "--json", "--target-false-alarms", "1") == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["there"] == 1, "other is background"
    assert figures["hours"] == pytest.approx(8 / 3600, rel=0.05)
    assert figures["false_alarms_an_hour"]["value"] <= 1
    assert 0 <= figures["missed"]["value"] <= 1


def test_a_video_that_cannot_be_read_does_not_end_it(listed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (listed.parent / "1.mp4").write_bytes(b"junk")
    assert run(str(listed), "--model", str(tiny_weights(listed.parent))) == 2
    told = capsys.readouterr()
    assert "1.mp4" in told.err
    assert "missed" in told.out


def test_wrong_lists_and_options_are_told(listed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = str(tiny_weights(listed.parent))
    listed.write_text("file,label,start,end\n0.mp4,jump,1,2\n")
    for more, message in (([], "no label"), (["--off-share", "0"], "--off-share"), (["--after", "-1"], "--after")):
        assert run(str(listed), "--model", weights, *more) == 2
        assert message in capsys.readouterr().err
    listed.write_text("file,label,start,end\n0.mp4,left,9,10\n")
    assert run(str(listed), "--model", weights) == 2
    assert "the video lasts 4.00 s" in capsys.readouterr().err


def test_thresholds_are_written_where_watch_finds_them(listed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tiny_weights(listed.parent)
    before = load_weights(path)
    folder = listed.parent / "exported"
    export(before, "litert", folder)
    told = ("--model", str(path), "--target-false-alarms", "1")
    assert run(str(listed), *told, "--save", "--exported", str(folder), "--memory", "2") == 0
    assert f"written into {path}, {folder}" in capsys.readouterr().out.replace("\n", " ")
    after = load_weights(path)
    assert after.hash == before.hash
    assert all(np.array_equal(after.arrays[name], array) for name, array in before.arrays.items())
    assert after.info == replace(before.info, background="other", operating_point=after.info.operating_point)
    point = after.info.operating_point
    assert point is not None
    assert (point.memory, point.precision, point.fps, point.size) == (2.0, "float32", 5.0, (24, 32))
    assert (point.ignore, point.data, point.there) == (("other",), "streams.csv", 1)
    whole = sha256(listed.read_bytes())
    for n in range(2):
        whole.update(sha256((listed.parent / f"{n}.mp4").read_bytes()).digest())
    assert point.data_sha256 == whole.hexdigest()
    assert read_manifest(folder).info.operating_point == point
    assert read_manifest(folder).info.background == "other"
    assert Recognizer.load(folder).info.operating_point == point


def test_thresholds_are_not_written_elsewhere(listed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tiny_weights(listed.parent)
    weights = load_weights(path)
    other = {name: array + 1 for name, array in weights.arrays.items()}
    save_weights(listed.parent / "other.safetensors", other, weights.info)
    for more, message in (
        (("--save",), "`movinet convert movinet_t0_stream.gestures mine.safetensors`"),
        (("--model", str(path), "--exported", str(listed.parent / "other.safetensors")), "other weights"),
    ):
        assert run(str(listed), *more) == 2
        assert message in capsys.readouterr().err.replace("\n", " ")


def test_runs_and_exported_models_stand_for_what_thresholds_go_into(
    listed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, ran = listed.parent / "exported", listed.parent / "run"
    export(load_weights(tiny_weights(listed.parent)), "onnx", folder)
    ran.mkdir()
    (listed.parent / "tiny_stream.safetensors").rename(ran / "model.safetensors")
    assert run(str(listed), "--model", str(folder / "model.onnx"), "--save", "--exported", str(ran)) == 0
    assert read_manifest(folder).info.operating_point == load_weights(ran).info.operating_point is not None
    capsys.readouterr()
    assert run(str(listed), "--model", str(ran), "--exported", str(listed)) == 2
    told = capsys.readouterr()
    assert (told.out, "streams.csv is neither" in told.err.replace("\n", " ")) == ("", True), "before it is judged"
    assert run(str(listed), "--model", str(ran), "--alarms", str(listed.parent / "nowhere" / "a.csv")) == 2
    assert "--alarms" in capsys.readouterr().err


def test_what_cannot_be_promised_is_said(listed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = str(tiny_weights(listed.parent))
    assert run(str(listed), "--model", weights) == 0
    assert "no rate of false alarms can be promised" in capsys.readouterr().err.replace("\n", " ")


def test_false_alarms_are_listed_for_training(listed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights, alarms = str(tiny_weights(listed.parent)), listed.parent / "alarms.csv"
    often = ("--target-false-alarms", "1e6", "--alarms", str(alarms))
    assert run(str(listed), "--model", weights, *often, "--json") == 0
    figures = json.loads(capsys.readouterr().out)
    head, *rows = [line.split(",") for line in alarms.read_text().splitlines()]
    assert head == ["file", "label", "start", "end"]
    assert len(rows) == sum(label["false_alarms"] for label in figures["by_label"].values()) > 0
    for file, label, start, _ in rows:
        assert Path(file) in (listed.parent / "0.mp4", listed.parent / "1.mp4")
        assert label in ("left", "right")
        assert 0 <= float(start) < 4
