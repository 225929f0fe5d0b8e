"""Every reader of files that is ours, by name, with right files that it is tried on the neighbors of.

Where a reader has several files, or a file several ways in, a file's first line says which it is: `@steps.csv`.
"""

import gzip
import json
import struct
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout, suppress
from dataclasses import asdict
from io import BytesIO, StringIO
from pathlib import Path
from tarfile import TarFile, TarInfo
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
import yaml
from fuzz.attempts import Target
from fuzz.networks_as_files import bundle, tflite_file
from tiny import LABELS, tiny_spec

from movinet.arch.count import macs_per_frame, parameters, state_shapes
from movinet.arch.layer_spec import BlockSpec, LayerSpec
from movinet.arch.parameters import parameter_shapes
from movinet.arch.serialize import dump_spec, parse_spec, read_spec
from movinet.arch.spec import EnsembleSpec, MemberSpec, NetworkSpec
from movinet.arch.zoo import network_spec
from movinet.data.write_shards import write_shards
from movinet.dataclass_io import from_plain
from movinet.deploy.read_manifest import MANIFEST
from movinet.errors import MovinetError
from movinet.export.exported_folder import file_hashes, new_folder
from movinet.labeled.entries import VideoEntry, VideoSet
from movinet.labeled.readers import read_set
from movinet.labeled.shards import read_shards
from movinet.live.cameras import read_cameras, told_apart
from movinet.recognizer import Recognizer
from movinet.search.latency import LatencyTable
from movinet.search.search_recipe import dump_search, read_search
from movinet.train.checkpoint import load_checkpoint, save_checkpoint
from movinet.train.logs import read_log
from movinet.train.recipe import dump_recipe, read_recipe, recipe_from_dict, recipe_to_dict
from movinet.train.train_loop import TrainState
from movinet.video.net.credentials import Credentials, read_credentials, with_login
from movinet.video.net.login import Address, Login
from movinet.weights.info import WeightsInfo, default_transform
from movinet.weights.load import load_weights, read_labels
from movinet.weights.operating_point import Interval, OperatingPoint, Thresholds
from movinet.weights.safetensors_file import read_info, save_weights

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

    tokens = (*_words(asdict(tiny)), b"members:", b"&a ", b"*a", b"<<: *a", b"!!int ", b".nan", b"0x", b"? ", b"- ")
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
    return Target(seeds, read, (*_words(rich), b"adamw", b"rmsprop", b"gestures", b".inf", b"*a", b"&a "))


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

    return Target(seeds, read, _words(yaml.safe_load(seeds[0])))


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

    return _several(folder, files, read, (b"|", b";", b"\t", b'"', b"youtube_id", b"1e400", b"\xef\xbb\xbf", b"\0"))


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
        *_words(json.loads(files["shards.json"])),
        b"../",
        b"ustar",
        b"\x80\0\0\0\0\0\0\0\0\0\0\1",
        b"30 size=-512\n",
    )

    def read(name: str) -> None:
        if name != "train.index.jsonl":
            write_shards({"train": clips}, made)
        read_shards(made)

    return _several(made, files, read, tokens)


def _record(clips: VideoSet) -> dict[str, Any]:
    """What `write_shards` would put there, so that it takes the shard that is there for its own."""
    from movinet.data.write_shards import _claim, _named

    folder = Path(str(clips.videos[0].source)).parents[1] / "claimed"
    settings = {"shard_size": 1000, "short_side": None, "folder_fps": None}
    _claim(folder, {"classes": ["left", "right"], "multi_label": False, **settings}, {"train": _named(clips.videos)})
    return json.loads((folder / "shards.json").read_text())


def weights(folder: Path) -> Target:
    made = _smallest(folder)
    path, header, body = folder / "read.safetensors", *_parts(made.read_bytes())

    def read(data: bytes) -> None:
        way, data = _way(data)
        if way == "information":
            text = data.decode(errors="replace")
            data = _joined(json.dumps({**header, "__metadata__": {"movinet": text}}).encode(), body)
        path.write_bytes(_joined(data, body) if way == "header" else data)
        read_info(path)
        load_weights(path)

    information = header["__metadata__"]["movinet"].encode()
    described = json.dumps({"__metadata__": {"movinet": information.decode()}, **header}).encode()
    seeds = (b"@information\n" + information, b"@header\n" + described, b"@file\n" + made.read_bytes())
    return Target(seeds, read, (*_words(json.loads(information)), b"F16", b"BF16", b"F8_E4M3", b"C64", b"data_offsets"))


def state(folder: Path) -> Target:
    recognizer = Recognizer.load(_smallest(folder), engine="torch")
    recognizer.push(np.zeros((24, 32, 3), np.uint8))
    path = folder / "state.safetensors"
    recognizer.save_state(path)
    file = path.read_bytes()
    header, body = _parts(file)

    def read(data: bytes) -> None:
        way, data = _way(data)
        path.write_bytes(_joined(data, body) if way == "header" else data)
        recognizer.restore_state(path)

    seeds = (b"@header\n" + json.dumps(header).encode(), b"@file\n" + file)
    return Target(seeds, read, (b"F16", b"BF16", b"I64", b"U64", b"frames_seen", b'"shape":[', b"data_offsets"))


