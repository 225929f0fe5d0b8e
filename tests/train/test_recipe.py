"""Recipes: written and read back unchanged, refused with a reason, and those that come with the project."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from movinet.arch.serialize import find_spec
from movinet.arch.spec import NetworkSpec
from movinet.data.augment import Augmentation, ColorJitter, RandomCrop
from movinet.data.auto_augment import AutoAugment, RandAugment
from movinet.data.synthetic.paths import GESTURES
from movinet.errors import MovinetError
from movinet.train.init_model import init_model
from movinet.train.recipe import (
    AdamW,
    AuxPoint,
    Loss,
    Recipe,
    RMSprop,
    Smoothness,
    dump_recipe,
    read_recipe,
    recipe_from_dict,
    recipe_to_dict,
    with_absolute_paths,
)
from movinet.train.recipe_data import Clips, Gestures, Videos
from movinet.weights.info import default_transform

FOLDER = Path(__file__).parents[2] / "src" / "movinet" / "recipes"
SMALLEST = {"network": "movinet_a0_stream", "epochs": 1, "batch_size": 2, "optimizer": {"kind": "adamw", "lr": 1e-3}}

# The official configurations: top-1 is in the files' comments; dropout; frames of a training and a validation clip;
# frame stride at 25 frames a second; crop; short side; AutoAugment with a stride that may be one less.
OFFICIAL = {
    "a0_base": (0.2, 50, 50, 5, 172, 192, True),
    "a1_base": (0.5, 50, 50, 5, 172, 192, True),
    "a2_base": (0.5, 50, 50, 5, 224, 256, True),
    "a3_base": (0.5, 64, 120, 2, 256, 288, True),
    "a4_base": (0.5, 32, 80, 3, 290, 320, True),
    "a5_base": (0.5, 32, 120, 2, 320, 368, True),
    "t0_base": (0.2, 25, 25, 10, 160, 176, False),
    "a0_stream": (0.2, 50, 50, 5, 172, 192, False),
    "a1_stream": (0.2, 50, 50, 5, 172, 192, False),
    "a2_stream": (0.5, 50, 50, 5, 224, 256, False),
    "a3_stream": (0.5, 64, 120, 2, 256, 288, False),
    "a4_stream": (0.5, 32, 80, 3, 290, 320, True),
    "a5_stream": (0.5, 32, 115, 2, 320, 368, True),
    "t0_stream": (0.2, 25, 25, 10, 160, 176, False),
}

names = st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]))  # PyYAML loses some control characters


def without_what_synthetic_clips_lack(**entries: Any) -> Recipe:
    if isinstance(entries["data"], Gestures):
        entries |= {"clips": Clips(), "augmentation": Augmentation()}
    return Recipe(**entries)


recipes = st.builds(
    without_what_synthetic_clips_lack,
    optimizer=st.builds(RMSprop, lr=st.floats(1e-6, 10))
    | st.builds(AdamW, lr=st.floats(1e-6, 10), betas=st.tuples(st.floats(0, 0.99), st.floats(0, 0.99))),
    epochs=st.integers(1, 300),
    batch_size=st.integers(1, 2048),
    network=st.just("movinet_a0_stream"),
    init_from=st.none() | names,
    options=st.dictionaries(st.sampled_from(["fps", "frames"]), st.integers(1, 9)),
    data=st.none()
    | st.builds(Videos, st.lists(names, max_size=2).map(tuple), videos=st.none() | names)
    | st.builds(Gestures, st.integers(1, 9), st.lists(st.integers(1, 30), min_size=1).map(tuple)),
    clips=st.builds(Clips, frames=st.none() | st.integers(1, 9), loop=st.booleans()),
    augmentation=st.builds(
        Augmentation,
        crop=st.none() | st.builds(RandomCrop),
        flip=st.floats(0, 1),
        swap=st.sampled_from([(), (("left", "right"),)]),
        policy=st.none() | st.builds(AutoAugment) | st.builds(RandAugment, operations=st.integers(0, 3)),
        color=st.none() | st.builds(ColorJitter, hue=st.floats(0, 0.5)),
    ),
    warmup_epochs=st.floats(0, 1),
    freeze=st.lists(names, max_size=2).map(tuple),
    loss=st.builds(
        Loss,
        class_weights=st.sampled_from(["even", "balanced"]) | st.dictionaries(names, st.floats(0, 2)),
        smoothness=st.none() | st.builds(Smoothness),
        aux_point=st.none() | st.builds(AuxPoint, st.lists(names, max_size=2).map(tuple)),
    ),
    ema_decay=st.none() | st.floats(0, 0.999),
    patience=st.none() | st.integers(1, 9),
)


@given(recipes)
def test_a_recipe_is_read_back_as_it_was(recipe: Recipe) -> None:
    import yaml

    assert recipe_from_dict(yaml.safe_load(dump_recipe(recipe))) == recipe


def test_what_is_as_by_default_is_not_written() -> None:
    assert recipe_to_dict(recipe_from_dict(SMALLEST)) == SMALLEST


def test_numbers_may_be_written_as_people_do(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(
        "network: movinet_a0_stream\nepochs: 1\nbatch_size: 2\noptimizer: {kind: adamw, lr: 1e-3}\nema_decay: 0\n"
    )
    recipe = read_recipe(path)
    assert recipe.optimizer.lr == 1e-3
    assert type(recipe.ema_decay) is float


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 0}, "epochs is 0; it must be at least 1"),
        ({"epochs": 1.5}, "recipe.epochs is 1.5; want a whole number"),
        ({"epochs": True}, "recipe.epochs is True; want a whole number"),
        ({"epoch": 1}, r"no entry 'epoch' \(did you mean epochs\?\); there are optimizer, epochs"),
        ({"network": None}, r"want a `network`, weights to start from \(`init_from`\), or both"),
        ({"optimizer": {"kind": "sgd", "lr": 1}}, "among them `kind`, one of rmsprop, adamw"),
        ({"optimizer": {"kind": "adamw"}}, "recipe.optimizer: 'lr' is missing"),
        ({"optimizer": {"kind": "adamw", "lr": 0}}, "optimizer.lr is 0.0; it must be positive"),
        ({"strategy": "stream"}, "'stream'; choose one of clip, recurrent"),
        ({"loss": {"class_weights": "odd"}}, "choose one of even, balanced; or .*want a mapping of names"),
        ({"clips": {"jitter": [1]}}, r"clips.jitter is \[1\]; want a list of 2"),
        ({"augmentation": {"flip": 2}}, "augmentation: flip is a probability, not 2"),
        ({"ema_decay": 1}, "ema_decay is 1.0; it must lie in"),
        ({"layer_decay": 0}, "layer_decay is 0.0"),
        ({"patience": 0}, "patience is 0"),
        ({"batch_norm": "kept"}, "a new network has no statistics to keep"),
        ({"data": {"paths": ["a"]}}, "one of videos, gestures, gesture_streams, streams; got"),
        ({"data": {"kind": "videos", "paths": ["a"], "held_out": 1}}, "data.held_out is 1.0"),
        ({"data": {"kind": "gestures", "clips": 5, "frames": []}}, "want clips and frames, at least 1 each"),
        ({"data": {"kind": "gestures", "clips": 5, "frames": [4]}, "clips": {"frames": 4}}, "take neither `clips` nor"),
        ({"bptt_clips": 2}, "they need the strategy recurrent"),
        ({"loss_on": "last"}, "they need the strategy recurrent"),
        ({"clips": {"spread": True, "loop": True}}, "has no jitter and does not loop"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    import yaml

    path = tmp_path / "wrong.yaml"
    path.write_text(yaml.safe_dump(SMALLEST | change))
    with pytest.raises(MovinetError, match=message) as raised:
        read_recipe(path)
    assert str(path) in str(raised.value)


def test_files_that_are_no_recipes_are_refused(tmp_path: Path) -> None:
    (tmp_path / "list.yaml").write_text("[1, 2]")
    (tmp_path / "broken.yaml").write_text("a: [")
    for name, message in (
        ("list.yaml", "want a mapping"),
        ("broken.yaml", "not YAML"),
        ("none.yaml", "there is no such file"),
    ):
        with pytest.raises(MovinetError, match=message):
            read_recipe(tmp_path / name)


def test_there_is_a_recipe_for_every_published_network() -> None:
    names = {path.name for path in FOLDER.glob("*.yaml") if not path.name.startswith("search_")}
    assert names == {f"movinet_{name}.k600.yaml" for name in OFFICIAL} | {
        "gestures.yaml",
        "gesture_streams.yaml",
        "gesture_streams_first.yaml",
        "gesture_streams_last.yaml",
        "gesture_streams_long.yaml",
        "smoke.yaml",
    }


@pytest.mark.parametrize("name", OFFICIAL)
def test_the_published_recipes_are_the_official_ones(name: str) -> None:
    dropout, frames, eval_frames, stride, size, short, augmented = OFFICIAL[name]
    recipe = read_recipe(FOLDER / f"movinet_{name}.k600.yaml")
    assert recipe.network == f"movinet_{name}"
    spec = find_spec(recipe.network).with_options(**recipe.options)
    assert isinstance(spec, NetworkSpec)
    assert (spec.dropout, spec.stochastic_depth, spec.frames) == (dropout, 0.2, eval_frames)
    assert spec.size == (size, size)
    assert default_transform(spec).resize_short == short
    assert spec.fps in (25 / stride, 25 // stride)  # the paper rounds 12.5 and 8.3 down
    activation = "hard_swish" if name in ("a1_stream", "a4_stream", "t0_stream") else "swish"
    assert spec.head_activation == activation
    jitter = ((stride - 1) / stride, 1.0) if augmented else (1.0, 1.0)
    assert recipe.clips.jitter == pytest.approx(jitter, abs=1e-4)
    policy = AutoAugment() if augmented else None
    assert recipe == Recipe(
        RMSprop(lr=1.8, decay=0.9, momentum=0.9, epsilon=1.0, clip_norm=1.0, l2=3e-5),
        epochs=240,
        batch_size=1024,
        network=recipe.network,
        options=recipe.options,
        clips=Clips(frames=frames, jitter=recipe.clips.jitter, loop=True),
        augmentation=Augmentation(RandomCrop((0.08, 1.0), (0.5, 2.0)), flip=0.5, policy=policy),
        warmup_epochs=6,
        loss=Loss(label_smoothing=0.1),
    )
    assert (epoch := 366_016 / recipe.batch_size) * recipe.epochs == 85_785
    assert round(epoch * recipe.warmup_epochs) == 2_145


@pytest.mark.parametrize("name", ["gestures", "smoke"])
def test_the_gesture_recipes_make_networks(name: str) -> None:
    recipe = read_recipe(FOLDER / f"{name}.yaml")
    assert isinstance(recipe.data, Gestures)
    start = init_model(recipe, GESTURES)
    assert start.info.transform.resize_short == start.model.spec.size[0]
    for layer in recipe.loss.aux_point.layers if recipe.loss.aux_point else ():
        start.model.get_submodule(layer)


def test_the_gesture_network_is_the_bundled_one() -> None:
    recipe = read_recipe(FOLDER / "gestures.yaml")
    bundled = replace(recipe, network=None, options={}, init_from="movinet_t0_stream.gestures")
    there = init_model(bundled, GESTURES).info.spec
    assert replace(init_model(recipe, GESTURES).info.spec, decay=there.decay) == there  # streams are trained to forget


def test_a_run_finds_its_files_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.safetensors").touch()
    (tmp_path / "movinet_t0_stream.gestures").touch()  # the name still means the weights
    recipe = Recipe(
        AdamW(1e-3), 1, 1, network="net.yaml", init_from="mine.safetensors", data=Videos(("clips",), videos="v")
    )
    found = with_absolute_paths(recipe)
    assert (found.network, found.init_from) == (str(tmp_path / "net.yaml"), str(tmp_path / "mine.safetensors"))
    assert found.data == Videos((str(tmp_path / "clips"),), videos=str(tmp_path / "v"))
    named = Recipe(AdamW(1e-3), 1, 1, network="movinet_a0_stream", init_from="movinet_t0_stream.gestures")
    assert with_absolute_paths(named) == named
