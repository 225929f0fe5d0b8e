"""The page that is committed is what its sources make, and is no larger than it may be."""

import gzip
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from web.visits import WEB

from movinet.export.browser import page_files

MOST = 3.5e6  # bytes that a visitor loads, packed, without the network


def content(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Unpacked: versions of Node pack differently."""
    return {name: gzip.decompress(data) if name.endswith(".gz") else data for name, data in files.items()}


def test_the_page_is_small() -> None:
    packed = {name: len(gzip.compress(data)) for name, data in page_files().items()}
    assert sum(packed.values()) < MOST


def test_the_page_brings_its_licenses() -> None:
    told = page_files()["licenses.txt"].decode()
    for part in ("@litertjs/core 2.5.3 (Apache-2.0)", "preact 10.29.0 (MIT)", "Apache License", "Jason Miller"):
        assert part in told


def test_the_page_names_no_other_place() -> None:
    """No address of anybody else's in what is ours; the runtime's script has some in its comments."""
    allowed = (b"http://www.w3.org/",)
    for name, data in page_files().items():
        if name.startswith(("runtime/", "licenses")) or name.endswith(".gz"):
            continue
        rest = data
        for address in allowed:
            rest = rest.replace(address, b"")
        found = [rest[at : at + 60] for at in range(len(rest)) if rest.startswith((b"https://", b"http://"), at)]
        assert {place.split(b"://")[1][:1] for place in found} <= {b" ", b"$", b'"', b"`"}, (name, found)


@pytest.fixture(scope="module")
def built(node_modules: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh build beside copies of the sources."""
    folder = tmp_path_factory.mktemp("build")
    shutil.copytree(WEB, folder / "web", ignore=shutil.ignore_patterns("node_modules"))
    shutil.copy(WEB.parent / "LICENSE", folder / "LICENSE")
    (folder / "web" / "node_modules").symlink_to(node_modules)
    done = subprocess.run(
        ["npm", "run", "build"], cwd=folder / "web", capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "src" / "movinet" / "serve" / "page"


@pytest.mark.slow
def test_the_committed_page_is_what_the_sources_make(built: Path) -> None:
    made = {path.relative_to(built).as_posix(): path.read_bytes() for path in built.rglob("*") if path.is_file()}
    found, expected = content(made), content(page_files())
    assert found.keys() == expected.keys()
    assert [name for name in found if found[name] != expected[name]] == []
