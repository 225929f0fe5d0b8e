"""Files made to do harm: each is refused with a word on what is wrong, before it costs anything."""

import json
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from tarfile import SYMTYPE, TarFile, TarInfo
from typing import Any

import numpy as np
import pytest
from fuzz.attempts import attempt
from fuzz.targets import TARGETS
from tiny import LABELS, tiny_spec, tiny_weights

from movinet.arch.serialize import dump_spec, parse_spec
from movinet.arch.spec import EnsembleSpec, MemberSpec
from movinet.data.write_shards import write_shards
from movinet.errors import MovinetError, SpecError, WeightsError
from movinet.labeled.entries import VideoEntry, VideoSet
from movinet.labeled.readers import read_set
from movinet.labeled.shards import read_shards
from movinet.reading import LARGEST, parse_json, parse_yaml
from movinet.recognizer import Recognizer
from movinet.search.search_recipe import read_search
from movinet.train.recipe import read_recipe
from movinet.weights.info import WeightsInfo, default_transform

LAUGHS = "a: &a [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n" + "".join(
    f"{later}: &{later} [{', '.join([f'*{earlier}'] * 9)}]\n" for earlier, later in pairwise("abcdefghijklmnop")
)
CHAIN = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 2000))


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (LAUGHS, "more than 100,000 values"),
        (CHAIN, "64 levels"),
        ("[" * 50_000, "deeper than 64 levels"),
        ("- " * 5_000, "deeper than 64 levels"),
        ("a: &a [*a]", "stands for what it is in"),
        ("a: 1\nb: 2\na: 3", "'a' is said twice"),
        ("a: .nan", "nan is not a number"),
        ("a: -.inf", "inf is not a number"),
        (f"a: 0x{'f' * 5_000}", "64 bits"),
        (f"a: {'9' * 5_000}", "not what it says"),
        ("a: !!int x", "not what it says"),
        ("a: !!bool x", "not what it says"),
        ("a: 2026-13-01", "not what it says"),
        ('a: "\\ud800"', "half a character"),
        ('a: "\\U99999999"', "not what it says"),
        ("a: !!python/object/apply:os.system [ls]", "not YAML"),
        ("x" * (LARGEST + 1), "too much YAML"),
    ],
)
def test_yaml(text: str, what: str) -> None:
    with pytest.raises(MovinetError, match=what):
        parse_yaml(text)

    def read(data: bytes) -> None:
        parse_yaml(data.decode())

    outcome = attempt(read, text.encode())
    assert outcome.fault is None


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("[" * 200_000, "deeper than"),
        ("[" * 100 + "]" * 100, "deeper than"),
        ('{"a": 1, "a": 2}', "'a' is said twice"),
        ("NaN", "not a number"),
        ("[1e999]", "not a number"),
        (str(2**70), "64 bits"),
        ("9" * 5_000, "digits"),
        ('"\\ud800"', "half a character"),
        ("{", "not JSON"),
    ],
)
def test_json(text: str, what: str) -> None:
    with pytest.raises(MovinetError, match=what):
        parse_json(text)


def test_aliases_merges_and_names_of_any_bytes_are_read() -> None:
    assert parse_yaml("a: &a {x: 1}\nb: {<<: *a, y: 2}\nc: *a") == {"a": {"x": 1}, "b": {"x": 1, "y": 2}, "c": {"x": 1}}
    assert parse_yaml('"\\udc80"') == parse_json('"\\udc80"') == "\udc80"  # a file name that is not UTF-8
    assert parse_json("[NaN]", finite=False)[0] != 0


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"stem": 10**9}, "stem is 1000000000; it can be at most 65536"),
        ({"num_classes": 10**12}, "num_classes"),
        ({"hidden": 60_000, "num_classes": 10**6}, "parameters and more"),
        ({"size": (16_000, 16_000)}, "for a frame"),
        ({"size": (10**6, 24)}, "a side of size"),
        ({"fps": 1e-300}, "fps"),
        ({"frames": 10**9}, "frames"),
        ({"position_limit": 10**15}, "position_limit"),
        ({"name": "\ud800"}, "name"),
        ({"name": "x" * 1000}, "name"),
        ({"blocks": tiny_spec().blocks * 500}, "1000 layers"),
        ({"blocks": (replace(tiny_spec().blocks[0], channels=10**10),)}, "channels"),
    ],
)
def test_networks_that_would_take_all_memory(changes: dict[str, Any], what: str) -> None:
    with pytest.raises(SpecError, match=what):
        tiny_spec().with_options(**changes)


