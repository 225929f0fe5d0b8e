"""The folder of a synthetic set: made once, and gone on with by whoever asks for the same again."""

import json
import multiprocessing
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import TypeVarTuple

import torch

from movinet.errors import MovinetError
from movinet.files import write_atomically
from movinet.reading import parse_json

Arguments = TypeVarTuple("Arguments")

_START_SECONDS = 2.0  # that processes take until they begin: what takes no longer is sooner written by this one


def claim_folder(folder: Path, settings: Mapping[str, object]) -> None:
    """Makes the folder, and makes sure that what is in it belongs to the same set.

    `synthetic.json` in it holds the settings, which must be the same in every call.

    Raises:
        MovinetError: It has other things in it, was begun with other settings, or is not writable.
    """
    record = folder / "synthetic.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        before = parse_json(record.read_bytes()) if record.exists() else None
        others = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    except (OSError, ValueError) as error:
        raise MovinetError(
            f"{folder}: cannot be used for a data set: {getattr(error, 'strerror', None) or error}"
        ) from error
    if before is None and others:
        raise MovinetError(f"{folder}: has other things in it ({others[0]}); a set wants a folder of its own")
    if before is None:
        write_atomically(record, json.dumps(dict(settings)).encode())
    elif before != dict(settings):
        raise MovinetError(
            f"{folder} was begun with {before}, not {dict(settings)}; repeat those or choose another folder"
        )


def write_missing(
    folder: Path,
    files: Mapping[str, tuple[*Arguments]],
    write: Callable[[Path, *Arguments], None],
    workers: int = 1,
    progress: Callable[[int, int | None], None] | None = None,
) -> None:
    """Writes those of the files that are not there yet.

    Args:
        folder: they lie in.
        files: by name: what `write` takes after the path.
        write: makes one, whole or not at all.
        workers: processes, where what is to be written takes longer than they take to begin; with more than one,
            `write` and its arguments are pickled.
        progress: called with the number of files that are there and of all.
    """
    todo = [name for name in files if not (folder / name).exists()]
    done = len(files) - len(todo)

    def count() -> None:
        nonlocal done
        done += 1
        if progress:
            progress(done, len(files))

    began = time.monotonic()
    for n, name in enumerate(todo):
        seconds_left = (len(todo) - n) * (time.monotonic() - began) / n if n else 0.0
        if workers > 1 and seconds_left > _START_SECONDS:
            todo = todo[n:]
            break
        write(folder / name, *files[name])
        count()
    else:
        return
    # Forking a process in which torch has started threads can deadlock.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        jobs = [pool.submit(write, folder / name, *files[name]) for name in todo]
        try:
            for job in as_completed(jobs):
                job.result()
                count()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
