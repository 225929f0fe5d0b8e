"""Everything a specification can choose, through every engine, exporter and interpreter: none is forgotten, and what
one does not know it refuses. CONTRIBUTING, "A new variant", says what one touches."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from export.mil_interpreter import run_package
from nn.networks import assert_same, random_frames, random_network
from tiny import tiny_spec

from movinet.arch import spec as specification
from movinet.arch.layer_spec import BlockSpec, LayerSpec
from movinet.arch.spec import NetworkSpec
from movinet.deploy.network import folded_network
from movinet.deploy.reference import reference_clip, reference_step
from movinet.errors import MovinetError
from movinet.export.export import Exported, export
from movinet.export.verify import check
from movinet.export.written import Format
from movinet.nn import activations
from movinet.nn.movinet import MoViNet
from movinet.runtime.clips import create_clip_engine
from movinet.runtime.factory import EngineKind, create_engine
from movinet.weights.weights import Weights


# What "auto" chooses from; "compile" is the engine "torch" through a compiler, and "browser" a page with a LiteRT file.
# ExecuTorch and Core ML, which convert what PyTorch computes, whatever it is, take seconds a network.
def each(names: set[str], *left_out: str) -> list[Any]:
    slow = {"executorch", "coreml"}
    return [pytest.param(n, marks=pytest.mark.slow) if n in slow else n for n in sorted(names - set(left_out))]


def error(one: Exported, weights: Weights) -> float:
    """Of an exported file; Core ML's, where that is not there, interpreted."""
    checked = one.checked or check(one.manifest, run_package(one.folder / one.manifest["model"]), weights)
    return checked.error


ENGINES = each({*get_args(EngineKind)}, "auto", "compile")
FORMATS = each({*get_args(Format)}, "browser")
PACKAGES = {
    "coreml": ("coremltools",),
    "executorch": ("executorch",),
    "litert": ("ai_edge_litert",),
    "onnx": ("onnx", "onnxruntime"),
    "openvino": ("openvino",),
}

# Fields that are a size or a name: no code asks which one it is.
PLAIN = {"name", "stem", "blocks", "project", "hidden", "size", "fps", "frames", "num_classes", "position_limit"}
TRAINING = {"dropout", "stochastic_depth"}  # nothing but training knows of them
OTHER_CHOICES: dict[str, tuple[Any, ...]] = {
    "causal": (True, False),
    "positional_encoding": (False, True),
    "rezero": (True, False),
    "decay": (1.0, 0.9),
}
# The layers below are one of each: with and without squeeze-excitation, over time and not, strided, with a skip.
LAYER_PARTS = {"expand", "spatial", "temporal", "volume", "se", "project", "skip"}  # in `deploy/network.py`, too
LAYERS = {"expansion", "kernel", "squeeze_excitation"}
BLOCKS = (
    BlockSpec(8, (LayerSpec(8, (3, 3, 3)), LayerSpec(8, (5, 1, 1), squeeze_excitation=False))),
    BlockSpec(12, (LayerSpec(8, (1, 5, 5)),), stride=1),
)


def choices() -> dict[str, tuple[Any, ...]]:
    """Every field that chooses, with all it may be."""
    found = {name: get_args(kind) for name, kind in get_type_hints(NetworkSpec).items() if get_origin(kind) is Literal}
    return found | OTHER_CHOICES


def networks(causal: bool) -> list[NetworkSpec]:
    """So many that each choice is in one of them: the n-th takes everybody's n-th."""
    fitting = {name: list(kinds) for name, kinds in choices().items() if name != "causal"}
    if not causal:
        fitting |= {"positional_encoding": [False], "decay": [1.0]}
    kinds = [kind for kind in fitting.pop("squeeze_excitation") if kind != "none" and (kind != "global") == causal]
    rows = [
        {name: some[n % len(some)] for name, some in fitting.items()} | {"squeeze_excitation": kinds[n % len(kinds)]}
        for n in range(max(map(len, fitting.values())))
    ]
    rows.append(rows[0] | {"squeeze_excitation": "none", "positional_encoding": False})
    rows.append(rows[0] | {"num_classes": 0})  # embeddings
    spec = replace(tiny_spec(causal), blocks=BLOCKS, size=(17, 24), position_limit=4)
    return [spec.with_options(**row) for row in rows]


STREAMS, BASES = networks(True), networks(False)


def installed(kind: str) -> None:
    for package in PACKAGES.get(kind, ()):
        pytest.importorskip(package)


def answer(model: MoViNet, kind: EngineKind, clip: torch.Tensor) -> torch.Tensor:
    """The logits after each frame of a clip (1, 3, T, H, W), or those of the clip."""
    if not model.spec.causal:
        return torch.from_numpy(create_clip_engine(Weights.of(model), kind, threads=1)(clip.numpy()))
    engine = create_engine(Weights.of(model), kind, threads=1, cache=False)
    state, found = engine.init_state(), []
    for t in range(clip.shape[2]):
        logits = engine.step(np.ascontiguousarray(clip[:, :, t].permute(0, 2, 3, 1).numpy()), state)
        assert logits is not None
        found.append(torch.from_numpy(logits))
    return torch.stack(found, 1)


