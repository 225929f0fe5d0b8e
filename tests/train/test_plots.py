"""Pictures show the numbers they were given, in any amount and with any names."""

import sys
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from movinet.errors import MovinetError
from movinet.train import plots
from movinet.train.logs import Log
from movinet.train.plots import draw_confusion_matrix, draw_learning_curves

pytest.importorskip("matplotlib")
from matplotlib.figure import Figure
from matplotlib.text import Text


def a_log(steps: int, per_epoch: int, *scores: str) -> Log:
    numbers, ends = np.arange(1.0, steps + 1), np.arange(per_epoch, steps + 1.0, per_epoch)
    epochs = {"step": ends, "validation_loss": 1 / ends, **{f"validation_{name}": 1 - 1 / ends for name in scores}}
    return Log({"step": numbers, "loss": 2 / numbers, "lr": 1 / numbers}, epochs)


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """What is drawn, beside the file."""
    drawn: list[Figure] = []
    save = plots.save_figure
    monkeypatch.setattr(plots, "save_figure", lambda figure, path: (drawn.append(figure), save(figure, path)))
    return drawn


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text) if text.get_visible()]


def pixels(path: Path) -> NDArray[np.uint8]:
    with av.open(str(path)) as picture:
        return next(picture.decode(video=0)).to_ndarray(format="rgb24")


def test_curves_of_one_run(tmp_path: Path, figures: list[Figure]) -> None:
    log = a_log(60, 6, "top1", "top5")
    log.steps["loss"][[3, 40]] = [np.nan, np.inf]
    draw_learning_curves({"run": log}, tmp_path / "curves.png")
    loss, score, rate = figures[0].axes[:3]
    raw, smooth, validation = (line.get_ydata() for line in loss.lines)
    np.testing.assert_array_equal(raw, log.steps["loss"])
    assert np.isfinite(smooth).all()
    np.testing.assert_array_equal(validation, log.epochs["validation_loss"])
    assert [text.get_text() for text in score.get_legend().get_texts()] == ["top-1 accuracy", "top-5 accuracy"]
    assert "98.3 %" in texts(figures[0])  # the best
    np.testing.assert_array_equal(rate.lines[0].get_ydata(), log.steps["lr"])
    assert np.ptp(pixels(tmp_path / "curves.png")) > 200
    assert [path.name for path in tmp_path.iterdir()] == ["curves.png"]


def test_several_runs_are_told_apart(tmp_path: Path, figures: list[Figure]) -> None:
    runs = {"a": a_log(30, 6, "map"), "$x_1$ [b]": a_log(90, 9, "map"), "no validation": a_log(50, 60)}
    draw_learning_curves(runs, tmp_path / "curves.png")
    _, score, rate = figures[0].axes
    assert score.get_title(loc="left") == "Validation mean average precision"
    assert [text.get_text() for text in score.get_legend().get_texts()] == ["a", "$x_1$ [b]"]
    colors = [line.get_color() for line in rate.lines]
    assert len(set(colors)) == 3
    assert [line.get_color() for line in score.lines] == colors[:2]


