"""Commands about data: data synthesize."""

import os
from collections.abc import Sequence
from pathlib import Path

from cyclopts import App

from movinet.cli.app import app, at_least_one, examples
from movinet.cli.console import out, progress_bar
from movinet.data.synthetic import GESTURES, write_dataset
from movinet.errors import MovinetError

data = App(name="data", help="Make and check data.")
app.command(data)


@data.command(
    help_epilogue=examples(
        "movinet data synthesize gestures --clips 50",
        "movinet data synthesize test --clips 20 --seed 1 --size 172 172 --gestures star --gestures square",
    )
)
def synthesize(
    folder: Path,
    *,
    clips: int = 100,
    seed: int = 0,
    size: tuple[int, int] = (192, 256),
    fps: float = 10.0,
    frames: int = 40,
    gestures: Sequence[str] = (),
    workers: int | None = None,
) -> int:
    """Make a labelled set of synthetic air gestures: a folder of videos for every gesture, and clips.csv.

    Deterministic in the seed. Run again after an interruption, it goes on where it stopped.

    Args:
        folder: where to put it; made if it is not there.
        clips: for every gesture.
        seed: another seed, other clips.
        size: height and width.
        fps: frames a second.
        frames: of every clip.
        gestures: which; all eleven by default.
        workers: processes; one a core by default.
    """
    for name, value in (("--clips", clips), ("--size", min(size)), ("--frames", frames)):
        at_least_one(name, value)
    if not fps > 0:
        raise MovinetError(f"--fps must be positive, got {fps}")
    if unknown := set(gestures) - set(GESTURES):
        raise MovinetError(f"--gestures {', '.join(sorted(unknown))}: choose from {', '.join(GESTURES)}")
    with progress_bar("rendering") as progress:
        write_dataset(
            folder,
            clips,
            seed=seed,
            size=size,
            fps=fps,
            frames=frames,
            labels=tuple(gestures) or GESTURES,
            workers=workers or os.cpu_count() or 1,
            progress=progress,
        )
    out.print(f"{folder}: {clips} clips each of {len(gestures) or len(GESTURES)} gestures, listed in clips.csv")
    return 0
