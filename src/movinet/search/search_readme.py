"""A search's folder explains itself: its README says what was looked for, what was found and what to do with it."""

import shlex
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from movinet.search.names import format_count
from movinet.search.search_recipe import SearchRecipe
from movinet.train.datasets import Sets
from movinet.train.run_readme import SESSIONS, write_readme

_FILES = {
    "found.yaml": "the network that was found; `train --arch`, `profile` and `export --untrained` take it",
    "training.yaml": "a recipe to train it with, as the super-network was",
    "result.json": "what it costs, how good it is with the shared weights, and the network itself",
    "recipe.yaml": "what was done; `movinet search` takes it",
    "found.png": "the network, layer by layer",
    "decisions.png": "how the decisions settled",
    "latencies.json": "the milliseconds of every kind of layer on this machine, and how far to trust them",
    "steps.csv": "a row for every update: loss, reward, cost, and how open the decisions are (entropy)",
    "epochs.csv": "a row for every epoch, with the odds of every choice",
    SESSIONS: "when, where and by which commands the search was carried out",
    "checkpoint.safetensors": "the super-network and the controller, to go on from; not needed afterwards",
}


def describe_search(
    folder: Path,
    recipe: SearchRecipe,
    sets: Sets,
    notes: Sequence[str] = (),
    *,
    command: Sequence[str],
    began: datetime,
    ended: datetime | None = None,
    figures: Mapping[str, float] | None = None,
) -> None:
    """Write the folder's `README.md`, and note the session in `sessions.json`: at its beginning, and again at its end.

    Args:
        folder: Of the search; what is in it by now is explained.
        recipe: What is looked for.
        sets: What it is looked for with.
        notes: What there is to know of its costs.
        command: With its arguments.
        began: The session; by this it is known again.
        ended: None while it is going on.
        figures: Of the network that was found, if the search came to its end.

    Raises:
        MovinetError: They cannot be written.
    """
    budget = recipe.budget
    unit = {"macs": "multiply-adds a frame", "latency": "ms a step"}[budget.cost]
    about = [
        f"A search for the best of {recipe.space.size():.1e} networks at {format_count(budget.target)} {unit}, "
        f"by {recipe.method}."
    ]
    if figures is None:
        about += [
            "The search is not finished. If it was interrupted, this goes on with it:",
            f"```sh\nmovinet search --resume {shlex.quote(str(folder))}\n```",
        ]
    else:
        about += [
            f"Found: {format_count(figures['cost'])} {unit}, {figures['parameters']:,.0f} parameters; "
            f"{figures['quality']:.1%} of the held-out clips with the shared weights. To train it by itself:",
            f"```sh\nmovinet train {shlex.quote(str(folder / 'training.yaml'))}\n```",
        ]
    about += notes
    about += [f"![{name}]({name})" for name in _FILES if name.endswith(".png") and (folder / name).exists()]
    write_readme(folder, about, files=_FILES, sets=sets, command=command, began=began, ended=ended)
