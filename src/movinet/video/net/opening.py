"""The one door through which every file and address is opened: what it may do is in `movinet.video.net.sources`."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import av
import av.error
from av.container import InputContainer

from movinet.errors import BadSource, VideoError
from movinet.video.net.hosts import Hosts, split
from movinet.video.net.login import Address
from movinet.video.net.sources import FORMATS, STREAMS, Limits, list_in

if TYPE_CHECKING:
    from av.codec.hwaccel import HWAccel

    from movinet.video.net.http_io import Opener

# Clients are imported by what needs them: most videos are files.
_HLS = {"http_persistent": "0", "http_multiple": "0"}  # as FFmpeg would else look inside files that are not its own


class Opened:
    """An open container and what watches over it.

    Args:
        container: What FFmpeg opened.
        opener: What reads addresses for it; None where FFmpeg reads by itself.
    """

    def __init__(self, container: InputContainer, opener: "Opener | None" = None) -> None:
        self.container = container
        self._opener = opener
        self.is_direct = False
        """Whether it is a camera whose server leads nowhere else."""

    def watch(self) -> AbstractContextManager[None]:
        """Around everything that has FFmpeg read.

        Raises:
            VideoError: The source did not answer in time, or led where it may not.
        """
        return self._opener.watch() if self._opener else nullcontext()

    @property
    def fault(self) -> str | None:
        """Why there is no more to read, where that is not an orderly end."""
        return self._opener.fault if self._opener else None

    @property
    def finite(self) -> bool:
        """Whether it is a file of known length on a server: one that ends when it has been read to its end."""
        return self._opener is not None and self._opener.finite

    @property
    def type(self) -> str:
        """What kind of thing a web server says it is, such as `image/jpeg`; nothing where none did."""
        return self._opener.type if self._opener is not None else ""

    def close(self) -> None:
        self.container.close()
        if self._opener is not None:
            self._opener.close()


def open_file(where: str, limits: Limits, timeout: float | None, options: Mapping[str, str]) -> Opened:
    """Open a file, or one inside another.

    Args:
        where: FFmpeg's name of it, which begins with `file:` or `subfile,`.
        limits, timeout, options: As in `movinet.video.container.Video`.

    Raises:
        av.error.FFmpegError: It cannot be opened.
    """
    # A name like `frame%03d.png` would stand for others.
    allowed = {"protocol_whitelist": "subfile,file", "format_whitelist": FORMATS, "pattern_type": "none"}
    return Opened(_av_open(where, limits, timeout, {**options, **allowed}))


def open_device(name: str, kind: str, limits: Limits, timeout: float | None, options: Mapping[str, str]) -> Opened:
    """Open a camera of this machine, by FFmpeg's name of it and of its kind (`v4l2`, …).

    Raises:
        av.error.FFmpegError: It cannot be opened.
    """
    return Opened(_av_open(name, limits, timeout, options, kind))


def open_address(
    source: str | Address,
    limits: Limits,
    timeout: float | None,
    options: Mapping[str, str],
    hardware: "HWAccel | None" = None,
    asked: bool = False,
) -> Opened:
    """Open an address.

    Args:
        source: What is written, or what was read from it.
        limits, timeout, options: As in `movinet.video.container.Video`.
        hardware: What decodes; the processor by default.
        asked: Whether an RTSP server was asked before where it leads, and led nowhere else (`Opened.is_direct`).

    Raises:
        VideoError: It is of no kind that is read, cannot be reached, or leads where it may not.
        av.error.FFmpegError: It cannot be opened.
    """
    address = source if isinstance(source, Address) else Address.of(source)
    name = str(address)
    scheme = address.url.partition("://")[0].lower()
    if scheme == "file":
        return open_file(f"file:{_path(address)}", limits, timeout, options)
    if scheme in ("http", "https"):
        return _open_http(address, limits, timeout, options, hardware)
    if scheme not in STREAMS:
        known = ", ".join(f"{known}://" for known in ("http", "https", *STREAMS))
        raise BadSource(f"{name}: cannot be opened: an address begins with one of {known}")
    protocols, formats = STREAMS[scheme]
    allowed = {"protocol_whitelist": protocols, "format_whitelist": formats}
    if scheme in ("rtsp", "rtsps"):
        from movinet.video.net.rtsp import destination
        from movinet.video.net.tunnel import tunnelled

        allowed.setdefault("rtsp_transport", options.get("rtsp_transport", "tcp"))
        if allowed["rtsp_transport"] == "http":
            where = tunnelled(address, limits, timeout).for_ffmpeg()
            allowed["protocol_whitelist"] += ",http"
        elif asked and limits.private_networks:  # some take seconds to answer, anew for each who asks
            Hosts(address.url, limits).resolve(split(address.url, name))
            where = address.for_ffmpeg()
        else:
            where = destination(address, limits, timeout).for_ffmpeg()
        opened = Opened(_av_open(where, limits, timeout, {**options, **allowed}, hardware=hardware))
        opened.is_direct = where == address.for_ffmpeg()
        return opened
    if not limits.private_networks:
        raise BadSource(f"{name}: where a {scheme} address leads cannot be checked: refused")
    Hosts(address.url, limits).resolve(split(address.url, name))
    # The others know no logins, and FFmpeg would write one into its log as part of the host.
    where = address.for_ffmpeg() if scheme in ("rtmp", "rtmps") else address.url
    return Opened(_av_open(where, limits, timeout, {**options, **allowed}, hardware=hardware))


def refusal(error: av.error.FFmpegError, head: bytes, limits: Limits) -> str | None:
    """Why FFmpeg may not open what was found, as the rest of a message that begins with its name; None where it is
    something else that hinders it.

    Args:
        error: What FFmpeg said.
        head: How the file begins.
        limits: What it may do.
    """
    if isinstance(error, (av.error.ArgumentError, av.error.InvalidDataError)) and (what := list_in(head)):
        return f"not a video, but {what}: refused"
    if isinstance(error, av.error.ArgumentError):  # how FFmpeg tells a format that is not allowed
        return "holds no format that is read"
    if isinstance(error, av.error.MemoryError):  # and that there are too many
        return (
            f"has more than {limits.max_streams} streams, or memory is short; Limits(max_streams=…) allows more streams"
        )
    return None


def _open_http(
    source: Address, limits: Limits, timeout: float | None, options: Mapping[str, str], hardware: "HWAccel | None"
) -> Opened:
    from movinet.video.net.http_io import Opener

    opener = Opener(source, limits, timeout)
    allowed = {"protocol_whitelist": "none", "format_whitelist": f"{FORMATS},hls", "pattern_type": "none"}
    try:
        with opener.watch(times=2):  # opening, and finding out what is in it
            options = {**options, **allowed, **_HLS}
            container = _av_open(opener.url, limits, timeout, options, opener.format, opener, hardware)
    except av.error.FFmpegError as error:
        opener.close()
        if why := opener.fault or refusal(error, opener.head, limits):
            raise VideoError(f"{opener.name}: {why}") from None
        raise
    except BaseException:
        opener.close()
        raise
    return Opened(container, opener)


def _av_open(
    where: str,
    limits: Limits,
    timeout: float | None,
    options: Mapping[str, str],
    form: str | None = None,
    opener: "Opener | None" = None,
    hardware: "HWAccel | None" = None,
) -> InputContainer:
    options = {**options, **limits.for_ffmpeg()}
    opened = partial(av.open, where, format=form, timeout=timeout, options=options, io_open=opener, hwaccel=hardware)
    # Titles and names of old files are in whatever encoding their maker used. Nobody reads them here.
    try:
        try:
            return opened(metadata_errors="replace")
        except TypeError:  # PyAV 19 takes any tag and has no such option
            return opened()
    except av.error.FFmpegError as error:  # which names what was opened, password and all
        failed = type(error)(error.errno or 0, error.strerror or "")
    raise failed


def _path(address: Address) -> str:
    from urllib.request import url2pathname

    parts = urlsplit(address.url)
    if parts.netloc not in ("", "localhost"):
        raise BadSource(f"{address}: a file of another machine; copy it here, or give it an http address")
    return url2pathname(parts.path)
