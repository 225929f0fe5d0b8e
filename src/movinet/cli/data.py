"""Commands about data: data synthesize, data check, data shard."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.text import Text

from movinet.cli.app import at_least_one
from movinet.cli.console import out, print_json, progress_bar
from movinet.cli.data_report import print_report
from movinet.cores import usable_cores
from movinet.data.check import check_set
from movinet.data.contact_sheet import contact_sheet, is_sheet
from movinet.data.synthetic.gesture_clips import GESTURES, write_dataset
from movinet.data.synthetic.write_streams import write_streams
from movinet.data.write_shards import write_shards
from movinet.errors import MovinetError
from movinet.labeled.readers import read_set
from movinet.words import counted


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
    """Make a labeled set of synthetic air gestures: a folder of videos for every gesture, and clips.csv.

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
    workers = usable_cores() if workers is None else workers
    for name, value in (("--clips", clips), ("--size", min(size)), ("--frames", frames), ("--workers", workers)):
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
            workers=workers,
            progress=progress,
        )
    drawn = counted(len(set(gestures)) or len(GESTURES), "gesture")
    out.print(f"{folder}: {counted(clips, 'clip')} each of {drawn}, listed in clips.csv")
    return 0


def synthesize_streams(
    folder: Path,
    *,
    streams: int = 6,
    quiet: int = 6,
    seconds: float = 600.0,
    seed: int = 0,
    size: tuple[int, int] = (128, 160),
    fps: float = 10.0,
    workers: int | None = None,
) -> int:
    """Make long synthetic videos in which gestures come now and then, and streams.csv, which says when.

    Args:
        folder: where to put them; made if it is not there.
        streams: how many with gestures.
        quiet: how many in which hands do everything else, to count false alarms in.
        seconds: that each lasts.
        seed: another seed, other streams.
        size: height and width.
        fps: frames a second.
        workers: processes; one a core by default.
    """
    workers = usable_cores() if workers is None else workers
    for name, value in (("--size", min(size)), ("--workers", workers)):
        at_least_one(name, value)
    with progress_bar("rendering") as progress:
        listed = write_streams(
            folder, streams, quiet, seconds, seed=seed, size=size, fps=fps, workers=workers, progress=progress
        )
    out.print(f"{listed}: {counted(streams, 'stream')} with gestures, {quiet} without")
    return 0


def check(
    *paths: Path,
    videos: Path | None = None,
    skip_missing: bool = False,
    sheet: Path | None = None,
    workers: int | None = None,
    json: bool = False,
) -> int:
    """Look at every clip of a data set before training on it, and say what is in it and what is wrong.

    Args:
        paths: a folder or a list; several are the splits of one set.
        videos: where listed videos are; by default where the list is.
        skip_missing: leave out listed videos that are not there.
        sheet: draw a contact sheet of the classes into this PNG, new or an earlier sheet.
        workers: threads; one a core by default.
        json: one JSON object, for programs.
    """
    if workers is not None:
        at_least_one("--workers", workers)
    if sheet is not None and (sheet.suffix.lower() != ".png" or not sheet.parent.is_dir()):
        raise MovinetError(f"--sheet {sheet}: want a file ending in .png, in a folder that is there")
    if sheet is not None and os.path.lexists(sheet) and not (sheet.is_file() and is_sheet(sheet)):
        raise MovinetError(f"--sheet {sheet}: exists and is no sheet of ours; choose another name")
    listing = read_set(*paths, videos=videos, skip_missing=skip_missing)
    with progress_bar("checking") as progress:
        report = check_set(listing.splits, progress, workers)
    if sheet is not None:
        contact_sheet(listing.select(), sheet, workers=workers)
    if json:
        missing = [str(path) for path in listing.missing]
        print_json({"kind": listing.kind, "missing": missing, **report.to_dict()})
    else:
        out.print(Text.assemble((", ".join(map(str, paths)), "bold"), f"  {listing.kind}"))
        print_report(report, len(listing.missing))
        if sheet is not None:
            out.print(f"{sheet}: what the classes look like")
    return 2 if report.fatal else 0


def shard(
    *paths: Path,
    out_folder: Annotated[Path, Parameter(name="--out")],
    videos: Path | None = None,
    skip_missing: bool = False,
    split: Sequence[str] = (),
    shard_size: int = 1000,
    short_side: int | None = None,
    folder_fps: float | None = None,
    workers: int | None = None,
) -> int:
    """Pack a large data set into few files: WebDataset shards, which train as the clips themselves do.

    Args:
        paths: a folder or a list, as for `movinet data check`; several are the splits of one set.
        out_folder: where to put the shards; new, or begun by the same command.
        videos: where listed videos are; by default where the list is.
        skip_missing: leave out listed videos that are not there.
        split: which splits; all by default.
        shard_size: clips in a shard.
        short_side: height or width, whichever is less, in pixels, to which larger videos are shrunk.
        folder_fps: images a second, where videos are folders of images.
        workers: threads that shrink; one a core by default.
    """
    workers = usable_cores() if workers is None else workers
    for name, value in (("--shard-size", shard_size), ("--workers", workers)):
        at_least_one(name, value)
    if short_side is not None and short_side < 16:
        raise MovinetError(f"--short-side must be at least 16 pixels, got {short_side}")
    if folder_fps is not None and not 0.01 <= folder_fps <= 1000:
        raise MovinetError(f"--folder-fps must be 0.01 to 1000 images a second, got {folder_fps}")
    listing = read_set(*paths, videos=videos, skip_missing=skip_missing)
    for name in split:
        listing.select(name)  # which complains if there is none
    chosen = {name: part for name, part in listing.splits.items() if name in split or not split}
    with progress_bar("packing") as progress:
        clips = write_shards(chosen, out_folder, shard_size, short_side, folder_fps, workers, progress)
    shards = list(out_folder.glob("*.tar"))
    size = sum(path.stat().st_size for path in shards) / 1e6
    out.print(
        f"{out_folder}: {counted(clips, 'clip')} of {', '.join(chosen)}; {counted(len(shards), 'shard')}, {size:.1f} MB"
    )
    left_out = sum(len(part.videos) for part in chosen.values()) - clips
    if left_out or listing.missing:
        out.print(f"left out: {left_out} that cannot be read, {len(listing.missing)} that are missing")
    return 0
