"""Clips that were recorded, for whoever asks: listed by their descriptions, and found in that list alone."""

import json
from pathlib import Path
from typing import Any

from movinet.errors import MovinetError
from movinet.live.storage import Storage, StoredClip, stored_clips
from movinet.serve.settings import Clips

_MOST = 500  # clips that are listed, the newest


def open_storage(clips: Clips) -> Storage:
    """What keeps a folder of clips within its bounds; the folder is made.

    Raises:
        MovinetError: it cannot be.
    """
    folder = Path(clips.folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MovinetError(f"{folder}: clips cannot be kept here: {error.strerror or error}") from error
    storage = Storage(folder, clips.days, clips.gigabytes)
    storage.make_room()
    return storage


def list_clips(clips: Clips | None) -> list[dict[str, Any]]:
    """Descriptions of clips, the newest first, each with its `path` below `/api/clips/` and its size in `bytes`."""
    found = [] if clips is None else stored_clips(Path(clips.folder))
    newest = sorted(found, key=lambda clip: clip.written, reverse=True)[:_MOST]
    return [described for clip in newest if (described := _described(clip)) is not None]


def find_clip(clips: Clips | None, source: str, name: str) -> Path | None:
    """A clip of the list; None of anything else, whatever the names lead to."""
    found = [] if clips is None else stored_clips(Path(clips.folder))
    return next((one.clip for one in found if (one.clip.parent.name, one.clip.name) == (source, name)), None)


def _described(clip: StoredClip) -> dict[str, Any] | None:
    try:
        said = json.loads(clip.description.read_bytes())
    except (OSError, ValueError):  # deleted meanwhile
        return None
    kept = {key: said.get(key) for key in ("source", "began", "ended", "start", "end", "events")}
    return {"path": f"{clip.clip.parent.name}/{clip.clip.name}", "bytes": clip.size, **kept}
