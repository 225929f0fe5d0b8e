"""Recipes that come with movinet are found by name wherever it is installed, and by the path they have in documents."""

from importlib.resources import files
from pathlib import Path

import pytest

from movinet.errors import MovinetError
from movinet.recipes import find_recipe
from movinet.search.search_recipe import read_search
from movinet.train.recipe import read_recipe

OURS = Path(str(files("movinet.recipes")))


@pytest.mark.parametrize("recipe", ["gestures", "recipes/gestures.yaml", Path("gestures"), OURS / "gestures.yaml"])
def test_ours_have_names(recipe: str | Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gestures").mkdir()  # as `movinet data synthesize gestures` makes it
    assert find_recipe(recipe) == OURS / "gestures.yaml"
    assert read_recipe(recipe) == read_recipe(OURS / "gestures.yaml")


def test_a_file_that_is_there_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "gestures.yaml").write_text("epochs: 1\n")
    assert find_recipe("recipes/gestures.yaml") == Path("recipes/gestures.yaml")


@pytest.mark.parametrize("read", [read_recipe, read_search])
@pytest.mark.parametrize("recipe", ["missing.yaml", "gestures.yaml", "../gestures", "nowhere/gestures.yaml", ""])
def test_others_are_told_which_there_are(
    read: object, recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if recipe == "":
        recipe = "."
    with pytest.raises(MovinetError, match=r"gestures, movinet_a0_base|cannot .*read"):
        read(recipe)  # type: ignore[operator]


def test_the_wheel_has_them() -> None:
    """The build takes what this names."""
    import tomllib

    project = Path(__file__).parents[1] / "pyproject.toml"
    patterns = tomllib.loads(project.read_text())["tool"]["setuptools"]["package-data"]["movinet"]
    packaged = {path for pattern in patterns for path in OURS.parent.glob(pattern) if path.is_file()}
    others = {path for path in OURS.parent.rglob("*") if path.is_file() and path.suffix not in {".py", ".pyc"}}
    assert packaged == others