def checkpoint(folder: Path) -> Target:
    made, path = folder / "made.safetensors", folder / "checkpoint.safetensors"
    tensors = {
        "learner": {"weight": torch.ones(2, 3), "count": torch.tensor(3)},
        "optimizer": {"weight/step": torch.ones(1)},
    }
    files = []
    for place in (TrainState(step=3, best=(0.5, -1.0)), TrainState(step=3, before={"validation_top1": 0.5})):
        save_checkpoint(made, tensors, {**asdict(place), "examples": "abc"})
        files.append(made.read_bytes())
    header, body = _parts(files[0])

    def read(data: bytes) -> None:
        way, data = _way(data)
        if way == "progress":
            text = data.decode(errors="replace")
            data = _joined(json.dumps({**header, "__metadata__": {"movinet_training": text}}).encode(), body)
        path.write_bytes(_joined(data, body) if way == "header" else data)
        progress = dict(load_checkpoint(path).progress)
        progress.pop("examples", None)
        from_plain(TrainState, progress, "progress")

    described = [_parts(file)[0]["__metadata__"]["movinet_training"].encode() for file in files]
    seeds = (*(b"@progress\n" + text for text in described), *(b"@file\n" + file for file in files))
    seeds = (*seeds, b"@header\n" + json.dumps(header).encode())
    return Target(seeds, read, (*_words(json.loads(described[0])), b"F16", b"data_offsets"))


def run_folder(folder: Path) -> Target:
    """What a run or search leaves beside its network, and lists of labels."""
    from movinet.cli.training_report import print_finished
    from movinet.train.run_readme import _read_sessions

    began = "2026-01-02T03:04:05+00:00"
    session = {"began": began, "ended": began, "command": "movinet train", "machine": "here"}
    files = {
        "steps.csv": b"step,epoch,loss,lr\n1,0,0.5,0.1\n2,0,nan,1e-3\n",
        "epochs.csv": b"step,epoch,validation_top1\n2,0,0.25\n4,1,\n",
        "sessions.json": json.dumps([{**session, "movinet": "0.1", "torch": "2", "python": "3.11"}]).encode(),
        "metrics.json": b'{"scores": {"validation_top1": 0.5, "test_top1": null}}',
        "latencies.json": LatencyTable({"8 8": 0.5}, {"8 8": 0.1}, "x86", 1, "2.1", 48, 0.1, 0.02).to_json().encode(),
        "labels.txt": "left\nright\nhaut é\n".encode(),
    }

    def read(name: str) -> None:
        readers: dict[str, Callable[[], object]] = {
            "sessions.json": lambda: _read_sessions(folder),
            "metrics.json": lambda: print_finished(folder, as_json=True),
            "latencies.json": lambda: LatencyTable.from_json((folder / name).read_text(errors="replace")),
            "labels.txt": lambda: read_labels(folder / name),
        }
        with redirect_stdout(StringIO()):
            readers.get(name, lambda: read_log(folder))()

    return _several(folder, files, read, (b"1e999", b"NaN", b'"', b"\0", b"2026-01-01"))


def tflite(folder: Path) -> Target:
    path = folder / "network.tflite"

    def read(data: bytes) -> None:
        path.write_bytes(data)
        load_weights(path)

    tokens = (b"TFL3", b"image", b"block0_layer0/", struct.pack("<I", 0xFFFFFFFF), struct.pack("<i", -1))
    return Target(tflite_file(), read, tokens)


def tensorflow(folder: Path) -> Target:
    """Checksums are taken to be right: a random change would never get past them."""
    from movinet.weights import tf_bundle

    spec = _smallest_spec()
    index, data = bundle(spec)
    tar = BytesIO()
    with TarFile(fileobj=tar, mode="w", format=1) as archive:
        for name, content in (("x.index", index), ("x.data-00000-of-00001", data)):
            info = TarInfo(name)
            info.size = len(content)
            archive.addfile(info, BytesIO(content))
    files = {
        "x.index": index,
        "x.data-00000-of-00001": data,
        "x.tar": tar.getvalue()[:9_000],  # whole it is larger than a seed may be
        "x.tar.gz": gzip.compress(tar.getvalue(), mtime=0),
        "checkpoint": b'model_checkpoint_path: "x"\n',
    }

    def read(name: str) -> None:
        with patch.multiple(tf_bundle, crc32c=lambda data: 0, unmask=lambda value: 0):
            load_weights(folder / name if name.startswith("x.tar") else folder, spec=spec)

    return _several(
        folder, files, read, (b"VARIABLE_VALUE", b"_CHECKPOINTABLE_OBJECT_GRAPH", b"\xff" * 9 + b"\1", b"ustar")
    )