def test_ensembles_that_would_never_end() -> None:
    spec = tiny_spec()
    pair = EnsembleSpec("pair", (MemberSpec(spec),), spec.size, spec.fps, spec.frames)
    text = dump_spec(pair)
    for rate in ("1e-999999999", "9" * 5_000, "1/" + "9" * 5_000):
        with pytest.raises(SpecError, match="want a fraction such as 1/2"):
            parse_spec(text.replace("rate: '1'", f"rate: '{rate}'"))
    with pytest.raises(SpecError, match="17 members"):
        replace(pair, members=pair.members * 17)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ("epochs: 99999999999", "epochs is"),
        ("clips: {frames: 9999999999}", "clips.frames"),
        ("clips: {resize_short: 9999999}", "clips.resize_short"),
        ("augmentation: {policy: {kind: []}}", "kind"),
        ("augmentation: {policy: {kind: randaugment, operations: 999999999}}", "operations"),
        ("optimizer: {kind: adamw, lr: 'inf'}", "optimizer.lr"),
        ("mixup: 'nan'", "mixup is 'nan'"),
    ],
)
def test_recipes(tmp_path: Path, change: str, what: str) -> None:
    recipe = {"network: a0": "", "epochs: 1": "", "batch_size: 1": "", "optimizer: {kind: adamw, lr: 0.1}": ""}
    lines = [line for line in recipe if not line.startswith(change.partition(":")[0])]
    path = tmp_path / "recipe.yaml"
    path.write_text("\n".join([*lines, change]))
    with pytest.raises(MovinetError, match=what):
        read_recipe(path)


@pytest.mark.parametrize(
    "space",
    ["depth: 1e9", "width: 1e12", "multipliers: [1.0, 1e300]", "expansions: ['inf']", "kernels: [[1, 999, 999]]"],
)
def test_searches(tmp_path: Path, space: str) -> None:
    path = tmp_path / "search.yaml"
    training = "{network: a0, epochs: 1, batch_size: 1, optimizer: {kind: adamw, lr: 0.1}}"
    path.write_text(f"budget: {{target: 1e6}}\ntraining: {training}\nspace: {{{space}}}")
    with pytest.raises(MovinetError, match="space"):
        read_search(path)


@pytest.mark.parametrize("file", ["x" * 5_000 + ".mp4", "a\0b.mp4", "\ud800.mp4"])
def test_lists_of_files_that_cannot_be(tmp_path: Path, file: str) -> None:
    entries = [{"file": file, "label": "left"}, {"file": "b.mp4", "label": "right"}]
    (tmp_path / "train.json").write_text(json.dumps(entries))
    with pytest.raises(MovinetError):
        read_set(tmp_path / "train.json")


def test_a_column_that_is_there_twice(tmp_path: Path) -> None:
    (tmp_path / "clips.csv").write_text("file,label,label\na.mp4,left,right\n")
    with pytest.raises(MovinetError, match="the column 'label' is there twice"):
        read_set(tmp_path / "clips.csv")


def _shards(folder: Path) -> tuple[VideoSet, Path]:
    """A set and the folder of its shards, each of whose videos is no video."""
    videos = []
    for label in ("left", "right"):
        (folder / f"{label}.mp4").write_bytes(b"no video")
        videos.append(VideoEntry(folder / f"{label}.mp4", (label,)))
    clips, made = VideoSet(tuple(videos), ("left", "right"), False), folder / "made"
    write_shards({"train": clips}, made)
    return clips, made


@pytest.mark.parametrize(
    "change",
    [
        {"shard": "../../secret.tar"},
        {"shard": "/etc/passwd"},
        {"shard": ""},
        {"shard": 5},
        {"offset": -1},
        {"size": 0.5},
        {"start": "x"},
        {"start": 2.0, "end": 1.0},
        {"labels": "left"},
        {"source": None},
    ],
    ids=str,
)
def test_shards_lie_beside_their_index(tmp_path: Path, change: dict[str, Any]) -> None:
    _, made = _shards(tmp_path)
    right = {"shard": "train-000000.tar", "offset": 0, "size": 1, "start": 0, "end": None, "labels": [], "source": "x"}
    (made / "train.index.jsonl").write_text(json.dumps({**right, **change}))
    with pytest.raises(MovinetError, match="not a place in a shard"):
        read_shards(made)


def _link() -> TarInfo:
    info = TarInfo("00000000.json")
    info.type, info.linkname = SYMTYPE, "00000000.json"
    return info


def _negative() -> TarInfo:
    info = TarInfo("00000000.mp4")
    info.pax_headers = {"size": "-1024"}
    return info


