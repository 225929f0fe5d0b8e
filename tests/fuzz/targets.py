"""Every reader of files that is ours, by name, with right files that it is tried on the neighbors of.

Where a reader has several files, or a file several ways in, a file's first line says which it is: `@steps.csv`.
"""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from tarfile import TarFile, TarInfo
from typing import Any

import numpy as np
import yaml
from fuzz.attempts import Target, several, words
from fuzz.network_targets import checkpoint, manifest, pickle, run_folder, state, tensorflow, tflite, weights
from tiny import tiny_spec

from movinet.arch.count import macs_per_frame, parameters, state_shapes
from movinet.arch.parameters import parameter_shapes
from movinet.arch.serialize import dump_spec, parse_spec, read_spec
from movinet.arch.spec import EnsembleSpec, MemberSpec
from movinet.arch.zoo import network_spec
from movinet.data.write_shards import write_shards
from movinet.labeled.entries import VideoEntry, VideoSet
from movinet.labeled.readers import read_set
from movinet.labeled.shards import read_shards
from movinet.live.cameras import read_cameras, told_apart
from movinet.search.search_recipe import dump_search, read_search
from movinet.train.recipe import dump_recipe, read_recipe, recipe_from_dict, recipe_to_dict
from movinet.video.net.credentials import Credentials, read_credentials, with_login
from movinet.video.net.login import Address, Login
from movinet.weights.info import default_transform

RECIPES = Path(__file__).parents[2] / "src" / "movinet" / "recipes"


def specification(folder: Path) -> Target:
    tiny, base = tiny_spec(), tiny_spec(causal=False)
    pair = EnsembleSpec("pair", (MemberSpec(tiny), MemberSpec(tiny, offset=1)), tiny.size, tiny.fps, tiny.frames)
    path = folder / "network.yaml"

    def read(data: bytes) -> None:
        path.write_bytes(data)
        spec = read_spec(path)
        assert parse_spec(dump_spec(spec)) == spec
        parameters(spec)
        macs_per_frame(spec)
        parameter_shapes(spec)
        if not isinstance(spec, EnsembleSpec):
            state_shapes(spec)

    tokens = (*words(asdict(tiny)), b"members:", b"&a ", b"*a", b"<<: *a", b"!!int ", b".nan", b"0x", b"? ", b"- ")
    return Target(tuple(dump_spec(spec).encode() for spec in (tiny, base, pair)), read, tokens)


def recipe(folder: Path) -> Target:
    path = folder / "recipe.yaml"
    a0, names = network_spec("movinet_a0_stream"), ("gestures.yaml", "movinet_a0_base.k600.yaml", "smoke.yaml")
    rich = {
        "init_from": "movinet_a0_stream",
        "options": {"size": [64, 80], "dropout": 0.1, "gate": "sigmoid", "decay": 0.9},
        "data": {"kind": "videos", "paths": ["clips"], "held_out": 0.2, "train": ["train"]},
        "clips": {"frames": 8, "jitter": [0.8, 1.0], "loop": True},
        "augmentation": {"flip": 0.5, "swap": [["left", "right"]], "color": {"hue": 0.1}, "crop": {"area": [0.1, 1]}},
        "epochs": 3,
        "batch_size": 4,
        "optimizer": {"kind": "rmsprop", "lr": 0.1},
        "strategy": "recurrent",
        "bptt_clips": 2,
        "freeze": ["stem", "blocks.0"],
        "loss": {"class_weights": {"left": 2.0}, "smoothness": {"weight": 0.1}},
    }
    rich["augmentation"]["policy"] = {"kind": "randaugment", "operations": 2}  # type: ignore[index]

    def read(data: bytes) -> None:
        path.write_bytes(data)
        found = read_recipe(path)
        assert recipe_from_dict(recipe_to_dict(found)) == found
        dump_recipe(found)
        default_transform(a0.with_options(**found.options))

    seeds = (*((RECIPES / name).read_bytes() for name in names), yaml.safe_dump(rich).encode())
    return Target(seeds, read, (*words(rich), b"adamw", b"rmsprop", b"gestures", b".inf", b"*a", b"&a "))


def search(folder: Path) -> Target:
    path = folder / "search.yaml"
    seeds = tuple((RECIPES / name).read_bytes() for name in ("search_gestures.yaml", "search_a2.k600.yaml"))

    def read(data: bytes) -> None:
        path.write_bytes(data)
        found = read_search(path)
        dump_search(found)
        assert found.space.size() >= 1
        template = network_spec("movinet_a0_stream").with_options(**found.training.options)
        found.space.to_spec(found.space.random(1, np.random.default_rng(0))[0].tolist(), template)

    return Target(seeds, read, words(yaml.safe_load(seeds[0])))


