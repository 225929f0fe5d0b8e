"""Reading the manifest of an exported network."""

from pathlib import Path

MANIFEST = "movinet_manifest.json"
_MAX_BYTES = 16 * 2**20


def is_exported(path: Path) -> bool:
    """Whether a folder is one that `movinet export` wrote."""
    return (path / MANIFEST).is_file()
