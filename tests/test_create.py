"""Networks by name, and files of one's own: what someone who knows timm types."""

import copy
import pickle
from dataclasses import replace
from pathlib import Path
from typing import get_type_hints

import numpy as np
import pytest
import torch
from arch.specs import network_specs
from hypothesis import given, settings
from nn.networks import SEEDS, assert_identical, assert_same, random_frames, random_network
from tiny import LABELS, tiny_spec, tiny_weights
from torch import nn

import movinet
from movinet.arch.options import SpecOptions
from movinet.arch.serialize import dump_spec
from movinet.arch.spec import NetworkSpec
from movinet.cli import main
from movinet.deploy.network import folded_network
from movinet.errors import MovinetError, SpecError, WeightsError
from movinet.export.export import export
from movinet.nn.ensemble import Ensemble
from movinet.nn.movinet import MoViNet
from movinet.video.sample import sample_clip
from movinet.video.transform import Transform
from movinet.weights.load import load_weights
from movinet.weights.weights import Weights

GESTURES = "movinet_t0_stream.gestures"


@pytest.fixture
def mine() -> MoViNet:
    model = random_network(tiny_spec(), 0)
    assert isinstance(model, MoViNet)
    return model


def test_options_are_the_fields_of_a_specification() -> None:
    expected = get_type_hints(NetworkSpec)
    assert get_type_hints(SpecOptions) == {k: v for k, v in expected.items() if k not in ("name", "num_classes")}


def test_names_are_listed_by_pattern() -> None:
    assert movinet.list_models()[:2] == ["movinet_t0_base", "movinet_t0_stream"]
    assert movinet.list_models("*a0*") == movinet.list_models("a0") == ["movinet_a0_base", "movinet_a0_stream"]
    assert movinet.list_models("*_stream") == [n for n in movinet.list_models() if n.endswith("_stream")]
    assert movinet.list_models("t0", pretrained=True) == [GESTURES]
    assert movinet.list_models("a1_stream*", pretrained=True) == [] != movinet.list_models("a1", pretrained=True)
    for name in movinet.list_models(pretrained=True):
        with torch.device("meta"):
            assert movinet.create_model(name).num_classes in (11, 600)


def test_the_package_completes_its_names() -> None:
    assert set(movinet.__all__) <= set(dir(movinet))
    assert "sys" not in dir(movinet)


def test_a_network_is_new_or_pretrained() -> None:
    new = movinet.create_model(GESTURES)
    trained = movinet.create_model(GESTURES, pretrained=True)
    assert new.spec == trained.spec == load_weights(GESTURES).spec
    assert new.training
    assert trained.training
    assert new.info.labels is None
    assert trained.info.labels == load_weights(GESTURES).info.labels
    arrays = load_weights(GESTURES).arrays
    assert_identical(trained.state_dict()["stem.weight"], torch.from_numpy(arrays["stem.weight"].copy()))
    assert not torch.equal(new.state_dict()["stem.weight"], trained.state_dict()["stem.weight"])


@pytest.mark.parametrize("num_classes", [0, 3, 11])
def test_a_pretrained_network_gets_a_classifier_that_fits(num_classes: int) -> None:
    model = movinet.create_model(GESTURES, pretrained=True, num_classes=num_classes).eval()
    before = load_weights(GESTURES)
    assert isinstance(model, MoViNet)
    assert model.num_classes == model.spec.num_classes == num_classes
    outputs = num_classes or model.head_hidden_size
    clip = torch.rand(2, 3, 3, 64, 80)
    with torch.inference_mode():
        assert model(clip).shape == (2, outputs)
        if num_classes == 11:
            assert_same(model(clip), before.to_model()(clip))
            assert model.info == before.info
        else:
            assert_same(model.embed(clip), before.to_model().embed(clip))
            assert (model.info.labels, model.info.name) == (None, "movinet_t0_stream")
            assert model.info.transform == before.info.transform
            assert model.info.license == "Apache-2.0"
            assert GESTURES in model.info.source


def test_frames_are_prepared_for_the_size_and_rate_that_trained_weights_are_asked_for() -> None:
    known = load_weights(GESTURES).info.transform
    model = movinet.create_model(GESTURES, pretrained=True, size=(96, 128), fps=10)
    assert model.info.transform == Transform((96, 128), resize_short=108, fps=10, scale=known.scale)
    assert movinet.create_model(GESTURES, pretrained=True, decay=0.9).info.transform == known
    assert load_weights(GESTURES).with_options(fps=10).info.transform == replace(known, fps=10)


