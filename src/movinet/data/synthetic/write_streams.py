"""Synthetic streams as videos with a list of what happens in them, for `movinet evaluate` and `movinet finetune`."""

import csv
import io
from collections.abc import Callable
from pathlib import Path

from movinet.data.synthetic.gesture_streams import GESTURE_SHARE, GestureStream
from movinet.data.synthetic.set_folder import claim_folder, write_missing
from movinet.errors import MovinetError
from movinet.files import write_atomically
from movinet.video.encode import encode_video

_MOST = 1_000_000
_COLUMNS = ("file", "label", "start", "end")


def write_streams(
    folder: str | Path,
    streams: int,
    quiet: int = 0,
    seconds: float = 600.0,
    seed: int = 0,
    size: tuple[int, int] = (128, 160),
    fps: float = 10.0,
    gestures: float = GESTURE_SHARE,
    workers: int = 1,
    progress: Callable[[int, int | None], None] | None = None,
) -> Path:
    """Writes streams with gestures, `stream_000000.mp4` and so on, and quiet ones, `quiet_000000.mp4` and so on, in
    which hands do everything else.

    Files appear whole or not at all and those that are there are kept, so an interrupted call is repeated to go on, and
    larger numbers add streams. `synthetic.json` holds what must not change between such calls.

    Args:
        folder: made if it is not there.
        streams, quiet: how many of each, at least one together.
        seconds: that each lasts.
        seed: of the set, 0 or more: other people in other places.
        size, fps: height and width in pixels, at least 8 each, and frames a second.
        gestures: the share of what hands do that are gestures, above 0 and up to 1.
        workers: processes. Above 1, a script that calls this needs the `if __name__ == "__main__":` guard that
            multiprocessing asks for.
        progress: called with the number of streams that are done and of all.

    Returns:
        The list, `streams.csv` (file, label, start, end), as `movinet.evaluate.labeled_streams.read_streams` takes it;
        a quiet stream has a row with its file alone.

    Raises:
        MovinetError: for an argument out of its range, a folder with other things in it, one begun with other settings,
            or one that is not writable.
    """
    if not (min(streams, quiet) >= 0 and streams + quiet >= 1 and max(streams, quiet) <= _MOST):
        raise MovinetError(f"a set has 1 to {_MOST} streams, not {streams} and {quiet} quiet ones")
    if not 0 < gestures <= 1:
        raise MovinetError(f"gestures must be a share above 0 and up to 1, not {gestures}; `quiet` asks for none")
    if seed < 0 or min(size) < 8 or not 0.01 <= fps <= 1000:
        raise MovinetError(
            f"want a seed from 0, sides from 8 pixels and 0.01 to 1000 frames a second; got {seed}, {size}, {fps}"
        )
    folder = Path(folder)
    asked = {f"stream_{n:06d}.mp4": GestureStream((seed, 0, n), seconds, gestures) for n in range(streams)}
    asked |= {f"quiet_{n:06d}.mp4": GestureStream((seed, 1, n), seconds, 0.0) for n in range(quiet)}
    settings = {"seed": seed, "size": list(size), "fps": float(fps), "seconds": float(seconds), "gestures": gestures}
    claim_folder(folder, settings)
    write_missing(folder, {name: (stream, size, fps) for name, stream in asked.items()}, _write, workers, progress)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for name, stream in asked.items():
        segments = stream.segments()
        writer.writerows((name, s.label, f"{s.start:.3f}", f"{s.end:.3f}") for s in segments)
        if not segments:
            writer.writerow((name, "", "", ""))
    write_atomically(folder / "streams.csv", text.getvalue().encode())
    return folder / "streams.csv"


def _write(path: Path, stream: GestureStream, size: tuple[int, int], fps: float) -> None:
    encode_video(path, stream.frames(size, fps), fps)
