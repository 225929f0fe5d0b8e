"""movinet export, as a user meets it."""

import json
import shlex
from pathlib import Path

import pytest
from tiny import tiny_spec, tiny_weights

from movinet.arch.serialize import dump_spec
from movinet.cli import main

pytest.importorskip("onnxruntime")


def run(folder: Path, line: str, capfd: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        main(shlex.split(line.replace("@", str(folder))))
    out, err = capfd.readouterr()
    return int(stop.value.code or 0), out, err


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export")
    tiny_weights(folder)
    tiny_weights(folder, causal=False)
    return folder


def test_it_says_what_it_wrote_and_how_near_it_came(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(folder, "export @/tiny_stream.safetensors --to onnx --out @/one", capfd)
    assert code == 0
    assert "model.onnx" in out
    assert "on 20 frames" in out
    assert {path.name for path in (folder / "one").iterdir()} == {"model.onnx", "movinet_manifest.json"}


def test_json_is_the_manifest(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(folder, "export @/tiny_stream.safetensors --to onnx --out @/two --size 16 20 --json", capfd)
    assert code == 0
    assert not err
    said, manifest = json.loads(out), json.loads((folder / "two" / "movinet_manifest.json").read_text())
    assert said.pop("folder") == str(folder / "two")
    assert said == manifest
    assert manifest["input"]["shape"] == [1, 3, 16, 20]


def test_the_folder_is_named_after_weights_and_format(
    folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    assert run(folder, "export tiny_stream.safetensors --to onnx", capfd)[0] == 0
    assert (folder / "tiny_stream.test-onnx" / "movinet_manifest.json").is_file()


def test_specifications_are_exported_untrained(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (folder / "found.yaml").write_text(dump_spec(tiny_spec()))
    code, out, _ = run(folder, "export @/found.yaml --to onnx --untrained --out @/untrained --json", capfd)
    assert code == 0
    said = json.loads(out)
    assert said["weights"]["source"] == "random numbers"
    assert said["checked"]["largest_logit"] > 1e-3


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("export @/missing.safetensors --to onnx", "no such file"),
        ("export @/tiny_stream.safetensors --to tensorrt", "tensorrt"),
        ("export @/tiny_stream.safetensors", "--to"),
        ("export @/tiny_stream.safetensors --to onnx --out @", "exists"),
        ("export @/tiny_stream.safetensors --to onnx --out @/x --frames 0", "--frames"),
        ("export @/tiny_stream.safetensors --to onnx --out @/x --streams 0", "--streams"),
        ("export @/tiny_stream.safetensors --to onnx --out @/x --size 0 20", "--size"),
        ("export @/tiny_stream.safetensors --to onnx --out @/x --precision float8", "float8"),
        ("export @/tiny_stream.safetensors --to onnx --out @/tiny_stream.safetensors/x", "cannot write"),
        ("export @/found.yaml --to onnx", "--untrained"),
        ("export @/tiny_base.safetensors --to litert --out @/x", "base network"),
        ("export @/tiny_base.safetensors --to onnx --past partial_sums --out @/x", "--past"),
    ],
)
def test_mistakes_end_in_one_message_and_2(
    folder: Path, line: str, message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(folder, line, capfd)
    assert code == 2
    assert not out
    assert message in err
    assert "Traceback" not in err
    assert not (folder / "x").exists()