def expected(model: MoViNet, clip: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return model(clip, per_frame=True) if model.spec.causal else model(clip)


def network(spec: NetworkSpec) -> MoViNet:
    made = random_network(spec, 0)
    assert isinstance(made, MoViNet)
    return made


def test_every_choice_is_walked() -> None:
    """A new field of a specification has a place above, and so goes through everything below."""
    assert {field.name for field in fields(NetworkSpec)} == PLAIN | TRAINING | choices().keys()
    assert {field.name for field in fields(LayerSpec)} == LAYERS
    assert {field.name for field in fields(BlockSpec)} == {"channels", "layers", "stride"}
    for name, kinds in choices().items():
        assert {getattr(spec, name) for spec in STREAMS + BASES} == set(kinds), name
    assert {name for name, _ in network(STREAMS[0]).get_submodule("blocks.0.0").named_children()} <= LAYER_PARTS


@pytest.mark.parametrize("name", sorted(choices().keys() - {"causal", "norm", "decay"}))
def test_no_two_choices_are_one_network(name: str) -> None:
    """A choice that is only a word in a specification is answered as another one is."""
    for spec in (STREAMS[0], BASES[0]):
        answers = []
        for kind in choices()[name]:
            try:
                chosen = spec.with_options(**{name: kind})
            except MovinetError:  # it is for networks of the other kind
                continue
            model = network(chosen)
            with torch.no_grad():
                model.head.hidden.bias.copy_(torch.linspace(-8, 8, chosen.hidden))  # where activations differ
            answers.append(expected(model, random_frames(1, 3, spec.size, 0)))
        for n, one in enumerate(answers):
            assert all((one - other).abs().max() > 1e-6 for other in answers[:n])


@pytest.mark.parametrize("spec", STREAMS, ids=range(len(STREAMS)))
@pytest.mark.parametrize("kind", ENGINES)
def test_every_engine_runs_every_stream_network(kind: EngineKind, spec: NetworkSpec) -> None:
    installed(kind)
    model, clip = network(spec), random_frames(1, 7, spec.size, 1)
    assert_same(answer(model, kind, clip), expected(model, clip), 1e-4)


@pytest.mark.parametrize("spec", BASES, ids=range(len(BASES)))
@pytest.mark.parametrize("kind", each({"torch", "openvino", "onnx"}))
def test_every_engine_of_clips_runs_every_base_network(kind: EngineKind, spec: NetworkSpec) -> None:
    installed(kind)
    model, clip = network(spec), random_frames(1, 5, spec.size, 1)
    assert_same(answer(model, kind, clip), expected(model, clip), 1e-4)


@pytest.mark.parametrize("spec", STREAMS, ids=range(len(STREAMS)))
@pytest.mark.parametrize("to", FORMATS)
def test_every_format_has_every_stream_network(to: Format, spec: NetworkSpec, tmp_path: Path) -> None:
    installed(to)
    weights = Weights.of(network(spec))
    (one,) = export(weights, to, tmp_path / "out")
    assert error(one, weights) <= 1e-4


@pytest.mark.parametrize("spec", BASES, ids=range(len(BASES)))
@pytest.mark.parametrize("to", each({"onnx", "openvino"}))
def test_every_format_of_clips_has_every_base_network(to: Format, spec: NetworkSpec, tmp_path: Path) -> None:
    installed(to)
    (one,) = export(Weights.of(network(spec)), to, tmp_path / "out", frames=5)
    assert one.checked.error <= 1e-4


@pytest.mark.parametrize("spec", STREAMS + BASES, ids=range(len(STREAMS + BASES)))
def test_the_reference_computes_every_network(spec: NetworkSpec) -> None:
    model, clip = network(spec), random_frames(1, 5, spec.size, 1)
    arrays = folded_network(Weights.of(model))
    logits = reference_step(arrays, clip.numpy())[0] if spec.causal else reference_clip(arrays, clip.numpy())
    with torch.inference_mode():
        assert_same(torch.from_numpy(logits).float(), model(clip), 1e-4)


@pytest.fixture
def newcomers(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """An activation and a gate that the network has learned, and that nobody has told the others of."""
    monkeypatch.setitem(activations.ACTIVATIONS, "newcomer", lambda x, inplace=False: F.elu(x) * 0.7)
    monkeypatch.setitem(activations.GATES, "newcomer", lambda x: torch.exp(-x * x))
    for name in ("activation", "head_activation", "gate"):
        monkeypatch.setitem(specification._CHOICES, name, (*specification._CHOICES[name], "newcomer"))
    return dict.fromkeys(("activation", "head_activation", "gate"), "newcomer")


@pytest.mark.parametrize("name", ["activation", "head_activation", "gate"])
@pytest.mark.parametrize("kind", ENGINES)
def test_an_engine_refuses_what_it_does_not_know(kind: EngineKind, name: str, newcomers: dict[str, str]) -> None:
    installed(kind)
    model = network(STREAMS[0].with_options(**{name: newcomers[name]}))
    clip = random_frames(1, 3, model.spec.size, 1)
    try:
        made = answer(model, kind, clip)
    except MovinetError as error:
        assert "newcomer" in str(error)  # noqa: PT017  (either is right)
        return
    assert_same(made, expected(model, clip), 1e-4)


@pytest.mark.parametrize("to", FORMATS)
def test_a_format_refuses_what_it_does_not_know(to: Format, newcomers: dict[str, str], tmp_path: Path) -> None:
    installed(to)
    model = network(STREAMS[0].with_options(**newcomers))
    try:
        (one,) = export(Weights.of(model), to, tmp_path / "out")
    except MovinetError:
        assert not any(tmp_path.iterdir())
        return
    if one.checked is not None:  # Core ML's package is what PyTorch computes; only a Mac can run it
        assert one.checked.error <= 1e-4


@pytest.mark.parametrize("kind", ENGINES)
def test_a_layer_with_parameters_nobody_knows_is_refused(kind: EngineKind) -> None:
    installed(kind)
    for spec in (STREAMS[0], BASES[0]) if kind in ("torch", "openvino", "onnx") else STREAMS[:1]:
        model = network(spec)
        model.get_submodule("blocks.0.0").attention = torch.nn.Linear(2, 2)
        with pytest.raises(MovinetError, match="attention"):
            answer(model, kind, random_frames(1, 2, spec.size, 0))
