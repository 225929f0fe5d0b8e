"""Commands about networks and weights: profile, convert."""

import os
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from rich.text import Text

from movinet.arch.serialize import find_spec
from movinet.arch.spec import Spec
from movinet.cli.app import at_least_one
from movinet.cli.console import out, print_json, progress_bar
from movinet.errors import MovinetError
from movinet.freed_memory import keep_freed_memory
from movinet.profiling import profile as measure
from movinet.reading import parse_yaml
from movinet.runtime.engine import Precision
from movinet.runtime.factory import EngineKind
from movinet.weights.load import describe, load_weights
from movinet.weights.registry import entries, is_on_hub
from movinet.weights.safetensors_file import read_info, save_weights
from movinet.words import counted


def profile(
    model: str,
    *,
    size: tuple[int, int] | None = None,
    frames: int | None = None,
    repeats: int = 20,
    engine: EngineKind = "auto",
    precision: Precision = "float32",
    fast: bool = False,
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
        fast: take the quickest precision this processor has, and the engine that has it.
        threads: of the processor; all by default.
        json: one JSON object, for programs.
    """
    sides, length = min(size) if size else 1, 1 if frames is None else frames
    given = {"--repeats": repeats, "--size": sides, "--frames": length, "--threads": 1 if threads is None else threads}
    for name, value in given.items():
        at_least_one(name, value)
    if fast and precision != "float32":
        raise MovinetError(f"--fast chooses the precision by itself: leave --precision {precision} out")
    keep_freed_memory()
    with progress_bar("measuring") as progress:
        result = measure(
            _spec_of(model),
            size=size,
            frames=frames,
            repeats=repeats,
            engine=engine,
            precision="fast" if fast else precision,
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
        ("the clip, measured", f"{result.clip_ms:.0f} ms" if result.clip_ms else "frame by frame"),
        ("peak memory of the process", f"{result.peak_memory_mb:.0f} MB" if result.peak_memory_mb else "not known"),
    ]
    threads_used = counted(result.threads, "thread")
    how = f"  {height}×{width} at {result.fps:g} frames/s, {threads_used}, {result.engine} {result.precision}"
    out.print(Text.assemble((result.name, "bold"), how))
    for name, text in lines:
        out.print(f"  {name:32} {text}")
    return 0


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
    labeled = counted(len(info.labels), "label") if info.labels else "no labels (--labels gives them)"
    out.print(f"{dst}: {info.spec.name}, {counted(info.spec.num_classes, 'class', 'classes')}, {labeled}")
    return 0


def _spec_of(model: str) -> Spec:
    """What a name of weights, a weights file, a network's name or a YAML file describes."""
    if entry := next((entry for entry in entries() if entry.name == model), None):
        return describe(entry).spec
    if is_on_hub(model):
        return load_weights(model).spec
    if model.endswith(".safetensors"):
        return read_info(model).spec
    if Path(model).is_dir():
        return load_weights(model).spec
    if Path(model).exists() and not model.endswith((".yaml", ".yml")):
        raise MovinetError(
            f"{model}: neither a specification in YAML nor weights of ours; `movinet convert` makes such"
        )
    return find_spec(model)
