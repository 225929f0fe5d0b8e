"""Plots are well-formed, and show what there is."""

import re
from xml.etree import ElementTree

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from movinet.evaluate.svg_plots import Series, confusion_chart, line_chart, reliability_diagram
from movinet.metrics import calibration

NUMBERS = st.floats(0, 1) | st.just(float("nan"))


@settings(max_examples=25, deadline=None)
@given(st.lists(NUMBERS, min_size=1, max_size=20), st.text(max_size=30))
def test_lines_with_gaps_and_any_name(values: list[float], name: str) -> None:
    xs = [n / len(values) for n in range(len(values))]
    chart = line_chart([Series(name, xs, values, values, values)], name, name)
    there = sum(np.isfinite(values))
    assert chart.count("<circle") == there
    if there:
        ElementTree.fromstring(chart)
        numbers = [float(n) for n in re.findall(r"points=\"([^\"]*)\"", chart)[0].replace(",", " ").split()]
        assert all(0 <= n <= 640 for n in numbers)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=50))
def test_a_reliability_diagram_of_anything(said: list[tuple[float, bool]]) -> None:
    found = calibration([p for p, _ in said], [true for _, true in said])
    plot = reliability_diagram(found)
    ElementTree.fromstring(plot)
    assert plot.count('class="fill"') == (found.counts > 0).sum()
    assert found.counts.sum() == len(said)


def test_a_confusion_matrix_tells_each_count() -> None:
    plot = ElementTree.fromstring(confusion_chart(np.array([[3, 1], [0, 2]]), ["a<b", "c"]))
    texts = [element.text for element in plot.iter() if element.tag == "text"]
    assert [text for text in texts if text and text.isdecimal()] == ["3", "1", "2"]
    assert "75%" in texts
