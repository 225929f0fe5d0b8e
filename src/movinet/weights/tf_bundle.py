"""Read a TensorFlow checkpoint without TensorFlow.

A checkpoint `X` is `X.index`, a table in LevelDB's format that says where each tensor lies, and the bytes themselves in
`X.data-00000-of-0000N`. Formats: tensorflow/core/protobuf/tensor_bundle.proto and tensorflow/core/lib/io/format.cc.
Every block of the index and every tensor is checked against its CRC-32C.
"""

import math
import re
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from movinet.errors import WeightsError
from movinet.weights.crc32c import crc32c, unmask

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
_LARGEST_ARCHIVE = 1 << 31  # bytes unpacked; the largest published MoViNet takes 126 MB

Files = Mapping[str, Callable[[], bytes]]
"""File name → a function that reads it whole."""


def read_checkpoint(path: str | Path) -> dict[str, NDArray[np.generic]]:
    """All numeric tensors of a checkpoint by their keys, such as `model/dense/kernel/.ATTRIBUTES/VARIABLE_VALUE`.

    `path` is the checkpoint's prefix, its `.index` or `.data-…` file, a folder with one checkpoint (or with a
    `checkpoint` file that names one), or a `.tar.gz` of such a folder, which is read in place. bfloat16 becomes
    float32; strings are left out. Raises `WeightsError` where files are missing, damaged or of an unsupported kind.
    """
    path = Path(path)
    try:
        if path.is_dir():
            return _read(_folder(path), path)
        if path.is_file() and (_ARCHIVE.search(path.name) or tarfile.is_tarfile(path)):
            with tarfile.open(path) as archive:
                return _read(_members(archive, path), path)
        prefix = _DATA.sub("", path.name).removesuffix(_INDEX)
        files = _folder(path.parent) if path.parent.is_dir() else {}
        if prefix + _INDEX not in files:
            raise WeightsError(f"no checkpoint at {path}: {path.parent / prefix}{_INDEX} does not exist")
        return _bundle(files, prefix, path)
    except (tarfile.TarError, zlib.error, EOFError) as error:
        raise WeightsError(f"{path} is not a whole tar archive ({error}); get it again") from error
    except OSError as error:
        raise WeightsError(f"cannot read {error.filename or path}: {error.strerror or error}") from error


def _folder(path: Path) -> Files:
    return {child.name: child.read_bytes for child in path.iterdir() if child.is_file()}


def _members(archive: tarfile.TarFile, path: Path) -> Files:
    """Only regular files, read into memory under their names: nothing is written, no link followed."""
    files: dict[str, Callable[[], bytes]] = {}
    total = 0
    for member in archive:
        total += member.size
        if total > _LARGEST_ARCHIVE:
            raise WeightsError(f"{path} unpacks to more than {_LARGEST_ARCHIVE >> 20} MiB: not a MoViNet checkpoint")
        if member.isreg() and not PurePosixPath(member.name).name.startswith("._"):  # macOS adds ._ files
            files[member.name] = partial(_member, archive, member)
    return files


