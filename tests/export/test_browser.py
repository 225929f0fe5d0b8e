"""The folder for browsers: what lies in it, and what it refuses. tests/web opens it in one."""

import json
from pathlib import Path

import pytest
from tiny import tiny_spec

from movinet import Recognizer
from movinet.errors import MovinetError
from movinet.export.browser import page_files
from movinet.export.export import export
from movinet.video.sample import sample_clip
from movinet.weights.load import load_weights
from movinet.weights.weights import Weights


def test_the_folder_is_whole(tmp_path: Path) -> None:
    folder = tmp_path / "page"
    (exported,) = export(load_weights("movinet_t0_stream.gestures"), "browser", folder, precision="int8")
    for name, content in page_files().items():
        if name != "page.json":
            assert (folder / name).read_bytes() == content, name
    assert json.loads((folder / "page.json").read_text()) == {"mode": "browser", "sample": "sample.mp4"}
    assert (folder / "sample.mp4").read_bytes() == sample_clip().read_bytes()
    assert exported.manifest["model"] == "model.tflite"
    assert exported.manifest["page"] == "index.html"
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert exported.manifest["files"].keys() == there - {"movinet_manifest.json"}
    addresses = [name for name in page_files() if name.encode() in (folder / "index.html").read_bytes()]
    assert any(name.startswith("assets/") and name.endswith(".js") for name in addresses)


def test_it_is_a_model_like_any_other(tmp_path: Path) -> None:
    export(load_weights("movinet_t0_stream.gestures"), "browser", tmp_path / "page")
    assert Recognizer.load(str(tmp_path / "page"))(sample_clip()).label == "star"


def test_the_sample_comes_where_the_network_knows_it(tmp_path: Path) -> None:
    export(Weights.untrained(tiny_spec(True)), "browser", tmp_path / "page")
    assert json.loads((tmp_path / "page" / "page.json").read_text())["sample"] is None
    assert not (tmp_path / "page" / "sample.mp4").exists()


def test_an_export_is_replaced_with_all_its_files(tmp_path: Path) -> None:
    folder = tmp_path / "page"
    export(load_weights("movinet_t0_stream.gestures"), "browser", folder)
    (folder / "notes.txt").write_text("mine")
    export(Weights.untrained(tiny_spec(True)), "browser", folder, force=True)
    assert not (folder / "sample.mp4").exists()
    assert (folder / "notes.txt").read_text() == "mine"


def test_what_the_page_cannot_take_is_refused(tmp_path: Path) -> None:
    weights = load_weights("movinet_t0_stream.gestures")
    with pytest.raises(MovinetError, match="one stream"):
        export(weights, "browser", tmp_path / "page", streams=2)
    with pytest.raises(MovinetError, match="float32 and int8, not float16"):
        export(weights, "browser", tmp_path / "page", precision="float16")
    with pytest.raises(MovinetError, match="base network"):
        export(Weights.untrained(tiny_spec(False)), "browser", tmp_path / "page")
    assert not (tmp_path / "page").exists()
