"""Networks side by side: what was published of them, what they cost, and what was measured of them here."""

import json
import platform
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from movinet import __version__
from movinet.arch.baseline_spec import BASELINES
from movinet.arch.serialize import find_spec
from movinet.arch.spec import EnsembleSpec
from movinet.arch.zoo import network_names
from movinet.baselines.published_figures import PUBLISHED, Published
from movinet.cores import usable_cores
from movinet.costs import macs_per_clip, parameters, state_bytes
from movinet.errors import MovinetError
from movinet.files import write_json
from movinet.reading import parse_json

COSTS = "costs.json"
_REPEATS = 5  # steps timed


@dataclass(frozen=True)
class Cost:
    """What a network costs.

    Args:
        network: its name.
        frames, size: of the clip.
        parameters: with the classifier of the specification.
        gmacs: billions of multiply-adds of the clip.
        state_mb: of one stream.
        clip_ms: of the clip; of a network that streams, of as many steps.
        memory_mb: the largest memory of the process that ran it, beyond that of one that had loaded PyTorch alone.
        date, machine: where and when it was measured; empty where it was not.
    """

    network: str
    frames: int
    size: tuple[int, int]
    parameters: int
    gmacs: float
    state_mb: float
    clip_ms: float | None = None
    memory_mb: float | None = None
    date: str = ""
    machine: str = ""


@dataclass(frozen=True)
class Trained:
    """What one network came to in trainings of our own.

    Args:
        network: its name.
        top1: of each seed, a share.
        clips: that were tested.
        parameters: of it.
        gmacs: of a clip.
    """

    network: str
    top1: tuple[float, ...]
    clips: int
    parameters: int
    gmacs: float

    @property
    def mean(self) -> float:
        return float(np.mean(self.top1))


def comparable() -> list[str]:
    """The networks that are one network each: MoViNets, and those they are compared with."""
    return [name for name in (*network_names(), *BASELINES) if not isinstance(find_spec(name), EnsembleSpec)]


def published(data: str | None = None, networks: Sequence[str] = ()) -> list[Published]:
    """What is known with a source, of some data or all, of some networks or all.

    Raises:
        MovinetError: there is nothing of such data.
    """
    known = sorted({row.data for row in PUBLISHED})
    if data is not None and data not in known:
        raise MovinetError(f"--data {data}: nothing published is kept of it; there are {' and '.join(known)}")
    return [
        row
        for row in PUBLISHED
        if data in (None, row.data) and (not networks or any(name in row.network for name in networks))
    ]


def video_gmacs(row: Published) -> float | None:
    """Billions of multiply-adds of a whole video, of all its views: as published, else counted here."""
    gmacs = row.gmacs
    if gmacs is None and row.network in comparable():
        gmacs = macs_per_clip(find_spec(row.network)) / 1e9
    return None if gmacs is None else gmacs * row.count


def million_parameters(row: Published) -> float | None:
    """As published, else counted here; None where neither is possible."""
    if row.parameters is None and row.network in comparable():
        return parameters(find_spec(row.network).with_options(num_classes=int(row.data.partition("-")[2]))) / 1e6
    return row.parameters


def count_cost(network: str) -> Cost:
    """What can be told of a network without running it."""
    spec = find_spec(network)
    return Cost(network, spec.frames, spec.size, parameters(spec), macs_per_clip(spec) / 1e9, state_bytes(spec) / 2**20)


def measure_costs(
    networks: Sequence[str],
    folder: Path,
    *,
    most_gmacs: float,
    threads: int = 1,
    progress: Callable[[int, int | None], None] | None = None,
    measure: Callable[[str, int], Mapping[str, Any]] | None = None,
) -> list[Cost]:
    """Costs, measured on this machine, each network in a process of its own; what the folder has is not measured again.

    Args:
        networks: names.
        folder: `costs.json` in it keeps what was measured; written after each network.
        most_gmacs: clips that take more are counted alone, and not run.
        threads: of the processor.
        progress: told how many of how many are done.
        measure: gives what `movinet profile NAME --json` prints, by name and threads; that command by default.

    Raises:
        MovinetError: the folder holds something else, or a network cannot be run.
    """
    path = folder / COSTS
    known = read_costs(path) if path.exists() else {}
    costs = []
    for done, network in enumerate(networks):
        if progress is not None:
            progress(done, len(networks))
        cost = count_cost(network)
        if network in known:
            cost = known[network]
        elif cost.gmacs <= most_gmacs:
            found = (measure or _profile)(network, threads)
            ms = found["clip_ms"] if found["step_ms"] is None else found["step_ms"] * cost.frames
            cost = Cost(
                **{field.name: getattr(cost, field.name) for field in fields(Cost)[:6]},
                clip_ms=ms,
                memory_mb=found["peak_memory_mb"] and max(0.0, found["peak_memory_mb"] - found.get("idle_mb", 0.0)),
                date=f"{datetime.now(UTC):%Y-%m-%d}",
                machine=machine(threads),
            )
            known[network] = cost
            folder.mkdir(parents=True, exist_ok=True)
            write_json(path, {"version": __version__, "costs": [asdict(one) for one in known.values()]})
        costs.append(cost)
    return costs


def read_costs(path: Path) -> dict[str, Cost]:
    """What `measure_costs` wrote, by network.

    Raises:
        MovinetError: the file is another's.
    """
    data = _read(path)
    try:
        rows = [Cost(**{**row, "size": tuple(row["size"])}) for row in data["costs"]]
    except (TypeError, KeyError) as error:
        raise MovinetError(f"{path}: no table of costs of `movinet compare`; give another folder") from error
    return {row.network: row for row in rows}


def read_trained(path: Path) -> list[Trained]:
    """Trainings of our own, as `benchmarks/ablations.py --json` writes them.

    Raises:
        MovinetError: the file cannot be read, or is another's.
    """
    data = _read(path)
    try:
        return [Trained(**{**row, "top1": tuple(row["top1"])}) for row in data["trained"] if row["top1"]]
    except (TypeError, KeyError) as error:
        raise MovinetError(f"{path}: no table of trainings, as `benchmarks/ablations.py --json` writes it") from error


def _read(path: Path) -> Any:
    try:
        return parse_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise MovinetError(f"{path}: cannot be read: {error}") from error


def machine(threads: int) -> str:
    """What a measurement is of, in a few words."""
    cores = usable_cores()
    return f"{platform.machine()}, {cores} cores, {threads} used, {platform.system()}"


def _profile(network: str, threads: int) -> Mapping[str, Any]:
    """What `movinet profile` says, in a process of its own, with PyTorch: what all of them can be run with."""
    command = [sys.executable, "-m", "movinet", "profile", network, "--engine", "torch", "--json"]
    command += ["--threads", str(threads), "--repeats", str(_REPEATS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise MovinetError(f"{network} cannot be measured: {done.stderr.strip()[-500:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found | {"idle_mb": _idle_mb()}


@cache
def _idle_mb() -> float:
    """The memory of a process that has loaded what `profile` loads, and runs nothing."""
    code = (
        "import movinet.nn.torch_engine, movinet.baselines.baseline_engine; "
        "from movinet.profiling import peak_memory as peak; print(peak() or 0)"
    )
    return float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
