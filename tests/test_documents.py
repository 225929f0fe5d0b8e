"""What the documents tell people to type works: their code blocks run, in order, in a folder with a clip in it."""

import re
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
from typed import run_typed

from movinet.arch.count import macs_per_frame, parameters
from movinet.arch.zoo import network_spec
from movinet.data.synthetic.gesture_clips import render_gesture
from movinet.search.search_recipe import read_search
from movinet.train.recipe import read_recipe
from movinet.video.encode import encode_video

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
# Before a block there may be a remark that it is not run, and why, or which packages it needs.
BLOCK = re.compile(r"(?:<!-- (not run|needs): ([^>]+?) -->\n)?```(python|bash)\n(.*?)```", re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("readme")
    encode_video(folder / "clip.mp4", render_gesture("star", 1, (96, 128), 12, 6.0).frames, 6.0)
    return folder


def blocks(path: Path, language: str) -> list[tuple[str, list[str]]]:
    """The code that runs, each with the packages it needs beyond ours."""
    found = BLOCK.findall(path.read_text(encoding="utf-8"))
    return [
        (code, why.split() if remark == "needs" else [])
        for remark, why, kind, code in found
        if kind == language and remark != "not run"
    ]


def skip_without(needs: list[str]) -> None:
    if missing := [package for package in needs if find_spec(package) is None]:
        pytest.skip(f"needs {', '.join(missing)}")


DOCUMENTS = (README, *sorted((ROOT / "docs").glob("*.md")))
PYTHON = [
    pytest.param(*block, id=f"{path.name}-{n}") for path in DOCUMENTS for n, block in enumerate(blocks(path, "python"))
]


@pytest.mark.parametrize(("code", "needs"), PYTHON)
def test_python_blocks_run(code: str, needs: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    skip_without(needs)
    monkeypatch.chdir(folder)
    with warnings.catch_warnings():
        if needs:
            warnings.simplefilter("ignore")  # of others' making
        exec(compile(code, "a document", "exec"), {})


COMMANDS = [
    pytest.param(line, needs, id=f"{path.name}-{n}")
    for path in DOCUMENTS
    for n, (line, needs) in enumerate(
        (line, needs) for code, needs in blocks(path, "bash") for line in code.splitlines() if line
    )
]


@pytest.mark.parametrize(("line", "needs"), COMMANDS)
def test_commands_run(line: str, needs: list[str], folder: Path, tmp_path: Path) -> None:
    skip_without(needs)
    assert line.startswith("movinet ")
    code = run_typed(line, folder, tmp_path / "said")
    assert code == 0, (tmp_path / "said").read_text(encoding="utf-8")


RECIPES = [
    (path.name, text, read)
    for path in DOCUMENTS
    for text in re.findall(r"```yaml\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL)
    for read in [read_search if "budget:" in text else read_recipe]
    if "optimizer:" in text
]


@pytest.mark.parametrize(("text", "read"), [pytest.param(*recipe[1:], id=recipe[0]) for recipe in RECIPES])
def test_recipes_are_recipes(text: str, read: Callable[[Path], object], tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(text, encoding="utf-8")
    read(tmp_path / "recipe.yaml")


def test_no_folder_of_the_documents_lies_in_another() -> None:
    """In whatever order people try the documents, no command finds another's folder where it wants its own."""
    texts = [path.read_text(encoding="utf-8") for path in DOCUMENTS]
    folders = {
        Path(folder)
        for text in texts
        for folder in re.findall(r"(?:--out |data synthesize |export\(.*, \")([\w./-]+)", text)
    }
    assert len(folders) > 6
    assert not [(one, other) for one in folders for other in folders if one in other.parents]


def test_files_that_documents_name_are_there() -> None:
    named = re.compile(r"`((?:tests|benchmarks|scripts|src|docs)/[\w./-]+)(?=[`: ])")
    missing = [
        f"{document.name}: {name}"
        for document in [README, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
        for name in named.findall(document.read_text(encoding="utf-8"))
        if not (ROOT / name).exists()
    ]
    assert missing == []


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
