"""Core ML packages, read again and interpreted by PyTorch: Core ML itself exists on Apple's machines only."""

from pathlib import Path
from typing import Any

import pytest
from export.mil_interpreter import run_package
from export.test_export import STREAM, loaded, read

from movinet.arch.spec import NetworkSpec
from movinet.export.export import export
from movinet.export.verify import check

coremltools = pytest.importorskip("coremltools")

POSITIONS = STREAM.with_options(positional_encoding=True, frames=7)
VARIANT = STREAM.with_options(
    activation="swish", gate="sigmoid", head_activation="relu6", squeeze_excitation="cumulative", convolution="3d"
)


@pytest.mark.parametrize(
    ("spec", "options"),
    [
        (STREAM, {"size": (23, 32)}),
        (STREAM, {"precision": "float16"}),
        (STREAM, {"precision": "int8"}),
        (POSITIONS, {"streams": 2, "past": "frames"}),
        (VARIANT, {"frames": 2, "past": "buffer"}),
    ],
)
def test_programs_answer_as_the_network(spec: NetworkSpec, options: Any, tmp_path: Path) -> None:
    weights = loaded(spec).with_position_limits()  # as exporting limits them
    (one,) = export(weights, "coreml", tmp_path / "out", **options)
    checked = check(one.manifest, run_package(tmp_path / "out" / one.manifest["model"]), weights)
    assert checked.error <= (0.05 if "precision" in options else 1e-5)
    assert one.checked is None or one.checked.error <= 0.05  # by Core ML itself


def test_the_package_says_what_the_manifest_says(tmp_path: Path) -> None:
    export(loaded(POSITIONS), "coreml", tmp_path / "out", streams=2)
    manifest = read(tmp_path / "out")
    said = coremltools.utils.load_spec(str(tmp_path / "out" / manifest["model"])).description
    for ports, expected in ((said.input, [manifest["input"], *manifest["state"]]), (said.output, manifest["outputs"])):
        assert [port.name for port in ports] == [port["name"] for port in expected]
        for port, entry in zip(ports, expected, strict=True):
            array = port.type.multiArrayType
            kind = array.ArrayDataType.Name(array.dataType)
            assert kind == {"float32": "FLOAT32", "int32": "INT32"}[entry["dtype"]]
            assert list(array.shape) in (entry["shape"], [])  # it does not tell the shapes of outputs
