"""TensorFlow checkpoints: against files TensorFlow wrote, and against a small writer for what those do not vary."""

import gzip
import io
import json
import shutil
import tarfile
from pathlib import Path
from time import process_time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from movinet.errors import WeightsError
from movinet.weights.crc32c import crc32c
from movinet.weights.tf_bundle import read_checkpoint

FIXTURES = Path(__file__).parent / "fixtures"
RAMP = np.arange(-6, 6).reshape(3, 4) / 4


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def masked(data: bytes) -> bytes:
    crc = crc32c(data)
    return (((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF).to_bytes(4, "little")


def block(entries: list[tuple[bytes, bytes]], restart_every: int) -> bytes:
    out, restarts, last = b"", [], b""
    for i, (key, value) in enumerate(entries):
        shared = 0
        if i % restart_every == 0:
            restarts.append(len(out))
        else:
            while shared < min(len(last), len(key)) and last[shared] == key[shared]:
                shared += 1
        out += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        last = key
    return out + b"".join(r.to_bytes(4, "little") for r in [*restarts, len(restarts)])


def write_checkpoint(
    prefix: Path, tensors: dict[str, NDArray[np.float32]], *, per_block: int, restart_every: int
) -> None:
    data, entries = b"", [(b"", bytes([8, 1, 26, 2, 8, 1]))]
    for key, tensor in sorted(tensors.items(), key=lambda item: item[0].encode()):
        raw = tensor.tobytes()
        dims = b"".join(b"\x12" + varint(len(dim)) + dim for dim in (b"\x08" + varint(n) for n in tensor.shape))
        place = b"\x20" + varint(len(data)) + b"\x28" + varint(len(raw)) + b"\x35" + masked(raw)
        entries.append((key.encode(), b"\x08\x01\x12" + varint(len(dims)) + dims + place))
        data += raw
    table, handles = b"", []

    def append(contents: bytes, kind: bytes = b"\0") -> bytes:
        nonlocal table
        handle = varint(len(table)) + varint(len(contents))
        table += contents + kind + masked(contents + kind)
        return handle

    for start in range(0, len(entries), per_block):
        part = entries[start : start + per_block]
        handles.append((part[-1][0], append(block(part, restart_every))))
    footer = append(block([], 1)) + append(block(handles, 1))
    magic = 0xDB4775248B80FB57
    prefix.with_name(prefix.name + ".index").write_bytes(table + footer.ljust(40, b"\0") + magic.to_bytes(8, "little"))
    prefix.with_name(prefix.name + ".data-00000-of-00001").write_bytes(data)


def assert_same(got: dict[str, NDArray[np.generic]], expected: dict[str, NDArray[np.generic]]) -> None:
    assert got.keys() == expected.keys()
    for key, value in expected.items():
        assert (got[key].dtype, got[key].shape) == (value.dtype, value.shape)
        assert got[key].tobytes() == value.tobytes(), key


def test_every_type_tensorflow_writes() -> None:
    whole = np.arange(-6, 6).reshape(3, 4)
    assert_same(
        read_checkpoint(FIXTURES / "mixed").tensors,
        {
            "a/bfloat16": RAMP.astype(np.float32),
            "a/float16": RAMP.astype(np.float16),
            "a/float32": RAMP.astype(np.float32),
            "a/float64": RAMP,
            "b/bool": RAMP > 0,
            "b/int32": whole.astype(np.int32),
            "b/int64": whole * 10**12,
            "b/uint8": np.arange(12, dtype=np.uint8).reshape(3, 4),
            "c/empty": np.zeros((0, 3), np.float32),
            "c/scalar": np.array(2.5, np.float32),
        },
    )


def test_result_is_writable() -> None:
    read_checkpoint(FIXTURES / "mixed").tensors["a/float32"][0, 0] = 1


def test_several_data_files() -> None:
    expected = {"first": RAMP.astype(np.float32), "second": 2 * RAMP.astype(np.float32)}
    assert_same(read_checkpoint(FIXTURES / "sharded").tensors, expected)


def test_slices_are_refused() -> None:
    with pytest.raises(WeightsError, match=r"half in sliced.data-.* is stored in slices"):
        read_checkpoint(FIXTURES / "sliced")


keys = st.text(st.sampled_from("ab/é0"), min_size=1, max_size=12)
shapes = st.lists(st.integers(0, 3), max_size=4).map(tuple)


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(keys, shapes, max_size=12), st.integers(1, 5), st.integers(1, 5))
def test_any_cut_into_blocks(
    tmp_path_factory: pytest.TempPathFactory, wanted: dict[str, tuple[int, ...]], per_block: int, restart_every: int
) -> None:
    rng = np.random.default_rng(0)
    tensors = {key: rng.standard_normal(shape, np.float32) for key, shape in wanted.items()}
    prefix = tmp_path_factory.mktemp("any") / "ckpt"
    write_checkpoint(prefix, tensors, per_block=per_block, restart_every=restart_every)
    assert_same(read_checkpoint(prefix).tensors, tensors)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for path in FIXTURES.glob("mixed.*"):
        shutil.copy(path, tmp_path)
    return tmp_path


def pack(folder: Path, archive: Path) -> Path:
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(folder, "movinet_a0_base")
    return archive


def test_every_way_to_name_it(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    expected = read_checkpoint(FIXTURES / "mixed").tensors
    archive = pack(folder, tmp_path_factory.mktemp("archive") / "published.tar.gz")
    for path in (folder, folder / "mixed.index", folder / "mixed.data-00000-of-00001", str(folder / "mixed"), archive):
        assert_same(read_checkpoint(path).tensors, expected)


def test_checkpoint_file_decides_among_several(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    for path in FIXTURES.glob("sharded.*"):
        shutil.copy(path, folder)
    with pytest.raises(WeightsError, match="found: mixed, sharded; name the one you mean"):
        read_checkpoint(folder)
    (folder / "checkpoint").write_text(
        'model_checkpoint_path: "/their/machine/sharded"\nall_model_checkpoint_paths: "mixed"\n'
    )
    archive = pack(folder, tmp_path_factory.mktemp("archive") / "two.tgz")
    for path in (folder, archive):
        assert read_checkpoint(path).tensors.keys() == {"first", "second"}


def test_archive_members_are_neither_written_nor_followed(folder: Path, tmp_path: Path) -> None:
    archive = tmp_path / "odd.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        for name in ("mixed.index", "mixed.data-00000-of-00001"):
            tar.add(folder / name, f"../../{name}")
        hidden = tarfile.TarInfo("../../._mixed.index")  # as macOS adds them
        hidden.size = 4
        tar.addfile(hidden, io.BytesIO(b"junk"))
        link = tarfile.TarInfo("other.index")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    before = sorted(tmp_path.rglob("*"))
    assert_same(read_checkpoint(archive).tensors, read_checkpoint(FIXTURES / "mixed").tensors)
    assert sorted(tmp_path.rglob("*")) == before


def test_archive_that_unpacks_to_too_much(tmp_path: Path) -> None:
    bomb = tarfile.TarInfo("ckpt.index")
    bomb.size = 1 << 40
    (tmp_path / "bomb.tar.gz").write_bytes(gzip.compress(bomb.tobuf() + bytes(1024)))
    with pytest.raises(WeightsError, match="unpacks to more than 2048 MiB"):
        read_checkpoint(tmp_path / "bomb.tar.gz")


def test_damaged_archive(folder: Path, tmp_path: Path) -> None:
    archive = pack(folder, tmp_path / "cut.tar.gz")
    whole = archive.read_bytes()
    for damaged in (whole[: len(whole) // 2], b"<html>not found</html>", b"", whole[:200] + b"\xff" * 40 + whole[240:]):
        archive.write_bytes(damaged)
        with pytest.raises(WeightsError, match=r"cut.tar.gz"):
            read_checkpoint(archive)


def test_missing_files_are_named(folder: Path) -> None:
    with pytest.raises(WeightsError, match=r"nothing.index does not exist"):
        read_checkpoint(folder / "nothing")
    with pytest.raises(WeightsError, match=r"does not exist"):
        read_checkpoint(folder / "no" / "folder" / "ckpt")
    (folder / "mixed.data-00000-of-00001").unlink()
    with pytest.raises(WeightsError, match=r"lacks the file mixed.data-00000-of-00001"):
        read_checkpoint(folder)
    (folder / "mixed.index").unlink()
    with pytest.raises(WeightsError, match="found: none"):
        read_checkpoint(folder)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damage_is_reported_or_harmless(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("damage")
    names = ["mixed.index", "mixed.data-00000-of-00001"]
    for name in names:
        shutil.copy(FIXTURES / name, folder)
    victim = folder / data.draw(st.sampled_from(names))
    content = bytearray(victim.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        content[at] ^= data.draw(st.integers(1, 255))
    else:
        del content[at:]
    victim.write_bytes(content)
    try:
        got = read_checkpoint(folder).tensors
    except WeightsError:
        return
    # Some bytes carry nothing: padding, and the strings that are left out.
    assert_same(got, read_checkpoint(FIXTURES / "mixed").tensors)


@pytest.mark.parametrize("tag", ["a0_base", "a0_stream"])
def test_golden_checkpoints(shared: Path, tag: str) -> None:
    tensors = read_checkpoint(shared / "golden" / f"{tag}_ckpt").tensors
    names = json.loads((shared / "golden" / f"{tag}_names.json").read_text())
    shapes = {name: tuple(shape) for name, shape, _ in names["variables"]}
    assert tensors.keys() == names["ckpt_to_name"].keys()
    for key, candidates in names["ckpt_to_name"].items():
        assert tensors[key].shape in {shapes[name] for name in candidates}
    moving = [value for key, value in tensors.items() if "moving_variance" in key]
    assert moving
    assert all(((v >= 0.5) & (v <= 1.5)).all() for v in moving)  # how golden/README.md seeded them


def table(blocks: list[bytes], handles: int = 1) -> bytes:
    """An index whose blocks are these, each of them pointed to `handles` times."""
    out, places = b"", []

    def append(contents: bytes) -> bytes:
        nonlocal out
        handle = varint(len(out)) + varint(len(contents))
        out += contents + b"\0" + masked(contents + b"\0")
        return handle

    for contents in blocks:
        places += [(b"", append(contents))] * handles
    footer = append(block([], 1)) + append(block(places, 1))
    return out + footer.ljust(40, b"\0") + (0xDB4775248B80FB57).to_bytes(8, "little")


def shared_keys(count: int, length: int) -> bytes:
    """Entries of three bytes that each repeat the whole of a long key."""
    first = varint(0) + varint(length) + varint(0) + b"k" * length
    return first + (varint(length) + varint(0) + varint(0)) * count + bytes(4) + (1).to_bytes(4, "little")


@pytest.mark.parametrize(
    "index",
    [
        table([shared_keys(1000, 1 << 13)]),
        table([shared_keys(60_000, 4000)]),
        table([shared_keys(300_000, 1)]),
        table([block([(b"k" * 1000, b"")], 1)], handles=3000),
    ],
    ids=["long keys", "many long keys", "many keys", "one block for ever"],
)
def test_an_index_cannot_ask_for_more_than_it_is(index: bytes, tmp_path: Path) -> None:
    (tmp_path / "ckpt.index").write_bytes(index)
    start = process_time()
    with pytest.raises(WeightsError, match="is damaged"):
        read_checkpoint(tmp_path / "ckpt")
    assert process_time() - start < 10


def test_tensors_that_share_their_bytes_are_refused(folder: Path) -> None:
    """A small file could ask for any memory: every tensor the same million bytes."""
    whole = np.ones(1000, np.float32)
    write_checkpoint(folder / "x", {f"{n}": whole for n in range(50)}, per_block=99, restart_every=1)
    data = folder / "x.data-00000-of-00001"
    data.write_bytes(data.read_bytes()[:4000])
    with pytest.raises(WeightsError, match="share bytes"):
        read_checkpoint(folder / "x")


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_archive_with_endless_headers(kind: bytes, tmp_path: Path) -> None:
    """A header may announce a name of gigabytes, or a header, a thousand times over."""
    large, small = tarfile.TarInfo("x"), tarfile.TarInfo("x")
    large.type = small.type = kind
    large.size, small.size = 1 << 30, 11
    body = b"11 path=ab\n".ljust(512, b"\0")
    for name, content in (("large", large.tobuf()), ("chain", (small.tobuf() + body) * 3000)):
        path = tmp_path / f"{name}.tar.gz"
        path.write_bytes(gzip.compress(content + bytes(1024)))
        with pytest.raises(WeightsError, match="not a whole tar archive"):
            read_checkpoint(path)


def test_archive_of_too_many_files(tmp_path: Path) -> None:
    names = b"".join(tarfile.TarInfo(f"{n}").tobuf() for n in range(4100))
    (tmp_path / "many.tar.gz").write_bytes(gzip.compress(names + bytes(1024)))
    with pytest.raises(WeightsError, match="or 4096 files"):
        read_checkpoint(tmp_path / "many.tar.gz")


def test_a_checkpoint_file_without_end(folder: Path) -> None:
    (folder / "checkpoint").write_bytes(b'model_checkpoint_path: "' + b"/a" * (1 << 20))
    start = process_time()
    read_checkpoint(folder)
    assert process_time() - start < 5
