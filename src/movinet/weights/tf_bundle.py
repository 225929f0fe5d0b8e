"""Read a TensorFlow checkpoint without TensorFlow.

A checkpoint `X` is `X.index`, a table in LevelDB's format that says where each tensor lies, and the bytes themselves in
`X.data-00000-of-0000N`. Formats: tensorflow/core/protobuf/tensor_bundle.proto and tensorflow/core/lib/io/format.cc.
Every block of the index and every tensor is checked against its CRC-32C.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from movinet.errors import WeightsError, brief
from movinet.weights.archive import Files, is_archive, open_archive
from movinet.weights.crc32c import crc32c, unmask
from movinet.weights.protobuf import Damaged, fields, varint

_MAGIC = 0xDB4775248B80FB57
_FOOTER = 48
_STRING, _BFLOAT16 = 7, 14
_DTYPES = {
    1: "<f4",
    2: "<f8",
    3: "<i4",
    4: "u1",
    5: "<i2",
    6: "i1",
    9: "<i8",
    10: "?",
    _BFLOAT16: "<u2",
    17: "<u2",
    19: "<f2",
    22: "<u4",
    23: "<u8",
}
_INDEX = ".index"
_DATA = re.compile(r"\.data-\d{5}-of-\d{5}$")
_ARCHIVE = re.compile(r"\.(tar|tgz|tar\.gz)$")
_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
_LATEST = 'model_checkpoint_path: "'
# Bounds of what a file may ask for. MoViNet-A5 with two slots an optimizer takes 500 MB, and an index of 2 MB.
_LARGEST = 1 << 31  # bytes of all files that are read
_LARGEST_INDEX = 1 << 26  # bytes, and characters of all keys
_MOST_ENTRIES = 1 << 18
_MOST_AXES = 16
_LONGEST_KEY = 1 << 12


@dataclass(frozen=True)
class Checkpoint:
    """The numeric tensors of a checkpoint by their keys, and the graph of the objects they belong to."""

    tensors: dict[str, NDArray[np.generic]]
    graph: bytes | None  # serialized (TrackableObjectGraph); None in files of TensorFlow 1


def read_checkpoint(path: str | Path) -> Checkpoint:
    """Read a checkpoint. Keys are such as `model/dense/kernel/.ATTRIBUTES/VARIABLE_VALUE`.

    `path` is the checkpoint's prefix, its `.index` or `.data-…` file, a folder with one checkpoint (or with a
    `checkpoint` file that names one), a SavedModel's folder (or its `variables`), or a `.tar.gz` of such a folder,
    which is read in place. bfloat16 becomes float32; strings are left out. Raises `WeightsError` where files are
    missing, damaged or of an unsupported kind.
    """
    path = Path(path)
    try:
        if path.is_dir():
            variables = path / "variables"
            if (variables / f"variables{_INDEX}").is_file():  # a SavedModel
                return _bundle(_folder(variables), "variables", path)
            return _read(_folder(path), path)
        if path.is_file() and (_ARCHIVE.search(path.name) or is_archive(path)):
            with open_archive(path, _LARGEST) as files:
                return _read(files, path)
        prefix = _DATA.sub("", path.name).removesuffix(_INDEX)
        files = _folder(path.parent) if path.parent.is_dir() else {}
        if prefix + _INDEX not in files:
            raise WeightsError(f"no checkpoint at {path}: {path.parent / prefix}{_INDEX} does not exist")
        return _bundle(files, prefix, path)
    except OSError as error:
        raise WeightsError(f"cannot read {error.filename or path}: {error.strerror or error}") from error


def _folder(path: Path) -> Files:
    return {child.name: partial(_whole, child) for child in path.iterdir() if child.is_file()}


def _whole(path: Path) -> bytes:
    with path.open("rb") as file:
        data = file.read(_LARGEST + 1)
    if len(data) > _LARGEST:
        raise WeightsError(f"{path} has more than {_LARGEST >> 20} MiB: not a MoViNet checkpoint")
    return data


def _read(files: Files, path: Path) -> Checkpoint:
    """The one checkpoint among `files`, or the one their `checkpoint` file names."""
    prefixes = [name.removesuffix(_INDEX) for name in files if name.endswith(_INDEX)]
    for name in files:
        if PurePosixPath(name).name == "checkpoint":
            latest = str(PurePosixPath(name).parent / _latest(files[name]()))
            if latest in prefixes:
                return _bundle(files, latest, path)
    if len(prefixes) != 1:
        listed = ", ".join(sorted(prefixes)[:20]) or "none"
        raise WeightsError(
            f"{path} should hold one checkpoint (a file X{_INDEX}), found: {listed}; name the one you mean"
        )
    return _bundle(files, prefixes[0], path)


def _latest(content: bytes) -> str:
    """The name of the newest checkpoint, without the folders of the machine it was written on."""
    for line in content[:_LARGEST_INDEX].decode(errors="replace").splitlines():
        if line.startswith(_LATEST):
            return re.split(r"[/\\]", line.removeprefix(_LATEST).partition('"')[0])[-1]
    return ""


@dataclass(frozen=True)
class _Entry:
    """Where one tensor lies (BundleEntryProto)."""

    dtype: int
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    checksum: int
    sliced: bool


def _bundle(files: Files, prefix: str, path: Path) -> Checkpoint:
    try:
        index = files[prefix + _INDEX]()
        if len(index) > _LARGEST_INDEX:
            raise Damaged(f"{len(index)} bytes are more than a MoViNet needs")
        table = dict(_table(index))
        header = {number: value for number, value, _ in fields(table.pop(b"", b""))}
        # Keys that start with 0 are encoded: the parts of a sliced tensor, which is refused under its own name below.
        entries = {key.decode(): _entry(value) for key, value in table.items() if not key.startswith(b"\0")}
    except (Damaged, UnicodeDecodeError) as error:
        raise WeightsError(f"{prefix}{_INDEX} of {path} is damaged ({error}); get it again") from error
    if header.get(2, 0) != 0:
        raise WeightsError(f"{path} was written on a big-endian machine, which is not supported")
    tensors: dict[str, NDArray[np.generic]] = {}
    graph = None
    total = 0
    for shard in sorted({entry.shard for entry in entries.values()}):
        name = f"{prefix}.data-{shard:05d}-of-{header.get(1, 0):05d}"
        if name not in files:
            raise WeightsError(f"{path} lacks the file {name}; put it next to {prefix}{_INDEX}")
        data = memoryview(files[name]())
        inside = {key: entry for key, entry in entries.items() if entry.shard == shard}
        total += len(data)
        if total > _LARGEST or sum(entry.size for entry in inside.values()) > len(data):
            raise WeightsError(f"{name} of {path} is cut short or too large, or its tensors share bytes; get it again")
        for key, entry in inside.items():
            try:
                if key == _GRAPH:
                    graph = _string(entry, data)
                elif entry.dtype != _STRING:
                    tensors[key] = _tensor(entry, data)
            except Damaged as error:
                raise WeightsError(f"{brief(key)[1:-1]} in {name} of {path} {error}") from error
    return Checkpoint({key: tensors[key] for key in entries if key in tensors}, graph)


def _string(entry: _Entry, data: memoryview) -> bytes:
    """The one string of a tensor: its length, the checksum of that, and its bytes (tensor_bundle.cc)."""
    raw = bytes(data[entry.offset : entry.offset + entry.size])
    size, start = varint(raw, 0)
    text = raw[start + 4 :]
    if entry.dtype != _STRING or entry.shape != () or size != len(text) or size >= 1 << 32:
        raise Damaged("is cut short or mislabeled; get the files again")
    if crc32c(size.to_bytes(4, "little") + raw[start:]) != unmask(entry.checksum):
        raise Damaged("does not match its checksum; get the files again")
    return text


def _tensor(entry: _Entry, data: memoryview) -> NDArray[np.generic]:
    if entry.sliced:
        raise Damaged("is stored in slices, which is not supported; save the model again on one device")
    if entry.dtype not in _DTYPES:
        raise Damaged(f"has TensorFlow's data type {entry.dtype}, which is not supported")
    raw = data[entry.offset : entry.offset + entry.size]
    dtype = np.dtype(_DTYPES[entry.dtype])
    if len(raw) != entry.size or entry.size != math.prod(entry.shape) * dtype.itemsize:
        raise Damaged(f"is cut short or mislabeled ({len(raw)} bytes for shape {entry.shape}); get the files again")
    if crc32c(raw) != unmask(entry.checksum):
        raise Damaged("does not match its checksum; get the files again")
    values = np.frombuffer(raw, dtype).reshape(entry.shape)
    if entry.dtype == _BFLOAT16:
        return (values.astype("<u4") << 16).view("<f4")
    return values.copy()  # writable, and free of the file's memory


def _entry(message: bytes) -> _Entry:
    parts = {number: (value, content) for number, value, content in fields(message)}

    def value(number: int) -> int:
        return parts.get(number, (0, b""))[0]

    shape = tuple(
        sum(size for part, size, _ in fields(dim) if part == 1)
        for number, _, dim in fields(parts.get(2, (0, b""))[1])
        if number == 2
    )
    if len(shape) > _MOST_AXES:
        raise Damaged(f"a tensor of {len(shape)} axes")
    return _Entry(value(1), shape, value(3), value(4), value(5), value(6), 7 in parts)


def _table(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The entries of a LevelDB table in order: the footer points to a block that points to the blocks of entries."""
    footer = data[-_FOOTER:]
    if len(footer) < _FOOTER or int.from_bytes(footer[-8:], "little") != _MAGIC:
        raise Damaged("no table mark at its end")
    _, position = varint(footer, 0)  # the handle of the meta-index, which TensorFlow leaves empty
    _, position = varint(footer, position)
    left, entries, characters = len(data), _MOST_ENTRIES, _LARGEST_INDEX
    for _, handle in _entries(_block(data, footer, position)):
        block = _block(data, handle, 0)
        left -= len(block)
        for key, value in _entries(block):
            entries, characters = entries - 1, characters - len(key)
            if min(left, entries, characters) < 0:
                raise Damaged("it lists more than it has bytes for")
            yield key, value


