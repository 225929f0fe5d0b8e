"""The quickest mode is one the processor has, and what it costs is known."""

import pytest
from tiny import tiny_spec

from movinet import load_weights
from movinet.runtime import factory
from movinet.runtime.factory import create_engine
from movinet.runtime.fast import fast_modes, processor_abilities
from movinet.weights.weights import Weights


@pytest.mark.parametrize(
    ("streams", "abilities", "modes"),
    [
        (1, {"avx512_fp16", "amx_bf16"}, [("litert", "float16"), ("litert", "int8")]),
        (8, {"avx512_fp16", "amx_bf16"}, [("openvino", "bfloat16"), ("litert", "float16"), ("litert", "int8")]),
        (1, {"asimdhp"}, [("litert", "float16"), ("litert", "int8")]),
        (1, {"avx512_bf16"}, [("litert", "int8")]),
        (4, {"avx512_bf16"}, [("openvino", "bfloat16"), ("litert", "int8")]),
        (4, {"avx2", "f16c"}, [("litert", "int8")]),
    ],
)
def test_modes_are_those_of_the_processor(streams: int, abilities: set[str], modes: list[tuple[str, str]]) -> None:
    assert fast_modes(streams, frozenset(abilities)) == modes


def test_fast_is_the_first_mode_that_can_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ai_edge_litert")
    weights = Weights.untrained(tiny_spec())
    engine = create_engine(weights, precision="fast", cache=False)
    assert (engine.kind, engine.precision) in fast_modes()
    monkeypatch.setattr(factory, "fast_modes", lambda _: [("openvino", "int8"), ("litert", "int8")])
    engine = create_engine(weights, precision="fast", cache=False)
    assert (engine.kind, engine.precision) == ("litert", "int8")
    assert create_engine(weights, "torch", precision="fast").precision == "float32"
    monkeypatch.setattr(factory, "fast_modes", lambda _: [])
    assert create_engine(weights, precision="fast", cache=False).precision == "float32"


def test_the_bundled_weights_say_how_often_quick_modes_agree() -> None:
    agreement = load_weights("movinet_t0_stream.gestures").info.agreement
    assert {"float16", "bfloat16", "int8"} <= agreement.keys()
    assert all(99 <= percent <= 100 for percent in agreement.values())
    assert isinstance(processor_abilities(), frozenset)


def test_a_few_streams_step_alone_and_many_together() -> None:
    """Where too few share a step, rows without a frame cost more than the batch gains."""
    assert [factory.best_batch("auto", "float32", streams) for streams in (1, 3, 11, 12, 24, 1000)] == [
        1,
        1,
        1,
        2,
        4,
        4,
    ]
    assert [factory.best_batch("openvino", "float32", streams) for streams in (1, 24, 48, 1000)] == [1, 4, 8, 8]
    assert factory.best_batch("torch", "float32", 3) == 3


def test_the_fastest_mode_has_batches_of_the_engine_that_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    for abilities, batch in (({"avx512_bf16"}, 8), ({"avx2"}, 4)):
        monkeypatch.setattr(factory, "fast_modes", lambda streams, has=abilities: fast_modes(streams, frozenset(has)))
        assert factory.best_batch("auto", "fast", 100) == batch
