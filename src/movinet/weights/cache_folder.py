"""Where what was downloaded and lowered is kept."""

import os
from pathlib import Path


def default_cache_dir() -> Path:
    """`$MOVINET_CACHE`, `$XDG_CACHE_HOME/movinet` or `~/.cache/movinet`, the first that is set."""
    if own := os.environ.get("MOVINET_CACHE"):
        return Path(own).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "movinet"
