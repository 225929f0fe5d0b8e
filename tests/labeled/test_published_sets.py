"""Miniatures of published data sets, laid out as they are distributed: the commands of docs/datasets.md, end to end."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tiny import tiny_spec

from movinet.arch.serialize import dump_spec
from movinet.cli.app import app
from movinet.errors import MovinetError
from movinet.labeled.readers import read_set
from movinet.video.encode import encode_video

Layout = tuple[list[str], set[str], bool]
"""What --data and --videos are, the splits, and whether a video may show several classes."""


def videos(folder: Path, *names: str, frames: int = 8) -> None:
    """Small videos, each of another brightness."""
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng(list(name.encode()))
        pictures = rng.integers(0, 100, (frames, 32, 48, 3), np.uint8) + np.uint8(40 * (number % 3))
        encode_video(folder / name, pictures, 5.0)


def kinetics600(folder: Path) -> Layout:
    folder /= "kinetics600"
    rows: dict[str, list[str]] = {"train": [], "validate": []}
    for number, (label, split) in enumerate(
        (label, split) for label in ("yoga", "zumba") for split in ("train", "train", "validate")
    ):
        name = f"abcdefghij{number}"
        videos(folder / "videos" / label, f"{name}_000002_000012.mp4")
        rows[split].append(f"{label},{name},2,12,{split}")
    for split, lines in rows.items():
        (folder / f"{split}.csv").write_text("label,youtube_id,time_start,time_end,split\n" + "\n".join(lines) + "\n")
    return ["--data", str(folder), "--videos", str(folder / "videos")], {"train", "validate"}, False


def something(folder: Path) -> Layout:
    templates = ("Holding [something]", "Moving [something] up")
    entries = [{"id": str(n), "label": "it", "template": templates[n % 2], "placeholders": ["it"]} for n in range(6)]
    videos(folder / "20bn-something-something-v2", *(f"{n}.mp4" for n in range(6)))
    lists = folder / "labels"
    lists.mkdir()
    (lists / "train.json").write_text(json.dumps(entries[:4]))
    (lists / "validation.json").write_text(json.dumps(entries[4:]))
    (lists / "test.json").write_text(json.dumps([{"id": "9"}]))
    names = {template.replace("[", "").replace("]", ""): str(n) for n, template in enumerate(templates)}
    (lists / "labels.json").write_text(json.dumps(names))
    return (
        ["--data", str(lists), "--videos", str(folder / "20bn-something-something-v2")],
        {"train", "validation"},
        False,
    )


def charades(folder: Path) -> Layout:
    videos(folder / "Charades_v1_480", *(f"V{n}.mp4" for n in range(6)))
    lists = folder / "Charades"
    lists.mkdir()
    actions = ("c000 0.20 1.00;c001 0.00 0.60", "c001 0.00 1.20", "")
    for split, numbers in (("train", range(4)), ("test", range(4, 6))):
        rows = [f'V{n},HR43,Kitchen,6,7,Yes,"Cooks, slowly.",food,A person.,{actions[n % 3]},1.60,No' for n in numbers]
        header = "id,subject,scene,quality,relevance,verified,script,objects,descriptions,actions,length,egocentric"
        (lists / f"Charades_v1_{split}.csv").write_text("\n".join((header, *rows)) + "\n")
    (lists / "Charades_v1_classes.txt").write_text("c000 Holding some clothes\nc001 Putting clothes somewhere\n")
    return ["--data", str(lists), "--videos", str(folder / "Charades_v1_480")], {"train", "test"}, True


def ucf101(folder: Path) -> Layout:
    names = [f"{label}/v_{label}_g{n:02}_c01.avi" for label in ("Archery", "YoYo") for n in (1, 8, 9)]
    videos(folder / "UCF-101", *names)
    lists = folder / "ucfTrainTestlist"
    lists.mkdir()
    (lists / "classInd.txt").write_text("1 Archery\n2 YoYo\n")
    train = [f"{name} {1 + ('YoYo' in name)}" for name in names if "g01" not in name]
    (lists / "trainlist01.txt").write_text("\r\n".join(train) + "\r\n")
    (lists / "testlist01.txt").write_text("\r\n".join(name for name in names if "g01" in name) + "\r\n")
    return ["--data", str(lists), "--videos", str(folder / "UCF-101")], {"train", "test"}, False


def hmdb51(folder: Path) -> Layout:
    lists = folder / "testTrainMulti_7030_splits"
    lists.mkdir()
    for label in ("wave", "run"):
        names = [f"{label}_{n}.avi" for n in range(4)]
        videos(folder / "hmdb51_org" / label, *names)
        rows = [f"{name} {use} " for name, use in zip(names, (1, 1, 2, 0), strict=True)]
        (lists / f"{label}_test_split1.txt").write_text("\n".join(rows) + "\n")
    return ["--data", str(lists), "--videos", str(folder / "hmdb51_org")], {"train", "test"}, False


def epic(folder: Path) -> Layout:
    header = (
        "narration_id,participant_id,video_id,narration_timestamp,start_timestamp,stop_timestamp,start_frame,"
        "stop_frame,narration,verb,verb_class,noun,noun_class,all_nouns,all_noun_classes"
    )
    videos(folder / "EPIC-KITCHENS" / "P01" / "videos", "P01_101.MP4", "P01_02.MP4", frames=40)
    lists = folder / "epic-kitchens-100-annotations"
    lists.mkdir()
    for split, video in (("train", "P01_101"), ("validation", "P01_02")):
        rows = [
            f"{video}_{n},P01,{video},00:00:00.5,00:00:0{n}.10,00:00:0{n + 1}.90,1,9,open it,open,{n % 2},drawer,8,"
            "\"['drawer']\",[8]"
            for n in range(4)
        ]
        (lists / f"EPIC_100_{split}.csv").write_text("\n".join((header, *rows)) + "\n")
    (lists / "EPIC_100_test_timestamps.csv").write_text("narration_id,participant_id,video_id\n")
    (lists / "EPIC_100_verb_classes.csv").write_text("id,key,category,instances\n0,take,x,[]\n1,open,x,[]\n")
    (lists / "EPIC_100_noun_classes.csv").write_text("id,key,category,instances\n8,drawer,x,[]\n")
    return ["--data", str(lists), "--videos", str(folder / "EPIC-KITCHENS")], {"train", "validation"}, False


SETS: tuple[Callable[[Path], Layout], ...] = (kinetics600, something, charades, ucf101, hmdb51, epic)


@pytest.mark.parametrize("make", SETS, ids=lambda make: make.__name__)
def test_a_miniature_is_read_whole(make: Callable[[Path], Layout], tmp_path: Path) -> None:
    (_, lists, _, where), splits, several = make(tmp_path)
    listing = read_set(lists, videos=where)
    assert set(listing.splits) == splits
    assert all(part.multi_label == several for part in listing.splits.values())
    for part in listing.splits.values():
        assert len(part.videos) >= 2
        assert all(Path(str(video.source)).exists() for video in part.videos)
    assert len(listing.select().labels) == 2


RECIPE = """
epochs: 1
batch_size: 2
clips: {frames: 4}
optimizer: {kind: adamw, lr: 1e-3}
"""


@pytest.mark.parametrize(
    "make",
    [hmdb51, *(pytest.param(make, marks=pytest.mark.slow) for make in SETS if make is not hmdb51)],
    ids=lambda make: make.__name__,
)
def test_the_command_trains_on_a_miniature(make: Callable[[Path], Layout], tmp_path: Path) -> None:
    """As docs/datasets.md has it, but for the network's size."""
    where, _, several = make(tmp_path)
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    (tmp_path / "tiny.yaml").write_text(dump_spec(tiny_spec().with_options(frames=4)))
    run = tmp_path / "run"
    line = ["train", str(tmp_path / "recipe.yaml"), "--arch", str(tmp_path / "tiny.yaml"), "--out", str(run)]
    assert app(["data", "check", where[1], *where[2:], "--json"]) == 0
    with pytest.raises(MovinetError, match="network"):
        app([*line[:2], *where])
    (tmp_path / "recipe.yaml").write_text(f"network: movinet_t0_stream{RECIPE}")
    assert app([*line, *where, "--threads", "1", "--workers", "0"]) == 0
    scores = json.loads((run / "metrics.json").read_text())["scores"]
    assert any(name.endswith("map" if several else "top1") for name in scores)


