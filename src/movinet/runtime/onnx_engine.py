"""ONNX Runtime as an engine: the network is lowered as it is loaded."""

from movinet.arch.layer_spec import Size
from movinet.arch.spec import NetworkSpec
from movinet.deploy.graph_step import Step
from movinet.deploy.network import folded_network
from movinet.deploy.onnx_graph import onnx_model
from movinet.deploy.run_file import run_onnx
from movinet.errors import MovinetError
from movinet.runtime.engine import Precision
from movinet.runtime.run_engine import RunEngine
from movinet.weights.weights import Weights


def onnx_engine(
    weights: Weights,
    *,
    size: Size | None = None,
    streams: int = 1,
    precision: Precision = "float32",
    threads: int | None = None,
) -> RunEngine:
    """A stream network in ONNX Runtime.

    Args:
        weights: of one network.
        size: (height, width) of the frames to come; the specification's own by default.
        streams: rows of a batch.
        precision: "float32"; there is no other here.
        threads: of the processor; all by default.

    Raises:
        MovinetError: the packages of the extra `onnx` are not installed, or the network cannot stream or is an
            ensemble.
    """
    if precision != "float32":
        raise MovinetError(f"ONNX Runtime runs in float32 here, not in {precision}")
    assert isinstance(weights.spec, NetworkSpec)
    step = Step(folded_network(weights, size), "frames")
    run = run_onnx(onnx_model(step, streams).SerializeToString(), threads)
    return RunEngine(run, step.signature, kind="onnx", streams=streams, decay=step.spec.decay)
