"""Pictures of searches say what they were given."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from spaces import SPACE, template

from movinet.search import search_plots as plots
from movinet.search.controller import Controller
from movinet.search.names import choice_name, format_count, odds
from movinet.train.logs import Log
from movinet.train.plots import save_figure


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """What is drawn, beside the file."""
    figures: list[Figure] = []
    monkeypatch.setattr(plots, "save_figure", lambda figure, path: (figures.append(figure), save_figure(figure, path)))
    return figures


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text) if text.get_visible()]


def a_log(epochs: int) -> Log:
    controller = Controller(SPACE)
    steps = np.arange(1.0, 21)
    columns = {name: np.full(epochs, share) for name, share in odds(controller).items()}
    for column in columns.values():
        column[-1:] = 0.01
    columns["hidden=16"][-1:] = 0.99
    return Log(
        {
            "step": steps,
            "quality": np.where(steps > 5, 0.5, np.nan),
            "expected_cost": steps * 1e6,
            "entropy": 1 / steps,
        },
        {"epoch": np.arange(1.0, epochs + 1), **columns},
    )


@pytest.mark.parametrize("epochs", [1, 5])
def test_how_decisions_settled(epochs: int, drawn: list[Figure], tmp_path: Path) -> None:
    plots.draw_decisions(a_log(epochs), SPACE, 1e7, tmp_path / "x.png")
    assert (tmp_path / "x.png").stat().st_size > 1000
    found = texts(drawn[0])
    assert "16  99 %" in found
    assert {d.name for d in SPACE.decisions if len(d.choices) > 1} <= set(found)
    assert "stem" not in found  # there is nothing to decide


def test_a_network(drawn: list[Figure], tmp_path: Path) -> None:
    spec = SPACE.to_spec(SPACE.random(1, np.random.default_rng(0))[0].tolist(), template(), "mine")
    plots.draw_network(spec, tmp_path / "x.png")
    found = texts(drawn[0])
    layers = [layer for block in spec.blocks for layer in block.layers]
    assert found.count("SE") == sum(layer.squeeze_excitation for layer in layers)
    assert [text for text in found if "×" in text and text.count("×") == 2] == [
        "×".join(map(str, x.kernel)) for x in layers
    ]


def test_accuracy_against_cost(drawn: list[Figure], tmp_path: Path) -> None:
    groups = {"found": [(1.5e6, [0.7, 0.8])], "random": [(1.4e6, [0.5]), (1.6e6, [0.6])]}
    plots.draw_accuracy(groups, [(1e6, 0.4)], tmp_path / "x.png")
    assert {"found", "random, of the same cost", "any network"} <= set(texts(drawn[0]))
    plots.draw_accuracy({}, [(1e6, 0.4)], tmp_path / "x.png")


@pytest.mark.parametrize(("choice", "name"), [((1, 3, 3), "1x3x3"), (True, "with"), (False, "without"), (24, "24")])
def test_names(choice: object, name: str) -> None:
    assert choice_name(choice) == name


@pytest.mark.parametrize(("number", "text"), [(1.5e6, "1.5M"), (2e9, "2G"), (147_312, "147k"), (3.25, "3.25")])
def test_amounts(number: float, text: str) -> None:
    assert format_count(number) == text
