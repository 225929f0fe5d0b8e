"""Hysteresis: events begin surely, end surely, and do not flicker."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tiny import LABELS, tiny_spec

from movinet.errors import MovinetError
from movinet.events import DEFAULT_OFF, DEFAULT_ON, Event, EventDetector, detector_of, what_is_promised
from movinet.prediction import Prediction
from movinet.weights.info import WeightsInfo, default_transform
from movinet.weights.operating_point import Interval, OperatingPoint, Thresholds

INFO = WeightsInfo("tiny_stream.test", tiny_spec(), default_transform(tiny_spec()), LABELS)


def run(detector: EventDetector, curve: list[float]) -> list[Event]:
    """The events of a stream in which `left` has these probabilities, one a second."""
    ended = []
    for t, p in enumerate(curve):
        rest = (1 - p) / 2
        ended += detector.push(Prediction(float(t), t + 1, np.array([p, rest, rest], np.float32), INFO))
    return ended + detector.finish()


def test_an_event_spans_from_on_to_off() -> None:
    assert run(EventDetector(0.6, 0.4), [0.34, 0.5, 0.7, 0.9, 0.5, 0.45, 0.39]) == [
        Event("left", 2.0, 6.0, pytest.approx(0.9))
    ]


def test_what_lasts_to_the_end_ends_there() -> None:
    assert run(EventDetector(0.6, 0.4), [0.34, 0.8, 0.8]) == [Event("left", 1.0, 2.0, pytest.approx(0.8))]


def test_brief_events_and_ignored_labels_are_left_out() -> None:
    curve = [0.34, 0.9, 0.34, 0.9, 0.9, 0.9, 0.34]
    assert [e.start for e in run(EventDetector(0.6, 0.4, shortest=2.0), curve)] == [3.0]
    assert run(EventDetector(0.6, 0.4, ignore=frozenset({"left"})), curve) == []


@given(st.lists(st.floats(0, 1), max_size=40))
@example([0.7, 0.5])  # neither is a float32
def test_events_follow_from_the_thresholds_alone(curve: list[float]) -> None:
    on, off = 0.7, 0.5  # both above one half: only one label can be concerned at a time
    expected, begin, best = [], None, 0.0
    for t, p in enumerate(float(np.float32(p)) for p in curve):
        if begin is None and p >= on:
            begin, best = t, p
        elif begin is not None and p < off:
            expected.append((begin, t, best))
            begin = None
        elif begin is not None:
            best = max(best, p)
    if begin is not None:
        expected.append((begin, len(curve) - 1, best))
    found = [e for e in run(EventDetector(on, off), curve) if e.label == "left"]
    assert [(e.start, e.end) for e in found] == [(a, b) for a, b, _ in expected]
    assert [e.confidence for e in found] == pytest.approx([c for _, _, c in expected])


def test_thresholds_must_make_sense() -> None:
    with pytest.raises(ValueError, match="off < on"):
        EventDetector(0.3, 0.5)


@given(st.lists(st.floats(0, 1), max_size=40), st.sampled_from([0.55, 0.7, 0.9]), st.sampled_from([0.0, 1.0, 2.5]))
def test_a_label_may_have_thresholds_of_its_own(curve: list[float], on: float, shortest: float) -> None:
    """Above and below those of the others, which stay as they are."""
    own = EventDetector(0.8, 0.2, 1.0, by_label={"left": Thresholds(on, 0.5, shortest), "right": Thresholds()})
    mine = [e for e in run(own, curve) if e.label == "left"]
    assert mine == [e for e in run(EventDetector(on, 0.5, shortest), curve) if e.label == "left"]
    others = [e for e in run(own, curve) if e.label != "left"]
    assert others == [e for e in run(EventDetector(0.8, 0.2, 1.0), curve) if e.label != "left"]


@pytest.mark.parametrize("own", [Thresholds(on=0.2), Thresholds(off=0.6), Thresholds(shortest=-1.0)])
def test_thresholds_of_a_label_must_make_sense_with_those_of_all(own: Thresholds) -> None:
    with pytest.raises(ValueError, match=r"^left: "):
        EventDetector(0.5, 0.3, by_label={"left": own})


def test_nothing_begins_in_the_first_seconds_of_a_stream() -> None:
    curve = [0.9, 0.9, 0.9, 0.9, 0.34, 0.9]
    assert [e.start for e in run(EventDetector(0.6, 0.4, warm_up=2.0), curve)] == [2.0, 5.0]
    detector, begun = EventDetector(0.6, 0.4, warm_up=2.0), []
    for time, frames in ((0, 1), (1, 2), (2, 3), (3, 1), (4, 2), (5, 3)):  # it begins anew at 3
        detector.push(Prediction(float(time), frames, np.array([0.9, 0, 0], np.float32), INFO))
        begun += detector.begun
        if frames == 3:
            detector.finish()
    assert [event.start for event in begun] == [2.0, 5.0]


def test_a_label_rests_after_an_event() -> None:
    curve = [0.9, 0.34, 0.9, 0.34, 0.9, 0.9, 0.34]
    starts = [e.start for e in run(EventDetector(0.6, 0.4, refractory=2.0), curve)]
    assert starts == [0.0, 4.0], "after the end at 1.0 not before 3.0"
    starts = [e.start for e in run(EventDetector(0.6, 0.4, shortest=2.0, refractory=2.0), curve)]
    assert starts == [4.0], "what is not reported makes nothing rest"
    detector = EventDetector(0.6, 0.4, refractory=100.0)
    assert len(run(detector, curve)) == 1
    assert len(run(detector, curve)) == 1, "another stream does not rest"


POINT = OperatingPoint(
    0.8, 0.4, 0.5, 1.0, 2.0, {"left": Thresholds(on=0.9)}, ("other",), 3.0, fps=5.0, size=(24, 32),
    false_alarms=Interval(0.2, 0.1, 0.4),
)  # fmt: skip
KNOWN = replace(INFO, operating_point=POINT, background="other")


def thresholds(detector: EventDetector, label: str = "right") -> tuple[float, float, float]:
    return detector._thresholds(label)


def test_thresholds_come_from_the_weights() -> None:
    detector = detector_of(KNOWN)
    assert thresholds(detector) == (0.8, 0.4, 0.5)
    assert thresholds(detector, "left") == (0.9, 0.4, 0.5)
    assert (detector.refractory, detector.warm_up, detector.ignore) == (1.0, 2.0, {"other"})
    plain = detector_of(replace(INFO, background="right"))
    assert plain.warm_up == pytest.approx(20 / 5 / 4), "a quarter of its clips"
    assert detector_of(INFO, on=0.6).warm_up == 0.0
    assert thresholds(plain, "left") == (DEFAULT_ON, DEFAULT_OFF, 0.0)
    assert plain.ignore == {"right"}


def test_what_is_given_comes_first() -> None:
    assert thresholds(detector_of(KNOWN, on=0.6), "left") == (0.6, pytest.approx(0.3), 0.5)
    assert thresholds(detector_of(KNOWN, off=0.7), "left") == (0.8, 0.7, 0.5)
    assert thresholds(detector_of(KNOWN, shortest=0.0), "left") == (0.9, 0.4, 0.0)
    own = detector_of(KNOWN, ignore=["left"], by_label={"other": Thresholds(on=0.3)})
    assert own.ignore == {"left"}
    assert thresholds(own, "other") == (0.3, pytest.approx(0.15), 0.5)
    with pytest.raises(MovinetError, match="off < on"):
        detector_of(KNOWN, off=0.85)
    with pytest.raises(MovinetError, match=r"ignore: tiny_stream\.test has no label 'rigth'; did you mean right\?"):
        detector_of(KNOWN, ignore=["rigth"])


def test_what_the_figures_hold_for_is_said() -> None:
    assert what_is_promised(KNOWN, 3.0, "float32") is None
    assert "chosen with a memory of 3 s (here with a memory of 1 s)" in str(what_is_promised(KNOWN, 1.0, "float32"))
    assert "chosen in float32 (here int8)" in str(what_is_promised(KNOWN, 3.0, "int8"))
    assert "begin at 0.5 and end below 0.3" in str(what_is_promised(INFO, 3.0, "float32"))
    unknown = replace(KNOWN, operating_point=replace(POINT, false_alarms=None))
    assert "no rate of false alarms" in str(what_is_promised(unknown, 3.0, "float32"))


def test_an_event_has_one_name_from_its_beginning_to_its_end() -> None:
    detectors = [EventDetector(0.6, 0.4) for _ in range(2)]
    names = []
    for detector in detectors:
        for time, p in enumerate([0.9, 0.1, 0.9, 0.9, 0.1]):
            ended = detector.push(Prediction(float(time), time + 1, np.array([p, 0, 0], np.float32), INFO))
            if detector.begun:
                names.append(detector.begun[0].id)
            if ended:
                assert ended[0].id == names[-1]
    assert len(set(names)) == len(names) == 4
