"""What a search is: frozen data, read from and written to YAML."""

from dataclasses import dataclass, field, replace
from math import inf
from pathlib import Path
from typing import Any, Literal

from movinet.arch.spec import NetworkSpec
from movinet.dataclass_io import from_plain, to_plain
from movinet.errors import MovinetError
from movinet.reading import read_yaml
from movinet.recipes import find_recipe
from movinet.search.reward import Budget
from movinet.search.space import Space
from movinet.train.init_model import new_spec
from movinet.train.recipe import Recipe, with_absolute_paths

_MOST = 1 << 20  # of what is tried
_PLAIN_ONLY = {
    "init_from": None,
    "strategy": "clip",
    "layer_decay": 1.0,
    "freeze": (),
    "ema_decay": None,
    "patience": None,
    "mixup": 0.0,
    "cutmix": 0.0,
}


@dataclass(frozen=True)
class ControllerOptions:
    """How the controller learns.

    Args:
        lr: Of learning, when it begins to.
        growth: It grows to so many times that, exponentially.
        delay: It begins after this share of the updates.
        clips: Held-out clips behind a reward, over all processes.
        draws: Networks that are rewarded for every update of the weights.
    """

    lr: float = 0.01
    growth: float = 10.0
    delay: float = 0.25
    clips: int = 64
    draws: int = 1

    def __post_init__(self) -> None:
        if not 0 < self.lr < inf or not 0 < self.growth < inf:
            raise MovinetError("controller: lr and growth must be positive")
        if not 0 <= self.delay < 1:
            raise MovinetError(f"controller.delay is {self.delay}; it must lie in [0, 1)")
        if self.clips < 1 or self.draws < 1 or max(self.clips, self.draws) > _MOST:
            raise MovinetError(f"controller: want clips and draws, at least 1 each, and at most {_MOST}")


@dataclass(frozen=True)
class SearchRecipe:
    """A whole search, but for the machine it runs on.

    Args:
        budget: What the network may cost.
        training: How the super-network is trained, as a network is: data, optimizer, epochs, loss. Its `network` and
            `options` are the template, which has all that the space does not decide. The validation set is what
            networks are rewarded for.
        space: What may be chosen.
        method: `controller`: TuNAS. `random` and `evolution` try networks on the same super-network, trained without a
            controller: for comparison.
        warmup: While this share of the updates lasts, with a chance that falls from 1 to 0, a decision is left open:
            kernels are averaged, widths are the largest.
        controller: How it learns.
        tries: Of the other methods, each on the whole validation set.
    """

    budget: Budget
    training: Recipe
    space: Space = field(default_factory=Space)
    method: Literal["controller", "random", "evolution"] = "controller"
    warmup: float = 0.25
    controller: ControllerOptions = ControllerOptions()
    tries: int = 200

    def __post_init__(self) -> None:
        if not 0 <= self.warmup <= 1:
            raise MovinetError(f"search: warmup is {self.warmup}; it must lie in [0, 1]")
        if not 1 <= self.tries <= _MOST:
            raise MovinetError(f"search: tries is {self.tries}; it must be at least 1, and at most {_MOST}")
        if self.training.network is None:
            raise MovinetError("search: training needs a `network`, the template of all networks")
        for name, value in _PLAIN_ONLY.items():
            if getattr(self.training, name) != value:
                raise MovinetError(f"search: a super-network is trained without {name}; leave training.{name} out")
        if self.training.on_streams:
            raise MovinetError("search: a super-network is trained on clips, not on streams")
        if self.training.loss.smoothness is not None:
            raise MovinetError("search: a super-network is trained without smoothing; leave it out")

    def template(self, num_classes: int) -> NetworkSpec:
        """Everything the space does not decide.

        Raises:
            MovinetError: There is no such network, or it cannot have such options.
        """
        spec = new_spec(self.training, num_classes)
        if not isinstance(spec, NetworkSpec):
            raise MovinetError(f"search: training.network is {spec.name}; the template must be a MoViNet")
        return spec


def read_search(path: str | Path) -> SearchRecipe:
    """The search in a YAML file, or one of ours by its name (see `find_recipe`).

    Raises:
        MovinetError: The file is missing, not YAML or no search; the message says which entry is wrong.
    """
    path = find_recipe(path)
    data = read_yaml(path, "recipe")
    try:
        return from_plain(SearchRecipe, data, "search")
    except MovinetError as error:
        raise MovinetError(f"{path}: {error}") from error


def dump_search(recipe: SearchRecipe) -> str:
    """The search as YAML text, without what is as by default."""
    import yaml

    plain: Any = to_plain(recipe)
    return yaml.safe_dump(plain, sort_keys=False, default_flow_style=None, width=120, allow_unicode=True)


def absolute(recipe: SearchRecipe) -> SearchRecipe:
    """The same wherever it is run: paths of files that are here begin at the root."""
    return replace(recipe, training=with_absolute_paths(recipe.training))
