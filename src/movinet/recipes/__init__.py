"""The recipes that come with movinet, found by name: `movinet train gestures`."""

from pathlib import Path

from movinet.errors import MovinetError

_HERE = Path(__file__).parent


def find_recipe(recipe: str | Path) -> Path:
    """The file of a recipe: one that is there, or ours by its name, `gestures` or `recipes/gestures.yaml`.

    Raises:
        MovinetError: there is no such file and none of ours has that name.
    """
    path = Path(recipe)
    if path.is_file():
        return path
    ours = {file.name.removesuffix(".yaml"): file for file in sorted(_HERE.glob("*.yaml"))}
    name = path.name.removesuffix(".yaml") if path.parent.name == "recipes" else str(recipe)
    if name in ours:
        return ours[name]
    if path.exists():  # what reads it says what it is
        return path
    names = ", ".join(name for name in ours if not name.endswith(".found"))
    raise MovinetError(
        f"{recipe}: there is no such file, and it is none of the recipes that come with movinet: {names}"
    )
