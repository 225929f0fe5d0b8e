"""How long the layers of a space take on this machine: a table that whole networks' latencies are summed from."""

import json
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version

import numpy as np

from movinet.arch.spec import NetworkSpec
from movinet.dataclass_io import from_plain, to_plain
from movinet.errors import MovinetError, brief
from movinet.reading import parse_json
from movinet.search.cost import CostTable, Ends, LayerKind
from movinet.search.part_times import factors, fit, unknowns_of
from movinet.search.space import Space
from movinet.search.stopwatch import THREADS, VISITS, at_one_pace, spread, time_steps
from movinet.words import counted

ENGINE = "litert"
PROMISED = 0.05  # the error on whole networks, and the spread below which a machine is quiet
_FEWEST = 48
_EACH = 1.2  # networks timed for each unknown


@dataclass(frozen=True)
class LatencyTable:
    """Milliseconds of parts of a lowered step on LiteRT, batch 1.

    Args:
        layers: By kind.
        ends: Of stem and head together.
        machine: Where.
        threads: Of the processor.
        version: Of LiteRT.
        networks: That were timed, whole.
        spread: How much longer than at its quickest a network took that was timed again and again, nine times of ten
            at most, as a share.
        error: The mean on whole networks that were left out while the rest was fitted, as a share.
    """

    layers: Mapping[str, float]
    ends: Mapping[str, float]
    machine: str
    threads: int
    version: str
    networks: int
    spread: float
    error: float

    def cost(self, space: Space, template: NetworkSpec) -> CostTable:
        """Of the networks of the space it was measured for.

        Raises:
            MovinetError: It was measured for another.
        """

        def of(table: Mapping[str, float], part: LayerKind | Ends) -> float:
            try:
                return table[_key(part)]
            except KeyError as error:
                raise MovinetError(
                    "the table of latencies is of another space or size; remove it to measure again"
                ) from error

        return CostTable(space, template, lambda kind: of(self.layers, kind), lambda ends: of(self.ends, ends))

    def to_json(self) -> str:
        """As a file."""
        return json.dumps({"engine": ENGINE, **to_plain(self)})

    @classmethod
    def from_json(cls, text: str) -> "LatencyTable":
        """The inverse of `to_json`.

        Raises:
            MovinetError: The file is damaged, or something else than LiteRT was timed.
        """
        try:
            data = parse_json(text)
            engine = data.pop("engine", "PyTorch" if "scale" in data else ENGINE)
            if engine == ENGINE:
                return from_plain(cls, data, "latencies")
        except (ValueError, TypeError, AttributeError) as error:
            raise MovinetError(f"the table of latencies is damaged ({error}); remove it to measure again") from error
        raise MovinetError(
            f"the table of latencies is that of {brief(engine)}, not of the lowered step on LiteRT; remove it to "
            "measure again"
        )

    @property
    def doubt(self) -> str | None:
        """Why not to rely on it; None where the machine was quiet and the sums are right."""
        if self.spread > PROMISED:
            why = "the machine was busy while latencies were timed"
        elif self.error > PROMISED:
            why = "the latencies of layers do not add up to those of whole networks"
        else:
            return None
        return (
            f"{why}: one network, timed again and again, took up to {self.spread:.0%} longer than at its quickest; "
            f"whole ones are predicted to {self.error:.1%} on average"
        )

    def __str__(self) -> str:
        """In a sentence."""
        return (
            f"Latencies are those of lowered steps on LiteRT {self.version}, {counted(self.threads, 'thread')}, "
            f"{self.machine}, from {self.networks} whole networks: mean error {self.error:.1%}, spread of one network "
            f"timed again and again {self.spread:.0%}."
        )


def measure_latencies(
    space: Space,
    template: NetworkSpec,
    *,
    networks: int | None = None,
    visits: int = VISITS,
    progress: Callable[[int, int | None], None] | None = None,
) -> LatencyTable:
    """Time whole networks of a space on LiteRT, and find from them what every layer there could be takes.

    Args:
        space: Of the networks.
        template: A stream network.
        networks: To time; by default so many that every unknown is known well.
        visits: To each network, while others are lowered; its shortest time counts.
        progress: Told how many networks of how many are timed.

    Raises:
        MovinetError: The template is a base network, which has no step, or LiteRT is not installed.
        SpecError: LiteRT has no operator for something in the template.
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
    unknowns = unknowns_of([*kinds.values(), *ends.values()])
    count = networks or max(_FEWEST, round(_EACH * len(unknowns)))
    points = space.random(count, np.random.default_rng(0))
    specs = [space.to_spec(point.tolist(), template) for point in points]
    timings = []
    for timing in time_steps(specs, specs[0], visits):
        timings.append(timing)
        if progress:
            progress(len(timings), count)
    found, error = fit(specs, at_one_pace(timings))

    def time(part: LayerKind | Ends) -> float:
        return sum(found.get(name, 0.0) * factor for name, factor in factors(part).items())

    return LatencyTable(
        {key: time(kind) for key, kind in kinds.items()},
        {key: time(end) for key, end in ends.items()},
        platform.processor() or platform.machine(),
        THREADS,
        version("ai-edge-litert"),
        count,
        spread(timings),
        error,
    )


def _key(part: LayerKind | Ends) -> str:
    if isinstance(part, LayerKind):
        layer = part.layer
        numbers = (
            part.inputs,
            layer.expansion,
            *layer.kernel,
            int(layer.squeeze_excitation),
            part.outputs,
            part.stride,
        )
        return " ".join(map(str, (*numbers, *part.size)))
    return " ".join(map(str, (part.stem, part.inputs, part.project, part.hidden, *part.size, *part.head_size)))
