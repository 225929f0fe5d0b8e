"""Commands about networks and weights: models, profile, convert."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from rich.table import Table
from rich.text import Text

from movinet.arch.count import macs_per_frame, parameters
from movinet.arch.serialize import find_spec
from movinet.arch.spec import Spec
from movinet.arch.zoo import network_names, network_spec
from movinet.cli.app import app, at_least_one, examples, use_threads
from movinet.cli.console import out, print_json, progress_bar
from movinet.errors import MovinetError, WeightsError
from movinet.profiling import profile as measure
from movinet.reading import parse_yaml
from movinet.runtime.engine import Precision
from movinet.runtime.factory import EngineKind
from movinet.weights.info import WeightsInfo
from movinet.weights.load import describe, load_weights
from movinet.weights.registry import Entry, entries
from movinet.weights.safetensors_file import read_info, save_weights
from movinet.words import counted

_UNVERIFIED = "*"


@app.command(
    help_epilogue=examples(
        "movinet models",
        "movinet models --json",
    )
)
def models(*, json: bool = False) -> int:
    """List the weights that can be loaded by name, and the networks that can be trained.

    Args:
        json: one JSON object a line, for programs.
    """
    rows = [row for name in network_names() for row in _rows(name)]
    if json:
        for spec, info, where in rows:
            counts = {"parameters": parameters(spec), "macs_per_frame": round(macs_per_frame(spec))}
            weights = {k: v for k, v in info.to_dict().items() if k not in ("spec", "labels")} if info else None
            verified = not where.endswith(_UNVERIFIED)
            row = {"weights": weights, "where": where.removesuffix(_UNVERIFIED), "verified": verified if info else None}
            print_json({"architecture": spec.name, **counts, **row})
        return 0
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("weights", no_wrap=True)
    for heading in ("params", "MACs/frame", "frame", "fps", "top-1"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("where")
    for spec, info, where in rows:
        table.add_row(
            info.name if info else spec.name,
            f"{parameters(spec) / 1e6:.2f} M",
            f"{macs_per_frame(spec) / 1e6:.1f} M",
            f"{spec.size[0]}×{spec.size[1]}",
            f"{spec.fps:g}",
            f"{info.accuracy['top-1']:.2f}" if info and "top-1" in info.accuracy else "",
            where,
            style="" if info else "dim",
        )
    out.print(table)
    if any(where.endswith(_UNVERIFIED) for _, _, where in rows):
        out.print(f"{_UNVERIFIED} never verified by us: nobody who made this package has had the file", style="dim")
    return 0


@app.command(
    help_epilogue=examples(
        "movinet profile movinet_a0_stream",
        "movinet profile movinet_a2_base --size 224 224 --threads 1",
        "movinet profile movinet_a0_stream --engine openvino --precision bfloat16 --threads 1",
        "movinet profile found.yaml --json",
    )
)
def profile(
    model: str,
    *,
    size: tuple[int, int] | None = None,
    frames: int | None = None,
    repeats: int = 20,
    engine: EngineKind = "auto",
    precision: Precision = "float32",
    threads: int | None = None,
    json: bool = False,
) -> int:
    """Count what a network costs, and measure it on this machine.

    Args:
        model: a network or weights of `movinet models`, a weights file of ours, or a specification in YAML.
        size: height and width of the frames; the network's own by default.
        frames: of the clip; the network's own by default.
        repeats: steps to time.
        engine: what runs the steps of a stream network, or the clips of a base network.
        precision: what it computes in.
        threads: of the processor; all by default.
        json: one JSON object, for programs.
    """
    use_threads(threads)
    at_least_one("--repeats", repeats)
    for name, value in (("--size", min(size) if size else 1), ("--frames", 1 if frames is None else frames)):
        at_least_one(name, value)
    with progress_bar("measuring") as progress:
        result = measure(
            _spec_of(model),
            size=size,
            frames=frames,
            repeats=repeats,
            engine=engine,
            precision=precision,
            threads=threads,
            progress=progress,
        )
    if json:
        print_json(asdict(result))
        return 0
    height, width = result.size
    lines = [
        ("parameters", f"{result.parameters:,}"),
        ("multiply-adds a frame", f"{result.macs_per_frame / 1e6:,.1f} M"),
        (f"multiply-adds a clip of {result.frames}", f"{result.macs_per_clip / 1e9:,.2f} G"),
        ("state of one stream", f"{result.state_bytes / 1e6:,.2f} MB"),
        ("temporal receptive field", counted(result.receptive_field, "frame")),
        ("delay", counted(result.delay, "frame")),
        ("one frame, measured", f"{result.step_ms:.2f} ms" if result.step_ms else "not a stream network"),
        ("the clip, measured", f"{result.clip_ms:.0f} ms"),
        ("peak memory of the process", f"{result.peak_memory_mb:.0f} MB" if result.peak_memory_mb else "not known"),
    ]
    threads_used = counted(result.threads, "thread")
    how = f"  {height}×{width} at {result.fps:g} frames/s, {threads_used}, {result.engine} {precision}"
    out.print(Text.assemble((result.name, "bold"), how))
    for name, text in lines:
        out.print(f"  {name:32} {text}")
    return 0


@app.command(
    help_epilogue=examples(
        "movinet convert movinet_a0_stream.tar.gz a0.safetensors --labels kinetics_600_labels.txt",
        "movinet convert modelA2_stream_statedict_v3 a2.safetensors --half",
        "movinet convert mine.tar.gz mine.safetensors --option gate=hard_sigmoid_garden",
    )
)
def convert(
    src: str,
    dst: Path,
    *,
    labels: Path | None = None,
    option: Sequence[str] = (),
    name: str | None = None,
    half: bool = False,
    force: bool = False,
    offline: bool = False,
) -> int:
    """Turn weights of any kind we know into one of our own files, with all that is needed to use them.

    Reads TensorFlow checkpoints and SavedModels (also as .tar.gz), .tflite files of stream networks, state dicts of
    MoViNet-pytorch, our own files, and names of `movinet models`.

    Args:
        src: the weights to read.
        dst: the file to write, `.safetensors`.
        labels: a file with one label a line.
        option: fields of the specification that the file cannot tell, as field=value.
        name: what the weights are called from now on, `architecture.tag`.
        half: store float16: half the size, very nearly the same answers.
        force: write over a file that is there.
        offline: never download.
    """
    if dst.suffix != ".safetensors":
        raise MovinetError(f"{dst}: the file to write must end in .safetensors")
    if os.path.lexists(dst) and not force:
        raise MovinetError(f"{dst}: exists already; --force writes over it")
    options = {}
    for pair in option:
        key, equals, value = pair.partition("=")
        if not equals:
            raise MovinetError(f"--option {pair}: want field=value, such as gate=hard_sigmoid_garden")
        try:
            options[key] = parse_yaml(value)
        except MovinetError as error:
            raise MovinetError(f"--option {pair}: {value!r} is not a value in YAML") from error
    with progress_bar("downloading") as progress:
        weights = load_weights(src, labels=labels, options=options, offline=offline, progress=progress)
    info = replace(weights.info, name=name) if name else weights.info
    save_weights(dst, weights.arrays, info, half=half)
    labelled = counted(len(info.labels), "label") if info.labels else "no labels (--labels gives them)"
    out.print(f"{dst}: {info.spec.name}, {counted(info.spec.classes, 'class', 'classes')}, {labelled}")
    return 0


def _rows(name: str) -> Iterator[tuple[Spec, WeightsInfo | None, str]]:
    """What there is to list of a network: each of its weights, or itself where none have its published form."""
    found = [entry for entry in entries() if entry.architecture == name]
    for entry in found:
        try:
            info = describe(entry)
        except WeightsError:
            yield network_spec(name), None, "damaged"
        else:
            yield info.spec, info, _where(entry)
    if all(entry.bundled for entry in found):
        yield network_spec(name), None, "none"


def _spec_of(model: str) -> Spec:
    """What a name of weights, a weights file, a network's name or a YAML file describes."""
    if entry := next((entry for entry in entries() if entry.name == model), None):
        return describe(entry).spec
    if model.endswith(".safetensors"):
        return read_info(model).spec
    if Path(model).exists() and not model.endswith((".yaml", ".yml")):
        raise MovinetError(
            f"{model}: neither a specification in YAML nor weights of ours; `movinet convert` makes such"
        )
    return find_spec(model)


def _where(entry: Entry) -> str:
    if entry.bundled:
        return "bundled"
    return ("A4 + A5" if entry.members else "download") + ("" if entry.verified else _UNVERIFIED)
