"""OpenVINO: a model of static shapes for Intel processors and graphics."""

from pathlib import Path

from movinet.arch.step import FRAMES
from movinet.deploy.graph_clip import Lowered
from movinet.deploy.graph_step import Step
from movinet.deploy.openvino_graph import openvino_clip, openvino_step
from movinet.deploy.run_file import run_openvino
from movinet.errors import MovinetError, needs_extra
from movinet.export.written import Written


def write_openvino(lowered: Lowered, streams: int, folder: Path, *, half: bool = False) -> Written:
    """Write `model.xml` and `model.bin`, the weights in float16 if `half`; a step takes images (n, H, W, 3).

    Raises:
        MovinetError: OpenVINO is not installed, or cannot write.
    """
    with needs_extra("openvino"):
        import openvino as ov
    path, shapes = folder / "model.xml", {}
    if isinstance(lowered, Step):
        model = openvino_step(lowered, streams, channels_last=True)
        shapes[FRAMES] = (streams * lowered.frames, *lowered.network.size, 3)
    else:
        model = openvino_clip(lowered, streams)
    try:
        ov.save_model(model, path, compress_to_fp16=half)
    except RuntimeError as error:  # of a full disk, too
        raise MovinetError(f"{path.name}: OpenVINO cannot write it: {error}") from error
    runtime = f"openvino {ov.get_version().partition('-')[0]}"
    return Written(path.name, runtime, run_openvino(path), isinstance(lowered, Step), shapes)
