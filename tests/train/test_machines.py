"""Training on several machines, as two groups of processes with torchrun's rendezvous on this one: a group is killed,
the run ends in a checkpoint, and the same command goes on to the same end."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml
from training_sets import as_file, clips_folder

from movinet.train.checkpoint import load_checkpoint

LONG = 600.0  # seconds for what takes some


def free_port() -> int:
    with socket.socket() as any_port:
        any_port.bind(("127.0.0.1", 0))
        return int(any_port.getsockname()[1])


def machine(line: list[str], port: int, folder: Path) -> "subprocess.Popen[bytes]":
    """What is typed on each of two machines; a group of processes of its own."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nnodes=2", "--nproc-per-node=1", "--max-restarts=0"]
    where = ["--rdzv-backend=c10d", f"--rdzv-endpoint=127.0.0.1:{port}", "--rdzv-id=test"]
    environment = os.environ | {"GLOO_SOCKET_IFNAME": "lo"}
    log = (folder / f"{port}.log").open("ab")
    with log:
        return subprocess.Popen(
            [*launcher, *where, "-m", "movinet", *line],
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd=folder,
        )


def step_of(run: Path) -> int:
    """Updates that are in the checkpoint."""
    try:
        return int(load_checkpoint(run / "checkpoint.safetensors").progress["step"])
    except (OSError, ValueError):
        return 0


def lose(one: "subprocess.Popen[bytes]", number: signal.Signals) -> None:
    """A signal for a launcher, and, where it cannot pass it on, for what it has launched."""
    launched = []
    if number == signal.SIGKILL:
        launched = Path(f"/proc/{one.pid}/task/{one.pid}/children").read_text().split()
    for process in (one.pid, *map(int, launched)):
        os.kill(process, number)


def end(machines: "list[subprocess.Popen[bytes]]") -> None:
    for one in machines:
        if one.poll() is None:
            os.killpg(one.pid, signal.SIGKILL)
        one.wait()


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="the system does not show its processes")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_machine_is_lost_and_the_run_goes_on_to_the_same_end(tmp_path: Path, number: signal.Signals) -> None:
    clips_folder(tmp_path / "clips", {"calm": 8, "dance": 8})
    recipe = {
        "network": str(as_file(tmp_path)),
        "data": {"kind": "videos", "paths": [str(tmp_path / "clips")]},
        "clips": {"frames": 4},
        "optimizer": {"kind": "adamw", "lr": 0.01},
        "epochs": 8,
        "batch_size": 4,
    }
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(recipe))
    where = ["--device", "cpu", "--processes", "1", "--nodes", "2", "--workers", "0", "--threads", "1"]

    def both(line: list[str]) -> "list[subprocess.Popen[bytes]]":
        port = free_port()
        return [machine([*line, *where], port, tmp_path) for _ in range(2)]

    whole, lost = tmp_path / "whole", tmp_path / "lost"
    machines = both(["train", "mine.yaml", "--out", str(whole)])
    try:
        assert [one.wait(LONG) for one in machines] == [0, 0], "".join(p.read_text() for p in tmp_path.glob("*.log"))
    finally:
        end(machines)
    last = step_of(whole)

    machines = both(["train", "mine.yaml", "--out", str(lost)])
    try:
        until = time.monotonic() + LONG
        while step_of(lost) < last // 4:
            assert time.monotonic() < until
            assert machines[0].poll() is None
            time.sleep(0.05)
        lose(machines[1], number)
        for one in machines:
            one.wait(LONG)  # the other ends by itself
        assert machines[0].returncode != 0
    finally:
        end(machines)
    assert last // 4 <= step_of(lost) < last

    machines = both(["train", "--resume", str(lost)])
    try:
        assert [one.wait(LONG) for one in machines] == [0, 0], "".join(p.read_text() for p in tmp_path.glob("*.log"))
    finally:
        end(machines)
    found, wanted = (load_checkpoint(run / "checkpoint.safetensors").tensors for run in (lost, whole))
    for part in wanted:
        for name, value in wanted[part].items():
            torch.testing.assert_close(found[part][name], value, rtol=0, atol=0, msg=lambda m, n=name: f"{n}: {m}")
    scores = [json.loads((run / "metrics.json").read_text())["scores"] for run in (lost, whole)]
    assert scores[0] == scores[1]