def test_overrides_reach_the_specification(tmp_path: Path) -> None:
    model = movinet.create_model("movinet_a0_stream", num_classes=5, decay=0.9, hidden=16, dropout=0.0)
    assert (model.spec.decay, model.spec.num_classes, model.spec.hidden) == (0.9, 5, 16)
    assert movinet.create_model(GESTURES, pretrained=True, decay=0.9).spec.decay == 0.9
    (tmp_path / "mine.yaml").write_text(dump_spec(tiny_spec()))
    for path in (tmp_path / "mine.yaml", str(tmp_path / "mine.yaml"), tiny_weights(tmp_path)):
        assert movinet.create_model(path, decay=0.9).spec == tiny_spec().with_options(decay=0.9)
    assert movinet.create_model(str(path), pretrained=True).info.labels == LABELS
    ensemble = movinet.create_model("movinet_a6_stream", num_classes=2, blocks=tiny_spec().blocks, hidden=8, project=8)
    assert isinstance(ensemble, Ensemble)
    assert {member.network.num_classes for member in ensemble.spec.members} == {2}


@pytest.mark.parametrize(
    ("name", "options", "reason"),
    [
        ("movinet_a2_steam", {}, "no network is called 'movinet_a2_steam'; did you mean movinet_a2_stream"),
        ("movinet_a2_stream.k60", {"pretrained": True}, "did you mean movinet_a2_stream.k600"),
        ("resnet50", {}, "there are movinet_t0_base"),
        ("a0", {}, r"no network is called 'a0'; did you mean movinet_a0_base or movinet_a0_stream\?$"),
        ("MoViNetA2", {"pretrained": True}, "did you mean movinet_a2_base or movinet_a2_stream"),
        ("movinet_a0_stream", {"decya": 0.9}, "no option 'decya'; did you mean decay"),
        ("movinet_a0_stream", {"classes": 5}, "did you mean num_classes"),
        ("movinet_a0_stream", {"pretrain": True}, "did you mean pretrained"),
        ("movinet_a0_stream", {"pretrained": 5}, "num_classes= says how many"),
        ("movinet_a0_stream", {"num_classes": -1}, "at least 0"),
        ("movinet_a0_stream", {"gate": "sigmiod"}, "gate is 'sigmiod'; choose one of"),
        ("movinet_a6_stream", {"num_classes": 0}, "averages logits"),
        ("movinet_t0_base", {"pretrained": True}, "a network without published weights of its own$"),
        ("movinet_t0_stream", {"pretrained": True}, "weights of its own; .* a variant .*: movinet_t0_stream.gestures"),
        (GESTURES, {"pretrained": True, "hidden": 16}, "do not fit"),
        ("mine.yaml", {"pretrained": True}, "a specification has no weights"),
    ],
)
def test_what_cannot_be_made_is_refused_with_what_was_meant(name: str, options: dict[str, object], reason: str) -> None:
    with pytest.raises(MovinetError, match=reason):
        movinet.create_model(name, **options)


def test_an_architecture_never_means_the_weights_of_another_network() -> None:
    for load in (load_weights, movinet.Recognizer.load, movinet.load_model):
        with pytest.raises(WeightsError, match=r"without published weights of its own.*movinet_t0_stream.gestures"):
            load("movinet_t0_stream")


def test_a_model_and_what_is_known_of_it() -> None:
    model, info = movinet.load_model(GESTURES)
    assert not model.training
    assert model.info == info
    assert model.info.labels == info.labels
    assert "WeightsInfo(movinet_t0_stream.gestures: 11 classes, 64×80" in repr(info)
    assert "1.64 M parameters" in repr(load_weights(GESTURES))


def test_a_representation_fits_a_screen(mine: MoViNet) -> None:
    for model in (mine, movinet.create_model("movinet_a0_stream"), movinet.load_model(GESTURES).model):
        lines = repr(model).splitlines()
        assert len(lines) < 15
        assert max(map(len, lines)) < 100
    assert "11 classes: caret, circle_ccw, cross, …" in repr(model)
    assert "tiny_stream: a stream network" in repr(mine)
    mine.reset_classifier(0)
    assert "without a classifier" in repr(mine)
    pair = movinet.create_model("movinet_a6_base", num_classes=2, blocks=mine.spec.blocks)
    assert "members.1: movinet_a5_base, 1 of the frames" in repr(pair)


