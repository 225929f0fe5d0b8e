"""From probabilities that flicker to events with a beginning and an end."""

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Self

from movinet.errors import MovinetError, brief
from movinet.prediction import Prediction
from movinet.weights.info import WeightsInfo
from movinet.weights.operating_point import OperatingPoint, Thresholds, check_thresholds
from movinet.words import did_you_mean

DEFAULT_ON, DEFAULT_OFF = 0.5, 0.3  # where nothing was measured

_NONE: Mapping[str, Any] = MappingProxyType({})
_SLACK = 1e-6  # seconds
# Of the clips that a network was made for, until events may begin where nothing was measured. The first picture of 93
# real clips and three blank ones, held still, begin an event in 77 of 96 streams at once, in 5 after 1.0 s, and in 2
# after a quarter of the bundled network's clips, 1.2 s.
_WARM_UP = 0.25


@dataclass(frozen=True)
class Event:
    """Something that happened: from `start` to `end` seconds (None while it lasts), at most this sure."""

    label: str
    start: float
    end: float | None
    confidence: float
    id: str = field(default="", compare=False, repr=False)  # the same as it begins and as it ends; of no other event


class EventDetector:
    """Events by hysteresis: a label begins when its probability reaches `on` and ends when it falls below `off`.

    Args:
        on: probability in (0, 1] at which an event begins.
        off: probability below which it ends, less than `on`.
        shortest: seconds; briefer events are not reported.
        ignore: labels that are no events, such as `other`.
        by_label: other thresholds for some labels.
        refractory: seconds after a reported event in which its label begins no other.
        warm_up: seconds from the first answer of a stream in which nothing begins: a network that has seen next to
            nothing may be sure of anything.

    Raises:
        ValueError: thresholds that make no sense, for all labels or for one.
    """

    def __init__(
        self,
        on: float = DEFAULT_ON,
        off: float = DEFAULT_OFF,
        shortest: float = 0.0,
        ignore: frozenset[str] = frozenset(),
        by_label: Mapping[str, Thresholds] = _NONE,
        *,
        refractory: float = 0.0,
        warm_up: float = 0.0,
    ) -> None:
        self.on, self.off, self.shortest, self.ignore = on, off, shortest, ignore
        self.refractory, self.warm_up = refractory, warm_up
        check_thresholds(on, off, shortest)
        for name, seconds in (("refractory", refractory), ("warm_up", warm_up)):
            if not 0 <= seconds < float("inf"):
                raise ValueError(f"{name} is {seconds}; want seconds, at least 0")
        self._by_label = {}
        for label, own in by_label.items():
            self._by_label[label] = thresholds = (
                on if own.on is None else own.on,
                off if own.off is None else own.off,
                shortest if own.shortest is None else own.shortest,
            )
            check_thresholds(*thresholds, label)
        self._least_on = min([on, *(thresholds[0] for thresholds in self._by_label.values())])
        self.begun: list[Event] = []
        """Events told as begun with the last `push` or `finish`; they have lasted `shortest`."""
        self._running: dict[int, Event] = {}
        self._told: set[int] = set()  # of those running, which were told as begun
        self._over: dict[int, float] = {}  # when a label's last reported event ended
        self._began = 0.0  # when the stream did
        self._last_time = -float("inf")
        self._frames = 0  # of the stream, at the last answer
        self._name, self._count = secrets.token_hex(4), 0  # what events are called by

    @classmethod
    def at(cls, point: OperatingPoint) -> Self:
        """With the thresholds of an operating point."""
        return cls(
            point.on,
            point.off,
            point.shortest,
            frozenset(point.ignore),
            point.by_label,
            refractory=point.refractory,
            warm_up=point.warm_up,
        )

    @property
    def running(self) -> list[Event]:
        """Events that have begun and not ended."""
        return list(self._running.values())

    def push(self, prediction: Prediction, *, held: bool = False) -> list[Event]:
        """Take the next prediction of a stream; returns the events that ended with it, and sets `begun`.

        Args:
            prediction: with its time.
            held: it is the last one at a later time, the network having been shown nothing more.
        """
        ended, self.begun = [], []
        time = prediction.time
        follows = self._frames == prediction.frames if held else 0 < self._frames < prediction.frames
        if not follows or time < self._last_time:  # another stream, or begun anew
            self._began = time
            self._over.clear()
        self._frames = prediction.frames
        # Thresholds compare alike whichever way they are crossed.
        probabilities = prediction.probabilities.astype(float)
        for index in sorted({*self._running, *(probabilities >= self._least_on).nonzero()[0].tolist()}):
            probability, event = float(probabilities[index]), self._running.get(index)
            label = prediction.info.label(index)
            on, off, shortest = self._thresholds(label)
            if event is None:
                if label in self.ignore or probability < on or not self._may_begin(index, time):
                    continue
                self._count += 1
                event = Event(label, time, None, probability, f"{self._name}-{self._count}")
                self._running[index] = event
            elif probability < off:
                ended += self._end(index, time)
                continue
            else:
                event = replace(event, confidence=max(event.confidence, probability))
                self._running[index] = event
            if index not in self._told and lasts(event.start, time, shortest):
                self._told.add(index)
                self.begun.append(event)
        self._last_time = time
        return ended

    def finish(self) -> list[Event]:
        """The stream is over, or broken off: ends what is still running with the last prediction."""
        self.begun = []
        ended = [event for index in list(self._running) for event in self._end(index, self._last_time)]
        self._over.clear()
        return ended

    def _thresholds(self, label: str) -> tuple[float, float, float]:
        return self._by_label.get(label, (self.on, self.off, self.shortest))

    def _may_begin(self, index: int, time: float) -> bool:
        over = self._over.get(index)
        return lasts(self._began, time, self.warm_up) and (over is None or lasts(over, time, self.refractory))

    def _end(self, index: int, time: float) -> list[Event]:
        """The event as it is told; nothing of one too brief."""
        event = self._running.pop(index)
        told = index in self._told
        self._told.discard(index)
        if not told and not lasts(event.start, time, self._thresholds(event.label)[2]):
            return []
        if not told:
            self.begun.append(event)
        self._over[index] = time
        return [replace(event, end=time)]


