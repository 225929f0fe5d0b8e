"""`movinet train` and `finetune` as tests type them."""

import csv
import shlex
from pathlib import Path

import pytest
import yaml
from training_sets import as_file

from movinet.cli import main

Capture = pytest.CaptureFixture[str]


def run(line: str, capfd: Capture) -> tuple[int, str, str]:
    """Exit code, stdout and stderr."""
    with pytest.raises(SystemExit) as stop:
        main(shlex.split(line))
    return int(stop.value.code or 0), *capfd.readouterr()


def finetune(files: Path, data: str, options: str, capfd: Capture, network: str = "stream") -> tuple[int, str, str]:
    """Two short epochs, if nothing else is said."""
    basic = {"--epochs": 2, "--batch-size": 4, "--frames": 4, "--device": "cpu", "--workers": 0, "--threads": 1}
    usual = " ".join(f"{name} {value}" for name, value in basic.items() if name not in options)
    return run(f"finetune {data} --model {files}/tiny_{network}.safetensors {usual} {options}", capfd)


def recipe(folder: Path, files: Path, **changes: object) -> Path:
    """A recipe as a user would write it."""
    what: dict[str, object] = {
        "network": str(as_file(folder)),
        "data": {"kind": "videos", "paths": [str(files / "three")]},
        "clips": {"frames": 4},
        "optimizer": {"kind": "adamw", "lr": 0.01},
        "epochs": 2,
        "batch_size": 4,
    }
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump({k: v for k, v in (what | changes).items() if v is not None}))
    return path


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))
