"""The lists of published sets, in the form they are distributed in."""

import json
from pathlib import Path

import pytest

from movinet.errors import MovinetError
from movinet.labeled.readers import VideoEntry, read_set

Files = tuple[str, ...]


def make(folder: Path, files: Files = (), **texts: str) -> None:
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    for name, text in texts.items():
        (folder / name.replace("__", ".")).write_text(text)


KINETICS = """label,youtube_id,time_start,time_end,split
"passing American football (in game)",abc-_123456,3,13,train
yoga,-bcdefghijk,111,121,train
zumba,xyz45678901,20,30,train
"""


def test_kinetics(tmp_path: Path) -> None:
    videos = tmp_path / "videos"
    make(
        videos,
        (
            "passing American football (in game)/abc-_123456_000003_000013.mp4",
            "-bcdefghijk_000111_000121.mkv",
            "-bcdefghijk.mp4",
            "xyz45678901.mp4",
        ),
    )
    make(tmp_path, train__csv=KINETICS)
    listing = read_set(tmp_path / "train.csv", videos=videos)
    assert listing.kind == "a Kinetics list"
    assert listing.splits["train"].videos == (
        VideoEntry(
            videos / "passing American football (in game)/abc-_123456_000003_000013.mp4",
            ("passing American football (in game)",),
        ),
        VideoEntry(videos / "-bcdefghijk_000111_000121.mkv", ("yoga",)),
        VideoEntry(videos / "xyz45678901.mp4", ("zumba",), 20.0, 30.0),
    )


def test_kinetics_says_under_which_name_it_looked(tmp_path: Path) -> None:
    make(tmp_path, train__csv=KINETICS)
    with pytest.raises(MovinetError, match=r"3 of 3 .*abc-_123456_000003_000013.mp4"):
        read_set(tmp_path / "train.csv")


SOMETHING = [
    {"id": "78687", "label": "holding potato", "template": "Holding [something]", "placeholders": ["potato"]},
    {"id": "42", "label": "moving pen up", "template": "Moving [something] up", "placeholders": ["pen"]},
]
CLASSES = json.dumps({"Holding something": "0", "Moving something up": "1", "Tearing something": "2"})


def test_something_something(tmp_path: Path) -> None:
    make(
        tmp_path,
        ("20bn/78687.webm", "20bn/42.webm"),
        train__json=json.dumps(SOMETHING),
        validation__json=json.dumps(SOMETHING[:1]),
        test__json=json.dumps([{"id": "7"}]),
        labels__json=CLASSES,
    )
    listing = read_set(tmp_path)
    assert listing.kind == "a Something-Something list"
    assert list(listing.splits) == ["train", "validation"]
    train = listing.splits["train"]
    assert train.labels == ("Holding something", "Moving something up", "Tearing something")
    assert train.videos[1] == VideoEntry(tmp_path / "20bn/42.webm", ("Moving something up",))
    with pytest.raises(MovinetError, match=r"entry 1: .*template"):
        read_set(tmp_path / "test.json")


CHARADES = """id,subject,scene,quality,relevance,verified,script,objects,descriptions,actions,length,egocentric
46GP8,HR43,Kitchen,6,7,Yes,"Cooks, at a stove.",food;stove,"A person cooks.",c092 11.90 21.20;c147 0.00 12.60,24.83,No
N11GT,0KZ7,Stairs,4,7,Yes,A person leaves.,bag,A person.,,18.33,No
"""


def test_charades(tmp_path: Path) -> None:
    make(tmp_path, ("Charades_v1_480/46GP8.mp4",), Charades_v1_train__csv=CHARADES)
    make(tmp_path, ("Charades_v1_rgb/N11GT/N11GT-000001.jpg",))
    listing = read_set(tmp_path)
    assert listing.kind == "a Charades list"
    part = listing.splits["train"]
    assert part.multi_label
    assert part.labels == ("c092", "c147")
    assert part.videos == (
        VideoEntry(tmp_path / "Charades_v1_480/46GP8.mp4", ("c092", "c147")),
        VideoEntry(tmp_path / "Charades_v1_rgb/N11GT", ()),
    )
    make(tmp_path, Charades_v1_classes__txt="c092 Watching a fire\nc147 Taking food\nc156 Someone is eating\n")
    part = read_set(tmp_path / "Charades_v1_train.csv").select()
    assert part.labels == ("Someone is eating", "Taking food", "Watching a fire")
    assert part.videos[0].labels == ("Taking food", "Watching a fire")


