"""The command inspect."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from cyclopts import Parameter
from rich.text import Text

from movinet.cli.app import Model
from movinet.cli.console import out, print_json, progress_bar
from movinet.cli.inputs import read_times, stretch
from movinet.cli.recognizing import read_logins, source_of, tell_default
from movinet.errors import MovinetError, printable
from movinet.files import write_atomically
from movinet.inspecting import SOFTWARE, lines_of, sheet
from movinet.inspecting import inspect as look
from movinet.runtime.open_network import open_network
from movinet.video.drawing import drawn_by
from movinet.video.locations import is_address
from movinet.video.net.sources import Limits, without_password
from movinet.weights.registry import DEFAULT_MODEL


def inspect(
    video: str,
    *,
    model: Model = None,
    picture: Annotated[Path | None, Parameter(name="--out")] = None,
    start: str = "0",
    end: str | None = None,
    stream: int | None = None,
    credentials: Path | None = None,
    allow_hosts: Sequence[str] = (),
    insecure: bool = False,
    offline: bool = False,
    force: bool = False,
    json: bool = False,
) -> int:
    """Show what a network sees of a video, and say what looks wrong with it.

    Args:
        video: a video file, a folder of images, or an address.
        model: a name of `movinet models`, or a weights file: the network through whose eyes to look; by default the
            bundled movinet_t0_stream.gestures.
        picture: the PNG to draw the frames into; by default the video's name with .inspect.png, in this folder.
        start: begin there: seconds (90.5), a time (0:01:30), or a frame (450f), by the video's average rate.
        end: stop there.
        stream: of a file with several video tracks, the one with this number, as ffprobe counts them; by default the
            one that moves.
        credentials: a YAML file with users and passwords, by host.
        allow_hosts: hosts an address may lead to by redirect or playlist, beside its own: names, or `*.example.com`.
        insecure: take any certificate of an https server.
        offline: never download.
        force: overwrite a picture that is not one of ours.
        json: one JSON object, for programs.
    """
    times = read_times(start, end)
    told = without_password(video) if is_address(video) else video
    name = printable(Path(urlsplit(told).path if is_address(video) else told).name or "video")
    path = picture if picture is not None else Path(f"{name}.inspect.png")
    _check(path, force)
    with progress_bar("downloading") as progress:
        info = open_network(model or DEFAULT_MODEL, offline=offline, progress=progress).info
    if model is None:
        tell_default(info)
    source, limits = source_of(video, stream, read_logins(credentials)), Limits(tuple(allow_hosts), verify=not insecure)
    seen = look(source, info, *stretch(times, source, limits), limits=limits)
    write_atomically(path, sheet(seen, name))
    if json:
        print_json({"source": told, "picture": str(path), **seen.to_dict()})
        return 0
    title, *rest = lines_of(seen, name)
    out.print(title, style="bold", markup=False, highlight=False)
    for line in rest:
        out.print(line, markup=False, highlight=False)
    for finding in seen.findings:
        out.print(Text.assemble(("! ", "bold yellow"), (finding.kind, "yellow"), f": {finding.text}"))
    if not seen.findings:
        out.print("Nothing looks wrong.")
    out.print(Text.assemble((str(path), "bold"), ": what the network sees"))
    return 0


def _check(path: Path, force: bool) -> None:
    if path.suffix.lower() != ".png" or not path.parent.is_dir():
        raise MovinetError(f"--out {path}: want a file ending in .png, in a folder that is there")
    if os.path.lexists(path) and not force and not (path.is_file() and drawn_by(path, SOFTWARE)):
        raise MovinetError(f"--out {path}: exists and is no picture of ours; choose another name, or --force")
