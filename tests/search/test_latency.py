"""Latencies of a space's layers, from whole networks timed on LiteRT, and what is known of how good they are."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from spaces import SPACE, template

from movinet.errors import MovinetError
from movinet.search import stopwatch
from movinet.search.latency import LatencyTable, measure_latencies
from movinet.search.part_times import factors, fit, parts_of, unknowns_of
from movinet.search.space import Space
from movinet.search.stopwatch import Timing, at_one_pace, spread, time_steps

SMALL = Space((8, 8, 8), 16, (8,), ((1,), (1, 2)), (2, 1), (1.0,), (2.0,), ((1, 3, 3), (3, 3, 3)))
TABLE = LatencyTable({"8 8": 0.5}, {"8": 0.1}, "x86", 1, "2.1", 48, spread=0.01, error=0.02)


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stopwatch, "_BURST", 0.0002)


def test_a_table_is_measured() -> None:
    told: list[tuple[int, int | None]] = []
    form = template(positional_encoding=True)
    table = measure_latencies(SMALL, form, networks=10, visits=2, progress=lambda done, of: told.append((done, of)))
    assert told == [(n, 10) for n in range(1, 11)]
    assert min([*table.layers.values(), *table.ends.values()]) >= 0
    assert table.spread >= 0
    assert table.error > 0
    assert LatencyTable.from_json(table.to_json()) == table
    points = SMALL.random(20, np.random.default_rng(0))
    assert (table.cost(SMALL, form)(points) > 0).all()
    with pytest.raises(MovinetError, match="another space"):
        table.cost(SPACE, form)


@pytest.mark.parametrize(
    "options", [{}, {"convolution": "3d", "size": (27, 41), "positional_encoding": True}], ids=["2plus1d", "3d"]
)
def test_what_parts_take_is_found_from_whole_networks(options: dict[str, object]) -> None:
    """Networks that take exactly what their unknowns say; one time in ten the machine was twice as slow."""
    rng = np.random.default_rng(0)
    specs = [SPACE.to_spec(point.tolist(), template(**options)) for point in SPACE.random(150, rng)]
    unknowns = unknowns_of([part for spec in specs for part in parts_of(spec)])
    true = dict(zip(unknowns, rng.uniform(0.1, 1.0, len(unknowns)), strict=True))
    most = {name: max(f.get(name, 0) for s in specs for f in map(factors, parts_of(s))) for name in unknowns}

    def total(which: dict[object, float], n: int) -> float:
        return sum(which[name] / most[name] * f for p in parts_of(specs[n]) for name, f in factors(p).items())

    times = np.array([total(true, n) for n in range(len(specs))])
    disturbed = times * np.where(rng.random(len(specs)) < 0.1, 2, 1)
    found, error = fit(specs[:100], disturbed[:100])
    assert 0.03 < error < 0.2  # the disturbed ones cannot be predicted
    scaled = {name: found[name] * most[name] for name in unknowns}
    predicted = np.array([total(scaled, n) for n in range(100, 150)])
    assert np.abs(predicted / times[100:] - 1).mean() < 0.03


def test_a_slow_while_is_taken_out() -> None:
    quiet = [Timing(2.0, (1.0, 1.0)), Timing(3.0, (1.0, 1.01)), Timing(4.0, (1.02, 1.0))]
    assert at_one_pace([*quiet, Timing(4.0, (2.0, 2.5))]) == (2.0, 3.0, 4.0, 2.0)
    assert spread(quiet) < 0.02
    assert spread([*quiet, Timing(4.0, (2.0, 2.5))]) > 0.5


def test_visits_go_on_while_the_machine_is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    class Step:
        def __init__(self, file: str) -> None:
            self.file = file

        def milliseconds(self) -> float:
            if self.file == "reference":
                paces.append(2.0 if 4 <= len(paces) < 9 else 1.0)
                return paces[-1]
            return 3.0 * paces[-1]

    paces: list[float] = []
    monkeypatch.setattr(stopwatch, "_file", lambda spec: spec)
    monkeypatch.setattr(stopwatch, "_Step", Step)
    found = list(time_steps(iter(["a", "b", "c"]), "reference", visits=2))  # type: ignore[list-item, arg-type]
    assert [timing.milliseconds for timing in found] == [3.0, 3.0, 3.0]
    assert found[2].reference == (1.0, 1.0)
    assert len(paces) == 4
    found = list(time_steps(iter(["a"]), "reference", visits=2))  # type: ignore[list-item, arg-type]
    assert found[0].reference == (2.0, 2.0)  # nothing quicker was seen
    paces[:] = [1.0] * 3
    found = list(time_steps(iter(["a", "b", "c"]), "reference", visits=2))  # type: ignore[list-item, arg-type]
    assert min(found[0].reference) == 1.0
    assert len(found[0].reference) == 7


def test_what_is_wrong_with_a_table_is_said() -> None:
    assert TABLE.doubt is None
    assert "48 whole networks" in str(TABLE)
    assert "busy" in str(replace(TABLE, spread=0.3).doubt)
    assert "do not add up" in str(replace(TABLE, error=0.3).doubt)


def test_tables_of_something_else_are_refused() -> None:
    old = {"machine": "x86", "threads": 1, "scale": 1.1, "ends": {}, "layers": {"8": 0.1}}
    with pytest.raises(MovinetError, match=r"that of 'PyTorch', not .* LiteRT; remove it to measure again"):
        LatencyTable.from_json(json.dumps(old))
    other = json.loads(TABLE.to_json()) | {"engine": "openvino"}
    with pytest.raises(MovinetError, match="that of 'openvino', not"):
        LatencyTable.from_json(json.dumps(other))
    for text in ("{}", "[]", '{"engine": "litert"}'):
        with pytest.raises(MovinetError, match=r"damaged .* remove it to measure again"):
            LatencyTable.from_json(text)


def test_latency_needs_a_step() -> None:
    with pytest.raises(MovinetError, match="base networks have none"):
        measure_latencies(SPACE, template(causal=False))


def test_timing_needs_no_torch() -> None:
    """The room asks for it at its door, since it trains; what times does not use it."""
    code = """if True:
        import sys, types, movinet
        room = types.ModuleType("movinet.search")
        room.__path__ = [movinet.__path__[0] + "/search"]
        sys.modules |= {"movinet.search": room, "torch": None}
        import movinet.search.latency
    """
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
