"""Readers of what programs write: weights in every format, exports, states of streams, and the folders of runs."""

import gzip
import json
import struct
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import asdict
from io import BytesIO, StringIO
from pathlib import Path
from tarfile import TarFile, TarInfo
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from fuzz.attempts import Target, several, way_in, words
from fuzz.networks_as_files import bundle, tflite_file
from tiny import LABELS, tiny_spec

from movinet.arch.layer_spec import BlockSpec, LayerSpec
from movinet.arch.parameters import parameter_shapes
from movinet.arch.spec import NetworkSpec
from movinet.dataclass_io import from_plain
from movinet.deploy.read_manifest import MANIFEST
from movinet.export.exported_folder import file_hashes, new_folder
from movinet.recognizer import Recognizer
from movinet.search.latency import LatencyTable
from movinet.train.checkpoint import load_checkpoint, save_checkpoint
from movinet.train.logs import read_log
from movinet.train.train_loop import TrainState
from movinet.weights.info import WeightsInfo, default_transform
from movinet.weights.load import load_weights, read_labels
from movinet.weights.operating_point import Interval, OperatingPoint, Thresholds
from movinet.weights.safetensors_file import read_info, save_weights


def weights(folder: Path) -> Target:
    made = _smallest(folder)
    path, header, body = folder / "read.safetensors", *_parts(made.read_bytes())

    def read(data: bytes) -> None:
        way, data = way_in(data)
        if way == "information":
            text = data.decode(errors="replace")
            data = _joined(json.dumps({**header, "__metadata__": {"movinet": text}}).encode(), body)
        path.write_bytes(_joined(data, body) if way == "header" else data)
        read_info(path)
        load_weights(path)

    information = header["__metadata__"]["movinet"].encode()
    described = json.dumps({"__metadata__": {"movinet": information.decode()}, **header}).encode()
    seeds = (b"@information\n" + information, b"@header\n" + described, b"@file\n" + made.read_bytes())
    return Target(seeds, read, (*words(json.loads(information)), b"F16", b"BF16", b"F8_E4M3", b"C64", b"data_offsets"))


def state(folder: Path) -> Target:
    recognizer = Recognizer.load(_smallest(folder), engine="torch")
    recognizer.push(np.zeros((24, 32, 3), np.uint8))
    path = folder / "state.safetensors"
    recognizer.save_state(path)
    file = path.read_bytes()
    header, body = _parts(file)

    def read(data: bytes) -> None:
        way, data = way_in(data)
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
        way, data = way_in(data)
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
    return Target(seeds, read, (*words(json.loads(described[0])), b"F16", b"data_offsets"))


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

    return several(folder, files, read, (b"1e999", b"NaN", b'"', b"\0", b"2026-01-01"))


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

    return several(
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

    return Target((json.dumps(seed).encode(),), read, (*words(seed), b"../beside.txt", b"notes.txt", b"/"))


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


def _parts(file: bytes) -> tuple[dict[str, Any], bytes]:
    """The header and the tensors of a safetensors file."""
    size = int.from_bytes(file[:8], "little")
    return json.loads(file[8 : 8 + size]), file[8 + size :]


def _joined(header: bytes, body: bytes) -> bytes:
    return len(header).to_bytes(8, "little") + header + body
