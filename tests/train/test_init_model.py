"""A network to start with: what is new, what is kept, and what is refused."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny import LABELS, tiny_spec, tiny_weights

from movinet.arch.serialize import dump_spec
from movinet.arch.spec import NetworkSpec
from movinet.arch.zoo import network_spec
from movinet.errors import MovinetError
from movinet.nn.blocks import Bottleneck
from movinet.train.init_model import init_model
from movinet.train.recipe import AdamW, Recipe
from movinet.train.recipe_data import Clips
from movinet.weights.load import load_weights

NEW = ("no", "yes")


def recipe(network: Path | str | None = None, start: Path | None = None, **options: object) -> Recipe:
    return Recipe(
        AdamW(1e-3),
        epochs=1,
        batch_size=1,
        network=str(network) if network else None,
        init_from=str(start) if start else None,
        options=options,
    )


def as_file(folder: Path, spec: NetworkSpec) -> Path:
    path = folder / f"{spec.name}.yaml"
    path.write_text(dump_spec(spec))
    return path


def answer(model: torch.nn.Module) -> torch.Tensor:
    clip = torch.rand(1, 3, 4, 24, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        logits = model.eval()(clip)
    assert isinstance(logits, torch.Tensor)
    return logits


def test_a_new_network_is_as_the_recipe_says(tmp_path: Path) -> None:
    wanted = recipe(as_file(tmp_path, tiny_spec()), fps=10, size=[32, 40], dropout=0.5)
    start = init_model(replace(wanted, rezero_init=0.2, clips=Clips(resize_short=33)), NEW)
    assert start.info.spec == start.model.spec
    assert start.model.spec == tiny_spec().with_options(num_classes=2, fps=10, size=(32, 40), dropout=0.5)
    assert start.info.labels == NEW
    assert (start.info.transform.size, start.info.transform.fps) == ((32, 40), 10)
    assert start.info.transform.resize_short == 33
    assert start.model.training
    assert all(parameter.requires_grad for parameter in start.model.parameters())
    scales = [part.scale for part in start.model.modules() if isinstance(part, Bottleneck)]
    assert all(scale is not None and abs(scale.item() - 0.2) < 1e-6 for scale in scales)
    torch.manual_seed(7)
    first = init_model(wanted, NEW).model.state_dict()
    torch.manual_seed(7)
    assert all(torch.equal(value, first[name]) for name, value in init_model(wanted, NEW).model.state_dict().items())


def test_names_of_the_zoo_are_networks() -> None:
    start = init_model(recipe("movinet_a0_stream"), NEW)
    zoo = network_spec("movinet_a0_stream")
    assert isinstance(zoo, NetworkSpec)
    assert start.model.spec == zoo.with_options(num_classes=2)
    assert start.info.transform.resize_short == 192


def test_weights_answer_as_before_for_labels_they_know(tmp_path: Path) -> None:
    path = tiny_weights(tmp_path)
    before = answer(load_weights(path).to_model())
    same = init_model(recipe(start=path, dropout=0.1, stochastic_depth=0.0), LABELS)
    assert torch.equal(answer(same.model), before)
    assert same.model.spec.dropout == 0.1
    assert same.info.transform == load_weights(path).info.transform
    assert all(parameter.requires_grad for parameter in same.model.parameters())
    some = init_model(recipe(start=path), ("other", "left"))
    assert torch.equal(answer(some.model), before[:, [2, 0]])
    assert some.info.labels == ("other", "left")


def test_weights_answer_as_before_for_the_labels_they_know_beside_new_ones(tmp_path: Path) -> None:
    path = tiny_weights(tmp_path)
    before = answer(load_weights(path).to_model())
    more = init_model(recipe(start=path), ("wave", "other", "left"))
    assert torch.equal(answer(more.model)[:, 1:], before[:, [2, 0]])
    assert answer(more.model)[0, 0].abs() < 0.1
    assert more.known == ("other", "left")
    assert init_model(recipe(start=path), NEW).known == ()


def test_other_labels_mean_another_classifier_and_nothing_else(tmp_path: Path) -> None:
    path, labels = tiny_weights(tmp_path), NEW
    before, start = load_weights(path), init_model(recipe(start=path), labels)
    assert answer(start.model).shape == (1, len(labels))
    for name, value in before.to_model().state_dict().items():
        now = start.model.state_dict()[name]
        assert now.shape[:1] == value.shape[:1] if "classifier" not in name else len(now) == len(labels)
        assert "classifier" in name or torch.equal(now, value)
    assert start.model.head.classifier.weight.abs().max() < 0.1
    assert start.model.spec.num_classes == len(labels)


def test_size_and_rate_may_change(tmp_path: Path) -> None:
    start = init_model(recipe(start=tiny_weights(tmp_path), size=[48, 64], fps=10), LABELS)
    assert (start.info.transform.size, start.info.transform.fps) == ((48, 64), 10)
    assert start.info.transform.resize_short == 54


def test_base_weights_fit_a_causal_network_with_the_same_kernels(tmp_path: Path) -> None:
    base = tiny_weights(tmp_path, causal=False)
    causal = tiny_spec().with_options(name="tiny_causal", convolution="3d", squeeze_excitation="cumulative")
    start = init_model(recipe(as_file(tmp_path, causal), base), LABELS)
    assert start.model.spec == causal
    weights = load_weights(base).to_model().state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in start.model.state_dict().items())


def test_what_cannot_be_converted_is_refused(tmp_path: Path) -> None:
    base, stream = tiny_weights(tmp_path, causal=False), tiny_weights(tmp_path)
    for path, spec, message in [
        (base, tiny_spec(), "a 3d kernel cannot be split into 2plus1d"),
        (stream, tiny_spec(causal=False), "make no 3d kernel"),
        (
            stream,
            tiny_spec().with_options(name="no_se", squeeze_excitation="none"),
            "squeeze_excitation is cumulative_",
        ),
        (stream, tiny_spec().with_options(name="folded", norm="folded"), "its norm is batch and not folded"),
        (stream, tiny_spec().with_options(name="wide", hidden=9), "parameters are missing or of another shape, head"),
        (
            stream,
            tiny_spec().with_options(name="swish", activation="swish"),
            "with the activation hard_swish, but swish",
        ),
    ]:
        with pytest.raises(MovinetError, match=message):
            init_model(recipe(as_file(tmp_path, spec), path), LABELS)


def test_another_activation_must_be_asked_for(tmp_path: Path) -> None:
    swish = tiny_spec().with_options(name="swish", activation="swish")
    start = init_model(recipe(as_file(tmp_path, swish), tiny_weights(tmp_path), activation="swish"), LABELS)
    assert start.model.spec == swish


def test_ensembles_unknown_networks_and_classes_are_refused(tmp_path: Path) -> None:
    for wanted, message in [
        (recipe("movinet_a6_stream"), "train its members, movinet_a4_stream and movinet_a5_stream"),
        (recipe("movinet_a9_stream"), "no network is called 'movinet_a9_stream'"),
        (recipe("movinet_a0_stream", num_classes=5), "`num_classes` comes from the data"),
        (recipe("movinet_a0_stream", color=5), "has no option 'color'"),
        (recipe(start=tmp_path / "none.safetensors"), "no such file"),
    ]:
        with pytest.raises(MovinetError, match=message):
            init_model(wanted, NEW)


def test_folded_networks_are_trained_as_they_are(shared: Path) -> None:
    path = shared / "weights" / "movinet_a0_stream_int8.tflite"
    start = init_model(recipe(start=path), NEW)
    assert start.model.spec.norm == "folded"
    assert all(parameter.requires_grad for parameter in start.model.parameters())