UCF101 = {
    "classInd__txt": "1 Archery\n2 YoYo\n",
    "trainlist01__txt": "Archery/v_Archery_g08_c01.avi 1\nYoYo/v_YoYo_g01_c02.avi 2\n",
    "testlist01__txt": "YoYo/v_YoYo_g02_c01.avi\n",
}
UCF101_FILES = ("Archery/v_Archery_g08_c01.avi", "YoYo/v_YoYo_g01_c02.avi", "v_YoYo_g02_c01.avi")


def test_ucf101(tmp_path: Path) -> None:
    make(tmp_path / "videos", UCF101_FILES)
    make(tmp_path, **UCF101)
    listing = read_set(tmp_path, videos=tmp_path / "videos")
    assert listing.kind == "a UCF101 list"
    assert {name: [video.labels[0] for video in part.videos] for name, part in listing.splits.items()} == {
        "train": ["Archery", "YoYo"],
        "test": ["YoYo"],
    }
    lists = (tmp_path / "trainlist01.txt", tmp_path / "testlist01.txt")
    assert read_set(*lists, videos=tmp_path / "videos") == listing
    (tmp_path / "classInd.txt").unlink()
    with pytest.raises(MovinetError, match=r"needs classInd\.txt"):
        read_set(tmp_path)


def test_hmdb51(tmp_path: Path) -> None:
    make(tmp_path, ("wave/a.avi", "wave/b.avi", "wave/c.avi", "brush_hair/d.avi"))
    make(tmp_path, brush_hair_test_split1__txt="d.avi 1\n", brush_hair_test_split2__txt="d.avi 2 \n")
    make(tmp_path, wave_test_split1__txt="a.avi 1 \nb.avi 2 \nc.avi 0\n", wave_test_split2__txt="a.avi 1\n")
    listing = read_set(tmp_path)
    assert listing.kind == "split 1 of HMDB51"
    assert [video.path.name for video in listing.splits["train"].videos] == ["d.avi", "a.avi"]
    assert listing.splits["test"].videos == (VideoEntry(tmp_path / "wave/b.avi", ("wave",)),)
    second = read_set(*tmp_path.glob("*_test_split2.txt"))
    assert [video.path.name for video in second.splits["test"].videos] == ["d.avi"]


def test_mmaction(tmp_path: Path) -> None:
    make(tmp_path / "videos", ("jump/a b.mp4", "run/c.mp4", "d.mp4", "folder/1.jpg"))
    make(tmp_path, kinetics_train_list__txt="jump/a b.mp4 1\nrun/c.mp4\t0\n", kinetics_val_list__txt="folder 1 2\n")
    numbered = read_set(tmp_path, videos=tmp_path / "videos")
    assert numbered.kind == "an mmaction2 list"
    assert {name: [(v.path.name, v.labels) for v in part.videos] for name, part in numbered.splits.items()} == {
        "train": [("a b.mp4", ("1",)), ("c.mp4", ("0",))],
        "val": [("folder", ("2",))],
    }
    make(tmp_path, label_map_k400__txt="run fast\njump\nwave\nrest\n")
    named = read_set(tmp_path, videos=tmp_path / "videos")
    assert named.splits["train"].labels == ("jump", "rest", "run fast", "wave")
    assert [video.labels for video in named.select().videos] == [("jump",), ("run fast",), ("wave",)]
    make(tmp_path, several__txt="d.mp4 0 3\nrun/c.mp4 1\n")
    several = read_set(tmp_path / "several.txt", videos=tmp_path / "videos").splits["all"]
    assert several.multi_label
    assert several.videos[0].labels == ("run fast", "rest")
    assert read_set(tmp_path / "kinetics_train_list.txt", videos=tmp_path / "videos").splits.keys() == {"all"}


