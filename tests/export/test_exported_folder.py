"""What `--force` removes is what an earlier export wrote, and nothing else."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from tiny import tiny_weights

from movinet.errors import MovinetError
from movinet.export.export import export
from movinet.export.exported_folder import MANIFEST, file_hashes, new_folder
from movinet.weights.load import load_weights


def write_export(folder: Path, files: dict[str, str], force: bool = False, **manifest: Any) -> None:
    with new_folder(folder, force) as part:
        for name, text in files.items():
            (part / name).parent.mkdir(parents=True, exist_ok=True)
            (part / name).write_text(text)
        whole = {"movinet": "1.0", "format": "onnx", "files": file_hashes(part)} | manifest
        (part / MANIFEST).write_text(json.dumps(whole))


def contents(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in folder.rglob("*")
        if path.is_file() and path.name != MANIFEST
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_export(tmp_path / "out", {"model": "old", "gone": "old", "package/data": "old", "package/more/data": "old"})
    return tmp_path / "out"


def beside(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.parent.iterdir())


def test_what_the_manifest_does_not_list_stays(folder: Path) -> None:
    for name in ("notes.txt", "package/mine", "node_modules/a/b.js", ".hidden"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("mine")
    write_export(folder, {"model": "new", "package/data": "new"}, force=True)
    mine = dict.fromkeys(("notes.txt", "package/mine", "node_modules/a/b.js", ".hidden"), "mine")
    assert contents(folder) == {"model": "new", "package/data": "new"} | mine
    assert beside(folder) == ["out"]


@pytest.mark.parametrize(
    "manifest",
    [
        None,
        "[]",
        "{}",
        "no JSON",
        "[" * 100_000,
        '{"name": "Somebody\'s web app", "icons": []}',
        '{"format": "onnx", "files": {}}',
        '{"movinet": 1, "format": "onnx", "files": {}}',
        '{"movinet": "1.0", "format": "pictures", "files": {}}',
        '{"movinet": "1.0", "format": "onnx", "files": []}',
        '{"movinet": "1.0", "format": "onnx", "files": {"../precious": {"sha256": "0"}}}',
        '{"movinet": "1.0", "format": "onnx", "files": {"/etc/passwd": {"sha256": "0"}}}',
        '{"movinet": "1.0", "format": "onnx", "files": {"a/../../b": {"sha256": "0"}}}',
        '{"movinet": "1.0", "format": "onnx", "files": {"c:\\\\b": {"sha256": "0"}}}',
    ],
)
def test_folders_that_are_not_ours_are_refused(manifest: str | None, tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "manifest.json").write_text('{"movinet": "1.0", "format": "onnx", "files": {}}')
    if manifest is not None:
        (tmp_path / "app" / MANIFEST).write_text(manifest)
    with pytest.raises(MovinetError, match="exists and is no exported network"):
        write_export(tmp_path / "app", {"model": "new"}, force=True)
    assert (tmp_path / "app" / "manifest.json").exists()
    assert beside(tmp_path / "app") == ["app"]


def test_nothing_is_replaced_unless_asked(folder: Path) -> None:
    before = contents(folder)
    with pytest.raises(MovinetError, match="exists already; --force replaces it"):
        write_export(folder, {"model": "new"})
    assert contents(folder) == before


def test_what_was_changed_by_hand_is_kept(folder: Path) -> None:
    (folder / "package" / "data").write_text("edited")
    before = contents(folder)
    with pytest.raises(MovinetError, match="data: was changed since it was exported; move it away"):
        write_export(folder, {"model": "new"}, force=True)
    assert contents(folder) == before


def test_links_are_not_followed(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (folder / "package").rename(tmp_path / "moved")
    (tmp_path / "moved").rename(tmp_path / "precious" / "package")
    (folder / "package").symlink_to(tmp_path / "precious" / "package")
    with pytest.raises(MovinetError, match="was changed since"):
        write_export(folder, {"model": "new"}, force=True)
    assert (tmp_path / "precious" / "package" / "data").read_text() == "old"


def test_a_link_to_the_folder_stays_one(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "latest").symlink_to(folder)
    write_export(tmp_path / "latest", {"model": "new"}, force=True)
    assert (tmp_path / "latest").is_symlink()
    assert contents(folder) == {"model": "new"}


def test_new_files_take_nobodys_place(folder: Path) -> None:
    (folder / "index.html").write_text("mine")
    with pytest.raises(MovinetError, match=r"index\.html: is not the earlier export's"):
        write_export(folder, {"model": "new", "index.html": "new"}, force=True)
    assert contents(folder)["index.html"] == "mine"
    assert beside(folder) == ["out"]


@pytest.mark.parametrize("failing", [1, 2, 3, 4])
def test_everything_comes_back_if_the_new_one_cannot_take_its_place(
    failing: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("notes.txt", "package/mine"):
        (folder / name).write_text("mine")
    before, rename, calls = contents(folder), Path.rename, []

    def refuse(self: Path, target: Path) -> Path:
        calls.append(target)
        if len(calls) == failing:
            raise OSError(28, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(MovinetError, match="No space left"):
        write_export(folder, {"model": "new", "package/data": "new"}, force=True)
    assert contents(folder) == before
    assert beside(folder) == ["out"]


def test_a_folder_that_cannot_be_written_or_opened_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    openvino = pytest.importorskip("openvino")
    weights = load_weights(tiny_weights(tmp_path))
    with pytest.raises(MovinetError, match="UTF-8"):
        export(weights, "openvino", tmp_path / "a\udcff")

    def full(*_: Any, **__: Any) -> None:
        raise RuntimeError("basic_ios::clear: iostream error")

    monkeypatch.setattr(openvino, "save_model", full)
    with pytest.raises(MovinetError, match=r"model\.xml: OpenVINO cannot write"):
        export(weights, "openvino", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_a_killed_export_left_goes_with_the_next(tmp_path: Path) -> None:
    left, new, other = (tmp_path / name for name in (".out.1.part", ".out.2.part", ".out.txt.1.part"))
    for path in (left, new, other):
        path.mkdir()
    for path in (left, other):
        os.utime(path, (1, 1))
    with new_folder(tmp_path / "out", force=False):
        pass
    assert not left.exists()
    assert new.exists()
    assert other.exists()


def test_a_failed_export_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(MovinetError, match="cannot write"), new_folder(tmp_path / "a" / "out", force=False) as part:
        (part / "half" / "of it").write_text("")
    assert not any((tmp_path / "a").iterdir())


def test_exports_say_what_they_wrote(tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert")
    loaded = load_weights(tiny_weights(tmp_path))
    export(loaded, "litert", tmp_path / "out")
    (tmp_path / "out" / "mine").write_text("")
    export(loaded, "litert", tmp_path / "out", force=True)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {MANIFEST, "model.tflite", "mine"}