def test_a_set_of_which_videos_are_gone_trains_where_that_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As everybody's Kinetics, whose videos are fetched one by one."""
    where, _, _ = kinetics600(tmp_path)
    next((tmp_path / "kinetics600" / "videos" / "zumba").iterdir()).unlink()
    (tmp_path / "recipe.yaml").write_text(f"network: movinet_t0_stream{RECIPE}")
    train = ["train", str(tmp_path / "recipe.yaml"), *where, "--out", str(tmp_path / "run"), "--dry-run"]
    finetune = ["finetune", where[1], *where[2:], "--model", "movinet_t0_stream.gestures", "--dry-run"]
    for line in (train, finetune):
        with pytest.raises(MovinetError, match=r"1 of . listed videos missing .*--skip-missing"):
            app(line)
        capsys.readouterr()
        assert app([*line, "--skip-missing"]) == 0
        assert "1 listed video missing and left out" in capsys.readouterr().err


def test_epics_lists_that_are_wrong(tmp_path: Path) -> None:
    (_, lists, _, where), _, _ = epic(tmp_path)
    train = Path(lists, "EPIC_100_train.csv")
    text = train.read_text()
    for old, new, said in (
        ("00:00:00.10", "0.10", "two timestamps"),
        ("00:00:01.90", "00:00:00.05", "before it starts"),
        ("P01_101,00:00:00.5", "../x,00:00:00.5", "leads out"),
        (",open,0,", ",open,,", "no verb_class"),
    ):
        train.write_text(text.replace(old, new, 1))
        with pytest.raises(MovinetError, match=said):
            read_set(train, videos=where)
    train.write_text(text)
    for file in Path(lists).glob("*_classes.csv"):
        file.unlink()
    assert read_set(train, videos=where).select().labels == ("0 8", "1 8")
