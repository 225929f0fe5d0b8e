"""ExecuTorch: a program for phones and boards, its arithmetic in XNNPACK."""

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray

from movinet.deploy.graph_step import Step
from movinet.deploy.quiet import quiet
from movinet.deploy.run_file import Arrays, Run
from movinet.errors import needs_extra
from movinet.export.written import Written
from movinet.nn.deploy import deployed_step


def to_executorch(step: Step, streams: int = 1) -> bytes:
    """Convert a network. Programs have no names: inputs and outputs come in the order of the signature.

    Args:
        step: what to convert.
        streams: rows of a batch.

    Raises:
        MovinetError: ExecuTorch is not installed.
    """
    with needs_extra("executorch"), quiet():
        from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
        from executorch.exir import to_edge_transform_and_lower
    with quiet():
        deployed = deployed_step(step)
        program = torch.export.export(deployed, deployed.example_inputs(streams))
        lowered = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()])
        return bytes(lowered.to_executorch().buffer)


def write_executorch(step: Step, streams: int, folder: Path) -> Written:
    """Write `model.pte`."""
    path = folder / "model.pte"
    path.write_bytes(to_executorch(step, streams))
    outputs = [port.name for port in step.signature.outputs]
    return Written(path.name, f"executorch {version('executorch')}", run_executorch(path, outputs))


def run_executorch(path: Path, outputs: list[str]) -> Run:
    """The program in ExecuTorch's runtime; `outputs` are the names of what it gives, in order."""
    with quiet():
        from executorch.runtime import Runtime

        program = Runtime.get().load_program(path)
        method = program.load_method("forward")

    def run(inputs: Mapping[str, NDArray[Any]]) -> Arrays:
        with quiet():
            results = method.execute([torch.from_numpy(value) for value in inputs.values()])
        # The runtime's own memory is written over by the next call.
        return {name: result.numpy().copy() for name, result in zip(outputs, results, strict=True)}

    return run