def test_a_run_that_has_hardly_begun(tmp_path: Path) -> None:
    for steps in (0, 1, 2):
        draw_learning_curves({"run": a_log(steps, 2, "top1")}, tmp_path / "curves.png")
    empty = Log({"step": np.empty(0)}, {"step": np.empty(0)})
    draw_learning_curves({"run": empty, "other": empty}, tmp_path / "curves.png")
    draw_learning_curves({}, tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_long_runs_are_thinned(tmp_path: Path, figures: list[Figure]) -> None:
    log = a_log(12_345, 3000, "top1")
    draw_learning_curves({"run": log}, tmp_path / "curves.png")
    line = figures[0].axes[2].lines[0]
    assert len(line.get_xdata()) <= 2000
    np.testing.assert_allclose(line.get_ydata()[1], log.steps["lr"][7:14].mean())


@given(values=arrays(float, st.integers(0, 200), elements=st.floats(-1e6, 1e6) | st.sampled_from([np.nan, np.inf])))
@settings(max_examples=50)
def test_smoothing_takes_medians(values: NDArray[np.float64]) -> None:
    half = max(1, len(values) // 60)
    around = [[v for v in values[max(0, n - half) : n + half + 1] if np.isfinite(v)] for n in range(len(values))]
    np.testing.assert_allclose(plots._smoothed(values), [np.median(v) if v else np.nan for v in around])


def draw_counts(classes: int) -> NDArray[np.int64]:
    return np.random.default_rng(0).integers(0, 9, (classes, classes)) * np.eye(classes, dtype=int)


@pytest.mark.parametrize("classes", [1, 2, 11, pytest.param(30, marks=pytest.mark.slow)])
def test_a_matrix_shows_every_count(tmp_path: Path, figures: list[Figure], classes: int) -> None:
    counts = draw_counts(classes) + 1
    labels = [f"class {n}" for n in range(classes)]
    draw_confusion_matrix(counts, labels, tmp_path / "confusion.png")
    axes = figures[0].axes[0]
    assert [text.get_text() for text in axes.get_yticklabels()] == labels
    assert [text.get_text() for text in axes.get_xticklabels()] == labels
    shown = {text.get_position(): text.get_text() for text in axes.texts}
    for (row, column), count in np.ndenumerate(counts):
        assert shown[column, row] == str(count)
    right = f"{100 * np.trace(counts) / counts.sum():.1f} % of {counts.sum():,} clips are right".replace(",", " ")
    assert right in texts(figures[0])


def test_right_is_blue_and_wrong_is_orange(tmp_path: Path, figures: list[Figure]) -> None:
    draw_confusion_matrix(np.array([[9, 0, 0], [0, 0, 9], [0, 0, 0]]), ["a", "b", "c"], tmp_path / "confusion.png")
    (image,) = figures[0].axes[0].images
    colors = np.asarray(image.get_array())
    assert colors[0, 0, 2] > 2 * colors[0, 0, 0]
    assert colors[1, 2, 0] > 2 * colors[1, 2, 2]
    assert np.ptp(colors[0, 1]) < 0.02
    assert "–" in texts(figures[0])  # of the class without clips


def test_of_many_classes_the_worst_are_listed(tmp_path: Path, figures: list[Figure]) -> None:
    counts = 10 * np.eye(600, dtype=int)
    counts[7, 3], counts[7, 7] = 8, 2
    counts[5, 5] = 0  # has no clips
    counts[100, 200] = 5
    labels = [f"class {n}" for n in range(600)]
    labels[7] = "a name that is far longer than anybody would want to read"
    draw_confusion_matrix(counts, labels, tmp_path / "confusion.png")
    hardest, pairs = figures[0].axes
    names = [text.get_text() for text in hardest.get_yticklabels()]
    assert len(names) == 25
    assert names[:2] == ["a name that is far longer tha…", "class 100"]
    assert "class 5" not in names
    assert [text.get_text() for text in hardest.texts][:2] == ["  2 of 10 right", "  10 of 15 right"]
    names = [text.get_text() for text in pairs.get_yticklabels()]
    assert names == ["a name that is far long… → class 3", "class 100 → class 200"]
    assert [text.get_text() for text in pairs.texts] == ["  8 of 10", "  5 of 15"]


def test_long_names_have_room(tmp_path: Path) -> None:
    for classes in (3, 60):
        names = [f"{n} making paper aeroplanes of newspapers" for n in range(classes)]
        draw_confusion_matrix(np.full((classes, classes), 123), names, tmp_path / "confusion.png")
        picture = pixels(tmp_path / "confusion.png")
        edges = (picture[:30], picture[-30:], picture[:, :30], picture[:, -30:])
        assert all((edge == 255).all() for edge in edges)
        assert (picture != 255).any()


@pytest.mark.parametrize("classes", [2, 60])
def test_nothing_to_show_and_strange_names(tmp_path: Path, classes: int) -> None:
    names = ["书写", "$a_b^c$", *(f"[bold]{n}" for n in range(classes - 2))]
    for counts in (np.zeros((classes, classes), int), np.eye(classes, dtype=int)):
        draw_confusion_matrix(counts, names, tmp_path / "confusion.png")
    with pytest.raises(ValueError, match=r"for 1 label$"):
        draw_confusion_matrix(np.zeros((2, 2), int), ["one"], tmp_path / "confusion.png")


def test_what_cannot_be_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MovinetError, match="cannot write"):
        draw_confusion_matrix(np.eye(2, dtype=int), ["a", "b"], tmp_path / "nowhere" / "confusion.png")
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MovinetError, match=r"pip install 'movinet\[train\]'"):
        draw_learning_curves({}, tmp_path / "curves.png")


def test_a_users_own_pictures_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)  # where matplotlib keeps its global state
    draw_learning_curves({"run": a_log(9, 3, "top1")}, tmp_path / "curves.png")
    draw_confusion_matrix(np.eye(2, dtype=int), ["a", "b"], tmp_path / "confusion.png")
    assert {path.name for path in tmp_path.iterdir()} == {"curves.png", "confusion.png"}
