"""`movinet data check` and `movinet data shard` as a user meets them."""

import json
from pathlib import Path

import numpy as np
import pytest

from movinet.cli import main
from movinet.video.encode import encode_video

Capture = pytest.CaptureFixture[str]


def run(capfd: Capture, *tokens: object, command: str = "check") -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        main(["data", command, *map(str, tokens)])
    return int(stop.value.code or 0), *capfd.readouterr()


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    for seed, name in enumerate(("tick/1.mp4", "tick/2.mp4", "star/1.mp4")):
        path = tmp_path / "clips" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(seed).integers(0, 256, (6, 32, 48, 3), dtype=np.uint8)
        encode_video(path, pixels, fps=5)
    return tmp_path / "clips"


def test_a_sound_set(clips: Path, tmp_path: Path, capfd: Capture) -> None:
    code, out, err = run(capfd, clips, "--sheet", tmp_path / "sheet.png", "--workers", 2)
    assert code == 0
    assert err == ""
    for text in ("a folder per class", "3 clips of 2 classes", "1.20 s", "32×48 (3)", "nothing wrong", "sheet.png"):
        assert text in out
    assert (tmp_path / "sheet.png").read_bytes().startswith(b"\x89PNG")


def test_a_sheet_takes_no_other_picture_s_place(clips: Path, tmp_path: Path, capfd: Capture) -> None:
    (tmp_path / "holiday.png").write_bytes(b"\x89PNG of the sea")
    code, _, err = run(capfd, clips, "--sheet", tmp_path / "holiday.png")
    assert (code, (tmp_path / "holiday.png").read_bytes()) == (2, b"\x89PNG of the sea")
    assert "no sheet of ours" in err
    for _ in range(2):
        assert run(capfd, clips, "--sheet", tmp_path / "sheet.png")[0] == 0


def test_warnings_are_no_failure(clips: Path, capfd: Capture) -> None:
    (clips / "tick/[bold]bad.mp4").write_text("not a video")
    code, out, _ = run(capfd, clips)
    assert code == 0
    assert "clips that cannot be used: 1" in out
    assert "[bold]bad.mp4: not a video" in out


def test_a_set_that_cannot_be_trained_on_is_exit_code_2(clips: Path, capfd: Capture) -> None:
    (clips / "star/1.mp4").write_bytes(b"")
    code, out, _ = run(capfd, clips)
    assert code == 2
    assert "only one class has clips to train on: tick" in out
    assert "cannot be trained on" in out
    code, out, _ = run(capfd, clips, "--json")
    assert code == 2
    report = json.loads(out)
    assert report["fatal"] is True
    assert report["kind"] == "a folder per class"
    assert [problem["kind"] for problem in report["problems"]] == ["too_few_classes", "unreadable", "empty_class"]


def test_lists(clips: Path, tmp_path: Path, capfd: Capture) -> None:
    (tmp_path / "train.csv").write_text("file,label\ntick/1.mp4,tick\nstar/1.mp4,star\ngone.mp4,star\n")
    (tmp_path / "val.csv").write_text("file,label\ntick/1.mp4,tick\n")
    lists = (tmp_path / "train.csv", tmp_path / "val.csv", "--videos", clips)
    code, _, err = run(capfd, *lists)
    assert code == 2
    assert "1 of 3 listed videos missing" in err
    assert "--skip-missing" in err
    code, out, _ = run(capfd, *lists, "--skip-missing")
    assert code == 0
    assert "missing and were left out: 1" in out
    assert "results look too good: 1" in out


def test_many_classes_show_the_rare_ones(clips: Path, tmp_path: Path, capfd: Capture) -> None:
    rows = [f"tick/1.mp4,c{k:02d},{k / 100},{k / 100 + 0.2}" for k in range(50)]
    rows += [f"tick/2.mp4,c{k:02d},0,1" for k in range(1, 2)]
    (tmp_path / "list.csv").write_text("\n".join(["file,label,start,end", *rows]))
    code, out, _ = run(capfd, tmp_path / "list.csv", "--videos", clips)
    assert code == 0
    assert "c00" in out
    assert "10 classes with more clips" in out


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        ((), "give a folder"),
        (("absent",), "no such"),
        ((".", "--workers", "0"), "--workers"),
        ((".", "--sheet", "sheet.jpg"), ".png"),
        ((".", "--sheet", "absent/sheet.png"), "a folder that is there"),
    ],
)
def test_bad_input(tokens: tuple[str, ...], message: str, tmp_path: Path, capfd: Capture) -> None:
    code, _, err = run(capfd, *(tmp_path / token if token in {".", "absent"} else token for token in tokens))
    assert code == 2
    assert message in err


def test_help_has_examples(capfd: Capture) -> None:
    code, out, _ = run(capfd, "--help")
    assert code == 0
    assert "movinet data check clips/" in out


def test_shards_are_a_set_like_any_other(clips: Path, tmp_path: Path, capfd: Capture) -> None:
    for _ in range(2):  # the second time there is nothing to be done
        code, out, err = run(capfd, clips, "--out", tmp_path / "shards", "--shard-size", 2, command="shard")
        assert code == 0
        assert err == ""
        assert "3 clips of all; 2 shards, 0.1 MB" in out
        assert "left out" not in out
    code, out, _ = run(capfd, tmp_path / "shards", "--sheet", tmp_path / "sheet.png")
    assert code == 0
    for text in ("shards", "3 clips of 2 classes", "1.20 s", "32×48 (3)", "nothing wrong"):
        assert text in out


def test_splits_of_which_one_is_packed_smaller(clips: Path, tmp_path: Path, capfd: Capture) -> None:
    (clips / "tick/2.mp4").write_bytes(b"")
    (tmp_path / "list.csv").write_text(
        "file,label,split\ntick/1.mp4,tick,train\ntick/2.mp4,tick,train\ngone.mp4,tick,train\nstar/1.mp4,star,test\n"
    )
    arguments = (
        tmp_path / "list.csv",
        "--videos",
        clips,
        "--skip-missing",
        "--out",
        tmp_path / "s",
        "--short-side",
        16,
    )
    code, out, _ = run(capfd, *arguments, "--split", "train", command="shard")
    assert code == 0
    assert "1 clip of train; 1 shard" in out
    assert "left out: 1 that cannot be read, 1 that are missing" in out
    code, out, _ = run(capfd, *arguments, command="shard")
    assert code == 0
    assert "2 clips of train, test; 2 shards" in out
    code, out, _ = run(capfd, tmp_path / "s")
    assert "16×24 (2)" in out


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (("--shard-size", "0"), "--shard-size"),
        (("--workers", "0"), "--workers"),
        (("--short-side", "8"), "--short-side"),
        (("--folder-fps", "0"), "--folder-fps"),
        (("--split", "val"), "no split val"),
        (("--out", "."), "a folder of their own"),
    ],
)
def test_bad_input_for_shards(
    clips: Path, tokens: tuple[str, ...], message: str, capfd: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(clips)
    target = () if "--out" in tokens else ("--out", "../shards")
    code, _, err = run(capfd, clips, *target, *tokens, command="shard")
    assert code == 2
    assert message in err
