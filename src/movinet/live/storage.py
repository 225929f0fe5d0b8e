"""How much of what was recorded is kept: the oldest clips go when they are too old, or too many."""

import json
import logging
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from movinet.errors import MovinetError
from movinet.files import leftovers, replacing, write_json
from movinet.live.json_lines import iso
from movinet.video.remux import has_pictures

logger = logging.getLogger(__name__)

BEGAN = "%Y-%m-%dT%H-%M-%S.%fZ"
"""How the name of a clip begins: when its first picture came, in UTC."""

_MOST_DESCRIPTION = 1 << 20  # bytes of a description
_CLIPS = (".mp4", ".mkv")


@dataclass(frozen=True)
class StoredClip:
    """A clip and the description beside it."""

    clip: Path
    description: Path
    size: int  # bytes of both
    written: float  # Unix time


class Storage:
    """Keeps the clips of a folder within an age and a size. Only files that a recording's description names, beside
    which they lie, are ever deleted.

    Args:
        folder: of all recordings; may not be there yet.
        days: of age.
        gigabytes: of all clips.
    """

    def __init__(self, folder: Path, days: float, gigabytes: float) -> None:
        self.folder, self.days, self.gigabytes = folder, days, gigabytes
        self._lock = threading.Lock()

    def make_room(self) -> None:
        """Finish what recordings that were killed left behind; delete what is too old, and the oldest of what is too
        much."""
        with self._lock:
            for folder in self.folder.glob("*/"):
                for part, whole in leftovers(folder, _CLIPS):
                    finish_clip(part, whole)
            clips = sorted(stored_clips(self.folder), key=lambda clip: clip.written)
            total, too_old = sum(clip.size for clip in clips), time.time() - self.days * 86_400
            for clip in clips:
                if clip.written >= too_old and total <= self.gigabytes * 1e9:
                    break
                total -= clip.size
                for path in (clip.clip, clip.description):  # the clip first: what has no description is never deleted
                    with suppress(FileNotFoundError):
                        try:
                            path.unlink()
                        except PermissionError as error:
                            logger.warning("%s: cannot be deleted: %s", path, error.strerror)


def finish_clip(part: Path, clip: Path, about: dict[str, Any] | None = None) -> bool:
    """Have a clip that was not written to its end be one, as far as it goes.

    Args:
        part: what there is of it; stays where it cannot be finished now, as on a full disk.
        clip: what it becomes.
        about: its description; None: which events are in it nobody knows any more.

    Returns:
        Whether the clip is there.
    """
    with suppress(OSError, MovinetError):
        if clip.exists() or not has_pictures(part):
            part.unlink()
            return False
        if about is None:
            about = _as_it_lies(part, clip)
        with replacing(clip.with_suffix(".json")) as described:
            write_json(described, about)
            part.rename(clip)
        return True
    return False


def _as_it_lies(part: Path, clip: Path) -> dict[str, Any]:
    """The description of a clip whose writer was killed."""
    ended = part.stat().st_mtime
    try:
        began = datetime.strptime(clip.name.partition("_")[0], BEGAN).replace(tzinfo=UTC).timestamp()
    except ValueError:
        began = ended
    about = {"movinet": "recording", "source": clip.parent.name, "clip": clip.name}
    return {**about, "began": iso(began), "ended": iso(ended), "start": None, "end": None, "events": []}


def stored_clips(folder: Path) -> list[StoredClip]:
    """Those that were recorded here, by their descriptions; what cannot be read is none."""
    found = []
    for description in folder.glob("*/*.json"):
        with suppress(OSError, ValueError):
            if description.stat().st_size > _MOST_DESCRIPTION or description.is_symlink():
                continue
            said = json.loads(description.read_bytes())
            if not isinstance(said, dict) or said.get("movinet") != "recording":
                continue
            clip = description.with_suffix(Path(str(said.get("clip"))).suffix)
            if clip.suffix in _CLIPS and clip.name == said.get("clip") and not clip.is_symlink() and clip.is_file():
                size = clip.stat().st_size + description.stat().st_size
                found.append(StoredClip(clip, description, size, clip.stat().st_mtime))
    return found
