"""What runs networks needs no PyTorch: where it cannot be imported, and in an installation without it."""

import gzip
import os
import shutil
import subprocess
import sys
import tarfile
import venv
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import tiny_weights
from weights.test_official_files import OFFICIAL, STREAM

from movinet.arch.serialize import dump_spec
from movinet.arch.zoo import network_spec
from movinet.video.decode import read_frames
from movinet.video.encode import encode_video
from movinet.video.sample import sample_clip
from movinet.video.transform import Transform
from movinet.weights.safetensors_file import save_weights
from movinet.weights.weights import Weights

ROOT = Path(__file__).parents[1]
PROGRAM = Path(__file__).with_name("torch_free.py")
LARGEST = 280e6  # bytes installed


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    """A clip, and weights of every kind."""
    for name in ("clip.mp4", "other.mp4"):
        shutil.copyfile(sample_clip(), tmp_path / name)
    (tmp_path / "clips.csv").write_text("file,label\nclip.mp4,star\n")
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


def test_where_nothing_runs_networks_it_is_said_what_does() -> None:
    code = """
import sys
for name in ("torch", "openvino", "ai_edge_litert"):
    sys.modules[name] = None  # importing it fails
from movinet.cli import main
main(["demo"])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    said = " ".join(done.stderr.split())
    assert "LiteRT is not there" in said
    assert "pip install 'movinet[openvino]'" in said
    assert "Traceback" not in said


@pytest.fixture(scope="module")
def light(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with the wheel of this checkout, installed as `pip install movinet` would."""
    folder = tmp_path_factory.mktemp("light")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    source, wheels, home = folder / "source", folder / "wheels", folder / "venv"
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(".*", "build", "*.egg-info", "__pycache__"))
    subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", str(wheels), str(source)], check=True)
    (wheel,) = wheels.glob("movinet-*.whl")
    venv.create(home)
    python = home / ("Scripts" if os.name == "nt" else "bin") / "python"
    constraints = ["--constraint", str(ROOT / "constraints.txt")]
    subprocess.run([*pip, "--python", str(python), "install", *constraints, str(wheel)], check=True)
    return python


def outside(folder: Path) -> dict[str, str]:
    """The environment of a program that finds nothing but what is installed, and may keep what it compiles."""
    without = ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE")
    return {name: value for name, value in settings(folder).items() if name not in without}


@pytest.mark.slow
def test_an_installation_without_pytorch_is_small_and_runs(light: Path, inputs: Path) -> None:
    where = [str(light), "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])"]
    packages = Path(subprocess.run(where, capture_output=True, text=True, check=True).stdout.strip())
    assert not (packages / "torch").exists()
    size = sum(file.stat().st_size for file in packages.rglob("*") if file.is_file())
    print(f"installed: {size / 1e6:.0f} MB")
    assert size <= LARGEST
    line = [str(light), str(PROGRAM), str(inputs)]
    done = subprocess.run(line, capture_output=True, text=True, check=False, env=outside(inputs), cwd=inputs)
    assert done.returncode == 0, done.stdout + done.stderr


# By a small process: to begin with, a new one has as much memory as its parent.
MEASURE = """
import os, sys
child = os.spawnv(os.P_NOWAIT, sys.argv[1], sys.argv[1:])
_, status, used = os.wait4(child, 0)
print("", used.ru_utime + used.ru_stime, used.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "wait4"), reason="the system does not tell what a process took")
def test_a_start_takes_little(light: Path, tmp_path: Path) -> None:
    """A 10-second clip and A0, the whole process. Limits of processor time are for a machine with nothing else to do,
    and half as much again is allowed."""
    hand = [frame.levels(Transform((256, 340), 256, 25.0)) for frame in read_frames(sample_clip(), fps=25)]
    encode_video(tmp_path / "clip.mp4", np.stack((hand * 3)[:250]), fps=25)
    weights = Weights.untrained(network_spec("movinet_a0_stream"))
    save_weights(tmp_path / "a0.safetensors", weights.arrays, weights.info)

    def taken(line: str) -> tuple[float, float]:
        """Seconds of the processor and, at most, MiB of memory."""
        program = [sys.executable, "-c", MEASURE, str(light), "-m", "movinet", *line.split()]
        said = subprocess.run(program, cwd=tmp_path, env=outside(tmp_path), capture_output=True, text=True, check=True)
        seconds, memory = map(float, said.stdout.split()[-2:])
        return seconds, memory / (2**20 if sys.platform == "darwin" else 2**10)

    classify = "classify clip.mp4 --model a0.safetensors"
    figures = {"the first time": taken(classify)}
    for line in (classify, "models", "--help", "--version"):
        tries = [taken(line) for _ in range(5)]
        figures[line] = min(seconds for seconds, _ in tries), max(memory for _, memory in tries)
    print(figures)
    assert figures["the first time"][1] < 180
    assert figures[classify][1] < 150
    assert figures[classify][0] < 1.5 * 0.7
    assert all(figures[line][0] < 1.5 * 0.4 for line in ("models", "--help", "--version"))
