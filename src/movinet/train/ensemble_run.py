"""An ensemble trained as one run: its members one after another, each in a folder of its own, then put together.

The run's folder gets `member_0`, `member_1` and so on, each as any run's folder is, and at the end `model.safetensors`
and `metrics.json` of the ensemble. Members differ in their seeds, so that two of one kind are two networks.
"""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from movinet.arch.serialize import dump_spec, find_spec
from movinet.arch.spec import EnsembleSpec, NetworkSpec
from movinet.errors import MovinetError
from movinet.files import write_atomically, write_json
from movinet.train.datasets import classes_of, make_sets, read_splits
from movinet.train.recipe import Recipe, dump_recipe
from movinet.train.recipe_data import Gestures
from movinet.train.run_dir import RECIPE, alone
from movinet.train.signals import Stopped, graceful_stop
from movinet.train.train_run import METRICS, MODEL, NETWORK, Result, begun_recipe, run_summary
from movinet.train.validation import evaluate
from movinet.weights.info import default_transform
from movinet.weights.load import load_weights
from movinet.weights.safetensors_file import save_weights
from movinet.weights.weights import Weights

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def ensemble_of(recipe: Recipe) -> EnsembleSpec | None:
    """The ensemble that a recipe's network is, if it is one.

    Raises:
        MovinetError: there is no such network, or the recipe has what ensembles cannot have.
    """
    spec = find_spec(recipe.network) if recipe.network is not None else None
    if not isinstance(spec, EnsembleSpec):
        return None
    if recipe.options:
        raise MovinetError(f"{spec.name}: `options` are of one network; give the ensemble as a specification in YAML")
    if recipe.on_streams:
        raise MovinetError(f"{spec.name}: an ensemble is trained on clips; train its members on streams, one by one")
    return spec


def begin_ensemble(folder: Path, recipe: Recipe, spec: EnsembleSpec) -> None:
    """Make the folder, and write down in it what is to be done.

    Raises:
        MovinetError: it holds another run, or something else.
    """
    with alone(folder, new=True):
        write_atomically(folder / NETWORK, dump_spec(spec).encode())
        write_atomically(folder / RECIPE, dump_recipe(recipe).encode())
        for number, member in enumerate(spec.members):
            write_atomically(_spec_file(folder, number), dump_spec(member.network).encode())


def member_folder(folder: Path, number: int) -> Path:
    """Where a member is trained."""
    return folder / f"member_{number}"


def member_recipe(folder: Path, recipe: Recipe, spec: EnsembleSpec, number: int) -> Recipe:
    """What one member is trained by: as many seconds as the ensemble's clips have, at the member's own rate.

    A member whose run has begun goes on with what it began with.
    """
    if (member_folder(folder, number) / RECIPE).exists():
        return begun_recipe(member_folder(folder, number))
    rate, data, clips = float(spec.members[number].rate), recipe.data, recipe.clips
    if isinstance(data, Gestures):
        data = replace(data, frames=tuple(max(1, round(rate * frames)) for frames in data.frames))
    if clips.frames is not None:
        clips = replace(clips, frames=max(1, round(rate * clips.frames)))
    network = str(_spec_file(folder, number))
    return replace(recipe, network=network, data=data, clips=clips, seed=recipe.seed + number)


def member_weights(recipe: Recipe, *, offline: bool = False) -> tuple[Weights, ...] | None:
    """What the members start from, where the recipe starts from an ensemble's weights.

    Raises:
        MovinetError: there are none such.
    """
    return load_weights(recipe.init_from, offline=offline).members() if recipe.init_from is not None else None


def join_members(folder: Path, recipe: Recipe, spec: EnsembleSpec, fabric: "Fabric", workers: int = 0) -> Result:
    """Put the trained members together, and judge the ensemble on the validation and test clips.

    Returns:
        Its scores; beside them, in `metrics.json`, each member's. Not finished where it was asked to stop.

    Raises:
        MovinetError: a member is not there, or nothing can be written.
    """
    parts = [load_weights(member_folder(folder, number) / MODEL) for number in range(len(spec.members))]
    splits = read_splits(recipe)
    classes = classes_of(splits)
    networks = [part.spec for part in parts if isinstance(part.spec, NetworkSpec)]
    members = zip(spec.members, networks, strict=True)
    whole = replace(spec, members=tuple(replace(member, network=network) for member, network in members))
    transform = default_transform(whole)
    transform = replace(transform, resize_short=recipe.clips.resize_short or transform.resize_short)
    first = parts[0].info
    arrays = {f"members.{n}.{name}": array for n, part in enumerate(parts) for name, array in part.arrays.items()}
    info = replace(first, name=whole.name, spec=whole, transform=transform, labels=classes, accuracy={}, training={})
    weights = Weights(info, arrays)
    sets = make_sets(recipe, splits, whole, transform)
    model = weights.to_model().to(fabric.device)
    scores: dict[str, float] = {}
    clips = {}
    try:
        with graceful_stop() as stop:
            for name, part_of in (("validation", sets.validation), ("test", sets.test)):
                if part_of is not None:
                    clips[name] = len(part_of)
                    answers = evaluate(fabric, model, part_of, 1, workers, stop)
                    scores |= {f"{name}_{score}": value for score, value in answers.scores().items()}
    except Stopped:
        return Result(folder, False, {})
    each = [dict(part.info.training["scores"]) for part in parts]
    info = replace(info, **run_summary(recipe, scores))
    save_weights(folder / MODEL, arrays, info)
    write_json(folder / METRICS, {"scores": scores, "clips": clips, "members": each})
    return Result(folder, True, scores)


def _spec_file(folder: Path, number: int) -> Path:
    return folder / f"member_{number}.yaml"