@pytest.mark.parametrize("member", [_link, _negative])
def test_shards_that_lead_round_in_a_circle(tmp_path: Path, member: Callable[[], TarInfo]) -> None:
    clips, made = _shards(tmp_path)
    data = BytesIO()
    with TarFile(fileobj=data, mode="w", format=2) as tar:
        tar.addfile(member())
    (made / "train-000000.tar").write_bytes(data.getvalue())
    outcome = attempt(lambda _: write_shards({"train": clips}, made) and None, b"")
    assert outcome.fault is None
    with pytest.raises(MovinetError, match="damaged"):
        write_shards({"train": clips}, made)


@pytest.mark.parametrize(
    "change",
    [
        {"name": None},
        {"labels": "abc"},
        {"labels": [1, 2, 3]},
        {"license": []},
        {"accuracy": {"top-1": "high"}},
        {"accuracy": []},
        {"notes": "\ud800"},
        {"transform": {"size": [24, 32], "resize_short": 10**9, "fps": 5}},
        {"transform": {"size": [24, 32], "resize_short": float("inf"), "fps": 5}},
        {"transform": {"size": [10**9, 32], "resize_short": 24, "fps": 5}},
        {"transform": []},
        {"training": 3},
    ],
    ids=str,
)
def test_descriptions_of_weights(change: dict[str, Any]) -> None:
    spec = tiny_spec()
    right = WeightsInfo("tiny.test", spec, default_transform(spec), LABELS).to_dict()
    assert WeightsInfo.from_dict(right).labels == LABELS
    with pytest.raises(WeightsError):
        WeightsInfo.from_dict({**right, **change})


def _of_type(file: bytes, kind: str, size: float) -> bytes:
    """A safetensors file with all tensors of another type."""
    length = int.from_bytes(file[:8], "little")
    header, end = json.loads(file[8 : 8 + length]), 0
    for key, entry in header.items():
        if key != "__metadata__":
            begin, end = end, end + int(np.prod(entry["shape"]) * size)
            header[key] = {**entry, "dtype": kind, "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + bytes(end)


@pytest.mark.parametrize(
    ("kind", "size"), [("C64", 8), ("F8_E4M3", 1), ("BF16", 2), ("BOOL", 1), ("U64", 8), ("F4", 0.5), ("F64", 8)]
)
def test_tensors_of_any_type(kind: str, size: float, tmp_path: Path) -> None:
    for name in ("weights", "state", "checkpoint"):
        (tmp_path / name).mkdir()
        target = TARGETS[name](tmp_path / name)
        seed = next(seed for seed in target.seeds if seed.startswith(b"@file\n")).removeprefix(b"@file\n")
        outcome = attempt(target.read, b"@file\n" + _of_type(seed, kind, size))
        assert outcome.fault is None, name


@pytest.mark.parametrize(
    "change",
    [
        {"frames_seen": np.array(3.0)},
        {"frames_seen": np.array([np.nan])},
        {"frames_seen": np.array([-3])},
        {"frames_seen": np.array([0])},
        {"frames_seen": np.zeros(0, np.int64)},
        {"head.pool": np.full(8, np.nan, np.float32)},
        {"head.pool": np.ones(8)},
    ],
    ids=str,
)
def test_states_that_no_stream_has(tmp_path: Path, change: dict[str, Any]) -> None:
    from safetensors.numpy import load_file, save_file

    recognizer, path = Recognizer.load(tiny_weights(tmp_path), engine="torch"), tmp_path / "state.safetensors"
    recognizer.push(np.zeros((24, 32, 3), np.uint8))
    recognizer.save_state(path)
    header = path.read_bytes()
    metadata = json.loads(header[8 : 8 + int.from_bytes(header[:8], "little")])["__metadata__"]
    arrays = load_file(path)
    pools = {name for name, array in arrays.items() if array.shape == (8,)}
    named = {(max(pools) if name == "head.pool" else name): array for name, array in change.items()}
    recognizer.restore_state(path)
    save_file({**arrays, **named}, path, metadata)
    with pytest.raises(WeightsError):
        recognizer.restore_state(path)


def test_every_reader_has_right_files_that_it_takes_or_knows_to_be_too_small(tmp_path: Path) -> None:
    """Otherwise their neighbors would all be refused at the first line."""
    for name in TARGETS.keys() - {"tensorflow", "pickle"}:
        (tmp_path / name).mkdir()
        target = TARGETS[name](tmp_path / name)
        for seed in target.seeds:
            target.read(seed)
