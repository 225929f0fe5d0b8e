"""Files near those that are right, and some made to do harm, given to every reader: an answer or a `MovinetError`, in
bounded time and memory. `make fuzz` looks longer, and where the code leads."""

from pathlib import Path
from random import Random

import pytest
from fuzz.attempts import attempt
from fuzz.mutations import mutated
from fuzz.targets import TARGETS

EXAMPLES = 200


@pytest.mark.parametrize("name", TARGETS)
def test_neighbors_of_right_files(name: str, tmp_path: Path) -> None:
    target = TARGETS[name](tmp_path)
    if not target.seeds:
        pytest.skip("what writes such files is not installed")
    assert max(map(len, target.seeds)) < 10_000
    faults: dict[str, bytes] = {}
    for seed in target.seeds:
        if (outcome := attempt(target.read, seed)).fault:
            faults[outcome.fault] = seed
    for number in range(EXAMPLES):
        random = Random(f"{name} {number}")
        data = mutated(random.choice(target.seeds), random, target.tokens, target.seeds)
        if (outcome := attempt(target.read, data)).fault:
            faults.setdefault(outcome.fault.split(": ")[0], data)
    assert not faults, "\n".join(f"{fault}: {data[:300]!r}" for fault, data in faults.items())
