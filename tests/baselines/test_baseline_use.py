"""The networks to compare with go where MoViNets go: profiled, trained, saved, loaded, streamed; and not further."""

from pathlib import Path

import numpy as np
import pytest
import torch

from movinet import create_model, list_models, load_model, save_model
from movinet.arch.baseline_spec import BASELINES, BaselineSpec
from movinet.arch.serialize import dump_spec, find_spec, parse_spec
from movinet.cli.app import app
from movinet.errors import MovinetError, SpecError
from movinet.profiling import profile
from movinet.runtime.clips import create_clip_engine
from movinet.runtime.factory import create_engine
from movinet.train.distributed import connect
from movinet.train.recipe import AdamW, AuxPoint, Loss, Recipe, Smoothness
from movinet.train.recipe_data import Gestures
from movinet.train.train_run import prepare_training, run_training
from movinet.weights.load import load_weights
from movinet.weights.weights import Weights


def tiny(name: str) -> BaselineSpec:
    spec = BASELINES[name]
    small = {"x3d": 0.7, "mobilenet_v2": 0.25, "mobilenet_v3": 0.25}.get(spec.family, 8)
    depth = spec.depth if spec.family.startswith("mobilenet") else 0.3
    clip = {"size": (32, 40), "fps": 2.0, "frames": 8, "num_classes": 11}
    return spec.with_options(name=f"tiny_{name}", width=small, depth=depth, **clip)


def recipe(network: str, **more: object) -> Recipe:
    data = Gestures(clips=11, frames=(8,), validation=0, test=11)
    return Recipe(AdamW(1e-3), network=network, data=data, epochs=1, batch_size=11, **more)  # type: ignore[arg-type]


def test_they_are_listed_and_read_back() -> None:
    assert set(BASELINES) <= set(list_models())
    assert "x3d_m" in list_models("x3d")
    for spec in BASELINES.values():
        assert find_spec(spec.name) == spec
        assert parse_spec(dump_spec(spec)) == spec


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"family": "vit"}, "family"),
        ({"causal": True}, "future"),
        ({"width": 0}, "width"),
        ({"frames": 2.5}, "frames"),
        ({"dropout": 1.0}, "dropout"),
        ({"heads": 3}, "no option"),
    ],
)
def test_contradictions_are_told(options: dict[str, object], said: str) -> None:
    with pytest.raises(SpecError, match=said):
        BASELINES["x3d_m"].with_options(**options)


@pytest.mark.parametrize(
    "name",
    [
        "x3d_s",
        "tsm_mobilenet_v3_online",
        pytest.param("slowfast_r50_4x16", marks=pytest.mark.slow),
        pytest.param("slow_r50_stream", marks=pytest.mark.slow),
    ],
)
def test_a_run_trains_one_and_its_file_is_used(name: str, tmp_path: Path) -> None:
    path = tmp_path / "tiny.yaml"
    path.write_text(dump_spec(tiny(name)))
    layer = {"x3d_s": "stages.2.0", "slowfast_r50_4x16": "fast_stages.1.0"}.get(name)
    loss = Loss(aux_point=AuxPoint((layer,))) if layer else Loss()
    result = run_training(prepare_training(recipe(str(path), loss=loss)), tmp_path / "run", connect("cpu"))
    assert result.finished
    assert 0 <= result.scores["test_top1"] <= 1
    model, info = load_model(tmp_path / "run")
    clip = torch.rand(2, 3, 8, 32, 40)
    assert info.labels is not None
    with torch.inference_mode():
        expected = model(clip)
    answers = create_clip_engine(load_weights(tmp_path / "run"))(clip.numpy())
    np.testing.assert_allclose(answers, expected.numpy(), rtol=1e-5, atol=1e-6)
    save_model(model, tmp_path / "again.safetensors")
    np.testing.assert_array_equal(
        load_weights(tmp_path / "again.safetensors").arrays["classifier.weight"],
        load_weights(tmp_path / "run").arrays["classifier.weight"],
    )
    again = recipe(str(path), init_from=str(tmp_path / "run"))
    assert prepare_training(again).start.info.source.startswith("trained further from")


@pytest.mark.parametrize("name", ["slow_r50_stream", "tsm_mobilenet_v3_online", "tsn_mobilenet_v2"])
def test_an_engine_streams_what_streams(name: str) -> None:
    weights = Weights.untrained(tiny(name))
    engine = create_engine(weights, streams=2)
    state, other = engine.init_state(), engine.init_state()
    clip = np.random.default_rng(0).random((6, 2, 32, 40, 3), np.float32)
    for frame in clip[:5]:
        engine.step(frame, state)
    engine.set_states(other, {1: engine.get_state(state, 0)})  # a stream changes its batch and its row
    swapped = engine.step(clip[5][::-1].copy(), other)
    whole = create_clip_engine(weights)(np.ascontiguousarray(clip[:, :1].transpose(1, 4, 0, 2, 3)))
    assert swapped is not None
    np.testing.assert_allclose(swapped[1], whole[0], rtol=1e-4, atol=1e-5)


def test_what_they_cannot_is_said(tmp_path: Path) -> None:
    x3d = Weights.untrained(tiny("x3d_s"))
    with pytest.raises(MovinetError, match="no streams"):
        create_engine(x3d)
    with pytest.raises(MovinetError, match="PyTorch alone"):
        create_engine(Weights.untrained(tiny("tsn_mobilenet_v3")), "litert")
    save_model(x3d.to_model(), tmp_path / "x3d.safetensors")
    for to in ("onnx", "litert"):
        with pytest.raises(MovinetError, match="PyTorch alone"):
            app(["export", str(tmp_path / "x3d.safetensors"), "--to", to, "--out", str(tmp_path / to)])
    with pytest.raises(MovinetError, match="sub-clips are for MoViNets"):
        prepare_training(recipe("tsn_mobilenet_v3", strategy="recurrent"))
    with pytest.raises(MovinetError, match="smoothing"):
        run_training(
            prepare_training(recipe("tsn_mobilenet_v3", loss=Loss(smoothness=Smoothness()))),
            tmp_path / "smooth",
            connect("cpu"),
        )


def test_they_are_profiled() -> None:
    stream = profile(tiny("tsm_mobilenet_v3_online"), repeats=2, threads=1)
    clip = profile(tiny("x3d_s"), threads=1)
    assert stream.step_ms is not None
    assert stream.state_bytes > 0
    assert clip.step_ms is None
    assert clip.clip_ms is not None
    assert clip.macs_per_clip > clip.macs_per_frame > 0
    with pytest.raises(MovinetError, match="PyTorch alone"):
        profile(tiny("x3d_s"), engine="openvino")


def test_a_new_classifier_keeps_the_rest() -> None:
    model = create_model("tsn_mobilenet_v3", num_classes=3).eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items() if "classifier" not in name}
    model.reset_classifier(5)
    assert model.num_classes == model.spec.num_classes == 5
    assert model(torch.rand(1, 3, 2, 32, 32)).shape == (1, 5)
    after = model.state_dict()
    after = model.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
