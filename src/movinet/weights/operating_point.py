"""When a network's events begin and end, chosen by measurement, and what that measurement holds for.

`movinet evaluate --protocol events --save` makes one and writes it into the weights; whatever turns a network's answers
into events takes it from there.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf, isclose, isfinite
from typing import Any, cast

from movinet.dataclass_io import from_plain, to_plain
from movinet.errors import brief, printable


@dataclass(frozen=True)
class Thresholds:
    """When a label's events begin and end, and how brief they may be; None: as for all labels."""

    on: float | None = None
    off: float | None = None
    shortest: float | None = None


@dataclass(frozen=True)
class Interval:
    """A figure, and where it lies with 95 %."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class OperatingPoint:
    """Thresholds of events, what they give, and on what that was measured.

    Args:
        on, off, shortest, refractory, warm_up, by_label: As of `movinet.events.EventDetector`.
        ignore: Labels that are no events.
        memory: Seconds, with which streams were recognized; None: they forgot nothing.
        precision: That the engine computed in.
        fps: Frames a second.
        size: Height and width of what the network saw.
        data: What it was measured on, by name.
        data_sha256: Of the list of those streams.
        hours: Of them.
        there: Events in them.
        false_alarms: An hour; None where nothing without events was seen, so that no rate can be told.
        missed: Share of the events; None where there were none.
        delay: Seconds from the end of what happens until it is told, median and 95th percentile; None where nothing
            was found.

    Raises:
        ValueError: Thresholds that make no sense, or figures that are none.
    """

    on: float
    off: float
    shortest: float = 0.0
    refractory: float = 0.0
    warm_up: float = 0.0
    by_label: Mapping[str, Thresholds] = field(default_factory=dict)
    ignore: tuple[str, ...] = ()
    memory: float | None = None
    precision: str = "float32"
    fps: float = 0.0
    size: tuple[int, int] = (0, 0)
    data: str = ""
    data_sha256: str = ""
    hours: float = 0.0
    there: int = 0
    false_alarms: Interval | None = None
    missed: Interval | None = None
    delay: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        check_thresholds(self.on, self.off, self.shortest)
        for label in self.by_label:
            check_thresholds(*self.of_label(label), label)
        for name in ("refractory", "warm_up", "hours", "fps"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"{name} is {getattr(self, name)}; want a number, at least 0")
        if self.memory is not None and not 0 < self.memory < float("inf"):
            raise ValueError(f"memory is {self.memory}; want seconds, more than 0, or none")

    def of_label(self, label: str) -> tuple[float, float, float]:
        """`on`, `off` and `shortest` of a label."""
        own = self.by_label.get(label, Thresholds())
        return (
            self.on if own.on is None else own.on,
            self.off if own.off is None else own.off,
            self.shortest if own.shortest is None else own.shortest,
        )

    def differences(self, memory: float | None, precision: str, fps: float, size: tuple[int, int]) -> list[str]:
        """What is otherwise than it was measured, in words; nothing where the figures hold.

        Args:
            memory: seconds; None or infinity never forgets.
            precision, fps, size: as of the point.
        """
        found = []
        if not _alike(memory, self.memory):
            found.append(f"{_memory(self.memory)} (here {_memory(memory)})")
        if precision != self.precision:
            found.append(f"in {self.precision} (here {precision})")
        if not isclose(fps, self.fps, rel_tol=1e-3):
            found.append(f"at {self.fps:g} frames a second (here {fps:g})")
        if tuple(size) != tuple(self.size):
            found.append(f"on {self.size[0]}×{self.size[1]} pixels (here {size[0]}×{size[1]})")
        return found

    def to_dict(self) -> dict[str, Any]:
        """Plain types only, ready for JSON."""
        return cast("dict[str, Any]", to_plain(self, whole=True))

    @classmethod
    def from_dict(cls, data: Any) -> "OperatingPoint":
        """The inverse of `to_dict`.

        Raises:
            MovinetError: an entry is unknown, missing or unfit.
        """
        point = from_plain(cls, data, "operating_point")
        by_label = {printable(label): own for label, own in point.by_label.items()}
        texts = {name: printable(getattr(point, name)) for name in ("precision", "data", "data_sha256")}
        given = {name: getattr(point, name) for name in point.__dataclass_fields__}
        if point.memory is not None:  # that of a network's γ, in older files to the last digit
            given["memory"] = round(point.memory, 6)
        return cls(**given | texts | {"by_label": by_label, "ignore": tuple(map(printable, point.ignore))})


def check_thresholds(on: float, off: float, shortest: float, label: str | None = None) -> None:
    """Refuse thresholds that make no sense, of all labels or of one.

    Raises:
        ValueError: off is not less than on, or the shortest event no time.
    """
    of = "" if label is None else f"{label}: "
    if not 0 < off < on <= 1:
        raise ValueError(f"{of}want 0 < off < on <= 1, got on={brief(on)} and off={brief(off)}")
    if not (isfinite(shortest) and shortest >= 0):
        raise ValueError(f"{of}shortest is {brief(shortest)}; want seconds, at least 0")


def _alike(one: float | None, other: float | None) -> bool:
    return isclose(one or inf, other or inf, rel_tol=0.01)


def _memory(seconds: float | None) -> str:
    return "never forgetting" if seconds is None or seconds == inf else f"with a memory of {seconds:g} s"
