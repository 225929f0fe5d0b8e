"""A web page that recognizes: the ONNX file, ONNX Runtime Web's wants, and a page for a camera or a video file."""

from dataclasses import replace
from importlib.resources import files
from pathlib import Path

from movinet.deploy.graph_clip import Lowered
from movinet.errors import MovinetError
from movinet.export.onnx import write_onnx
from movinet.export.written import Precision, Written

PAGE = ("index.html", "movinet.js", "package.json")


def write_browser(lowered: Lowered, streams: int, folder: Path, precision: Precision) -> Written:
    """Write `model.onnx` and the page; `npm install` in the folder brings ONNX Runtime Web.

    Raises:
        MovinetError: the page shows one stream, frame by frame, and the network takes more.
    """
    if streams != 1 or lowered.frames != 1:
        raise MovinetError("the page shows one stream, frame by frame: leave --streams and --frames out, or use onnx")
    written = write_onnx(lowered, streams, folder, precision)
    for name in PAGE:
        (folder / name).write_bytes(files("movinet.export").joinpath("web", name).read_bytes())
    return replace(written, details=written.details | {"page": PAGE[0]})
