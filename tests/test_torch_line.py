"""What runs networks needs no PyTorch: where it cannot be imported, and in an installation without it."""

import gzip
import os
import shutil
import subprocess
import sys
import tarfile
import venv
from pathlib import Path

import pytest
import torch
from tiny import tiny_weights
from weights.test_official_files import OFFICIAL, STREAM

from movinet.arch.serialize import dump_spec
from movinet.video.sample import sample_clip

ROOT = Path(__file__).parents[1]
PROGRAM = Path(__file__).with_name("torch_free.py")
LARGEST = 280e6  # bytes installed


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    """A clip, and weights of every kind."""
    for name in ("clip.mp4", "other.mp4"):
        shutil.copyfile(sample_clip(), tmp_path / name)
    tiny_weights(tmp_path)
    tiny_weights(tmp_path, causal=False)
    (tmp_path / "stream.tflite").write_bytes(gzip.decompress((OFFICIAL / "stream_float32.tflite.gz").read_bytes()))
    (tmp_path / "checkpoint").mkdir()
    for file in OFFICIAL.glob("trained.*"):
        shutil.copyfile(file, tmp_path / "checkpoint" / file.name)
    with tarfile.open(tmp_path / "saved.tar.gz", "w:gz") as archive:
        archive.add(OFFICIAL / "saved_model", "saved")
    (tmp_path / "official.yaml").write_text(dump_spec(STREAM))
    torch.save({"weight": torch.zeros(1)}, tmp_path / "pickled.pt")
    return tmp_path


def settings(folder: Path) -> dict[str, str]:
    """The environment of a program that has an empty cache."""
    return {**os.environ, "MOVINET_CACHE": str(folder / "cache")}


def test_commands_and_the_pool_run_where_pytorch_cannot_be_imported(inputs: Path) -> None:
    line = [sys.executable, str(PROGRAM), str(inputs), "blocked"]
    done = subprocess.run(line, capture_output=True, text=True, check=False, env=settings(inputs))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("line", ["--help", "--version", "models", "watch --help"])
def test_asking_is_cheap(line: str, tmp_path: Path) -> None:
    """Nothing is imported that is not needed, numpy and PyAV with it."""
    code = "import sys; from movinet.cli import main\ntry: main(sys.argv[1:])\nfinally: print('loaded', *sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, *line.split()], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.rpartition("\nloaded ")[2].split())
    assert "movinet.cli" in loaded
    heavy = {"torch", "av", "openvino", "onnx", "ai_edge_litert.compiled_model", "lightning_fabric", "matplotlib"}
    if line in ("--help", "--version"):
        heavy |= {"numpy", "safetensors"}
    if line == "watch --help":
        heavy -= {"av"}
    assert not heavy & loaded


@pytest.mark.slow
def test_an_installation_without_pytorch(inputs: Path, tmp_path: Path) -> None:
    """The wheel of this checkout, installed as `pip install movinet` would: it is small, and all of it runs."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    source, wheels, home = tmp_path / "source", tmp_path / "wheels", tmp_path / "venv"
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(".*", "build", "*.egg-info", "__pycache__"))
    subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", str(wheels), str(source)], check=True)
    (wheel,) = wheels.glob("movinet-*.whl")
    venv.create(home)
    python = home / ("Scripts" if os.name == "nt" else "bin") / "python"
    constraints = ["--constraint", str(ROOT / "constraints.txt")]
    subprocess.run([*pip, "--python", str(python), "install", *constraints, str(wheel)], check=True)
    where = [str(python), "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])"]
    packages = Path(subprocess.run(where, capture_output=True, text=True, check=True).stdout.strip())
    assert not (packages / "torch").exists()
    size = sum(file.stat().st_size for file in packages.rglob("*") if file.is_file())
    print(f"installed: {size / 1e6:.0f} MB")
    assert size <= LARGEST
    environment = {name: value for name, value in settings(inputs).items() if name != "PYTHONPATH"}
    line = [str(python), str(PROGRAM), str(inputs)]
    done = subprocess.run(line, capture_output=True, text=True, check=False, env=environment, cwd=inputs)
    assert done.returncode == 0, done.stdout + done.stderr
