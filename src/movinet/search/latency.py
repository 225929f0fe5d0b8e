"""How long the layers of a space take on this machine: a table that whole networks' latencies are summed from."""

import json
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from movinet.arch.spec import BlockSpec, LayerSpec, NetworkSpec
from movinet.deploy.network import folded_network
from movinet.errors import MovinetError
from movinet.nn.deploy import DeployedStep, Now
from movinet.reading import parse_json
from movinet.search.cost import CostTable, Ends, LayerKind, one_layer
from movinet.search.space import Space
from movinet.weights.weights import Weights

_WHOLE = 6  # networks timed as a whole
_BURST = 0.002  # seconds of calls behind one measurement, so that a clock's grain does not matter


@dataclass(frozen=True)
class LatencyTable:
    """Milliseconds of parts of a deployed step, batch 1.

    Args:
        layers: By kind.
        ends: Of stem and head together.
        scale: How much longer whole steps take than their parts by themselves, whose data are still in the caches.
        machine: Where.
        threads: Of the processor.
    """

    layers: Mapping[str, float]
    ends: Mapping[str, float]
    scale: float
    machine: str
    threads: int

    def cost(self, space: Space, template: NetworkSpec) -> CostTable:
        """Of the networks of the space it was measured for."""
        scale = self.scale
        return CostTable(
            space, template, lambda kind: scale * self.layers[_key(kind)], lambda ends: scale * self.ends[_key(ends)]
        )

    def to_json(self) -> str:
        """As a file."""
        about = {"machine": self.machine, "threads": self.threads, "scale": self.scale}
        return json.dumps({**about, "ends": dict(self.ends), "layers": dict(self.layers)})

    @classmethod
    def from_json(cls, text: str) -> "LatencyTable":
        """The inverse of `to_json`.

        Raises:
            MovinetError: The file is damaged.
        """
        try:
            data = parse_json(text)
            layers, ends = _times(data["layers"]), _times(data["ends"])
            return cls(layers, ends, float(data["scale"]), str(data["machine"]), int(data["threads"]))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise MovinetError(f"the table of latencies is damaged ({error}); remove it to measure again") from error


def measure_latencies(
    space: Space,
    template: NetworkSpec,
    *,
    repeats: int = 5,
    progress: Callable[[int, int | None], None] | None = None,
) -> LatencyTable:
    """Time every layer there could be, each as a part of a deployed step (`movinet.nn.deploy`).

    The shortest of some rounds counts: whoever else uses the machine can only make a call longer, and hardly does so to
    one layer in every round.

    Args:
        space: Of the networks.
        template: A stream network.
        repeats: Rounds.
        progress: Told how many timings of how many are done.

    Raises:
        MovinetError: The template is a base network, which has no step.
    """
    if not template.causal:
        raise MovinetError("latency is that of a step, and base networks have none: choose macs, or a stream network")
    kinds: dict[str, LayerKind] = {}
    ends: dict[str, Ends] = {}
    CostTable(
        space,
        template,
        lambda kind: float(len(kinds.setdefault(_key(kind), kind).layer.kernel)),
        lambda end: float(len(ends.setdefault(_key(end), end).size)),
    )
    calls = {key: _layer_call(kind, template) for key, kind in kinds.items()}
    calls |= {key: _ends_call(end, template) for key, end in ends.items()}
    times: dict[str, list[float]] = {key: [] for key in calls}
    with torch.inference_mode():
        for n in range(repeats):
            for m, (key, call) in enumerate(calls.items()):
                times[key].append(_milliseconds(call))
                if progress:
                    progress(n * len(calls) + m + 1, repeats * len(calls))
    found = {key: min(values) for key, values in times.items()}
    table = LatencyTable(
        {key: found[key] for key in kinds},
        {key: found[key] for key in ends},
        1.0,
        platform.processor() or platform.machine(),
        torch.get_num_threads(),
    )
    points = space.random(_WHOLE, np.random.default_rng(0))
    whole = [step_milliseconds(space.to_spec(point.tolist(), template), 2 * repeats) for point in points]
    return replace(table, scale=float(np.median(whole / table.cost(space, template)(points))))


def step_milliseconds(spec: NetworkSpec, repeats: int = 5) -> float:
    """The shortest time of a whole deployed step, batch 1, with new weights."""
    step = DeployedStep(folded_network(Weights.untrained(spec)))
    frames, state = torch.rand(1, 3, *spec.size), step.begin()
    with torch.inference_mode():
        return min(_milliseconds(lambda: step(frames, *state)) for _ in range(repeats))


def _layer_call(kind: LayerKind, template: NetworkSpec) -> Callable[[], object]:
    spec = _small_ends(one_layer(kind, template))
    step = DeployedStep(folded_network(Weights.untrained(spec)))
    layer = step.layers[0]
    _, _, *past = step.begin()
    x = torch.rand(1, kind.inputs, *kind.size)
    now = Now(torch.ones(1, 1), [torch.ones(1, 1)], [torch.zeros(1, 1, dtype=torch.int32)])
    past = past[1:] if spec.positional_encoding else past
    return lambda: layer(x, list(past), [], now)


def _ends_call(ends: Ends, template: NetworkSpec) -> Callable[[], object]:
    block = BlockSpec(ends.inputs, (LayerSpec(8, (1, 1, 1), False),), stride=1)
    spec = template.with_options(stem=ends.stem, blocks=(block,), project=ends.project, hidden=ends.hidden)
    step = DeployedStep(folded_network(Weights.untrained(spec)))
    frames, features = torch.rand(1, 3, *ends.size), torch.rand(1, ends.inputs, *ends.head_size)

    def call() -> object:
        step.stem(frames)
        assert step.head is not None
        return step.head(step.project(features).mean((2, 3)))

    return call


def _small_ends(spec: NetworkSpec) -> NetworkSpec:
    return spec.with_options(project=8, hidden=8, classes=2)


def _times(data: Mapping[str, Any]) -> dict[str, float]:
    return {key: float(value) for key, value in data.items()}


def _milliseconds(call: Callable[[], object]) -> float:
    """Of one call, the mean over a burst of them."""
    call()
    begin, count = time.perf_counter(), 0
    while (now := time.perf_counter()) - begin < _BURST or count < 3:
        call()
        count += 1
    return 1000 * (now - begin) / count


def _key(kind: LayerKind | Ends) -> str:
    if isinstance(kind, LayerKind):
        layer = kind.layer
        numbers = (
            kind.inputs,
            layer.expansion,
            *layer.kernel,
            int(layer.squeeze_excitation),
            kind.outputs,
            kind.stride,
        )
        return " ".join(map(str, (*numbers, *kind.size)))
    return " ".join(map(str, (kind.stem, kind.inputs, kind.project, kind.hidden, *kind.size, *kind.head_size)))
