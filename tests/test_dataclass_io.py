"""Dataclasses to plain types and back; everything else is refused by name."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from movinet.dataclass_io import from_plain, to_plain
from movinet.errors import MovinetError

ONE = Fraction(1)


@dataclass(frozen=True)
class Circle:
    radius: float = 1.0


@dataclass(frozen=True)
class Square:
    side: float
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.side < 0:
            raise ValueError(f"side is {self.side}")


@dataclass(frozen=True)
class Drawing:
    shape: Circle | Square
    frame: Square | None = None
    origin: tuple[int, float] = (0, 0.0)
    color: Literal["red", "blue"] | dict[str, float] = "red"
    title: str | None = "untitled"
    filled: bool = False
    notes: dict[str, Any] = field(default_factory=dict)


shapes = st.builds(Circle, st.floats(0, 9)) | st.builds(Square, st.floats(0, 9), st.lists(st.text()).map(tuple))
drawings = st.builds(
    Drawing,
    shapes,
    frame=st.none() | st.builds(Square, st.floats(0, 9)),
    origin=st.tuples(st.integers(), st.floats(-9, 9)),
    color=st.sampled_from(["red", "blue"]) | st.dictionaries(st.text(), st.floats(0, 1)),
    title=st.none() | st.text(),
    filled=st.booleans(),
    notes=st.dictionaries(st.text(), st.integers() | st.lists(st.text())),
)


@given(drawings)
def test_there_and_back(drawing: Drawing) -> None:
    assert from_plain(Drawing, json.loads(json.dumps(to_plain(drawing))), "drawing") == drawing


def test_only_what_differs_is_said_and_which_class_where_it_may_be_several() -> None:
    assert to_plain(Drawing(Circle())) == {"shape": {"kind": "circle"}}
    assert to_plain(Drawing(Square(2.0), frame=Square(1.0, ("a",)))) == {
        "shape": {"kind": "square", "side": 2.0},
        "frame": {"side": 1.0, "names": ["a"]},
    }


def test_none_is_written_where_it_is_not_the_default() -> None:
    assert to_plain(Drawing(Circle(), title=None))["title"] is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shape": {}}, "drawing.shape: want entries and among them `kind`, one of circle, square"),
        ({"shape": {"kind": "square"}}, "drawing.shape: 'side' is missing"),
        ({"shape": {"kind": "square", "side": -1}}, "drawing.shape: side is -1"),
        ({"shape": {"kind": "circle", "side": 1}}, "drawing.shape: there is no entry 'side'; there are radius"),
        ({"shape": {"kind": "circle", "radius": "far"}}, "drawing.shape.radius is 'far'; want a number"),
        ({"frame": 3}, "drawing.frame: want a mapping of entries, got 3"),
        ({"origin": [1]}, r"drawing.origin is \[1\]; want a list of 2"),
        ({"origin": [1.5, 2]}, r"drawing.origin\[0\] is 1.5; want a whole number"),
        ({"color": "green"}, "'green'; choose one of red, blue; or .* want a mapping of names"),
        ({"color": {"red": "much"}}, "drawing.color.red is 'much'; want a number"),
        ({"title": 5}, "drawing.title is 5; want text"),
        ({"filled": 1}, "drawing.filled is 1; want true or false"),
        ({"filled": None}, "drawing.filled is None; want true or false"),
        ({"size": 1}, "drawing: there is no entry 'size'"),
    ],
)
def test_what_does_not_fit_is_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(MovinetError, match=message):
        from_plain(Drawing, {"shape": {"kind": "circle"}} | change, "drawing")


def test_true_is_no_number() -> None:
    with pytest.raises(MovinetError, match="want a number"):
        from_plain(Circle, {"radius": True}, "circle")


@dataclass(frozen=True)
class Shared:
    """What others read too."""

    rate: Fraction = ONE
    size: tuple[int, int] = (1, 2)
    figures: Mapping[str, float] = field(default_factory=dict)


def test_what_others_read_is_written_whole() -> None:
    shared = Shared(Fraction(1, 2), figures={"a": 1.5})
    assert to_plain(Shared(), whole=True) == {"rate": "1", "size": [1, 2], "figures": {}}
    assert to_plain(shared) == {"rate": "1/2", "figures": {"a": 1.5}}
    assert from_plain(Shared, to_plain(shared, whole=True), "shared") == shared
    assert from_plain(Shared, {"rate": 0.5, "figures": {"a": 1.5}}, "shared") == shared


@pytest.mark.parametrize("rate", ["1/0", "1e-999999999", "half", None, float("inf"), [1], "9" * 5000])
def test_what_is_no_fraction_is_refused(rate: object) -> None:
    with pytest.raises(MovinetError, match=r"shared\.rate is .*; want a fraction such as 1/2"):
        from_plain(Shared, {"rate": rate}, "shared")
