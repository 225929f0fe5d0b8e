"""The folder of a synthetic set: made once, and gone on with by whoever asks for the same again."""

import json
from collections.abc import Mapping
from pathlib import Path

from movinet.errors import MovinetError
from movinet.files import write_atomically
from movinet.reading import parse_json


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
        raise MovinetError(f"{folder}: cannot be used for a data set: {error}") from error
    if before is None and others:
        raise MovinetError(f"{folder}: has other things in it ({others[0]}); a set wants a folder of its own")
    if before is None:
        write_atomically(record, json.dumps(dict(settings)).encode())
    elif before != dict(settings):
        raise MovinetError(
            f"{folder} was begun with {before}, not {dict(settings)}; repeat those or choose another folder"
        )
