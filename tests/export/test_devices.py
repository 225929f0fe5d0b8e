"""Files for small devices: ExecuTorch and LiteRT."""

from pathlib import Path
from typing import Any

import pytest
from export.test_export import STREAM, loaded

from movinet.arch.spec import NetworkSpec
from movinet.export.export import export

POSITIONS = STREAM.with_options(positional_encoding=True, frames=7)


@pytest.mark.parametrize(
    ("spec", "options"),
    [
        (STREAM, {"streams": 2}),
        (STREAM, {"frames": 2, "past": "partial_sums"}),
        (STREAM, {"precision": "float16"}),
        (STREAM, {"precision": "int8"}),
        (POSITIONS, {}),
    ],
)
def test_litert_answers_as_the_network(spec: NetworkSpec, options: Any, tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert")
    (one,) = export(loaded(spec), "litert", tmp_path / "out", **options)
    assert one.checked.error <= (0.05 if "precision" in options else 1e-5)


def test_executorch_answers_as_the_network(tmp_path: Path) -> None:
    pytest.importorskip("executorch")
    (one,) = export(loaded(POSITIONS), "executorch", tmp_path / "out", streams=2)
    assert one.checked.error <= 1e-5
