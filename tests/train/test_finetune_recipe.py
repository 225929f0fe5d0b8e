"""Few clips, a network that has learned: the recipe is complete, and everything in it can be said otherwise."""

from pathlib import Path

import pytest
import yaml
from tiny import LABELS, tiny_spec, tiny_weights

from movinet.arch.zoo import network_spec
from movinet.data.streams import TargetRule
from movinet.errors import MovinetError
from movinet.train.finetune_recipe import Finetuning, finetune_recipe, finetune_streams_recipe
from movinet.train.init_model import init_model
from movinet.train.recipe import AdamW, dump_recipe, recipe_from_dict
from movinet.train.recipe_data import Streams, Videos
from movinet.weights.info import WeightsInfo, default_transform
from movinet.weights.load import load_weights

DATA = Videos(("clips",))


def info(name: str) -> WeightsInfo:
    spec = network_spec(name)
    return WeightsInfo(name, spec, default_transform(spec))


def test_it_can_be_written_read_and_begun(tmp_path: Path) -> None:
    path = tiny_weights(tmp_path)
    recipe = finetune_recipe(str(path), DATA, load_weights(path).info)
    assert recipe_from_dict(yaml.safe_load(dump_recipe(recipe))) == recipe
    start = init_model(recipe, ("yes", "no"))
    assert start.model.spec.frames == 16
    assert start.info.transform == load_weights(path).info.transform
    assert recipe.augmentation.flip == 0.0


def test_what_is_said_is_done(tmp_path: Path) -> None:
    recipe = finetune_recipe(
        str(tiny_weights(tmp_path)),
        DATA,
        WeightsInfo("tiny", tiny_spec(), default_transform(tiny_spec()), LABELS),
        Finetuning(
            epochs=2,
            lr=0.1,
            batch_size=3,
            frames=5,
            size=(32, 48),
            fps=10.0,
            strategy="recurrent",
            sub_clip=4,
            bptt_clips=3,
            freeze=["stem"],
            flip=0.5,
            swap=[("left", "right")],
            seed=9,
        ),
    )
    assert (recipe.epochs, recipe.optimizer, recipe.batch_size) == (2, AdamW(0.1), 3)
    assert (recipe.strategy, recipe.sub_clip, recipe.bptt_clips) == ("recurrent", 4, 3)
    assert (recipe.freeze, recipe.seed) == (("stem",), 9)
    assert (recipe.augmentation.flip, recipe.augmentation.swap) == (0.5, (("left", "right"),))
    assert recipe.warmup_epochs < recipe.epochs
    spec = init_model(recipe, LABELS).model.spec
    assert (spec.frames, spec.size, spec.fps) == (5, (32, 48), 10.0)
    assert recipe_from_dict(yaml.safe_load(dump_recipe(recipe))) == recipe


@pytest.mark.parametrize(("name", "layers"), [("movinet_t0_stream", 14), ("movinet_a5_base", 59)])
def test_the_stem_learns_at_one_share_however_deep_the_network(name: str, layers: int) -> None:
    assert finetune_recipe(name, DATA, info(name)).layer_decay ** (layers + 1) == pytest.approx(0.05, rel=0.05)


def test_answers_may_be_wanted_when_it_is_over() -> None:
    start = info("movinet_a0_stream")
    early, ended = (
        finetune_streams_recipe("tiny", Streams(("list.csv",)), start, options)
        for options in (None, Finetuning(answers="ended"))
    )
    assert isinstance(early.data, Streams)
    assert isinstance(ended.data, Streams)
    assert early.data.targets == TargetRule()
    assert ended.data.targets == TargetRule(known=1.0, possible=0.5, wait=0.6, held=1.8, fading=1.0)
    assert recipe_from_dict(yaml.safe_load(dump_recipe(ended))) == ended


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(MovinetError, match="--answers is of long videos"):
        finetune_recipe("movinet_a0_base", DATA, info("movinet_a0_base"), Finetuning(answers="ended"))
    with pytest.raises(MovinetError, match="train its members"):
        finetune_recipe("movinet_a6_base", DATA, info("movinet_a6_base"))
    with pytest.raises(MovinetError, match="epochs is 0"):
        finetune_recipe("movinet_a0_base", DATA, info("movinet_a0_base"), Finetuning(epochs=0))


@pytest.mark.parametrize(
    ("own", "labels", "said", "wanted"),
    [
        ("right", LABELS, None, "right"),
        (None, LABELS, None, "other"),
        (None, ("left", "right", "up"), None, None),  # the lists decide
        ("right", LABELS, "idle", "idle"),
    ],
)
def test_on_streams_the_background_stays(
    own: str | None, labels: tuple[str, ...], said: str | None, wanted: str | None
) -> None:
    spec = tiny_spec()
    known = WeightsInfo("tiny", spec, default_transform(spec), labels, background=own)
    recipe = finetune_streams_recipe("tiny", Streams(("list.csv",), background=said), known, Finetuning(memory=3.0))
    assert isinstance(recipe.data, Streams)
    assert recipe.data.background == wanted
    assert (recipe.memory, recipe.strategy, recipe.on_streams) == (3.0, "recurrent", True)
    assert recipe_from_dict(yaml.safe_load(dump_recipe(recipe))) == recipe