def pickle(folder: Path) -> Target:
    """State dicts of MoViNet-pytorch: PyTorch reads them, ours is what is made of them."""
    path, seeds = folder / "weights.pth", []
    for legacy in (False, True):
        torch.save({"blocks.b0_l0.alpha": torch.ones(1)}, path, _use_new_zipfile_serialization=not legacy)
        seeds.append(path.read_bytes())

    def read(data: bytes) -> None:
        path.write_bytes(data)
        load_weights(path)

    return Target(tuple(seeds), read, (b"PK", b"\x80\x02", b"classifier.3.bias"))


def manifest(folder: Path) -> Target:
    """An export's, which says what `--force` may remove: never anything else."""
    exported, others = folder / "exported", (folder / "beside.txt", folder / "exported" / "notes.txt")
    exported.mkdir()
    (exported / "model.tflite").write_bytes(b"model")
    seed = {"movinet": "0.1", "format": "litert", "files": file_hashes(exported)}

    def read(data: bytes) -> None:
        for path in (*others, exported / "model.tflite"):
            path.write_bytes(b"model")
        (exported / MANIFEST).write_bytes(data)
        with new_folder(exported, force=True) as part:
            (part / "model.tflite").write_bytes(b"new")
        assert all(path.read_bytes() == b"model" for path in others)

    return Target((json.dumps(seed).encode(),), read, (*_words(seed), b"../beside.txt", b"notes.txt", b"/"))


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

    return Target(
        (yaml.safe_dump(seed).encode(),), read, (*_words(seed), b"password: ", b"://", b"@", b"[::1]", b"&a ")
    )


def credentials(folder: Path) -> Target:
    """Of which no message may quote anything that could be a password."""
    seed, path = {"door": {"user": "a", "password": "b"}, "cam:554": {"user": "c", "password": "d"}}, folder / "l.yaml"

    def read(data: bytes) -> None:
        path.write_bytes(data)
        found = read_credentials(path)
        for address in ("rtsp://cam/x", "http://[::1]:80/", "rtsp://cam:99999/"):
            assert "password" not in repr(with_login(Address(address), "door", found, {}))

    return Target((yaml.safe_dump(seed).encode(),), read, (*_words(seed), b"&a ", b"*a", b"!!python/object:a "))


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


def _smallest_spec() -> NetworkSpec:
    """A stream network of one layer."""
    block = BlockSpec(2, (LayerSpec(2, (3, 3, 3)),))
    return tiny_spec().with_options(name="smallest", stem=2, blocks=(block,), project=2, hidden=2)


def _smallest(folder: Path) -> Path:
    """A weights file of that network."""
    spec = _smallest_spec()
    point = OperatingPoint(0.8, 0.5, by_label={"left": Thresholds(0.9)}, ignore=("other",), missed=Interval(0.1, 0, 1))
    info = WeightsInfo(
        "smallest.test",
        spec,
        default_transform(spec),
        LABELS,
        accuracy={"top-1": 50.0},
        background="other",
        operating_point=point,
    )
    path = folder / "smallest.safetensors"
    save_weights(path, {key: np.ones(shape, np.float32) for key, shape in parameter_shapes(spec).items()}, info)
    return path


def _several(
    folder: Path, files: Mapping[str, bytes], read: Callable[[str], None], tokens: tuple[bytes, ...] = ()
) -> Target:
    """A reader of a folder in which one file at a time is another."""
    for name, content in files.items():
        (folder / name).write_bytes(content)

    def read_one(data: bytes) -> None:
        name, content = _way(data)
        if name not in files:
            raise MovinetError(f"no file is called {name!r}")
        (folder / name).write_bytes(content)
        try:
            read(name)
        finally:
            (folder / name).write_bytes(files[name])

    return Target(tuple(f"@{name}\n".encode() + content for name, content in files.items()), read_one, tokens)


def _way(data: bytes) -> tuple[str, bytes]:
    if not data.startswith(b"@"):
        return "", data
    way, _, rest = data[1:].partition(b"\n")
    return way.decode(errors="replace"), rest


def _parts(file: bytes) -> tuple[dict[str, Any], bytes]:
    """The header and the tensors of a safetensors file."""
    size = int.from_bytes(file[:8], "little")
    return json.loads(file[8 : 8 + size]), file[8 + size :]


def _joined(header: bytes, body: bytes) -> bytes:
    return len(header).to_bytes(8, "little") + header + body


def _words(value: Any) -> tuple[bytes, ...]:
    """All keys and short texts in a value."""
    found, waiting = set[str](), [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            found.update(map(str, item))
            waiting += item.values()
        elif isinstance(item, list | tuple):
            waiting += item
        elif isinstance(item, str) and len(item) < 40:
            found.add(item)
    return tuple(sorted(word.encode() for word in found))
