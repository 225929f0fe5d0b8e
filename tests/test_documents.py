"""What the documents tell people to type works: their code blocks run, in order, in a folder with a clip in it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from movinet.arch.count import macs_per_frame, parameters
from movinet.arch.zoo import network_spec
from movinet.data.encode import encode_video
from movinet.data.synthetic import render_gesture

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
BLOCK = re.compile(r"(<!-- not run: .+? -->\n)?```(python|bash)\n(.*?)```", re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("readme")
    encode_video(folder / "clip.mp4", render_gesture("star", 1, (96, 128), 12, 6.0).frames, 6.0)
    (folder / "recipes").symlink_to(ROOT / "recipes")
    return folder


def blocks(path: Path, language: str) -> list[str]:
    found = BLOCK.findall(path.read_text(encoding="utf-8"))
    return [code for skipped, kind, code in found if kind == language and not skipped]


DOCUMENTS = (README, *sorted((ROOT / "docs").glob("*.md")))
PYTHON = [
    pytest.param(code, id=f"{path.name}-{n}") for path in DOCUMENTS for n, code in enumerate(blocks(path, "python"))
]


@pytest.mark.parametrize("code", PYTHON)
def test_python_blocks_run(code: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    exec(compile(code, "a document", "exec"), {})


COMMANDS = [
    pytest.param(line, id=f"{path.name}-{n}")
    for path in DOCUMENTS
    for n, line in enumerate(line for code in blocks(path, "bash") for line in code.splitlines() if line)
]


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_run(line: str, folder: Path) -> None:
    assert line.startswith("movinet ")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path}
    done = subprocess.run(
        ["bash", "-c", line], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_table_of_networks_is_what_the_specifications_say() -> None:
    rows = re.findall(
        r"^\| ([AT]\d)[^|]*\| (\d+)² \| ([\d.]+) \| ([^|]+) \| ([^|]+) \|",
        README.read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    assert len(rows) == 8
    for name, size, fps, count, macs in rows:
        base, stream = (network_spec(f"movinet_{name.lower()}_{kind}") for kind in ("base", "stream"))
        assert (stream.size[0], stream.fps) == (int(size), float(fps))
        assert count.strip() == f"{parameters(base) / 1e6:.2f} M / {parameters(stream) / 1e6:.2f} M"
        assert macs.strip() == f"{macs_per_frame(base) / 1e6:.1f} M / {macs_per_frame(stream) / 1e6:.1f} M"
