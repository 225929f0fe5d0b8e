"""The network a training run starts with: a new one, or one that has learned something already."""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from movinet.arch.baseline_spec import BaselineSpec
from movinet.arch.parameters import parameter_shapes
from movinet.arch.serialize import find_spec
from movinet.arch.spec import EnsembleSpec, NetworkSpec, SingleSpec, Spec
from movinet.arch.step import decay_from_seconds
from movinet.baselines.build import build_baseline
from movinet.errors import MovinetError
from movinet.nn.baseline_network import BaselineNetwork
from movinet.nn.blocks import Bottleneck
from movinet.nn.movinet import MoViNet
from movinet.train.recipe import Recipe
from movinet.video.transform import Transform
from movinet.weights.download import Progress
from movinet.weights.info import WeightsInfo, default_transform
from movinet.weights.load import load_weights
from movinet.weights.weights import Weights
from movinet.words import counted


@dataclass(frozen=True)
class InitialModel:
    """A network before training.

    Args:
        model: With a classifier for the labels, in training mode, on the CPU.
        info: Its specification, transform and labels; license and source of what it starts from.
        known: Labels that the weights it starts from know too: their part of the classifier is kept.
    """

    model: MoViNet | BaselineNetwork
    info: WeightsInfo
    known: tuple[str, ...] = ()


def init_model(
    recipe: Recipe,
    labels: tuple[str, ...],
    weights: Weights | None = None,
    *,
    offline: bool = False,
    progress: Progress | None = None,
) -> InitialModel:
    """The network of a recipe, new or from weights. New parameters come from torch's generator: seed it before.

    Weights go into another network than their own where every parameter but the classifier fits, such as those of a
    base network into a causal one with the same convolutions. The classifier's row of a label that the weights know is
    kept; that of any other is new.

    Args:
        recipe: Says which network, weights and options.
        labels: Of the data, one a class.
        weights: That the recipe starts from, where they are loaded already.
        offline: Use only what is on this machine.
        progress: Called with the bytes so far and in all while downloading.

    Raises:
        MovinetError: There is no such network or weights, they do not fit each other, or are an ensemble.
    """
    if recipe.init_from is None:
        return _new(recipe, labels)
    weights = weights or load_weights(recipe.init_from, offline=offline, progress=progress)
    known = single_network(weights.spec, recipe.init_from)
    wanted = single_network(find_spec(recipe.network), recipe.network) if recipe.network is not None else known
    spec = _as_wanted(wanted, recipe, known.num_classes)
    if isinstance(known, NetworkSpec) and isinstance(spec, NetworkSpec):
        _refuse_misfits(known, spec, recipe.init_from, recipe.options)
    model = Weights(replace(weights.info, spec=spec), weights.arrays).to_model()
    assert isinstance(model, MoViNet | BaselineNetwork)
    there = weights.info.labels or ()
    _relabel(model, there, labels)
    info = WeightsInfo(
        model.spec.name,
        model.spec,
        training_transform(model.spec, recipe, weights.info.transform),
        labels,
        license=weights.info.license,
        source=f"trained further from {weights.info.name} ({weights.info.source})",
        background=weights.info.background if weights.info.background in labels else None,
    )
    return InitialModel(model.train(), info, tuple(label for label in labels if label in there))


def new_spec(recipe: Recipe, num_classes: int) -> SingleSpec:
    """The specification of a network that a recipe trains from scratch.

    Raises:
        MovinetError: There is no such network, it cannot have such options, or is an ensemble.
    """
    assert recipe.network is not None
    spec = single_network(find_spec(recipe.network), recipe.network)
    return _as_wanted(spec, recipe, num_classes)


def begin_rezero(model: nn.Module, value: float) -> None:
    """Let ReZero scales begin there."""
    for part in model.modules():
        if isinstance(part, Bottleneck) and part.scale is not None:
            nn.init.constant_(part.scale, value)