def _block(data: bytes, handle: bytes, position: int) -> bytes:
    """The block that the handle at `position` points to: contents, one byte of compression, four of checksum."""
    offset, position = varint(handle, position)
    size, _ = varint(handle, position)
    end = offset + size + 1
    if end + 4 > len(data):
        raise Damaged(f"the block at byte {offset} reaches past the end")
    if crc32c(data[offset:end]) != unmask(int.from_bytes(data[end : end + 4], "little")):
        raise Damaged(f"the block at byte {offset} does not match its checksum")
    if data[end - 1] != 0:
        raise Damaged("its blocks are compressed, which TensorFlow does not do")
    return data[offset : end - 1]


def _entries(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Keys share their beginnings with the key before; the restart points at the end only serve a search."""
    end = len(block) - 4 - 4 * int.from_bytes(block[-4:], "little")
    if end < 0:
        raise Damaged("a block has more restart points than bytes")
    key, position = b"", 0
    while position < end:
        shared, position = varint(block, position)
        unshared, position = varint(block, position)
        size, position = varint(block, position)
        middle = position + unshared
        if shared > len(key) or middle + size > end:
            raise Damaged("an entry reaches past its block")
        if shared + unshared > _LONGEST_KEY:
            raise Damaged("a key of thousands of characters")
        key = key[:shared] + block[position:middle]
        yield key, block[middle : middle + size]
        position = middle + size