def _member(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    stream = archive.extractfile(member)
    assert stream is not None, "a regular file"
    return stream.read()


def _read(files: Files, path: Path) -> dict[str, NDArray[np.generic]]:
    """The one checkpoint among `files`, or the one their `checkpoint` file names."""
    prefixes = [name.removesuffix(_INDEX) for name in files if name.endswith(_INDEX)]
    for name in files:
        if PurePosixPath(name).name == "checkpoint":
            found = re.search(
                r'^model_checkpoint_path: "(?:.*[/\\])?(.+?)"', files[name]().decode(errors="replace"), re.M
            )
            latest = str(PurePosixPath(name).parent / found[1]) if found else ""
            if latest in prefixes:
                return _bundle(files, latest, path)
    if len(prefixes) != 1:
        listed = ", ".join(sorted(prefixes)) or "none"
        raise WeightsError(
            f"{path} should hold one checkpoint (a file X{_INDEX}), found: {listed}; name the one you mean"
        )
    return _bundle(files, prefixes[0], path)


class _Damaged(Exception):
    """What is wrong in a file; becomes a `WeightsError` where the file is known."""


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


def _bundle(files: Files, prefix: str, path: Path) -> dict[str, NDArray[np.generic]]:
    try:
        table = dict(_table(files[prefix + _INDEX]()))
        header = {number: value for number, value, _ in _fields(table.pop(b"", b""))}
        # Keys that start with 0 are encoded: the parts of a sliced tensor, which is refused under its own name below.
        entries = {key.decode(): _entry(value) for key, value in table.items() if not key.startswith(b"\0")}
    except (_Damaged, UnicodeDecodeError) as error:
        raise WeightsError(f"{prefix}{_INDEX} of {path} is damaged ({error}); get it again") from error
    if header.get(2, 0) != 0:
        raise WeightsError(f"{path} was written on a big-endian machine, which is not supported")
    tensors: dict[str, NDArray[np.generic]] = {}
    for shard in sorted({entry.shard for entry in entries.values()}):
        name = f"{prefix}.data-{shard:05d}-of-{header.get(1, 0):05d}"
        if name not in files:
            raise WeightsError(f"{path} lacks the file {name}; put it next to {prefix}{_INDEX}")
        data = memoryview(files[name]())
        for key, entry in entries.items():
            if entry.shard == shard and entry.dtype != _STRING:
                try:
                    tensors[key] = _tensor(entry, data)
                except _Damaged as error:
                    raise WeightsError(f"{key} in {name} of {path} {error}") from error
    return {key: tensors[key] for key in entries if key in tensors}


def _tensor(entry: _Entry, data: memoryview) -> NDArray[np.generic]:
    if entry.sliced:
        raise _Damaged("is stored in slices, which is not supported; save the model again on one device")
    if entry.dtype not in _DTYPES:
        raise _Damaged(f"has TensorFlow's data type {entry.dtype}, which is not supported")
    raw = data[entry.offset : entry.offset + entry.size]
    dtype = np.dtype(_DTYPES[entry.dtype])
    if len(raw) != entry.size or entry.size != math.prod(entry.shape) * dtype.itemsize:
        raise _Damaged(f"is cut short or mislabelled ({len(raw)} bytes for shape {entry.shape}); get the files again")
    if crc32c(raw) != unmask(entry.checksum):
        raise _Damaged("does not match its checksum; get the files again")
    values = np.frombuffer(raw, dtype).reshape(entry.shape)
    if entry.dtype == _BFLOAT16:
        return (values.astype("<u4") << 16).view("<f4")
    return values.copy()  # writable, and free of the file's memory


def _entry(message: bytes) -> _Entry:
    fields = {number: (value, content) for number, value, content in _fields(message)}

    def value(number: int) -> int:
        return fields.get(number, (0, b""))[0]

    shape = tuple(
        sum(size for part, size, _ in _fields(dim) if part == 1)
        for number, _, dim in _fields(fields.get(2, (0, b""))[1])
        if number == 2
    )
    return _Entry(value(1), shape, value(3), value(4), value(5), value(6), 7 in fields)


def _fields(message: bytes) -> Iterator[tuple[int, int, bytes]]:
    """A protocol buffer's fields: (number, value, b"") of numbers, (number, 0, content) of strings and messages."""
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        number, kind = tag >> 3, tag & 7
        if kind == 0:
            value, position = _varint(message, position)
            yield number, value, b""
            continue
        size, position = _varint(message, position) if kind == 2 else ({1: 8, 5: 4}.get(kind, 0), position)
        content = message[position : position + size]
        if kind not in {1, 2, 5} or len(content) != size:
            raise _Damaged(f"a message of {len(message)} bytes breaks off")
        yield (number, 0, content) if kind == 2 else (number, int.from_bytes(content, "little"), b"")
        position += size


def _varint(data: bytes, position: int) -> tuple[int, int]:
    """The number at `position`, seven bits a byte, and the position after it."""
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(data):
            break
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise _Damaged(f"no number at byte {position}")


def _table(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The entries of a LevelDB table in order: the footer points to a block that points to the blocks of entries."""
    footer = data[-_FOOTER:]
    if len(footer) < _FOOTER or int.from_bytes(footer[-8:], "little") != _MAGIC:
        raise _Damaged("no table mark at its end")
    _, position = _varint(footer, 0)  # the handle of the meta-index, which TensorFlow leaves empty
    _, position = _varint(footer, position)
    for _, handle in _entries(_block(data, footer, position)):
        yield from _entries(_block(data, handle, 0))


def _block(data: bytes, handle: bytes, position: int) -> bytes:
    """The block that the handle at `position` points to: contents, one byte of compression, four of checksum."""
    offset, position = _varint(handle, position)
    size, _ = _varint(handle, position)
    end = offset + size + 1
    if end + 4 > len(data):
        raise _Damaged(f"the block at byte {offset} reaches past the end")
    if crc32c(data[offset:end]) != unmask(int.from_bytes(data[end : end + 4], "little")):
        raise _Damaged(f"the block at byte {offset} does not match its checksum")
    if data[end - 1] != 0:
        raise _Damaged("its blocks are compressed, which TensorFlow does not do")
    return data[offset : end - 1]


def _entries(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Keys share their beginnings with the key before; the restart points at the end only serve a search."""
    end = len(block) - 4 - 4 * int.from_bytes(block[-4:], "little")
    if end < 0:
        raise _Damaged("a block has more restart points than bytes")
    key, position = b"", 0
    while position < end:
        shared, position = _varint(block, position)
        unshared, position = _varint(block, position)
        size, position = _varint(block, position)
        middle = position + unshared
        if shared > len(key) or middle + size > end:
            raise _Damaged("an entry reaches past its block")
        key = key[:shared] + block[position:middle]
        yield key, block[middle : middle + size]
        position = middle + size
