"""`make fuzz`: every reader on files that a fuzzer makes, guided by which lines of ours they reach.

    python tests/fuzz/guided.py [READER …] [--seconds 600] [--folder .fuzz]

Prints a row for every reader and exits with 1 if there was a fault. Files that show one are kept in
FOLDER/READER/faults, what reaches most in FOLDER/READER/corpus, from where the next
call goes on. Needs atheris (PyPI).
"""

import argparse
import json
import os
import subprocess
import sys
import warnings
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from time import monotonic

TESTS = Path(__file__).parents[1]
_MOST_BYTES = 16_384
_STARTING = 300.0  # seconds beyond those of fuzzing after which a process is given up
_ROW = "{:14} {:>10} {:>8} {:>8} {:>8} {:>9} {:>12} {:>9}"


def main() -> int:
    """All readers, one after the other, each in a process of its own."""
    parser = argparse.ArgumentParser()
    parser.add_argument("readers", nargs="*")
    parser.add_argument("--seconds", type=float, default=float(os.environ.get("FUZZ_SECONDS", "600")))
    parser.add_argument("--folder", type=Path, default=Path(".fuzz"))
    parser.add_argument("--one", action="store_true", help="in this process: what this program calls itself with")
    given = parser.parse_args()
    if given.one:
        fuzz(given.readers[0], given.seconds, given.folder)
    from fuzz.targets import TARGETS

    print(
        _ROW.format("reader", "runs", "seconds", "runs/s", "faults", "slowest s", "most MB/run", "peak MB"), flush=True
    )
    failed = False
    for name in given.readers or TARGETS:
        part = given.folder / name
        part.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, __file__, name, "--one", "--seconds", str(given.seconds), "--folder", str(part)]
        with (part / "log.txt").open("w") as log:
            try:
                late = given.seconds + _STARTING
                code = subprocess.run(command, stdout=log, stderr=log, check=False, timeout=late).returncode
            except subprocess.TimeoutExpired:
                code = -1
        try:
            found = json.loads((part / "result.json").read_text())
        except (OSError, ValueError):
            found = None
        if code or found is None:
            print(f"{name}: the process ended with {code}; see {part / 'log.txt'}", flush=True)
            failed = True
            continue
        rate = found["runs"] / found["seconds"]
        numbers = (found["runs"], f"{found['seconds']:.0f}", f"{rate:.0f}", len(found["faults"]))
        peaks = (f"{found['slowest']:.2f}", f"{found['megabytes']:.0f}", f"{found['peak']:.0f}")
        print(_ROW.format(name, *numbers, *peaks), flush=True)
        for fault in found["faults"]:
            print(f"    {fault}", flush=True)
        failed = failed or bool(found["faults"])
    return int(failed)


def fuzz(name: str, seconds: float, folder: Path) -> None:
    """One reader; ends the process."""
    import atheris

    (folder / "result.json").unlink(missing_ok=True)
    with atheris.instrument_imports(include=["movinet", "yaml"]):
        from fuzz.attempts import attempt, limit_memory, peak_memory, scratch_root
        from fuzz.mutations import mutated
        from fuzz.targets import TARGETS
    warnings.simplefilter("error")
    scratch = TemporaryDirectory(prefix="movinet-fuzz-", dir=scratch_root())
    target = TARGETS[name](Path(scratch.name))
    corpus, kept = folder / "corpus", folder / "faults"
    corpus.mkdir(parents=True, exist_ok=True)
    kept.mkdir(exist_ok=True)
    for number, seed in enumerate(target.seeds):
        (corpus / f"seed-{number}").write_bytes(seed)
    words = folder / "words.txt"
    lines = ("".join(f"\\x{byte:02x}" for byte in word) for word in target.tokens if word)
    words.write_text("".join(f'"{line}"\n' for line in lines))
    limit_memory(4.0)
    faults: dict[str, str] = {}
    runs, slowest, megabytes, begin = 0, 0.0, 0.0, monotonic()

    def change(data: bytes, most: int, seed: int) -> bytes:
        random = Random(seed)
        if random.random() < 0.5:
            return bytes(atheris.Mutate(data, most))
        return mutated(data, random, target.tokens, target.seeds)[:most]

    def one(data: bytes) -> None:
        nonlocal runs, slowest, megabytes
        outcome = attempt(target.read, bytes(data))
        runs, slowest, megabytes = runs + 1, max(slowest, outcome.seconds), max(megabytes, outcome.megabytes)
        if outcome.fault and (where := outcome.fault.split(": ")[0]) not in faults:
            faults[where] = outcome.fault
            (kept / f"{len(faults)}").write_bytes(data)
            (kept / f"{len(faults)}.txt").write_text(outcome.fault + "\n")
        if monotonic() - begin > seconds:
            result = {"runs": runs, "seconds": monotonic() - begin, "faults": list(faults.values())}
            result |= {"slowest": slowest, "megabytes": megabytes, "peak": peak_memory()}
            (folder / "result.json").write_text(json.dumps(result))
            scratch.cleanup()
            os._exit(0)  # libFuzzer knows no other end

    options = [f"-max_len={_MOST_BYTES}", f"-dict={words}", "-rss_limit_mb=6000", "-timeout=120", str(corpus)]
    atheris.Setup([sys.argv[0], *options], one, custom_mutator=change)
    atheris.Fuzz()


if __name__ == "__main__":
    sys.path[:0] = [str(TESTS)]
    sys.exit(main())
