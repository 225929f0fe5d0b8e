"""From probabilities that flicker to events with a beginning and an end."""

from dataclasses import dataclass

from movinet.prediction import Prediction


@dataclass(frozen=True)
class Event:
    """Something that happened: from `start` to `end` seconds (None while it lasts), at most this sure."""

    label: str
    start: float
    end: float | None
    confidence: float


class EventDetector:
    """Events by hysteresis: a label begins when its probability reaches `on` and ends when it falls below `off`.

    Args:
        on: probability in (0, 1] at which an event begins.
        off: probability below which it ends, less than `on`.
        shortest: seconds; briefer events are not reported.
        ignore: labels that are no events, such as `other`.
    """

    def __init__(
        self, on: float = 0.5, off: float = 0.3, shortest: float = 0.0, ignore: frozenset[str] = frozenset()
    ) -> None:
        if not 0 < off < on <= 1:
            raise ValueError(f"want 0 < off < on <= 1, got on={on} and off={off}")
        self.on, self.off, self.shortest, self.ignore = on, off, shortest, ignore
        self._running: dict[int, Event] = {}
        self._last_time = 0.0

    @property
    def running(self) -> list[Event]:
        """Events that have begun and not ended."""
        return list(self._running.values())

    def push(self, prediction: Prediction) -> list[Event]:
        """Take the next prediction of a stream; returns the events that ended with it."""
        ended = []
        probabilities = prediction.probabilities.astype(
            float
        )  # thresholds compare alike whichever way they are crossed
        for index in {*self._running, *(probabilities >= self.on).nonzero()[0].tolist()}:
            probability, event = float(probabilities[index]), self._running.get(index)
            label = prediction.info.label(index)
            if event is None:
                if label not in self.ignore:
                    self._running[index] = Event(label, prediction.time, None, probability)
            elif probability < self.off:
                del self._running[index]
                ended.append(Event(label, event.start, prediction.time, event.confidence))
            else:
                self._running[index] = Event(label, event.start, None, max(event.confidence, probability))
        self._last_time = prediction.time
        return [event for event in ended if self._long_enough(event)]

    def finish(self) -> list[Event]:
        """The stream is over: ends what is still running."""
        ended = [Event(e.label, e.start, self._last_time, e.confidence) for e in self._running.values()]
        self._running.clear()
        return [event for event in ended if self._long_enough(event)]

    def _long_enough(self, event: Event) -> bool:
        return event.end is not None and event.end - event.start >= self.shortest
