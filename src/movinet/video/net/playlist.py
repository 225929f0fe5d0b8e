"""HLS playlists, as far as they matter before FFmpeg reads them."""

import re
from urllib.parse import urljoin

PLAYLIST_BYTES = 8 << 20
"""More than any real one has; FFmpeg would read on until memory ends."""


def is_playlist(head: bytes) -> bool:
    """Whether a text begins as one."""
    return head.startswith(b"#EXTM3U")


def is_named_playlist(url: str, kind: str) -> bool:
    """Whether an address, or the type that its server tells, says playlist; FFmpeg takes no other for one."""
    return "mpegurl" in kind or url.partition("?")[0].lower().endswith((".m3u8", ".m3u"))


def absolute(playlist: bytes, base: str) -> bytes:
    """A playlist with whole addresses, for one that was found elsewhere than asked for, which FFmpeg does not know.

    Args:
        playlist: Its text.
        base: The address where it was found.
    """

    def whole(uri: str) -> str:
        try:
            return urljoin(base, uri)
        except ValueError:
            return uri

    def line(text: str) -> str:
        if text.startswith("#"):
            return re.sub(r'(?<=URI=")[^"]*', lambda uri: whole(uri[0]), text)
        return whole(text.strip())

    lines = playlist.decode("utf-8", "surrogateescape").splitlines()
    return "\n".join(map(line, lines)).encode("utf-8", "surrogateescape")
