"""What `import movinet` adds to `import torch`, in fresh interpreters, and which modules cost most.

    python benchmarks/import_time.py

Fails from half a second on.
"""

import argparse
import statistics
import subprocess
import sys

LIMIT = 0.5  # seconds
TIMED = """
from time import perf_counter
a = perf_counter()
import torch
b = perf_counter()
import {name}
print(b - a, perf_counter() - b)
"""
NAMES = ("movinet", "movinet.recognizer", "movinet.cli")


def imported(name: str) -> tuple[float, float]:
    """Seconds for torch, then for `name` on top of it."""
    command = [sys.executable, "-c", TIMED.format(name=name)]
    torch, rest = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return float(torch), float(rest)


def costliest(name: str, count: int = 10) -> list[tuple[float, str]]:
    """Milliseconds and names of the modules `name` brings beside torch's, without what they import themselves."""
    command = [sys.executable, "-X", "importtime", "-c", f"import torch\nimport {name}"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stderr.splitlines()
    fields = [[part.strip() for part in line.removeprefix("import time:").split("|")] for line in lines if "|" in line]
    after_torch = fields[1 + [module for *_, module in fields].index("torch") :]
    return sorted(((int(own) / 1e3, module) for own, _, module in after_torch), reverse=True)[:count]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in NAMES}
    for _ in range(rounds):
        for name in NAMES:
            seconds[name].append(imported(name))
    print(f"s, median and best of {rounds} fresh interpreters")
    for label, taken in [
        ("torch", [torch for pairs in seconds.values() for torch, _ in pairs]),
        *((f"+ {name}", [rest for _, rest in pairs]) for name, pairs in seconds.items()),
    ]:
        print(f"{label:22}{statistics.median(taken):7.3f}{min(taken):7.3f}")
    print("\nms, the costliest modules of `import movinet` beside torch's")
    for milliseconds, module in costliest("movinet"):
        print(f"{milliseconds:8.1f}  {module}")
    if statistics.median(rest for _, rest in seconds["movinet"]) >= LIMIT:
        sys.exit(f"`import movinet` adds {LIMIT} s or more")


if __name__ == "__main__":
    main()