def test_classes_that_share_names_of_files(tmp_path: Path) -> None:
    files = tuple(f"{label}/{n}.mp4" for label in ("Archery", "YoYo") for n in range(2))
    make(tmp_path / "videos", files)
    make(
        tmp_path, **UCF101 | {"trainlist01__txt": "Archery/0.avi 1\nYoYo/1.avi 2\n", "testlist01__txt": "YoYo/0.avi\n"}
    )
    splits = read_set(tmp_path, videos=tmp_path / "videos").splits
    found = {name: [video.path for video in part.videos] for name, part in splits.items()}
    videos = tmp_path / "videos"
    assert found == {"train": [videos / "Archery/0.mp4", videos / "YoYo/1.mp4"], "test": [videos / "YoYo/0.mp4"]}
    for label, uses in (("Archery", "0.mp4 1\n1.mp4 2\n"), ("YoYo", "0.mp4 2\n1.mp4 1\n")):
        (videos / f"{label}_test_split1.txt").write_text(uses)
    splits = read_set(videos).splits
    found = {name: [video.path for video in part.videos] for name, part in splits.items()}
    assert found == {
        "train": [videos / "Archery/0.mp4", videos / "YoYo/1.mp4"],
        "test": [videos / "Archery/1.mp4", videos / "YoYo/0.mp4"],
    }


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("list.csv", "label,youtube_id,time_start,time_end\na,x,1\n", "line 2: 3 cells"),
        ("list.csv", "label,youtube_id,time_start,time_end\na,x,one,2\n", "line 2: time_start and time_end"),
        ("list.csv", "label,youtube_id,time_start,time_end\na,x,3,2\n", "line 2: time_end"),
        ("list.csv", "label,youtube_id,time_start,time_end\n,x,1,2\n", "line 2: no label"),
        ("list.csv", "label,youtube_id\na,x\n", "line 2: time_start"),
        ("list.csv", "youtube_id,time_start,time_end\nx,1,2\n", "no column `label`"),
        ("list.json", json.dumps([*SOMETHING, {"id": "3", "template": "Eating [something]"}]), "entry 3: .*Eating"),
        ("list.csv", CHARADES.replace("c147 0.00 12.60", "c147 0.00"), "line 2: action 'c147 0.00'"),
        ("trainlist01.txt", "Archery/v.avi 1\nArchery/w.avi 2\n", "line 2: class 2 .* is not Archery"),
        ("trainlist01.txt", "Bowling/v.avi\n", "line 1: 'Bowling/v.avi'"),
        ("list.csv", "label,youtube_id,time_start,time_end\na,../x,1,2\n", "line 2: '../x.* leads out"),
        (
            "list.json",
            json.dumps([{"id": "/etc/x", "template": "Holding [something]"}]),
            "entry 1: '/etc/x.* leads out",
        ),
        ("trainlist01.txt", "../Archery/v.avi 1\n", "line 1: '../Archery/v.avi' leads out"),
        ("wave_test_split1.txt", "../../x.avi 1\n", "line 1: .*leads out"),
        ("wave_test_split1.txt", "a.avi 1\nb.avi 3\n", "line 2: 'b.avi 3'"),
        ("train.txt", "a.avi 1\nb.avi\n", "line 2: 'b.avi': want a video and the number of its class"),
        ("train.txt", "a.avi -1\n", "line 1: 'a.avi -1'"),
        ("train.txt", "../a.avi 1\n", "line 1: .*leads out"),
        ("train.txt", f"a.avi {'9' * 5000}\n", "line 1: "),
    ],
)
def test_malformed(tmp_path: Path, name: str, text: str, message: str) -> None:
    make(tmp_path, labels__json=CLASSES, classInd__txt=UCF101["classInd__txt"])
    (tmp_path / name).write_text(text)
    with pytest.raises(MovinetError, match=message) as caught:
        read_set(tmp_path / name)
    assert name in str(caught.value)
