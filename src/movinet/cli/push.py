"""The command push."""

from dataclasses import replace
from pathlib import Path

from movinet.cli.console import out, progress_bar
from movinet.weights.hub import push as publish
from movinet.weights.load import load_weights


def push(
    weights: str,
    repo: str,
    *,
    labels: Path | None = None,
    name: str | None = None,
    private: bool = False,
    message: str = "",
) -> int:
    """Publish weights on the Hugging Face Hub, with a card that says what is known of them.

    Args:
        weights: a weights file, the folder of a run, or a name of `movinet models`.
        repo: where to, owner/name; a repository that is there gets a new commit, and keeps its card.
        labels: a file with one label a line, for weights that bring none.
        name: what the weights are called from now on, `architecture.tag`.
        private: a new repository is for its owner only.
        message: of the commit.
    """
    with progress_bar("downloading") as progress:
        loaded = load_weights(weights, labels=labels, progress=progress)
    if name:
        loaded = replace(loaded, info=replace(loaded.info, name=name))
    address = publish(loaded, repo, private=private, message=message)
    out.print(f"{address}: whoever may read it loads it as hf-hub:{repo}")
    return 0