@given(network_specs(), SEEDS)
@settings(max_examples=25, deadline=None)
@torch.inference_mode()
def test_features_and_head_are_the_network(spec: NetworkSpec, seed: int) -> None:
    model, clip = random_network(spec, seed), random_frames(2, 3, (17, 12), seed)
    assert isinstance(model, MoViNet)
    features = model.forward_features(clip)
    assert features.shape[:3] == (2, model.num_features, 3)
    assert_same(model.forward_head(features), model(clip))
    assert_same(model.forward_head(features, pre_logits=True), model.embed(clip))
    assert_same(model.get_classifier()(model.embed(clip)), model(clip))
    assert model.embed(clip).shape == (2, model.head_hidden_size)


@given(network_specs(causal=True), SEEDS)
@settings(max_examples=10, deadline=None)
@torch.inference_mode()
def test_streams_go_on_without_a_classifier(spec: NetworkSpec, seed: int) -> None:
    model, clip = random_network(spec, seed), random_frames(2, 4, (17, 12), seed)
    assert isinstance(model, MoViNet)
    _, state = model.step(clip[:, :, :2])
    expected = model.embed(clip)
    model.reset_classifier(0)
    assert isinstance(model.get_classifier(), nn.Identity)
    answer, state = model.step(clip[:, :, 2:], state)  # the stream that began before
    assert_same(answer, expected)
    per_frame, _ = model.step(clip, None, per_frame=True)
    assert_same(per_frame[:, -1], expected)
    assert_same(model.step(clip[:, :, :0], state)[0], expected)
    model.reset_classifier(4)
    assert model.step(clip)[0].shape == (2, 4)


def test_a_state_dict_of_ours_is_told_what_it_lacks(mine: MoViNet, tmp_path: Path) -> None:
    torch.save(mine.state_dict(), tmp_path / "mine.pth")
    with pytest.raises(WeightsError, match=r"does not say of which.*save_model"):
        movinet.load_model(tmp_path / "mine.pth")


def test_predictions_have_labels_and_leave_the_network_alone(mine: MoViNet) -> None:
    model = Weights.of(mine, mine.info.with_labels(LABELS)).to_model().train()
    model.stem.eval()  # somebody freezes a part
    before = copy.deepcopy(model.state_dict())
    clip = random_frames(2, 4, (24, 32), 1)
    first, second = model.predict(clip)
    assert {first.label, second.label} <= set(LABELS)
    assert [answer.label for answer in model.predict(clip.numpy())] == [first.label, second.label]
    assert (first.frames, first.time) == (4, pytest.approx(3 / 5))
    with torch.inference_mode():
        assert first.probabilities == pytest.approx(mine.eval()(clip)[0].softmax(0).numpy(), abs=1e-5)
    assert model.training
    assert not model.stem.training
    for name, value in model.state_dict().items():
        assert_identical(value, before[name])
    (answer,) = movinet.load_model(GESTURES).model.predict(sample_clip())
    assert answer.label == "star"
    with pytest.raises(ValueError, match="must have shape"):
        model.predict(clip[0])
    model.reset_classifier(0)
    with pytest.raises(MovinetError, match="no classifier"):
        model.predict(clip)


def test_a_network_without_classifier_recognizes_nothing(mine: MoViNet) -> None:
    mine.reset_classifier(0)
    with pytest.raises(MovinetError, match=r"no classifier.*reset_classifier"):
        movinet.Recognizer(Weights.of(mine))


@torch.inference_mode()
def test_a_file_of_ones_own_is_the_network(mine: MoViNet, tmp_path: Path) -> None:
    mine.reset_classifier(2)
    nn.init.normal_(mine.get_classifier().weight)
    path, transform = tmp_path / "wave.safetensors", Transform((32, 32), 40, 10.0)
    movinet.save_model(mine, path, labels=["no", "yes"], transform=transform)
    model, info = movinet.load_model(path)
    assert (info.name, info.labels, info.transform) == ("tiny_stream.wave", ("no", "yes"), transform)
    clip = random_frames(1, 4, (32, 32), 1)
    assert_identical(model(clip), mine.eval()(clip))
    movinet.save_model(model, path)  # what it carries is written again
    assert load_weights(path).info == info
    movinet.save_model(model, path, info=info, half=True, multi_label=True)
    assert load_weights(path).info.multi_label
    assert_same(movinet.load_model(path).model(clip), model(clip), 1e-2)