def lists(folder: Path) -> Target:
    for video in ("left/a.mp4", "right/b.mp4", "abc_000001_000011.mp4", "XY12Z.mp4", "7.webm"):
        (folder / video).parent.mkdir(exist_ok=True)
        (folder / video).touch()
    files = {
        "clips.csv": b"file,label,start,end,split\nleft/a.mp4,left,0,1.5,train\nright/b.mp4,right|left,,,test\n",
        "train.json": b'[{"file": "left/a.mp4", "labels": ["x"], "start": 0.5}, {"file": "right/b.mp4", "label": 1}]',
        "some.jsonl": b'{"path": "left/a.mp4", "label": "left"}\n{"video": "right/b.mp4", "label": "right|x"}\n',
        "kinetics.csv": b"label,youtube_id,time_start,time_end,split\nleft,abc,1,11,train\nright,XY12Z,0,10,val\n",
        "charades.csv": b"id,actions\nXY12Z,c092 11.90 21.20;c147 0.00 12.60\n7,\n",
        "my_classes.txt": b"c092 Opening a door\nc147 Taking a cup\n",
        "sth-sth.json": b'[{"id": "7", "template": "Moving [something] up"}, {"id": "XY12Z", "template": "Moving up"}]',
        "sth-labels.json": b'{"Moving something up": "0", "Moving up": "1"}',
        "trainlist01.txt": b"left/a.avi 1\nright/b.avi 2\n",
        "classInd.txt": b"1 left\n2 right\n",
        "left_test_split1.txt": b"a.avi 1\nb.avi 2\nc.avi 0\n",
        "right_test_split1.txt": b"b.avi 1\n",
    }
    lists_of = {"my_classes.txt": "charades.csv", "sth-labels.json": "sth-sth.json", "classInd.txt": "trainlist01.txt"}

    def read(name: str) -> None:
        read_set(folder / lists_of.get(name, name), skip_missing=True)

    return several(folder, files, read, (b"|", b";", b"\t", b'"', b"youtube_id", b"1e400", b"\xef\xbb\xbf", b"\0"))


def shards(folder: Path) -> Target:
    made = folder / "made"
    (folder / "left").mkdir()
    video = folder / "left" / "a.mp4"
    video.touch()
    clips = VideoSet((VideoEntry(video, ("left",)), VideoEntry(video, ("right",), 1.0, 2.0)), ("left", "right"), False)
    tar = BytesIO()
    with TarFile(fileobj=tar, mode="w", format=1) as archive:
        for name, data in (
            ("00000000.json", b'{"labels": ["left"], "start": 0.0, "end": null, "source": "left/a.mp4"}'),
            ("00000000.mp4", b"no video"),
        ):
            info = TarInfo(name)
            info.size = len(data)
            archive.addfile(info, BytesIO(data))
    made.mkdir()
    (made / "train-000000.tar").write_bytes(tar.getvalue()[:4096])
    (made / "shards.json").write_text(json.dumps(_record(clips)))
    write_shards({"train": clips}, made)
    files = {path.name: path.read_bytes() for path in made.iterdir()}
    tokens = (
        *words(json.loads(files["shards.json"])),
        b"../",
        b"ustar",
        b"\x80\0\0\0\0\0\0\0\0\0\0\1",
        b"30 size=-512\n",
    )

    def read(name: str) -> None:
        if name != "train.index.jsonl":
            write_shards({"train": clips}, made)
        read_shards(made)

    return several(made, files, read, tokens)


def _record(clips: VideoSet) -> dict[str, Any]:
    """What `write_shards` would put there, so that it takes the shard that is there for its own."""
    from movinet.data.write_shards import _claim, _named

    folder = Path(str(clips.videos[0].source)).parents[1] / "claimed"
    settings = {"shard_size": 1000, "short_side": None, "folder_fps": None}
    _claim(folder, {"classes": ["left", "right"], "multi_label": False, **settings}, {"train": _named(clips.videos)})
    return json.loads((folder / "shards.json").read_text())


def cameras(folder: Path) -> Target:
    """A list of cameras, and what is made of it before anything is opened."""
    door = {
        "name": "door", "address": "rtsp://u:p@cam:554/x?a=b", "substream": "/sub", "transport": "udp", "user": "u",
        "password_env": "HOME", "crop": {"x": 0, "y": 0.1, "width": 0.5, "height": 0.9}, "memory": 2, "on": 0.6,
        "off": 0.3, "shortest": 0.5, "ignore": ["other"], "by_label": {"star": {"on": 0.7}}, "timeout": 3, "stream": 1,
        "retries": 2, "max_lag": 1.5, "hardware": "auto", "on_event": "a b", "webhook": "https://h/x",
    }  # fmt: skip
    seed, path = (
        {"cameras": [door, {"address": 0, "loop": True, "login": "a"}, {"address": "a.mp4"}]},
        folder / "c.yaml",
    )
    picture = np.zeros((7, 9, 3), np.uint8)

    def read(data: bytes) -> None:
        path.write_bytes(data)
        for camera in told_apart([one.filled({"on": 0.5, "off": 0.3}) for one in read_cameras(path)]):
            repr(camera.source(Credentials({"a": Login("b", "c")}), {}))
            if camera.crop is not None:
                with suppress(ValueError):
                    assert camera.crop(picture).size

    return Target((yaml.safe_dump(seed).encode(),), read, (*words(seed), b"password: ", b"://", b"@", b"[::1]", b"&a "))


def credentials(folder: Path) -> Target:
    """Of which no message may quote anything that could be a password."""
    seed, path = {"door": {"user": "a", "password": "b"}, "cam:554": {"user": "c", "password": "d"}}, folder / "l.yaml"

    def read(data: bytes) -> None:
        path.write_bytes(data)
        found = read_credentials(path)
        for address in ("rtsp://cam/x", "http://[::1]:80/", "rtsp://cam:99999/"):
            assert "password" not in repr(with_login(Address(address), "door", found, {}))

    return Target((yaml.safe_dump(seed).encode(),), read, (*words(seed), b"&a ", b"*a", b"!!python/object:a "))


TARGETS: dict[str, Callable[[Path], Target]] = {
    "cameras": cameras,
    "credentials": credentials,
    "specification": specification,
    "recipe": recipe,
    "search": search,
    "lists": lists,
    "shards": shards,
    "weights": weights,
    "state": state,
    "checkpoint": checkpoint,
    "run": run_folder,
    "manifest": manifest,
    "tflite": tflite,
    "tensorflow": tensorflow,
    "pickle": pickle,
}
"""By name; each is given a folder to write in."""
