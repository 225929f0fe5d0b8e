"""The walk of a frame from packet to label: the files it passes through, in order, found by watching a real run.

    python scripts/walk.py
    PYTHONPATH=OTHER_CHECKOUT/src python scripts/walk.py --json

`classify --per-frame`, `watch` with one source and `watch` with two play the bundled clip, whose rate is the network's,
so that between two steps of the engine lies one frame; some are followed. A file stands where a function of it first
hands the frame on (returns or yields); what comes after the step stands after it. `visits` counts how often a frame's
walk enters a file: what is above one is going back, or a loop. The second of two sources is over when the frames pass.
Lines are of code, without blank ones, comments and docstrings.
"""

import argparse
import io
import json
import sys
import tempfile
import threading
import tokenize
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import av

import movinet
from movinet.cli import main as movinet_command
from movinet.video.sample import sample_clip
from movinet.weights.registry import DEFAULT_MODEL

PACKAGE = Path(movinet.__file__).parent
FRAMES = 6  # that are followed
READERS = ("video/net/opening.py", "video/container.py")  # where a packet comes from


class Call(NamedTuple):
    """What handed something on."""

    thread: int
    file: str
    function: str


@dataclass(frozen=True)
class Step:
    """One file of the walk."""

    file: str
    lines: int
    visits: float  # a frame
    functions: tuple[str, ...]


def walk(arguments: Sequence[str]) -> list[Step]:
    """Where a frame goes when the command runs.

    Raises:
        RuntimeError: the command did not show the network enough frames.
    """
    with _watched() as calls, redirect_stdout(io.StringIO()), suppress(SystemExit):
        movinet_command(arguments)
    steps = [i for i, call in enumerate(calls) if _is_step(call)]
    if len(steps) < FRAMES + 8:
        raise RuntimeError(f"movinet {' '.join(arguments)}: only {len(steps)} steps")
    between = calls[steps[-FRAMES - 2] + 1 : steps[-2] + 1]  # the first belong to a new stream, the last to its end
    reader = next(call.thread for call in between if call.file in READERS)
    reading = [call for call in between if call.thread == reader]
    first = next(i for i, call in enumerate(reading) if call.file in READERS)
    # A thread that only reads is done with the frame when others begin; these print the frame before first.
    others = [call for call in between if call.thread != reader]
    printed = max((i for i, call in enumerate(others) if call.file.startswith("cli/")), default=-1)
    calls = reading[first:] + reading[:first] + others[printed + 1 :] + others[: printed + 1]
    entered = [file for file, _ in groupby(calls, key=lambda call: call.file)]
    return [
        Step(
            file,
            code_lines(PACKAGE / file),
            entered.count(file) / FRAMES,
            tuple(dict.fromkeys(call.function for call in calls if call.file == file)),
        )
        for file in dict.fromkeys(entered)
    ]


def _is_step(call: Call) -> bool:
    in_engine = call.file.startswith("runtime/") and call.file.endswith("_engine.py")
    return in_engine and call.function.endswith("Engine.step")


@contextmanager
def _watched() -> Iterator[list[Call]]:
    """Every function of ours, in all threads, each time it returns or yields."""
    calls: list[Call] = []
    ours = f"{PACKAGE}/"

    def note(frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        if event == "return" and code.co_filename.startswith(ours) and "<" not in code.co_name:
            name = code.co_qualname.replace(".<locals>", "")
            calls.append(Call(threading.get_ident(), code.co_filename.removeprefix(ours), name))

    threading.setprofile(note)
    sys.setprofile(note)
    try:
        yield calls
    finally:
        sys.setprofile(None)
        threading.setprofile(None)


def code_lines(path: Path) -> int:
    """Lines with code on them."""
    lines: set[int] = set()
    begins = True  # a statement, so that a string is a docstring
    with path.open("rb") as file:
        for token in tokenize.tokenize(file.readline):
            if token.type in (tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING):
                begins = True
            elif token.type not in (tokenize.COMMENT, tokenize.NL, tokenize.ENDMARKER):
                if not (begins and token.type == tokenize.STRING):
                    lines.update(range(token.start[0], token.end[0] + 1))
                begins = False
    return len(lines)


def beginning(clip: Path, folder: str, seconds: float) -> Path:
    """The clip's first seconds, packet for packet."""
    path = Path(folder) / f"beginning{clip.suffix}"
    with av.open(clip) as source, av.open(path, "w") as target:
        stream = source.streams.video[0]
        copy = target.add_stream_from_template(stream)
        for packet in source.demux(stream):
            if packet.dts is not None and packet.time_base and packet.dts * packet.time_base < seconds:
                packet.stream = copy
                target.mux(packet)
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    clip = sample_clip()
    with tempfile.TemporaryDirectory() as folder:
        short = beginning(clip, folder, 1.0)
        runs = {
            "classify A --per-frame": ["classify", str(clip), "--per-frame", "--json"],
            "watch A": ["watch", str(clip), "--json"],
            "watch A B": ["watch", str(clip), str(short), "--json"],
        }
        walks = {name: walk([*arguments, "--model", DEFAULT_MODEL]) for name, arguments in runs.items()}
    if options.json:
        print(json.dumps({name: [asdict(step) for step in steps] for name, steps in walks.items()}, indent=2))
        return
    for name, steps in walks.items():
        lines, visits = sum(step.lines for step in steps), sum(step.visits for step in steps)
        print(f"movinet {name}: {len(steps)} files of {lines} lines, entered {visits:.1f} times a frame")
        for step in steps:
            print(f"  {step.file:30} {step.lines:4} lines {step.visits:4.1f} visits  {', '.join(step.functions)}")
        print()
    files = {step.file: step.lines for steps in walks.values() for step in steps}
    print(f"all: {len(files)} files of {sum(files.values())} lines")


if __name__ == "__main__":
    main()