@torch.inference_mode()
def test_wrapped_and_converted_networks_are_saved(mine: MoViNet, tmp_path: Path) -> None:
    for wrapped in (torch.compile(mine, backend="eager"), nn.DataParallel(mine), copy.deepcopy(mine).half()):
        movinet.save_model(wrapped, tmp_path / "one.safetensors", labels=LABELS)
        model, info = movinet.load_model(tmp_path / "one.safetensors")
        assert info.labels == LABELS
        assert_same(model(random_frames(1, 3, (24, 32), 1)), mine(random_frames(1, 3, (24, 32), 1)), 1e-2)
    with pytest.raises(MovinetError, match="want a MoViNet or an Ensemble, not Linear"):
        movinet.save_model(nn.Linear(1, 1), tmp_path / "one.safetensors")
    with pytest.raises(MovinetError, match="want a MoViNet or an Ensemble, not str"):
        movinet.save_model("one.safetensors", mine)  # type: ignore[arg-type]
    with pytest.raises(MovinetError, match=r"not Sequential; model\.0 is one: give that"):
        movinet.save_model(nn.Sequential(mine, nn.ReLU()), tmp_path / "one.safetensors")


def test_layers_exchanged_by_hand_are_refused_with_what_to_do(mine: MoViNet, tmp_path: Path) -> None:
    for layer in (nn.Linear(mine.head_hidden_size, 7), nn.Sequential(nn.Linear(mine.head_hidden_size, 3))):
        mine.head.classifier = layer
        with pytest.raises(WeightsError, match=r"by hand.* model\.reset_classifier"):
            movinet.save_model(mine, tmp_path / "one.safetensors")


def test_a_specification_is_made_a_network_by_its_class() -> None:
    with pytest.raises(SpecError, match=r"movinet\.MoViNet\(spec\)"):
        movinet.create_model(tiny_spec())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "options", "reason"),
    [
        ("one.pt", {}, "must end in .safetensors"),
        ("one.safetensors", {"labels": ["a", "b"]}, "2 labels for 3 classes"),
        ("one.safetensors", {"labels": "abc"}, "want a list"),
        ("one.safetensors", {"labels": [1, 2, 3]}, "want text"),
        ("missing/one.safetensors", {}, "missing"),
    ],
)
def test_a_file_that_could_not_be_used_is_not_written(
    name: str, options: dict[str, object], reason: str, mine: MoViNet, tmp_path: Path
) -> None:
    with pytest.raises(WeightsError, match=reason):
        movinet.save_model(mine, tmp_path / name, **options)
    assert not list(tmp_path.iterdir())


def test_every_command_takes_a_file_of_ones_own(
    mine: MoViNet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    mine.reset_classifier(2)
    movinet.save_model(mine, "mine.safetensors", labels=("no", "yes"))
    clip = str(sample_clip())
    for line in (
        ["classify", clip, "--model", "mine.safetensors"],
        ["watch", clip, "--model", "mine.safetensors", "--seconds", "0.4", "--json"],
        ["profile", "mine.safetensors", "--repeats", "1", "--engine", "torch"],
        ["export", "mine.safetensors", "--to", "litert", "--out", "exported"],
        ["classify", clip, "--model", "exported"],
    ):
        with pytest.raises(SystemExit) as done:
            main(line)
        assert done.value.code == 0, line
        assert "yes" in capsys.readouterr().out or line[0] not in ("classify", "watch")


def test_networks_are_copied_and_pickled(mine: MoViNet) -> None:
    clip = random_frames(1, 3, (24, 32), 1)
    with torch.inference_mode():
        for other in (copy.deepcopy(mine), pickle.loads(pickle.dumps(mine))):
            assert other.info == mine.info
            assert_identical(other(clip), mine(clip))
            other.reset_classifier(2)
    assert mine.num_classes == 3


def test_engines_run_what_has_no_classifier(mine: MoViNet, tmp_path: Path) -> None:
    """All of them: `test_variants.py`."""
    mine.reset_classifier(0)
    weights = Weights.of(mine)
    assert folded_network(weights).classifier is None
    (exported,) = export(weights, "litert", tmp_path / "out")
    assert exported.checked.error < 1e-4
    movinet.save_model(mine, tmp_path / "body.safetensors")
    loaded = load_weights(tmp_path / "body.safetensors")
    assert loaded.hash == weights.hash
    assert np.array_equal(loaded.arrays["head.hidden.bias"], weights.arrays["head.hidden.bias"])


def test_an_unknown_field_of_a_specification_has_a_suggestion() -> None:
    plain = tiny_spec().to_dict()
    plain["classes"] = plain.pop("num_classes")
    with pytest.raises(SpecError, match=r"there is no entry 'classes'.*did you mean num_classes"):
        NetworkSpec.from_dict(plain)