def lasts(start: float, time: float, seconds: float) -> bool:
    """Whether so many seconds have passed, give or take what times of frames are rounded by."""
    return time - start >= seconds - _SLACK


def detector_of(
    info: WeightsInfo,
    *,
    on: float | None = None,
    off: float | None = None,
    shortest: float | None = None,
    ignore: Iterable[str] = (),
    by_label: Mapping[str, Thresholds] = _NONE,
) -> EventDetector:
    """A detector with the thresholds that were chosen for a network by measurement (`info.operating_point`).

    Where there are none, events begin at 0.5 and end below 0.3, none in the first moments of a stream (a quarter of the
    clips that the network was made for), and none of the background.

    Args:
        info: of the network.
        on: in place of the chosen one, for all labels; `off` keeps its share of it.
        off, shortest: in place of the chosen ones, for all labels.
        ignore: labels that are no events, beside those that are none already.
        by_label: other thresholds for some labels; these make events, also of the background. Where `off` is left open
            it is less than `on`.

    Raises:
        MovinetError: thresholds that make no sense, or of labels that the network does not have.
    """
    point = info.operating_point or _default_point(info)
    ignore = frozenset(ignore)
    for what, labels in (("ignore", ignore), ("by_label", by_label)):
        for label in labels:
            if info.labels is not None and label not in info.labels:
                raise MovinetError(f"{what}: {info.name} has no label {brief(label)}{did_you_mean(label, info.labels)}")
    own = dict(point.by_label) if on is None and off is None else {}
    if shortest is not None:
        own = {label: replace(thresholds, shortest=None) for label, thresholds in own.items()}
    if info.operating_point is None and not (on is None and off is None):
        point = replace(point, warm_up=0.0)  # whoever chooses has seen what comes first
    share = point.off / point.on
    if off is None:
        off = point.off if on is None else on * share
    ignored = (frozenset(point.ignore) - by_label.keys()) | ignore
    for label, given in by_label.items():
        lower = given.on is not None and given.off is None and off >= given.on
        own[label] = replace(given, off=given.on * share) if lower and given.on is not None else given
    try:
        return EventDetector.at(
            replace(
                point,
                on=point.on if on is None else on,
                off=off,
                shortest=point.shortest if shortest is None else shortest,
                by_label=own,
                ignore=tuple(ignored),
            )
        )
    except ValueError as error:
        raise MovinetError(str(error)) from None


@dataclass(frozen=True)
class EventRules:
    """When events of a stream begin and end; what is None is as the network has it. As of `detector_of`."""

    on: float | None = None
    off: float | None = None
    shortest: float | None = None
    ignore: tuple[str, ...] | None = None
    by_label: dict[str, Thresholds] = field(default_factory=dict)

    def detector(self, info: WeightsInfo, where: str) -> EventDetector:
        """What follows them.

        Args:
            info: of the network.
            where: they stand, for messages.

        Raises:
            MovinetError: they make no sense, or are of labels that the network does not have.
        """
        try:
            return detector_of(
                info,
                on=self.on,
                off=self.off,
                shortest=self.shortest,
                ignore=self.ignore or (),
                by_label=self.by_label,
            )
        except MovinetError as error:
            raise MovinetError(f"{where}: {error}") from None


def what_is_promised(info: WeightsInfo, memory: float | None, precision: str) -> str | None:
    """What whoever uses a network's thresholds should know: a sentence to be said once; None where their figures hold.

    Args:
        info: of the network.
        memory: seconds that its streams are recognized with; None: they never forget.
        precision: that its engine computes in.
    """
    point, transform = info.operating_point, info.transform
    if point is None:
        return (
            f"{info.name} brings no thresholds: its events begin at {DEFAULT_ON:g} and end below {DEFAULT_OFF:g}, and "
            "no rate of false alarms was measured (`movinet evaluate STREAMS --save` chooses and measures)"
        )
    if others := point.differences(memory, precision, transform.fps, transform.size):
        return (
            f"the thresholds of {info.name} were chosen {' and '.join(others)}: they are used, but what was "
            "measured of false alarms and misses does not hold"
        )
    if point.false_alarms is None:
        return (
            f"the thresholds of {info.name} were chosen on streams in which something always happens: no rate of false "
            "alarms was measured"
        )
    return None


def _default_point(info: WeightsInfo) -> OperatingPoint:
    ignore = () if info.background is None else (info.background,)
    return OperatingPoint(DEFAULT_ON, DEFAULT_OFF, warm_up=_WARM_UP * info.spec.frames / info.spec.fps, ignore=ignore)
