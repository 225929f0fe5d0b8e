"""The command that takes networks elsewhere: export."""

import re
import shlex
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.text import Text

from movinet.arch.serialize import find_spec
from movinet.arch.step import StateLayout
from movinet.cli.app import at_least_one, check_threads
from movinet.cli.console import err, out, print_json, progress_bar
from movinet.errors import MovinetError, needs_extra
from movinet.export.written import Format, Precision
from movinet.weights.load import load_weights
from movinet.weights.weights import Weights
from movinet.words import counted

_MOST_NAMED = 4  # files that are listed


def export(
    model: str,
    *,
    to: Format,
    out_folder: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    size: tuple[int, int] | None = None,
    past: StateLayout | None = None,
    frames: int | None = None,
    streams: int = 1,
    precision: Precision = "float32",
    labels: Path | None = None,
    untrained: bool = False,
    force: bool = False,
    offline: bool = False,
    threads: int | None = None,
    json: bool = False,
) -> int:
    """Write a network for another runtime, with a manifest of all that is needed to use it.

    Args:
        model: a name of `movinet models`, or a weights file.
        to: the format.
        out_folder: the folder to make; named after weights and format by default.
        size: height and width of the frames; the weights' own by default.
        past: how a step holds what convolutions saw before; what suits the format by default.
        frames: that a step takes at once (1 by default), or of a base network's clip.
        streams: rows of a batch.
        precision: of the weights: float16 halves the file, int8 quarters it (not every format has all).
        labels: a file with one label a line, where the weights bring none.
        untrained: export a network of `movinet models`, or a specification in YAML, with random weights: to measure on
            a device what it would cost there before anybody trains it.
        force: replace an earlier export.
        offline: never download.
        threads: of the processor, for what PyTorch converts (executorch, coreml); all by default.
        json: one JSON object a folder, for programs.
    """
    from movinet.export.export import export as write

    check_threads(threads)
    at_least_one("--size", min(size) if size else 1)
    at_least_one("--frames", 1 if frames is None else frames)
    at_least_one("--streams", streams)
    if untrained:
        weights = Weights.untrained(find_spec(model))
    elif model.endswith((".yaml", ".yml")):
        raise MovinetError(f"{model}: a specification has no weights; --untrained exports it with random ones")
    else:
        with progress_bar("downloading") as progress:
            weights = load_weights(model, labels=labels, offline=offline, progress=progress)
    folder = out_folder or Path(f"{_file_name(weights.info.name)}-{to}")
    if to in ("executorch", "coreml"):
        with needs_extra(to):
            import torch
        torch.set_num_threads(threads or torch.get_num_threads())
    if err.is_terminal:
        err.print(f"converting {weights.info.name} and running it")
    exported = write(
        weights, to, folder, size=size, past=past, frames=frames, streams=streams, precision=precision, force=force
    )
    for one in exported:
        files = one.manifest["files"]
        if json:
            print_json({"folder": str(one.folder)} | one.manifest)
            continue
        size_mb = sum(file["bytes"] for file in files.values()) / 1e6
        named = ", ".join(files) if len(files) <= _MOST_NAMED else f"{one.manifest['model']} and {len(files) - 1} more"
        out.print(Text.assemble((str(one.folder), "bold"), f"  {named}, {size_mb:.1f} MB"))
        if one.checked is None:
            out.print(f"  not compared with the network: {to} does not run on this machine")
            continue
        out.print(
            f"  ran in {one.manifest['checked']['with']} on {counted(one.checked.frames, 'frame')}: logits differ from "
            f"the network's by at most {one.checked.error:.1e} of the largest"
        )
    if to == "browser" and not json:
        host = shlex.join(["python", "-m", "http.server", "--directory", str(folder)])
        out.print(f"see it: {host}, then open http://localhost:8000")
    return 0


def _file_name(name: str) -> str:
    """What weights call themselves as the name of a file, which leads nowhere else."""
    return re.sub(r"[^\w.+-]+", "_", name).lstrip(".")[:100] or "network"
