"""Where what was downloaded and lowered is kept."""

import os
from pathlib import Path

from movinet.errors import MovinetError


def default_cache_dir() -> Path:
    """`$MOVINET_CACHE`, `$XDG_CACHE_HOME/movinet` or `~/.cache/movinet`, the first that is set.

    Raises:
        MovinetError: none is, or it begins in the home folder of somebody who has none.
    """
    try:
        if own := os.environ.get("MOVINET_CACHE"):
            return Path(own).expanduser()
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "movinet"
    except RuntimeError as error:
        raise MovinetError("there is no home folder to keep files in: set MOVINET_CACHE to another") from error