def _as_wanted(spec: SingleSpec, recipe: Recipe, num_classes: int) -> SingleSpec:
    """The specification with what the recipe says of it."""
    if "num_classes" in recipe.options:
        raise MovinetError("recipe.options: `num_classes` comes from the data; leave it out")
    if recipe.memory is not None and "decay" in recipe.options:
        raise MovinetError("recipe: `memory` says the decay in seconds; leave out one of them")
    spec = spec.with_options(**recipe.options).with_options(num_classes=num_classes)
    memory = recipe.memory
    if isinstance(spec, BaselineSpec):
        if memory is not None or recipe.on_streams:
            raise MovinetError(f"{spec.name}: streams and `memory` are for MoViNets; train it on clips")
        return spec
    if memory is None and recipe.on_streams and spec.causal and spec.decay == 1:
        memory = spec.frames / spec.fps
    return spec if memory is None else spec.with_options(decay=decay_from_seconds(memory, spec.fps))


def _new(recipe: Recipe, labels: tuple[str, ...]) -> InitialModel:
    spec = new_spec(recipe, len(labels))
    model = build_baseline(spec) if isinstance(spec, BaselineSpec) else MoViNet(spec)
    begin_rezero(model, recipe.rezero_init)
    transform = training_transform(spec, recipe)
    return InitialModel(model.train(), WeightsInfo(spec.name, spec, transform, labels, source="trained from scratch"))


def single_network(spec: Spec, name: str) -> SingleSpec:
    """The specification, if it is of one network.

    Args:
        spec: Of what is called `name` in messages.

    Raises:
        MovinetError: It is an ensemble.
    """
    if isinstance(spec, EnsembleSpec):
        members = " and ".join(member.network.name for member in spec.members)
        raise MovinetError(
            f"{name}: an ensemble is not trained as one; train its members, {members}, one by one: a recipe with this "
            "`network` does"
        )
    return spec


def _refuse_misfits(known: NetworkSpec, wanted: NetworkSpec, start: str, options: dict[str, Any]) -> None:
    """Refuse what the weights cannot be, or would be only with functions they did not learn with."""
    for field in ("activation", "gate", "head_activation"):
        had, has = getattr(known, field), getattr(wanted, field)
        if had != has and field not in options:
            raise MovinetError(
                f"{start} was trained with the {field} {had}, but {wanted.name} has {has}; "
                f"choose one of them in the recipe (options: {field}: {had}), or leave out `network`"
            )
    have, want = parameter_shapes(known), parameter_shapes(wanted)
    if misfits := sorted(name for name in have.keys() | want.keys() if have.get(name) != want.get(name)):
        raise MovinetError(f"{start} cannot be turned into {wanted.name}: {_reason(known, wanted, misfits)}")


def _reason(known: NetworkSpec, wanted: NetworkSpec, misfits: list[str]) -> str:
    forms = (known.convolution, wanted.convolution)
    if forms == ("3d", "2plus1d"):
        return (
            "a 3d kernel cannot be split into 2plus1d: a (2+1)D layer computes something else, with an activation "
            "between its halves; train from scratch, or start from stream weights"
        )
    if forms == ("2plus1d", "3d"):
        return (
            "the two halves of a 2plus1d layer have an activation between them and make no 3d kernel; train from "
            "scratch, or start from base weights"
        )
    for field in ("norm", "squeeze_excitation", "rezero", "positional_encoding"):
        had, has = getattr(known, field), getattr(wanted, field)
        if had != has:
            return (
                f"its {field} is {had} and not {has}, so that "
                f"{counted(len(misfits), 'parameter does', 'parameters do')} not fit, {misfits[0]} first"
            )
    are = counted(len(misfits), "parameter is", "parameters are")
    return f"{are} missing or of another shape, {misfits[0]} among them"


def _relabel(model: MoViNet | BaselineNetwork, known: tuple[str, ...], labels: tuple[str, ...]) -> None:
    old = model.get_classifier()
    if known == labels:
        return
    model.reset_classifier(len(labels))
    new = model.get_classifier()
    if not isinstance(old, nn.Linear) or not isinstance(new, nn.Linear):  # weights without a classifier
        return
    with torch.no_grad():
        for row, label in enumerate(labels):
            if label in known:
                new.weight[row] = old.weight[known.index(label)]
                new.bias[row] = old.bias[known.index(label)]


def training_transform(spec: SingleSpec, recipe: Recipe, known: Transform | None = None) -> Transform:
    """How clips become what a network takes: as the weights know it, as far as the size stays."""
    transform = default_transform(spec)
    if known is not None:
        short = known.resize_short if known.size == spec.size else transform.resize_short
        transform = replace(transform, resize_short=short, scale=known.scale)
    return replace(transform, resize_short=recipe.clips.resize_short or transform.resize_short)
