"""A folder that recognizes in any browser: the TFLite file of a step, and the page with its runtime inside."""

import json
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

from movinet.deploy.graph_step import Step
from movinet.errors import MovinetError
from movinet.export.litert_file import write_litert
from movinet.export.written import Precision, Written
from movinet.video.sample import LABEL, sample_clip

PAGE = "index.html"
CONFIG = "page.json"  # tells the page where its network is
SAMPLE = "sample.mp4"


def write_browser(
    step: Step, streams: int, folder: Path, precision: Precision, labels: tuple[str, ...] | None
) -> Written:
    """Write `model.tflite` and the page, which any static host serves.

    Args:
        step: of one stream, frame by frame.
        streams: rows of a batch, which can only be one.
        folder: to write into.
        precision: of the weights.
        labels: of the network: where it knows the bundled clip's, that clip comes along to try it with.

    Raises:
        MovinetError: the page shows one stream, frame by frame, and the network takes more; LiteRT is not installed.
    """
    if streams != 1 or step.frames != 1:
        raise MovinetError("the page shows one stream, frame by frame: leave --streams and --frames out, or use litert")
    for name, content in page_files().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    sample = SAMPLE if labels and LABEL in labels else None
    if sample:
        (folder / sample).write_bytes(sample_clip().read_bytes())
    (folder / CONFIG).write_text(json.dumps({"mode": "browser", "sample": sample}) + "\n", encoding="utf-8")
    written = write_litert(step, streams, folder, precision)
    return replace(written, details=written.details | {"page": PAGE})


def page_files() -> dict[str, bytes]:
    """The page as `web/` builds it, by path; the server's own, since it is the same."""
    root = Path(str(files("movinet"))) / "serve" / "page"
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}
